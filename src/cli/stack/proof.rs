//! A login by the new stack before anybody depends on it: real libpam, the real module, the password and the key.

use std::path::{Path, PathBuf};

use fidokey_core::ports::Account;
use fidokey_system::accounts::with_real_uid;
use fidokey_system::pam::application::{Person, authenticate};
use fidokey_system::signals::Signals;
use fidokey_system::stacks::trial_directory;
use fidokey_system::terminal::{own_tty, secret};

use crate::outcome::{Exit, Failure};
use crate::terminal::{forbids_input, no_input, printable, say, say_prompt};

/// Who calls where root is to log in: root itself is asked by nobody.
const NOBODY: u32 = 65534;

/// Has `account` log in by `service` where its stacks are these; of two texts of one name the later one counts.
///
/// # Errors
/// [`Failure`] where the stack does not let in.
pub(super) fn prove(
    texts: &[(String, Vec<u8>)],
    service: &str,
    account: &Account,
) -> Result<(), Failure> {
    if forbids_input() {
        return Err(no_input("What the new stack asks for"));
    }
    // Ctrl-C ends the command once the directory is gone; until then nothing is changed.
    let _signals = Signals::begin();
    let directory = Scratch::make(texts)?;
    say(&format!(
        "Before anything is changed, log in by the new stack of {service}, as {}:",
        account.name
    ));
    let tty = own_tty();
    let mut terminal = Terminal;
    // As a setuid program that the account has started: what asks nobody but root (pam_rootok) must ask now.
    let caller = if account.uid == 0 { NOBODY } else { account.uid };
    let code = with_real_uid(caller, || {
        authenticate(
            service,
            account.name.as_str(),
            directory.path(),
            tty.as_deref(),
            &mut terminal,
        )
    })??;
    match code {
        0 => Ok(()),
        code => Err(Failure::new(
            Exit::No,
            format!(
                "Nothing was changed: the login by the new stack of {service} was denied (PAM code {code})."
            ),
            format!(
                "See the log for why; `fidokey test --user {} --service {service} -- mode=second-factor` tries the key alone.",
                account.name
            ),
        )),
    }
}

/// A directory like `/etc/pam.d`.
struct Scratch(PathBuf);

impl Scratch {
    fn make(texts: &[(String, Vec<u8>)]) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(
                Exit::Bug,
                format!(
                    "Nothing was changed: no directory for a trial could be made in /run ({error})."
                ),
                "See to /run, then run the command again.",
            )
        };
        let directory = trial_directory().map(Self).map_err(failed)?;
        for (name, text) in texts {
            std::fs::write(directory.0.join(name), text).map_err(failed)?;
        }
        Ok(directory)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Where it cannot be removed it is gone after the next start.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whoever sits at the terminal of the command.
struct Terminal;

impl Person for Terminal {
    fn show(&mut self, text: &str) -> bool {
        say(&printable(text));
        true
    }

    fn answer(&mut self, prompt: &str, take: &mut dyn FnMut(&[u8])) -> bool {
        secret(|| say_prompt(&printable(prompt)), take).is_ok()
    }
}
