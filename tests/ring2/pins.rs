//! PINs through libpam, with a key that others have written, and what a program and its other modules see of them.

use std::fs;

use fidokey_tests::key::{EmulatedKey, KeyHandle, Touch, What};

use crate::stage::{Stage, commands};

const PIN: &str = "1234";
const REQUIRED: &str = "verification=required";
const PROMPT: &str = "Security key PIN: ";

/// An account whose key has a PIN, which its line requires.
fn enrolled(seed: u64) -> (Stage, KeyHandle) {
    enrolled_by(&EmulatedKey::new(seed).with_pin(PIN))
}

fn enrolled_by(key: &EmulatedKey) -> (Stage, KeyHandle) {
    let (mut stage, handle) = Stage::enrolled(key);
    stage.arguments(&[REQUIRED]);
    (stage, handle)
}

fn typed(pin: &str) -> String {
    format!("conv:answers={PROMPT}={pin}")
}

/// PIN exchanges that the key has seen: clientPIN commands.
fn exchanges(key: &KeyHandle) -> usize {
    commands(key).iter().filter(|command| *command == "clientPIN").count()
}

/// BAR P16, P17: with PAM_SILENT, which sudo always sets, and without.
#[test]
fn given_a_pin_is_required_then_granted_with_seven_commands() {
    for (seed, authenticate) in [(400, "authenticate"), (401, "authenticate:32768")] {
        let (stage, key) = enrolled(seed);
        let outcome = stage.run(&[&typed(PIN), authenticate]);
        assert_eq!(outcome.code("authenticate"), 0, "{:?}", outcome.report);
        assert_eq!(
            outcome.shown(),
            ["Enter the PIN of \"Blue key\".", PROMPT, "Touch your security key (fidokey-test)."]
        );
        assert_eq!(
            commands(&key),
            [
                "INIT",
                "getInfo",
                "getAssertion",
                "clientPIN",
                "clientPIN",
                "clientPIN",
                "getAssertion",
                "touch"
            ]
        );
    }
}

/// The key's own wish, of a key that others have written.
#[test]
fn given_a_key_that_always_verifies_then_its_pin_lets_in() {
    let key = EmulatedKey::new(402).with_pin(PIN);
    let (stage, own) = Stage::enrolled(&key);
    own.unplug();
    let key = key.customize(|it| it.enforce_always_uv = true);
    let (client, handle) = key.plug().unwrap();
    let mut stage = stage;
    stage.replace_key(client);
    let outcome = stage.run(&[&typed(PIN), "authenticate"]);
    assert_eq!(outcome.code("authenticate"), 0, "{:?}", outcome.report);
    assert_eq!(handle.touches(), 1);
}

/// BAR P5, P6: three tries in one transaction, as sudo makes them, cost three; the third in a row has the key ask to be
/// plugged in anew.
#[test]
fn given_three_tries_with_a_wrong_pin_then_three_are_spent() {
    let (stage, key) = enrolled(403);
    let words = [&typed("4321"), "authenticate", "authenticate", "authenticate", "authenticate"];
    let outcome = stage.run(&words);
    assert_eq!(outcome.codes("authenticate"), [7; 4]);
    let told: Vec<_> = outcome.shown().into_iter().filter(|text| text.contains('.')).collect();
    let enter = "Enter the PIN of \"Blue key\".";
    let replug = "Unplug the key, plug it in again, then retry.";
    assert_eq!(
        told,
        [
            enter,
            "Wrong PIN. 7 attempts left on this key.",
            enter,
            "Wrong PIN. 6 attempts left on this key.",
            enter,
            replug,
            replug
        ]
    );
    // Retries, agreement, token; and how many are left, but for the third and the last.
    assert_eq!(exchanges(&key), 4 + 4 + 3 + 1);
    let reasons: Vec<_> =
        outcome.logged().iter().map(|line| line.get("reason").unwrap().to_owned()).collect();
    assert_eq!(reasons, ["pin_wrong", "pin_wrong", "pin_replug", "pin_replug"]);
}

/// BAR P3, with a real key's own count: the guard holds on every plug.
#[test]
fn given_wrong_pins_until_the_guard_then_the_rest_is_kept() {
    let emulated = EmulatedKey::new(404).with_pin(PIN);
    let (mut stage, mut handle) = enrolled_by(&emulated);
    for spent in 0..5 {
        if spent == 2 || spent == 4 {
            // Before the third in a row.
            handle.unplug();
            let (client, again) = emulated.plug().unwrap();
            stage.replace_key(client);
            handle = again;
        }
        let outcome = stage.run(&[&typed("4321"), "authenticate"]);
        assert_eq!(outcome.log().get("reason"), Some("pin_wrong"), "{spent}");
    }
    handle.clear_transcript();
    let outcome = stage.run(&[&typed(PIN), "authenticate"]);
    assert_eq!(outcome.log().get("reason"), Some("pin_guarded"));
    assert_eq!(
        outcome.shown(),
        ["PIN of \"Blue key\": 3 tries left. See `fidokey key pin check`."]
    );
    assert_eq!(exchanges(&handle), 1, "how many are left, and nothing else");
}

