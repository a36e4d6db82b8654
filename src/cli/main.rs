//! `fidokey`, the command: what is typed becomes a verb, the verb an exit code. A file per verb.

#![forbid(unsafe_code)]

mod account;
mod arguments;
mod doctor;
mod enroll;
mod json;
mod key;
mod list;
mod log;
mod outcome;
mod record;
mod stack;
mod terminal;
mod test;

use std::panic;
use std::process::ExitCode;

use arguments::Verb;
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
    match arguments::parse(std::env::args_os())? {
        Verb::Disable(asked) => stack::disable::run(&asked),
        Verb::Doctor(asked) => doctor::run(&asked),
        Verb::Enable(asked) => stack::enable::run(&asked),
        Verb::Enroll(asked) => enroll::run(&asked),
        Verb::KeyPinCheck => key::check(),
        Verb::List(asked) => list::run(&asked),
        Verb::Revert(asked) => stack::revert::run(&asked),
        Verb::Test(asked) => test::run(&asked),
        Verb::Help(text) => terminal::print(&text).map(|()| Exit::Done),
        Verb::Nothing(help) => {
            terminal::say(&help);
            Ok(Exit::Usage)
        }
    }
}
