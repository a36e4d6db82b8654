//! How the command talks, as it was told once at its start: how much, in which colours, and whether it may ask.

use std::ffi::OsStr;
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::sync::OnceLock;
use std::time::Duration;

use crate::arguments::{self, Color};

/// How long to wait for the key, and for each touch, where nothing is said of it.
const PATIENCE: Duration = Duration::from_secs(30);

static MANNER: OnceLock<Manner> = OnceLock::new();

/// What was told. Until then, and in tests: no colours, and no line that is painted anew.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Manner {
    pub(super) quiet: bool,
    pub(super) no_input: bool,
    timeout: Option<Duration>,
    out: bool,
    err: bool,
    /// Whether what was said last can be painted over.
    pub(super) live: bool,
}

/// Where something is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stream {
    /// The standard error.
    Err,
    /// The standard output.
    Out,
}

/// How something stands out, where there are colours. None of it means anything that the text does not say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Style {
    /// What happened.
    Bold,
    /// What is only there to find one's way.
    Dim,
    /// What is bad.
    Red,
    /// What is not as it should be.
    Yellow,
}

impl Style {
    /// Its number (ECMA-48, select graphic rendition).
    const fn number(self) -> u8 {
        match self {
            Self::Bold => 1,
            Self::Dim => 2,
            Self::Red => 31,
            Self::Yellow => 33,
        }
    }
}

/// Keeps what was told; what is told later does not count.
pub(crate) fn begin(told: &arguments::Manner) {
    let dumb = is_dumb(variable("TERM").as_deref());
    let plain = dumb || variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    let on = |terminal: bool| match told.color {
        Color::Always => true,
        Color::Auto => terminal && !plain,
        Color::Never => false,
    };
    let _ = MANNER.set(Manner {
        quiet: told.quiet,
        no_input: told.no_input,
        timeout: told.timeout,
        out: on(stdout().is_terminal()),
        err: on(stderr().is_terminal()),
        live: stderr().is_terminal() && !dumb,
    });
}

pub(super) fn manner() -> Manner {
    MANNER.get().copied().unwrap_or_default()
}

/// The command's own, which says nothing of who it is: how its terminal wants to be talked to.
#[expect(
    clippy::disallowed_methods,
    reason = "colours are no decision, and the command is nobody's login"
)]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// A terminal that can do nothing but go on, or of which nothing is known.
fn is_dumb(term: Option<&OsStr>) -> bool {
    term.is_none_or(|term| term.is_empty() || term == "dumb")
}

/// How long to wait for the key, and for each touch.
pub(crate) fn patience() -> Duration {
    chosen_patience().unwrap_or(PATIENCE)
}

/// The same, where it was said.
pub(crate) fn chosen_patience() -> Option<Duration> {
    manner().timeout
}

/// Whether somebody can be asked: what is read and what is said are a terminal's, and it was not forbidden.
pub(crate) fn can_ask() -> bool {
    !manner().no_input && stdin().is_terminal() && stderr().is_terminal()
}

/// Whether nothing may be asked at all.
pub(crate) fn forbids_input() -> bool {
    manner().no_input
}

/// `text`, which is printable, as it stands out there.
pub(crate) fn styled(stream: Stream, style: Style, text: &str) -> String {
    let Manner { out, err, .. } = manner();
    let colored = match stream {
        Stream::Err => err,
        Stream::Out => out,
    };
    if colored && !text.is_empty() {
        format!("\u{1b}[{}m{text}\u{1b}[0m", style.number())
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_terminal_that_nothing_is_known_of_then_nothing_is_painted_on_it() {
        let dumb = |term: Option<&str>| is_dumb(term.map(OsStr::new));
        assert!(dumb(None) && dumb(Some("")) && dumb(Some("dumb")));
        assert!(!dumb(Some("xterm-256color")) && !dumb(Some("linux")));
    }

    // Nothing has begun here.
    #[test]
    fn given_no_terminal_then_a_text_stands_out_by_nothing_but_itself() {
        assert_eq!(styled(Stream::Err, Style::Bold, "a"), "a");
        assert_eq!((patience(), chosen_patience()), (PATIENCE, None));
    }
}
