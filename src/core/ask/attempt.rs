//! One key being asked: the requests of either generation, the cue, and the verification of what it signs. Where more
//! than a touch is wanted, [`super::verification`] goes on.

use std::time::Duration;

use super::{Answered, Asking, Question};
use crate::assertion::{self, Verified};
use crate::credential::{Credential, Protocol, RpId, Verification, is_unprintable};
use crate::ctap::client::{Client, KeyError, Limits};
use crate::ctap::ctap2::{self, Authorization, Gesture, Status};
use crate::ctap::pin_protocol::Token;
use crate::ctap::session::CallError;
use crate::ctap::u2f::{self, StatusWord};
use crate::ports::{Fault, Host, KeyId, Keys, Machine, Moment};
use crate::stage::{AT_ONCE, Stage};
use crate::verdict::Reason;

/// A key that stops waiting for a touch sooner than this is broken, and is not asked again.
const OWN_PATIENCE: Duration = Duration::from_secs(5);

/// How much later than the end an answer may be heard of, on a slow machine.
const SLOWNESS: Duration = Duration::from_secs(1);

/// Why a key did not end the login, or how it did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Miss {
    /// The login ends here.
    End(Reason),
    /// It is another account's.
    Foreign,
    /// It was removed.
    Gone,
    /// It is of no use now, for this reason.
    Unusable(Reason),
}

impl From<Fault> for Miss {
    fn from(fault: Fault) -> Self {
        Self::End(Reason::Fault(fault))
    }
}

impl From<KeyError> for Miss {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Call(CallError::Fault(fault)) => fault.into(),
            KeyError::Call(CallError::Gone) => Self::Gone,
            KeyError::Call(CallError::Busy) => Self::Unusable(Reason::KeyBusy),
            KeyError::Call(CallError::Elapsed) => Self::Unusable(Reason::TouchTimeout),
            KeyError::Call(CallError::Inaccessible(_)) => Self::Unusable(Reason::KeyInaccessible),
            KeyError::Status(status) if status.means_not_mine() => Self::Foreign,
            KeyError::Status(Status::USER_ACTION_TIMEOUT) => Self::Unusable(Reason::TouchTimeout),
            KeyError::Status(Status::OPERATION_DENIED) => Self::End(Reason::Declined),
            KeyError::Status(Status::PIN_BLOCKED) => Self::Unusable(Reason::PinBlocked),
            KeyError::Status(Status::PIN_AUTH_BLOCKED) => Self::Unusable(Reason::PinReplug),
            KeyError::Status(Status::PIN_NOT_SET | Status::PUAT_REQUIRED) => {
                Self::Unusable(Reason::VerificationUnavailable)
            }
            KeyError::StatusWord(word) if word.means_not_mine() => Self::Foreign,
            KeyError::StatusWord(StatusWord::COMMAND_NOT_ALLOWED) => {
                Self::Unusable(Reason::VerificationUnavailable)
            }
            KeyError::Call(_)
            | KeyError::Malformed
            | KeyError::Status(_)
            | KeyError::StatusWord(_) => Self::Unusable(Reason::KeyFailed(error)),
        }
    }
}

/// Opens `key` and asks it, `end` at the latest; what it signed is concluded before the key is closed, and its lock
/// given up. `sole` says that no other key is plugged in.
pub(super) async fn attempt<M: Machine, H: Host, K: Keys>(
    asking: Asking<'_, '_, '_, '_, M, H, K>,
    key: KeyId,
    sole: bool,
    end: Moment,
) -> Result<Verified, Miss> {
    let Asking { bus, stage, question, conclude } = asking;
    let nonce = u64::from_be_bytes(stage.random()?);
    let client = Client::open(bus, key, nonce, end).await?;
    let mut talk = Talk { stage, question, client, key, end, armed: false };
    let answered = talk.ask(sole).await?;
    let mut conclude = conclude.try_borrow_mut().map_err(|_| AT_ONCE)?;
    stage.with(|machine, host| conclude(machine, host, answered))?.map_err(Miss::End)
}

/// Credentials that can be asked for together: of one relying party, and all of them enough with a touch, or none.
struct Group<'a> {
    rp_id: &'a RpId,
    need: Verification,
    credentials: Vec<&'a Credential>,
}

/// The credentials in groups, those that a touch is enough for first, else in the order of the record.
fn grouped<'a>(question: &Question<'a>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for &credential in question.credentials {
        let (rp_id, need) = (&credential.rp_id, question.need(credential));
        match groups.iter_mut().find(|group| group.rp_id == rp_id && group.need == need) {
            Some(group) => group.credentials.push(credential),
            None => groups.push(Group { rp_id, need, credentials: vec![credential] }),
        }
    }
    groups.sort_by_key(|group| group.need);
    groups
}

