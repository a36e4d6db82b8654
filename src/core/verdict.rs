//! What a login comes to, and the one table of what is answered for it.

use std::borrow::Cow;

use crate::assertion::{Rejected, Verified};
use crate::ctap::client::KeyError;
use crate::policy::{Exempt, Mode};
use crate::ports::{Fault, Signal};

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
    /// The signature counter did not rise above that of an earlier login.
    CounterRegression,
    /// The key asked the user and the user declined there.
    Declined,
    /// A system call, the randomness or the clock failed.
    Fault(Fault),
    /// The user typed Ctrl-C while a key was waited for.
    Interrupted,
    /// Another program held the key for longer than we wait.
    KeyBusy,
    /// The key broke the protocol, answered nothing or an error that ends its use.
    KeyFailed(KeyError),
    /// Keys are plugged in and none can be opened.
    KeyInaccessible,
    /// No key was plugged in in time.
    NoKey,
    /// The account has no record and the policy wants one.
    NotEnrolled,
    /// Every key that was plugged in is another account's, and no other came in time.
    NotRegistered,
    /// No try of the PIN is left.
    PinBlocked,
    /// The key wants another PIN before it does anything.
    PinChangeRequired,
    /// Nothing was typed where the PIN was asked for.
    PinDeclined,
    /// So few tries of the PIN are left that it is not asked for.
    PinGuarded,
    /// The key takes no PIN until it is plugged in anew.
    PinReplug,
    /// What was typed is no PIN.
    PinUnfit,
    /// The wrong PIN; so many tries are left, where the key says so.
    PinWrong(Option<u8>),
    /// The record is unreadable, unsafe, malformed or another account's.
    Record,
    /// The key that signed was removed from the record, or has to prove more, since the record was read.
    RecordChanged,
    /// The login comes from another machine and the policy refuses that.
    Remote,
    /// The assertion did not pass a check.
    Rejected(Rejected),
    /// The program was told to end while a key was waited for.
    Terminated,
    /// Nobody touched the key in time.
    TouchTimeout,
    /// The host changed its mind about the user while we waited.
    UserChanged,
    /// The account is unknown or its name is not one.
    UserUnknown,
    /// The key's own verification did not recognise its user, and there is no PIN.
    VerificationFailed,
    /// Verification is required, and no key of the account can give it.
    VerificationUnavailable,
}

impl From<Signal> for Reason {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::Interrupted,
            Signal::Terminate => Self::Terminated,
        }
    }
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

/// All that is answered for a denial: a line of the table in pam_fidokey(8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Row {
    /// The word of the log line's `reason=`.
    pub word: &'static str,
    /// The PAM codes, of a second factor and of an alternative. None lets anybody in under any control word.
    pub codes: (i32, i32),
    /// The exit code of `fidokey`: 1 no; 3 no key, timed out; 5 configuration or records unreadable; 70 a bug or
    /// a failing system.
    pub exit_code: u8,
    /// What the user is told, where it helps them and tells a stranger nothing.
    pub text: Option<&'static str>,
    /// When it is the answer, for the manual.
    pub when: &'static str,
}

const SERVICE_ERR: (i32, i32) = (3, 3);
const SYSTEM_ERR: (i32, i32) = (4, 4);
const AUTH_ERR: (i32, i32) = (7, 7);
const USER_UNKNOWN: (i32, i32) = (10, 10);
const CONV_ERR: (i32, i32) = (19, 19);
/// Every program stops at it; after `PAM_AUTH_ERR`, sudo asks again.
const ABORT: (i32, i32) = (26, 26);
/// "Not to be had", `PAM_AUTHINFO_UNAVAIL`: the password may follow where the key is an alternative to it.
const UNAVAILABLE: (i32, i32) = (7, 9);
/// The same where it is the rule that refuses, `PAM_PERM_DENIED`.
const FORBIDDEN: (i32, i32) = (6, 9);

const ASK_ADMINISTRATOR: Option<&str> =
    Some("Security key login is not available. Ask your administrator.");
const NOT_ACCEPTED: Option<&str> = Some("The security key's answer was not accepted.");
const TIMED_OUT: Option<&str> = Some("Timed out waiting for the security key.");

