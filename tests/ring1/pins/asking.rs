//! While a person types: nobody else is kept from the key, and anything may happen to it.

use super::*;
use fidokey_core::ports::Heard;
use fidokey_core::ports::OpenError;
use fidokey_tests::sim::Step;
use fidokey_tests::sim::device::{Message, Outbox};

const KEY: KeyId = KeyId(0);

/// The key is anybody's while somebody types, and ours again before a thing is sent.
#[test]
fn given_somebody_types_then_the_key_is_not_locked_meanwhile() {
    let verifier = Verifier::with_pin("1234").shared();
    let mut desk = Desk::with(&verifier);
    assert_eq!(desk.login(&["1234"]), granted());
    let release = desk.keys.trace.iter().position(|step| *step == Step::Release(KEY)).unwrap();
    assert_eq!(desk.keys.trace[release + 1], Step::Retake(KEY, Ok(Heard::Nothing)));
    let count = |step| desk.keys.trace.iter().filter(|done| **done == step).count();
    assert_eq!(count(Step::Release(KEY)), 1);
    assert_eq!(count(Step::Open(KEY, Ok(()))), 1, "the same descriptor before and after");
}

/// A minute is more than a login lasts; it is not the login's.
#[test]
fn given_somebody_types_slowly_then_no_deadline_passes() {
    for takes in [10, 60, 600] {
        let verifier = Verifier::with_pin("1234").shared();
        let secret = Secret::new(1, 64);
        let mut desk = Desk::new(&[secret.credential()], STRICT);
        let touch = Behaviour { touch: Some(seconds(25)), ..Behaviour::default() };
        desk.plug_with(&[secret], &verifier, touch);
        desk.host.typing.0 = seconds(takes);
        assert_eq!(desk.login(&["1234"]), granted(), "{takes}");
        assert_eq!(desk.keys.elapsed().as_secs(), takes + 25);
    }
    // And the end comes all the same.
    let verifier = Verifier::with_pin("1234").shared();
    let secret = Secret::new(1, 64);
    let mut desk = Desk::new(&[secret.credential()], STRICT);
    desk.plug_with(&[secret], &verifier, Behaviour { touch: None, ..Behaviour::default() });
    desk.host.typing.0 = seconds(600);
    assert_eq!(desk.login(&["1234"]), outcome(7, "touch_timeout"));
    assert_eq!(desk.keys.elapsed().as_secs(), 630);
}

/// Another program has the key when the PIN was typed.
#[test]
fn given_another_program_took_the_key_then_it_is_waited_for_and_then_named() {
    for (until, came) in [(12, granted()), (30, outcome(7, "key_busy"))] {
        let verifier = Verifier::with_pin("1234").shared();
        let mut desk = Desk::with(&verifier);
        desk.host.typing.0 = seconds(10);
        desk.keys.lock_after(KEY, seconds(5), seconds(until));
        assert_eq!(desk.login(&["1234"]), came);
        let busy = Step::Retake(KEY, Err(OpenError::Busy));
        assert!(desk.keys.trace.contains(&busy));
        assert_eq!(verifier.borrow().tries, u32::from(came.0 == 0));
    }
}

/// D12: it is pulled out, and another one of the account's is there, or comes.
#[test]
fn given_the_key_is_pulled_out_meanwhile_then_another_one_may_do() {
    let verifiers = [1, 2].map(|_| Verifier::with_pin("1234").shared());
    let secrets = [1, 2].map(|number| Secret::new(number, 64));
    let mut desk = Desk::new(&secrets.each_ref().map(Secret::credential), STRICT);
    let first = desk.plug(&secrets[..1], &verifiers[0]);
    let second = desk.plug(&secrets[1..], &verifiers[1]);
    desk.keys.plug_after(second, seconds(12));
    desk.host.typing.0 = seconds(10);
    desk.keys.unplug_after(first, seconds(5));
    assert_eq!(desk.login(&["1234", "1234"]), granted());
    assert_eq!(verifiers[0].borrow().tries, 0);
    assert_eq!(verifiers[1].borrow().tries, 1);
    assert_eq!(desk.host.asked.len(), 2);
}

/// P5: pulled out in the midst of its one try, and plugged in again.
#[test]
fn given_the_key_is_pulled_out_in_its_one_try_then_there_is_no_second_one() {
    let mut tries = 0;
    for step in 0..120 {
        let verifier = Verifier::with_pin("1234").shared();
        let mut desk = Desk::with(&verifier);
        desk.keys.remove_at(KEY, step);
        desk.keys.replug(KEY, seconds(3), seconds(4));
        let (code, reason) = desk.login(&["1234", "1234"]);
        assert!(code == 0 || code == 7, "{reason}");
        assert!(verifier.borrow().tries <= 1, "{step}");
        tries += verifier.borrow().tries;
    }
    assert!(tries > 0);
}

