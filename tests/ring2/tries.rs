//! Several tries on one handle of libpam, as sudo makes them.

use std::time::{Duration, Instant};

use fidokey_core::credential::AccountName;
use fidokey_core::ports::Machine as _;
use fidokey_core::record::Record;
use fidokey_system::files::Places;
use fidokey_system::machine::System;
use fidokey_tests::key::{EmulatedKey, Touch};

use crate::run::Outcome;
use crate::stage::{Stage, commands};

const CUE: &str = "Touch your security key (fidokey-test).";
const TIMED_OUT: &str = "Timed out waiting for the security key.";

/// An enrolled key that nobody touches; the policy gives each wait a second.
fn untouched(seed: u64) -> (Stage, fidokey_tests::key::KeyHandle) {
    let (stage, handle) = Stage::enrolled(&EmulatedKey::new(seed));
    handle.set_touch(Touch::Never);
    (stage, handle)
}

fn reasons(outcome: &Outcome) -> Vec<String> {
    outcome.logged().iter().map(|line| line.get("reason").unwrap().to_owned()).collect()
}

/// The second and the third say the same, and nothing more; the key hears nothing of them, and setcred either.
#[test]
fn given_no_touch_then_the_tries_after_it_answer_at_once() {
    let (mut stage, handle) = untouched(161);
    let words = ["authenticate", "authenticate", "setcred:2", "authenticate", "setcred:2"];
    let start = Instant::now();
    let outcome = stage.run(&words);
    assert!(start.elapsed() < Duration::from_millis(2900), "{:?}", start.elapsed());
    assert_eq!(outcome.codes("authenticate"), [7; 3]);
    // libpam's own answer after any denial.
    assert_eq!(outcome.codes("setcred"), [6; 2]);
    assert_eq!(outcome.shown(), [CUE, TIMED_OUT, TIMED_OUT, TIMED_OUT]);
    assert_eq!(reasons(&outcome), ["touch_timeout"; 3]);
    assert_eq!(commands(&handle), ["INIT", "getAssertion", "CANCEL"]);
    // Another transaction knows nothing of it.
    handle.set_touch(Touch::AtOnce);
    assert_eq!(stage.run(&["authenticate"]).code("authenticate"), 0);
    // Without a key, and as the key instead of the password.
    stage.forget_key();
    stage.arguments(&["mode=alternative", "touch_only_alternative=true"]);
    let outcome = stage.run(&["authenticate", "authenticate", "authenticate"]);
    assert_eq!(outcome.codes("authenticate"), [9; 3]);
    assert_eq!(outcome.shown(), ["Insert your security key.", TIMED_OUT, TIMED_OUT, TIMED_OUT]);
    assert_eq!(reasons(&outcome), ["no_key"; 3]);
}

/// For another user it is another try, and so it is where the program asks for names (PAM_USER_PROMPT).
#[test]
fn given_another_user_or_a_name_that_is_asked_for_then_asked_again() {
    const OTHER: &str = "daemon";
    let (stage, handle) = untouched(162);
    let other =
        System::new(Places::system()).account(&AccountName::new(OTHER).unwrap()).unwrap().unwrap();
    let text = std::fs::read(stage.record_path()).unwrap();
    let record = Record { user: other.name, uid: other.uid, ..Record::parse(&text).unwrap() };
    let path = stage.record_path().with_file_name(format!("{}.toml", other.uid));
    std::fs::write(path, record.to_toml()).unwrap();
    let armed = || commands(&handle).iter().filter(|command| *command == "getAssertion").count();

    let other = format!("item:2={OTHER}");
    let outcome =
        stage.run(&["authenticate", &other, "authenticate", "item:2=nobody", "authenticate"]);
    assert_eq!(outcome.codes("authenticate"), [7; 3]);
    assert_eq!(outcome.shown(), [CUE, TIMED_OUT, CUE, TIMED_OUT, TIMED_OUT]);
    assert_eq!(armed(), 2);

    let outcome = stage.run(&["item:9=login: ", "authenticate", "authenticate"]);
    assert_eq!(outcome.shown(), [CUE, TIMED_OUT, CUE, TIMED_OUT]);
    assert_eq!(armed(), 4);
}

/// BAR Q11: two lines of ours with different arguments each remember their own.
#[test]
fn given_two_lines_then_each_remembers_for_itself() {
    let (mut stage, handle) = untouched(163);
    stage.arguments(&["touch=1s"]);
    let first = stage.line("optional");
    stage.arguments(&["touch=1s", "wait_for_key=2s"]);
    let lines = [first, stage.line("required")];
    let outcome = stage.run_stack(&lines, &["authenticate", "authenticate"]);
    assert_eq!(outcome.codes("authenticate"), [7; 2]);
    assert_eq!(outcome.shown(), [CUE, TIMED_OUT, CUE, TIMED_OUT, TIMED_OUT, TIMED_OUT]);
    let cancels = commands(&handle).iter().filter(|command| *command == "CANCEL").count();
    assert_eq!(cancels, 2);
}

/// The policy comes before what is remembered.
#[test]
fn given_a_remote_try_after_a_wait_then_denied_as_remote() {
    let (stage, _handle) = untouched(164);
    let outcome = stage.run(&["authenticate", "item:4=10.0.0.1", "authenticate"]);
    assert_eq!(outcome.codes("authenticate"), [7, 6]);
    assert_eq!(reasons(&outcome), ["touch_timeout", "remote"]);
}
