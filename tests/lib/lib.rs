//! What the rings of tests share. Nothing here is shipped.

pub mod fuzz;
pub mod key;
pub mod log;
pub mod manuals;
pub mod sbom;
pub mod sim;
pub mod socket_keys;
