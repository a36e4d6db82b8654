//! What touches Linux and libpam: the ports of [`fidokey_core::ports`] on the real machine.
//!
//! This is the only crate with unsafe code, and the only one that opens anything. It decides nothing: what a
//! login comes to is decided in [`fidokey_core`]. No threads, no child processes, no environment variables,
//! nothing written to the standard streams: the process belongs to the program that asked for the login.

pub mod accounts;
pub mod allocator;
pub mod clock;
mod descriptors;
pub mod entry;
pub mod files;
pub mod hidraw;
mod hotplug;
mod listing;
mod lock;
pub mod machine;
mod open_keys;
pub mod pam;
pub mod pending;
pub mod random;
pub mod records;
mod replace;
mod report_descriptor;
#[cfg(test)]
mod scratch;
pub mod signals;
pub mod stacks;
mod state;
pub mod terminal;
pub mod tree;
mod walk;
