//! What is fuzzed: for everything that reads bytes from a key or text from a file a function of bytes, which panics where
//! something does not hold that must hold whatever the bytes are.
//!
//! The fuzzer's programs in `tests/fuzz` call them; ring 1 replays the inputs that were found. How the inputs are made
//! up is nobody's concern but the target's: a [`Tape`] gives zeros after its end, so that any bytes are an input.

pub mod assertion;
pub mod cbor;
pub mod client_pin;
pub mod config;
pub mod der;
pub mod enroll;
pub mod frame;
mod hostile;
pub mod import;
pub mod info;
pub mod login;
pub mod record;
pub mod registration;
pub mod stack;
pub mod state;
mod tape;
pub mod text;
mod told;
pub mod u2f;

pub use tape::Tape;

/// A target.
pub type Target = fn(&[u8]);

/// All of them, by the names of their programs and of the directories of their inputs.
pub const TARGETS: [(&str, Target); 16] = [
    ("assertion", assertion::run),
    ("cbor", cbor::run),
    ("client_pin", client_pin::run),
    ("config", config::run),
    ("der", der::run),
    ("enroll", enroll::run),
    ("frame", frame::run),
    ("import", import::run),
    ("info", info::run),
    ("login", login::run),
    ("record", record::run),
    ("registration", registration::run),
    ("stack", stack::run),
    ("state", state::run),
    ("text", text::run),
    ("u2f", u2f::run),
];
