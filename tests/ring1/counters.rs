//! Signature counters, and the state that a login leaves behind: what it denies, and that nothing else of it does.

use std::rc::Rc;

use fidokey_core::credential::{AccountName, CounterPolicy, Credential};
use fidokey_core::login::login;
use fidokey_core::ports::{Account, FileError, NOT_ROOT, Severity};
use fidokey_core::record::Record;
use fidokey_core::state::{State, Use};
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::softkey::{Behaviour, Draft, Secret, soft_key};
use fidokey_tests::sim::world::{SECOND_FACTOR, SimHost, SimMachine, world};

/// One login of alice by a key that signs this counter.
fn signed(machine: &mut SimMachine, host: &mut SimHost, counter: u32) -> i32 {
    signed_by(machine, host, Secret::new(1, 64), counter)
}

/// The same by the key that holds this credential.
fn signed_by(machine: &mut SimMachine, host: &mut SimHost, secret: Secret, counter: u32) -> i32 {
    let bend = move |draft: &mut Draft| {
        draft.auth_data.splice(33.., counter.to_be_bytes());
    };
    let behaviour = Behaviour { bend: Rc::new(bend), ..Behaviour::default() };
    let mut keys = SimKeys::with(soft_key(&[secret], behaviour).0);
    machine.key_in_use = Rc::clone(&keys.in_use);
    host.logged.clear();
    let code = login(machine, host, &mut keys, &[]).number();
    assert_eq!(machine.state_held, None);
    code
}

fn alice() -> (SimMachine, SimHost) {
    world(&[Secret::new(1, 64).credential()], SECOND_FACTOR)
}

/// Alice, after logins that left these counters.
fn alice_after(counters: &[u32]) -> (SimMachine, SimHost) {
    let (mut machine, mut host) = alice();
    for &counter in counters {
        assert_eq!(signed(&mut machine, &mut host, counter), 0, "{counter}");
    }
    (machine, host)
}

fn logged(host: &SimHost) -> (Severity, &str) {
    let [(severity, line)] = host.logged.as_slice() else { panic!("{:?}", host.logged) };
    (*severity, line)
}

fn state(machine: &SimMachine) -> String {
    String::from_utf8(machine.states[&1000].clone().unwrap().unwrap()).unwrap()
}

fn file_error(reason: &'static str, errno: i32) -> FileError {
    FileError { path: "/var/lib/fidokey/1000.toml".to_owned(), reason, errno }
}

/// BAR S1: denied, said as an alert, held back a little, and what was known stays known.
#[test]
fn given_a_counter_that_did_not_rise_then_denied_and_an_alert() {
    for counter in [5, 4, 1, 0] {
        let (mut machine, mut host) = alice_after(&[3, 5]);
        let before = state(&machine);
        assert_eq!(signed(&mut machine, &mut host, counter), 7);
        let (severity, line) = logged(&host);
        assert_eq!(severity, Severity::Alert);
        assert!(line.starts_with("result=denied code=7 reason=counter_regression "), "{line}");
        assert!(line.ends_with(" counter=went_back"), "{line}");
        assert_eq!(host.delays, 1);
        assert_eq!(host.shown.last().unwrap(), "The security key's answer was not accepted.");
        assert_eq!(state(&machine), before);
        assert_eq!(signed(&mut machine, &mut host, 6), 0);
    }
}

/// BAR S1, S2: what one key has counted says nothing of another.
#[test]
fn given_two_keys_then_each_has_its_own_counter() {
    let secrets = [Secret::new(1, 64), Secret::new(2, 64)];
    let (mut machine, mut host) = world(&secrets.each_ref().map(Secret::credential), SECOND_FACTOR);
    for (number, counter, code) in [(0, 100, 0), (1, 5, 0), (0, 6, 7), (1, 6, 0), (1, 6, 7)] {
        let secret = secrets[number].clone();
        let got = signed_by(&mut machine, &mut host, secret, counter);
        assert_eq!(got, code, "key {number}, {counter}");
    }
}

/// BAR S2.
#[test]
fn given_a_counter_that_is_always_zero_or_jumps_then_granted() {
    alice_after(&[0, 0, 0, 1, 2, 1 << 31, u32::MAX]);
    let (mut machine, mut host) = alice_after(&[0, 7]);
    assert_eq!(signed(&mut machine, &mut host, 0), 7);
}

