//! `pam_fidokey.so`: the login of [`fidokey_core`], on the machine of [`fidokey_system`].

#![forbid(unsafe_code)]

use std::ffi::CStr;

use fidokey_core::verdict::Answer;
use fidokey_system::allocator::Silent;
use fidokey_system::entry::log_abort;
use fidokey_system::files::Places;
use fidokey_system::hidraw::Hidraw;
use fidokey_system::machine::System;
use fidokey_system::pam::{PamHandle, PamHost};

fidokey_system::export!(authenticate, log_abort);

#[global_allocator]
static ALLOCATOR: Silent = Silent;

/// One login: the arguments are those of the PAM line.
fn authenticate(handle: &mut PamHandle, arguments: &[&CStr]) -> Answer {
    let arguments: Vec<&[u8]> = arguments.iter().map(|argument| argument.to_bytes()).collect();
    let mut machine = System::new(Places::system());
    let mut host = PamHost::new(handle);
    let mut keys = Hidraw::new();
    fidokey_core::login::login(&mut machine, &mut host, &mut keys, &arguments)
}
