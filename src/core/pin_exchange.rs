//! A PIN between a person and a key: whether it may be asked for, the question, and the token that the key gives for it.
//! Whether the key may be trusted with it has been found out before.

use crate::ctap::client::{Client, Exchange, KeyError};
use crate::ctap::client_pin::Permission;
use crate::ctap::ctap2::{Info, Status};
use crate::ctap::pin_protocol::{PinProtocol, Point, SharedSecret, Token};
use crate::ctap::session::CallError;
use crate::pin::{NoPin, PinHash};
use crate::ports::{Fault, Heard, Host, Keys, Machine, Moment};
use crate::stage::{NotShown, Stage};
use std::time::Duration;
use zeroize::Zeroizing;

/// What stands where the PIN is typed. A program may replace it by words of its own, and all that it is then clear from
/// is the line before.
pub(crate) const PROMPT: &str = "Security key PIN: ";

/// A difference of the clocks that comes of sleep, and not of looking at one after the other.
const SLEPT: Duration = Duration::from_secs(1);

/// Why there is no token.
#[derive(Debug)]
pub(crate) enum NoToken {
    /// No try is left.
    Blocked,
    /// The PIN has to be changed before it is of use.
    ChangeRequired,
    /// Nothing was typed.
    Declined,
    /// So many tries are left that none of them is to be spent here.
    Guarded(u8),
    /// The key failed.
    Key(KeyError),
    /// There is no PIN on the key.
    NotSet,
    /// The person could not be asked.
    NotShown(NotShown),
    /// The key takes no PIN until it is plugged in anew.
    Replug,
    /// No PIN of this key is good for this, or not in a way that is known here.
    Unavailable,
    /// What was typed is no PIN.
    Unfit,
    /// It was the wrong one; so many tries are left, where the key says so.
    Wrong(Option<u8>),
}

impl From<Fault> for NoToken {
    fn from(fault: Fault) -> Self {
        Self::Key(fault.into())
    }
}

impl From<NotShown> for NoToken {
    fn from(error: NotShown) -> Self {
        Self::NotShown(error)
    }
}

impl From<KeyError> for NoToken {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Status(Status::PIN_BLOCKED) => Self::Blocked,
            KeyError::Status(Status::PIN_AUTH_BLOCKED) => Self::Replug,
            KeyError::Status(Status::PIN_INVALID) => Self::Wrong(None),
            KeyError::Status(Status::PIN_NOT_SET) => Self::NotSet,
            KeyError::Status(Status::PIN_POLICY_VIOLATION) => Self::ChangeRequired,
            other => Self::Key(other),
        }
    }
}

/// Whether the PIN of a key that says `info` of itself may be asked for: it has one that is good for this, and more
/// than `guard` tries are left. The protocol to use, and how many tries those are.
pub(crate) async fn may_be_asked<K: Keys>(
    client: &mut Client<'_, '_, K>,
    info: &Info,
    guard: u8,
    until: Moment,
) -> Result<(PinProtocol, u8), NoToken> {
    match info.client_pin {
        None => return Err(NoToken::Unavailable),
        Some(false) => return Err(NoToken::NotSet),
        Some(true) => {}
    }
    if info.pin_is_for_management_only {
        return Err(NoToken::Unavailable);
    }
    if info.force_pin_change {
        return Err(NoToken::ChangeRequired);
    }
    let protocol = info.pin_protocol.ok_or(NoToken::Unavailable)?;
    Ok((protocol, tries_left(client, protocol, guard, until).await?))
}

/// How many tries are left, where they are more than `guard`.
pub(crate) async fn tries_left<K: Keys>(
    client: &mut Client<'_, '_, K>,
    protocol: PinProtocol,
    guard: u8,
    until: Moment,
) -> Result<u8, NoToken> {
    let retries = client.pin_retries(protocol, until).await?;
    match retries.left {
        0 => Err(NoToken::Blocked),
        _ if retries.power_cycle => Err(NoToken::Replug),
        left if left <= guard => Err(NoToken::Guarded(left)),
        left => Ok(left),
    }
}

/// On what terms a PIN is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    /// The protocol to use.
    pub(crate) protocol: PinProtocol,
    /// With so many tries left, or fewer, it is not.
    pub(crate) guard: u8,
    /// How long the machine had slept before the key proved itself.
    pub(crate) slept: Duration,
}

