//! What becomes of an account's record while its key is waited for: a prompt for a PIN can stand for days.

use fidokey_core::credential::{AccountName, Credential, KeyName, Verification};
use fidokey_core::login::login;
use fidokey_core::ports::FileError;
use fidokey_core::record::Record;
use fidokey_tests::log::LogLine;
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::softkey::{Behaviour, Secret, soft_key};
use fidokey_tests::sim::world::{SECOND_FACTOR, world};

const ALICE: u32 = 1000;

/// A login of alice by her touch, whose record becomes this once it was read: the code and the reason.
fn becoming(later: Result<Option<Vec<u8>>, FileError>) -> (i32, String) {
    let secret = Secret::new(1, 64);
    let (mut machine, mut host) = world(&[secret.credential()], SECOND_FACTOR);
    machine.later_records.insert(ALICE, later);
    let mut keys = SimKeys::with(soft_key(&[secret], Behaviour::default()).0);
    let answer = login(&mut machine, &mut host, &mut keys, &[]);
    let reason = LogLine::parse(&host.logged[0].1).unwrap().get("reason").unwrap().to_owned();
    (answer.number(), reason)
}

fn record(uid: u32, credential: Credential) -> Result<Option<Vec<u8>>, FileError> {
    let user = AccountName::new("alice").unwrap();
    Ok(Some(Record { user, uid, credentials: vec![credential] }.to_toml().into_bytes()))
}

/// No error of a record lets in, at whatever moment. A key that was removed while its PIN was typed is none any more.
#[test]
fn given_a_record_that_changes_before_the_touch_then_what_it_is_by_then_counts() {
    let own = || Secret::new(1, 64).credential();
    let denied = |reason: &str| (7, reason.to_owned());
    let other_key = Credential { public_key: Secret::new(2, 64).credential().public_key, ..own() };
    let stricter = Credential { verification: Verification::Required, ..own() };
    let renamed = Credential { name: KeyName::new("Drawer").unwrap(), ..own() };
    let failed =
        FileError { path: "/etc/fidokey/users/1000.toml".into(), reason: "mode", errno: 1 };
    for (later, expected) in [
        (record(ALICE, own()), (0, "verified".to_owned())),
        (record(ALICE, renamed), (0, "verified".to_owned())),
        (Ok(None), denied("record_changed")),
        (record(ALICE, Secret::new(2, 64).credential()), denied("record_changed")),
        (record(ALICE, other_key), denied("record_changed")),
        (record(ALICE, stricter), denied("record_changed")),
        (record(1001, own()), denied("record")),
        (Ok(Some(b"schema = 9\n".to_vec())), denied("record")),
        (Err(failed), denied("record")),
    ] {
        assert_eq!(becoming(later), expected);
    }
}
