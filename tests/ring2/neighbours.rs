//! Others beside the login: who holds the key, the same module a second time, and the logins before it.

use std::fs::File;
use std::time::{Duration, Instant};

use fidokey_tests::key::EmulatedKey;

use crate::stage::{Stage, commands};

/// BAR Q6, Q7: another program holds the key and does not let go. It is waited for, then that is said, to the user
/// and to the log, and the key was left alone.
#[test]
fn given_a_key_that_another_program_holds_then_denied_after_a_wait() {
    let (stage, key) = Stage::enrolled(&EmulatedKey::new(191));
    let holder = File::open(stage.directory.join("key")).unwrap();
    holder.try_lock().unwrap();
    let start = Instant::now();
    let outcome = stage.run(&["authenticate"]);
    assert!(start.elapsed() < Duration::from_secs(10));
    let log = outcome.log();
    assert_eq!((log.get("code"), log.get("reason")), (Some("7"), Some("key_busy")));
    assert_eq!(outcome.shown(), ["The security key is in use by another program."]);
    assert!(commands(&key).is_empty());
    // And is used when it is free in time.
    let outcome = std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            drop(holder);
        });
        stage.run(&["authenticate"])
    });
    assert_eq!(outcome.code("authenticate"), 0, "{:?}", outcome.report);
}

/// BAR Q11: two lines of ours, with rules of their own: each asks, decides and logs for itself.
#[test]
fn given_two_lines_in_one_stack_then_each_decides_for_itself() {
    let (mut stage, key) = Stage::enrolled(&EmulatedKey::new(192));
    let grants = stage.line("optional");
    stage.arguments(&["verification=required"]);
    let denies = stage.line("optional");
    let permit = "auth required pam_permit.so".to_owned();
    for (stack, expected) in [
        ([&grants, &denies], ["0", "7"]),
        ([&denies, &grants], ["7", "0"]),
        ([&grants, &grants], ["0", "0"]),
    ] {
        key.clear_transcript();
        let stack = [stack[0].clone(), stack[1].clone(), permit.clone()];
        let outcome = stage.run_stack(&stack, &["authenticate"]);
        let codes: Vec<_> =
            outcome.logged().iter().map(|line| line.get("code").unwrap().to_owned()).collect();
        assert_eq!(codes, expected);
        // The one that requires verification asks what the key has for that: no PIN.
        let count = |what: &str| commands(&key).iter().filter(|command| *command == what).count();
        assert_eq!(count("getInfo"), expected.iter().filter(|code| **code == "7").count());
        assert_eq!(count("getAssertion"), 2);
    }
}
