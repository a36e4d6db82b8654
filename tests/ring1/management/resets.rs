//! Resets: the key is pulled out, plugged in and touched, or it is not.

use super::*;

const KEY: KeyId = KeyId(0);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A key that answers a reset with this status, after a touch where that is one.
fn resettable(status: u8, touch: bool) -> (SimKeys, Rc<RefCell<u32>>) {
    let resets = Rc::new(RefCell::new(0));
    let count = Rc::clone(&resets);
    let instead = move |message: &Message, outbox: &mut Outbox| {
        let is_reset = message.command == 0x10 && message.payload == [0x07];
        if is_reset {
            *count.borrow_mut() += 1;
            if touch {
                outbox.raw(Duration::from_millis(100), keepalive(message.channel));
                outbox.message(Duration::from_millis(100), message.channel, 0x10, &[status]);
            } else {
                outbox.repeat(Duration::from_millis(100), keepalive(message.channel));
            }
        }
        is_reset
    };
    let verifier = Verifier::with_pin("1234").shared();
    let behaviour = Behaviour { instead: Rc::new(instead), verifier, ..Behaviour::default() };
    (SimKeys::with(soft_key(&[], behaviour).0), resets)
}

fn run(keys: &mut SimKeys) -> (Result<(), ManagementError>, SimHost) {
    let (mut machine, mut host) = world(&[], "");
    let done = reset(&mut machine, &mut host, keys, seconds(30));
    assert!(!keys.any_open());
    (done, host)
}

#[test]
fn given_a_key_that_is_plugged_in_anew_and_touched_then_it_is_reset() {
    let (mut keys, resets) = resettable(0, true);
    keys.replug(KEY, seconds(2), seconds(4));
    let (done, host) = run(&mut keys);
    assert_eq!(done, Ok(()));
    assert_eq!(host.shown, ["Unplug the key and plug it in again.", "Touch the key to reset it."]);
    assert_eq!(*resets.borrow(), 1);
}

#[test]
fn given_a_key_that_stays_where_it_is_then_nothing_is_reset() {
    let (mut keys, resets) = resettable(0, true);
    assert_eq!(run(&mut keys).0, Err(ManagementError::NotReplugged));
    assert_eq!((*resets.borrow(), keys.elapsed() < seconds(40)), (0, true));
    // And neither where it does not come back.
    let (mut keys, resets) = resettable(0, true);
    keys.unplug_after(KEY, seconds(2));
    assert_eq!(run(&mut keys).0, Err(ManagementError::NotReplugged));
    assert_eq!(*resets.borrow(), 0);
}

#[test]
fn given_a_key_that_refuses_then_it_is_said_why() {
    for (status, error) in [
        (0x30, ManagementError::ResetLate),
        (0x27, ManagementError::ResetDenied),
        (0x01, ManagementError::ResetImpossible),
        (0x2f, EnrollError::TouchTimeout.into()),
        (0x7f, EnrollError::KeyFailed(KeyError::Status(Status(0x7f))).into()),
    ] {
        let (mut keys, _) = resettable(status, true);
        keys.replug(KEY, seconds(2), seconds(4));
        assert_eq!(run(&mut keys).0, Err(error), "{status:#x}");
    }
}

#[test]
fn given_nobody_touches_it_then_it_is_cancelled_in_time() {
    let (mut keys, _) = resettable(0, false);
    keys.replug(KEY, seconds(2), seconds(4));
    assert_eq!(run(&mut keys).0, Err(EnrollError::TouchTimeout.into()));
    assert!(keys.commands().contains(&"CANCEL"));
    assert!(keys.elapsed() < seconds(40));
}

#[test]
fn given_ctrl_c_then_it_ends_and_the_key_is_cancelled() {
    for (after, resets_sent) in [(1, 0), (3, 0), (6, 1)] {
        let (mut keys, resets) = resettable(0, false);
        keys.replug(KEY, seconds(2), seconds(4));
        keys.signal_after(Signal::Interrupt, seconds(after));
        assert_eq!(run(&mut keys).0, Err(EnrollError::Cancelled.into()), "{after}");
        assert_eq!(*resets.borrow(), resets_sent);
        assert_eq!(keys.commands().contains(&"CANCEL"), resets_sent == 1);
    }
}

#[test]
fn given_several_keys_then_none_is_reset() {
    let (mut keys, resets) = resettable(0, true);
    let second = keys.add(soft_key(&[], Behaviour::default()).0);
    assert_eq!(run(&mut keys).0, Err(EnrollError::SeveralKeys.into()));
    // The other one comes when the first is out.
    keys.plug_after(second, seconds(3));
    keys.replug(KEY, seconds(2), seconds(3));
    assert_eq!(run(&mut keys).0.is_ok(), *resets.borrow() == 1);
}

/// One of another model is plugged in in its place.
#[test]
fn given_another_model_then_it_is_not_reset() {
    let (mut keys, resets) = resettable(0, true);
    let verifier = Verifier::of_ctap_2_0("1234").shared();
    let other = keys.add(soft_key(&[], Behaviour { verifier, ..Behaviour::default() }).0);
    keys.plug_after(other, seconds(5));
    keys.unplug_after(KEY, seconds(2));
    assert_eq!(run(&mut keys).0, Err(ManagementError::OtherKey));
    assert_eq!(*resets.borrow(), 0);
    assert_eq!(keys.commands_of(other), ["INIT", "getInfo"]);
}
