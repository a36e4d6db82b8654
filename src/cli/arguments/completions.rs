//! What completes the command line in bash, zsh and fish: written from the definition into `packaging/completions`
//! by `make completions`, and held against it by every other run of the tests.

use std::path::Path;
use std::{env, fs};

use clap::{Command, CommandFactory, ValueHint};
use clap_complete::{Shell, generate};

use super::CommandLine;

/// Where each of them is kept.
const FILES: [(Shell, &str); 3] =
    [(Shell::Bash, "fidokey.bash"), (Shell::Fish, "fidokey.fish"), (Shell::Zsh, "_fidokey")];

/// `command` without the verbs that its help does not show, and with accounts after `--user`.
fn shown(command: &Command) -> Command {
    // Names have to last: there are a few of them, and the test ends.
    let mut shown = Command::new(&*command.get_name().to_owned().leak())
        .about(command.get_about().cloned().unwrap_or_default())
        .disable_help_subcommand(true);
    if let Some(version) = command.get_version() {
        shown = shown.version(&*version.to_owned().leak());
    }
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(self::shown);
    shown.args(command.get_arguments().cloned()).subcommands(verbs).mut_args(|argument| {
        match argument.get_id() == "user" {
            true => argument.value_hint(ValueHint::Username),
            false => argument,
        }
    })
}

/// Where this fails, `make completions` mends it.
#[test]
#[allow(clippy::disallowed_methods, reason = "whoever runs the tests says whether to write")]
fn given_the_completions_then_they_are_the_definitions() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/completions");
    let write = env::var_os("FIDOKEY_COMPLETIONS").is_some();
    for (shell, file) in FILES {
        let mut text = Vec::new();
        generate(shell, &mut shown(&CommandLine::command()), "fidokey", &mut text);
        let text = String::from_utf8(text).expect("text");
        let path = directory.join(file);
        if write {
            fs::write(&path, &text).expect("a file that can be written");
        }
        let kept = fs::read_to_string(&path).expect("a file");
        assert!(kept == text, "{file} is not what the definition makes of it: make completions");
        for verb in shown(&CommandLine::command()).get_subcommands() {
            assert!(kept.contains(verb.get_name()), "{file}: {}", verb.get_name());
        }
    }
}

#[test]
fn given_a_hidden_verb_then_no_completion_offers_it() {
    let command = Command::new("fidokey")
        .subcommand(Command::new("list"))
        .subcommand(Command::new("secret").hide(true));
    let mut text = Vec::new();
    generate(Shell::Bash, &mut shown(&command), "fidokey", &mut text);
    let text = String::from_utf8(text).expect("text");
    assert!(text.contains("list") && !text.contains("secret"));
}
