//! The terminal: data on the standard output, talk on the standard error, nothing that could play tricks on it.

use std::io::{ErrorKind, Write, stderr, stdout};

use fidokey_core::credential::is_unprintable;
use fidokey_core::ports::{ConversationError, Host, Origin, Severity, UserError};
use fidokey_system::terminal::{NotRead, secret};

use crate::outcome::{Exit, Failure};

/// `text` with a `?` for each character that could change what the terminal shows of the others.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_unprintable(c) { '?' } else { c }).collect()
}

/// Writes lines to the standard output, each of them made printable by whoever made it. Where nobody reads
/// on (`fidokey list | head -1`) it ends quietly.
///
/// # Errors
/// [`Failure`] when the output cannot be written, for example to a full disk.
pub(crate) fn print(lines: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    match writeln!(out, "{}", lines.trim_end_matches('\n')).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::Bug,
            format!("The standard output cannot be written: {error}."),
            "Send it somewhere else; what was to be done is done.",
        )),
        _ => Ok(()),
    }
}

/// Writes lines to the standard error. Nothing can be said when that fails.
pub(crate) fn say(lines: &str) {
    let _ = try_say(lines);
}

fn try_say(lines: &str) -> std::io::Result<()> {
    let mut err = stderr().lock();
    writeln!(err, "{}", lines.trim_end_matches('\n'))?;
    err.flush()
}

/// Writes a prompt to the standard error, without an end of the line; `false` where that fails.
pub(crate) fn say_prompt(prompt: &str) -> bool {
    let mut err = stderr().lock();
    write!(err, "{prompt}").and_then(|()| err.flush()).is_ok()
}

/// The host of a ceremony at a terminal.
#[derive(Debug)]
pub(crate) struct TerminalHost {
    service: String,
    user: String,
}

impl TerminalHost {
    /// For a login of `user`, as if `service` asked for it at this machine.
    pub(crate) fn new(service: &str, user: &str) -> Self {
        Self { service: service.to_owned(), user: user.to_owned() }
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

    fn ask(&mut self, prompt: &str, read: &mut dyn FnMut(&[u8])) -> Result<(), ConversationError> {
        secret(|| say_prompt(prompt), read).map_err(|NotRead| ConversationError)
    }

    /// Nobody guesses at their own terminal.
    fn delay_failure(&mut self) {}

    /// Nobody logs in here, so nothing goes to the log of logins.
    fn log(&mut self, _severity: Severity, _line: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_what_plays_tricks_on_a_terminal_then_it_is_not_shown() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}d\u{9b}"), "a?[2Jb?c?d?");
        assert_eq!(printable("Größe 鍵"), "Größe 鍵");
    }
}
