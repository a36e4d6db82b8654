//! Ctrl-C and requests to end, while a key is waited for: the wait ends at once, the key is given up in order, and
//! nobody is let in.

use std::time::Duration;

use fidokey_core::credential::Algorithm;
use fidokey_core::enroll::EnrollError;
use fidokey_core::login::login;
use fidokey_core::ports::{KeyId, Severity, Signal};
use fidokey_tests::sim::device::Script;
use fidokey_tests::sim::softkey::{Behaviour, Secret, keepalive, soft_key};
use fidokey_tests::sim::u2f_key::{U2fBehaviour, u2f_key};
use fidokey_tests::sim::world::{SECOND_FACTOR, SimHost, enroll_for_alice, world};
use fidokey_tests::sim::{SimKeys, Step};

const ALTERNATIVE: &str = "schema = 1\n[default]\nmode = \"alternative\"\n[service.sudo]\ntouch_only_alternative = true\n";
const SOON: Duration = Duration::from_secs(5);

/// A login of alice, who has the key 1 by either protocol.
fn alice(policy: &str, keys: &mut SimKeys) -> (i32, SimHost) {
    let credentials = [Secret::new(1, 64).credential(), Secret::new(2, 64).u2f_credential()];
    let (mut machine, mut host) = world(&credentials, policy);
    let code = login(&mut machine, &mut host, keys, &[]).number();
    if code == 0 {
        assert_eq!(machine.state_writes, 1);
    }
    (code, host)
}

fn untouched() -> SimKeys {
    SimKeys::with(
        soft_key(&[Secret::new(1, 64)], Behaviour { touch: None, ..Behaviour::default() }).0,
    )
}

fn untouched_u2f() -> SimKeys {
    let behaviour = U2fBehaviour { touch: None, ..U2fBehaviour::default() };
    SimKeys::with(u2f_key(&[Secret::new(2, 64)], behaviour).0)
}

/// A key that another program has.
fn locked() -> SimKeys {
    let mut keys = untouched();
    keys.lock(KeyId(0), Duration::from_secs(60));
    keys
}

fn reason(host: &SimHost) -> &str {
    host.logged[0].1.split(' ').find_map(|field| field.strip_prefix("reason=")).unwrap()
}