/// Ctrl-C where the PIN is typed: the conversation says so, and that is the end.
#[test]
fn given_the_conversation_ends_then_the_login_does() {
    let verifier = Verifier::with_pin("1234").shared();
    let mut desk = Desk::with(&verifier);
    assert_eq!(desk.login(&[]), outcome(19, "conversation"));
    assert_eq!(verifier.borrow().tries, 0);
    assert_eq!(desk.commands().last(), Some(&"getPINRetries"));
}

/// P15, P17: what cannot be said is not followed by what it was to say.
#[test]
fn given_a_message_that_is_not_delivered_then_nothing_is_asked_and_nothing_blinks() {
    for deaf_from in [0, 1] {
        let verifier = Verifier::with_pin("1234").shared();
        let secret = Secret::new(1, 64);
        let mut desk = Desk::new(&[secret.credential()], STRICT);
        let (_, seen) = desk.plug_with(&[secret], &verifier, Behaviour::default());
        desk.host.deaf_from = Some(deaf_from);
        assert_eq!(desk.login(&["1234"]), outcome(19, "conversation"));
        assert_eq!(desk.host.asked.len(), deaf_from);
        assert_eq!(seen.borrow().touches, 0);
        assert!(!desk.commands().contains(&"getAssertion"));
    }
}

/// Two keys of the account: one is asked for by name, and an empty answer means the other one.
#[test]
fn given_two_keys_then_one_pin_is_asked_for_and_no_answer_means_the_other() {
    let secrets = [1, 2].map(|number| Secret::new(number, 64));
    for (typed, asked, tries) in [(&["1111"][..], 1, [1, 0]), (&["", "2222"], 2, [0, 1])] {
        let verifiers = ["1111", "2222"].map(|pin| Verifier::with_pin(pin).shared());
        let mut desk = Desk::new(&secrets.each_ref().map(Secret::credential), STRICT);
        desk.plug(&secrets[..1], &verifiers[0]);
        desk.plug(&secrets[1..], &verifiers[1]);
        assert_eq!(desk.login(typed), granted());
        assert_eq!(desk.host.asked.len(), asked);
        assert_eq!(verifiers.each_ref().map(|verifier| verifier.borrow().tries), tries);
        let enter = ["Enter the PIN of \"Key 1\".", "Enter the PIN of \"Key 2\"."];
        assert_eq!(desk.host.shown[..asked], enter[..asked]);
        // Nobody else's key is held while somebody types.
        let mut open = 0;
        for step in &desk.keys.trace {
            match step {
                Step::Open(_, Ok(())) => open += 1,
                Step::Close(_) => open -= 1,
                Step::Release(_) => assert_eq!(open, 1),
                _ => {}
            }
        }
    }
    // Nobody wants to: each is asked once.
    let verifiers = ["1111", "2222"].map(|pin| Verifier::with_pin(pin).shared());
    let mut desk = Desk::new(&secrets.each_ref().map(Secret::credential), STRICT);
    desk.plug(&secrets[..1], &verifiers[0]);
    desk.plug(&secrets[1..], &verifiers[1]);
    assert_eq!(desk.login(&["", ""]), outcome(7, "pin_declined"));
    assert_eq!(desk.host.asked.len(), 2);
}

/// A silent key delays nobody, and is not held while somebody types.
#[test]
fn given_a_silent_key_beside_then_the_pin_is_asked_for_at_once() {
    use fidokey_tests::sim::device::Script;
    let verifier = Verifier::with_pin("1234").shared();
    let mut desk = Desk::with(&verifier);
    desk.add(Script::new(|_, _| {}));
    desk.host.typing.0 = seconds(60);
    assert_eq!(desk.login(&["1234"]), granted());
    assert!(desk.keys.elapsed() < seconds(63), "{:?}", desk.keys.elapsed());
}

/// Whoever hesitates for longer than a login lasts, and then means the other key, has all the time for that one.
#[test]
fn given_an_empty_answer_after_a_long_time_then_the_other_key_has_its_whole_time() {
    let secrets = [1, 2].map(|number| Secret::new(number, 64));
    let verifiers = ["1111", "2222"].map(|pin| Verifier::with_pin(pin).shared());
    let mut desk = Desk::new(&secrets.each_ref().map(Secret::credential), STRICT);
    desk.plug(&secrets[..1], &verifiers[0]);
    let slow = Behaviour { touch: Some(seconds(25)), ..Behaviour::default() };
    desk.plug_with(&secrets[1..], &verifiers[1], slow);
    desk.host.typing.0 = seconds(60);
    assert_eq!(desk.login(&["", "2222"]), granted());
    assert_eq!(desk.keys.elapsed().as_secs(), 60 + 60 + 25);
}

