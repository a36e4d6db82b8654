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
fn unprivileged(arguments: &[&str]) -> Command {
    let mut command = fidokey(arguments);
    if fidokey_system::accounts::effective_uid() == 0 {
        command.uid(NOBODY_UID).gid(NOBODY_UID);
    }
    command
}

fn run_unprivileged(arguments: &[&str]) -> Output {
    unprivileged(arguments).output().expect("the command can be run by others")
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
    assert!(text(&output.stderr).contains("Usage: fidokey [OPTIONS] <COMMAND>"));
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
fn given_nobody_to_ask_then_a_key_keeps_what_it_has_and_where_that_was_said_it_is_a_matter_of_usage()
 {
    for (arguments, question) in [
        (["key", "reset"].as_slice(), "Reset the key?"),
        (&["key", "credentials", "remove", "01020304"], "Remove the credential 01020304 for ever?"),
    ] {
        assert_failure(&run(arguments), 1, "", "there is nobody to ask whether that is meant.");
        let forbidden = run(&[arguments, &["--no-input"]].concat());
        assert_failure(&forbidden, 2, "", &format!("Nobody can be asked here: {question}"));
        assert!(text(&forbidden.stderr).contains("Say --force, "));
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
    // For programs no keys are an object as well: schemas.rs.
    let output = run(&["list", "--json", "--user", NOBODY]);
    assert_failure(&output, code, text(&output.stdout), words);
    assert_eq!(output.stdout.is_empty(), !installed);
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
    for name in ["SUDO_USER", "USER", "LOGNAME", "SUDO_UID", "HOME"] {
        command.env(name, "4711");
    }
    assert_eq!(command.output().expect("the command was built"), plain);
}

// E2: `pkexec --user alice fidokey …`, typed by bob.
#[test]
fn given_pkexec_to_an_account_that_is_not_root_then_no_verb_does_anything() {
    for said in ["0", "1000", "65534", "", "x"] {
        for arguments in [
            [].as_slice(),
            &["list"],
            &["--help"],
            &["enroll"],
            &["test", "--", "mode=second-factor"],
            &["self-enroll"],
            &["self-remove", "Blue"],
            &["self-enroll", "--user", "bob"],
        ] {
            let output = unprivileged(arguments).env("PKEXEC_UID", said).output();
            let output = output.expect("the command can be run by others");
            assert_failure(&output, 4, "", "pkexec runs this as root, or not at all.");
        }
    }
}

// E2.
#[test]
fn given_the_privileged_verbs_without_pkexec_then_they_are_refused_to_everybody() {
    for arguments in [
        ["self-enroll"].as_slice(),
        &["self-enroll", "Blue"],
        &["self-remove", "Blue"],
        &["self-rename", "a", "b"],
    ] {
        assert_failure(&run_unprivileged(arguments), 4, "", "for pkexec to start");
        let mut command = fidokey(arguments);
        command.env_remove("PKEXEC_UID");
        let output = command.output().expect("the command was built");
        assert_failure(&output, 4, "", "`fidokey enroll --user USER` as root");
    }
    if fidokey_system::accounts::effective_uid() != 0 {
        return;
    }
    for said in ["0", "", "+65534", "065534", "65534 ", "4294967295", "root", "nobody", "54321"] {
        let output = fidokey(&["self-enroll"]).env("PKEXEC_UID", said).output();
        assert_failure(&output.expect("the command was built"), 4, "", "for pkexec to start");
    }
    // nobody is an account, and the arguments are looked at.
    for arguments in
        [["self-enroll", "--user", "root"].as_slice(), &["self-enroll", ""], &["self-remove"]]
    {
        let output = fidokey(arguments).env("PKEXEC_UID", "65534").output();
        assert_failure(&output.expect("the command was built"), 2, "", "not what pkexec can have");
    }
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

// E15: each exit code that can be had without a key; 3 is in the virtual machine.
#[test]
fn given_the_exit_codes_then_the_help_and_the_manual_have_them() {
    let help = run(&["--help"]);
    let manual = include_str!("../../../packaging/man/fidokey.1");
    let manual = manual.split(".Sh EXIT STATUS").nth(1).expect("a section");
    let manual = manual.split(".Sh ").next().unwrap_or_default();
    for code in ["0", "1", "2", "3", "4", "5", "70"] {
        assert!(text(&help.stdout).contains(&format!("{code} ")), "{code}");
        assert!(manual.contains(&format!(".It {code}\n")), "{code}");
    }
}

#[test]
fn given_the_three_shells_then_what_completes_them_is_printed() {
    for (shell, words) in
        [("bash", "complete -F"), ("fish", "complete -c fidokey"), ("zsh", "#compdef fidokey")]
    {
        let output = run(&["completions", shell]);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
        assert!(text(&output.stdout).contains(words), "{shell}");
    }
    assert_failure(&run(&["completions", "tcsh"]), 2, "", "'tcsh'");
}

// E15: colours are for a terminal, or for whoever says so.
#[test]
fn given_no_terminal_then_nothing_is_coloured_unless_it_is_said() {
    let arguments = ["list", "--user", "not-an-account"];
    let plain = run(&arguments);
    assert!(!plain.stderr.contains(&0x1b));
    let colored = run(&[&arguments[..], &["--color", "always"]].concat());
    let bold = text(&plain.stderr).lines().next().map(|line| format!("\u{1b}[1m{line}\u{1b}[0m\n"));
    assert!(text(&colored.stderr).starts_with(&bold.expect("a line")), "{}", text(&colored.stderr));
    for said in [["--color", "never"], ["--color", "auto"]] {
        let said = [&arguments[..], &said].concat();
        assert_eq!(fidokey(&said).env("TERM", "xterm").output().expect("it").stderr, plain.stderr);
    }
}

#[test]
fn given_quiet_then_errors_are_said_all_the_same_and_nothing_else() {
    let output = run(&["list", "--quiet", "--user", "not-an-account"]);
    assert_failure(&output, 1, "", "no account not-an-account");
}