/// BAR S3: by the credential's own word or the policy's, the credential's before the policy's; logged each time,
/// and the highest counter stays the one to exceed.
#[test]
fn given_counter_warn_then_granted_and_said_each_time() {
    let warn = format!("{SECOND_FACTOR}counter = \"warn\"\n");
    let own = |counter| vec![Credential { counter, ..Secret::new(1, 64).credential() }];
    for (credentials, policy, code) in [
        (own(None), warn.as_str(), 0),
        (own(Some(CounterPolicy::Warn)), SECOND_FACTOR, 0),
        (own(Some(CounterPolicy::Warn)), warn.as_str(), 0),
        (own(Some(CounterPolicy::Deny)), warn.as_str(), 7),
        (own(Some(CounterPolicy::Deny)), SECOND_FACTOR, 7),
    ] {
        let (mut machine, mut host) = world(&credentials, policy);
        assert_eq!(signed(&mut machine, &mut host, 9), 0);
        for counter in [3, 9, 4] {
            assert_eq!(signed(&mut machine, &mut host, counter), code);
            let (severity, line) = logged(&host);
            assert_eq!(severity, Severity::Alert);
            assert!(line.contains(" counter=went_back"), "{line}");
        }
        assert!(state(&machine).contains("counter = 9\n"));
        assert_eq!(signed(&mut machine, &mut host, 10), 0);
        assert!(!logged(&host).1.contains("counter="));
    }
}

/// BAR S4: from the assertion to the state nobody else can use the key; nothing of the state is looked at before.
#[test]
fn given_a_login_then_the_key_is_held_until_the_state_is_written() {
    let (machine, _) = alice_after(&[5]);
    assert_eq!(machine.key_was_in_use, [true, true]);
    let (mut machine, mut host) = alice();
    host.user_later = Some("root".to_owned());
    assert_eq!(signed(&mut machine, &mut host, 5), 7);
    assert_eq!(machine.key_was_in_use, [false; 0]);
}

/// BAR S6: what is no state is taken for none: logged, and written anew.
#[test]
fn given_a_state_that_is_none_then_granted_and_written_anew() {
    let whole = state(&alice_after(&[5]).0);
    let mut broken: Vec<Vec<u8>> = vec![
        b"\xff\xfe".to_vec(),
        b"schema = 2\n".to_vec(),
        whole.replace("schema = 1", "schema = 2").into_bytes(),
        whole.replace("counter = 5", "counter = -1").into_bytes(),
        whole.replace("counter = 5", "counter = 4294967296").into_bytes(),
        whole.replace("counter = 5", "counter = \"5\"").into_bytes(),
        format!("{whole}unknown = 1\n").into_bytes(),
        format!("{whole}counter = 5\n").into_bytes(),
        whole.replace("id_hash = \"", "id_hash = \"AA").into_bytes(),
        whole.replace("user = \"alice\"", "user = \"\"").into_bytes(),
        vec![b'['; 60_000],
        vec![0; 64 * 1024],
    ];
    // Cut off where a crashed disk may have cut it off, within what must be there.
    let end = whole.find("counter = ").unwrap();
    broken.extend((1..end).map(|length| whole.as_bytes()[..length].to_vec()));
    for text in broken {
        let (mut machine, mut host) = alice();
        machine.states.insert(1000, Ok(Some(text.clone())));
        assert_eq!(signed(&mut machine, &mut host, 5), 0);
        let (severity, line) = logged(&host);
        // A beginning that is whole in itself is a state that knows no credential.
        let known_none = State::parse(&text).is_ok();
        assert!(known_none || severity == Severity::Warning, "{line}");
        assert!(known_none || line.contains(" state=malformed file="), "{line}");
        assert_eq!(state(&machine), whole, "{text:?}");
    }
    for reason in ["empty", "too_large", "changed"] {
        let (mut machine, mut host) = alice();
        machine.states.insert(1000, Err(file_error(reason, 0)));
        assert_eq!(signed(&mut machine, &mut host, 5), 0);
        assert!(logged(&host).1.contains(" state=malformed "));
        assert_eq!(state(&machine), whole);
    }
}

/// BAR S6: the first login of all.
#[test]
fn given_no_state_then_granted_and_one_is_made() {
    let (machine, host) = alice_after(&[5]);
    let (severity, line) = logged(&host);
    assert_eq!((severity, line.ends_with(" state=new")), (Severity::Info, true), "{line}");
    let expected = "schema = 1\nuser = \"alice\"\n\n[[credential]]\nid_hash = ";
    assert!(state(&machine).starts_with(expected));
    let expected = "added = 2026-11-23T10:00:00Z\ncounter = 5\nlast_used = 2026-11-23T10:00:00Z\n\
                    last_service = \"sudo\"\n";
    assert!(state(&machine).ends_with(expected), "{}", state(&machine));
}

