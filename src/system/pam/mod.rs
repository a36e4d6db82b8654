//! libpam as the flows want it: who asks, whom for, the conversation and the log.

pub mod application;
mod conversation;
mod data;
mod ffi;
mod host;
mod log;

pub use ::pam::module::PamHandle;

pub use host::PamHost;