impl Reason {
    /// The whole table.
    #[must_use]
    pub const fn row(self) -> Row {
        let (word, codes, exit_code, text, when) = match self {
            Self::Config => (
                "config",
                SERVICE_ERR,
                5,
                ASK_ADMINISTRATOR,
                "An argument or the policy file is unknown, wrong or unsafe, or mode is said nowhere.",
            ),
            Self::Conversation => {
                ("conversation", CONV_ERR, 1, None, "The conversation is missing or fails.")
            }
            Self::CounterRegression => (
                "counter_regression",
                AUTH_ERR,
                1,
                NOT_ACCEPTED,
                "The signature counter went back: there may be a copy of the key.",
            ),
            Self::Declined => ("declined", AUTH_ERR, 1, None, "The user declined on the key."),
            Self::Fault(_) => (
                "system",
                SYSTEM_ERR,
                70,
                ASK_ADMINISTRATOR,
                "A system call, the clock or the randomness fails.",
            ),
            Self::Interrupted => {
                ("interrupted", UNAVAILABLE, 3, None, "Ctrl-C, while a key was waited for.")
            }
            Self::KeyBusy => (
                "key_busy",
                UNAVAILABLE,
                3,
                Some("The security key is in use by another program."),
                "Another program holds the key.",
            ),
            Self::KeyFailed(_) => (
                "key_failed",
                UNAVAILABLE,
                3,
                Some("The security key did not work. Plug it in again, then retry."),
                "The key breaks the protocol, is silent or answers an error.",
            ),
            Self::KeyInaccessible => (
                "key_inaccessible",
                UNAVAILABLE,
                3,
                ASK_ADMINISTRATOR,
                "A key is plugged in and its device cannot be opened, or the system shows no devices.",
            ),
            Self::NoKey => ("no_key", UNAVAILABLE, 3, TIMED_OUT, "No key was plugged in in time."),
            Self::NotEnrolled => (
                "not_enrolled",
                AUTH_ERR,
                1,
                Some("No security key is registered for this account."),
                "The account has no record, and unenrolled is deny.",
            ),
            Self::NotRegistered => (
                "not_registered",
                UNAVAILABLE,
                3,
                TIMED_OUT,
                "Only keys of other accounts were plugged in in time.",
            ),
            Self::PinBlocked => (
                "pin_blocked",
                UNAVAILABLE,
                1,
                Some("The PIN on this key is blocked."),
                "The key takes no PIN any more, until it is reset.",
            ),
            Self::PinChangeRequired => (
                "pin_change_required",
                UNAVAILABLE,
                1,
                Some("The PIN on this key must be changed first."),
                "The key wants another PIN before it does anything.",
            ),
            Self::PinDeclined => (
                "pin_declined",
                UNAVAILABLE,
                3,
                None,
                "Nothing was typed where the PIN was asked for. No try was spent.",
            ),
            Self::PinGuarded => (
                "pin_guarded",
                UNAVAILABLE,
                1,
                None,
                "No more tries are left than pin_guard says. None was spent.",
            ),
            Self::PinReplug => (
                "pin_replug",
                UNAVAILABLE,
                1,
                Some("Unplug the key, plug it in again, then retry."),
                "The key takes no PIN until it is plugged in anew, after several wrong ones.",
            ),
            Self::PinUnfit => (
                "pin_unfit",
                AUTH_ERR,
                1,
                Some("That was not a PIN."),
                "What was typed is no PIN. No try was spent.",
            ),
            Self::PinWrong(_) => (
                "pin_wrong",
                AUTH_ERR,
                1,
                Some("Wrong PIN."),
                "The PIN was wrong. One try was spent; the user is told how many are left.",
            ),
            Self::Record => (
                "record",
                UNAVAILABLE,
                5,
                ASK_ADMINISTRATOR,
                "The record is unreadable, unsafe, malformed or of another account.",
            ),
            Self::RecordChanged => (
                "record_changed",
                AUTH_ERR,
                1,
                NOT_ACCEPTED,
                "The key was removed, or has to prove more, since the login began.",
            ),
            Self::Rejected(rejected) => (
                rejected.word(),
                AUTH_ERR,
                1,
                NOT_ACCEPTED,
                "What the key signed does not pass the check of that name.",
            ),
            Self::Remote => (
                "remote",
                FORBIDDEN,
                1,
                Some("Security key login is not allowed from a remote session."),
                "The login is remote, and remote is deny.",
            ),
            Self::Terminated => (
                "terminated",
                ABORT,
                3,
                None,
                "The program was told to end while a key was waited for.",
            ),
            Self::TouchTimeout => {
                ("touch_timeout", UNAVAILABLE, 3, TIMED_OUT, "Nobody touched the key in time.")
            }
            Self::UserChanged => (
                "user_changed",
                AUTH_ERR,
                1,
                None,
                "The program asks for another user than at the beginning.",
            ),
            Self::UserUnknown => {
                ("user_unknown", USER_UNKNOWN, 1, None, "There is no such account.")
            }
            Self::VerificationFailed => (
                "verification_failed",
                AUTH_ERR,
                1,
                None,
                "The key's reader did not recognise the user, and the key has no PIN.",
            ),
            Self::VerificationUnavailable => (
                "verification_unavailable",
                UNAVAILABLE,
                1,
                Some("A security key with a PIN is required."),
                "PIN or fingerprint is required, and no key of the account has either.",
            ),
        };
        Row { word, codes, exit_code, text, when }
    }

    /// The PAM code.
    const fn number(self, mode: Mode) -> i32 {
        let (second_factor, alternative) = self.row().codes;
        match mode {
            Mode::Alternative => alternative,
            Mode::SecondFactor => second_factor,
        }
    }

    /// Whether somebody may be trying things out: then, and only then, the failure is held back a little.
    #[must_use]
    pub const fn may_be_a_guess(self) -> bool {
        matches!(self, Self::CounterRegression | Self::PinWrong(_) | Self::Rejected(_))
    }

    /// [`Row::word`].
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.row().word
    }

    /// What the user is told: [`Row::text`], with the number of tries that are left of a PIN.
    #[must_use]
    pub fn text(self) -> Option<Cow<'static, str>> {
        match (self, self.row().text) {
            (Self::PinWrong(Some(1)), _) => Some("Wrong PIN. 1 attempt left on this key.".into()),
            (Self::PinWrong(Some(left)), _) => {
                Some(format!("Wrong PIN. {left} attempts left on this key.").into())
            }
            (_, text) => text.map(Cow::Borrowed),
        }
    }

    /// [`Row::exit_code`].
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        self.row().exit_code
    }
}
