//! Handing a message to the mail system of this machine, which is the program `sendmail`, and not waiting for it for long.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use fidokey_core::ports::{FileError, Moment};
use fidokey_system::child::hearing;
use fidokey_system::clock;
use fidokey_system::files::Places;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::terminal::printable;

/// Where the program is (Filesystem Hierarchy Standard 3.0 section 4.5.1, and where it was before). Never by `PATH`.
const PROGRAMS: [&str; 2] = ["/usr/sbin/sendmail", "/usr/lib/sendmail"];
/// How long it may take, from its start. Those that put a mail into a queue take some milliseconds; some deliver it first.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a killed one may take to be gone: what waits for a file server that is away is not gone before that is back.
const DYING: Duration = Duration::from_millis(200);
/// How often it is looked whether it has ended.
const STEP: Duration = Duration::from_millis(5);

/// The mail system of a machine.
#[derive(Debug)]
pub(super) struct MailSystem {
    places: Places,
    patience: Duration,
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Sending {
    child: Child,
    until: Moment,
    patience: Duration,
    /// Whether all of the message was taken, into a pipe at least.
    taken: bool,
}

/// Why a mail may not arrive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum NotSent {
    /// There is no such program.
    Absent,
    /// It ended with something else than success.
    Failed(ExitStatus),
    /// It did not end in time, and was killed.
    Hung(Duration),
    /// It cannot be used, as it is not root's alone, for example.
    Refused(FileError),
    /// The account's name is not one that a mail can be sent to.
    Unaddressed,
    /// It could not be started; the number is errno's.
    Unstarted(i32),
    /// It ended well, and did not read the message.
    Unread,
}

impl MailSystem {
    /// That of this machine.
    pub(super) fn of_this_machine() -> Self {
        Self { places: Places::system(), patience: PATIENCE }
    }

    /// Starts the program with `message`, one page at the most, to `address`, which does not begin with `-`.
    ///
    /// # Errors
    /// [`NotSent`].
    pub(super) fn send(&self, address: &str, message: &str) -> Result<Sending, NotSent> {
        let until = after(self.patience);
        for usual in PROGRAMS {
            let found = self.places.program(Path::new(usual)).map_err(NotSent::Refused)?;
            let Some(program) = found else { continue };
            let mut child = start(&program, usual, address)
                .map_err(|error| NotSent::Unstarted(error.raw_os_error().unwrap_or_default()))?;
            // A pipe holds a page, whether it is read or not: this does not block. Dropped, it is at its end.
            let taken = child
                .stdin
                .take()
                .is_some_and(|mut pipe| pipe.write_all(message.as_bytes()).is_ok());
            return Ok(Sending { child, until, patience: self.patience, taken });
        }
        Err(NotSent::Absent)
    }
}

/// Starts `program` under its usual name: some are several programs in one.
fn start(program: &Path, usual: &str, address: &str) -> io::Result<Child> {
    #[expect(clippy::disallowed_methods, reason = "the command is nobody's login")]
    let mut command = Command::new(program);
    command.arg0(usual);
    // -i: a line with a dot alone does not end the message. The recipient is said here and not, with -t, by the headers: what
    // stands in those adds nobody. Behind -- no name is an option.
    command.args(["-i", "--", address]);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    command.current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C at the terminal is not for it, and all that it starts can be ended at once.
    command.process_group(0);
    // What this process has blocked meanwhile is not for it either: a mail system has alarms, and children.
    hearing(&mut command).spawn()
}

impl Sending {
    /// Waits for its end, as long as there is time.
    ///
    /// # Errors
    /// [`NotSent`].
    pub(super) fn wait(mut self) -> Result<(), NotSent> {
        let status = match self.end(self.until) {
            Some(status) => status,
            None => {
                self.kill();
                return Err(NotSent::Hung(self.patience));
            }
        };
        match status.success() {
            true if self.taken => Ok(()),
            true => Err(NotSent::Unread),
            false => Err(NotSent::Failed(status)),
        }
    }

    /// How it ended, where it has by then.
    fn end(&mut self, until: Moment) -> Option<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait().ok()? {
                return Some(status);
            }
            if clock::now().ok()?.until(until).is_zero() {
                return None;
            }
            #[expect(clippy::disallowed_methods, reason = "std waits for a child for ever")]
            thread::sleep(STEP);
        }
    }

    /// Ends it with all that it has started, as far as that is still in its group. It has not been waited for: its number is
    /// nobody else's.
    fn kill(&mut self) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.end(after(DYING));
    }
}

/// The moment `span` from now. Where the clock cannot be read there is no time.
fn after(span: Duration) -> Moment {
    clock::now().map_or(Moment::new(Duration::ZERO), |now| now.after(span))
}

impl NotSent {
    /// Whether the next one would not be sent either.
    pub(super) const fn is_lasting(&self) -> bool {
        !matches!(self, Self::Failed(_) | Self::Unaddressed | Self::Unread)
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("this machine has no sendmail"),
            Self::Failed(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "sendmail ended with status {code}"),
                (None, signal) => {
                    write!(f, "sendmail was killed (signal {})", signal.unwrap_or_default())
                }
            },
            Self::Hung(patience) => {
                write!(f, "the mail system did not answer within {patience:?}")
            }
            Self::Refused(FileError { path, reason: "owner" | "mode", .. }) => {
                write!(f, "{} could be changed by others than root", printable(path))
            }
            Self::Refused(FileError { path, reason, errno }) => {
                write!(f, "{} cannot be used ({reason}, error {errno})", printable(path))
            }
            Self::Unaddressed => f.write_str("that is not a name that local mail can go to"),
            Self::Unstarted(errno) => write!(f, "sendmail could not be started (error {errno})"),
            Self::Unread => f.write_str("sendmail did not read it"),
        }
    }
}

#[cfg(test)]
#[path = "sendmail/tests.rs"]
mod tests;
