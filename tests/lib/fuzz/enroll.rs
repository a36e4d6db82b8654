//! A whole registration by a key that does what it likes: what comes of it is a credential that has signed, or nothing.

use std::time::Duration;

use fidokey_core::attestation::Admission;
use fidokey_core::credential::{AccountName, Algorithm, KeyName, Protocol, RpId, Verification};
use fidokey_core::enroll::{Enrollment, enroll};
use fidokey_core::ports::Account;
use fidokey_core::record::Record;

use super::Tape;
use super::login::{Scene, setup, world_of};
use crate::sim::softkey::Secret;

/// The first byte as for a login; [`setup::MANY`] means that the key holds one of the account's credentials.
pub fn run(bytes: &[u8]) {
    let mut tape = Tape::new(bytes);
    let setup = tape.byte();
    let has = |bit: u8| setup & bit != 0;
    let typed = has(setup::TYPED).then(|| (tape.byte(), tape.byte()));
    let known = Secret::new(1, 64);
    let existing = [known.credential()];
    let held = if has(setup::MANY) { vec![known] } else { Vec::new() };
    let mut scene = Scene::new(setup, &mut tape, &held);
    let (mut machine, mut host) = world_of(bytes, &[], "schema = 1\n", &scene.keys, typed);
    let account = Account { uid: 1000, name: AccountName::new("alice").unwrap() };
    let required = if has(setup::REQUIRED) { Verification::Required } else { Verification::None };
    let enrollment = Enrollment {
        account: &account,
        existing: &existing,
        name: Some(&KeyName::new("Blue key").unwrap()),
        algorithms: &Algorithm::ALL,
        admission: Admission::default(),
        rp_id: &RpId::default(),
        verification: required,
        policy: Verification::None,
        pin_guard: 3,
        patience: Duration::from_secs(10),
        added: "2026-11-23T10:00:00Z",
        added_by: "root",
    };
    let registered = enroll(&mut machine, &mut host, &mut scene.keys, &enrollment);
    scene.check(&host);
    // Of each PIN one for the credential, and one for the assertion that proves it where the first was right.
    let tries = scene.verifier.borrow().tries;
    assert!(usize::try_from(tries).unwrap() <= 2 * host.asked.len(), "{tries} tries");
    let Ok(enrolled) = registered else { return };
    let credential = enrolled.credential;

    // Those that the key makes, one after the other.
    let made: Vec<Secret> = (0..4)
        .flat_map(|number| {
            let secret = Secret::new(0xe0 + number, 48);
            [secret.clone(), Secret { algorithm: Algorithm::EdDsa, ..secret }]
        })
        .collect();
    let public_key = credential.public_key.to_bytes();
    let made: Vec<Secret> =
        made.into_iter().filter(|secret| secret.public_key() == public_key).collect();
    assert!(scene.deeds.borrow().gave(&made, required, 1), "registered for nothing");
    assert!(!has(setup::UNTOUCHED));
    assert_eq!(credential.protocol == Protocol::U2f, has(setup::U2F));
    let record = Record { user: account.name, uid: 1000, credentials: vec![credential] };
    let again = Record::parse(record.to_toml().as_bytes()).unwrap();
    assert_eq!(format!("{again:?}"), format!("{record:?}"));
}
