//! Ring 1: everything in one process.

mod assertions;
mod challenges;
mod commands;
mod corpus;
mod counters;
mod documents;
mod emulated_key;
mod golden;
mod hostile;
mod logs;
mod pins;
mod policy;
mod protocol;
mod race;
mod recovery;
mod registrations;
mod requests;
mod signals;
mod simulation;
mod statuses;
mod supply;
mod told;
mod tries;
mod vectors;
mod verdicts;
mod webauthn;
