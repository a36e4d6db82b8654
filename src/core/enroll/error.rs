//! Why nothing was registered, and what to do about it.

use std::fmt;

use crate::assertion::Rejected;
use crate::attestation::NotAdmitted;
use crate::ctap::client::KeyError;
use crate::ctap::ctap2::Status;
use crate::ctap::session::CallError;
use crate::ctap::u2f::StatusWord;
use crate::pin_exchange::NoToken;
use crate::ports::Fault;
use crate::record::CREDENTIALS_MAX;
use crate::registration::Unfit;
use crate::stage::NotShown;

/// Why nothing was registered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EnrollError {
    /// The key already holds a credential of this account.
    AlreadyRegistered,
    /// Somebody wanted the wait for a key to end.
    Cancelled,
    /// The terminal or the conversation is gone.
    Conversation,
    /// The user declined on the key.
    Declined,
    /// A system call failed.
    Fault(Fault),
    /// The account has 64 credentials.
    Full,
    /// Another program holds the key.
    KeyBusy,
    /// The key did not answer as its protocol says.
    KeyFailed(KeyError),
    /// The key's node cannot be opened, with this error number.
    KeyInaccessible(i32),
    /// Another key of this account has that name.
    NameTaken,
    /// No key was plugged in in time, or it was pulled out.
    NoKey,
    /// The policy admits other keys.
    NotAdmitted(NotAdmitted),
    /// No try of the PIN is left.
    PinBlocked,
    /// The PIN has to be changed before it is of use.
    PinChangeRequired,
    /// Nothing was typed where the PIN was asked for.
    PinDeclined,
    /// So few tries of the PIN are left that it is not asked for.
    PinGuarded(u8),
    /// There is no PIN on the key, and one is needed.
    PinNotSet,
    /// The key takes no PIN until it is plugged in anew.
    PinReplug,
    /// What was typed is no PIN.
    PinUnfit,
    /// The wrong PIN; so many tries are left, where the key says so.
    PinWrong(Option<u8>),
    /// More than one key is plugged in, and it was not said which is meant.
    SeveralKeys,
    /// Nobody touched the key in time.
    TouchTimeout,
    /// The registration does not pass a check.
    Unfit(Unfit),
    /// The key has none of the algorithms asked for.
    Unsupported,
    /// The new credential did not pass a login.
    Unproven(Rejected),
    /// The key can verify nobody, or did not recognise its user.
    Unverifying,
}

impl EnrollError {
    /// What to do about it, in one sentence.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::AlreadyRegistered => "Plug in another key, or see `fidokey list`.",
            Self::Cancelled => "Nothing was written; run the command again when you want to.",
            Self::Conversation => "Run the command in a terminal.",
            Self::Declined => "Run the command again and confirm on the key.",
            Self::Fault(_) => "See the system's log; this should not happen.",
            Self::Full => "Remove a key that is no longer used first.",
            Self::KeyBusy => "Close the program that uses the key, then run the command again.",
            Self::KeyFailed(_) => "Unplug the key, plug it in again, then run the command again.",
            Self::KeyInaccessible(_) => "Run the command as root.",
            Self::NameTaken => "Choose another name with --name.",
            Self::NoKey => "Plug in the key, leave it in, then run the command again.",
            Self::NotAdmitted(_) => "Use another key, or see [registration] in the policy file.",
            Self::PinBlocked => "Reset it with `fidokey key reset`; what it holds is lost then.",
            Self::PinChangeRequired => "Change it with `fidokey key pin change`.",
            Self::PinDeclined => "Run the command again when you want to.",
            Self::PinGuarded(_) => "See `fidokey key pin check`.",
            Self::PinNotSet => "Set one first with `fidokey key pin set`.",
            Self::PinReplug => "Unplug the key, plug it in again, then run the command again.",
            Self::PinUnfit => "Run the command again and type the key's PIN.",
            Self::PinWrong(_) => "Make sure of it before you run the command again.",
            Self::SeveralKeys => "Unplug all but the one that is meant.",
            Self::TouchTimeout => "Run the command again and touch the key when it blinks.",
            Self::Unfit(_) | Self::Unproven(_) => "Do not use this key: nothing was written.",
            Self::Unverifying => "Use another key: a PIN or a fingerprint is required.",
            Self::Unsupported => "Use another key, or another --algorithm.",
        }
    }
}

