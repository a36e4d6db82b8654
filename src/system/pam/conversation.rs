//! One message to the program that asked for the login.
//!
//! Own code and not the bindings' `Conv`, which takes an answer without a response array for a failure. For a
//! message that asks nothing, many programs answer so, and libpam's own `pam_vprompt` accepts it.

use std::ffi::{CStr, CString};
use std::ptr;

use ::pam::module::PamHandle;
use fidokey_core::ports::ConversationError;
use nix::libc;
use zeroize::Zeroize;

use super::ffi::{
    Conversation, DONE, ITEM_CONVERSATION, Message, Response, TEXT_INFO, pam_get_item,
};

/// The longest text of a message, in bytes: `PAM_MAX_MSG_SIZE` is 512 with the NUL.
const TEXT_MAX: usize = 511;

/// Shows `text`, cut to what a message holds.
pub(super) fn show(handle: &PamHandle, text: &str) -> Result<(), ConversationError> {
    let conversation = conversation(handle)?;
    show_through(conversation, text)
}

/// The conversation of `handle`, copied: the program may set another one while it runs.
fn conversation(handle: &PamHandle) -> Result<Conversation, ConversationError> {
    let mut item = ptr::null();
    // SAFETY: the handle is libpam's, and `item` is written to.
    let got = unsafe { pam_get_item(handle, ITEM_CONVERSATION, &raw mut item) };
    if got != DONE {
        return Err(ConversationError);
    }
    // SAFETY: this item is a `struct pam_conv` of libpam's or null, and nothing of libpam runs meanwhile.
    unsafe { item.cast::<Conversation>().as_ref() }.copied().ok_or(ConversationError)
}

/// Calls the conversation with one message, and throws its reply away.
fn show_through(conversation: Conversation, text: &str) -> Result<(), ConversationError> {
    let converse = conversation.converse.ok_or(ConversationError)?;
    let text = message_text(text)?;
    let message = Message { style: TEXT_INFO, text: text.as_ptr() };
    let mut messages = &raw const message;
    let mut responses: *mut Response = ptr::null_mut();
    // SAFETY: the program gave this function for these arguments: one message, whose text ends in NUL, and a
    // place for the responses. All of them outlive the call.
    let got = unsafe { converse(1, &raw mut messages, &raw mut responses, conversation.data) };
    if got != DONE {
        // What `responses` is now is not defined, so nothing of it is touched.
        return Err(ConversationError);
    }
    discard(responses);
    Ok(())
}

/// `text` as a C string of at most [`TEXT_MAX`] bytes.
fn message_text(text: &str) -> Result<CString, ConversationError> {
    // The largest part that holds whole characters: `get` gives none for an end within one, or beyond the text.
    let kept = (0..=TEXT_MAX.min(text.len())).rev().find_map(|end| text.get(..end)).unwrap_or("");
    CString::new(kept.replace('\0', " ")).map_err(|_| ConversationError)
}

/// Wipes and frees what a conversation has answered to one message. Nobody was asked anything, but a program may
/// answer every message with what was typed: a password, then.
fn discard(responses: *mut Response) {
    // SAFETY: after success this is null or an array of one response, which is ours.
    let Some(response) = (unsafe { responses.as_mut() }) else {
        return;
    };
    if !response.reply.is_null() {
        wipe(response.reply);
        // SAFETY: the reply was made with malloc for us to free, and nothing else points to it.
        unsafe { libc::free(response.reply.cast()) };
    }
    // SAFETY: the array was made with malloc for us to free; `response` is not used any more.
    unsafe { libc::free(responses.cast()) };
}

/// Overwrites a C string with zeros, so that the compiler cannot leave it out.
fn wipe(text: *mut libc::c_char) {
    // SAFETY: a reply ends in NUL.
    let length = unsafe { CStr::from_ptr(text) }.count_bytes();
    // SAFETY: as many bytes were just read there, and the reply is ours alone.
    let bytes = unsafe { std::slice::from_raw_parts_mut(text.cast::<u8>(), length) };
    bytes.zeroize();
}
