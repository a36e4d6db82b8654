//! The command line: what is typed, as the verb that is meant. Nothing is looked up here.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::outcome::{Exit, Failure};

mod import;
mod key;
mod manner;
mod records;
mod stacks;
mod values;

pub(crate) use import::{Common, Import, PamU2f, Ssh};
pub(crate) use key::{
    AddFingerprint, Credentials, Fingerprint, Info, Key, KeyReset, ListOnKey, Pin,
    RemoveCredential, RemoveFingerprint, RenameFingerprint,
};
pub(crate) use manner::{Color, Completions, Manner, Shell};
pub(crate) use records::{Enroll, List, Remove, Rename, Reset, Status, Test};
pub(crate) use stacks::{Disable, Doctor, Enable, Revert};

/// What was typed comes to.
#[derive(Debug)]
pub(crate) enum Typed {
    /// This text was asked for.
    Help(String),
    /// Nothing was typed; this is the help.
    Nothing(String),
    /// Do this.
    Verb(Verb),
}

/// Register security keys for logging in, and look at them.
#[derive(Debug, Parser)]
#[command(name = "fidokey", version, subcommand_required = true, arg_required_else_help = true)]
#[command(disable_help_subcommand = true, after_help = EXIT_CODES)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    manner: Manner,
}

const EXIT_CODES: &str = "\
Exit codes: 0 yes or done; 1 no; 2 usage; 3 no key, timed out or cancelled; 4 not permitted;
5 configuration or records unreadable; 70 a bug. The manual is fidokey(1).";

// What is meant, in the order in which the help has it. Not a docstring: clap would show it.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Completions(Completions),
    Disable(Disable),
    Doctor(Doctor),
    Enable(Enable),
    Enroll(Enroll),
    #[command(subcommand)]
    Import(Import),
    #[command(subcommand)]
    Key(Key),
    List(List),
    Remove(Remove),
    Rename(Rename),
    Reset(Reset),
    #[command(hide = true)]
    Revert(Revert),
    Status(Status),
    Test(Test),
    /// Talk to a key for the command that has started this one
    #[command(hide = true)]
    Worker,
}

/// What `typed` means, and how to talk of it; the first of `typed` is the name of the program.
///
/// # Errors
/// [`Failure`] for what cannot be meant.
pub(crate) fn parse(typed: impl IntoIterator<Item = OsString>) -> Result<(Typed, Manner), Failure> {
    let error = match CommandLine::try_parse_from(typed) {
        Ok(CommandLine { verb, manner }) => return Ok((Typed::Verb(verb), manner)),
        Err(error) => error,
    };
    let typed = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(Typed::Help(error.to_string())),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Ok(Typed::Nothing(CommandLine::command().render_help().to_string()))
        }
        _ => Err(Failure::new(Exit::Usage, first_sentence(&error), "See `fidokey --help`.")),
    };
    typed.map(|typed| (typed, Manner::default()))
}

/// What is wrong, without the usage that clap puts below it.
fn first_sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    let sentence = text.split("\n\n").next().unwrap_or_default();
    let sentence = sentence.strip_prefix("error: ").unwrap_or(sentence).trim_end();
    let mut characters = sentence.chars();
    let first = characters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect()
}

// Beside this and not elsewhere: the definition is nobody else's.
#[cfg(test)]
mod completions;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod manual;
#[cfg(test)]
mod tests;
