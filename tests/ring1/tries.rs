//! Several tries in one transaction, as sudo makes them: a wait that was in vain is not waited for again, and nothing
//! else is taken from an earlier try.

use std::time::Duration;

use fidokey_core::login::login;
use fidokey_core::ports::{Account, Fault, KeyId, Keys as _, Signal};
use fidokey_core::record::Record;
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::softkey::{Behaviour, Secret, soft_key};
use fidokey_tests::sim::world::{SECOND_FACTOR, SimHost, SimMachine, world};

const MINUTE_NS: u64 = 60_000_000_000;

/// The tries of one transaction. Alice and bob have the same key.
struct Transaction {
    machine: SimMachine,
    host: SimHost,
    keys: SimKeys,
}

/// What a try came to, and how long it took.
#[derive(Debug, Eq, PartialEq)]
struct Try {
    code: i32,
    reason: String,
    seconds: u64,
}

impl Transaction {
    fn new(keys: SimKeys) -> Self {
        let credentials = vec![Secret::new(1, 64).credential()];
        let (mut machine, host) = world(&credentials, SECOND_FACTOR);
        let Account { uid, name } = machine.accounts["bob"].clone();
        let record = Record { user: name, uid, credentials };
        machine.records.insert(uid, Ok(Some(record.to_toml().into_bytes())));
        Self { machine, host, keys }
    }

    fn again(&mut self, arguments: &[&[u8]]) -> Try {
        let start = self.keys.elapsed();
        self.host.shown.clear();
        self.host.logged.clear();
        let answer = login(&mut self.machine, &mut self.host, &mut self.keys, arguments);
        let line = &self.host.logged[0].1;
        let reason = line.split(' ').find_map(|field| field.strip_prefix("reason=")).unwrap();
        let seconds = (self.keys.elapsed() - start).as_secs();
        Try { code: answer.number(), reason: reason.to_owned(), seconds }
    }
}

fn key(number: u8, touch: Option<Duration>) -> SimKeys {
    SimKeys::with(
        soft_key(&[Secret::new(number, 64)], Behaviour { touch, ..Behaviour::default() }).0,
    )
}

fn outcome(code: i32, reason: &str, seconds: u64) -> Try {
    Try { code, reason: reason.to_owned(), seconds }
}

#[test]
fn given_a_wait_in_vain_then_the_tries_after_it_answer_at_once() {
    for (keys, reason) in [
        (SimKeys::default(), "no_key"),
        (key(1, None), "touch_timeout"),
        (key(9, None), "not_registered"),
    ] {
        let mut sudo = Transaction::new(keys);
        assert_eq!(sudo.again(&[]), outcome(7, reason, 30));
        let done = sudo.keys.trace.len();
        for _ in 0..2 {
            assert_eq!(sudo.again(&[]), outcome(7, reason, 0));
            assert_eq!(sudo.host.shown, ["Timed out waiting for the security key."]);
        }
        assert_eq!(sudo.keys.trace.len(), done, "no key was opened");
    }
}

/// In an alternative it is the password that is asked for at once.
#[test]
fn given_an_alternative_then_the_same_with_its_own_code() {
    let arguments: [&[u8]; 2] = [b"mode=alternative", b"touch_only_alternative=true"];
    let mut sudo = Transaction::new(SimKeys::default());
    assert_eq!(sudo.again(&arguments), outcome(9, "no_key", 30));
    assert_eq!(sudo.again(&arguments), outcome(9, "no_key", 0));
}

/// A try for somebody else, by another service or by a line with other arguments is another one. BAR Q11.
#[test]
fn given_another_user_service_or_line_then_asked_again() {
    let mut sudo = Transaction::new(SimKeys::default());
    assert_eq!(sudo.again(&[]).seconds, 30);
    sudo.host.user = Ok("bob".to_owned());
    assert_eq!(sudo.again(&[]).seconds, 30);
    sudo.host.user = Ok("alice".to_owned());
    assert_eq!(sudo.again(&[]).seconds, 0);
    assert_eq!(sudo.again(&[b"touch=20s"]).seconds, 30);
    assert_eq!(sudo.again(&[b"touch=20s", b"wait_for_key=20s"]).seconds, 20);
    assert_eq!(sudo.again(&[b"touch=20s"]).seconds, 0);
    sudo.host.origin.service = "su".to_owned();
    assert_eq!(sudo.again(&[]).seconds, 30);
}

