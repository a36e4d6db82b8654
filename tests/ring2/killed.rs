//! Hosts that are killed while they wait. Those that are killed anywhere else are in `state_calls.rs`.

use fidokey_tests::key::{EmulatedKey, Touch};

use crate::stage::Stage;

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
