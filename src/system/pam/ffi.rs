//! What of libpam the bindings do not offer, as `security/_pam_types.h` and `pam_ext.h` declare it.

use std::ffi::{c_char, c_int, c_uint, c_void};

use ::pam::module::PamHandle;

/// `PAM_CONV`, the item that is a [`Conversation`].
pub(super) const ITEM_CONVERSATION: c_int = 5;
/// `PAM_PROMPT_ECHO_OFF`.
pub(super) const PROMPT_ECHO_OFF: c_int = 1;
/// `PAM_PROMPT_ECHO_ON`.
pub(super) const PROMPT_ECHO_ON: c_int = 2;
/// `PAM_ERROR_MSG`.
pub(super) const ERROR_MSG: c_int = 3;
/// `PAM_TTY`.
pub(super) const ITEM_TTY: c_int = 3;
/// `PAM_RUSER`.
pub(super) const ITEM_RUSER: c_int = 8;
/// `PAM_TEXT_INFO`.
pub(super) const TEXT_INFO: c_int = 4;
/// What functions of libpam and of the conversation return when they have done their work.
pub(super) const DONE: c_int = 0;

/// `struct pam_message`.
#[repr(C)]
pub(super) struct Message {
    pub(super) style: c_int,
    pub(super) text: *const c_char,
}

/// `struct pam_response`. Both it and the reply are made with `malloc`, and ours to free.
#[repr(C)]
pub(super) struct Response {
    pub(super) reply: *mut c_char,
    /// Always 0.
    pub(super) unused: c_int,
}

/// `struct pam_conv`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Conversation {
    pub(super) converse: Option<Converse>,
    pub(super) data: *mut c_void,
}

/// The conversation function of the program that asked for the login.
pub(super) type Converse = unsafe extern "C" fn(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int;

/// What libpam calls with data that it gives up: at the end, or when others replace it.
pub(super) type CleanUp =
    unsafe extern "C" fn(handle: *mut PamHandle, data: *mut c_void, status: c_int);

#[link(name = "pam")]
unsafe extern "C" {
    pub(super) fn pam_get_item(
        handle: *const PamHandle,
        item: c_int,
        value: *mut *const c_void,
    ) -> c_int;

    pub(super) fn pam_get_data(
        handle: *const PamHandle,
        name: *const c_char,
        data: *mut *const c_void,
    ) -> c_int;

    pub(super) fn pam_set_data(
        handle: *mut PamHandle,
        name: *const c_char,
        data: *mut c_void,
        clean_up: CleanUp,
    ) -> c_int;

    pub(super) fn pam_fail_delay(handle: *mut PamHandle, microseconds: c_uint) -> c_int;

    pub(super) fn pam_syslog(handle: *const PamHandle, priority: c_int, format: *const c_char, ...);

    pub(super) fn pam_start_confdir(
        service: *const c_char,
        user: *const c_char,
        conversation: *const Conversation,
        confdir: *const c_char,
        handle: *mut *mut PamHandle,
    ) -> c_int;

    pub(super) fn pam_set_item(handle: *mut PamHandle, item: c_int, value: *const c_void) -> c_int;

    pub(super) fn pam_authenticate(handle: *mut PamHandle, flags: c_int) -> c_int;

    pub(super) fn pam_end(handle: *mut PamHandle, status: c_int) -> c_int;
}
