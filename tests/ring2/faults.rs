//! A machine that fails: panics at every port, randomness that does not come.

use std::time::Duration;

use fidokey_tests::key::{EmulatedKey, Touch};

use crate::stage::{Stage, commands};

/// BAR X4: a panic at every call of every port is ABORT, prints nothing (every run asserts that) and reads
/// no file for a backtrace; the key is cancelled and usable afterwards.
#[test]
fn given_a_panic_at_any_call_then_abort_and_the_key_is_idle() {
    let (mut stage, handle) = Stage::enrolled(&EmulatedKey::new(41));
    let mut calls = 0;
    for call in 1.. {
        stage.arguments(&[&format!("virtual:panic={call}")]);
        let code = stage.run(&["authenticate"]).code("authenticate");
        assert!(!handle.is_asking(), "call {call}");
        if code == 0 {
            break;
        }
        assert_eq!(code, 26, "call {call}");
        calls = call;
    }
    assert!(calls > 20, "{calls}");
    stage.arguments(&[]);
    assert_eq!(stage.run(&["authenticate"]).code("authenticate"), 0);
}

/// BAR X4: RUST_BACKTRACE=full, which every run sets, makes nobody read the program's maps and symbols.
#[test]
fn given_a_panic_then_no_file_is_opened_for_a_backtrace() {
    let (mut stage, _handle) = Stage::enrolled(&EmulatedKey::new(44));
    stage.arguments(&["virtual:panic=9"]);
    let trace = stage.trace_file();
    let before = ["strace", "-f", "-o", &trace, "-e", "trace=%file"];
    let outcome = stage.run_under(&before, &[stage.line("required")], &["authenticate"]);
    assert_eq!(outcome.code("authenticate"), 26);
    let calls = std::fs::read_to_string(&trace).unwrap();
    let last = calls.rfind("libfidokey_virtual.so").unwrap();
    for place in ["/proc/self/maps", ".debug", "build-id"] {
        assert!(!calls[last..].contains(place), "{place} in {calls}");
    }
}

/// BAR X4: armed and waiting for a touch when it panics: cancelled, whatever call it was, but for the one
/// that sends the CANCEL.
#[test]
fn given_a_panic_while_the_key_blinks_then_it_is_cancelled() {
    // Most of them end with the time for a touch: a fifth of the calls for each of five keys.
    let counts: Vec<(u32, u32)> = std::thread::scope(|scope| {
        let fifths: Vec<_> = (0..5).map(|fifth| scope.spawn(move || panics_of(fifth))).collect();
        fifths.into_iter().map(|counts| counts.join().unwrap()).collect()
    });
    assert!(counts.iter().map(|(cancelled, _)| cancelled).sum::<u32>() > 0);
    assert!(counts.iter().map(|(_, left)| left).sum::<u32>() <= 1, "{counts:?}");
}

/// How often the key was cancelled, and how often it was left blinking.
fn panics_of(fifth: usize) -> (u32, u32) {
    let (mut stage, handle) = Stage::enrolled(&EmulatedKey::new(45 + fifth as u64));
    let (mut cancelled, mut left_blinking) = (0, 0);
    for call in (20..60).skip(fifth).step_by(5) {
        handle.set_touch(Touch::Never);
        handle.clear_transcript();
        stage.arguments(&[&format!("virtual:panic={call}")]);
        let code = stage.run(&["authenticate"]).code("authenticate");
        assert!([7, 26].contains(&code));
        // What was sent last may not have reached the key yet.
        let mut patience = 100;
        while handle.is_asking() && patience > 0 {
            std::thread::sleep(Duration::from_millis(5));
            patience -= 1;
        }
        let commands = commands(&handle);
        if handle.is_asking() {
            assert!(!commands.contains(&"CANCEL".to_owned()), "call {call}: {commands:?}");
            left_blinking += 1;
            handle.set_touch(Touch::AtOnce);
            while handle.is_asking() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        cancelled += u32::from(code == 26 && commands.ends_with(&["CANCEL".to_owned()]));
    }
    (cancelled, left_blinking)
}

/// BAR C2: no randomness, no login, and no other source; BAR X4: a backtrace would open files.
#[test]
fn given_no_randomness_then_system_err_and_no_other_source_is_opened() {
    let (stage, handle) = Stage::enrolled(&EmulatedKey::new(43));
    for inject in ["error=ENOSYS", "error=EAGAIN", "error=EPERM", "retval=16", "retval=0"] {
        handle.clear_transcript();
        let trace = stage.trace_file();
        let inject = format!("inject=getrandom:{inject}");
        let before = ["strace", "-f", "-o", &trace, "-e", "trace=%file,getrandom", "-e", &inject];
        let outcome = stage.run_under(&before, &[stage.line("required")], &["authenticate"]);
        assert_eq!(outcome.code("authenticate"), 4, "{inject}");
        assert_eq!(
            outcome.shown(),
            ["Security key login is not available. Ask your administrator."]
        );
        let calls = std::fs::read_to_string(&trace).unwrap();
        assert!(calls.contains("INJECTED"), "{calls}");
        assert!(!calls.contains("random\""), "another source: {calls}");
        assert!(!commands(&handle).iter().any(|command| command == "getAssertion"));
    }
}
