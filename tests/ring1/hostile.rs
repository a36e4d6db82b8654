//! Keys that take their time, keys that say less than they should, and the right key beside them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use fidokey_core::attestation::Admission;
use fidokey_core::credential::{AccountName, Algorithm, KeyName, RpId, Verification};
use fidokey_core::ctap::cbor;
use fidokey_core::enroll::{EnrollError, Enrollment, enroll};
use fidokey_core::ports::{Account, KeyId};
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::device::{Device, Script, frames, init_response};
use fidokey_tests::sim::softkey::{Behaviour, Secret, keepalive, soft_key};
use fidokey_tests::sim::world::{SECOND_FACTOR, SimHost, login_of_alice, world};

const SECOND: Duration = Duration::from_secs(1);

fn reason(host: &SimHost) -> &str {
    host.logged[0].1.split(' ').find_map(|field| field.strip_prefix("reason=")).unwrap()
}

/// A continuation of nothing: the framing is broken.
fn stray(channel: [u8; 4]) -> [u8; 64] {
    let mut report = [0; 64];
    report[..4].copy_from_slice(&channel);
    report
}

/// BAR D3: the kernel waits for up to 5 seconds until a key takes a report, and a request has many.
#[test]
fn given_a_key_that_takes_reports_slowly_then_the_deadline_holds() {
    let secrets: Vec<Secret> = (1..=3).map(|number| Secret::new(number, 241)).collect();
    let credentials: Vec<_> = secrets.iter().map(Secret::credential).collect();
    let mut keys = SimKeys::with(soft_key(&secrets, Behaviour::default()).0);
    keys.send_takes = Duration::from_millis(4900);
    let (code, _) = login_of_alice(&credentials, &mut keys);
    assert_eq!(code, 7);
    assert!(keys.elapsed() <= 46 * SECOND, "{:?}", keys.elapsed());
}

/// BAR D3, D7: what a broken channel costs ends with the login's time too.
#[test]
fn given_a_key_that_breaks_the_framing_at_the_last_moment_then_the_deadline_holds() {
    let mut keys = SimKeys::with(Script::new(|message, outbox| {
        if message.command == 0x10 {
            for _ in 0..159 {
                outbox.raw(Duration::from_millis(100), keepalive(message.channel));
            }
            outbox.raw(Duration::from_millis(90), stray(message.channel));
            for _ in 0..100 {
                outbox.raw(Duration::from_millis(100), stray(message.channel));
            }
        }
    }));
    keys.plug_after(KeyId(0), 29 * SECOND);
    let (code, _) = login_of_alice(&[Secret::new(1, 64).credential()], &mut keys);
    assert_eq!(code, 7);
    assert!(keys.elapsed() <= 46 * SECOND, "{:?}", keys.elapsed());
}

/// BAR D7: keys ignore INIT on their own channel while they wait for a touch; CANCEL is the way out.
#[test]
fn given_a_key_that_breaks_the_framing_while_it_blinks_then_it_is_cancelled() {
    let armed = Rc::new(RefCell::new(false));
    let state = Rc::clone(&armed);
    let mut keys = SimKeys::with(Script::with_init(move |message, outbox| match message.command {
        0x06 if *state.borrow() => {}
        0x06 => {
            let response = init_response(&message.payload, [0, 0, 0, 7]);
            outbox.message(Duration::ZERO, message.channel, 0x06, &response);
        }
        0x10 => {
            *state.borrow_mut() = true;
            outbox.raw(Duration::from_millis(100), stray(message.channel));
        }
        0x11 => {
            *state.borrow_mut() = false;
            outbox.message(Duration::ZERO, message.channel, 0x10, &[0x2d]);
        }
        _ => {}
    }));
    let (code, _) = login_of_alice(&[Secret::new(1, 64).credential()], &mut keys);
    assert_eq!(code, 7);
    assert!(!*armed.borrow(), "left blinking after {:?}", keys.commands());
}

/// BAR D2: a key that never finishes a silent question is passed over, and the right one is asked.
#[test]
fn given_a_key_that_is_busy_with_a_silent_question_for_ever_then_the_other_one_is_asked() {
    let mine = Secret::new(1, 64);
    let mut keys = SimKeys::with(Script::new(|message, outbox| {
        if message.command == 0x10 {
            outbox.repeat(Duration::from_millis(100), keepalive(message.channel));
        }
    }));
    keys.add(soft_key(std::slice::from_ref(&mine), Behaviour::default()).0);
    let (code, host) = login_of_alice(&[mine.credential()], &mut keys);
    assert_eq!((code, reason(&host)), (0, "verified"));
}

/// A key whose parser knows ids of up to 255 bytes answers a longer one with an error and never
/// "not mine": its owner's other key must not lock it out.
#[test]
fn given_an_id_that_the_key_cannot_read_then_its_own_is_still_found() {
    for status in [0x12, 0x03] {
        let (long, mine) = (Secret::new(1, 300), Secret::new(2, 64));
        let (own, _) = soft_key(std::slice::from_ref(&mine), Behaviour::default());
        let mut keys = SimKeys::with(ShortIds { own, status, answer: Script::new(|_, _| {}) });
        let credentials = [long.credential(), mine.credential()];
        let (code, host) = login_of_alice(&credentials, &mut keys);
        assert_eq!((code, reason(&host)), (0, "verified"), "{status:02x}");
    }
}

/// Puts requests together, and answers those that name an id of more than 255 bytes with an error.
struct ShortIds {
    own: Script,
    status: u8,
    answer: Script,
}

