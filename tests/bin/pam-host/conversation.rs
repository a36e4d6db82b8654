//! The conversation, in all the ways in which one can be.

#![expect(unsafe_code, reason = "the conversation is C")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

use nix::libc;

use crate::allocation::unwatched;
use crate::report::say;
use crate::{PAM_USER, State, pam_set_item, secret, signals};

const PROMPT_ECHO_OFF: c_int = 1;
const TEXT_INFO: c_int = 4;

/// Says how often the secret is in this process, where there is one.
pub(crate) fn look(state: &State) {
    if let Some(masked) = state.kind.strip_prefix("secret=") {
        say(&format!("found={}", secret::found(masked)));
    }
}

#[repr(C)]
pub(crate) struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
pub(crate) struct Response {
    reply: *mut c_char,
    unused: c_int,
}

type Converse =
    extern "C" fn(c_int, *const *const Message, *mut *mut Response, *mut c_void) -> c_int;

/// What libpam calls, and with what.
#[repr(C)]
pub(crate) struct Conversation {
    pub(crate) converse: Option<Converse>,
    pub(crate) data: *mut c_void,
}

pub(crate) extern "C" fn converse(
    count: c_int,
    messages: *const *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    unwatched(|| answer(messages, responses, count, data))
}

fn answer(
    messages: *const *const Message,
    responses: *mut *mut Response,
    count: c_int,
    data: *mut c_void,
) -> c_int {
    // SAFETY: the pointer given at the start; main waits in libpam meanwhile.
    let state = unsafe { &mut *data.cast::<State>() };
    // SAFETY: libpam's modules hand on an array of at least one message.
    let message = unsafe { &**messages };
    // SAFETY: the text of a message is a C string.
    let text = unsafe { CStr::from_ptr(message.text) }.to_string_lossy().into_owned();
    let style = message.style;
    say(&format!("message count={count} style={style} text={text}"));
    // SAFETY: calloc has no preconditions.
    let response: *mut Response = unsafe { libc::calloc(1, size_of::<Response>()) }.cast();
    let reply = |bytes: &[u8]| {
        // SAFETY: as many bytes as are written, and a NUL after them from calloc.
        unsafe {
            let reply: *mut u8 = libc::calloc(1, bytes.len() + 1).cast();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), reply, bytes.len());
            (*response).reply = reply.cast();
        }
    };
    if style == PROMPT_ECHO_OFF
        && let Some(path) = &state.watched
    {
        let node = std::fs::File::open(path).expect("a file to lock");
        say(if node.try_lock().is_ok() { "lock=free" } else { "lock=held" });
        signals::perform("signals", "");
    }
    if style == TEXT_INFO && text.starts_with("Touch") {
        look(state);
    }
    match state.kind.as_str() {
        "error" => return 19,
        "again" => return 30,
        "null-array" => {
            // SAFETY: the place for the answer is the module's.
            unsafe { *responses = null_mut() };
            return 0;
        }
        "huge" => reply(&vec![b'x'; 1 << 20]),
        "binary" => reply(&[0xff, 0xfe, 0x80, 0x1b]),
        "traitor" => {
            // SAFETY: libpam copies the item.
            unsafe { pam_set_item(state.handle, PAM_USER, c"root".as_ptr().cast()) };
        }
        "null-reply" | "good" => {}
        kind if kind.starts_with("answers=") => {
            let pairs = kind["answers=".len()..].split(';').filter_map(|pair| pair.split_once('='));
            let mut answers = pairs.filter(|(prompt, _)| text.starts_with(prompt));
            if style == PROMPT_ECHO_OFF
                && let Some((_, answer)) = answers.next()
            {
                reply(answer.as_bytes());
            }
        }
        kind if kind.starts_with("secret=") => {
            if style == PROMPT_ECHO_OFF {
                // SAFETY: the response was just made.
                unsafe { (*response).reply = secret::reply(&kind["secret=".len()..]) };
            }
        }
        kind => panic!("conv:{kind}?"),
    }
    // SAFETY: the place for the answer is the module's.
    unsafe { *responses = response };
    0
}
