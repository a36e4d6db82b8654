//! Signals under libpam: in a program that blocks INT and QUIT before it asks for a login, as sudo does, and in one
//! that blocks nothing, as su. What it is told, what the key is told, and what is left of the signal.

use std::time::{Duration, Instant};

use fidokey_core::credential::Algorithm;
use fidokey_tests::key::{EmulatedKey, Touch};

use crate::run::Outcome;
use crate::stage::{Stage, commands};

const SECOND_FACTOR: &str = "schema = 1\n[default]\nmode = \"second-factor\"\n";
const ALTERNATIVE: &str = "schema = 1\n[default]\nmode = \"alternative\"\n\
                           [service.fidokey-test]\ntouch_only_alternative = true\n";
/// The program's own handlers, which are never ours to run.
const HANDLE: &str = "handle:INT,QUIT,TERM,HUP";
const SUDO: &[&str] = &["block:INT,QUIT", HANDLE];
const SU: &[&str] = &[HANDLE];

impl Stage {
    /// A login under this policy that gets a signal while it waits; far from the end of any wait.
    fn signalled(&self, policy: &str, program: &[&str], signal: &str) -> Outcome {
        self.config(policy);
        let later = format!("later:{signal}=400");
        let words = [program, &[&later, "authenticate", "signals"]].concat();
        let start = Instant::now();
        let outcome = self.run(&words);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        outcome
    }
}

/// `pending`, `blocked` and `handled`, as the program has them afterwards.
fn left(outcome: &Outcome) -> &str {
    outcome.report.iter().find_map(|line| line.strip_prefix("signals ")).unwrap()
}

/// BAR Q1, Q2, Q3, INV-5: the code, the key, and each of the four signals in either program and mode.
#[test]
fn given_a_signal_while_the_key_blinks_then_cancelled_and_left_or_taken() {
    let (stage, handle) = Stage::enrolled(&EmulatedKey::new(151));
    handle.set_touch(Touch::Never);
    for (policy, program, signal, code, afterwards) in [
        (SECOND_FACTOR, SUDO, "INT", 7, "pending=INT blocked=INT,QUIT handled="),
        (SECOND_FACTOR, SUDO, "QUIT", 7, "pending=QUIT blocked=INT,QUIT handled="),
        (SECOND_FACTOR, SUDO, "TERM", 26, "pending= blocked=INT,QUIT handled=TERM"),
        (SECOND_FACTOR, SUDO, "HUP", 26, "pending= blocked=INT,QUIT handled=HUP"),
        (SECOND_FACTOR, SU, "INT", 7, "pending= blocked= handled=INT"),
        (SECOND_FACTOR, SU, "TERM", 26, "pending= blocked= handled=TERM"),
        (ALTERNATIVE, SUDO, "INT", 9, "pending= blocked=INT,QUIT handled="),
        (ALTERNATIVE, SUDO, "QUIT", 9, "pending= blocked=INT,QUIT handled="),
        (ALTERNATIVE, SUDO, "TERM", 26, "pending= blocked=INT,QUIT handled=TERM"),
        (ALTERNATIVE, SU, "INT", 9, "pending= blocked= handled="),
        (ALTERNATIVE, SU, "HUP", 26, "pending= blocked= handled=HUP"),
    ] {
        handle.clear_transcript();
        let outcome = stage.signalled(policy, program, signal);
        assert_eq!(outcome.code("authenticate"), code, "{signal} {:?}", outcome.report);
        assert_eq!(left(&outcome), afterwards, "{signal} {code}");
        assert_eq!(outcome.shown(), ["Touch your security key (fidokey-test)."]);
        assert_eq!(commands(&handle), ["INIT", "getAssertion", "CANCEL"]);
        assert!(!handle.is_asking());
        let expected = if code == 26 { "terminated" } else { "interrupted" };
        assert_eq!(outcome.log().get("reason"), Some(expected));
    }
    // Free at once.
    handle.set_touch(Touch::AtOnce);
    assert_eq!(stage.run(&["authenticate"]).code("authenticate"), 0);
}

/// BAR Q1, Q2: the same while no key is there, and while a key of the first generation is asked again and again.
#[test]
fn given_a_signal_while_a_key_is_missing_or_of_the_first_generation_then_the_same() {
    let (mut stage, handle) = Stage::enrolled(&EmulatedKey::new(152).u2f_only());
    handle.set_touch(Touch::Never);
    for text in ["Touch your security key (fidokey-test).", "Insert your security key."] {
        for (policy, code, afterwards) in [
            (SECOND_FACTOR, 7, "pending=INT blocked=INT,QUIT handled="),
            (ALTERNATIVE, 9, "pending= blocked=INT,QUIT handled="),
        ] {
            let outcome = stage.signalled(policy, SUDO, "INT");
            assert_eq!(outcome.code("authenticate"), code);
            assert_eq!((left(&outcome), outcome.shown()), (afterwards, vec![text]));
        }
        stage.forget_key();
    }
}

/// BAR Q2: pending before the call, as after a Ctrl-C that came a moment too early: no key blinks.
#[test]
fn given_a_signal_before_the_call_then_no_key_is_asked() {
    let (stage, handle) = Stage::enrolled_with(&EmulatedKey::new(153), &[Algorithm::Es256]);
    stage.config(SECOND_FACTOR);
    let words =
        [SUDO, &["later:INT=0", "await-pending", "authenticate", "authenticate", "signals"]];
    let outcome = stage.run(&words.concat());
    assert_eq!(outcome.codes("authenticate"), [7, 7]);
    assert_eq!(left(&outcome), "pending=INT blocked=INT,QUIT handled=");
    assert_eq!((outcome.shown(), handle.touches()), (vec![], 2), "the two of the registration");
    assert!(!commands(&handle).iter().any(|command| command == "getAssertion"));
}

/// BAR Q3: a handler of the program's that runs meanwhile neither ends the wait nor lengthens it.
#[test]
fn given_another_signal_then_its_handler_runs_and_the_login_goes_on() {
    let key = EmulatedKey::new(154).touch(Touch::After(Duration::from_millis(600)));
    let (stage, _handle) = Stage::enrolled(&key);
    stage.config(SECOND_FACTOR);
    let words = [
        "block:INT,QUIT",
        "handle:USR1,WINCH",
        "later:USR1=200",
        "later:WINCH=350",
        "authenticate",
    ];
    let outcome = stage.run(&[&words[..], &["signals"]].concat());
    assert_eq!(outcome.code("authenticate"), 0);
    assert_eq!(left(&outcome), "pending= blocked=INT,QUIT handled=USR1,WINCH");
}
