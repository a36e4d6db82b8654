//! Ring 1: everything in one process.

mod emulated_key;
