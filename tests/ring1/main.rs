//! Ring 1: everything in one process.

mod assertions;
mod challenges;
mod commands;
mod emulated_key;
mod first_generation;
mod hostile;
mod policy;
mod protocol;
mod registrations;
mod statuses;
mod vectors;
mod verdicts;
mod webauthn;
