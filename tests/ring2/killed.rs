//! Hosts that are killed in the middle of a login: everything that was held is free again.

use fidokey_tests::key::{EmulatedKey, Touch};

use crate::stage::Stage;
use crate::stepping::run_until;

/// BAR Q8: killed before each system call of a granted login, one after the other. The next login finds the key
/// free and is granted.
#[test]
fn given_a_host_that_is_killed_at_any_system_call_then_the_next_login_is_granted() {
    let (stage, key) = Stage::enrolled(&EmulatedKey::new(131));
    let mut calls = 0;
    for at in 1.. {
        let report = stage.own_file("report");
        let command = stage.application().command(&report, &["authenticate"]);
        if run_until(command, at) < at {
            break;
        }
        calls = at;
        let outcome = stage.run(&["authenticate"]);
        assert_eq!(outcome.code("authenticate"), 0, "call {at}: {:?}", outcome.report);
        assert!(!key.is_asking(), "call {at}");
    }
    println!("killed at {calls} system calls");
    assert!(calls > 50, "{calls}");
}

/// BAR Q8: killed while the key blinks, which nobody cancels then. Whoever comes next waits for the key at most.
#[test]
fn given_a_host_that_is_killed_while_the_key_blinks_then_the_next_login_is_decided() {
    let (stage, key) = Stage::enrolled(&EmulatedKey::new(132));
    key.set_touch(Touch::Never);
    let report = stage.own_file("report");
    let mut child = stage.application().command(&report, &["authenticate"]).spawn().unwrap();
    while !key.is_asking() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    key.set_touch(Touch::AtOnce);
    let outcome = stage.run(&["authenticate"]);
    assert_eq!(outcome.code("authenticate"), 0, "{:?}", outcome.report);
}
