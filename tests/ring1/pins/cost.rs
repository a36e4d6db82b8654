//! What a PIN costs: commands, and tries.

use super::*;

/// The seven commands of a login with a PIN; the last three come after it was typed.
const SEVEN: [&str; 7] = [
    "INIT",
    "getInfo",
    "getAssertion?",
    "getPINRetries",
    "getKeyAgreement",
    "getPinUvAuthToken",
    "getAssertion",
];

/// Alice with so many credentials, the last of them on a key with this verifier.
fn desk(count: u8, verifier: &Rc<RefCell<Verifier>>) -> Desk {
    let secrets: Vec<Secret> = (1..=count).map(|number| Secret::new(number, 64)).collect();
    let credentials: Vec<Credential> = secrets.iter().map(Secret::credential).collect();
    let mut desk = Desk::new(&credentials, STRICT);
    let roomy = Behaviour { max_message_size: Some(7609), ..Behaviour::default() };
    desk.plug_with(&secrets[usize::from(count) - 1..], verifier, roomy);
    desk
}

/// P17, P16: the person is told which PIN before the prompt, and the touch comes after it.
#[test]
fn given_a_pin_is_required_then_seven_commands_three_of_them_after_it_was_typed() {
    for count in [1, 8, 64] {
        let verifier = Verifier::with_pin("1234").shared();
        let mut desk = desk(count, &verifier);
        assert_eq!(desk.login(&["1234"]), granted());
        assert_eq!(desk.commands(), SEVEN);
        let before = desk.keys.commands_before_release();
        assert_eq!(before, &SEVEN[..4]);
        let enter = format!("Enter the PIN of \"Key {count}\".");
        assert_eq!(desk.host.shown, [enter.as_str(), CUE]);
        assert_eq!(desk.host.asked, [("Security key PIN: ".to_owned(), 1)]);
    }
}

/// P5: whatever the number of credentials.
#[test]
fn given_a_wrong_pin_then_one_try_is_spent() {
    for count in [1, 2, 8, 64] {
        let verifier = Verifier::with_pin("1234").shared();
        let mut desk = desk(count, &verifier);
        assert_eq!(desk.login(&["4321"]), outcome(7, "pin_wrong"));
        assert_eq!(verifier.borrow().tries, 1);
        assert_eq!(verifier.borrow().retries, 7);
        // P6.
        assert_eq!(desk.host.shown.last().unwrap(), "Wrong PIN. 7 attempts left on this key.");
        assert_eq!(desk.host.delays, 1);
        let expected = [&SEVEN[..6], &["getPINRetries"]].concat();
        assert_eq!(desk.commands(), expected);
    }
}

/// P5, P3: three rounds of sudo cost three tries, and the guard keeps the rest, however often they are repeated.
#[test]
fn given_wrong_pins_for_ever_then_the_guard_keeps_the_last_tries() {
    let verifier = Verifier::with_pin("1234").shared();
    let mut desk = Desk::with(&verifier);
    for left in [7, 6] {
        assert_eq!(desk.login(&["4321"]), outcome(7, "pin_wrong"));
        assert_eq!(verifier.borrow().retries, left);
    }
    // The third in a row: now the key wants to be plugged in anew, whatever is typed.
    assert_eq!(desk.login(&["4321"]), outcome(7, "pin_replug"));
    assert_eq!(verifier.borrow().retries, 5);
    assert_eq!(desk.login(&["1234"]), outcome(7, "pin_replug"));
    assert_eq!(verifier.borrow().tries, 3);
    assert_eq!(desk.host.asked, []);
    verifier.borrow_mut().power_cycle = false;
    for _ in 0..20 {
        let _ = desk.login(&["4321"]);
        verifier.borrow_mut().power_cycle = false;
    }
    assert_eq!(verifier.borrow().retries, 3);
    assert_eq!(desk.login(&["1234"]), outcome(7, "pin_guarded"));
}

/// P3: with a guard of each size.
#[test]
fn given_no_more_tries_than_the_guard_then_the_pin_is_not_asked_for() {
    for guard in 1..=7 {
        for left in 1..=8 {
            let verifier = Verifier { retries: left, ..Verifier::with_pin("1234") }.shared();
            let secret = Secret::new(1, 64);
            let config = format!("{STRICT}pin_guard = {guard}\n");
            let mut desk = Desk::new(&[secret.credential()], &config);
            desk.plug(&[secret], &verifier);
            let came = desk.login(&["1234"]);
            if left > guard {
                assert_eq!(came, granted(), "{guard} {left}");
                continue;
            }
            assert_eq!(came, outcome(7, "pin_guarded"), "{guard} {left}");
            assert_eq!(verifier.borrow().tries, 0);
            assert_eq!(desk.host.asked, []);
            let tries = if left == 1 { "1 try" } else { &format!("{left} tries") };
            let told = format!("PIN of \"Key 1\": {tries} left. See `fidokey key pin check`.");
            assert_eq!(desk.host.shown, [told]);
        }
    }
    let verifier = Verifier { retries: 0, ..Verifier::with_pin("1234") }.shared();
    let mut desk = Desk::with(&verifier);
    assert_eq!(desk.login(&["1234"]), outcome(7, "pin_blocked"));
    assert_eq!(desk.host.shown, ["The PIN on this key is blocked."]);
}

/// P2: nothing is sent for what no key would take.
#[test]
fn given_what_is_no_pin_then_no_try_is_spent() {
    let long = "1".repeat(64);
    for (typed, reason) in [
        ("", "pin_declined"),
        ("123", "pin_unfit"),
        ("äöü", "pin_unfit"),
        (long.as_str(), "pin_unfit"),
    ] {
        let verifier = Verifier::with_pin("1234").shared();
        let mut desk = Desk::with(&verifier);
        assert_eq!(desk.login(&[typed]), outcome(7, reason), "{typed}");
        assert_eq!(verifier.borrow().tries, 0);
        assert_eq!(verifier.borrow().retries, 8);
        assert_eq!(desk.commands(), &SEVEN[..4]);
    }
}

/// P9: the PIN was set in one form, and is typed in the other.
#[test]
fn given_a_pin_with_an_accent_then_either_way_to_type_it_will_do() {
    for typed in ["caf\u{e9}", "cafe\u{301}"] {
        let verifier = Verifier::with_pin("caf\u{e9}").shared();
        assert_eq!(Desk::with(&verifier).login(&[typed]), granted());
    }
}

/// P4, P12: what the key says beforehand, and what it says when it is asked.
#[test]
fn given_a_key_that_takes_no_pin_now_then_the_person_reads_what_to_do() {
    let key = || Verifier::with_pin("1234");
    for (verifier, typed, reason, text) in [
        (
            Verifier { power_cycle: true, ..key() },
            0,
            "pin_replug",
            "Unplug the key, plug it in again, then retry.",
        ),
        (
            Verifier { force_change: true, ..key() },
            0,
            "pin_change_required",
            "The PIN on this key must be changed first.",
        ),
    ] {
        let verifier = verifier.shared();
        let mut desk = Desk::with(&verifier);
        assert_eq!(desk.login(&["1234"]), outcome(7, reason));
        assert_eq!(desk.host.shown, [text]);
        assert_eq!(desk.host.asked.len(), typed);
        assert_eq!(verifier.borrow().tries, 0);
    }
}
