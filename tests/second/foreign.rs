//! A key of somebody else: it blinks, takes the touch, and only then says that it knows none of the
//! credentials, as certified keys do.

use std::time::{Duration, Instant};

use fidokey_second::SecondKey;
use fidokey_tests::key::Touch;

use crate::scene::{OneThenOther, enrolled, login_of_alice, others, plug, reason};

const WHILE: Duration = Duration::from_millis(300);

#[test]
fn given_a_foreign_key_then_it_waits_for_a_touch_and_the_user_is_told() {
    let key = plug(SecondKey::new(2).touch(Touch::After(WHILE)));
    let started = Instant::now();
    let (code, host) = login_of_alice(&others(1, 64), &mut key.keys());
    assert_eq!((code, reason(&host)), (7, "not_registered"));
    assert!(started.elapsed() >= WHILE);
    // Once, and never again.
    assert_eq!(key.commands(), ["INIT", "getAssertion 2e", "touch"]);
    assert_eq!(
        host.shown,
        [
            "Touch your security key (sudo).",
            "This key is not registered for alice.",
            "Timed out waiting for the security key.",
        ]
    );
}

#[test]
fn given_a_foreign_key_first_then_the_login_goes_on_with_the_right_one() {
    let (own, credential) = enrolled(SecondKey::new(1));
    let foreign = plug(SecondKey::new(2).touch(Touch::After(WHILE)));
    let mut keys = OneThenOther::new(&foreign, &own, 2 * WHILE);
    let (code, host) = login_of_alice(&[credential], &mut keys);
    assert_eq!((code, reason(&host)), (0, "verified"));
    assert_eq!(foreign.commands(), ["INIT", "getAssertion 2e", "touch"]);
    assert_eq!(own.handle.touches(), 3, "two of the registration, one of the login");
    assert_eq!(host.shown[1], "This key is not registered for alice.");
}

/// The record of one key of this make, the other one plugged in: the id has the right length and form.
#[test]
fn given_another_keys_credential_of_the_same_make_then_it_is_foreign() {
    let (_, credential) = enrolled(SecondKey::new(1));
    let other = plug(SecondKey::new(2));
    let (code, host) = login_of_alice(&[credential], &mut other.keys());
    assert_eq!((code, reason(&host)), (7, "not_registered"));
    assert_eq!(other.commands(), ["INIT", "getAssertion 2e", "touch"]);
}

/// Nobody touches the foreign key: the user sees no more than that, and the key is free again.
#[test]
fn given_a_foreign_key_that_nobody_touches_then_it_is_cancelled() {
    let key = plug(SecondKey::new(2).touch(Touch::Never));
    let (code, host) = login_of_alice(&others(1, 64), &mut key.keys());
    assert_eq!((code, reason(&host)), (7, "touch_timeout"));
    assert_eq!(key.commands(), ["INIT", "getAssertion 2d", "CANCEL"]);
    assert!(!key.handle.is_asking());
}
