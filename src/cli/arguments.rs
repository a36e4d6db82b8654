//! The command line: what is typed, as the verb that is meant. Nothing is looked up here.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use fidokey_core::credential::{AccountName, Algorithm, KeyName, Verification, is_unprintable};
use fidokey_core::policy::Mode;

use crate::outcome::{Exit, Failure};

/// What is meant.
#[derive(Debug)]
pub(crate) enum Verb {
    /// Take the module out of stacks.
    Disable(Disable),
    /// Look for what would lock out or weaken.
    Doctor(Doctor),
    /// Put the module into stacks.
    Enable(Enable),
    /// Register a key.
    Enroll(Enroll),
    /// This text was asked for.
    Help(String),
    /// Try a key's PIN.
    KeyPinCheck,
    /// Show the keys of an account.
    List(List),
    /// Nothing was typed; this is the help.
    Nothing(String),
    /// Undo what nobody has confirmed.
    Revert(Revert),
    /// Try a login.
    Test(Test),
}

/// Register security keys for logging in, and look at them.
#[derive(Debug, Parser)]
#[command(name = "fidokey", version, subcommand_required = true, arg_required_else_help = true)]
#[command(disable_help_subcommand = true, after_help = EXIT_CODES)]
struct CommandLine {
    #[command(subcommand)]
    verb: Typed,
}

const EXIT_CODES: &str = "\
Exit codes: 0 yes or done; 1 no; 2 usage; 3 no key, timed out or cancelled; 4 not permitted;
5 configuration or records unreadable; 70 a bug. The manual is fidokey(1).";

#[derive(Debug, Subcommand)]
enum Typed {
    Disable(Disable),
    Doctor(Doctor),
    Enable(Enable),
    Enroll(Enroll),
    #[command(subcommand)]
    Key(Key),
    List(List),
    #[command(hide = true)]
    Revert(Revert),
    Test(Test),
}

/// What concerns the key itself, whoever it belongs to.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum Key {
    /// The key's PIN
    #[command(subcommand, disable_help_subcommand = true)]
    Pin(Pin),
}

#[derive(Debug, Subcommand)]
enum Pin {
    /// Try the PIN once, however few tries are left: the right one gives all of them back.
    ///
    /// A wrong one spends a try; after the last one the key has to be reset. Plug in that key alone.
    Check,
}

/// Find what would lock out or weaken a login, each with what mends it (root only).
///
/// Looks at records, policy, states, PAM stacks, the module and the devices, and changes nothing. Exit code 1 when
/// anything would lock out or weaken; warnings and notes are not bad.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Show a JSON object instead of lines
    #[arg(long)]
    pub(crate) json: bool,
    /// Look at the system that is mounted there, which does not run [default: this one]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) root: Option<PathBuf>,
}

/// Ask for the key in a service: puts the module's line into its PAM stack (root only).
///
/// Nothing is changed before the account with the key has logged in by the new stack, in a directory of its own. Where
/// the line would not be in force, or nobody could log in any more, it is refused.
#[derive(Args, Debug)]
pub(crate) struct Enable {
    /// The services: names of files in /etc/pam.d
    #[arg(required = true, value_name = "SERVICE", value_parser = service_name)]
    pub(crate) services: Vec<String>,
    /// second-factor: the key after the password; alternative: the key instead of it
    #[arg(long, value_name = "MODE", value_parser = mode, default_value = "second-factor")]
    pub(crate) mode: Mode,
    /// Who logs in by the new stack [default: who has logged in here]
    #[arg(long, value_name = "USER", value_parser = account_name)]
    pub(crate) user: Option<AccountName>,
    /// Undo it unless somebody logs in by it within this time, 30s to 60m; a restart undoes it as well
    #[arg(long = "try", value_name = "TIME", value_parser = span)]
    pub(crate) trial: Option<Duration>,
    /// Show what would be changed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask for a login, a second key or a way back in: somebody may be locked out
    #[arg(long)]
    pub(crate) force: bool,
}

/// Stop asking for the key in a service: takes the module's line out of its PAM stack (root only; needs no key).
#[derive(Args, Debug)]
pub(crate) struct Disable {
    /// The services: names of files in /etc/pam.d
    #[arg(required = true, value_name = "SERVICE", value_parser = service_name)]
    pub(crate) services: Vec<String>,
    /// The root of another system that is mounted there
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) root: Option<PathBuf>,
    /// Show what would be changed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Take the line out even where the others would then do something else
    #[arg(long)]
    pub(crate) force: bool,
}

