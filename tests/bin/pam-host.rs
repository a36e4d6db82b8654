//! A program that asks libpam for a login, as bare as it can be: nothing is written to the standard streams,
//! so that whatever appears there came from the module.
//!
//! `pam-host REPORT CONFDIR SERVICE USER WORD…` writes a line to the file REPORT for everything that
//! happens. The words, in order:
//!
//! * `conv:KIND`: how the conversation behaves from now on: `good`, `none`, `error`, `again`, `null-array`,
//!   `null-reply`, `huge`, `binary`, `traitor` (it changes PAM_USER);
//! * `item:NUMBER=VALUE`: pam_set_item;
//! * `authenticate[:FLAGS]`, `setcred[:FLAGS]`, `acct_mgmt`: the call, reported as `authenticate=CODE`;
//! * `direct:PATH`: loads a module without libpam and calls it as libpam never would.

#![expect(unsafe_code, reason = "libpam and dlopen are C")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::File;
use std::io::Write as _;
use std::ptr::{null, null_mut};

use nix::libc;

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    reply: *mut c_char,
    unused: c_int,
}

type Converse =
    extern "C" fn(c_int, *const *const Message, *mut *mut Response, *mut c_void) -> c_int;

#[repr(C)]
struct Conversation {
    converse: Option<Converse>,
    data: *mut c_void,
}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start_confdir(
        service: *const c_char,
        user: *const c_char,
        conversation: *const Conversation,
        confdir: *const c_char,
        handle: *mut *mut c_void,
    ) -> c_int;
    fn pam_set_item(handle: *mut c_void, item: c_int, value: *const c_void) -> c_int;
    fn pam_authenticate(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_setcred(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_acct_mgmt(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_end(handle: *mut c_void, status: c_int) -> c_int;
}

const PAM_USER: c_int = 2;
const PAM_CONV: c_int = 5;

struct State {
    report: File,
    handle: *mut c_void,
    kind: String,
}

impl State {
    fn say(&mut self, line: &str) {
        writeln!(self.report, "{line}").expect("the report can be written");
    }
}

fn main() {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().expect("REPORT CONFDIR SERVICE USER WORD…");
    let report = File::create(word()).expect("the report can be made");
    let [confdir, service, user] = [word(), word(), word()].map(c_string);
    let mut state = Box::new(State { report, handle: null_mut(), kind: "good".to_owned() });
    let data: *mut State = &raw mut *state;
    let conversation = Conversation { converse: Some(converse), data: data.cast() };
    let user = if user.is_empty() { null() } else { user.as_ptr() };
    // SAFETY: all strings and the conversation outlive the transaction.
    let started = unsafe {
        pam_start_confdir(
            service.as_ptr(),
            user,
            &raw const conversation,
            confdir.as_ptr(),
            &raw mut (*data).handle,
        )
    };
    assert_eq!(started, 0);
    // SAFETY: the conversation function has it through this pointer too; only one of the two runs at a time.
    let state = unsafe { &mut *data };
    let mut last = 0;
    for word in words {
        last = perform(state, &word).unwrap_or(last);
    }
    // SAFETY: the handle is the one that was started.
    unsafe { pam_end(state.handle, last) };
    state.say("end");
}

fn perform(state: &mut State, word: &str) -> Option<c_int> {
    let (verb, rest) = word.split_once(':').unwrap_or((word, ""));
    let flags = rest.parse().unwrap_or(0);
    let handle = state.handle;
    // SAFETY: the handle is the one that was started.
    let code = match verb {
        "authenticate" => unsafe { pam_authenticate(handle, flags) },
        "setcred" => unsafe { pam_setcred(handle, flags) },
        "acct_mgmt" => unsafe { pam_acct_mgmt(handle, 0) },
        "conv" => {
            state.kind = rest.to_owned();
            if rest == "none" {
                let silent = Conversation { converse: None, data: null_mut() };
                // SAFETY: libpam copies the item.
                unsafe { pam_set_item(handle, PAM_CONV, (&raw const silent).cast()) };
            }
            return None;
        }
        "item" => {
            let (number, value) = rest.split_once('=').expect("item:NUMBER=VALUE");
            let value = c_string(value.to_owned());
            let number = number.parse().expect("a number");
            // SAFETY: libpam copies the item.
            unsafe { pam_set_item(handle, number, value.as_ptr().cast()) };
            return None;
        }
        "direct" => {
            direct(state, rest);
            return None;
        }
        _ => panic!("{word}?"),
    };
    state.say(&format!("{verb}={code}"));
    Some(code)
}

extern "C" fn converse(
    count: c_int,
    messages: *const *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    // SAFETY: the pointer given at the start; main waits in libpam meanwhile.
    let state = unsafe { &mut *data.cast::<State>() };
    // SAFETY: libpam's modules hand on an array of at least one message.
    let message = unsafe { &**messages };
    // SAFETY: the text of a message is a C string.
    let text = unsafe { CStr::from_ptr(message.text) }.to_string_lossy().into_owned();
    let style = message.style;
    state.say(&format!("message count={count} style={style} text={text}"));
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
        kind => panic!("conv:{kind}?"),
    }
    // SAFETY: the place for the answer is the module's.
    unsafe { *responses = response };
    0
}

type Entry = unsafe extern "C" fn(*mut c_void, c_int, c_int, *const *const c_char) -> c_int;

/// Calls both entry points with what libpam never hands over.
fn direct(state: &mut State, path: &str) {
    let path = c_string(path.to_owned());
    // SAFETY: a module's path.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!library.is_null());
    let handle = state.handle;
    let argument = c"mode=second-factor".as_ptr();
    let many = vec![argument; 1_000_000];
    let holed = [argument, null()];
    for name in [c"pam_sm_authenticate", c"pam_sm_setcred"] {
        // SAFETY: the library is open.
        let symbol = unsafe { libc::dlsym(library, name.as_ptr()) };
        assert!(!symbol.is_null());
        // SAFETY: the type of every entry point of a PAM module.
        let entry: Entry = unsafe { std::mem::transmute(symbol) };
        for (case, handle, count, arguments) in [
            ("null_handle", null_mut(), 0, null()),
            ("negative_count", handle, -1, null()),
            ("null_arguments", handle, 1, null()),
            ("null_argument", handle, 2, holed.as_ptr()),
            ("million_arguments", handle, 1_000_000, many.as_ptr()),
        ] {
            // SAFETY: what is wrong here is what the module promises to notice.
            let code = unsafe { entry(handle, 0, count, arguments) };
            state.say(&format!("{} {case}={code}", name.to_string_lossy()));
        }
    }
}

fn c_string(text: String) -> CString {
    CString::new(text).expect("no NUL")
}