/// Asks for the PIN, with `introduction` as the line before. The key is not locked meanwhile. Where others have used it,
/// the tries are counted anew: they may have spent some.
pub(crate) async fn typed<M: Machine, H: Host, K: Keys>(
    stage: &Stage<'_, M, H>,
    client: &mut Client<'_, '_, K>,
    introduction: &str,
    Terms { protocol, guard, slept }: Terms,
    end: Moment,
) -> Result<PinHash, NoToken> {
    let mut ask = || {
        stage.show(introduction)?;
        ask_once(stage, PROMPT, PinHash::of)
    };
    let (pin, heard, end) = released(stage, client, slept, end, &mut ask).await?;
    if heard == Heard::Others {
        tries_left(client, protocol, guard, end).await?;
    }
    Ok(pin)
}

/// Asks for one PIN, which becomes what `take` makes of it.
pub(crate) fn ask_once<M: Machine, H: Host, T>(
    stage: &Stage<'_, M, H>,
    prompt: &str,
    take: impl Fn(&[u8]) -> Result<T, NoPin>,
) -> Result<T, NoToken> {
    let mut pin = Err(NoPin::Declined);
    stage.ask(prompt, &mut |answer| pin = take(answer))?;
    pin.map_err(|why| match why {
        NoPin::Declined => NoToken::Declined,
        NoPin::Unfit => NoToken::Unfit,
    })
}

/// Has `ask` ask a person while others may use the key: what it comes to, whether others have, and when the conversation
/// with the key ends now. `slept` is as in [`Terms`].
pub(crate) async fn released<M: Machine, H: Host, K: Keys, T, E: From<NoToken>>(
    stage: &Stage<'_, M, H>,
    client: &mut Client<'_, '_, K>,
    slept: Duration,
    end: Moment,
    ask: &mut dyn FnMut() -> Result<T, E>,
) -> Result<(T, Heard, Moment), E> {
    let failed = |error: KeyError| NoToken::Key(error);
    client.is_there().await.map_err(failed)?;
    client.release().map_err(NoToken::from)?;
    let start = client.now().map_err(NoToken::from)?;
    let answer = ask();
    let taken = start.until(client.now().map_err(NoToken::from)?);
    stage.answered_after(taken);
    if answer.is_err() {
        client.stop_releasing().map_err(NoToken::from)?;
    }
    let answer = answer?;
    let end = end.after(taken);
    let heard = client.retake(end).await.map_err(failed)?;
    // The machine has slept. A key that took the other's place meanwhile may be behind the same descriptor; whichever is
    // there has to prove itself anew.
    let now = client.now().map_err(NoToken::from)?;
    if stage.asleep(now).map_err(NoToken::from)?.saturating_sub(slept) >= SLEPT {
        return Err(NoToken::Key(KeyError::Call(CallError::Gone)).into());
    }
    Ok((answer, heard, end))
}

/// Has the key give a token for `pin`, for one request of that kind at that relying party. One try is spent.
pub(crate) async fn token<M: Machine, H: Host, K: Keys>(
    stage: &Stage<'_, M, H>,
    client: &mut Client<'_, '_, K>,
    info: &Info,
    pin: &PinHash,
    scope: (PinProtocol, Permission, &str),
    until: Moment,
) -> Result<Token, NoToken> {
    let (protocol, permission, rp_id) = scope;
    let (shared, ours) = agree(stage, client, protocol, until).await?;
    let exchange = Exchange {
        shared: &shared,
        ours: &ours,
        random: &stage.random()?,
        scope: info.token_permissions.then_some((permission, rp_id)),
    };
    match client.token(&exchange, pin, until).await.map_err(NoToken::from) {
        Err(NoToken::Wrong(_)) => Err(wrong(client, protocol, until).await),
        other => other,
    }
}

/// Agrees on a secret with the key.
pub(crate) async fn agree<M: Machine, H: Host, K: Keys>(
    stage: &Stage<'_, M, H>,
    client: &mut Client<'_, '_, K>,
    protocol: PinProtocol,
    until: Moment,
) -> Result<(SharedSecret, Point), NoToken> {
    let theirs = client.key_agreement(protocol, until).await?;
    let private = Zeroizing::new(stage.random()?);
    // A point that is not on the curve: nothing is sent to such a key.
    SharedSecret::agree(protocol, &theirs, &private).ok_or(NoToken::Key(KeyError::Malformed))
}

/// How many tries a wrong PIN has left.
pub(crate) async fn wrong<K: Keys>(
    client: &mut Client<'_, '_, K>,
    protocol: PinProtocol,
    until: Moment,
) -> NoToken {
    match client.pin_retries(protocol, until).await {
        Ok(retries) if retries.left == 0 => NoToken::Blocked,
        Ok(retries) => NoToken::Wrong(Some(retries.left)),
        Err(_) => NoToken::Wrong(None),
    }
}