/// Undo what was enabled with --try and that nobody has logged in by in time
#[derive(Args, Debug)]
pub(crate) struct Revert {
    /// Whatever time is left: the machine has just been started
    #[arg(long)]
    pub(crate) boot: bool,
}

/// Register the key that is touched (root only).
///
/// Touch it twice, once to register and once to prove that a login with it works; nothing is written before
/// that.
#[derive(Args, Debug)]
pub(crate) struct Enroll {
    /// The account that the key is for
    #[arg(long, value_name = "USER", value_parser = account_name)]
    pub(crate) user: Option<AccountName>,
    /// What to call the key [default: the first of "Key 1", "Key 2", ... that is free]
    #[arg(long, value_name = "NAME", value_parser = key_name)]
    pub(crate) name: Option<KeyName>,
    /// Which algorithm its credential must have [default: es256, or eddsa where the key has no other]
    #[arg(long, value_name = "ALGORITHM", value_parser = algorithm)]
    pub(crate) algorithm: Option<Algorithm>,
    /// What a login with it must prove beyond the touch, whatever the policy says: none, or required, which is its PIN
    /// or a fingerprint [default: none]
    #[arg(long, value_name = "VERIFICATION", value_parser = verification)]
    pub(crate) verification: Option<Verification>,
}

/// Show the keys of an account.
///
/// Exit code 1 when there are none.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// The account [default: your own]
    #[arg(long, value_name = "USER", value_parser = account_name)]
    pub(crate) user: Option<AccountName>,
    /// Show an array of JSON objects instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Come to the decision that a login would come to, the touch included; nobody is logged in.
///
/// Prints "granted: KEY", "exempt: REASON" or "denied: REASON". Exit code 0 when the key lets in, 1 when the
/// key would not be asked for (exempt); a denial has the code of its reason.
#[derive(Args, Debug)]
pub(crate) struct Test {
    /// The account [default: your own]
    #[arg(long, value_name = "USER", value_parser = account_name)]
    pub(crate) user: Option<AccountName>,
    /// The PAM service that asks
    #[arg(long, value_name = "SERVICE", default_value = "sudo", value_parser = service_name)]
    pub(crate) service: String,
    /// Arguments of the module's line, for example mode=second-factor
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(crate) module_arguments: Vec<OsString>,
}

/// The verb that `typed` means; the first of `typed` is the name of the program.
///
/// # Errors
/// [`Failure`] for what cannot be meant.
pub(crate) fn parse(typed: impl IntoIterator<Item = OsString>) -> Result<Verb, Failure> {
    let error = match CommandLine::try_parse_from(typed) {
        Ok(CommandLine { verb: Typed::Disable(asked) }) => return Ok(Verb::Disable(asked)),
        Ok(CommandLine { verb: Typed::Doctor(asked) }) => return Ok(Verb::Doctor(asked)),
        Ok(CommandLine { verb: Typed::Enable(asked) }) => return Ok(Verb::Enable(asked)),
        Ok(CommandLine { verb: Typed::Enroll(asked) }) => return Ok(Verb::Enroll(asked)),
        Ok(CommandLine { verb: Typed::Key(Key::Pin(Pin::Check)) }) => return Ok(Verb::KeyPinCheck),
        Ok(CommandLine { verb: Typed::List(asked) }) => return Ok(Verb::List(asked)),
        Ok(CommandLine { verb: Typed::Revert(asked) }) => return Ok(Verb::Revert(asked)),
        Ok(CommandLine { verb: Typed::Test(asked) }) => return Ok(Verb::Test(asked)),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(Verb::Help(error.to_string())),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Ok(Verb::Nothing(CommandLine::command().render_help().to_string()))
        }
        _ => Err(Failure::new(Exit::Usage, first_sentence(&error), "See `fidokey --help`.")),
    }
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

fn account_name(text: &str) -> Result<AccountName, String> {
    AccountName::new(text).map_err(|bad| bad.to_string())
}

fn key_name(text: &str) -> Result<KeyName, String> {
    KeyName::new(text).map_err(|bad| bad.to_string())
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    let known = Algorithm::ALL.into_iter().find(|algorithm| algorithm.word() == text);
    known.ok_or_else(|| "an algorithm is es256 or eddsa".to_owned())
}

