//! The command's end of its child process: it has so much time and may say so much, and is gone afterwards. DESIGN.md
//! says why there is one.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fidokey_core::ctap::client::KeyError;
use fidokey_core::ctap::ctap2::Status;
use fidokey_core::ctap::frame::{Channel, command, reports};
use fidokey_core::ctap::session::CallError;
use fidokey_core::enroll::EnrollError;
use fidokey_core::management::Unlocked;
use fidokey_core::ports::{KeyId, Keys, OpenError};
use fidokey_system::clock;
use zeroize::Zeroizing;

use super::Keyring;
use super::message::{LINE_MAX, Reply, Request, Task};
use crate::outcome::Failure;

/// How often it is looked whether somebody wants this to end.
const SLICE: Duration = Duration::from_millis(50);
/// The most that a child may say, in bytes.
const SAID_MAX: usize = 1 << 20;
/// How long to wait for what the key still says after it was cancelled.
const DRAIN: Duration = Duration::from_millis(300);

/// How long a child has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Limits {
    /// Until it says something, and again.
    pub(super) silence: Duration,
    /// For all of it.
    pub(super) total: Duration,
}

impl Limits {
    /// For what waits for nobody.
    pub(super) const QUIET: Self =
        Self { silence: Duration::from_secs(20), total: Duration::from_secs(60) };
    /// For what waits for a finger again and again.
    pub(super) const FINGERS: Self =
        Self { silence: Duration::from_secs(40), total: Duration::from_secs(300) };
}

/// Why a child did not do what it was to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Broken {
    /// Somebody wants this to end.
    Cancelled,
    /// It has ended, said that it failed, or said something that is none of its words.
    Failed,
    /// It could not be started.
    NotStarted,
    /// The key refused with this status.
    Refused(u8),
    /// It took too long.
    Silent,
}

/// Has a child do `task` with a key that was unlocked; `each` hears what it has to tell. Nobody else has the key meanwhile.
///
/// # Errors
/// Why it was not done: the status of a key that refused, where the caller has to say what that means, or a failure.
pub(super) fn perform(
    unlocked: &Unlocked,
    keys: &mut Keyring,
    task: Task,
    limits: Limits,
    each: &mut dyn FnMut(Reply),
) -> Result<(), Result<u8, Failure>> {
    let Unlocked { key, pin, preview, protocol } = unlocked;
    // Signals are heard from here on.
    if !keys.plugged().map_err(|fault| Err(fault.into()))?.contains(key) {
        return Err(Err(EnrollError::NoKey.into()));
    }
    // The lock and what the kernel says of the key are this process's; the child has a descriptor of its own.
    keys.open(*key).map_err(|error| Err(unopened(error).into()))?;
    let request = Request {
        path: keys.keys().path(*key).display().to_string(),
        pin: Zeroizing::new(String::from_utf8_lossy(pin.bytes()).into_owned()),
        preview: *preview,
        protocol: protocol.number(),
        task,
    };
    let mut channel = None;
    let done = run(
        worker(),
        &request.line(),
        limits,
        &mut || keys.pending_signal().is_some(),
        &mut |reply| match reply {
            Reply::Channel(opened) => channel = Some(opened),
            other => each(other),
        },
    );
    if matches!(done, Err(Broken::Cancelled | Broken::Failed | Broken::Silent)) {
        cancel(keys, *key, channel);
    }
    let there = keys.plugged().map_or(true, |plugged| plugged.contains(key));
    keys.close(*key);
    let failed = |error: EnrollError| Err(Err(error.into()));
    match done {
        Ok(()) => Ok(()),
        Err(Broken::Refused(status)) => Err(Ok(status)),
        Err(Broken::Cancelled) => failed(EnrollError::Cancelled),
        Err(Broken::Failed | Broken::Silent) if !there => failed(EnrollError::NoKey),
        Err(Broken::Failed) => failed(EnrollError::KeyFailed(KeyError::Malformed)),
        Err(Broken::Silent) => failed(EnrollError::KeyFailed(CallError::Silent.into())),
        Err(Broken::NotStarted) => {
            failed(EnrollError::Fault(fidokey_core::ports::Fault { call: "execve", errno: 0 }))
        }
    }
}