/// How one request for a touch failed.
pub(super) enum Attempted {
    Error(KeyError),
    Miss(Miss),
}

impl From<Attempted> for Miss {
    fn from(attempted: Attempted) -> Self {
        match attempted {
            Attempted::Error(error) => error.into(),
            Attempted::Miss(miss) => miss,
        }
    }
}

impl From<Fault> for Attempted {
    fn from(fault: Fault) -> Self {
        Self::Miss(fault.into())
    }
}

/// What a request for a touch is sent with.
pub(super) enum How<'t> {
    Touch,
    BuiltIn,
    Pin(&'t Token),
}

/// The conversation with one key.
pub(super) struct Talk<'s, 'b, 'k, 'm, M: Machine, H: Host, K: Keys> {
    pub(super) stage: &'s Stage<'m, M, H>,
    pub(super) question: &'s Question<'s>,
    pub(super) client: Client<'b, 'k, K>,
    pub(super) key: KeyId,
    pub(super) end: Moment,
    /// It was asked for a touch already.
    armed: bool,
}

impl<M: Machine, H: Host, K: Keys> Talk<'_, '_, '_, '_, M, H, K> {
    /// Asks the key in the cheapest way that the credentials and its generation allow.
    async fn ask(&mut self, sole: bool) -> Result<Answered, Miss> {
        if !self.client.speaks_ctap2() {
            return self.first_generation(sole).await.map_err(Miss::from);
        }
        let groups = grouped(self.question);
        if let ([Group { rp_id, need: Verification::None, credentials }], true) =
            (&groups[..], sole)
            && Limits::UNASKED.fit(rp_id, credentials)
        {
            match self.touch(rp_id, credentials, How::Touch).await {
                Err(Attempted::Error(error)) if error.may_mean_list_too_long() => {}
                // It wants verification of everybody, which says nothing of whose it is.
                Err(Attempted::Error(KeyError::Status(Status::PUAT_REQUIRED))) => {}
                other => return other.map_err(Miss::from),
            }
        }
        self.search(&groups).await
    }

