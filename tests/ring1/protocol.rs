//! Keys that break their protocol, one by one: the login is denied, in bounded time, and the key is closed.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use fidokey_core::ports::{KeyId, Report};
use fidokey_tests::sim::device::{
    CHANNEL, Device, Message, Outbox, Script, frames, init_response, padded,
};
use fidokey_tests::sim::softkey::{Behaviour, Secret, keepalive, soft_key};
use fidokey_tests::sim::world::{SimHost, login_of_alice};
use fidokey_tests::sim::{SimKeys, Step};

const SECOND: Duration = Duration::from_secs(1);

/// A login by this one key: the code, the host, the keys. Whatever the key did, it is closed at the end.
fn login(key: impl Device + 'static) -> (i32, SimHost, SimKeys) {
    login_with(SimKeys::with(key))
}

/// The same by one that is plugged in a second later, when a key is waited for.
fn login_plugged(key: impl Device + 'static) -> (i32, SimHost, SimKeys) {
    let mut keys = SimKeys::with(key);
    keys.plug_after(KeyId(0), SECOND);
    login_with(keys)
}

fn login_with(mut keys: SimKeys) -> (i32, SimHost, SimKeys) {
    let (code, host) = login_of_alice(&[Secret::new(1, 64).credential()], &mut keys);
    assert_eq!(keys.trace.last(), Some(&Step::Close(KeyId(0))));
    assert!(keys.elapsed() <= 46 * SECOND, "{:?}", keys.elapsed());
    (code, host, keys)
}

fn reason(host: &SimHost) -> &str {
    host.logged[0].1.split(' ').find_map(|field| field.strip_prefix("reason=")).unwrap()
}

/// BAR D1.
#[test]
fn given_keepalives_for_ever_then_cancelled_at_the_deadline_and_said() {
    let (key, seen) =
        soft_key(&[Secret::new(1, 64)], Behaviour { touch: None, ..Behaviour::default() });
    let (code, host, keys) = login(key);
    assert_eq!((code, reason(&host)), (7, "touch_timeout"));
    assert_eq!(host.shown.last().unwrap(), "Timed out waiting for the security key.");
    assert_eq!(seen.borrow().cancels, 1);
    assert_eq!(keys.commands(), ["INIT", "getAssertion", "CANCEL"]);
    assert!(keys.elapsed() <= 31 * SECOND);
}