/// BAR S7: what cannot be written is said, and stops nobody; a counter that went back is found all the same.
#[test]
fn given_a_state_that_cannot_be_written_then_granted_with_a_warning() {
    for (reason, errno) in [("unreadable", 28), ("unreadable", 30), ("io", 5), ("locked", 11)] {
        let (mut machine, mut host) = alice_after(&[5]);
        machine.state_fails = Some(file_error(reason, errno));
        assert_eq!(signed(&mut machine, &mut host, 6), 0);
        let (severity, line) = logged(&host);
        assert_eq!(severity, Severity::Warning);
        let expected = format!(
            " state=unwritten file=/var/lib/fidokey/1000.toml problem={reason} errno={errno}"
        );
        assert!(line.ends_with(&expected), "{line}");
        assert_eq!(signed(&mut machine, &mut host, 5), 7);
    }
    for reason in ["missing_directory", "permission", "io"] {
        let (mut machine, mut host) = alice();
        machine.states.insert(1000, Err(file_error(reason, 2)));
        assert_eq!(signed(&mut machine, &mut host, 6), 0);
        assert_eq!(logged(&host).0, Severity::Warning);
        assert_eq!(machine.state_writes, 0);
    }
}

/// BAR U14: a caller of sudo that allows it too few descriptors to read a counter gets no login without one.
#[test]
fn given_no_descriptor_for_the_state_then_denied() {
    let (mut machine, mut host) = alice_after(&[5]);
    machine.states.insert(1000, Err(file_error("resources", 24)));
    assert_eq!(signed(&mut machine, &mut host, 6), 4);
    assert!(logged(&host).1.contains(" call=state errno=24"));
}

/// BAR X8: nor one that leaves no trace without an alert.
#[test]
fn given_a_limit_on_the_size_of_files_then_granted_and_an_alert() {
    let (mut machine, mut host) = alice_after(&[5]);
    machine.state_fails = Some(file_error("too_large", 27));
    assert_eq!(signed(&mut machine, &mut host, 6), 0);
    let (severity, line) = logged(&host);
    assert_eq!((severity, line.contains(" state=limited ")), (Severity::Alert, true), "{line}");
}

/// BAR S8: what others could have written is neither believed nor touched.
#[test]
fn given_a_state_that_others_could_have_written_then_it_is_ignored_and_an_alert() {
    for reason in ["mode", "owner", "symlink", "hard_link", "not_a_file", "not_a_directory"] {
        let (mut machine, mut host) = alice();
        machine.states.insert(1000, Err(file_error(reason, 0)));
        assert_eq!(signed(&mut machine, &mut host, 6), 0);
        let (severity, line) = logged(&host);
        assert_eq!(severity, Severity::Alert);
        assert!(line.contains(" state=unsafe file="), "{line}");
        assert_eq!(machine.state_writes, 0);
    }
}

/// BAR U11: a screen locker is not root and has no business with the state.
#[test]
fn given_a_process_that_is_not_root_then_granted_without_a_state() {
    let (mut machine, mut host) = alice();
    machine.states.insert(1000, Err(file_error(NOT_ROOT, 0)));
    assert_eq!(signed(&mut machine, &mut host, 6), 0);
    let (severity, line) = logged(&host);
    assert_eq!((severity, line.contains(" state=not_root ")), (Severity::Info, true), "{line}");
    assert_eq!(machine.state_writes, 0);
}

/// BAR S10: an older copy of the state only lets more counters in.
#[test]
fn given_a_state_restored_from_a_backup_then_granted() {
    let (mut machine, mut host) = alice_after(&[5]);
    let old = machine.states[&1000].clone();
    assert_eq!(signed(&mut machine, &mut host, 9), 0);
    machine.states.insert(1000, old);
    assert_eq!(signed(&mut machine, &mut host, 10), 0);
    assert!(state(&machine).contains("counter = 10\n"));
}

