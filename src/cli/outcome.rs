//! How the command ends: an exit code, or a failure of two lines, what happened and what to do.

use std::panic::Location;
use std::process::ExitCode;

use fidokey_core::enroll::EnrollError;
use fidokey_core::management::ManagementError;
use fidokey_core::ports::{Fault, FileError};
use fidokey_system::records::WriteError;

use crate::terminal::{self, Stream, Style, styled};

/// `EROFS` of errno(3), which is told by its own sentence.
const EROFS: i32 = 30;

/// What a verb comes to.
pub(crate) type Outcome = Result<Exit, Failure>;

/// The exit codes, as the manual has them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// A bug here, or the system is failing.
    Bug,
    /// Yes, or done.
    Done,
    /// No.
    No,
    /// No key, not touched in time, or cancelled.
    NoKey,
    /// Not permitted.
    NotPermitted,
    /// Configuration or records cannot be read.
    Unreadable,
    /// The command line is wrong.
    Usage,
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::NoKey => 3,
            Self::NotPermitted => 4,
            Self::Unreadable => 5,
            Self::Bug => 70,
        }
    }

    /// The word for it in the log.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Bug => "fault",
            Self::Done => "done",
            Self::No => "no",
            Self::NoKey => "no_key",
            Self::NotPermitted => "not_permitted",
            Self::Unreadable => "unreadable",
            Self::Usage => "usage",
        }
    }

    /// The exit of that number; a number that is none is a bug.
    pub(crate) fn of_code(code: u8) -> Self {
        [Self::Done, Self::No, Self::Usage, Self::NoKey, Self::NotPermitted, Self::Unreadable]
            .into_iter()
            .find(|exit| exit.code() == code)
            .unwrap_or(Self::Bug)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why a verb was not done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    exit: Exit,
    happened: String,
    remedy: String,
    /// What was to be done is done, and only what was to be said of it is not.
    is_done: bool,
}

impl Failure {
    /// `happened` and `remedy` are a line each; what comes from outside may stand in them as it is.
    pub(crate) fn new(exit: Exit, happened: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit, happened: happened.into(), remedy: remedy.into(), is_done: false }
    }

    /// The same where what was to be done is done.
    pub(crate) fn though_done(self) -> Self {
        Self { is_done: true, ..self }
    }

    /// Whether what was to be done is done.
    pub(crate) const fn is_done(&self) -> bool {
        self.is_done
    }

    /// What happened, in a line; what comes from outside may stand in it as it is.
    pub(crate) fn happened(&self) -> &str {
        &self.happened
    }

    /// How the command ends.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// Says it in two lines.
    pub(crate) fn say(&self) -> Exit {
        let happened = terminal::printable(&self.happened);
        terminal::say(&styled(Stream::Err, Style::Bold, &happened));
        terminal::say(&terminal::printable(&self.remedy));
        self.exit
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let happened = format!("{} failed (error {}).", fault.call, fault.errno);
        Self::new(Exit::Bug, happened, "See the system's log; this should not happen.")
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let (wrong, remedy) = match error.reason {
            // Root's alone, and not where records are.
            "missing_directory" if error.path.contains("/var/lib/fidokey") => (
                "the directory is missing",
                "Make it as root: `install -d -m 0700 /var/lib/fidokey /var/lib/fidokey-stacks`.",
            ),
            _ if error.errno == EROFS => (
                "the file system is mounted read-only",
                "Mount it for writing: `mount -o remount,rw /`, then run the command again.",
            ),
            "missing_directory" => (
                "the directory is missing",
                "Make it as root: `install -d -m 0755 /etc/fidokey/users`, or run `make install`.",
            ),
            "owner" => {
                ("it is not root's", "See that nobody has tampered with it, then give it to root.")
            }
            "mode" => (
                "others may write to it",
                "See that nobody has, then take it from them: `chmod go-w`.",
            ),
            "permission" => ("permission denied", "Run the command as root."),
            "symlink" => ("it is a symbolic link", "Put what it leads to in its place."),
            "hard_link" => ("it has another name as well", "Replace it by a copy of itself."),
            "empty" => ("it is empty", "Restore the file, or remove it."),
            other => (other, "See to it as root, then run the command again."),
        };
        let happened = match error.errno {
            0 => format!("{}: {wrong}.", error.path),
            errno => format!("{}: {wrong} (error {errno}).", error.path),
        };
        Self::new(Exit::Unreadable, happened, remedy)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Fault(fault) => fault.into(),
            WriteError::File(file) => {
                let failure = Self::from(file);
                Self { happened: format!("Nothing was written: {}", failure.happened), ..failure }
            }
            WriteError::Locked(None) => Self::new(
                Exit::NoKey,
                "Nothing was written: another registration is under way.",
                "Run the command again when that one is done.",
            ),
            // One that was stopped is never done.
            WriteError::Locked(Some(holder)) => Self::new(
                Exit::NoKey,
                format!(
                    "Nothing was written: another registration is under way, held by process {holder}."
                ),
                format!(
                    "Run the command again when that one is done; root sees with `ps {holder}` whether it is stopped, and can kill it."
                ),
            ),
            WriteError::Misfit(misfit) => Self::new(
                Exit::Bug,
                format!("Nothing was written, for it would not be read again: {misfit}."),
                "Please report it: this should not happen.",
            ),
        }
    }
}

