//! Self-service: a user changes the keys of their own account, through polkit, where the policy lets them.
//!
//! There are two processes, both of this command. The user's own (`through_polkit`) finds out whether it can be, and has
//! pkexec start the other one as root (`privileged`). That one takes nothing from the first but names: who asks is what
//! pkexec says (`caller`), the arguments are two words at the most (`words`), and it talks to the key itself.

mod agent;
mod caller;
mod privileged;
mod proof;
mod through_polkit;
mod words;

pub(crate) use privileged::{is_for, run};
pub(crate) use through_polkit::{Asked, Words, instead};

/// The program that polkit's actions name. What `make install` puts elsewhere it builds with that place.
const COMMAND: &str = match option_env!("FIDOKEY_COMMAND_PATH") {
    Some(path) => path,
    None => "/usr/bin/fidokey",
};

/// The first words by which pkexec is to start this command.
const ENROLL: &str = "self-enroll";
const REMOVE: &str = "self-remove";
const RENAME: &str = "self-rename";
