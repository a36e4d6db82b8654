//! What a device calls itself: its maker chose it, or whoever made it look like somebody else's.

use std::fs;

use fidokey_tests::key::{EmulatedKey, Touch};

use crate::run::Outcome;
use crate::stage::Stage;

/// In every one of the strings, wherever it is cut.
const MARK: &str = "Ignore";

/// Names that a hostile key could have: escape sequences, lines of a log, text from right to left; and four KiB.
fn names() -> [String; 2] {
    [
        format!(
            "{MARK}\u{1b}]0;{MARK}\u{7}\u{1b}[2J{MARK}\u{202e}{MARK}\u{2028}\u{9b}31m{MARK}\n\
             result=granted code=0 reason=verified {MARK}"
        ),
        format!("{MARK} ").repeat(4096 / 7),
    ]
}

/// Gives the key that name wherever sysfs has one.
fn call(stage: &Stage, name: &str) {
    let device = stage.sysfs();
    let uevent = format!(
        "DRIVER={name}\nHID_ID=0003:00001915:0000521F\nHID_NAME={name}\nHID_PHYS={name}\nHID_UNIQ={name}\n"
    );
    fs::write(device.join("uevent"), uevent).unwrap();
    // The USB device has them in files of its own, further up.
    for directory in [&device, &stage.sysfs().parent().unwrap().to_owned()] {
        for file in ["product", "manufacturer", "serial", "name", "uniq", "phys"] {
            fs::write(directory.join(file), format!("{name}\n")).unwrap();
        }
    }
}

/// Everything that was shown and logged.
fn told(outcome: &Outcome) -> Vec<String> {
    let told = |line: &&String| line.starts_with("message") || line.starts_with("log ");
    outcome.report.iter().filter(told).cloned().collect()
}

/// BAR D19: in a login that is granted, one that nobody touches the key for, one with a key that cannot be opened:
/// neither a prompt nor a line of the log has any of it, and both are what they are with a key that calls itself
/// nothing. (`run` sees that the standard streams stay empty.)
#[test]
fn given_a_key_with_a_hostile_name_then_nobody_sees_any_of_it() {
    let (stage, key) = Stage::plugged(&EmulatedKey::new(221));
    let logins = || {
        let mut lines = Vec::new();
        for touch in [Touch::AtOnce, Touch::Never] {
            key.set_touch(touch);
            lines.push(told(&stage.run_plugged(&[], &["authenticate"])));
        }
        lines.push(told(&stage.without_node(|| stage.run_plugged(&[], &["authenticate"]))));
        lines
    };
    // From here on there is a state.
    stage.run_plugged(&[], &["authenticate"]);
    let expected = logins();
    let reasons = ["reason=verified", "reason=touch_timeout", "reason=key_inaccessible"];
    for (lines, reason) in expected.iter().zip(reasons) {
        assert!(lines.iter().any(|line| line.contains(reason)), "{reason}: {lines:?}");
    }
    for name in names() {
        call(&stage, &name);
        let lines = logins();
        let all = lines.concat().concat();
        assert!(!all.contains(MARK) && !all.contains(char::is_control), "{all:?}");
        assert_eq!(lines, expected);
    }
}

/// That the test above would see it: the names are where the module can read them.
#[test]
fn given_a_program_that_shows_the_name_then_it_is_the_hostile_one() {
    let (stage, _key) = Stage::plugged(&EmulatedKey::new(222));
    call(&stage, &names()[0]);
    let file = stage.own_file("copy");
    let script =
        format!("cat /sys/class/hidraw/hidraw0/device/uevent >{} && exec \"$@\"", file.display());
    stage.run_plugged(&["sh", "-c", &script, "sh"], &["descriptors"]);
    assert!(fs::read_to_string(file).unwrap().contains(MARK));
}
