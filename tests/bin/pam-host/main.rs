//! A program that asks libpam for a login, as bare as it can be: nothing is written to the standard streams,
//! so that whatever appears there came from the module.
//!
//! `pam-host REPORT CONFDIR SERVICE USER WORD…` writes a line to the file REPORT for everything that
//! happens. The words, in order:
//!
//! * `conv:KIND`: how the conversation behaves from now on: `good`, `none`, `error`, `again`, `null-array`,
//!   `null-reply`, `huge`, `binary`, `traitor` (it changes PAM_USER); `answers=PROMPT=TEXT;…` types TEXT at the prompt that begins
//!   with PROMPT, `secret=HEX` a text of which this process has only the bytes crossed with 0x55;
//! * `item:NUMBER=VALUE`: pam_set_item;
//! * `authenticate[:FLAGS]`, `setcred[:FLAGS]`, `acct_mgmt`: the call, reported as `authenticate=CODE`;
//! * `direct:PATH`: loads a module without libpam and calls it as libpam never would;
//! * `reload:SERVICE=TIMES=PATH`: loads and unloads a module from many threads, with logins of that service in between;
//! * `jump:MS=SECONDS`, `pass:MS=SECONDS`: what the clocks show that far from now on, as after a sleep of the machine
//!   or a correction of its date, and as after a time in which this program did not run;
//! * `cwd-gone`, `umask:OCTAL`, `nice:NUMBER`, `close:DIGITS`, `limit:NAME=NUMBER` … `unlimit`: what is odd
//!   about this process from now on;
//! * `block:NAMES`, `handle:NAMES`, `later:NAME=MS`: signals, as `INT,TERM`: blocked in this thread, or handled; one
//!   that comes from outside, later; `await-pending`: until one is; `alarm:MICROSECONDS`: one that comes all the time;
//! * `stop`: this program stops, for who traces it;
//! * `signals`: what is pending, blocked and was handled since the last time, `signals pending=… blocked=… handled=…`;
//! * `watch:PATH`: before an answer is typed, whether anybody holds the lock on that file, `lock=free` or `lock=held`,
//!   and the signals;
//! * `found`: how often that secret is in this process, `found=NUMBER`; also when a touch is asked for;
//! * `descriptors`, `memory`, `resident`, `tidy`: what can be seen of it now;
//! * `many:TIMES=SERVICE,SERVICE…`: so many logins by each of these services, and what they leave behind;
//! * `allocation:NUMBER`: that one of the allocations of the next call fails, and who has asked for it,
//!   `refused SIZE FILE …`; `allocations`: how many there were;
//! * `getenv:NAME`: a look at the environment, as a module could take one.
//!
//! What is logged meanwhile is `log PRIORITY PREFIX TEXT`; a look at the environment during a call of libpam
//! is `getenv NAME FILE`, with the library that took it.

#![expect(unsafe_code, reason = "libpam is C")]

mod allocation;
mod clocks;
mod conversation;
mod direct;
mod interpose;
mod many;
mod process;
mod report;
mod secret;
mod signals;

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

use conversation::{Conversation, converse};
use interpose::watched;
use report::say;

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
    handle: *mut c_void,
    kind: String,
    watched: Option<String>,
}

fn main() {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().expect("REPORT CONFDIR SERVICE USER WORD…");
    report::begin(&word());
    let names = [word(), word(), word()].map(c_string);
    transaction(&names, |state| {
        let mut last = 0;
        for word in words {
            last = perform(state, &names, &word).unwrap_or(last);
        }
        last
    });
    say("end");
}

/// A transaction with these names (directory, service and user), from its beginning to its end: `work` has the code
/// that it ends with.
fn transaction(
    [confdir, service, user]: &[CString; 3],
    work: impl FnOnce(&mut State) -> c_int,
) -> c_int {
    let mut state = Box::new(State { handle: null_mut(), kind: "good".to_owned(), watched: None });
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
    let last = work(state);
    // SAFETY: the handle is the one that was started.
    unsafe { pam_end(state.handle, last) };
    last
}

fn perform(state: &mut State, names: &[CString; 3], word: &str) -> Option<c_int> {
    let (verb, rest) = word.split_once(':').unwrap_or((word, ""));
    let flags = rest.parse().unwrap_or(0);
    let handle = state.handle;
    // SAFETY: the handle is the one that was started.
    let code = match verb {
        "authenticate" => watched(|| unsafe { pam_authenticate(handle, flags) }),
        "setcred" => watched(|| unsafe { pam_setcred(handle, flags) }),
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
        "watch" => {
            state.watched = Some(rest.to_owned());
            return None;
        }
        "found" => {
            conversation::look(state);
            return None;
        }
        "direct" => {
            direct::direct(state, rest);
            return None;
        }
        "reload" => {
            let (service, rest) = rest.split_once('=').expect("reload:SERVICE=TIMES=PATH");
            let names = [names[0].clone(), c_string(service.to_owned()), names[2].clone()];
            // SAFETY: the handle is the one that was started.
            let login =
                || transaction(&names, |state| unsafe { pam_authenticate(state.handle, 0) });
            direct::reload(&login, rest);
            return None;
        }
        "many" => {
            let kind = &state.kind;
            let login = |service| {
                let names = [names[0].clone(), service, names[2].clone()];
                transaction(&names, |state| {
                    state.kind.clone_from(kind);
                    // SAFETY: the handle is the one that was started.
                    unsafe { pam_authenticate(state.handle, 0) }
                })
            };
            many::many(&login, rest);
            return None;
        }
        _ if clocks::perform(verb, rest) => return None,
        _ if process::perform(verb, rest) || signals::perform(verb, rest) => return None,
        _ => panic!("{word}?"),
    };
    say(&format!("{verb}={code}"));
    Some(code)
}

fn c_string(text: String) -> CString {
    CString::new(text).expect("no NUL")
}
