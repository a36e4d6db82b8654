//! What is typed, and what is meant.

use std::path::PathBuf;
use std::time::Duration;

use super::*;

fn typed(words: &[&str]) -> Result<Typed, Failure> {
    parse(["fidokey"].iter().chain(words).map(OsString::from)).map(|(typed, _manner)| typed)
}

#[test]
fn the_definition_holds_together() {
    CommandLine::command().debug_assert();
}

#[test]
fn given_a_verb_then_its_options_are_what_was_typed() {
    match typed(&["enroll", "--user", "alice", "--name", "Blue key"]) {
        Ok(Typed::Verb(Verb::Enroll(Enroll { user: Some(user), name: Some(name), .. }))) => {
            assert_eq!((user.as_str(), name.as_str()), ("alice", "Blue key"));
        }
        other => panic!("{other:?}"),
    }
    match typed(&["doctor", "--json", "--root", "/mnt"]) {
        Ok(Typed::Verb(Verb::Doctor(Doctor { json: true, root: Some(root) }))) => {
            assert_eq!(root, PathBuf::from("/mnt"));
        }
        other => panic!("{other:?}"),
    }
    match typed(&["list", "--json"]) {
        Ok(Typed::Verb(Verb::List(List { user: None, json: true }))) => {}
        other => panic!("{other:?}"),
    }
    match typed(&["test", "--service", "SU", "--", "mode=second-factor", "--user"]) {
        Ok(Typed::Verb(Verb::Test(Test {
            user: None,
            service,
            module_arguments,
            json: false,
        }))) => {
            assert_eq!(service, "su");
            assert_eq!(module_arguments, ["mode=second-factor", "--user"]);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        typed(&["key", "pin", "check"]),
        Ok(Typed::Verb(Verb::Key(Key::Pin(Pin::Check))))
    ));
    match typed(&["import", "pam-u2f", "--service", "SUDO", "--appid", "pam://a", "/etc/u2f_keys"])
    {
        Ok(Typed::Verb(Verb::Import(Import::PamU2f(PamU2f { file, service, appid, .. })))) => {
            assert_eq!(file, PathBuf::from("/etc/u2f_keys"));
            assert_eq!(service.as_deref(), Some("sudo"));
            assert_eq!(appid.unwrap().as_str(), "pam://a");
        }
        other => panic!("{other:?}"),
    }
    match typed(&["import", "ssh", "a", "b", "--protocol", "u2f", "--dry-run"]) {
        Ok(Typed::Verb(Verb::Import(Import::Ssh(Ssh { files, user: None, common })))) => {
            assert_eq!(files.len(), 2);
            assert!(common.dry_run && common.protocol.is_some());
        }
        other => panic!("{other:?}"),
    }
    match typed(&["test"]) {
        Ok(Typed::Verb(Verb::Test(Test { service, .. }))) => assert_eq!(service, "sudo"),
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
    assert!(matches!(typed(&["--help"]), Ok(Typed::Help(_))));
    assert!(matches!(typed(&["test", "--help"]), Ok(Typed::Help(_))));
    assert!(matches!(typed(&["--version"]), Ok(Typed::Help(_))));
    assert!(matches!(typed(&[]), Ok(Typed::Nothing(_))));
}

#[test]
fn given_how_to_talk_then_it_can_be_said_before_the_verb_and_after_it() {
    let manner = |words: &[&str]| {
        let typed = parse(["fidokey"].iter().chain(words).map(OsString::from));
        typed.map(|(_typed, manner)| manner)
    };
    let said = ["--quiet", "--color", "never", "--no-input", "--timeout", "2m"];
    for words in [[&said[..], &["list"]].concat(), [&["key", "pin", "check"], &said[..]].concat()] {
        let manner = manner(&words).unwrap();
        assert!(manner.quiet && manner.no_input);
        assert_eq!((manner.color, manner.timeout), (Color::Never, Some(Duration::from_secs(120))));
    }
    let nothing = manner(&["list"]).unwrap();
    assert!(!nothing.quiet && !nothing.no_input && nothing.timeout.is_none());
    assert_eq!(nothing.color, Color::Auto);
    for time in ["0s", "121s", "3m", "5", "-1s", ""] {
        assert!(manner(&["list", "--timeout", time]).is_err(), "{time}");
    }
    assert!(manner(&["list", "--color", "sometimes"]).is_err());
    // What follows the two dashes is the module's.
    let typed = parse(["fidokey", "test", "--", "--quiet"].map(OsString::from));
    assert!(typed.is_ok_and(|(_typed, manner)| !manner.quiet));
}
