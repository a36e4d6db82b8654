//! Why something was not done to a key, and what to do about it.

use std::fmt;

use super::Feature;
use crate::ctap::client::KeyError;
use crate::enroll::EnrollError;
use crate::pin_exchange::NoToken;
use crate::ports::Fault;
use crate::stage::NotShown;

/// Why something was not done to a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ManagementError {
    /// As at a registration, or a check of the PIN.
    Common(EnrollError),
    /// The key keeps nothing of that kind that could be managed.
    NoFeature(Feature),
    /// The key that was plugged in is another model than the one that was pulled out.
    OtherKey,
    /// There is a PIN on the key already.
    PinAlreadySet,
    /// The key cannot have a PIN.
    PinImpossible,
    /// The key wants more of a PIN than this one has.
    PinRefused,
    /// The new PIN has fewer characters than the key wants: so many.
    PinTooShort(usize),
    /// What was typed the second time was something else.
    PinsDiffer,
    /// The reset was declined on the key, or is forbidden to it.
    ResetDenied,
    /// The key cannot be reset.
    ResetImpossible,
    /// The key had been plugged in for too long.
    ResetLate,
    /// The key was not unplugged and plugged in again in time.
    NotReplugged,
}

impl ManagementError {
    /// What to do about it, in one sentence.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Common(EnrollError::Declined) => "Run the command again and confirm on the key.",
            Self::Common(EnrollError::Cancelled) => "Run the command again when you want to.",
            Self::Common(error) => error.remedy(),
            Self::NoFeature(_) => "See `fidokey key info` for what it can do.",
            Self::OtherKey => "Run the command again with one and the same key.",
            Self::PinAlreadySet => "Change it with `fidokey key pin change`.",
            Self::PinImpossible => "Use another key where a PIN is wanted.",
            Self::PinRefused => "Choose another one, longer or less simple.",
            Self::PinTooShort(_) => "Run the command again with a longer one.",
            Self::PinsDiffer => "Run the command again; nothing was changed.",
            Self::ResetDenied => "Nothing was reset; run the command again and confirm on the key.",
            Self::ResetImpossible => "What it holds cannot be taken from it; destroy it instead.",
            Self::ResetLate => "Run the command again and touch the key as soon as it blinks.",
            Self::NotReplugged => "Nothing was reset; run the command again when you want to.",
        }
    }
}

impl fmt::Display for ManagementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Common(EnrollError::Declined) => f.write_str("It was declined on the key."),
            Self::Common(EnrollError::Unverifying) => {
                f.write_str("This key speaks no PIN protocol that is known here.")
            }
            Self::Common(error) => error.fmt(f),
            Self::NoFeature(Feature::Credentials) => {
                f.write_str("This key does not let the credentials on it be listed or removed.")
            }
            Self::NoFeature(Feature::Fingerprints) => {
                f.write_str("This key has no fingerprint reader that can be managed.")
            }
            Self::OtherKey => f.write_str("The key that was plugged in is another one."),
            Self::PinAlreadySet => f.write_str("This key has a PIN already."),
            Self::PinImpossible => f.write_str("This key cannot have a PIN."),
            Self::PinRefused => f.write_str("The key does not take that PIN."),
            Self::PinTooShort(least) => {
                write!(f, "This key wants a PIN of {least} characters or more.")
            }
            Self::PinsDiffer => f.write_str("The new PIN was not the same both times."),
            Self::ResetDenied => f.write_str("The key refused the reset."),
            Self::ResetImpossible => f.write_str("This key cannot be reset."),
            Self::ResetLate => {
                f.write_str("The key takes a reset only just after it was plugged in.")
            }
            Self::NotReplugged => {
                f.write_str("The key was not unplugged and plugged in again in time.")
            }
        }
    }
}

impl From<EnrollError> for ManagementError {
    fn from(error: EnrollError) -> Self {
        Self::Common(error)
    }
}

impl From<Fault> for ManagementError {
    fn from(fault: Fault) -> Self {
        Self::Common(fault.into())
    }
}

impl From<KeyError> for ManagementError {
    fn from(error: KeyError) -> Self {
        Self::Common(error.into())
    }
}

impl From<NoToken> for ManagementError {
    fn from(why: NoToken) -> Self {
        Self::Common(why.into())
    }
}

impl From<NotShown> for ManagementError {
    fn from(error: NotShown) -> Self {
        Self::Common(error.into())
    }
}
