//! The host of a ceremony at a terminal: what is shown, what is waited for, and what has to be typed.

use std::sync::PoisonError;
use std::time::Duration;

use fidokey_core::ports::{ConversationError, Host, Origin, Severity, UserError};
use fidokey_system::terminal::{NotRead, secret};

use super::manner::forbids_input;
use super::{line, printable, say_prompt, try_say};
use crate::outcome::{Exit, Failure};

/// The host of a ceremony at a terminal.
#[derive(Debug)]
pub(crate) struct TerminalHost {
    service: String,
    user: String,
    /// Something would have had to be typed, and nothing may be asked.
    needed: bool,
}

impl TerminalHost {
    /// For a login of `user`, as if `service` asked for it at this machine.
    pub(crate) fn new(service: &str, user: &str) -> Self {
        Self { service: service.to_owned(), user: user.to_owned(), needed: false }
    }

    /// Where it has ended because nothing may be asked: that, and what was needed.
    ///
    /// # Errors
    /// [`Failure`] of two lines.
    pub(crate) fn was_needed(&self) -> Result<(), Failure> {
        match self.needed {
            true => Err(no_input("The PIN of the key")),
            false => Ok(()),
        }
    }
}

/// Nothing may be asked, and `what` would have had to be typed.
pub(crate) fn no_input(what: &str) -> Failure {
    Failure::new(
        Exit::Usage,
        format!("{what} has to be typed, and --no-input forbids to ask for it."),
        "Run the command again without --no-input.",
    )
}

impl Drop for TerminalHost {
    fn drop(&mut self) {
        line().lock().unwrap_or_else(PoisonError::into_inner).end();
    }
}

impl Host for TerminalHost {
    fn origin(&mut self) -> Origin {
        Origin { service: self.service.clone(), ..Origin::default() }
    }

    fn user(&mut self) -> Result<String, UserError> {
        Ok(self.user.clone())
    }

    fn still_means(&mut self, user: &str) -> bool {
        self.user == user
    }

    fn show(&mut self, text: &str) -> Result<(), ConversationError> {
        try_say(&printable(text)).map_err(|_| ConversationError)
    }

    fn cue(&mut self, text: &str, patience: Duration) -> Result<(), ConversationError> {
        let mut line = line().lock().unwrap_or_else(PoisonError::into_inner);
        line.cue(&printable(text), patience).map_err(|_| ConversationError)
    }

    fn ask(&mut self, prompt: &str, read: &mut dyn FnMut(&[u8])) -> Result<(), ConversationError> {
        line().lock().unwrap_or_else(PoisonError::into_inner).end();
        if forbids_input() {
            self.needed = true;
            return Err(ConversationError);
        }
        secret(|| say_prompt(prompt), read).map_err(|NotRead| ConversationError)
    }

    /// Nobody guesses at their own terminal.
    fn delay_failure(&mut self) {}

    /// Nobody logs in here, so nothing goes to the log of logins.
    fn log(&mut self, _severity: Severity, _line: &str) {}
}
