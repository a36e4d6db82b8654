//! Several keys at once: who blinks, who wins, what becomes of the others, and who is not waited for.

use std::time::Duration;

use fidokey_core::credential::{Algorithm, Credential};
use fidokey_core::enroll::EnrollError;
use fidokey_core::login::login;
use fidokey_core::ports::KeyId;
use fidokey_tests::sim::device::Script;
use fidokey_tests::sim::softkey::{Behaviour, Secret, soft_key};
use fidokey_tests::sim::u2f_key::{U2fBehaviour, u2f_key};
use fidokey_tests::sim::world::{SECOND_FACTOR, enroll_for_alice, login_of_alice, world};
use fidokey_tests::sim::{SimKeys, Step};

const CUE: &str = "Touch your security key (sudo).";

fn touched_after(milliseconds: u64) -> Behaviour {
    Behaviour { touch: Some(Duration::from_millis(milliseconds)), ..Behaviour::default() }
}

fn never() -> Behaviour {
    Behaviour { touch: None, ..Behaviour::default() }
}

/// What one key was sent, in words.
fn commands_of(keys: &SimKeys, key: KeyId) -> Vec<&'static str> {
    let commands = keys.commands();
    let to_it = keys.messages().into_iter().zip(commands).filter(|((to, ..), _)| *to == key);
    to_it.map(|(_, command)| command).collect()
}

/// BAR D27: both keys of the account blink, one cue is shown, the second one is touched and the first cancelled.
#[test]
fn given_two_keys_of_the_account_then_both_blink_and_the_touched_one_wins() {
    let secrets = [Secret::new(1, 64), Secret::new(2, 64)];
    let credentials = secrets.clone().map(|secret| secret.credential());
    let (first, first_seen) = soft_key(&secrets[..1], never());
    let (second, second_seen) = soft_key(&secrets[1..], touched_after(3000));
    let mut keys = SimKeys::with(first);
    keys.add(second);
    let (code, host) = login_of_alice(&credentials, &mut keys);
    assert_eq!((code, &host.shown[..]), (0, &[CUE.to_owned()][..]));
    assert_eq!((first_seen.borrow().touches, second_seen.borrow().touches), (0, 1));
    assert_eq!(commands_of(&keys, KeyId(0)), ["INIT", "getAssertion?", "getAssertion", "CANCEL"]);
    assert_eq!(commands_of(&keys, KeyId(1)), ["INIT", "getAssertion?", "getAssertion"]);
    assert_eq!(first_seen.borrow().cancels, 1);
    // The touch, and no more than the first key took to be idle.
    assert!(keys.elapsed() <= Duration::from_millis(3200), "{:?}", keys.elapsed());
    assert!(!keys.any_open());
}

/// BAR D27, D20: the same of both generations at once.
#[test]
fn given_keys_of_both_generations_then_either_wins() {
    for u2f_first in [true, false] {
        let (old, new) = (Secret::new(1, 64), Secret::new(2, 64));
        let touch = if u2f_first { (Some(500), 5000) } else { (None, 500) };
        let behaviour =
            U2fBehaviour { touch: touch.0.map(Duration::from_millis), ..U2fBehaviour::default() };
        let (first, _) = u2f_key(std::slice::from_ref(&old), behaviour);
        let (second, _) = soft_key(std::slice::from_ref(&new), touched_after(touch.1));
        let mut keys = SimKeys::with(first);
        keys.add(second);
        let credentials = [old.u2f_credential(), new.credential()];
        let (code, host) = login_of_alice(&credentials, &mut keys);
        assert_eq!((code, &host.shown[..]), (0, &[CUE.to_owned()][..]));
        let winner = if u2f_first { &credentials[0] } else { &credentials[1] };
        let [a, b, c, d] = winner.id.tag();
        let tag = format!(" cred={a:02x}{b:02x}{c:02x}{d:02x} ");
        assert!(host.logged[0].1.contains(&tag), "{:?}", host.logged);
        let cancels = keys.commands().iter().filter(|command| **command == "CANCEL").count();
        // A first-generation key waits for nothing: there is nothing to cancel.
        assert_eq!(cancels, usize::from(u2f_first));
    }
}