/// The time for a key to be plugged in is as long as it was, after somebody has typed.
#[test]
fn given_a_key_pulled_out_while_its_pin_was_typed_then_another_is_waited_for_as_ever() {
    for takes in [1, 20, 40] {
        let verifier = Verifier::with_pin("1234").shared();
        let secret = Secret::new(1, 64);
        let config = format!("{STRICT}wait_for_key = \"5s\"\n");
        let mut desk = Desk::new(&[secret.credential()], &config);
        let key = desk.plug(&[secret], &verifier);
        desk.host.typing.0 = seconds(takes);
        desk.keys.unplug_after(key, Duration::from_millis(500));
        assert_eq!(desk.login(&["1234"]), outcome(7, "no_key"));
        assert_eq!(desk.keys.elapsed().as_secs(), takes + 5);
    }
}

/// P3: others have spent tries while this person typed: the count is looked at again, and only then.
#[test]
fn given_others_have_used_the_key_meanwhile_then_the_tries_are_counted_anew() {
    for (left, came) in
        [(4, granted()), (3, outcome(7, "pin_guarded")), (0, outcome(7, "pin_blocked"))]
    {
        let verifier = Verifier::with_pin("1234").shared();
        let mut desk = Desk::with(&verifier);
        desk.host.typing.0 = seconds(10);
        desk.host.typing_spends = Some((Rc::clone(&verifier), left));
        desk.keys.lock_after(KEY, seconds(2), seconds(4));
        assert_eq!(desk.login(&["1234"]), came, "{left}");
        assert_eq!(verifier.borrow().tries, u32::from(came.0 == 0));
        let counted = desk.commands().iter().filter(|command| **command == "getPINRetries").count();
        assert_eq!(counted, 2);
    }
}

/// P1: a machine that has slept may have another key behind the same descriptor: it has to prove itself anew.
#[test]
fn given_the_machine_has_slept_meanwhile_then_the_key_proves_itself_again() {
    let verifier = Verifier::with_pin("1234").shared();
    let mut desk = Desk::with(&verifier);
    desk.host.sleeping.0 = seconds(3600);
    desk.host.sleeps = 1;
    assert_eq!(desk.login(&["1234", "1234"]), granted());
    assert_eq!(verifier.borrow().tries, 1);
    let count = |what| desk.commands().iter().filter(|command| **command == what).count();
    assert_eq!((count("getAssertion?"), count("getPINRetries")), (2, 2));
    assert_eq!(desk.host.asked.len(), 2);
}

/// A key that has forgotten our channel (it was asleep, or has had others to remember) says so, and is spoken to on
/// another one.
#[test]
fn given_the_key_has_forgotten_the_channel_then_another_one_is_opened() {
    let verifier = Verifier::with_pin("1234").shared();
    let secret = Secret::new(1, 64);
    let mut desk = Desk::new(&[secret.credential()], STRICT);
    let forgotten = std::cell::Cell::new(false);
    let instead = move |message: &Message, outbox: &mut Outbox| {
        let agreement = message.payload.starts_with(&[0x06, 0xa2, 0x01, 0x02, 0x02, 0x02]);
        let forgets = message.command == 0x10 && agreement && !forgotten.replace(true);
        if forgets {
            outbox.message(Duration::ZERO, message.channel, 0x3f, &[0x0b]);
        }
        forgets
    };
    let behaviour = Behaviour { instead: Rc::new(instead), ..Behaviour::default() };
    desk.plug_with(&[secret], &verifier, behaviour);
    assert_eq!(desk.login(&["1234"]), granted());
    let opened = desk.keys.trace.iter().filter(
        |step| matches!(step, Step::Send(_, report) if report[..5] == [0xff, 0xff, 0xff, 0xff, 0x86]),
    );
    assert_eq!(opened.count(), 2);
}

/// P1: it slept while another key blinked, after this one had proven itself and before anybody was asked.
#[test]
fn given_the_machine_has_slept_before_the_question_then_the_key_proves_itself_again() {
    let policy = "schema = 1\n[default]\nmode = \"second-factor\"\ntouch = \"2s\"\n";
    let secrets = [1, 2].map(|number| Secret::new(number, 64));
    let credentials = [required(secrets[0].credential()), secrets[1].credential()];
    let verifier = Verifier::with_pin("1234").shared();
    let mut desk = Desk::new(&credentials, policy);
    let slept = Rc::clone(&desk.machine.slept);
    let asleep = move |message: &Message, _: &mut Outbox| {
        // Its touch has not come, and it is cancelled.
        if message.command == 0x11 {
            slept.set(seconds(3600));
        }
        false
    };
    let other = Behaviour { touch: None, instead: Rc::new(asleep), ..Behaviour::default() };
    desk.plug_with(&secrets[1..], &Verifier::default().shared(), other);
    desk.plug(&secrets[..1], &verifier);
    assert_eq!(desk.login(&["1234", "1234"]), granted());
    assert_eq!((desk.host.asked.len(), verifier.borrow().tries), (2, 1));
}
