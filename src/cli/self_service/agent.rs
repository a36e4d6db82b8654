//! polkit's agent for this terminal, which asks for the password: a process of the user's own beside pkexec, whose agent
//! within does not get on with polkit from 127 on.

use std::io::pipe;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fidokey_system::child::{closed, hearing, left_to_children};
use fidokey_system::signals::Signals;

use crate::terminal::waiting_for;

/// The program.
pub(super) const PROGRAM: &str = "/usr/bin/pkttyagent";
/// How long polkit may take to hear of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running agent that polkit knows. It is ended when this is dropped.
#[derive(Debug)]
pub(super) struct Agent(Child);

impl Agent {
    /// Starts it for what this process asks of polkit, and waits until polkit knows it. `None` where polkit does not take it,
    /// or not in time.
    pub(super) fn begin(signals: Option<&Signals>) -> Option<Self> {
        let (told, tells) = pipe().ok()?;
        let number = left_to_children(&tells).ok()?;
        #[expect(clippy::disallowed_methods, reason = "the command is nobody's login")]
        let mut command = Command::new(PROGRAM);
        // Not as a fallback: polkit finds such a one only where the user has a session.
        command.args(["--process", &own_process()?]);
        command.args(["--notify-fd", &number.to_string()]);
        // It has the terminal by its own name for it; what it says of itself we say.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut agent = Self(hearing(&mut command).spawn().ok()?);
        // The other end is the agent's alone now.
        drop(tells);
        let heard = waiting_for("Waiting for polkit.", || closed(&told, signals, PATIENCE));
        let heard = heard.unwrap_or_default();
        // It closes its end when it gives up, too.
        (heard && agent.0.try_wait().is_ok_and(|ended| ended.is_none())).then_some(agent)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This process as polkit knows it: its number, and when it began, so that no later one of that number is meant.
fn own_process() -> Option<String> {
    let stat = std::fs::read_to_string(Path::new("/proc/self/stat")).ok()?;
    Some(format!("{},{}", std::process::id(), began(&stat)?))
}

/// The field of proc_pid_stat(5) that says when the process began. The second one, a name in parentheses, may have
/// anything in it.
fn began(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    // The 22nd, counted from 1; the rest begins with the third.
    rest.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_process_with_a_name_that_plays_tricks_then_when_it_began_is_found() {
        let stat = "4711 (a) b) R 1 4711 4711 0 -1 4194304 90 0 0 0 0 0 0 0 20 0 1 0 815 2 3 4";
        assert_eq!(began(stat), Some(815));
        assert_eq!(began("4711 (a) R 1"), None);
        assert_eq!(began(""), None);
    }

    #[test]
    fn this_process_began_at_some_time() {
        let own = own_process().unwrap();
        let (number, began) = own.split_once(',').unwrap();
        assert_eq!(number.parse(), Ok(std::process::id()));
        assert!(began.parse::<u64>().is_ok_and(|began| began > 0));
    }
}
