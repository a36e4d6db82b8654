//! Who undoes an edit that nobody confirms: units of systemd that the package brings.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::outcome::{Exit, Failure};

/// Runs `fidokey revert` every few seconds.
const TIMER: &str = "fidokey-revert.timer";
/// Runs `fidokey revert --boot` before anybody can log in.
const BOOT: &str = "fidokey-revert-boot.service";

/// Starts the timer, and sees that it runs and that the next start of the machine would look as well.
///
/// # Errors
/// [`Failure`] where either cannot be relied on.
pub(super) fn start() -> Result<(), Failure> {
    let reliable = Path::new("/run/systemd/system").is_dir()
        && systemctl(&["is-enabled", BOOT])
        && systemctl(&["start", TIMER])
        && systemctl(&["is-active", TIMER]);
    if reliable {
        return Ok(());
    }
    Err(Failure::new(
        Exit::No,
        "Nothing was changed: there is nobody who would undo it.",
        format!("--try needs systemd, {TIMER} and, enabled, {BOOT}: `systemctl enable {BOOT}`."),
    ))
}

/// Stops the timer: nothing is pending. It would stop by itself with the machine.
pub(super) fn stop() {
    let _ = systemctl(&["--no-block", "stop", TIMER]);
}

fn systemctl(arguments: &[&str]) -> bool {
    #[expect(clippy::disallowed_methods, reason = "the command is nobody's login")]
    let mut command = Command::new("/usr/bin/systemctl");
    command.arg("--quiet").args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
