//! What touches Linux and libpam: the ports of [`fidokey_core::ports`] on the real machine.
//!
//! This is the only crate with unsafe code, and the only one that opens anything. It decides nothing: what a
//! login comes to is decided in [`fidokey_core`]. No threads, no child processes, no environment variables,
//! nothing written to the standard streams: the process belongs to the program that asked for the login. What is for the
//! command alone says so.

pub mod accounts;
pub mod allocator;
pub mod bequest;
pub mod child;
pub mod clock;
pub mod confine;
mod descriptors;
mod device;
pub mod entry;
pub mod files;
pub mod foreign;
pub mod hidraw;
mod holder;
mod hotplug;
mod listing;
mod lock;
pub mod machine;
mod open_keys;
pub mod pam;
pub mod pending;
pub mod programs;
pub mod random;
pub mod records;
mod replace;
mod report_descriptor;
#[cfg(test)]
mod scratch;
pub mod signals;
pub mod stacks;
mod state;
mod sysfs;
pub mod terminal;
pub mod tree;
mod walk;