/// BAR P2: no answer, an empty one, and what is none.
#[test]
fn given_what_is_no_pin_then_no_try_is_spent() {
    let long = "1".repeat(64);
    for (seed, kind, reason) in [
        (410, "conv:null-reply".to_owned(), "pin_declined"),
        (411, "conv:null-array".to_owned(), "pin_declined"),
        (412, typed(""), "pin_declined"),
        (413, typed("123"), "pin_unfit"),
        (414, typed(&long), "pin_unfit"),
        (415, "conv:huge".to_owned(), "pin_unfit"),
        (416, "conv:binary".to_owned(), "pin_unfit"),
    ] {
        let (stage, key) = enrolled(seed);
        let outcome = stage.run(&[&kind, "authenticate"]);
        assert_eq!(outcome.code("authenticate"), 7, "{kind}");
        assert_eq!(outcome.log().get("reason"), Some(reason), "{kind}");
        assert_eq!(exchanges(&key), 1, "{kind}: how many are left");
    }
}

/// BAR P7: the password that another module has is not sent to the key, and the PIN is no other module's password.
#[test]
fn given_a_password_beside_the_pin_then_neither_is_taken_for_the_other() {
    let (stage, key) = enrolled(420);
    let seen = stage.own_file("authtok");
    let append = "/bin/dd status=none oflag=append conv=notrunc";
    let exec = format!("auth optional pam_exec.so expose_authtok {append} of={}", seen.display());
    let unix = "auth optional pam_unix.so nodelay".to_owned();
    let ours = stage.line("required");
    let answers = format!("conv:answers=Password: =password;{PROMPT}={PIN}");
    for stack in [[unix.clone(), ours.clone(), exec.clone()], [ours, unix, exec]] {
        let outcome = stage.run_stack(&stack, &[&answers, "authenticate"]);
        assert_eq!(outcome.code("authenticate"), 0, "{:?}", outcome.report);
        let text = fs::read_to_string(&seen).unwrap().replace('\0', "");
        assert_eq!(text, "password");
        fs::write(&seen, "").unwrap();
    }
    assert_eq!(key.touches(), 4);
}

/// BAR P8: once the PIN was typed it is nowhere in the process: not when the touch is asked for, and not afterwards.
#[test]
fn given_a_login_with_a_pin_then_the_pin_is_nowhere_in_the_process() {
    for (seed, pin) in [(430, "correcthorse"), (431, "Straße-in-Köln")] {
        let (stage, key) = enrolled_by(&EmulatedKey::new(seed).with_pin(pin));
        let masked: String = pin.bytes().map(|byte| format!("{:02x}", byte ^ 0x55)).collect();
        let secret = format!("conv:secret={masked}");
        let outcome = stage.run(&[&secret, "authenticate", "found"]);
        assert_eq!(outcome.code("authenticate"), 0, "{:?}", outcome.report);
        let found: Vec<_> =
            outcome.report.iter().filter(|line| line.starts_with("found=")).collect();
        assert_eq!(found, ["found=0", "found=0"]);
        assert!(!outcome.report.iter().any(|line| line.contains(pin)));
        assert_eq!(key.touches(), 3);
        // A wrong one is as secret.
        let wrong: String =
            b"wronghorse99".iter().map(|byte| format!("{:02x}", byte ^ 0x55)).collect();
        let outcome = stage.run(&[&format!("conv:secret={wrong}"), "authenticate", "found"]);
        assert_eq!(outcome.code("authenticate"), 7);
        assert!(outcome.report.contains(&"found=0".to_owned()));
    }
}

/// What is looked for above would be found: one that this process has is.
#[test]
fn given_a_secret_that_is_there_then_it_is_found() {
    let (stage, _key) = enrolled(432);
    let masked: String =
        b"correcthorse".iter().map(|byte| format!("{:02x}", byte ^ 0x55)).collect();
    let words = [&format!("conv:secret={masked}"), "item:9=correcthorse", "found"];
    let outcome = stage.run(&words);
    let found = outcome.report.iter().find_map(|line| line.strip_prefix("found=")).unwrap();
    assert!(found.parse::<u32>().unwrap() >= 1);
}

/// While somebody types, the key is anybody's and the signals are the program's.
#[test]
fn given_somebody_types_then_neither_the_key_nor_a_signal_is_held() {
    let (stage, _key) = enrolled(440);
    let watch = format!("watch:{}", stage.directory.join("key").display());
    let outcome =
        stage.run(&["handle:INT", &watch, "block:TERM", &typed(PIN), "authenticate", "signals"]);
    assert_eq!(outcome.code("authenticate"), 0, "{:?}", outcome.report);
    assert!(outcome.report.contains(&"lock=free".to_owned()), "{:?}", outcome.report);
    let signals: Vec<_> =
        outcome.report.iter().filter(|line| line.starts_with("signals ")).collect();
    assert_eq!(signals, ["signals pending= blocked=TERM handled="; 2]);
}

/// BAR Q9, P15: nobody can be asked, so nothing is, and the key does not blink.
#[test]
fn given_no_conversation_then_the_key_does_not_blink() {
    for (seed, kind) in [(450, "conv:none"), (451, "conv:error"), (452, "conv:again")] {
        let (stage, key) = enrolled_by(&EmulatedKey::new(seed).with_pin(PIN).touch(Touch::AtOnce));
        let touches = key.touches();
        let outcome = stage.run(&[kind, "authenticate"]);
        assert_eq!(outcome.code("authenticate"), 19);
        assert_eq!(key.touches(), touches);
        let blinked =
            |what: &What| matches!(what, What::Command(command) if command.keepalives > 0);
        assert!(!key.transcript().iter().any(|entry| blinked(&entry.what)));
    }
}
