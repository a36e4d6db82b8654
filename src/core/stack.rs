//! PAM stacks as texts: how libpam reads them, what comes of them, and how a line of ours goes in and out.
//!
//! Nothing is read from a disk here: whoever asks says what is in which file. What is modelled is libpam's own
//! reading (`libpam/pam_handlers.c`, `pam_dispatch.c`; pam.d(5)) with Debian's `@include`, as releases 1.5 to 1.7
//! have it. Where those differ, and where a text makes one of them fail, it is not guessed at: [`Trouble`].

use std::fmt;

mod chain;
mod control;
mod dispatch;
mod edit;
mod judge;
mod modules;
mod text;

pub use chain::{Call, Chain, Handler};
pub use control::Action;
pub use dispatch::{Outcome, run};
pub use edit::{Edited, Refusal, disable, enable, our_line, stricter};
pub use judge::{Judgement, Problem, is_open, judge};
pub use modules::{Ability, ability, asks_a_key, is_ours};

/// The file name of the module, by which its lines are known.
pub const MODULE: &str = "pam_fidokey.so";

/// What a stack refers to, and what the machine has of it.
pub trait Files {
    /// The text of the file that a service or an include of that name is read from: in `/etc/pam.d`, in the vendor's
    /// directories, or, where the name begins with a slash, that file. `None` where it cannot be opened.
    fn stack(&self, name: &[u8]) -> Option<Vec<u8>>;

    /// Whether libpam would find this module: a file name, or a path.
    fn has_module(&self, name: &[u8]) -> bool;
}

/// A line of a stack.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The name by which the file was asked for.
    pub file: Vec<u8>,
    /// The line, from 1: the first one of several that belong together.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = String::from_utf8_lossy(&self.file);
        match file.starts_with('/') {
            true => write!(f, "{file}:{}", self.line),
            false => write!(f, "/etc/pam.d/{file}:{}", self.line),
        }
    }
}

/// Why nothing can be said of a stack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// There is no such service.
    NoService,
    /// libpam gives up reading it, and every login by it is denied (`PAM_ABORT`).
    Unreadable {
        /// Where.
        place: Place,
        /// Why.
        what: &'static str,
    },
    /// Releases of libpam read it differently, or one of them fails in a way that nothing can be built on.
    Doubtful {
        /// Where.
        place: Place,
        /// Why.
        what: &'static str,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoService => f.write_str("there is no such service"),
            Self::Unreadable { place, what } => {
                write!(f, "{place}: libpam gives up here and denies every login: {what}")
            }
            Self::Doubtful { place, what } => {
                write!(f, "{place}: releases of libpam read this differently: {what}")
            }
        }
    }
}