impl From<EnrollError> for Failure {
    fn from(error: EnrollError) -> Self {
        let exit = match error {
            EnrollError::Fault(_) => Exit::Bug,
            EnrollError::Cancelled
            | EnrollError::KeyBusy
            | EnrollError::KeyFailed(_)
            | EnrollError::KeyInaccessible(_)
            | EnrollError::NoKey
            | EnrollError::PinDeclined
            | EnrollError::TouchTimeout => Exit::NoKey,
            EnrollError::AlreadyRegistered
            | EnrollError::Conversation
            | EnrollError::Declined
            | EnrollError::Full
            | EnrollError::NameTaken
            | EnrollError::NotAdmitted(_)
            | EnrollError::PinBlocked
            | EnrollError::PinChangeRequired
            | EnrollError::PinGuarded(_)
            | EnrollError::PinNotSet
            | EnrollError::PinReplug
            | EnrollError::PinUnfit
            | EnrollError::PinWrong(_)
            | EnrollError::SeveralKeys
            | EnrollError::Unfit(_)
            | EnrollError::Unproven(_)
            | EnrollError::Unsupported
            | EnrollError::Unverifying => Exit::No,
        };
        Self::new(exit, error.to_string(), error.remedy())
    }
}

impl From<ManagementError> for Failure {
    fn from(error: ManagementError) -> Self {
        let exit = match error {
            ManagementError::Common(common) => Self::from(common).exit,
            ManagementError::NotReplugged | ManagementError::ResetDenied => Exit::NoKey,
            ManagementError::NoFeature(_)
            | ManagementError::OtherKey
            | ManagementError::PinAlreadySet
            | ManagementError::PinImpossible
            | ManagementError::PinRefused
            | ManagementError::PinTooShort(_)
            | ManagementError::PinsDiffer
            | ManagementError::ResetImpossible
            | ManagementError::ResetLate => Exit::No,
        };
        Self::new(exit, error.to_string(), error.remedy())
    }
}

/// Says that there is a bug. The values that the panic carries are not shown.
pub(crate) fn bug(place: Option<&Location<'_>>) {
    let place = place.map_or_else(String::new, |place| format!(" ({place})"));
    terminal::say(&format!("A bug in fidokey stopped it{place}."));
    terminal::say("Please report it with this line and what you did.");
}

#[cfg(test)]
mod tests {
    use super::*;

    // Self-service: what is done is in no refusal's line.
    #[test]
    fn given_what_is_done_and_cannot_be_said_then_it_ends_as_any_failure_and_is_done() {
        let failure = Failure::new(Exit::Bug, "The standard output cannot be written.", "");
        assert!(!failure.is_done());
        let done = failure.though_done();
        assert!(done.is_done());
        assert_eq!(done.exit(), Exit::Bug);
    }

    fn told(path: &str, reason: &'static str, errno: i32) -> String {
        Failure::from(FileError { path: path.to_owned(), reason, errno }).remedy
    }

    #[test]
    fn given_a_file_that_cannot_be_used_then_the_remedy_is_for_that_very_place() {
        assert!(told("/etc/fidokey/users", "missing_directory", 2).contains("/etc/fidokey/users"));
        for place in ["/var/lib/fidokey", "/var/lib/fidokey-stacks"] {
            assert!(told(place, "missing_directory", 2).contains("-m 0700"));
        }
        assert!(told("/etc/pam.d/sudo", "unreadable", EROFS).contains("remount,rw"));
    }
}
