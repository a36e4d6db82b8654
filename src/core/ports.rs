//! The traits that the two ceremonies need from the world. Nothing here decides anything.
//!
//! [`Keys`] is the HID side, [`Machine`] the rest of the operating system, [`Host`] the program that
//! asked for the login (through PAM) or the terminal of the command.

use std::fmt;
use std::time::Duration;

use crate::credential::{AccountName, Uid};

/// One HID report of a FIDO key, without a report number (CTAP 2.1 section 11.2.4: 64 bytes for all keys
/// that this module talks to).
pub type Report = [u8; 64];

/// A point in time of the monotonic clock, which stands still while the machine sleeps.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Moment(Duration);

impl Moment {
    /// The moment that is `since_start` after the start of the clock.
    #[must_use]
    pub const fn new(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// The moment `span` later; the end of time when that cannot be told.
    #[must_use]
    pub const fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// How long the machine has slept, where it was started `since_boot` ago: that clock goes on then, and this one does
    /// not.
    #[must_use]
    pub const fn asleep(self, since_boot: Duration) -> Duration {
        since_boot.saturating_sub(self.0)
    }

    /// How long from here until `later`: zero when that has passed.
    #[must_use]
    pub const fn until(self, later: Self) -> Duration {
        later.0.saturating_sub(self.0)
    }
}

/// A system call, the source of randomness or the clock failed; always `PAM_SYSTEM_ERR`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    /// What was tried, in a word or two for the log, for example `getrandom`.
    pub call: &'static str,
    /// The error number of the system call, or 0 where there is none.
    pub errno: i32,
}

/// A key that is plugged in now. Another key in the same port is another one, though the system gives it the
/// same number: it is asked, whatever the one before it answered.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(pub u64);

/// What the system has of a key's device. All of it is what the device says of itself, and nothing is checked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Device {
    /// The names of its maker and of itself, in whatever bytes it gave, at most 255 of them; empty where it has none.
    pub product: Vec<u8>,
    /// Its numbers on the USB; `None` where it is no such device.
    pub usb: Option<Usb>,
}

/// The numbers of a USB device (USB 2.0 section 9.6.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Usb {
    /// The maker (idVendor).
    pub vendor: u16,
    /// The maker's number for the device (idProduct).
    pub product: u16,
    /// Its release, in binary-coded decimal (bcdDevice), where it is known.
    pub release: Option<u16>,
}

/// What ends a wait from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// Ctrl-C or Ctrl-\\ at the terminal: `SIGINT`, `SIGQUIT`.
    Interrupt,
    /// The program is told to end: `SIGTERM`, `SIGHUP`.
    Terminate,
}

/// What came out of waiting for the keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyEvent {
    /// The moment waited for has come.
    Elapsed,
    /// An open key was removed or broke; it is closed.
    Gone(KeyId),
    /// Something was plugged in or out: [`Keys::plugged`] may answer differently now.
    Hotplug,
    /// An open key sent a report, for us or for another program: every opener sees all of them.
    Report(KeyId, Report),
    /// Somebody wants this wait to end. It stays so, for the program to act on it in its own way, and is reported
    /// again at every wait until it is taken; after a few milliseconds, so that whoever has to wait a little more all
    /// the same neither misses another event nor works in vain.
    Signal(Signal),
}

/// Why a key that is plugged in could not be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpenError {
    /// Another program holds the lock on this key.
    Busy,
    /// Sysfs shows the key but the node cannot be opened: `errno`, for the log.
    Denied {
        /// The error number of `open`.
        errno: i32,
    },
    /// It was removed in between.
    Gone,
    /// The node is not a hidraw character device.
    NotAKey,
}

/// An open key was removed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gone;

/// What an open key has said while it was released.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Heard {
    /// Nothing: nobody has used it.
    Nothing,
    /// Something, to others.
    Others,
}

/// The security keys that are plugged into this machine.
pub trait Keys {
    /// Now, on the clock that the deadlines of [`Keys::wait`] are on.
    ///
    /// # Errors
    /// [`Fault`] when the clock cannot be read.
    fn now(&mut self) -> Result<Moment, Fault>;

    /// The FIDO keys that are plugged in, in a stable order; nothing is opened to find out.
    ///
    /// # Errors
    /// [`Fault`] when the list of devices cannot be read; an absent list is an empty one.
    fn plugged(&mut self) -> Result<Vec<KeyId>, Fault>;

    /// Whether the system shows its devices at all. Where it does not, it is of no use to wait for a key.
    fn are_visible(&self) -> bool {
        true
    }

    /// What the system has of the key's device, without a word to it. It names a key and decides nothing.
    fn device(&mut self, _key: KeyId) -> Device {
        Device::default()
    }

