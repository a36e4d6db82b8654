//! The built command from outside: its exit codes, and its errors of two lines. Nothing here writes to /etc;
//! registering a key is proven in the virtual machine.

#![expect(clippy::expect_used, reason = "a test says what went wrong by failing")]

use std::fs::File;
use std::io::pipe;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

/// An account that every system has and nobody registers keys for.
const NOBODY: &str = "nobody";
const NOBODY_UID: u32 = 65534;

#[expect(clippy::disallowed_methods, reason = "a test is not login's process")]
fn fidokey(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fidokey"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    fidokey(arguments).output().expect("the command was built")
}

/// As somebody who is not root, whoever runs the tests.
fn run_unprivileged(arguments: &[&str]) -> Output {
    let mut command = fidokey(arguments);
    if fidokey_system::accounts::effective_uid() == 0 {
        command.uid(NOBODY_UID).gid(NOBODY_UID);
    }
    command.output().expect("the command can be run by others")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// Nothing on the standard output but `stdout`, and an error of two lines that has `words` in it.
#[track_caller]
fn assert_failure(output: &Output, code: i32, stdout: &str, words: &str) {
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert_eq!(text(&output.stdout), stdout);
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(told.contains(words), "{told}");
    assert!(told.ends_with('\n'));
}

#[test]
fn given_no_arguments_then_the_help_is_talk_and_the_code_is_2() {
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    assert!(text(&output.stderr).contains("Usage: fidokey <COMMAND>"));
}

#[test]
fn given_a_question_for_help_or_version_then_it_is_data_and_the_code_is_0() {
    for (arguments, words) in [
        (["--help"].as_slice(), "Exit codes:"),
        (&["enroll", "--help"], "--name <NAME>"),
        (&["list", "--help"], "--json"),
        (&["test", "--help"], "--service <SERVICE>"),
        (&["--version"], "fidokey 0."),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains(words), "{}", text(&output.stdout));
        assert_eq!(text(&output.stderr), "");
    }
}

#[test]
fn given_a_wrong_command_line_then_the_code_is_2() {
    assert_failure(&run(&["enrol"]), 2, "", "subcommand 'enrol'");
    assert_failure(&run(&["list", "--all"]), 2, "", "'--all'");
    let output = run(&["list", "--user", "a\u{1b}[2J\nb"]);
    assert_failure(&output, 2, "", "'a?[2J?b'");
}

#[test]
fn given_somebody_who_is_not_root_then_nothing_is_registered_and_the_code_is_4() {
    for arguments in [["enroll"].as_slice(), &["enroll", "--user", NOBODY, "--name", "Blue"]] {
        assert_failure(&run_unprivileged(arguments), 4, "", "Only root registers keys.");
    }
}

#[test]
fn given_root_and_no_account_then_root_is_not_registered_by_accident() {
    let output = run(&["enroll"]);
    if fidokey_system::accounts::effective_uid() == 0 {
        assert_failure(&output, 2, "", "--user USER");
    } else {
        assert_failure(&output, 4, "", "Only root registers keys.");
    }
}

#[test]
fn given_an_account_without_a_record_then_no_is_told_from_unreadable() {
    // Without the directory nothing is proven: F10.
    let installed = Path::new("/etc/fidokey/users").is_dir();
    let (code, words) = if installed { (1, "No keys are registered") } else { (5, "missing") };
    assert_failure(&run(&["list", "--user", NOBODY]), code, "", words);
    assert_failure(&run_unprivileged(&["list", "--user", NOBODY]), code, "", words);
    let array = if installed { "[]\n" } else { "" };
    assert_failure(&run(&["list", "--json", "--user", NOBODY]), code, array, words);
}

// U3.
#[test]
fn given_an_account_that_there_is_not_then_it_is_said() {
    let words = "no account not-an-account";
    assert_failure(&run(&["list", "--user", "not-an-account"]), 1, "", words);
    let output = run(&["test", "--user", "not-an-account", "--", "mode=second-factor"]);
    assert_failure(&output, 1, "denied: user_unknown\n", words);
}

// K2.
#[test]
fn given_an_argument_of_the_module_that_is_none_then_it_is_named() {
    let output = run(&["test", "--user", NOBODY, "--", "mode=second-factor", "nouserokk"]);
    assert_failure(&output, 5, "denied: config\n", "argument 2: nouserokk");
    let output = run(&["test", "--user", NOBODY, "--", "mode=alternative"]);
    assert_failure(&output, 5, "denied: config\n", "verification = \"required\"");
}

// U1.
#[test]
fn the_environment_says_nothing_about_who_it_is() {
    let plain = run(&["list"]);
    let mut command = fidokey(&["list"]);
    for name in ["SUDO_USER", "USER", "LOGNAME", "PKEXEC_UID", "SUDO_UID", "HOME"] {
        command.env(name, "4711");
    }
    assert_eq!(command.output().expect("the command was built"), plain);
}

#[test]
fn given_a_reader_that_went_away_then_it_ends_quietly() {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let output = fidokey(&["--help"]).stdout(writer).output().expect("the command was built");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}

#[test]
fn given_an_output_that_cannot_be_written_then_it_is_said() {
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let output = fidokey(&["--help"]).stdout(full).output().expect("the command was built");
    assert_failure(&output, 70, "", "standard output");
}