/// BAR S11: the state is bound to the account's name and each credential to its registration.
#[test]
fn given_another_account_of_the_number_or_another_registration_then_the_old_counter_is_not_used() {
    let (mut machine, mut host) = alice_after(&[500]);
    let carol = AccountName::new("carol").unwrap();
    let credentials = vec![Secret::new(1, 64).credential()];
    let record = Record { user: carol.clone(), uid: 1000, credentials };
    machine.accounts.insert("carol".to_owned(), Account { uid: 1000, name: carol });
    machine.records.insert(1000, Ok(Some(record.to_toml().into_bytes())));
    host.user = Ok("carol".to_owned());
    assert_eq!(signed(&mut machine, &mut host, 6), 0);
    assert!(logged(&host).1.contains(" state=other_account "));
    assert!(
        state(&machine).contains("user = \"carol\"") && state(&machine).contains("counter = 6\n")
    );

    let (mut machine, mut host) = alice_after(&[500]);
    let again = "2026-12-01T08:00:00Z".to_owned();
    let credentials = vec![Credential { added: again, ..Secret::new(1, 64).credential() }];
    let record = Record { user: AccountName::new("alice").unwrap(), uid: 1000, credentials };
    machine.records.insert(1000, Ok(Some(record.to_toml().into_bytes())));
    assert_eq!(signed(&mut machine, &mut host, 6), 0);
    assert!(!state(&machine).contains("counter = 500"));
}

/// BAR S12: a key that does not count, the same service within a minute: nothing to write.
#[test]
fn given_nothing_new_then_nothing_is_written() {
    let (mut machine, mut host) = alice_after(&[0]);
    machine.since_1970 = machine.since_1970.map(|since| since + std::time::Duration::from_secs(17));
    assert_eq!(signed(&mut machine, &mut host, 0), 0);
    assert_eq!((machine.state_reads, machine.state_writes), (2, 1));
    machine.since_1970 = machine.since_1970.map(|since| since + std::time::Duration::from_secs(1));
    assert_eq!(signed(&mut machine, &mut host, 0), 0);
    assert_eq!(machine.state_writes, 2);
}

/// The wall clock decides nothing: whatever it shows, or that it shows nothing.
#[test]
fn given_any_wall_clock_then_the_verdicts_are_the_same() {
    for seconds in [None, Some(0), Some(1), Some(253_402_300_799), Some(u64::MAX)] {
        let (mut machine, mut host) = alice();
        machine.since_1970 = seconds.map(std::time::Duration::from_secs);
        assert_eq!(signed(&mut machine, &mut host, 5), 0, "{seconds:?}");
        assert_eq!(signed(&mut machine, &mut host, 5), 7, "{seconds:?}");
        assert_eq!(signed(&mut machine, &mut host, 6), 0, "{seconds:?}");
    }
}

/// A state holds what the record holds, and not a credential more, however long it lives.
#[test]
fn given_credentials_that_come_and_go_then_the_state_knows_those_of_the_record() {
    let one = |seed| vec![Secret::new(seed, 64).credential()];
    let mut state = State::new(AccountName::new("alice").unwrap());
    for seed in 1..200 {
        let credentials = one(seed);
        let this = Use { counter: 5, when: None, service: "su\n\"do" };
        state.note(&credentials, &credentials[0], &this);
        let text = state.to_toml();
        assert_eq!(text.matches("[[credential]]").count(), 1);
        assert_eq!(State::parse(text.as_bytes()).unwrap(), state);
    }
}

/// BAR I4: a login by an edited stack is seen in the states, also that of a key that counts nothing in the same minute as
/// the login that has proven the stack.
#[test]
fn given_a_login_by_a_service_then_its_marks_are_others() {
    let (mut machine, mut host) = alice();
    let state = |machine: &SimMachine| {
        State::parse(machine.states[&1000].as_ref().unwrap().as_ref().unwrap()).unwrap()
    };
    for counters in [[0, 0], [5, 6]] {
        machine.states.clear();
        assert_eq!(signed(&mut machine, &mut host, counters[0]), 0);
        let mut proven = state(&machine);
        assert_eq!(proven.marks("sudo").len(), 1);
        assert_eq!(proven.marks("su"), Vec::<String>::new());
        proven.set_aside("sudo", "fidokey-enable");
        assert_eq!(proven.marks("sudo"), Vec::<String>::new());
        machine.states.insert(1000, Ok(Some(proven.to_toml().into_bytes())));
        assert_eq!(signed(&mut machine, &mut host, counters[1]), 0);
        assert_eq!(state(&machine).marks("sudo").len(), 1);
    }
}
