//! Ring 1: everything in one process.

mod assertions;
mod challenges;
mod commands;
mod emulated_key;
mod hostile;
mod policy;
mod protocol;
mod vectors;
mod verdicts;