impl fmt::Display for EnrollError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRegistered => {
                f.write_str("This key is already registered for the account.")
            }
            Self::Cancelled => f.write_str("Cancelled."),
            Self::Conversation => f.write_str("There is no one to talk to."),
            Self::Declined => f.write_str("The registration was declined on the key."),
            Self::Fault(fault) => write!(f, "{} failed (error {}).", fault.call, fault.errno),
            Self::Full => write!(f, "The account already has {CREDENTIALS_MAX} keys."),
            Self::KeyBusy => f.write_str("The security key is in use by another program."),
            Self::KeyFailed(error) => write!(f, "The key {error}."),
            Self::KeyInaccessible(errno) => {
                write!(f, "The key is plugged in but cannot be opened (error {errno}).")
            }
            Self::NameTaken => f.write_str("The account already has a key of that name."),
            Self::NoKey => f.write_str("No security key was there in time."),
            Self::NotAdmitted(why) => {
                write!(f, "The policy does not admit this key: {why} ({}).", why.word())
            }
            Self::PinBlocked => f.write_str("The PIN on this key is blocked."),
            Self::PinChangeRequired => f.write_str("The PIN on this key must be changed first."),
            Self::PinDeclined => f.write_str("No PIN was typed."),
            Self::PinGuarded(left) => {
                write!(f, "The PIN is not asked for: tries left on this key: {left}.")
            }
            Self::PinNotSet => f.write_str("This key has no PIN yet, and one is needed."),
            Self::PinReplug => f.write_str("The key takes no PIN before it is plugged in anew."),
            Self::PinUnfit => f.write_str("That was not a PIN: they have 4 to 63 bytes."),
            Self::PinWrong(None) => f.write_str("Wrong PIN."),
            Self::PinWrong(Some(left)) => write!(f, "Wrong PIN. Tries left on this key: {left}."),
            Self::SeveralKeys => f.write_str("Several keys are plugged in."),
            Self::TouchTimeout => f.write_str("Timed out waiting for the security key."),
            Self::Unfit(unfit) => {
                write!(f, "The key's registration was not accepted ({}).", unfit.word())
            }
            Self::Unproven(rejected) => {
                write!(f, "The new credential did not pass a login ({}).", rejected.word())
            }
            Self::Unverifying => {
                f.write_str("The key cannot verify its user, or did not recognise you.")
            }
            Self::Unsupported => f.write_str("This key has none of the algorithms asked for."),
        }
    }
}

impl From<Fault> for EnrollError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<NotShown> for EnrollError {
    fn from(error: NotShown) -> Self {
        match error {
            NotShown::Conversation => Self::Conversation,
            NotShown::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl From<NoToken> for EnrollError {
    fn from(why: NoToken) -> Self {
        match why {
            NoToken::Blocked => Self::PinBlocked,
            NoToken::ChangeRequired => Self::PinChangeRequired,
            NoToken::Declined => Self::PinDeclined,
            NoToken::Guarded(left) => Self::PinGuarded(left),
            NoToken::Key(error) => error.into(),
            NoToken::NotSet => Self::PinNotSet,
            NoToken::NotShown(error) => error.into(),
            NoToken::Replug => Self::PinReplug,
            NoToken::Unavailable => Self::Unverifying,
            NoToken::Unfit => Self::PinUnfit,
            NoToken::Wrong(left) => Self::PinWrong(left),
        }
    }
}

impl From<KeyError> for EnrollError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Call(CallError::Fault(fault)) => Self::Fault(fault),
            KeyError::Call(CallError::Gone) => Self::NoKey,
            KeyError::Call(CallError::Busy) => Self::KeyBusy,
            KeyError::Call(CallError::Elapsed) => Self::TouchTimeout,
            KeyError::Call(CallError::Inaccessible(errno)) => Self::KeyInaccessible(errno),
            KeyError::Status(Status::CREDENTIAL_EXCLUDED) => Self::AlreadyRegistered,
            KeyError::Status(Status::OPERATION_DENIED) => Self::Declined,
            KeyError::Status(Status::UNSUPPORTED_ALGORITHM) => Self::Unsupported,
            KeyError::Status(Status::USER_ACTION_TIMEOUT) => Self::TouchTimeout,
            KeyError::Status(Status::PIN_NOT_SET) => Self::PinNotSet,
            KeyError::Status(Status::PIN_BLOCKED) => Self::PinBlocked,
            KeyError::Status(Status::PUAT_REQUIRED | Status::UV_BLOCKED | Status::UV_INVALID) => {
                Self::Unverifying
            }
            KeyError::StatusWord(StatusWord::COMMAND_NOT_ALLOWED) => Self::Unverifying,
            other => Self::KeyFailed(other),
        }
    }
}