fn verification(text: &str) -> Result<Verification, String> {
    let known = Verification::ALL.into_iter().find(|verification| verification.word() == text);
    known.ok_or_else(|| "a verification is none or required".to_owned())
}

fn mode(text: &str) -> Result<Mode, String> {
    let known = Mode::ALL.into_iter().find(|mode| mode.word() == text);
    known.ok_or_else(|| "a mode is second-factor or alternative".to_owned())
}

/// `30s`, `5m`.
fn span(text: &str) -> Result<Duration, String> {
    let number = |digits: &str| digits.parse::<u64>().ok();
    let seconds = match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(seconds), _) => number(seconds),
        (_, Some(minutes)) => number(minutes).and_then(|minutes| minutes.checked_mul(60)),
        _ => None,
    };
    let seconds = seconds.filter(|seconds| (30..=3600).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "a time is 30s to 60m".to_owned())
}

/// The name as libpam would have it, which puts it into lower case.
fn service_name(text: &str) -> Result<String, String> {
    let odd = |c: char| is_unprintable(c) || c.is_whitespace() || c == '/';
    if text.is_empty() || text.chars().any(odd) {
        return Err("a service is the name of a file in /etc/pam.d".to_owned());
    }
    Ok(text.to_ascii_lowercase())
}

// Beside this and not elsewhere: the definition is nobody else's.
#[cfg(test)]
#[path = "completions.rs"]
mod completions;

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(words: &[&str]) -> Result<Verb, Failure> {
        parse(["fidokey"].iter().chain(words).map(OsString::from))
    }

    #[test]
    fn the_definition_holds_together() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn given_a_verb_then_its_options_are_what_was_typed() {
        match typed(&["enroll", "--user", "alice", "--name", "Blue key"]) {
            Ok(Verb::Enroll(Enroll { user: Some(user), name: Some(name), .. })) => {
                assert_eq!((user.as_str(), name.as_str()), ("alice", "Blue key"));
            }
            other => panic!("{other:?}"),
        }
        match typed(&["doctor", "--json", "--root", "/mnt"]) {
            Ok(Verb::Doctor(Doctor { json: true, root: Some(root) })) => {
                assert_eq!(root, PathBuf::from("/mnt"));
            }
            other => panic!("{other:?}"),
        }
        match typed(&["list", "--json"]) {
            Ok(Verb::List(List { user: None, json: true })) => {}
            other => panic!("{other:?}"),
        }
        match typed(&["test", "--service", "SU", "--", "mode=second-factor", "--user"]) {
            Ok(Verb::Test(Test { user: None, service, module_arguments })) => {
                assert_eq!(service, "su");
                assert_eq!(module_arguments, ["mode=second-factor", "--user"]);
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(typed(&["key", "pin", "check"]), Ok(Verb::KeyPinCheck)));
        match typed(&["test"]) {
            Ok(Verb::Test(Test { service, .. })) => assert_eq!(service, "sudo"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn given_what_cannot_be_meant_then_one_sentence_says_it() {
        for (words, sentence) in [
            (["lsit", "", ""].as_slice(), "Unrecognized subcommand 'lsit'."),
            (&["list", "--jsn"], "Unexpected argument '--jsn' found."),
            (&["list", "--user"], "A value is required for '--user <USER>' but none was supplied."),
            (
                &["list", "--user", "../etc"],
                "Invalid value '../etc' for '--user <USER>': an account name must not begin with '-' or '.'.",
            ),
            (
                &["enroll", "--name", " "],
                "Invalid value ' ' for '--name <NAME>': a key name has no space at either end.",
            ),
            (
                &["test", "--service", "a b"],
                "Invalid value 'a b' for '--service <SERVICE>': a service is the name of a file in /etc/pam.d.",
            ),
        ] {
            let expected = Failure::new(Exit::Usage, sentence, "See `fidokey --help`.");
            match typed(words) {
                Err(failure) => assert_eq!(failure, expected),
                Ok(verb) => panic!("{verb:?}"),
            }
        }
    }

    #[test]
    fn help_is_an_answer_when_it_was_asked_for() {
        assert!(matches!(typed(&["--help"]), Ok(Verb::Help(_))));
        assert!(matches!(typed(&["test", "--help"]), Ok(Verb::Help(_))));
        assert!(matches!(typed(&["--version"]), Ok(Verb::Help(_))));
        assert!(matches!(typed(&[]), Ok(Verb::Nothing(_))));
    }
}
