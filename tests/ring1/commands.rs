//! What goes over the wire, command by command, and what the user reads meanwhile.

use std::time::Duration;

use fidokey_core::credential::Credential;
use fidokey_core::login::login;
use fidokey_core::ports::KeyId;
use fidokey_tests::sim::softkey::{Behaviour, Secret, soft_key};
use fidokey_tests::sim::world::{SECOND_FACTOR, login_of_alice, world};
use fidokey_tests::sim::{SimKeys, Step};

fn secrets(count: u8, id_len: usize) -> Vec<Secret> {
    (1..=count).map(|number| Secret::new(number, id_len)).collect()
}

fn credentials(secrets: &[Secret]) -> Vec<Credential> {
    secrets.iter().map(Secret::credential).collect()
}

/// A login of an account with these credentials by a key that holds the last of them.
fn commands(count: u8, id_len: usize, behaviour: Behaviour) -> (i32, Vec<&'static str>) {
    let secrets = secrets(count, id_len);
    let (key, _) = soft_key(&secrets[secrets.len() - 1..], behaviour);
    let mut keys = SimKeys::with(key);
    let (code, _) = login_of_alice(&credentials(&secrets), &mut keys);
    (code, keys.commands())
}

#[test]
fn given_one_key_and_a_short_list_then_two_commands() {
    let expected = (0, vec!["INIT", "getAssertion"]);
    assert_eq!(commands(1, 64, Behaviour::default()), expected);
    assert_eq!(commands(8, 64, Behaviour::default()), expected);
    // 3 ids of 241 bytes are what 1024 bytes hold.
    assert_eq!(commands(3, 241, Behaviour::default()), expected);
    assert_eq!(commands(1, 900, Behaviour::default()), expected);
}

#[test]
fn given_a_longer_list_then_the_key_is_asked_what_it_takes_and_which_is_its_own() {
    let expected = (0, vec!["INIT", "getInfo", "getAssertion?", "getAssertion"]);
    assert_eq!(commands(9, 64, Behaviour::default()), expected);
    let roomy = Behaviour { max_message_size: Some(7609), ..Behaviour::default() };
    assert_eq!(commands(4, 241, roomy.clone()), expected);
    assert_eq!(commands(64, 64, roomy), expected);
}

#[test]
fn given_a_limit_of_the_keys_then_no_list_is_longer() {
    for (limit, status) in [(1, 0x12), (3, 0x39), (10, 0x03), (23, 0x15)] {
        let secrets = secrets(64, 64);
        let behaviour = Behaviour {
            list_limit: Some((limit, status, true)),
            max_message_size: Some(7609),
            ..Behaviour::default()
        };
        let (key, seen) = soft_key(&secrets[63..], behaviour);
        let mut keys = SimKeys::with(key);
        let (code, _) = login_of_alice(&credentials(&secrets), &mut keys);
        assert_eq!(code, 0);
        assert!(seen.borrow().lists.iter().all(|&length| length <= limit));
        assert_eq!(seen.borrow().touches, 1);
    }
}

/// A key that does not say how many it takes, and takes fewer than it is sent.
#[test]
fn given_a_list_that_is_refused_all_the_same_then_it_is_halved_until_it_is_taken() {
    for count in [2, 8, 64] {
        for status in [0x03, 0x12, 0x15, 0x39] {
            let secrets = secrets(count, 64);
            let behaviour = Behaviour {
                list_limit: Some((1, status, true)),
                list_limit_hidden: true,
                max_message_size: Some(7609),
                ..Behaviour::default()
            };
            let (key, seen) = soft_key(&secrets[usize::from(count) - 1..], behaviour);
            let mut keys = SimKeys::with(key);
            let (code, host) = login_of_alice(&credentials(&secrets), &mut keys);
            assert_eq!(code, 0, "{count} {status:02x} {:?}", host.logged);
            assert_eq!(seen.borrow().touches, 1);
            assert_eq!(host.shown, ["Touch your security key (sudo)."]);
            // Halved from the whole list on, once each, and then one by one.
            let halvings = seen.borrow().lists.iter().filter(|&&length| length > 1).count();
            let expected = usize::from(count).ilog2() as usize + usize::from(count <= 8);
            assert_eq!(halvings, expected, "{:?}", seen.borrow().lists);
        }
    }
}

