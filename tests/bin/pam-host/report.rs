//! The report: one line for everything that happens, at once or when a limit on files is gone.

use std::fs::File;
use std::io::Write as _;
use std::sync::Mutex;

static REPORT: Mutex<Option<Report>> = Mutex::new(None);

struct Report {
    file: File,
    /// Lines that wait: a process that may not write files is killed when it does.
    held: Option<String>,
}

/// Begins the report.
pub(crate) fn begin(path: &str) {
    // Far from the numbers that are looked at.
    let file = File::create(path).expect("the report can be made");
    let far = nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(200));
    let far = far.expect("a descriptor");
    #[expect(unsafe_code, reason = "fcntl answers with a number")]
    // SAFETY: F_DUPFD_CLOEXEC has just made it.
    let far = unsafe { std::os::fd::FromRawFd::from_raw_fd(far) };
    *REPORT.lock().expect("no panic") = Some(Report { file: far, held: None });
}

/// Adds a line.
pub(crate) fn say(line: &str) {
    let line = line.replace('\n', "\\n") + "\n";
    let mut report = REPORT.lock().expect("no panic");
    let Some(report) = report.as_mut() else { return };
    match &mut report.held {
        Some(held) => held.push_str(&line),
        None => report.file.write_all(line.as_bytes()).expect("the report can be written"),
    }
}

/// Keeps the lines from now on.
pub(crate) fn hold() {
    if let Some(report) = REPORT.lock().expect("no panic").as_mut() {
        // Room beforehand: there may be a limit on memory, too.
        report.held.get_or_insert_with(|| String::with_capacity(1 << 16));
    }
}

/// Writes what was kept.
pub(crate) fn release() {
    let held = REPORT.lock().expect("no panic").as_mut().and_then(|report| report.held.take());
    for line in held.unwrap_or_default().lines() {
        say(line);
    }
}