/// BAR D14, D13: a key that is plugged in after the cue joins; one that was pulled out is found again.
#[test]
fn given_a_key_plugged_in_after_the_cue_then_it_joins_at_once() {
    let secrets = [Secret::new(1, 64), Secret::new(2, 64)];
    let credentials = secrets.clone().map(|secret| secret.credential());
    let (first, _) = soft_key(&secrets[..1], never());
    let (second, seen) = soft_key(&secrets[1..], touched_after(250));
    let mut keys = SimKeys::with(first);
    let late = keys.add(second);
    keys.plug_after(late, Duration::from_secs(4));
    let (code, host) = login_of_alice(&credentials, &mut keys);
    assert_eq!((code, &host.shown[..]), (0, &[CUE.to_owned()][..]));
    assert!(keys.elapsed() <= Duration::from_millis(4500), "{:?}", keys.elapsed());
    assert_eq!(seen.borrow().touches, 1);

    let (key, _) = soft_key(&secrets[..1], touched_after(3000));
    let mut keys = SimKeys::with(key);
    keys.replug(KeyId(0), Duration::from_secs(1), Duration::from_secs(2));
    let (code, _) = login_of_alice(&credentials, &mut keys);
    assert_eq!(code, 0);
    // The finger of the first time comes too late, and the second one after it.
    assert!(keys.elapsed() <= Duration::from_millis(6200), "{:?}", keys.elapsed());
}

/// BAR D12: one of two keys is pulled out, at any step of the login; the other one lets in.
#[test]
fn given_one_of_two_keys_removed_at_any_step_then_the_other_lets_in() {
    let secrets = [Secret::new(1, 64), Secret::new(2, 64)];
    let credentials = secrets.clone().map(|secret| secret.credential());
    for removed in [0, 1] {
        for step in 0..25 {
            let (first, _) = soft_key(&secrets[..1], touched_after(2000));
            let (second, _) = soft_key(&secrets[1..], touched_after(2500));
            let mut keys = SimKeys::with(first);
            keys.add(second);
            keys.remove_at(KeyId(removed), step);
            let (code, _) = login_of_alice(&credentials, &mut keys);
            assert_eq!(code, 0, "{removed} {step}");
            assert!(keys.elapsed() <= Duration::from_millis(2800), "{:?}", keys.elapsed());
            assert!(!keys.any_open());
        }
    }
}

/// BAR D15, D12: one of three keys is the account's, the others take no report, or a few, for which the kernel gives them 5
/// seconds each time and nobody is listened to meanwhile; that one lets in all the same, in whichever order they are asked.
#[test]
fn given_keys_that_take_no_report_then_another_one_lets_in() {
    let secret = Secret::new(1, 64);
    for (good, takes, count) in (0..4).flat_map(|good| {
        (0..3).flat_map(move |takes| (2..5).map(move |count| (good, takes, count)))
    }) {
        let mut keys = SimKeys::default();
        for number in 0..count {
            if number == good % count {
                keys.add(soft_key(std::slice::from_ref(&secret), touched_after(300)).0);
            } else {
                let stuck = keys.add(Script::new(|_, _| {}));
                keys.stuck.push((stuck, takes));
            }
        }
        let (code, host) = login_of_alice(&[secret.credential()], &mut keys);
        let what = format!("{good} {takes} {count}: {:?}", host.logged);
        assert_eq!((code, &host.shown[..]), (0, &[CUE.to_owned()][..]), "{what}");
        // Once for each of them.
        let most = Duration::from_secs(5 * (count - 1)) + Duration::from_millis(600);
        assert!(keys.elapsed() <= most, "{what} {:?}", keys.elapsed());
        assert!(!keys.any_open());
    }
}