/// BAR D2: silent from the beginning, and silent after INIT.
#[test]
fn given_a_silent_key_then_it_is_given_up_after_two_seconds() {
    let (code, host, keys) = login(Script::with_init(|_, _| {}));
    assert_eq!((code, reason(&host)), (7, "key_failed"));
    assert!(host.logged[0].1.ends_with(r#" detail="the key said nothing in time""#));
    assert_eq!(keys.elapsed(), 2 * SECOND);
    assert_eq!(keys.commands(), ["INIT"]);

    let (code, host, keys) = login(Script::new(|_, _| {}));
    assert_eq!((code, reason(&host)), (7, "key_failed"));
    // Two seconds of silence, and 200 ms to drain what a cancelled key may still say.
    assert!(keys.elapsed() <= Duration::from_millis(2200));
    assert_eq!(keys.commands(), ["INIT", "getAssertion", "CANCEL"]);
}

/// A key whose first answers do not arrive: the kernel drops what comes while it is still taking the device over.
struct Unheard {
    key: Script,
    left: u32,
}

impl Device for Unheard {
    fn receive(&mut self, now: Duration, report: &Report) {
        self.key.receive(now, report);
        if self.left > 0 && self.key.due().is_some() {
            self.left -= 1;
            self.key.pop();
        }
    }

    fn due(&self) -> Option<Duration> {
        self.key.due()
    }

    fn pop(&mut self) -> Report {
        self.key.pop()
    }
}

/// BAR D13, D14: a key that has just been plugged in answers INIT before the kernel passes it on; it is asked again.
#[test]
fn given_a_key_that_is_not_heard_at_first_then_it_is_asked_again() {
    for lost in 1..=3 {
        let touch = Some(Duration::from_millis(300));
        let (key, _) = soft_key(&[Secret::new(1, 64)], Behaviour { touch, ..Behaviour::default() });
        let (code, host, keys) = login_plugged(Unheard { key, left: lost });
        assert_eq!((code, reason(&host)), (0, "verified"));
        assert_eq!(keys.elapsed(), Duration::from_millis(1300) + lost * SECOND / 2);
        let inits = keys.commands().iter().filter(|command| **command == "INIT").count();
        assert_eq!(u32::try_from(inits), Ok(lost + 1));
    }
}

/// BAR D2: a key that was just plugged in and says nothing is given up after two seconds as well, and one that takes one INIT
/// and no second one after that, for which the kernel gives it 5 seconds, once.
#[test]
fn given_a_new_key_that_is_silent_then_it_is_given_up_and_holds_nobody_up_twice() {
    let (code, host, keys) = login_plugged(Script::with_init(|_, _| {}));
    assert_eq!((code, reason(&host)), (7, "key_failed"));
    assert_eq!(keys.elapsed(), 3 * SECOND);
    assert_eq!(keys.commands(), ["INIT"; 4]);

    let mut keys = SimKeys::with(Script::with_init(|_, _| {}));
    keys.plug_after(KeyId(0), SECOND);
    keys.stuck.push((KeyId(0), 1));
    let (code, host, keys) = login_with(keys);
    assert_eq!((code, reason(&host)), (7, "key_failed"));
    assert_eq!(keys.elapsed(), 6 * SECOND + SECOND / 2);
}

/// BAR D2, D5: a key that takes its time for INIT is asked again meanwhile, and each of its answers will do: the first is
/// taken, the others are passed over.
#[test]
fn given_a_key_that_answers_init_late_then_each_answer_will_do() {
    for late in [499, 501, 999, 1001, 1499, 1501, 1999] {
        let answers = Rc::new(Cell::new(0));
        let count = Rc::clone(&answers);
        let (code, host, _) = login_plugged(Script::with_init(move |message, outbox| {
            if message.command == 0x06 {
                count.set(count.get() + 1);
                // A channel of its own for each, as keys give them.
                let response = init_response(&message.payload, [0, 0, 0, count.get()]);
                // Each so long after it was asked, which is half a second after the one before.
                let delay = if count.get() == 1 { late } else { 500 };
                outbox.message(Duration::from_millis(delay), message.channel, 0x06, &response);
            } else {
                outbox.message(Duration::ZERO, message.channel, 0x10, &[0x27]);
            }
        }));
        assert_eq!((code, reason(&host)), (7, "declined"), "{late}");
        assert_eq!(u64::from(answers.get()), 1 + late / 500);
    }
}

/// BAR D3: something comes all the time, and never the end.
#[test]
fn given_a_trickle_without_end_then_the_deadline_holds() {
    let (code, host, keys) = login(Script::new(|message, outbox| {
        if message.command == 0x10 {
            let reports = frames(message.channel, 0x10, &[0; 7609]);
            for report in reports {
                outbox.raw(Duration::from_millis(1900), report);
            }
        }
    }));
    assert_eq!((code, reason(&host)), (7, "touch_timeout"));
    assert!(keys.elapsed() <= 32 * SECOND);
}

/// BAR D4: packets of other channels do not move a deadline, however many there are.
#[test]
fn given_a_million_foreign_packets_then_the_deadline_holds() {
    for foreign in [frames([0, 0, 0, 8], 0x10, &[0; 3]).remove(0), keepalive([0, 0, 0, 9])] {
        let (code, host, keys) = login(Script::new(move |message, outbox| {
            if message.command == 0x10 {
                outbox.repeat(Duration::from_micros(2), foreign);
            }
        }));
        assert_eq!((code, reason(&host)), (7, "key_failed"));
        assert!(keys.waits > 1_000_000, "{}", keys.waits);
        // A million packets of others are no sign of life of this key: 2 s, and 1 s of draining.
        assert!(keys.elapsed() <= 3 * SECOND + Duration::from_millis(10), "{:?}", keys.elapsed());
    }
}

/// BAR D5: a response to somebody else's INIT, then ours.
#[test]
fn given_an_init_response_with_another_nonce_then_it_is_ignored() {
    let secret = Secret::new(1, 64);
    let (own, _) = soft_key(&[secret], Behaviour::default());
    let own = Rc::new(std::cell::RefCell::new(own));
    // A wrapper that speaks first.
    struct Talker(Rc<std::cell::RefCell<Script>>, Script);
    impl Device for Talker {
        fn receive(&mut self, now: Duration, report: &[u8; 64]) {
            self.1.receive(now, report);
            self.0.borrow_mut().receive(now, report);
        }
        fn due(&self) -> Option<Duration> {
            self.1.due().or_else(|| self.0.borrow().due())
        }
        fn pop(&mut self) -> [u8; 64] {
            if self.1.due().is_some() { self.1.pop() } else { self.0.borrow_mut().pop() }
        }
    }
    let noise = Script::with_init(|message, outbox| {
        if message.command == 0x06 {
            let response = init_response(&[0xee; 8], [0, 0, 0, 99]);
            outbox.message(Duration::ZERO, [0xff; 4], 0x06, &response);
        }
    });
    let mut keys = SimKeys::with(Talker(own, noise));
    let (code, _) = login_of_alice(&[Secret::new(1, 64).credential()], &mut keys);
    assert_eq!(code, 0);
    // On the channel of our own response, not on 99.
    let channels = keys.trace.iter().filter_map(|step| match step {
        Step::Send(_, report) if report[4] & 0x7f != 0x06 => Some(&report[..4]),
        _ => None,
    });
    assert!(channels.clone().count() > 0);
    assert!(channels.into_iter().all(|channel| channel == CHANNEL));
}

/// BAR D5: a channel that is none.
#[test]
fn given_a_channel_id_that_is_reserved_then_the_key_is_refused() {
    for channel in [[0; 4], [0xff; 4]] {
        let (code, host, keys) = login(Script::with_init(move |message, outbox| {
            let response = init_response(&message.payload, channel);
            outbox.message(Duration::ZERO, message.channel, 0x06, &response);
        }));
        assert_eq!((code, reason(&host)), (7, "key_failed"));
        assert_eq!(keys.commands(), ["INIT"]);
    }
}

/// Answers every CBOR request with these reports, made for its channel.
fn answering(reports: impl Fn([u8; 4]) -> Vec<[u8; 64]> + 'static) -> Script {
    Script::new(move |message: &Message, outbox: &mut Outbox| {
        if message.command == 0x10 {
            for report in reports(message.channel) {
                outbox.raw(Duration::ZERO, report);
            }
        }
    })
}

fn begins(channel: [u8; 4], command: u8, length: u16) -> [u8; 64] {
    padded(&[&channel[..], &[command | 0x80], &length.to_be_bytes()].concat())
}

fn continues(channel: [u8; 4], sequence: u8) -> [u8; 64] {
    padded(&[&channel[..], &[sequence]].concat())
}

/// BAR D6: a length that no message has, or more than the key itself announced.
#[test]
fn given_a_length_beyond_the_protocol_then_refused_before_anything_is_kept() {
    for length in [7610, 8192, 65535] {
        let (code, host, keys) =
            login(answering(move |channel| vec![begins(channel, 0x10, length)]));
        assert_eq!((code, reason(&host)), (7, "key_failed"));
        assert!(keys.elapsed() < SECOND);
    }
    // 1200 bytes are the key's own limit; its answer to the next request says 1201.
    let secrets: Vec<Secret> = (1..=9).map(|number| Secret::new(number, 64)).collect();
    let credentials: Vec<_> = secrets.iter().map(Secret::credential).collect();
    let key = Script::new(|message, outbox| match message.payload.first() {
        Some(4) => {
            let info =
                [&[0, 0xa2, 1, 0x81, 0x68][..], b"FIDO_2_1", &[5, 0x19, 0x04, 0xb0]].concat();
            outbox.message(Duration::ZERO, message.channel, 0x10, &info);
        }
        _ => outbox.raw(Duration::ZERO, begins(message.channel, 0x10, 1201)),
    });
    let mut keys = SimKeys::with(key);
    let (code, host) = login_of_alice(&credentials, &mut keys);
    assert_eq!((code, reason(&host)), (7, "key_failed"));
    assert!(keys.elapsed() < 2 * SECOND);
}

/// BAR D7: each ends in an error, and the channel is reset, once.
#[test]
fn given_packets_out_of_order_then_an_error_and_one_reset_of_the_channel() {
    type Sends = fn([u8; 4]) -> Vec<[u8; 64]>;
    let scripts: [Sends; 6] = [
        // wrong from the first
        |c| vec![begins(c, 0x10, 200), continues(c, 1)],
        // repeated
        |c| vec![begins(c, 0x10, 200), continues(c, 0), continues(c, 0)],
        // missing one
        |c| vec![begins(c, 0x10, 200), continues(c, 0), continues(c, 2)],
        // a beginning in the middle
        |c| vec![begins(c, 0x10, 200), begins(c, 0x10, 200)],
        // a continuation of nothing
        |c| vec![continues(c, 0)],
        // an answer to another command
        |c| vec![begins(c, 0x03, 2)],
    ];
    for (number, script) in scripts.into_iter().enumerate() {
        let (code, host, keys) = login(answering(script));
        assert_eq!((code, reason(&host)), (7, "key_failed"), "{number}");
        assert_eq!(keys.commands(), ["INIT", "getAssertion", "INIT"], "{number}");
        // The second INIT resets our own channel.
        assert_eq!(keys.trace.iter().filter(|step| is_init(step, [0xff; 4])).count(), 1);
        assert_eq!(keys.trace.iter().filter(|step| is_init(step, CHANNEL)).count(), 1);
        assert!(keys.elapsed() < SECOND);
    }
}

fn is_init(step: &Step, channel: [u8; 4]) -> bool {
    matches!(step, Step::Send(_, report) if report[..4] == channel && report[4] == 0x86)
}

/// BAR D8, D12: removed at every step there is; a second key can still be used.
#[test]
fn given_a_key_removed_at_any_step_then_the_other_one_still_works() {
    let secret = Secret::new(1, 64);
    // The steps of a whole login: counted by one that nobody disturbs.
    let steps = Rc::new(Cell::new(0));
    for step in 0.. {
        let (first, _) = soft_key(std::slice::from_ref(&secret), Behaviour::default());
        let (second, _) = soft_key(std::slice::from_ref(&secret), Behaviour::default());
        let mut keys = SimKeys::with(first);
        let other = keys.add(second);
        keys.plug_after(other, 5 * SECOND);
        keys.remove_at(KeyId(0), step);
        let (code, _) = login_of_alice(&[secret.credential()], &mut keys);
        assert_eq!(code, 0, "removed at step {step}");
        if keys.elapsed() < SECOND {
            break; // the login was over before that step
        }
        assert!(keys.elapsed() <= 6 * SECOND, "{step}: {:?}", keys.elapsed());
        steps.set(step);
    }
    assert!(steps.get() >= 6, "{}", steps.get());
}

/// BAR D8, D12: alone, the removed key leaves a login that ends.
#[test]
fn given_the_only_key_removed_at_any_step_then_denied_within_the_bound() {
    let secret = Secret::new(1, 64);
    let mut denied = 0;
    for step in 0..8 {
        let (key, _) = soft_key(std::slice::from_ref(&secret), Behaviour::default());
        let mut keys = SimKeys::with(key);
        keys.remove_at(KeyId(0), step);
        let (code, host) = login_of_alice(&[secret.credential()], &mut keys);
        if code == 0 {
            continue; // it needed fewer steps
        }
        assert_eq!((code, reason(&host)), (7, "no_key"), "{step}");
        assert!(keys.elapsed() <= 46 * SECOND);
        denied += 1;
    }
    assert!(denied >= 6, "{denied}");
}

/// The host's own clock and lists may fail too.
#[test]
fn given_a_failing_system_call_anywhere_then_system_err() {
    let fault = fidokey_core::ports::Fault { call: "ppoll", errno: 12 };
    for call in 1.. {
        let secret = Secret::new(1, 64);
        let (key, _) = soft_key(std::slice::from_ref(&secret), Behaviour::default());
        let mut keys = SimKeys::with(key);
        keys.fault = Some((call, fault));
        let (code, host) = login_of_alice(&[secret.credential()], &mut keys);
        if code == 0 {
            assert!(call > 5);
            break;
        }
        assert_eq!((code, reason(&host)), (4, "system"), "call {call}");
        assert!(host.logged[0].1.contains("call=ppoll errno=12"));
    }
}

/// Busy with another channel: asked again, then said.
#[test]
fn given_a_key_busy_with_another_channel_then_it_is_asked_again_for_three_seconds() {
    for (refusals, expected) in [(5, (0, "verified")), (1000, (7, "key_busy"))] {
        let left = Rc::new(Cell::new(refusals));
        let secret = Secret::new(1, 64);
        let (own, _) = soft_key(std::slice::from_ref(&secret), Behaviour::default());
        let mut keys = SimKeys::with(Busy { own, left: Rc::clone(&left), queued: None });
        let (code, host) = login_of_alice(&[secret.credential()], &mut keys);
        assert_eq!((code, reason(&host)), expected);
        assert!(keys.elapsed() <= 4 * SECOND);
    }
}

/// A key that refuses so many messages with ERR_CHANNEL_BUSY, INIT on the broadcast channel included.
struct Busy {
    own: Script,
    left: Rc<Cell<u32>>,
    queued: Option<(Duration, [u8; 64])>,
}

impl Device for Busy {
    fn receive(&mut self, now: Duration, report: &[u8; 64]) {
        if self.left.get() == 0 {
            self.own.receive(now, report);
        } else if report[4] & 0x80 != 0 {
            self.left.set(self.left.get() - 1);
            let channel = report[..4].try_into().unwrap();
            self.queued = Some((now, frames(channel, 0x3f, &[0x06]).remove(0)));
        }
    }

    fn due(&self) -> Option<Duration> {
        self.queued.map(|(at, _)| at).or_else(|| self.own.due())
    }

    fn pop(&mut self) -> [u8; 64] {
        self.queued.take().map_or_else(|| self.own.pop(), |(_, report)| report)
    }
}

/// A key that waits so long for the next report of a message, and then forgets it.
struct Impatient {
    key: Script,
    patience: Duration,
    heard: Option<Duration>,
    said: Option<Report>,
}

impl Device for Impatient {
    fn receive(&mut self, now: Duration, report: &Report) {
        let begins = report[4] & 0x80 != 0;
        let late = self.heard.is_some_and(|heard| now >= heard + self.patience);
        match (begins, self.heard) {
            (false, None) => return,
            (false, Some(_)) if late => {
                self.heard = None;
                let mut error = [0; 64];
                error[..4].copy_from_slice(&report[..4]);
                error[4..8].copy_from_slice(&[0xbf, 0, 1, 0x05]);
                self.said = Some(error);
                return;
            }
            _ => self.heard = Some(now),
        }
        self.key.receive(now, report);
    }

    fn due(&self) -> Option<Duration> {
        self.said.map(|_| Duration::ZERO).or_else(|| self.key.due())
    }

    fn pop(&mut self) -> Report {
        self.said.take().unwrap_or_else(|| self.key.pop())
    }
}

/// BAR D2: a process that did not get its turn between two reports of a message says it again. Where that is always so, the key is
/// given up, as is one that says so of a message that came at once.
#[test]
fn given_a_message_that_was_held_up_then_it_is_sent_again_a_few_times() {
    let held_up = |patience: u64, spans: &[Duration]| {
        let (key, _) = soft_key(&[Secret::new(1, 64)], Behaviour::default());
        let patience = Duration::from_millis(patience);
        let mut keys = SimKeys::with(Impatient { key, patience, heard: None, said: None });
        keys.pauses.extend(spans);
        let (code, host, keys) = login_with(keys);
        let line = &host.logged[0].1;
        let asked = keys.commands().iter().filter(|command| **command == "getAssertion").count();
        (code, line.contains("CTAPHID error 0x05"), asked)
    };
    let long = Duration::from_millis(150);
    assert_eq!(held_up(100, &[]), (0, false, 1));
    assert_eq!(held_up(100, &[Duration::from_millis(90)]), (0, false, 1));
    assert_eq!(held_up(100, &[long]), (0, false, 2));
    assert_eq!(held_up(100, &[Duration::ZERO, long]), (0, false, 2));
    assert_eq!(held_up(100, &[long; 100]), (7, true, 5));
    assert_eq!(held_up(0, &[]), (7, true, 1));
}
