//! A program that has libpam read the stacks beneath another root and walk through one of them, once for each assignment
//! of answers to the modules.
//!
//! `pam-judge ROOT` reads a request from its standard input and writes what came of it to its standard output, both JSON:
//!
//! ```text
//! {"service": "sudo", "seconds": 60, "runs": [{"pam_unix.so": [7], "pam_fidokey.so": [25, 0]}, {}]}
//! {"runs": [{"start": 0, "code": 7, "calls": [["pam_unix.so", "nullok"]]}], "log": ["…"]}
//! ```
//!
//! Without ROOT it says where this libpam looks for modules.
//!
//! The modules beneath ROOT are copies of `libfidokey_scripted.so`. One answers by its file name: the first code at its
//! first call, and so on; the last one from then on; success where nothing is said. Root is needed, in a namespace of
//! its own at least, for chroot(2).

#![expect(unsafe_code, reason = "libpam is C")]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io::Read as _;
use std::os::unix::net::UnixDatagram;
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::libc;
use serde_json::{Value, json};

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start(
        service: *const c_char,
        user: *const c_char,
        conversation: *const Conversation,
        handle: *mut *mut c_void,
    ) -> c_int;
    fn pam_authenticate(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_end(handle: *mut c_void, status: c_int) -> c_int;
}

/// None: nobody is there to talk to, and scripted modules do not try.
#[repr(C)]
struct Conversation {
    converse: *const c_void,
    data: *mut c_void,
}

/// The answers of the run that is under way, and who was called in it, with which arguments.
struct Run {
    answers: BTreeMap<String, Vec<c_int>>,
    calls: Vec<Vec<String>>,
}

static RUN: Mutex<Run> = Mutex::new(Run { answers: BTreeMap::new(), calls: Vec::new() });

/// Answers for the scripted module that has this address in it.
#[unsafe(no_mangle)]
extern "C" fn fidokey_scripted_answer(
    address: *const c_void,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    let path = library(address);
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    let count = usize::try_from(count).expect("a number of arguments");
    // SAFETY: as libpam promises to a module.
    let argument = |number| text(unsafe { *arguments.add(number) });
    let call: Vec<_> = std::iter::once(name.clone()).chain((0..count).map(argument)).collect();
    let mut run = RUN.lock().expect("no panic");
    let before = run.calls.iter().filter(|call| call[0] == name).count();
    run.calls.push(call);
    let codes = run.answers.get(&name).map_or(&[][..], Vec::as_slice);
    codes.get(before).or(codes.last()).copied().unwrap_or(0)
}

/// The path by which the library was loaded that has this address in it.
fn library(address: *const c_void) -> String {
    // SAFETY: all that it has is pointers.
    let mut found: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: the place is written to.
    assert_ne!(unsafe { libc::dladdr(address, &raw mut found) }, 0);
    text(found.dli_fname)
}

/// Each byte as the character of that number: arguments are not always UTF-8.
fn text(string: *const c_char) -> String {
    // SAFETY: every one that is looked at comes from libpam or the loader, and ends in NUL.
    let string = unsafe { CStr::from_ptr(string) };
    string.to_bytes().iter().map(|&byte| char::from(byte)).collect()
}

/// As a kernel without an audit log: libpam then answers what the stack does, instead of failing where this process may
/// not write there.
#[unsafe(no_mangle)]
extern "C" fn audit_open() -> c_int {
    Errno::EPROTONOSUPPORT.set();
    -1
}

fn main() {
    let Some(root) = std::env::args().nth(1) else {
        // They are beside libpam wherever it is packaged.
        let libpam = library(pam_start as *const c_void);
        let (directory, _) = libpam.rsplit_once('/').expect("a path");
        println!("{directory}/security/");
        return;
    };
    std::os::unix::fs::chroot(&root).expect("chroot");
    std::env::set_current_dir("/").expect("a root");
    let log = log();
    let mut request = String::new();
    std::io::stdin().read_to_string(&mut request).expect("a request");
    let request: Value = serde_json::from_str(&request).expect("JSON");
    limit(request["seconds"].as_u64().expect("a time"));
    let service = request["service"].as_str().expect("a service");
    let service = CString::new(service).expect("no NUL");
    let runs: Vec<Value> = request["runs"]
        .as_array()
        .expect("runs")
        .iter()
        .map(|answers| {
            let outcome = run(&service, answers);
            // It would say the same again.
            // SAFETY: a number.
            unsafe { libc::setlogmask(1) };
            outcome
        })
        .collect();
    let end = UnixDatagram::unbound().and_then(|socket| socket.send_to(b"", "/dev/log"));
    end.expect("somebody who reads the log");
    println!("{}", json!({ "runs": runs, "log": log.join().expect("no panic") }));
}

/// Ends this program after so much processor time: there are stacks that libpam never has read to their end.
fn limit(seconds: u64) {
    let limit = libc::rlimit { rlim_cur: seconds, rlim_max: seconds };
    // SAFETY: it is read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_CPU, &raw const limit) }, 0);
}

/// One transaction, from its beginning to its end.
fn run(service: &CStr, answers: &Value) -> Value {
    let codes = |codes: &Value| -> Vec<c_int> {
        let code = |code: &Value| code.as_i64().and_then(|code| code.try_into().ok());
        codes
            .as_array()
            .expect("codes")
            .iter()
            .map(|number| code(number).expect("a code"))
            .collect()
    };
    *RUN.lock().expect("no panic") = Run {
        answers: answers
            .as_object()
            .expect("answers")
            .iter()
            .map(|(module, answers)| (module.clone(), codes(answers)))
            .collect(),
        calls: Vec::new(),
    };
    let conversation = Conversation { converse: null(), data: null_mut() };
    let mut handle = null_mut();
    // SAFETY: all outlive the transaction.
    let start = unsafe {
        pam_start(service.as_ptr(), c"nobody".as_ptr(), &raw const conversation, &raw mut handle)
    };
    let mut code = None;
    if start == 0 {
        // SAFETY: the handle is the one that was started.
        let result = unsafe { pam_authenticate(handle, 0) };
        // SAFETY: the same.
        unsafe { pam_end(handle, result) };
        code = Some(result);
    }
    json!({ "start": start, "code": code, "calls": RUN.lock().expect("no panic").calls })
}

/// What libpam says in the first run, until an empty line comes: it tells what it makes of a stack nowhere else. It has
/// only the root of its own to find the log in.
fn log() -> JoinHandle<Vec<String>> {
    let _ = std::fs::create_dir("/dev");
    let socket = UnixDatagram::bind("/dev/log").expect("a log");
    std::thread::spawn(move || {
        let mut lines = Vec::new();
        let mut buffer = [0; 8192];
        loop {
            let length = socket.recv(&mut buffer).expect("a line");
            if length == 0 {
                return lines;
            }
            let line = String::from_utf8_lossy(&buffer[..length]);
            // `<PRIORITY>DATE PROGRAM: PREFIX TEXT`: the date is another one each time.
            let line = line.split_once(": ").map_or(&*line, |(_, line)| line).to_owned();
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    })
}
