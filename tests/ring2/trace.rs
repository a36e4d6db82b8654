//! What strace saw of a call of libpam: the system calls between the two marks of the bare application.

use std::fs;

use crate::run::Outcome;
use crate::stage::Stage;

/// A system call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// Arguments, result and what strace adds.
    pub(crate) text: String,
    /// Which of the calls of this name in the whole program it is, from 1: strace's `when`.
    pub(crate) number: usize,
    /// Whether the program was in a call of libpam.
    pub(crate) inside: bool,
}

impl Call {
    /// The path of a file that was opened: its descriptor's, or the directory's and the name. With `-y`.
    pub(crate) fn path(&self) -> Option<String> {
        let directory = self.text.split_once('<')?.1.split_once(">, ")?.0;
        let name = self.text.split('"').nth(1)?;
        Some(if name.starts_with('/') { name.to_owned() } else { format!("{directory}/{name}") })
    }
}

impl Stage {
    /// Runs the application with the virtual module under strace with these options, and `-y`.
    pub(crate) fn traced(&self, options: &[&str], words: &[&str]) -> (Outcome, Vec<Call>) {
        let trace = self.trace_file();
        let before = [&["strace", "-f", "-y", "-s", "256", "-o", &trace], options].concat();
        let outcome = self.application().before(&before).run(words);
        let text = fs::read_to_string(&trace).unwrap();
        fs::remove_file(&trace).unwrap();
        (outcome, calls(&text))
    }

    /// The same with the shipped module and its key.
    pub(crate) fn traced_plugged(&self, words: &[&str]) -> (Outcome, Vec<Call>) {
        let trace = self.trace_file();
        let strace = ["strace", "-f", "-y", "-s", "256", "-o", &trace];
        let outcome = self.run_plugged(&strace, words);
        let text = fs::read_to_string(&trace).unwrap();
        fs::remove_file(&trace).unwrap();
        (outcome, calls(&text))
    }
}

/// The calls of a trace, signals and ends left out.
fn calls(trace: &str) -> Vec<Call> {
    let mut inside = false;
    let mut numbers = std::collections::BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let Some((name, text)) = call.split_once('(') else { continue };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let number = numbers.entry(name.to_owned()).or_insert(0);
        *number += 1;
        if text.contains("\"/fidokey-begin\"") {
            inside = true;
        } else if text.contains("\"/fidokey-end\"") {
            inside = false;
        } else {
            let (name, text) = (name.to_owned(), text.to_owned());
            calls.push(Call { name, text, number: *number, inside });
        }
    }
    calls
}
