//! The user's own process: finds out whether they may, and has pkexec start the privileged one.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use fidokey_core::credential::AccountName;
use fidokey_core::ports::Account;
use fidokey_system::accounts::{effective_uid, real_uid};
use fidokey_system::child::{ended, hearing};
use fidokey_system::files::Places;
use fidokey_system::signals::Signals;

use super::agent::{self, Agent};
use super::{COMMAND, ENROLL, REMOVE, RENAME};
use crate::account;
use crate::enroll::policy;
use crate::outcome::{Exit, Failure, Outcome};
use crate::registry::roots;
use crate::terminal::{chosen_patience, forbids_input, no_input};

/// What runs a program as root, where polkit says so.
const PKEXEC: &str = "/usr/bin/pkexec";
/// How pkexec ends where nobody was authenticated, and where nobody may (pkexec(1)).
const DISMISSED: i32 = 126;
const NOT_AUTHORISED: i32 = 127;
/// SIGINT of signal(7).
const INTERRUPTED: i32 = 2;

/// What somebody who is not root has typed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// What is done to keys, as in "registers".
    pub(crate) does: &'static str,
    /// What root types instead, after `sudo fidokey`.
    pub(crate) verb: &'static str,
    /// Whose keys are meant, where that was said.
    pub(crate) user: Option<&'a AccountName>,
    /// An option that only root has, where it was typed.
    pub(crate) roots_option: Option<&'static str>,
    /// What is wished.
    pub(crate) words: Words<'a>,
}

/// The words of the privileged process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Words<'a> {
    Enroll(Option<&'a str>),
    Remove(&'a str),
    Rename(&'a str, &'a str),
}

impl Words<'_> {
    fn list(&self) -> Vec<&str> {
        match *self {
            Self::Enroll(name) => std::iter::once(ENROLL).chain(name).collect(),
            Self::Remove(key) => vec![REMOVE, key],
            Self::Rename(key, name) => vec![RENAME, key, name],
        }
    }
}

/// Has it done by the privileged process, where this one is not root's: how that has ended. `None` for root, who does it
/// here.
///
/// # Errors
/// [`Failure`] where it may not be, or cannot.
pub(crate) fn instead(asked: &Asked<'_>) -> Result<Option<Exit>, Failure> {
    if real_uid() == 0 && effective_uid() == 0 {
        return Ok(None);
    }
    // A setuid bit on the command is nobody's way to anything.
    if real_uid() != effective_uid() || !policy(&Places::system())?.self_service {
        return Err(roots(asked.does, asked.verb));
    }
    let own = account::own()?;
    let meant = asked.user.map_or_else(|| Ok(own.clone()), account::named)?;
    if meant.uid != own.uid {
        return Err(roots(asked.does, asked.verb));
    }
    // The privileged process takes names, and nothing that changes how long it is there.
    let waits = chosen_patience().map(|_| "--timeout");
    if let Some(option) = asked.roots_option.or(waits) {
        return Err(Failure::new(
            Exit::NotPermitted,
            format!("Only root can say {option}."),
            format!("Leave it out, or run `sudo fidokey {}`.", asked.verb),
        ));
    }
    authenticated(&own, asked).map(Some)
}

fn authenticated(own: &Account, asked: &Asked<'_>) -> Outcome {
    let way = |happened: &str| {
        let verb = asked.verb.replace("USER", own.name.as_str());
        let remedy = format!("Run `sudo fidokey {verb}`, or ask your administrator.");
        Failure::new(Exit::NotPermitted, happened, remedy)
    };
    if ![PKEXEC, agent::PROGRAM].iter().all(|program| Path::new(program).is_file()) {
        return Err(way(
            "polkit's pkexec and pkttyagent, which would ask for your password, are not installed.",
        ));
    }
    // Without one there is nobody to ask, and the agent would end at once.
    if File::open("/dev/tty").is_err() {
        return Err(Failure::new(
            Exit::NotPermitted,
            "There is no terminal at which your password could be asked for.",
            "Run the command in a terminal.",
        ));
    }
    if forbids_input() {
        return Err(no_input("Your password"));
    }
    // Ctrl-C is for the privileged process to see, which cancels the key; this one says how it has ended.
    let signals = Signals::begin();
    let agent = Agent::begin(signals.as_ref())
        .ok_or_else(|| way("polkit, which would ask for your password, does not answer."))?;
    let mut pkexec =
        pkexec(asked.words).map_err(|error| way(&format!("pkexec cannot be started: {error}.")))?;
    let status = ended(&mut pkexec, signals.as_ref());
    if !matches!(status, Ok(Some(_))) {
        // It can be ended as long as it asks; what is root's already ends in bounded time.
        let _ = pkexec.kill();
    }
    drop(agent);
    if let Some(signals) = &signals {
        signals.take_interrupt();
    }
    // SIGTERM ends the command here.
    drop(signals);
    match status {
        Ok(Some(status)) => told(status, &way),
        Ok(None) | Err(_) => Err(Failure::new(
            Exit::NoKey,
            "Cancelled.",
            "See `fidokey list` for what was done until then.",
        )),
    }
}

fn pkexec(words: Words<'_>) -> std::io::Result<Child> {
    #[expect(clippy::disallowed_methods, reason = "the command is nobody's login")]
    let mut command = Command::new(PKEXEC);
    command.args(["--disable-internal-agent", COMMAND]).args(words.list());
    hearing(&mut command).spawn()
}

/// How it has ended: the privileged process has said it, and pkexec has said nothing that is of use.
fn told(status: ExitStatus, way: &impl Fn(&str) -> Failure) -> Outcome {
    match status.code() {
        Some(DISMISSED) => Err(way("Nothing was changed: you were not authenticated.")),
        Some(NOT_AUTHORISED) => {
            Err(way("Nothing was changed: polkit does not let you, or the password was wrong."))
        }
        Some(code) => Ok(u8::try_from(code).map_or(Exit::Bug, Exit::of_code)),
        None if status.signal() == Some(INTERRUPTED) => Err(Failure::new(
            Exit::NoKey,
            "Cancelled.",
            "Nothing was changed; run the command again.",
        )),
        None => Err(Failure::new(
            Exit::NoKey,
            "It was ended by a signal.",
            "See `fidokey list` for what was done until then.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(happened: &str) -> Failure {
        Failure::new(Exit::NotPermitted, happened, "")
    }

    #[test]
    fn given_how_the_privileged_process_has_ended_then_this_one_ends_so() {
        for code in [0, 1, 2, 3, 4, 5, 70] {
            let exit = told(ExitStatus::from_raw(code << 8), &way).unwrap();
            assert_eq!(i32::from(exit.code()), code);
        }
        for (raw, exit) in [
            (126 << 8, Exit::NotPermitted),
            (127 << 8, Exit::NotPermitted),
            (2, Exit::NoKey),
            (9, Exit::NoKey),
            (15, Exit::NoKey),
        ] {
            assert_eq!(told(ExitStatus::from_raw(raw), &way).unwrap_err().exit(), exit, "{raw}");
        }
    }

    // E1.
    #[test]
    fn what_is_said_to_the_privileged_process_is_names() {
        assert_eq!(Words::Enroll(None).list(), ["self-enroll"]);
        assert_eq!(Words::Enroll(Some("Blue")).list(), ["self-enroll", "Blue"]);
        assert_eq!(Words::Remove("Blue").list(), ["self-remove", "Blue"]);
        assert_eq!(Words::Rename("Blue", "Red").list(), ["self-rename", "Blue", "Red"]);
    }
}
