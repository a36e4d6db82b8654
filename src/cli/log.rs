//! One line in the authentication log for what was changed. A log that cannot be reached stops nothing.

use std::io::Write;
use std::time::Duration;

use fidokey_core::audit::Line;
use syslog::{Facility, LogFormat, LoggerBackend, Severity};

/// How long a full log may hold up the command.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes `line`, whose values are escaped already, with the facility AUTHPRIV.
pub(crate) fn changed(line: &Line) {
    #[cfg(test)]
    if tests::kept(line) {
        return;
    }
    let Ok(mut logger) = syslog::unix(Plain { pid: std::process::id() }) else { return };
    match &logger.backend {
        LoggerBackend::Unix(socket) => {
            let _ = socket.set_write_timeout(Some(PATIENCE));
        }
        LoggerBackend::UnixStream(socket) => {
            let _ = socket.get_ref().set_write_timeout(Some(PATIENCE));
        }
        _ => {}
    }
    let _ = logger.notice(line.as_str());
}

/// `<85>fidokey[4711]: line`, as syslog(3) without a date. The crate's own formats put the host's name where
/// journald looks for the program's, and UTC where it expects local time; a line without a date gets that of
/// its arrival.
#[derive(Clone, Copy, Debug)]
struct Plain {
    pid: u32,
}

impl LogFormat<&str> for Plain {
    fn format<W: Write>(
        &self,
        out: &mut W,
        severity: Severity,
        line: &str,
    ) -> Result<(), syslog::Error> {
        let priority = Facility::LOG_AUTHPRIV as u8 | severity as u8;
        write!(out, "<{priority}>fidokey[{}]: {line}", self.pid).map_err(syslog::Error::Write)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static KEPT: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    /// What a test does is in no log of the machine; [`taken`] has it.
    pub(super) fn kept(line: &Line) -> bool {
        KEPT.with_borrow_mut(|kept| kept.push(line.as_str().to_owned()));
        true
    }

    /// The lines of this thread since the last call.
    pub(crate) fn taken() -> Vec<String> {
        KEPT.take()
    }

    #[test]
    fn a_line_has_facility_program_and_number_and_no_host() {
        let mut out = Vec::new();
        Plain { pid: 7 }.notice(&mut out, "registered=1a2b3c4d user=alice").unwrap();
        assert_eq!(out, b"<85>fidokey[7]: registered=1a2b3c4d user=alice");
    }
}
