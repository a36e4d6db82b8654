//! One line in the authentication log for what was changed. A log that cannot be reached stops nothing.

use std::io::Write;
use std::time::Duration;

use fidokey_core::audit::Line;
use syslog::{Facility, LogFormat, LoggerBackend, Severity};

/// How long a full log may hold up the command.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes `line`, whose values are escaped already, with the facility AUTHPRIV.
pub(crate) fn changed(line: &Line) {
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
mod tests {
    use super::*;

    #[test]
    fn a_line_has_facility_program_and_number_and_no_host() {
        let mut out = Vec::new();
        Plain { pid: 7 }.notice(&mut out, "registered=1a2b3c4d user=alice").unwrap();
        assert_eq!(out, b"<85>fidokey[7]: registered=1a2b3c4d user=alice");
    }
}
