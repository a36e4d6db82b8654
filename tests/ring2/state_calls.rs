//! The system calls with which the state is read and written: how many there are, and what comes of each that fails
//! or is the last.

use std::fs;

use fidokey_tests::key::EmulatedKey;

use crate::stage::Stage;
use crate::state::{assert_granted, owned, text};
use crate::stepping::run_until;
use crate::trace::Call;

/// The calls of a login that have to do with its state.
fn of_the_state<'c>(stage: &Stage, calls: &'c [Call]) -> Vec<&'c Call> {
    let states = stage.directory.join("var/lib/fidokey");
    let states = states.to_str().unwrap();
    // A debug build looks at descriptors before it closes them.
    let none_of_ours = ["close", "fcntl"];
    let ours = |call: &&Call| {
        call.inside && !none_of_ours.contains(&&*call.name) && call.text.contains(states)
    };
    calls.iter().filter(ours).collect()
}

fn count(calls: &[&Call], name: &str) -> usize {
    calls.iter().filter(|call| call.name.starts_with(name)).count()
}

/// BAR S12: a key whose counter stands still, where that is only warned of, twice in a minute: nothing is written. Where there is something to write it
/// is on the disk before it gets its name, and there is one fsync.
#[test]
fn given_nothing_new_then_nothing_is_written_and_one_fsync_otherwise() {
    let key = EmulatedKey::new(151).customize(|custom| custom.use_signature_counter = false);
    let (stage, _key) = owned(&key);
    let config = fs::read_to_string(stage.directory.join("etc/fidokey/config.toml")).unwrap();
    stage.config(&format!("{config}counter = \"warn\"\n"));
    let mut writing = Vec::new();
    for _ in 0..3 {
        let (outcome, calls) = stage.traced(&[], &["authenticate"]);
        assert_eq!(outcome.code("authenticate"), 0, "{:?}", outcome.report);
        let calls = of_the_state(&stage, &calls);
        assert!(count(&calls, "openat") > 0);
        if count(&calls, "write") == 0 {
            for name in ["fsync", "fdatasync", "rename", "unlink", "fchmod"] {
                assert_eq!(count(&calls, name), 0, "{name} {calls:#?}");
            }
            // The lock is there since the first login.
            let made = |call: &&Call| call.text.contains("O_CREAT") && !call.text.contains(".lock");
            assert!(!calls.iter().any(made));
            continue;
        }
        let steps: Vec<_> = calls
            .iter()
            .map(|call| call.name.trim_end_matches("at2").trim_end_matches("at"))
            .filter(|name| ["write", "fsync", "fdatasync", "rename"].contains(name))
            .collect();
        assert_eq!(steps, ["write", "fsync", "rename"], "{calls:?}");
        writing.push(outcome);
    }
    // The first, and one more where a minute has begun.
    assert!((1..=2).contains(&writing.len()));
    assert_granted(&writing[0], Some("new"));
}

/// BAR S7: each of these calls fails in each way. The login is granted, the log has a warning, and the state is the
/// one of before or the new one.
#[test]
fn given_a_call_for_the_state_that_fails_then_granted_with_a_warning() {
    let (stage, _key) = owned(&EmulatedKey::new(152));
    stage.run(&["authenticate"]);
    let (outcome, calls) = stage.traced(&[], &["authenticate"]);
    assert_granted(&outcome, None);
    let calls: Vec<Call> = of_the_state(&stage, &calls).into_iter().cloned().collect();
    let names = ["fchmod", "flock", "fsync", "openat", "read", "rename", "unlinkat", "write"];
    for name in names {
        assert!(calls.iter().any(|call| call.name.starts_with(name)), "{name}: {calls:?}");
    }
    for call in calls {
        for error in ["EACCES", "EDQUOT", "EIO", "ENOSPC", "EROFS"] {
            let before = text(&stage);
            let name = &call.name;
            let inject = format!("inject={name}:error={error}:when={}", call.number);
            let trace = format!("trace=faccessat,{name}");
            let (outcome, calls) = stage.traced(&["-e", &trace, "-e", &inject], &["authenticate"]);
            let injected = calls.iter().find(|call| call.text.contains("INJECTED")).unwrap();
            assert!(injected.inside && injected.number == call.number);
            let log = outcome.log();
            assert_eq!(log.get("code"), Some("0"), "{name} {error}: {:?}", outcome.report);
            assert_eq!(
                log.get("state"),
                Some("unwritten"),
                "{call:?} {error}: {:?}",
                outcome.report
            );
            assert!(log.get("errno").is_some(), "{name} {error}: {:?}", outcome.report);
            assert_eq!(outcome.severity(), 4);
            assert_eq!(text(&stage), before);
            assert_granted(&stage.run(&["authenticate"]), None);
        }
    }
}

/// BAR S5, Q8: killed before each system call of a login that writes its state, one after the other. The state is
/// the old one or a new one, whole; the key and the locks are free, so that the next login is granted.
#[test]
fn given_a_login_that_is_killed_at_any_system_call_then_the_state_is_whole() {
    let (stage, key) = owned(&EmulatedKey::new(153));
    let (mut calls, mut left_behind) = (0, 0);
    for at in 1.. {
        if at % 2 == 1 {
            // Each second time there is none before.
            let _ = fs::remove_file(stage.state_path());
        }
        let report = stage.own_file("report");
        let command = stage.application().command(&report, &["stop", "authenticate"]);
        if run_until(command, at) < at {
            break;
        }
        calls = at;
        let there = stage.state_path().exists();
        if there {
            text(&stage);
        }
        let states = stage.directory.join("var/lib/fidokey");
        let names = fs::read_dir(&states).unwrap().map(|entry| entry.unwrap().file_name());
        left_behind += names.filter(|name| name.to_str().unwrap().ends_with(".new")).count();
        assert_granted(&stage.run(&["authenticate"]), (!there).then_some("new"));
        // The state and its lock.
        assert_eq!(fs::read_dir(&states).unwrap().count(), 2, "call {at}");
        assert!(!key.is_asking(), "call {at}");
    }
    println!("killed at {calls} system calls");
    // That it was killed in the middle of writing, too.
    assert!(calls > 60 && left_behind > 2, "{calls} {left_behind}");
}
