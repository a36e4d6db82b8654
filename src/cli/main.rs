//! `fidokey`, the command: what is typed becomes a verb, the verb an exit code. A file per verb.

#![forbid(unsafe_code)]

mod account;
mod arguments;
mod completions;
mod doctor;
mod enroll;
mod import;
mod json;
mod key;
mod list;
mod log;
mod manage;
mod needed;
mod notice;
mod outcome;
mod record;
mod registry;
#[cfg(test)]
#[path = "tests/schema/mod.rs"]
mod schema;
mod self_service;
mod stack;
mod status;
mod table;
mod terminal;
mod test;

use std::ffi::OsString;
use std::panic;
use std::process::ExitCode;

use arguments::{Color, Manner, Typed, Verb};
use outcome::{Exit, Outcome};

fn main() -> ExitCode {
    panic::set_hook(Box::new(|panic| outcome::bug(panic.location())));
    match panic::catch_unwind(run) {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(failure)) => failure.say().into(),
        Err(_said_by_the_hook) => Exit::Bug.into(),
    }
}

fn run() -> Outcome {
    let words: Vec<OsString> = std::env::args_os().collect();
    if self_service::is_for(&words) {
        // Whether colours are wanted is in an environment that pkexec has emptied.
        terminal::begin(&Manner { color: Color::Never, ..Manner::default() });
        return self_service::run(&words);
    }
    let (typed, manner) = match arguments::parse(words) {
        Ok(both) => both,
        Err(failure) => {
            terminal::begin(&Manner::default());
            return Err(failure);
        }
    };
    terminal::begin(&manner);
    match typed {
        Typed::Verb(verb) => perform(&verb),
        Typed::Help(text) => terminal::print(&text).map(|()| Exit::Done),
        Typed::Nothing(help) => {
            terminal::say(&help);
            Ok(Exit::Usage)
        }
    }
}

fn perform(verb: &Verb) -> Outcome {
    match verb {
        Verb::Completions(asked) => completions::run(asked),
        Verb::Disable(asked) => stack::disable::run(asked),
        Verb::Doctor(asked) => doctor::run(asked),
        Verb::Enable(asked) => stack::enable::run(asked),
        Verb::Enroll(asked) => enroll::run(asked),
        Verb::Import(asked) => import::run(asked),
        Verb::Key(asked) => key::run(asked),
        Verb::List(asked) => list::run(asked),
        Verb::Remove(asked) => manage::remove(asked),
        Verb::Rename(asked) => manage::rename(asked),
        Verb::Reset(asked) => manage::reset(asked),
        Verb::Revert(asked) => stack::revert::run(asked),
        Verb::Status(asked) => status::run(asked),
        Verb::Test(asked) => test::run(asked),
        Verb::Worker => key::worker::run(),
    }
}