#[test]
fn given_a_foreign_sole_key_then_the_user_is_told_and_the_right_one_may_follow() {
    let mine = Secret::new(1, 64);
    for (waits, status) in [(false, 0x2e), (true, 0x2e), (false, 0x22)] {
        let behaviour =
            Behaviour { foreign_waits: waits, foreign_status: status, ..Behaviour::default() };
        let (foreign, seen) = soft_key(&[Secret::new(2, 64)], behaviour);
        let (own, _) = soft_key(std::slice::from_ref(&mine), Behaviour::default());
        let mut keys = SimKeys::with(foreign);
        let right = keys.add(own);
        keys.plug_after(right, Duration::from_secs(5));
        let (code, host) = login_of_alice(&[mine.credential()], &mut keys);
        assert_eq!(code, 0);
        assert_eq!(
            host.shown,
            [
                "Touch your security key (sudo).",
                "This key is not registered for alice.",
                "Touch your security key (sudo).",
            ]
        );
        // Asked once, not again.
        assert_eq!(seen.borrow().hashes.len(), 1);
    }
}

#[test]
fn given_only_a_foreign_key_then_denied_when_the_time_for_another_is_over() {
    let (foreign, _) = soft_key(&[Secret::new(2, 64)], Behaviour::default());
    let mut keys = SimKeys::with(foreign);
    let (code, host) = login_of_alice(&[Secret::new(1, 64).credential()], &mut keys);
    assert_eq!(code, 7);
    assert!(host.logged[0].1.contains("reason=not_registered"));
    assert_eq!(host.shown.last().unwrap(), "Timed out waiting for the security key.");
    assert!(keys.elapsed() <= Duration::from_secs(46));
}

/// The owner's key is found by silent questions: only it blinks.
#[test]
fn given_several_keys_then_only_the_accounts_own_blinks() {
    let mine = Secret::new(1, 64);
    let (first, first_seen) = soft_key(&[Secret::new(2, 64)], Behaviour::default());
    let (second, second_seen) = soft_key(std::slice::from_ref(&mine), Behaviour::default());
    let mut keys = SimKeys::with(first);
    keys.add(second);
    let (code, host) = login_of_alice(&[mine.credential()], &mut keys);
    assert_eq!(code, 0);
    assert_eq!((first_seen.borrow().touches, second_seen.borrow().touches), (0, 1));
    assert_eq!(host.shown, ["Touch your security key (sudo)."]);
    // Both at the same time.
    assert_eq!(keys.commands(), ["INIT", "INIT", "getAssertion?", "getAssertion?", "getAssertion"]);
}

#[test]
fn given_no_key_then_the_user_is_asked_to_insert_one_and_it_is_used_when_it_comes() {
    let mine = Secret::new(1, 64);
    let (key, _) = soft_key(std::slice::from_ref(&mine), Behaviour::default());
    let mut keys = SimKeys::with(key);
    keys.plug_after(KeyId(0), Duration::from_secs(20));
    let (code, host) = login_of_alice(&[mine.credential()], &mut keys);
    assert_eq!(code, 0);
    assert_eq!(host.shown, ["Insert your security key.", "Touch your security key (sudo)."]);
}

#[test]
fn given_no_key_at_all_then_denied_after_the_time_for_insertion() {
    let mut keys = SimKeys::default();
    let (code, host) = login_of_alice(&[Secret::new(1, 64).credential()], &mut keys);
    assert_eq!(code, 7);
    assert_eq!(keys.elapsed(), Duration::from_secs(30));
    assert_eq!(
        host.shown,
        ["Insert your security key.", "Timed out waiting for the security key."]
    );
    assert!(host.logged[0].1.contains("reason=no_key"));
}

#[test]
fn given_credentials_of_two_relying_parties_then_each_is_asked_for_under_its_own() {
    let mut old = Secret::new(1, 64);
    old.rp_id = "pam://oldhost".to_owned();
    let new = Secret::new(2, 64);
    let (key, _) = soft_key(std::slice::from_ref(&new), Behaviour::default());
    let mut keys = SimKeys::with(key);
    let (code, _) = login_of_alice(&[old.credential(), new.credential()], &mut keys);
    assert_eq!(code, 0);
    assert_eq!(keys.commands(), ["INIT", "getAssertion?", "getAssertion?", "getAssertion"]);
}