/// BAR D2, D24: the process is stopped at any time, and what the key has said meanwhile counts: it was not silent.
#[test]
fn given_a_process_that_was_stopped_then_the_key_is_heard_all_the_same() {
    let secret = Secret::new(1, 64);
    for at in (0..700).step_by(10) {
        let (key, _) = soft_key(std::slice::from_ref(&secret), touched_after(500));
        let mut keys = SimKeys::with(key);
        keys.stop_after(Duration::from_millis(at), Duration::from_secs(6));
        let (code, host) = login_of_alice(&[secret.credential()], &mut keys);
        assert_eq!(code, 0, "{at}: {:?}", host.logged);
    }
}

/// BAR D1: the login's time is over when the process goes on. It ends, and lets nobody in, also where the touch came in time: of
/// either generation, and at whatever moment it was stopped.
#[test]
fn given_a_process_that_was_stopped_past_the_end_then_the_login_is_denied() {
    let secret = Secret::new(1, 64);
    for (touch, at) in
        [2000, 70_000].into_iter().flat_map(|touch| [0, 350, 1950, 1999].map(|at| (touch, at)))
    {
        let u2f =
            U2fBehaviour { touch: Some(Duration::from_millis(touch)), ..U2fBehaviour::default() };
        let first = || u2f_key(std::slice::from_ref(&secret), u2f.clone()).0;
        let second = || soft_key(std::slice::from_ref(&secret), touched_after(touch)).0;
        let credentials = [secret.u2f_credential(), secret.credential()];
        for (key, credential) in [first(), second()].into_iter().zip(credentials) {
            let mut keys = SimKeys::with(key);
            keys.stop_after(Duration::from_millis(at), Duration::from_secs(60));
            let (code, host) = login_of_alice(&[credential], &mut keys);
            assert_eq!(code, 7, "{touch} {at}: {:?}", host.logged);
            assert!(keys.elapsed() <= Duration::from_millis(64_000), "{:?}", keys.elapsed());
            assert!(!keys.any_open());
        }
    }
}

/// BAR D2: a key that is silent is given up, also where the process was stopped meanwhile.
#[test]
fn given_a_process_that_was_stopped_and_a_silent_key_then_it_is_given_up() {
    let secret = Secret::new(1, 64);
    let mut keys = SimKeys::with(Script::with_init(|_, _| {}));
    keys.stop_after(Duration::from_secs(1), Duration::from_secs(6));
    let (code, _) = login_of_alice(&[secret.credential()], &mut keys);
    assert_eq!(code, 7);
    assert!(keys.elapsed() <= Duration::from_millis(8600), "{:?}", keys.elapsed());
}

/// BAR D15: sixteen keys, one that says nothing and one that breaks its protocol among them, and 64 credentials: nobody
/// waits for those two, and each key hears no more than it would alone.
#[test]
fn given_sixteen_keys_and_a_silent_one_then_nobody_waits_for_it() {
    let credentials: Vec<Credential> =
        (1..=64).map(|number| Secret::new(number, 64).credential()).collect();
    let mut keys = SimKeys::default();
    for number in 0..16_u8 {
        match number {
            3 => keys.add(Script::with_init(|_, _| {})),
            5 => keys.add(Script::new(|message, outbox| {
                outbox.message(Duration::ZERO, message.channel, message.command, &[0xff; 200]);
            })),
            15 => keys.add(soft_key(&[Secret::new(64, 64)], touched_after(700)).0),
            other => keys.add(soft_key(&[Secret::new(100 + other, 64)], never()).0),
        };
    }
    let (code, host) = login_of_alice(&credentials, &mut keys);
    assert_eq!((code, &host.shown[..]), (0, &[CUE.to_owned()][..]));
    // The finger's time; the silent key's two seconds are not in it.
    assert!(keys.elapsed() <= Duration::from_millis(950), "{:?}", keys.elapsed());
    let winner = commands_of(&keys, KeyId(15));
    assert_eq!(winner.first(), Some(&"INIT"));
    assert_eq!(winner.last(), Some(&"getAssertion"));
    assert_eq!(winner.iter().filter(|command| **command == "getAssertion").count(), 1);
    for foreign in [0, 1, 2, 4, 6, 14] {
        let commands = commands_of(&keys, KeyId(foreign));
        assert!(!commands.contains(&"getAssertion"), "{commands:?}");
        assert_eq!(commands.len(), winner.len() - 1, "{commands:?}");
        // And the same as if it were the only one.
        let alone = soft_key(&[Secret::new(100 + u8::try_from(foreign).unwrap(), 64)], never()).0;
        let mut alone = SimKeys::with(alone);
        assert_eq!(login_of_alice(&credentials, &mut alone).0, 7);
        assert_eq!(commands, commands_of(&alone, KeyId(0)));
    }
    assert!(!keys.any_open());
}

