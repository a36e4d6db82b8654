//! What came of a scene, as a line of a table.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Once;

use nix::sys::signal::Signal;

/// What a login came to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Verdict {
    Granted,
    Exempt,
    /// By that code.
    Denied(i32),
    /// The program was ended, by that signal.
    Ended(i32),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granted => f.write_str("granted"),
            Self::Exempt => f.write_str("exempt"),
            Self::Denied(code) => write!(f, "denied {code}"),
            Self::Ended(signal) => write!(f, "ended by {}", signal_name(*signal)),
        }
    }
}

fn signal_name(number: i32) -> &'static str {
    Signal::try_from(number).map_or("no signal", Signal::as_str)
}

/// A line of the table, as it is added to.
#[derive(Default)]
pub(crate) struct Row {
    /// What was made to fail, and with what.
    faults: BTreeMap<String, usize>,
    verdicts: BTreeMap<String, usize>,
    violations: Vec<String>,
}

impl Row {
    /// Adds a login: with what something failed in it, and its verdict or what is wrong with it.
    pub(crate) fn add(&mut self, fault: String, verdict: Result<String, String>) {
        *self.faults.entry(fault).or_default() += 1;
        match verdict {
            Ok(verdict) => *self.verdicts.entry(verdict).or_default() += 1,
            Err(violation) => self.violations.push(violation),
        }
    }

    /// How often something failed.
    pub(crate) fn faults(&self) -> usize {
        self.faults.values().sum()
    }

    /// Prints the line, and fails where something is wrong.
    #[track_caller]
    pub(crate) fn finish(&self, words: &Words, scene: &str, calls: usize) {
        static HEADER: Once = Once::new();
        HEADER.call_once(|| {
            println!("| scenario | what fails | how often | with | came to | violations |");
            println!("|---|---|---|---|---|---|");
        });
        let verdicts: Vec<_> =
            self.verdicts.iter().map(|(verdict, count)| format!("{verdict}: {count}")).collect();
        println!(
            "| {scene} | {calls} {} | {} | {} {} | {} | {} |",
            words.calls,
            self.faults(),
            self.faults.len(),
            words.kinds,
            verdicts.join(", "),
            self.violations.len()
        );
        assert!(self.violations.is_empty(), "{scene}:\n{}", self.violations.join("\n"));
    }
}

/// The words of a line.
pub(crate) struct Words {
    /// What there is in a login that can fail.
    pub(crate) calls: &'static str,
    /// In how many ways it does.
    pub(crate) kinds: &'static str,
}
