//! What can be typed after every verb: how the command talks, and how long it waits. And what completes all of it.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::patience;

/// How the command talks, and how long it waits.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of every verb")]
pub(crate) struct Manner {
    /// Say nothing but errors and what is asked, a touch included
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    /// When to use colours; auto is on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub(crate) color: Color,
    /// Ask nothing: where something would have to be typed, end and say what
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// How long to wait for the key and for each touch, 1s to 120s [default: 30s]
    #[arg(long, global = true, value_name = "TIME", value_parser = patience)]
    pub(crate) timeout: Option<Duration>,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Color {
    Always,
    #[default]
    Auto,
    Never,
}

/// Print what completes the command line in a shell.
///
/// The packages bring it along. Otherwise, for bash: `eval "$(fidokey completions bash)"`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: Shell,
}

/// A shell whose command lines can be completed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Fish,
    Zsh,
}