/// BAR Q1, Q2: whatever is waited for. The interrupt of a second factor stays, that of an alternative is taken.
#[test]
fn given_an_interrupt_then_the_wait_ends_at_once_and_says_nothing() {
    type World = (&'static str, fn() -> SimKeys, Duration);
    let worlds: [World; 4] = [
        ("no key", SimKeys::default, SOON),
        ("a touch", untouched, SOON),
        ("a touch of the first generation", untouched_u2f, SOON),
        ("a lock", locked, Duration::from_secs(2)),
    ];
    for (what, make, after) in worlds {
        for (policy, code, left) in
            [(SECOND_FACTOR, 7, Some(Signal::Interrupt)), (ALTERNATIVE, 9, None)]
        {
            let mut keys = make();
            keys.signal_after(Signal::Interrupt, after);
            let (got, host) = alice(policy, &mut keys);
            assert_eq!((got, reason(&host)), (code, "interrupted"), "{what}");
            assert_eq!(host.logged[0].0, Severity::Notice);
            assert_eq!(host.delays, 0);
            assert!(host.shown.len() <= 1, "{:?}", host.shown);
            assert_eq!(keys.signal, left, "{what}");
            assert!(
                keys.elapsed() <= after + Duration::from_millis(20),
                "{what}: {:?}",
                keys.elapsed()
            );
        }
    }
}

/// BAR Q1: cancelled, drained, closed.
#[test]
fn given_an_interrupt_while_the_key_blinks_then_it_is_cancelled() {
    let (key, seen) =
        soft_key(&[Secret::new(1, 64)], Behaviour { touch: None, ..Behaviour::default() });
    let mut keys = SimKeys::with(key);
    keys.signal_after(Signal::Interrupt, SOON);
    assert_eq!(alice(SECOND_FACTOR, &mut keys).0, 7);
    assert_eq!(keys.commands(), ["INIT", "getAssertion", "CANCEL"]);
    assert_eq!(seen.borrow().cancels, 1);
    assert_eq!(keys.trace.last(), Some(&Step::Close(KeyId(0))));
}

/// BAR Q1, Q2: the signal that stays pending does not keep a key from being given up in order: a key that says
/// nothing to CANCEL is heard for 200 ms, one that does not stop for a second, and neither costs work.
#[test]
fn given_a_key_that_ignores_cancel_then_it_is_drained_in_bounded_time() {
    let chatty = Script::new(|message, outbox| {
        if message.command == 0x10 {
            outbox.repeat(Duration::from_millis(100), keepalive(message.channel));
        }
    });
    let silent = Script::new(|_, _| {});
    for (key, most) in [(silent, 200), (chatty, 1000)] {
        let mut keys = SimKeys::with(key);
        keys.signal_after(Signal::Terminate, Duration::from_secs(1));
        assert_eq!(alice(SECOND_FACTOR, &mut keys).0, 26);
        assert_eq!(keys.commands(), ["INIT", "getAssertion", "CANCEL"]);
        let drained = keys.elapsed() - Duration::from_secs(1);
        assert!(drained <= Duration::from_millis(most + 20), "{drained:?}");
        assert!(drained >= Duration::from_millis(most), "{drained:?}");
        assert!(keys.waits < 200, "{}", keys.waits);
    }
}

/// BAR Q2: told to end, which is the program's own affair in either mode.
#[test]
fn given_a_request_to_end_then_abort_and_it_stays_pending() {
    for policy in [SECOND_FACTOR, ALTERNATIVE] {
        for mut keys in [SimKeys::default(), untouched()] {
            keys.signal_after(Signal::Terminate, SOON);
            let (code, host) = alice(policy, &mut keys);
            assert_eq!((code, reason(&host)), (26, "terminated"));
            assert_eq!((keys.signal, keys.interrupts_taken), (Some(Signal::Terminate), 0));
            assert_eq!(keys.elapsed(), SOON);
        }
    }
}

/// BAR Q2: what came before the wait counts at once.
#[test]
fn given_a_signal_that_is_pending_already_then_the_key_does_not_blink() {
    let mut keys = untouched();
    keys.signal = Some(Signal::Interrupt);
    let (code, host) = alice(SECOND_FACTOR, &mut keys);
    assert_eq!((code, reason(&host)), (7, "interrupted"));
    assert_eq!(host.shown, [""; 0]);
    assert_eq!(keys.elapsed(), Duration::ZERO);
}

/// BAR Q2: success never comes with an interrupt pending, at whatever moment it came.
#[test]
fn given_a_signal_after_the_last_wait_then_denied_all_the_same() {
    for (policy, signal, code, left) in [
        (SECOND_FACTOR, Signal::Interrupt, 7, Some(Signal::Interrupt)),
        (ALTERNATIVE, Signal::Interrupt, 9, None),
        (SECOND_FACTOR, Signal::Terminate, 26, Some(Signal::Terminate)),
        (ALTERNATIVE, Signal::Terminate, 26, Some(Signal::Terminate)),
    ] {
        let mut keys = SimKeys::with(soft_key(&[Secret::new(1, 64)], Behaviour::default()).0);
        keys.late_signal = Some(signal);
        let (got, host) = alice(policy, &mut keys);
        assert_eq!(got, code);
        assert!(["interrupted", "terminated"].contains(&reason(&host)));
        assert_eq!(keys.late_signal, left);
    }
    // The same without a signal lets in.
    let mut keys = SimKeys::with(soft_key(&[Secret::new(1, 64)], Behaviour::default()).0);
    assert_eq!(alice(SECOND_FACTOR, &mut keys).0, 0);
}

/// BAR Q2: a login that was denied for another reason, and interrupted in the last moment: a password may follow in
/// an alternative, and it must not kill the program when it was right.
#[test]
fn given_an_interrupt_beside_another_denial_then_an_alternative_takes_it() {
    for (policy, left) in [(SECOND_FACTOR, Some(Signal::Interrupt)), (ALTERNATIVE, None)] {
        let mut keys = SimKeys::default();
        keys.late_signal = Some(Signal::Interrupt);
        let (_, host) = alice(policy, &mut keys);
        assert_eq!(reason(&host), "no_key");
        assert_eq!(keys.late_signal, left);
    }
}

#[test]
fn given_an_interrupt_then_nothing_is_registered() {
    for mut keys in [SimKeys::default(), untouched(), untouched_u2f(), locked()] {
        keys.signal_after(Signal::Interrupt, Duration::from_secs(1));
        let (made, host) = enroll_for_alice(&[], &Algorithm::ALL, &mut keys);
        assert_eq!(made.unwrap_err(), EnrollError::Cancelled, "{:?}", host.shown);
        assert!(keys.elapsed() <= Duration::from_millis(1020));
    }
}
