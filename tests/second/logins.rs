//! Logins by a registered key.

use std::time::Duration;

use fidokey_second::{Attestation, SecondKey};
use fidokey_tests::key::{Touch, What};

use crate::scene::{OneThenOther, enrolled, login_of_alice, plug, reason};

#[test]
fn given_a_registered_key_then_two_commands_and_one_touch() {
    for attestation in [Attestation::Batch, Attestation::Own] {
        let (key, credential) = enrolled(SecondKey::new(1).attestation(attestation));
        let (code, host) = login_of_alice(&[credential], &mut key.keys());
        assert_eq!((code, reason(&host)), (0, "verified"));
        assert_eq!(key.commands(), ["INIT", "getAssertion 00", "touch"]);
        assert_eq!(host.shown, ["Touch your security key (sudo)."]);
        assert!(!host.logged[0].1.contains("canonical"), "{}", host.logged[0].1);
    }
}

#[test]
fn given_ten_logins_then_its_counter_stands_in_no_ones_way() {
    let (key, credential) = enrolled(SecondKey::new(1));
    for _ in 0..10 {
        assert_eq!(login_of_alice(std::slice::from_ref(&credential), &mut key.keys()).0, 0);
    }
}

#[test]
fn given_a_touch_after_a_while_then_the_keepalives_are_borne() {
    let (key, credential) = enrolled(SecondKey::new(1));
    key.handle.set_touch(Touch::After(Duration::from_millis(400)));
    let (code, _) = login_of_alice(&[credential], &mut key.keys());
    assert_eq!(code, 0);
    let transcript = key.handle.transcript();
    let keepalives = transcript.iter().find_map(|entry| match &entry.what {
        What::Command(command) if command.ctap2 == Some(0x02) => Some(command.keepalives),
        _ => None,
    });
    // One every 80 ms; fewer where the machine was busy with something else.
    assert!((2..=5).contains(&keepalives.unwrap()), "{keepalives:?}");
    assert!(transcript.iter().any(|entry| entry.at >= Duration::from_millis(400)));
}

/// The firmware's test platform always has the same randomness; these keys do not.
#[test]
fn given_another_seed_then_it_is_another_key() {
    let (_, first) = enrolled(SecondKey::new(1));
    let (_, same) = enrolled(SecondKey::new(1));
    let (_, other) = enrolled(SecondKey::new(2));
    assert_eq!(first.id, same.id);
    assert_ne!(first.id, other.id);
}

/// Of two keys only the account's own blinks: the other answers the silent question at once.
#[test]
fn given_two_keys_then_the_other_one_does_not_blink() {
    let (own, credential) = enrolled(SecondKey::new(1));
    let other = plug(SecondKey::new(2).touch(Touch::Never));
    let mut keys = OneThenOther::new(&other, &own, Duration::ZERO);
    let (code, host) = login_of_alice(&[credential], &mut keys);
    assert_eq!(code, 0, "{:?}", host.logged);
    assert_eq!(other.commands(), ["INIT", "getAssertion 2e"]);
    assert_eq!(own.commands(), ["INIT", "getAssertion 00", "getAssertion 00", "touch"]);
    assert_eq!(host.shown, ["Touch your security key (sudo)."]);
}