/// BAR Q6: one key is held by another program, the other one lets in without waiting for it.
#[test]
fn given_a_busy_key_beside_a_free_one_then_the_free_one_lets_in() {
    let secrets = [Secret::new(1, 64), Secret::new(2, 64)];
    let credentials = secrets.clone().map(|secret| secret.credential());
    let mut keys = SimKeys::with(soft_key(&secrets[..1], touched_after(100)).0);
    keys.add(soft_key(&secrets[1..], touched_after(500)).0);
    keys.lock(KeyId(0), Duration::from_secs(60));
    let (code, host) = login_of_alice(&credentials, &mut keys);
    assert_eq!((code, &host.shown[..]), (0, &[CUE.to_owned()][..]));
    assert!(keys.elapsed() <= Duration::from_millis(600), "{:?}", keys.elapsed());
}

/// Nobody touches either: both are cancelled, in the time of one.
#[test]
fn given_two_keys_that_nobody_touches_then_both_are_cancelled_in_the_time_of_one() {
    let secrets = [Secret::new(1, 64), Secret::new(2, 64)];
    let credentials = secrets.clone().map(|secret| secret.credential());
    let (first, first_seen) = soft_key(&secrets[..1], never());
    let (second, second_seen) = soft_key(&secrets[1..], never());
    let mut keys = SimKeys::with(first);
    keys.add(second);
    let (code, host) = login_of_alice(&credentials, &mut keys);
    assert_eq!(code, 7);
    assert!(host.logged[0].1.contains("reason=touch_timeout"), "{:?}", host.logged);
    assert_eq!((first_seen.borrow().cancels, second_seen.borrow().cancels), (1, 1));
    assert!(keys.elapsed() <= Duration::from_millis(30_300), "{:?}", keys.elapsed());
}

/// A signature that is wrong ends the login, whoever else blinks.
#[test]
fn given_a_forged_answer_beside_a_blinking_key_then_denied_and_the_other_cancelled() {
    let secrets = [Secret::new(1, 64), Secret::new(2, 64)];
    let credentials = secrets.clone().map(|secret| secret.credential());
    let (first, seen) = soft_key(&secrets[..1], never());
    let bend = |draft: &mut fidokey_tests::sim::softkey::Draft| draft.hash[0] ^= 1;
    let forged = Behaviour { bend: std::rc::Rc::new(bend), ..touched_after(300) };
    let mut keys = SimKeys::with(first);
    keys.add(soft_key(&secrets[1..], forged).0);
    let (code, host) = login_of_alice(&credentials, &mut keys);
    assert_eq!(code, 7);
    assert!(host.logged[0].1.contains("reason=signature"), "{:?}", host.logged);
    assert_eq!(seen.borrow().cancels, 1);
}

