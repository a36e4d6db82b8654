//! `fidokey completions`: what completes the command line in a shell, as it is committed. It is made from the definition
//! by `make completions`, and not here: the command is small without what writes it.

use crate::arguments::{Completions, Shell};
use crate::outcome::{Exit, Outcome};
use crate::terminal;

/// Prints it.
pub(crate) fn run(asked: &Completions) -> Outcome {
    terminal::print(text(asked.shell)).map(|()| Exit::Done)
}

const fn text(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("../../packaging/completions/fidokey.bash"),
        Shell::Fish => include_str!("../../packaging/completions/fidokey.fish"),
        Shell::Zsh => include_str!("../../packaging/completions/_fidokey"),
    }
}
