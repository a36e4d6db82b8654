//! Time, as the shipped module counts it while it waits: that of a machine which sleeps, whose date is set, or which has
//! no time for the program.

use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fidokey_core::date::rfc3339;
use fidokey_tests::key::{EmulatedKey, Touch};

use crate::stage::{Stage, commands};

const DAY: i64 = 86_400;

/// BAR D23: the machine sleeps for hours while the key blinks, or its date is set, forwards or backwards. Both show in
/// the clocks of the date and of the time since boot, and neither in the one that is waited by: the wait neither ends
/// early nor takes longer.
#[test]
fn given_clocks_that_jump_during_a_wait_then_it_takes_its_time_and_no_more() {
    let (stage, key) = Stage::plugged(&EmulatedKey::new(211));
    stage.config("schema = 1\n[default]\nmode = \"second-factor\"\ntouch = \"2s\"\n");
    for seconds in [400 * DAY, -DAY / 4] {
        let jump = format!("jump:300={seconds}");
        // Nobody touches it, in the two seconds that the policy gives.
        key.set_touch(Touch::Never);
        let start = Instant::now();
        let outcome = stage.run_plugged(&[], &[&jump, "authenticate"]);
        let took = start.elapsed();
        assert_eq!(outcome.log().get("reason"), Some("touch_timeout"), "{seconds}");
        // Where many tests run at once, to start a program takes a while, too.
        assert!((Duration::from_secs(2)..Duration::from_secs(6)).contains(&took), "{took:?}");
        // Somebody does, after the jump.
        key.set_touch(Touch::After(Duration::from_millis(700)));
        let outcome = stage.run_plugged(&[], &[&jump, "authenticate"]);
        assert_eq!(outcome.code("authenticate"), 0, "{seconds}: {:?}", outcome.report);
        // That the clocks did jump: the state has the date.
        let state = fs::read_to_string(stage.state_path()).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let today = format!("last_used = {}", rfc3339(now));
        assert!(!state.contains(&today[..today.len() - 7]), "{state}");
        fs::remove_file(stage.state_path()).unwrap();
    }
}

/// BAR D23: a time in which the machine was awake and this program did not run counts in full.
#[test]
fn given_awake_time_that_passes_during_a_wait_then_it_counts() {
    let (stage, key) = Stage::plugged(&EmulatedKey::new(212));
    key.set_touch(Touch::Never);
    stage.config("schema = 1\n[default]\nmode = \"second-factor\"\n");
    let start = Instant::now();
    let outcome = stage.run_plugged(&[], &["pass:500=40", "authenticate"]);
    assert_eq!(outcome.log().get("reason"), Some("touch_timeout"));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(commands(&key).last().map(String::as_str), Some("CANCEL"));
}
