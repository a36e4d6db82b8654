//! What a login comes to, and the one table of what is answered for it.

use crate::assertion::{Rejected, Verified};
use crate::policy::{Exempt, Mode};
use crate::ports::Fault;

/// What a login comes to.
#[derive(Debug)]
pub enum Verdict {
    /// Let in: a fresh assertion was verified under the policy in force.
    Allow(Verified),
    /// Not let in, for this reason.
    Deny(Reason),
    /// The policy exempts this login from the key.
    Skip(Exempt),
}

/// Why a login is denied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// A module argument or the policy file is unknown, doubtful or unsafe.
    Config,
    /// The conversation is missing or failed.
    Conversation,
    /// The key asked the user and the user declined there.
    Declined,
    /// A system call, the randomness or the clock failed.
    Fault(Fault),
    /// Another program held the key for longer than we wait.
    KeyBusy,
    /// The key broke the protocol, answered nothing or an error that ends its use.
    KeyFailed,
    /// Keys are plugged in and none can be opened.
    KeyInaccessible,
    /// No key was plugged in in time.
    NoKey,
    /// The account has no record and the policy wants one.
    NotEnrolled,
    /// Every key that was plugged in is another account's, and no other came in time.
    NotRegistered,
    /// The record is unreadable, unsafe, malformed or another account's.
    Record,
    /// The login comes from another machine and the policy refuses that.
    Remote,
    /// The assertion did not pass a check.
    Rejected(Rejected),
    /// Nobody touched the key in time.
    TouchTimeout,
    /// The host changed its mind about the user while we waited.
    UserChanged,
    /// The account is unknown or its name is not one.
    UserUnknown,
    /// The policy requires verification, which this version cannot ask a key for.
    VerificationUnavailable,
}

/// What `pam_sm_authenticate` returns. Only [`Verdict::answer`] makes one that grants or exempts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Answer(i32);

impl Answer {
    /// `PAM_ABORT`, the answer to a caught panic and to a call that libpam would never make.
    pub const ABORT: Self = Self(26);

    /// The number as libpam knows it (`security/_pam_types.h`).
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl Verdict {
    /// The PAM code of this verdict for a module line used as `mode`: the one way to an [`Answer`], and it uses
    /// the verdict up.
    pub fn answer(self, mode: Mode) -> Answer {
        Answer(self.number(mode))
    }

    /// The same as a number, for the log. The one place that grants, and the one place that exempts: the value
    /// it needs is made by the verifier, or by the policy.
    #[must_use]
    pub const fn number(&self, mode: Mode) -> i32 {
        const PAM_SUCCESS: i32 = 0;
        const PAM_IGNORE: i32 = 25;
        match self {
            Self::Allow(_verified) => PAM_SUCCESS,
            Self::Skip(_exempt) => PAM_IGNORE,
            Self::Deny(reason) => reason.number(mode),
        }
    }
}

impl Reason {
    /// The PAM code of a denial. None of them lets anyone in under any control word.
    const fn number(self, mode: Mode) -> i32 {
        const SERVICE_ERR: i32 = 3;
        const SYSTEM_ERR: i32 = 4;
        const PERM_DENIED: i32 = 6;
        const AUTH_ERR: i32 = 7;
        const AUTHINFO_UNAVAIL: i32 = 9;
        const USER_UNKNOWN: i32 = 10;
        const CONV_ERR: i32 = 19;
        // "Not to be had": another way in may follow where the key is an alternative to the password.
        let unavailable = match mode {
            Mode::Alternative => AUTHINFO_UNAVAIL,
            Mode::SecondFactor => AUTH_ERR,
        };
        match self {
            Self::Config => SERVICE_ERR,
            Self::Conversation => CONV_ERR,
            Self::Fault(_) => SYSTEM_ERR,
            Self::UserUnknown => USER_UNKNOWN,
            Self::Declined | Self::NotEnrolled | Self::Rejected(_) | Self::UserChanged => AUTH_ERR,
            Self::KeyBusy
            | Self::KeyFailed
            | Self::KeyInaccessible
            | Self::NoKey
            | Self::NotRegistered
            | Self::Record
            | Self::TouchTimeout
            | Self::VerificationUnavailable => unavailable,
            Self::Remote => match mode {
                Mode::Alternative => AUTHINFO_UNAVAIL,
                Mode::SecondFactor => PERM_DENIED,
            },
        }
    }

    /// The word of the log line's `reason=`, and of the manual.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Conversation => "conversation",
            Self::Declined => "declined",
            Self::Fault(_) => "system",
            Self::KeyBusy => "key_busy",
            Self::KeyFailed => "key_failed",
            Self::KeyInaccessible => "key_inaccessible",
            Self::NoKey => "no_key",
            Self::NotEnrolled => "not_enrolled",
            Self::NotRegistered => "not_registered",
            Self::Record => "record",
            Self::Remote => "remote",
            Self::Rejected(rejected) => rejected.word(),
            Self::TouchTimeout => "touch_timeout",
            Self::UserChanged => "user_changed",
            Self::UserUnknown => "user_unknown",
            Self::VerificationUnavailable => "verification_unavailable",
        }
    }

    /// What the user is told, where it helps them and tells a stranger nothing.
    #[must_use]
    pub const fn text(self) -> Option<&'static str> {
        match self {
            Self::Declined | Self::UserUnknown | Self::Conversation | Self::UserChanged => None,
            Self::KeyBusy => Some("The security key is in use by another program."),
            Self::KeyFailed => Some("The security key did not work. Plug it in again, then retry."),
            Self::NoKey | Self::NotRegistered | Self::TouchTimeout => {
                Some("Timed out waiting for the security key.")
            }
            Self::NotEnrolled => Some("No security key is registered for this account."),
            Self::Remote => Some("Security key login is not allowed from a remote session."),
            Self::Rejected(_) => Some("The security key's answer was not accepted."),
            Self::Config
            | Self::Fault(_)
            | Self::KeyInaccessible
            | Self::Record
            | Self::VerificationUnavailable => {
                Some("Security key login is not available. Ask your administrator.")
            }
        }
    }

    /// The exit code of `fidokey` for this denial: 1 no; 3 no key, timed out; 5 configuration or records
    /// unreadable; 70 a bug or a failing system.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Config | Self::Record => 5,
            Self::Fault(_) => 70,
            Self::KeyBusy
            | Self::KeyFailed
            | Self::KeyInaccessible
            | Self::NoKey
            | Self::NotRegistered
            | Self::TouchTimeout => 3,
            Self::Conversation
            | Self::Declined
            | Self::NotEnrolled
            | Self::Rejected(_)
            | Self::Remote
            | Self::UserChanged
            | Self::UserUnknown
            | Self::VerificationUnavailable => 1,
        }
    }
}
