//! What fidokey decides, and nothing of how it reaches the world.
//!
//! The two ceremonies ([`login`], [`enroll`]), the policy, the CTAP conversation as state machines over
//! 64-byte reports, and the verification of assertions. No files, no clock, no randomness of its own:
//! whatever it needs from outside is a trait in [`ports`].

#![forbid(unsafe_code)]

pub mod ask;
pub mod assertion;
pub mod attestation;
pub mod audit;
pub mod base64url;
pub mod cause;
pub mod config;
pub mod credential;
pub mod ctap;
pub mod date;
pub mod enroll;
pub mod findings;
pub mod import;
pub mod key_name;
pub mod login;
pub mod management;
pub mod models;
pub mod notice;
pub mod pending;
pub mod pin;
pub mod pin_check;
mod pin_exchange;
pub mod policy;
pub mod ports;
mod race;
pub mod record;
pub mod registration;
pub mod stack;
mod stage;
pub mod state;
pub mod text;
pub mod verdict;