/// What a key's refusal means where it has no other meaning.
pub(super) fn refused(status: u8) -> Failure {
    EnrollError::from(KeyError::Status(Status(status))).into()
}

/// It said something that does not answer what it was asked.
pub(super) fn odd_answer() -> Failure {
    EnrollError::KeyFailed(KeyError::Malformed).into()
}

fn unopened(error: OpenError) -> EnrollError {
    match error {
        OpenError::Busy => EnrollError::KeyBusy,
        OpenError::Denied { errno } => EnrollError::KeyInaccessible(errno),
        OpenError::Gone | OpenError::NotAKey => EnrollError::NoKey,
    }
}

/// Has the key stop what the child has begun, so that it does not blink on; what it still says is heard out.
fn cancel(keys: &mut Keyring, key: KeyId, channel: Option<[u8; 4]>) {
    let Some(channel) = channel else { return };
    let sent = reports(Channel(channel), command::CANCEL, &[]).unwrap_or_default();
    let sent = sent.iter().all(|report| keys.send(key, report).is_ok());
    let Ok(end) = keys.now().map(|now| now.after(DRAIN)) else { return };
    while sent && keys.now().is_ok_and(|now| now < end) && keys.wait(end).is_ok() {}
}

/// This very program, whatever has become of its file, in a group of its own: Ctrl-C is for its parent, which ends it.
/// There is nothing secret in what it is called with, and it has no environment.
fn worker() -> Command {
    #[expect(clippy::disallowed_methods, reason = "this is the command, not login's process")]
    let mut command = Command::new("/proc/self/exe");
    command.arg0("fidokey").arg("worker").env_clear().current_dir("/").process_group(0);
    command
}

/// Starts `command`, tells it `request` and hears what it says, until it says that it is done.
///
/// # Errors
/// See [`Broken`]. Either way no process is left.
fn run(
    mut command: Command,
    request: &str,
    limits: Limits,
    cancelled: &mut dyn FnMut() -> bool,
    each: &mut dyn FnMut(Reply),
) -> Result<(), Broken> {
    let not_started = |_| Broken::NotStarted;
    let (ours, theirs) = UnixStream::pair().map_err(not_started)?;
    ours.set_read_timeout(Some(SLICE)).map_err(not_started)?;
    ours.set_write_timeout(Some(limits.silence)).map_err(not_started)?;
    command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
    let _ended = Ended(command.spawn().map_err(not_started)?);
    // Its end of the socket: when the child is gone, nobody has it.
    drop(command);
    (&ours).write_all(request.as_bytes()).map_err(|_| Broken::Failed)?;
    listen(&ours, limits, cancelled, each)
}

fn listen(
    mut wire: &UnixStream,
    limits: Limits,
    cancelled: &mut dyn FnMut() -> bool,
    each: &mut dyn FnMut(Reply),
) -> Result<(), Broken> {
    let now = || clock::now().map_err(|_| Broken::Failed);
    let end = now()?.after(limits.total);
    let mut silent_at = now()?.after(limits.silence);
    let mut line = Vec::new();
    let mut said = 0_usize;
    loop {
        if cancelled() {
            return Err(Broken::Cancelled);
        }
        if now()? >= end.min(silent_at) {
            return Err(Broken::Silent);
        }
        let mut buffer = [0; 4096];
        let read = match wire.read(&mut buffer) {
            Ok(0) => return Err(Broken::Failed),
            Ok(read) => read,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => continue,
                _ => return Err(Broken::Failed),
            },
        };
        said = said.saturating_add(read);
        for byte in buffer.iter().take(read) {
            if *byte != b'\n' {
                line.push(*byte);
                continue;
            }
            let reply = str::from_utf8(&line).ok().and_then(Reply::parse).ok_or(Broken::Failed)?;
            line.clear();
            silent_at = now()?.after(limits.silence);
            match reply {
                Reply::Done => return Ok(()),
                Reply::Failed => return Err(Broken::Failed),
                Reply::Refused(status) => return Err(Broken::Refused(status)),
                other => each(other),
            }
        }
        if line.len() > LINE_MAX || said > SAID_MAX {
            return Err(Broken::Failed);
        }
    }
}

/// A child that is ended, whatever it does, when this is dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests;