/// A person who is asked for their name gets a chance of their own.
#[test]
fn given_a_program_that_asks_for_names_then_asked_again() {
    let mut login = Transaction::new(SimKeys::default());
    login.host.asks_for_names = true;
    for _ in 0..3 {
        assert_eq!(login.again(&[]).seconds, 30);
    }
}

/// A screen locker makes all its tries in one transaction: whoever comes back to it is asked again.
#[test]
fn given_a_minute_later_then_asked_again() {
    let mut locker = Transaction::new(SimKeys::default());
    assert_eq!(locker.again(&[]).seconds, 30);
    locker.machine.boottime_ns += MINUTE_NS - 1_000_000;
    assert_eq!(locker.again(&[]).seconds, 0);
    // Not from the last answer on, but from the wait.
    locker.machine.boottime_ns += 2_000_000;
    assert_eq!(locker.again(&[]).seconds, 30);
    // A clock that goes back tells nothing.
    locker.machine.boottime_ns -= MINUTE_NS;
    assert_eq!(locker.again(&[]).seconds, 30);
}

/// Somebody is there.
#[test]
fn given_a_key_that_was_plugged_in_meanwhile_then_it_is_asked() {
    let mut sudo = Transaction::new(key(1, Some(Duration::from_secs(1))));
    sudo.keys.plug_after(KeyId(0), Duration::from_secs(31));
    assert_eq!(sudo.again(&[]), outcome(7, "no_key", 30));
    assert_eq!(sudo.again(&[]).seconds, 0);
    let later = sudo.keys.now().unwrap().after(Duration::from_secs(2));
    sudo.keys.wait(later).unwrap();
    assert_eq!(sudo.again(&[]), outcome(0, "verified", 1));
}

/// The policy comes first, as always.
#[test]
fn given_a_remote_try_after_a_wait_then_it_is_denied_as_remote() {
    let mut sudo = Transaction::new(SimKeys::default());
    assert_eq!(sudo.again(&[]).seconds, 30);
    sudo.host.origin.rhost = "10.0.0.1".to_owned();
    assert_eq!(sudo.again(&[]), outcome(6, "remote", 0));
    sudo.host.origin.rhost = String::new();
    sudo.machine.records.insert(1000, Ok(None));
    assert_eq!(sudo.again(&[]), outcome(25, "not_enrolled", 0));
}

#[test]
fn given_any_other_denial_then_nothing_is_remembered() {
    let mut interrupted = SimKeys::default();
    interrupted.signal_after(Signal::Interrupt, Duration::from_secs(1));
    let mut busy = key(1, None);
    busy.lock(KeyId(0), Duration::from_secs(60));
    let mut inaccessible = key(1, None);
    inaccessible.deny(KeyId(0), 13);
    for (keys, reason) in
        [(interrupted, "interrupted"), (busy, "key_busy"), (inaccessible, "key_inaccessible")]
    {
        let mut sudo = Transaction::new(keys);
        assert_eq!(sudo.again(&[]).reason, reason);
        assert!(sudo.host.kept.is_empty(), "{reason}");
    }
    let mut sudo = Transaction::new(key(1, Some(Duration::ZERO)));
    assert_eq!(sudo.again(&[]).code, 0);
    assert!(sudo.host.kept.is_empty());
}

/// What cannot be understood, or compared, is not believed; and nothing that is kept lets anybody in.
#[test]
fn given_a_memory_that_is_none_then_asked_again() {
    for text in [
        "",
        "no_key",
        "no_key ",
        "no_key x ",
        "verified 1000000 ",
        "interrupted 1000000 ",
        "no_key 99999999 ",
        "no_key 1000000",
        "no_key 1000000 0",
        "no_key -1 ",
        "no_key 1000000  ",
        "granted",
    ] {
        let mut sudo = Transaction::new(SimKeys::default());
        assert_eq!(sudo.again(&[]).seconds, 30);
        for kept in sudo.host.kept.values_mut() {
            text.clone_into(kept);
        }
        assert_eq!(sudo.again(&[]), outcome(7, "no_key", 30), "{text}");
    }
    // The clock fails, and the list of keys.
    let mut sudo = Transaction::new(SimKeys::default());
    assert_eq!(sudo.again(&[]).seconds, 30);
    assert_eq!(sudo.host.kept.len(), 1);
    let mut failing = Transaction::new(SimKeys::default());
    failing.host.kept = sudo.host.kept.clone();
    failing.keys.fault = Some((1, Fault { call: "readdir", errno: 5 }));
    assert_eq!(failing.again(&[]).seconds, 30);
}