/// Another program holds the lock: waited for, then said.
#[test]
fn given_a_locked_key_then_it_is_waited_for_three_seconds_and_said() {
    let mine = Secret::new(1, 64);
    for (held, expected) in [(2500, 0), (60_000, 7)] {
        let (key, _) = soft_key(std::slice::from_ref(&mine), Behaviour::default());
        let mut keys = SimKeys::with(key);
        keys.lock(KeyId(0), Duration::from_millis(held));
        let (code, host) = login_of_alice(&[mine.credential()], &mut keys);
        assert_eq!(code, expected);
        if expected == 7 {
            assert_eq!(host.shown, ["The security key is in use by another program."]);
            assert!(keys.elapsed() <= Duration::from_millis(3200));
        }
    }
}

#[test]
fn given_a_key_that_cannot_be_opened_then_denied_at_once_and_the_log_says_so() {
    let mut keys = SimKeys::with(soft_key(&[], Behaviour::default()).0);
    keys.deny(KeyId(0), 1);
    let (code, host) = login_of_alice(&[Secret::new(1, 64).credential()], &mut keys);
    assert_eq!(code, 7);
    assert!(keys.elapsed() < Duration::from_secs(1));
    assert!(host.logged[0].1.contains("reason=key_inaccessible"));
}

/// A conversation that fails ends the login before anything blinks.
#[test]
fn given_a_conversation_that_fails_then_the_key_is_not_armed() {
    let mine = Secret::new(1, 64);
    let (key, seen) = soft_key(std::slice::from_ref(&mine), Behaviour::default());
    let mut keys = SimKeys::with(key);
    let (mut machine, mut host) = world(&[mine.credential()], SECOND_FACTOR);
    host.deaf_from = Some(0);
    let answer = login(&mut machine, &mut host, &mut keys, &[]);
    assert_eq!(answer.number(), 19);
    assert!(seen.borrow().hashes.is_empty());
    assert_eq!(keys.trace.last(), Some(&Step::Close(KeyId(0))));
}

/// After the touch there is nothing left to wait for.
#[test]
fn given_the_touch_then_nothing_is_sent_or_waited_for_after_it() {
    let secret = Secret::new(1, 64);
    let behaviour = Behaviour { touch: Some(Duration::from_millis(1234)), ..Behaviour::default() };
    let (key, _) = soft_key(std::slice::from_ref(&secret), behaviour);
    let mut keys = SimKeys::with(key);
    let (code, _) = login_of_alice(&[secret.credential()], &mut keys);
    assert_eq!(code, 0);
    assert_eq!(keys.elapsed(), Duration::from_millis(1234));
    assert_eq!(keys.commands(), ["INIT", "getAssertion"]);
}

/// A key gives up after half a minute; where the policy gives its owner longer it is asked again, each time for another
/// challenge, and all of it ends with both waits.
#[test]
fn given_slow_hands_then_the_key_is_asked_until_the_touch_or_the_time_that_was_set() {
    let secret = Secret::new(1, 64);
    let ends = |touch: Option<u64>, set: &str| {
        let behaviour = Behaviour {
            touch: touch.map(Duration::from_secs),
            patience: Some(Duration::from_secs(30)),
            ..Behaviour::default()
        };
        let (key, seen) = soft_key(std::slice::from_ref(&secret), behaviour);
        let mut keys = SimKeys::with(key);
        let config = format!("{SECOND_FACTOR}{set}");
        let (mut machine, mut host) = world(&[secret.credential()], &config);
        let answer = login(&mut machine, &mut host, &mut keys, &[]);
        let cues = host.shown.iter().filter(|text| text.starts_with("Touch")).count();
        assert_eq!(cues, 1, "{:?}", host.shown);
        let mut hashes = seen.borrow().hashes.clone();
        hashes.dedup();
        assert_eq!(hashes.len(), seen.borrow().hashes.len());
        (answer.number(), keys.elapsed().as_secs(), hashes.len())
    };
    let slow = "touch = \"120s\"\n";
    assert_eq!(ends(Some(100), slow), (0, 100, 4));
    assert_eq!(ends(Some(25), slow), (0, 25, 1));
    assert_eq!(ends(None, slow), (7, 120, 4));
    assert_eq!(ends(Some(100), ""), (7, 30, 1));
}
