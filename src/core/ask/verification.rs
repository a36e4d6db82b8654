//! Verification by a key that has been found to be the account's: its own, a fingerprint for example, then its PIN.

use std::time::Duration;

use super::Answered;
use super::attempt::{Attempted, How, Miss, Talk};
use crate::ctap::client::{Found, KeyError};
use crate::ctap::client_pin::Permission;
use crate::ctap::ctap2::Info;
use crate::ctap::pin_protocol::PinProtocol;
use crate::ctap::session::CallError;
use crate::pin_exchange::{self, NoToken, Terms};
use crate::ports::{Host, Keys, Machine};
use crate::stage::NotShown;
use crate::verdict::Reason;

impl From<NoToken> for Miss {
    fn from(why: NoToken) -> Self {
        match why {
            NoToken::Blocked => Self::Unusable(Reason::PinBlocked),
            NoToken::ChangeRequired => Self::Unusable(Reason::PinChangeRequired),
            NoToken::Declined => Self::Unusable(Reason::PinDeclined),
            NoToken::Guarded(_) => Self::Unusable(Reason::PinGuarded),
            NoToken::Key(error) => error.into(),
            NoToken::NotShown(NotShown::Conversation) => Self::End(Reason::Conversation),
            NoToken::NotShown(NotShown::Fault(fault)) => fault.into(),
            NoToken::Replug => Self::Unusable(Reason::PinReplug),
            NoToken::NotSet | NoToken::Unavailable => {
                Self::Unusable(Reason::VerificationUnavailable)
            }
            NoToken::Unfit => Self::End(Reason::PinUnfit),
            NoToken::Wrong(left) => Self::End(Reason::PinWrong(left)),
        }
    }
}

impl<M: Machine, H: Host, K: Keys> Talk<'_, '_, '_, '_, M, H, K> {
    /// A touch with verification, by a key that says that it holds `found` and `info` of itself. The machine had slept for
    /// `slept` when the key said so.
    pub(super) async fn touch_with_verification(
        &mut self,
        info: &Info,
        found: &Found<'_>,
        slept: Duration,
    ) -> Result<Answered, Miss> {
        if info.built_in_uv == Some(true) {
            let credential = found.credential;
            match self.touch(&credential.rp_id, &[credential], How::BuiltIn).await {
                Err(Attempted::Error(KeyError::Status(status))) if status.ends_built_in() => {}
                other => return other.map_err(Miss::from),
            }
            self.tell_of_built_in(info).await?;
            if info.client_pin != Some(true) || info.pin_is_for_management_only {
                return Err(Miss::Unusable(Reason::VerificationFailed));
            }
        }
        self.touch_with_pin(info, found, slept).await
    }

    /// The key did not recognise whoever touched it.
    async fn tell_of_built_in(&mut self, info: &Info) -> Result<(), Miss> {
        // What the number means is the same in either protocol.
        let protocol = info.pin_protocol.unwrap_or(PinProtocol::One);
        let left = match self.client.uv_retries(protocol, self.end).await {
            Ok(left) => Some(left),
            // CTAP 2.0 has no such question.
            Err(KeyError::Status(_) | KeyError::Malformed) => None,
            Err(error) => return Err(error.into()),
        };
        let text = match left {
            None => "Not recognised.".to_owned(),
            Some(0) => "Not recognised; this key's reader is blocked.".to_owned(),
            Some(1) => "Not recognised. 1 attempt left on this key.".to_owned(),
            Some(left) => format!("Not recognised. {left} attempts left on this key."),
        };
        self.stage.show(&text).map_err(Reason::from).map_err(Miss::End)
    }

    /// The PIN goes to nobody who has not just shown to be a key of this account.
    async fn touch_with_pin(
        &mut self,
        info: &Info,
        found: &Found<'_>,
        slept: Duration,
    ) -> Result<Answered, Miss> {
        let credential = found.credential;
        found.prove().map_err(|rejected| Miss::Unusable(Reason::Rejected(rejected)))?;
        // It was pulled out in the midst of its one try.
        if self.stage.try_is_spent() {
            return Err(Miss::Unusable(Reason::KeyFailed(CallError::Gone.into())));
        }
        let guard = self.question.pin_guard;
        let asked = pin_exchange::may_be_asked(&mut self.client, info, guard, self.end).await;
        let (protocol, _) = self.tell_of_guard(found, asked)?;
        self.take_floor().await?;
        let introduction = format!("Enter the PIN of \"{}\".", credential.name);
        let before = self.stage.answering();
        let terms = Terms { protocol, guard, slept };
        let typed =
            pin_exchange::typed(self.stage, &mut self.client, &introduction, terms, self.end).await;
        self.end = self.end.after(self.stage.answering().saturating_sub(before));
        let pin = self.tell_of_guard(found, typed)?;
        self.stage.spend_try();
        let rp_id = &credential.rp_id;
        let scope = (protocol, Permission::GetAssertion, rp_id.as_str());
        let token =
            pin_exchange::token(self.stage, &mut self.client, info, &pin, scope, self.end).await?;
        drop(pin);
        self.touch(rp_id, &[credential], How::Pin(&token)).await.map_err(Miss::from)
    }

    /// Says whose PIN is not asked for, and what there is to do, where that is what `came`.
    fn tell_of_guard<T>(&self, found: &Found<'_>, came: Result<T, NoToken>) -> Result<T, Miss> {
        if let Err(NoToken::Guarded(left)) = &came {
            let tries = if *left == 1 { "try" } else { "tries" };
            let name = &found.credential.name;
            let text =
                format!("PIN of \"{name}\": {left} {tries} left. See `fidokey key pin check`.");
            self.stage.show(&text).map_err(Reason::from).map_err(Miss::End)?;
        }
        came.map_err(Miss::from)
    }

    /// Waits until no other key blinks, and has the others left in peace: while a PIN is typed nobody looks after them.
    async fn take_floor(&mut self) -> Result<(), Miss> {
        let stage = self.stage;
        let free = || !stage.is_armed() && stage.floor().is_none();
        self.client.wait_for(free, self.end).await?;
        stage.give_floor(Some(self.key));
        Ok(self.client.turn().await?)
    }
}