    /// Asks the key silently for its credential, then for the touch. Only here is the key asked what it
    /// takes, and only where the answer changes what is sent.
    async fn search(&mut self, groups: &[Group<'_>]) -> Result<Answered, Miss> {
        let informed = self.armed
            || groups.iter().any(|group| {
                let fits = Limits::UNASKED.fit(group.rp_id, &group.credentials);
                !fits || group.need == Verification::Required
            });
        let info = if informed { Some(self.client.info(self.end).await?) } else { None };
        let limits = info.as_ref().map_or(Limits::UNASKED, Limits::of);
        // Before the key proves itself, since what it proves does not outlast a sleep.
        let slept = self.stage.asleep(self.client.now()?)?;
        for group in groups {
            let (stage, who) = (self.stage, &self.question.who);
            let mut fresh = || stage.challenge(group.rp_id, who);
            let (rp_id, list) = (group.rp_id, &group.credentials);
            let found = self.client.find(rp_id, list, limits, &mut fresh, self.end).await?;
            let Some(found) = found else { continue };
            let always = info.as_ref().is_some_and(|info| info.always_uv);
            if group.need == Verification::None && !always {
                match self.touch(rp_id, &[found.credential], How::Touch).await {
                    Err(Attempted::Error(KeyError::Status(Status::PUAT_REQUIRED))) => {}
                    other => return other.map_err(Miss::from),
                }
            }
            let info = match info {
                Some(info) => info,
                None => self.client.info(self.end).await?,
            };
            return self.touch_with_verification(&info, &found, slept).await;
        }
        Err(Miss::Foreign)
    }

    /// Shows the cue, arms the key and verifies what it signs. Nothing is sent after the answer.
    pub(super) async fn touch(
        &mut self,
        rp_id: &RpId,
        credentials: &[&Credential],
        how: How<'_>,
    ) -> Result<Answered, Attempted> {
        let until = self.cue()?;
        let _armed = self.stage.arm();
        loop {
            let begun = self.client.now()?;
            let answered = self.touch_once(rp_id, credentials, &how, until).await;
            // Keys wait for half a minute or so, which is less than some people need and the policy may allow. A token for
            // the PIN does not live longer.
            let again = matches!(how, How::Touch)
                && matches!(
                    answered,
                    Err(Attempted::Error(KeyError::Status(Status::USER_ACTION_TIMEOUT)))
                );
            let now = self.client.now()?;
            if !again || now < begun.after(OWN_PATIENCE) || now >= until {
                return answered;
            }
        }
    }

    /// Arms the key, until then, and verifies what it signs.
    async fn touch_once(
        &mut self,
        rp_id: &RpId,
        credentials: &[&Credential],
        how: &How<'_>,
        until: Moment,
    ) -> Result<Answered, Attempted> {
        let challenge = self.stage.challenge(rp_id, &self.question.who)?;
        let ids: Vec<&[u8]> = credentials.iter().map(|c| c.id.as_bytes()).collect();
        let hash = challenge.client_data_hash();
        let param;
        let gesture = match how {
            How::Touch => Gesture::Touch,
            How::BuiltIn => Gesture::BuiltIn,
            How::Pin(token) => {
                param = token.authorize(hash).ok_or(Attempted::Error(KeyError::Malformed))?;
                Gesture::Pin(Authorization { param: &param, protocol: token.protocol() })
            }
        };
        let request = ctap2::get_assertion(rp_id.as_str(), hash, &ids, gesture);
        let payload = self.client.touch(&request, until).await.map_err(Attempted::Error)?;
        self.in_time(until)?;
        let rejected = |rejected| Attempted::Miss(Miss::End(Reason::Rejected(rejected)));
        let response = ctap2::read_assertion(&payload)
            .map_err(|_| rejected(assertion::Rejected::Malformed))?;
        let verified = assertion::verify(challenge, credentials, &response, self.question.required)
            .map_err(rejected)?;
        Ok(Answered { verified, canonical: ctap2::is_canonical(&payload) })
    }

    /// Has a key that speaks CTAP1 alone sign. A single credential is asked for right away where no other key is
    /// there: what is not the key's is refused as fast as a question would be. Of several the key's own is found
    /// first.
    async fn first_generation(&mut self, sole: bool) -> Result<Answered, Attempted> {
        let registered: Vec<&Credential> = self
            .question
            .credentials
            .iter()
            .copied()
            .filter(|credential| credential.protocol == Protocol::U2f)
            .collect();
        let own = match registered.as_slice() {
            [only] if sole => Some(*only),
            several => self.u2f_find(several).await?,
        };
        let credential = own.ok_or(Attempted::Miss(Miss::Foreign))?;
        let challenge = self.stage.challenge(&credential.rp_id, &self.question.who)?;
        let request = u2f::authenticate(
            u2f::Control::Sign,
            challenge.client_data_hash(),
            credential.rp_id.as_str(),
            credential.id.as_bytes(),
        )
        .ok_or(Attempted::Miss(Miss::Foreign))?;
        let until = self.cue()?;
        let _armed = self.stage.arm();
        let data = self.client.u2f_touch(&request, until).await.map_err(Attempted::Error)?;
        self.in_time(until)?;
        let rejected = |rejected| Attempted::Miss(Miss::End(Reason::Rejected(rejected)));
        let signed =
            u2f::read_signed(&data).map_err(|_| rejected(assertion::Rejected::Malformed))?;
        let verified =
            assertion::verify_u2f(challenge, credential, &signed, self.question.required)
                .map_err(rejected)?;
        Ok(Answered { verified, canonical: true })
    }

    /// The first of `credentials` that a first-generation key says is its own.
    async fn u2f_find<'c>(
        &mut self,
        credentials: &[&'c Credential],
    ) -> Result<Option<&'c Credential>, Attempted> {
        for &credential in credentials {
            let throw_away = self.stage.challenge(&credential.rp_id, &self.question.who)?;
            let (rp_id, handle) = (&credential.rp_id, credential.id.as_bytes());
            let hash = throw_away.client_data_hash();
            let holds = self.client.u2f_holds(rp_id, handle, hash, self.end).await;
            if holds.map_err(Attempted::Error)? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }

    /// A touch that is heard of long after its time, since the process was stopped, lets nobody in: whoever gave it may have
    /// left the terminal.
    fn in_time(&self, until: Moment) -> Result<(), Attempted> {
        if self.client.now()? > until.after(SLOWNESS) {
            return Err(Attempted::Error(CallError::Elapsed.into()));
        }
        Ok(())
    }

    /// Shows the cue, and says until when the touch is waited for.
    fn cue(&mut self) -> Result<Moment, Attempted> {
        let service = &self.question.who.origin.service;
        let text = format!("Touch your security key ({}).", short(service));
        let shown = self.stage.cue(&text, self.question.touch);
        shown.map_err(|error| Attempted::Miss(Miss::End(error.into())))?;
        self.armed = true;
        Ok(self.client.now()?.after(self.question.touch).min(self.end))
    }
}

/// `text` from outside without what could change a terminal, at most 32 characters.
fn short(text: &str) -> String {
    text.chars().filter(|c| !is_unprintable(*c)).take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_text_that_moves_the_cursor_then_only_its_letters_are_shown() {
        assert_eq!(short("su\u{1b}[2Jdo\n\u{202e}"), "su[2Jdo");
        assert_eq!(short(&"x".repeat(4096)).len(), 32);
    }
}