/// Registration: with several keys plugged in the one that is touched is meant, and the others forget it.
#[test]
fn given_two_new_keys_then_the_touched_one_is_registered_and_the_other_cancelled() {
    let (first, first_seen) = soft_key(&[], never());
    let (second, second_seen) = soft_key(&[], touched_after(800));
    let mut keys = SimKeys::with(first);
    keys.add(second);
    let (registered, host) = enroll_for_alice(&[], &Algorithm::ALL, &mut keys);
    registered.unwrap();
    let expected = ["Touch your security key to register it.", "Touch it again to test it."];
    assert_eq!(host.shown, expected);
    assert_eq!((first_seen.borrow().cancels, second_seen.borrow().touches), (1, 2));
    let closed = |key| keys.trace.contains(&Step::Close(KeyId(key)));
    assert!(closed(0) && closed(1));
    // The first one was cancelled when it was not meant any more, before the second touch was asked for.
    let commands = keys.commands();
    let place = |word| commands.iter().position(|command| *command == word);
    assert!(place("CANCEL") < place("getAssertion"), "{commands:?}");
}

/// A key that cannot be registered does not keep the other one from being.
#[test]
fn given_a_key_of_no_use_beside_a_good_one_then_the_good_one_is_registered() {
    let silent = Script::with_init(|_, _| {});
    let mut keys = SimKeys::with(silent);
    keys.add(soft_key(&[], touched_after(5000)).0);
    let (registered, _) = enroll_for_alice(&[], &Algorithm::ALL, &mut keys);
    registered.unwrap();
    // And where both are of no use, the first one's failure is told.
    let mut keys = SimKeys::with(Script::with_init(|_, _| {}));
    keys.add(soft_key(&[], never()).0);
    let (refused, _) = enroll_for_alice(&[], &Algorithm::ALL, &mut keys);
    assert!(matches!(refused, Err(EnrollError::KeyFailed(_))), "{refused:?}");
}

/// A key that is listed and cannot be read from, with a loose contact: it is tried a few times, nobody is asked to plug in
/// what is plugged in, and it holds up no other key.
#[test]
fn given_a_key_that_cannot_be_read_from_then_it_is_given_up_soon() {
    let mine = Secret::new(1, 64);
    let broken = || soft_key(&[Secret::new(2, 64)], Behaviour::default()).0;
    let mut keys = SimKeys::with(broken());
    keys.break_reading(KeyId(0));
    let (code, host) = login_of_alice(&[mine.credential()], &mut keys);
    assert_eq!(code, 7);
    assert!(host.logged[0].1.contains("reason=key_failed"), "{:?}", host.logged);
    assert_eq!(host.shown.len(), 1, "{:?}", host.shown);
    assert!(keys.elapsed() < Duration::from_secs(1), "{:?}", keys.elapsed());
    let opened = keys.trace.iter().filter(|step| matches!(step, Step::Open(..))).count();
    assert_eq!(opened, 5);

    let mut keys = SimKeys::with(broken());
    keys.break_reading(KeyId(0));
    let touch = Some(Duration::from_secs(5));
    keys.add(soft_key(std::slice::from_ref(&mine), Behaviour { touch, ..Behaviour::default() }).0);
    assert_eq!(login_of_alice(&[mine.credential()], &mut keys).0, 0);
}

/// No time for another key: one that is pulled out ends the login as soon as it is seen to be out.
#[test]
fn given_no_time_for_a_key_and_one_that_is_pulled_out_then_denied_at_once() {
    let mine = Secret::new(1, 64);
    let never = Behaviour { touch: None, ..Behaviour::default() };
    let mut keys = SimKeys::with(soft_key(std::slice::from_ref(&mine), never).0);
    keys.unplug_after(KeyId(0), Duration::from_secs(1));
    let policy = format!("{SECOND_FACTOR}wait_for_key = \"0s\"\n");
    let (mut machine, mut host) = world(&[mine.credential()], &policy);
    assert_eq!(login(&mut machine, &mut host, &mut keys, &[]).number(), 7);
    assert!(keys.elapsed() < Duration::from_millis(1500), "{:?}", keys.elapsed());
    assert!(keys.waits < 50, "{} waits", keys.waits);
}