    /// Opens a key and takes the lock on it, without waiting.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing stays open then.
    fn open(&mut self, key: KeyId) -> Result<(), OpenError>;

    /// Sends one report to an open key. It waits for nothing but the bus: the kernel gives a key that takes no
    /// report 5 seconds, then the key is as good as gone.
    ///
    /// # Errors
    /// [`Gone`] when the key was removed, broke or is not open.
    fn send(&mut self, key: KeyId, report: &Report) -> Result<(), Gone>;

    /// Waits for the next event of any open key or of the hotplug watch, `until` at the latest.
    ///
    /// # Errors
    /// [`Fault`] when waiting itself fails. An interrupted wait goes on.
    fn wait(&mut self, until: Moment) -> Result<KeyEvent, Fault>;

    /// Lets others have `key`, which stays open, and the program its signals, while a person is asked something: nobody
    /// can tell how long that takes. To be followed by [`Keys::retake`], or by the end.
    fn release(&mut self, _key: KeyId) {}

    /// Takes back what [`Keys::release`] gave up, without waiting. What the key has sent meanwhile was for others and is
    /// thrown away; whether there was any, is the answer: every opener hears whatever a key says.
    ///
    /// # Errors
    /// [`OpenError::Busy`] while another program holds the key, [`OpenError::Gone`] when it was removed. The signals are
    /// taken back in any case.
    fn retake(&mut self, _key: KeyId) -> Result<Heard, OpenError> {
        Ok(Heard::Nothing)
    }

    /// Closes a key and so gives up its lock. Closing a key that is not open does nothing.
    fn close(&mut self, key: KeyId);

    /// What [`Keys::wait`] would report of signals now, whatever else there is. To be asked once more before a login
    /// is granted: a program that is let in with an interrupt pending dies of it in the midst of what comes next; sudo
    /// leaves the terminal raw.
    fn pending_signal(&mut self) -> Option<Signal> {
        None
    }

    /// Takes a pending [`Signal::Interrupt`] away, so that the program never sees it: what was interrupted was this
    /// wait, and the login goes on by other means.
    fn take_interrupt(&mut self) {}
}

/// An account as the name service knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// The user number, which names the record.
    pub uid: Uid,
    /// The name that the name service gives for that number, not the one that was typed.
    pub name: AccountName,
}

/// Values that make two challenges differ even when the random generator repeats itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hedge {
    /// Nanoseconds since boot, sleep included.
    pub boottime_ns: u64,
    /// The number of this process.
    pub pid: u32,
}

/// A file that cannot be trusted or cannot be read: never the same as an absent one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileError {
    /// The path, for the log.
    pub path: String,
    /// Why, in one word for the log: `symlink`, `mode`, `owner`, `too_large`, `empty`, `missing_directory`, …
    pub reason: &'static str,
    /// The error number, or 0 where there is none.
    pub errno: i32,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)?;
        if self.errno == 0 { Ok(()) } else { write!(f, " (error {})", self.errno) }
    }
}

/// A file of the administrator's that was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TextFile {
    /// The path, for the log and for the command's user.
    pub path: String,
    /// What is in it, at most 64 KiB, never empty.
    pub text: Vec<u8>,
}

/// The operating system without its keys: randomness, accounts, the files of the administrator.
pub trait Machine {
    /// Fills `buffer` from `getrandom(2)`, whole or not at all; there is no other source.
    ///
    /// # Errors
    /// [`Fault`] when the kernel does not fill all of it.
    fn fill_random(&mut self, buffer: &mut [u8]) -> Result<(), Fault>;

    /// What tells this moment in this process from any other.
    ///
    /// # Errors
    /// [`Fault`] when the clock cannot be read.
    fn hedge(&mut self) -> Result<Hedge, Fault>;

    /// The account of that name, or none.
    ///
    /// # Errors
    /// [`Fault`] when the name service fails, which is not the same as "no such account".
    fn account(&mut self, name: &AccountName) -> Result<Option<Account>, Fault>;

    /// The policy file, or `None` when there is none in a directory that may be trusted, or no such directory.
    ///
    /// # Errors
    /// [`FileError`] for anything else.
    fn config(&mut self) -> Result<Option<TextFile>, FileError>;

    /// The record of `uid`, or `None` when it is proven absent: `ENOENT` inside a directory that was opened and
    /// may be trusted, and nothing else.
    ///
    /// # Errors
    /// [`FileError`] for anything else, a missing directory and an empty file included.
    fn record(&mut self, uid: Uid) -> Result<Option<TextFile>, FileError>;