impl Device for ShortIds {
    fn receive(&mut self, now: Duration, report: &[u8; 64]) {
        // The first report of a request tells the length of the first id: 59 01 2c is one of 300 bytes.
        let begins = report[4] & 0x80 != 0;
        if begins {
            let status = self.status;
            self.answer = Script::new(move |message, outbox| {
                let unread = message.payload.windows(3).any(|bytes| bytes == [0x59, 0x01, 0x2c]);
                let getassertion = message.command == 0x10 && message.payload.first() == Some(&2);
                if getassertion && unread {
                    outbox.message(Duration::ZERO, message.channel, 0x10, &[status]);
                }
            });
        }
        self.answer.receive(now, report);
        if self.answer.due().is_none() {
            self.own.receive(now, report);
        } else {
            // It has read the whole of it: so that the other one forgets what it has heard so far.
            self.own.receive(now, &frames([0, 0, 0, 7], 0x7e, &[]).remove(0));
            while self.own.due().is_some() {
                self.own.pop();
            }
        }
    }

    fn due(&self) -> Option<Duration> {
        self.answer.due().or_else(|| self.own.due())
    }

    fn pop(&mut self) -> [u8; 64] {
        if self.answer.due().is_some() { self.answer.pop() } else { self.own.pop() }
    }
}

/// The cue tells the truth: of two foreign keys none blinks, the last one neither.
#[test]
fn given_two_foreign_keys_then_none_blinks() {
    let waits = Behaviour { foreign_waits: true, ..Behaviour::default() };
    let (first, first_seen) = soft_key(&[Secret::new(2, 64)], waits.clone());
    let (second, second_seen) = soft_key(&[Secret::new(3, 64)], waits);
    let mut keys = SimKeys::with(first);
    keys.add(second);
    let (code, host) = login_of_alice(&[Secret::new(1, 64).credential()], &mut keys);
    assert_eq!((code, reason(&host)), (7, "not_registered"));
    assert_eq!((first_seen.borrow().touches, second_seen.borrow().touches), (0, 0));
}

/// A key that says nothing of its longest message has said nothing of its longest response: an
/// attestation with its certificate has more than 1024 bytes.
#[test]
fn given_a_registration_with_a_long_certificate_then_it_is_read() {
    let key = Script::new(|message, outbox| match message.payload.first() {
        Some(4) => {
            let info = [&[0, 0xa1, 1, 0x81, 0x68][..], b"FIDO_2_0"].concat();
            outbox.message(Duration::ZERO, message.channel, 0x10, &info);
        }
        Some(1) => {
            // {1: "packed", 2: authData of 1 byte, 3: {"x5c": [1100 bytes]}}
            let response = [
                &[0, 0xa3, 1, 0x66][..],
                b"packed",
                &[2, 0x41, 0, 3, 0xa1, 0x63],
                b"x5c",
                &[0x81, 0x59, 0x04, 0x4c],
                &[0x30; 1100],
            ]
            .concat();
            assert!(cbor::read(&response[1..]).is_ok());
            outbox.message(Duration::ZERO, message.channel, 0x10, &response);
        }
        _ => {}
    });
    let (mut machine, mut host) = world(&[], SECOND_FACTOR);
    let account = Account { uid: 1000, name: AccountName::new("alice").unwrap() };
    let enrollment = Enrollment {
        account: &account,
        existing: &[],
        name: Some(&KeyName::new("Blue key").unwrap()),
        algorithms: &Algorithm::ALL,
        admission: Admission::default(),
        rp_id: &RpId::default(),
        verification: Verification::None,
        policy: Verification::None,
        pin_guard: 3,
        patience: 5 * SECOND,
        added: "2026-11-23T10:00:00Z",
        added_by: "root",
    };
    let refused =
        enroll(&mut machine, &mut host, &mut SimKeys::with(key), &enrollment).unwrap_err();
    // It was read, and its authenticator data judged.
    assert!(matches!(refused, EnrollError::Unfit(_)), "{refused:?}");
}

/// Another key in the same port gets the same number: it is asked all the same.
#[test]
fn given_a_foreign_key_swapped_while_another_blinks_then_the_new_one_is_asked() {
    let mine = Secret::new(1, 64);
    let (foreign, _) = soft_key(&[Secret::new(2, 64)], Behaviour::default());
    let (own, _) = soft_key(std::slice::from_ref(&mine), Behaviour::default());
    // Holds the account's second credential and is pulled out without a touch.
    let other = Secret::new(3, 64);
    let untouched = Behaviour { touch: None, ..Behaviour::default() };
    let (left_alone, _) = soft_key(std::slice::from_ref(&other), untouched);
    let at = 1003 * SECOND;
    let mut keys = SimKeys::with(Swapped { before: foreign, after: own, at, swapped: false });
    let second = keys.add(left_alone);
    keys.replug(KeyId(0), 2 * SECOND, 3 * SECOND);
    keys.unplug_after(second, 4 * SECOND);
    let (code, host) = login_of_alice(&[mine.credential(), other.credential()], &mut keys);
    assert_eq!((code, reason(&host)), (0, "verified"));
}

/// One key until a moment, another from then on.
struct Swapped {
    before: Script,
    after: Script,
    at: Duration,
    swapped: bool,
}

impl Device for Swapped {
    fn receive(&mut self, now: Duration, report: &[u8; 64]) {
        self.swapped = now >= self.at;
        if self.swapped { &mut self.after } else { &mut self.before }.receive(now, report);
    }

    fn due(&self) -> Option<Duration> {
        if self.swapped { &self.after } else { &self.before }.due()
    }

    fn pop(&mut self) -> [u8; 64] {
        if self.swapped { &mut self.after } else { &mut self.before }.pop()
    }
}
