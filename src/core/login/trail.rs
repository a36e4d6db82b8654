//! What is noted on the way through a login for its one line in the log.

use super::due::Due;
use crate::audit::Line;
use crate::cause::Cause;
use crate::policy::Mode;
use crate::ports::{Origin, Severity};
use crate::verdict::{Answer, Reason, Verdict};

/// What the log line says besides the verdict.
#[derive(Debug)]
pub(super) struct Trail {
    /// The name that was typed; empty while it is no account's.
    pub(super) user: String,
    /// Its number.
    pub(super) uid: Option<u32>,
    /// The name of the key that signed, and what its credential is called in logs.
    pub(super) key: Option<(String, [u8; 4])>,
    /// A key was asked for, and the account has no other one: who loses it is locked out.
    pub(super) only_key: bool,
    /// What the user is to be told of changes to the account's keys.
    pub(super) due: Option<Due>,
    /// What somebody has to mend.
    pub(super) cause: Option<Cause>,
    /// The counter that was signed did not rise.
    pub(super) counter_went_back: bool,
    /// The key's CBOR was in canonical form.
    pub(super) canonical: bool,
    state: Option<StateNote>,
}

impl Default for Trail {
    fn default() -> Self {
        Self {
            user: String::new(),
            uid: None,
            key: None,
            only_key: false,
            due: None,
            cause: None,
            counter_went_back: false,
            canonical: true,
            state: None,
        }
    }
}

/// What there is to say of the account's state. None of it changes a verdict.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum StateNote {
    /// It cannot be written, because of a limit that the caller has set.
    Limited,
    /// It is no state; another one was written.
    Malformed,
    /// There was none; it was written.
    New,
    /// This process is not meant to read it: a screen locker.
    NotRoot,
    /// It was left by another account of this number; another one was written.
    OtherAccount,
    /// Others could have written it; it was left alone.
    Unsafe,
    /// It cannot be written, or not even read.
    Unwritten,
}

impl StateNote {
    const fn word(self) -> &'static str {
        match self {
            Self::Limited => "limited",
            Self::Malformed => "malformed",
            Self::New => "new",
            Self::NotRoot => "not_root",
            Self::OtherAccount => "other_account",
            Self::Unsafe => "unsafe",
            Self::Unwritten => "unwritten",
        }
    }

    /// How bad that is on top of a login that was let in or is exempt.
    const fn severity(self) -> Severity {
        match self {
            Self::New | Self::NotRoot => Severity::Info,
            Self::Malformed | Self::OtherAccount | Self::Unwritten => Severity::Warning,
            Self::Limited | Self::Unsafe => Severity::Alert,
        }
    }
}

impl Trail {
    /// Notes what there is to say of the state. What was found when it was read stays, whatever writing adds.
    pub(super) fn state(&mut self, note: StateNote, cause: Option<Cause>) {
        if self.state.is_none() || matches!(note, StateNote::Limited | StateNote::Unwritten) {
            self.state = Some(note);
            self.cause = cause;
        }
    }

    /// The line, and how bad it is.
    pub(super) fn line(&self, origin: &Origin, verdict: &Verdict, mode: Mode) -> (Severity, Line) {
        let (severity, result, reason) = match verdict {
            Verdict::Allow(_) => (self.severity_of_grant(), "granted", "verified"),
            Verdict::Deny(reason) => (severity(*reason), "denied", reason.word()),
            Verdict::Skip(exempt) => (self.severity_of_grant(), "exempt", exempt.word()),
        };
        let mut line = Line::default();
        line.field("result", result)
            .field("code", &verdict.number(mode).to_string())
            .field("reason", reason)
            .field("user", &self.user)
            .field("uid", &self.uid.map(|uid| uid.to_string()).unwrap_or_default())
            .field("ruser", &origin.ruser)
            .field("rhost", &origin.rhost)
            .field("tty", &origin.tty)
            .field("service", &origin.service);
        if let Some((name, [a, b, c, d])) = &self.key {
            line.field("cred", &format!("{a:02x}{b:02x}{c:02x}{d:02x}")).field("key", name);
        }
        if self.only_key {
            line.field("keys", "1");
        }
        if self.counter_went_back {
            line.field("counter", "went_back");
        }
        if let Verdict::Deny(Reason::Fault(fault)) = verdict {
            line.field("call", fault.call).field("errno", &fault.errno.to_string());
        }
        if let Some(note) = self.state {
            line.field("state", note.word());
        }
        if let Some(cause) = &self.cause {
            cause.log(&mut line);
        } else if let Verdict::Deny(Reason::KeyFailed(error)) = verdict {
            line.sentence("detail", &format!("the key {error}"));
        } else if !self.canonical {
            line.sentence("detail", "the key's CBOR is not canonical");
        }
        (severity, line)
    }

    fn severity_of_grant(&self) -> Severity {
        if self.counter_went_back {
            return Severity::Alert;
        }
        self.state.map_or(Severity::Info, StateNote::severity)
    }
}

/// The line of a login that ended by a bug of ours, which nothing else is known of.
pub fn aborted(origin: &Origin) -> Line {
    let mut line = Line::default();
    line.field("result", "denied")
        .field("code", &Answer::ABORT.number().to_string())
        .field("reason", "bug")
        .field("user", "")
        .field("uid", "")
        .field("ruser", &origin.ruser)
        .field("rhost", &origin.rhost)
        .field("tty", &origin.tty)
        .field("service", &origin.service);
    line
}

fn severity(reason: Reason) -> Severity {
    match reason {
        Reason::CounterRegression | Reason::Rejected(_) | Reason::UserChanged => Severity::Alert,
        Reason::Config | Reason::Fault(_) | Reason::KeyInaccessible | Reason::Record => {
            Severity::Error
        }
        _ => Severity::Notice,
    }
}
