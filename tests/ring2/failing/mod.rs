//! Logins of each kind in which one thing after the other fails: each system call, with one of the errors that it can
//! have, and each allocation. With `FIDOKEY_FAULTS=all`, which `make faults` sets, each call with all of them.

mod allocations;
mod calls;
mod delivery;
mod immaterial;
mod login;
mod names;
mod scenes;
mod table;

/// Whether everything is to fail in every way.
fn all() -> bool {
    std::env::var_os("FIDOKEY_FAULTS").is_some_and(|value| value == "all")
}