    /// The state of `uid`, or `None` when there is none yet. From here until [`Machine::release_state`] no other login
    /// of the account changes it; where that cannot be had, it is read all the same and writing it fails.
    ///
    /// # Errors
    /// [`FileError`]: none of it can be believed. The reason is [`NOT_ROOT`] where this process is not meant to.
    fn state(&mut self, uid: Uid) -> Result<Option<TextFile>, FileError>;

    /// The same for looking at it alone: other logins are not kept from it, and nothing is made.
    ///
    /// # Errors
    /// As [`Machine::state`].
    fn look_at_state(&mut self, uid: Uid) -> Result<Option<TextFile>, FileError>;

    /// Replaces the state that was read last, whole or not at all.
    ///
    /// # Errors
    /// [`FileError`]: the old one is there.
    fn write_state(&mut self, text: &str) -> Result<(), FileError>;

    /// Lets other logins of the account have its state. Nothing that can be held up from outside, a message to the
    /// user or a line in the log, is done before.
    fn release_state(&mut self);

    /// The time since the beginning of 1970 on the wall clock, where it can be told. It is shown and decides
    /// nothing: anything may have set it.
    fn since_1970(&mut self) -> Option<Duration>;
}

/// The reason of a [`FileError`] where a process without root's rights (a screen locker) would need the state,
/// which is root's alone.
pub const NOT_ROOT: &str = "not_root";

/// How bad a line in the log is (syslog's severities of those names, facility AUTHPRIV).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// Someone may be attacking.
    Alert,
    /// The administrator has to mend something.
    Error,
    /// A decision that granted or exempted.
    Info,
    /// A decision that denied.
    Notice,
    /// Something is off, the decision stands.
    Warning,
}

/// Who asked for the login, copied before anything is said to the user.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Origin {
    /// `PAM_SERVICE`, for example `sudo`.
    pub service: String,
    /// `PAM_TTY`, empty where the host sets none.
    pub tty: String,
    /// `PAM_RHOST`, empty for a local login. Bytes that are not UTF-8 are replaced, never dropped.
    pub rhost: String,
    /// `PAM_RUSER`, empty where the host sets none.
    pub ruser: String,
}

/// Why the host gave no user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UserError {
    /// The conversation that was to ask for the name failed.
    Conversation,
    /// The name is not UTF-8, or the host has none.
    Unknown,
}

/// The conversation is missing or failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConversationError;

/// The program that asked for the login: libpam's application, or the terminal of `fidokey`.
pub trait Host {
    /// The items of this login.
    fn origin(&mut self) -> Origin;

    /// The user to log in, asked for where the host has not said it (`pam_get_user`).
    ///
    /// # Errors
    /// See [`UserError`].
    fn user(&mut self) -> Result<String, UserError>;

    /// Whether the host still means that user: other code of the host ran while we talked to it.
    fn still_means(&mut self, user: &str) -> bool;

    /// Shows one line to the user, in one message (`PAM_TEXT_INFO`).
    ///
    /// # Errors
    /// [`ConversationError`] when there is no conversation or it did not take the message.
    fn show(&mut self, text: &str) -> Result<(), ConversationError>;

    /// Shows what is waited for from now on, a key or a touch, for `patience` at the most unless all of it ends before. A
    /// host that can count shows how long that still is; for others it is a line as any.
    ///
    /// # Errors
    /// As [`Host::show`].
    fn cue(&mut self, text: &str, _patience: Duration) -> Result<(), ConversationError> {
        self.show(text)
    }

    /// Asks the user for something that nobody is to see (`PAM_PROMPT_ECHO_OFF`) and lends `read` the answer, which is
    /// wiped then: empty, where the user gave none.
    ///
    /// # Errors
    /// [`ConversationError`] when there is no conversation or it was ended, as by Ctrl-C; `read` was not called.
    fn ask(&mut self, prompt: &str, read: &mut dyn FnMut(&[u8])) -> Result<(), ConversationError>;

    /// Whether the program asks for a name, anew for each try, as login does: what was true of the last try is
    /// nothing to the person who is there now.
    fn asks_for_names(&mut self) -> bool {
        false
    }

    /// What was kept under this name in this login's transaction: between the tries that a program like sudo makes.
    fn recall(&mut self, _name: &str) -> Option<String> {
        None
    }

    /// Keeps a text under this name until the transaction ends, where that is possible.
    fn keep(&mut self, _name: &str, _text: &str) {}

    /// Asks the host to hold back the failure a little (`pam_fail_delay`): somebody may be guessing.
    fn delay_failure(&mut self);

    /// Writes one line to the authentication log. It cannot fail in a way that matters to the login, and takes
    /// 100 ms at the most.
    fn log(&mut self, severity: Severity, line: &str);
}
