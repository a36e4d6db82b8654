//! What the key makes of a registration, and what the core makes of that.

use std::time::Duration;

use fidokey_core::credential::{Algorithm, Credential, KeyName, RpId, Verification};
use fidokey_core::ctap::cbor::{self, Value};
use fidokey_core::ctap::ctap2::{self, Gesture, NewCredential};
use fidokey_core::enroll::EnrollError;
use fidokey_core::registration;
use fidokey_second::{Attestation, SecondKey};
use fidokey_tests::key::{ATTESTATION_CERTIFICATE, Touch};

use crate::scene::{Plugged, enrolled, others, plug};

#[test]
fn given_the_key_then_it_says_what_the_core_counts_on() {
    let info = plug(SecondKey::new(1)).ask(async |client, until| client.info(until).await.unwrap());
    assert!(
        info.fido2
            && info.algorithms.contains(&Algorithm::Es256)
            && info.cred_protect
            && info.make_cred_uv_not_required
    );
    assert!(!info.always_uv && info.client_pin != Some(true));
    assert_eq!(info.max_credential_count, Some(10));
    assert_eq!((info.max_message_size, info.max_response_size), (3072, 3072));
}

#[test]
fn given_the_key_then_it_is_registered_with_four_commands_and_two_touches() {
    let key = plug(SecondKey::new(1));
    let credential = key.enroll(&[]).unwrap();
    assert_eq!(
        key.commands(),
        ["INIT", "getInfo 00", "makeCredential 00", "touch", "getAssertion 00", "touch"]
    );
    assert_eq!(credential.aaguid, Some(*b"AAGUID0123456789"));
    assert_eq!(credential.backup_eligible, Some(false));
    assert_eq!(credential.counter, None);
}

#[test]
fn given_a_batch_certificate_or_none_then_the_attestation_is_accepted() {
    for (attestation, certificates) in [(Attestation::Batch, 1), (Attestation::Own, 0)] {
        let key = plug(SecondKey::new(1).attestation(attestation));
        let payload = make(&key, true, &[]);
        let made = ctap2::read_made_credential(&payload).unwrap();
        assert_eq!(made.format, "packed");
        let response = cbor::read(&payload).unwrap().value;
        let statement = response.member(3).unwrap();
        let chain = statement.named("x5c").and_then(Value::items).unwrap_or_default();
        assert_eq!(chain.len(), certificates);
        assert!(chain.iter().all(|link| *link == Value::Bytes(ATTESTATION_CERTIFICATE)));
        let id = RpId::default();
        registration::check(&made, &id, &Algorithm::ALL, Verification::None, true).unwrap();
    }
}

#[test]
fn given_protection_asked_for_or_not_then_what_the_key_says_of_it_is_accepted() {
    let key = plug(SecondKey::new(1));
    for asked in [false, true] {
        let payload = make(&key, asked, &[]);
        let made = ctap2::read_made_credential(&payload).unwrap();
        assert_eq!(contains(made.auth_data, b"credProtect"), asked);
        let registered = registration::check(
            &made,
            &RpId::default(),
            &Algorithm::ALL,
            Verification::None,
            asked,
        );
        // The id is the wrapped private key with what the key must know of it, the signature counter of
        // its first day among that: another number of bytes for every size of number.
        let id_len = registered.unwrap().id.as_bytes().len();
        assert!((154..=162).contains(&id_len), "{id_len}");
    }
}

#[test]
fn given_a_response_then_its_cbor_is_canonical() {
    let key = plug(SecondKey::new(1));
    assert!(ctap2::is_canonical(&make(&key, true, &[])));
}

#[test]
fn given_a_key_that_is_registered_then_it_says_so_after_a_touch_and_makes_nothing() {
    let (key, credential) = enrolled(SecondKey::new(1));
    let known = Credential { name: other_name(), ..credential };
    assert_eq!(key.enroll(&[known]).unwrap_err(), EnrollError::AlreadyRegistered);
    assert_eq!(key.commands(), ["INIT", "getInfo 00", "makeCredential 19", "touch"]);
}

/// Its list takes 10: the 21 are asked for silently instead, and nothing blinks.
#[test]
fn given_more_keys_than_its_list_takes_then_a_registered_one_is_found_without_a_touch() {
    let (key, credential) = enrolled(SecondKey::new(1));
    let mut existing = others(20, 64);
    existing.push(Credential { name: other_name(), ..credential });
    assert_eq!(key.enroll(&existing).unwrap_err(), EnrollError::AlreadyRegistered);
    assert_eq!(
        key.commands(),
        ["INIT", "getInfo 00", "getAssertion 2e", "getAssertion 2e", "getAssertion 00"]
    );
}

#[test]
fn given_more_keys_than_its_list_takes_then_another_one_is_registered() {
    let key = plug(SecondKey::new(1));
    key.enroll(&others(20, 64)).unwrap();
    assert_eq!(
        key.commands(),
        [
            "INIT",
            "getInfo 00",
            "getAssertion 2e",
            "getAssertion 2e",
            "makeCredential 00",
            "touch",
            "getAssertion 00",
            "touch",
        ]
    );
}

#[test]
fn given_nobody_touches_it_then_the_registration_ends_and_the_key_is_free_again() {
    let key = plug(SecondKey::new(1).touch(Touch::Never));
    let error = key.ask(async |client, _| {
        let until = client.now().unwrap().after(Duration::from_millis(300));
        EnrollError::from(client.touch(&request(true, &[]), until).await.unwrap_err())
    });
    assert_eq!(error, EnrollError::TouchTimeout);
    key.handle.set_touch(Touch::AtOnce);
    key.enroll(&[]).unwrap();
}

fn make(key: &Plugged, cred_protect: bool, exclude: &[&[u8]]) -> Vec<u8> {
    let request = request(cred_protect, exclude);
    key.ask(async |client, until| client.touch(&request, until).await.unwrap())
}

fn request(cred_protect: bool, exclude: &[&[u8]]) -> Vec<u8> {
    ctap2::make_credential(&NewCredential {
        rp_id: RpId::default().as_str(),
        client_data_hash: &[0x5a; 32],
        user_handle: &[7; 32],
        exclude_list: exclude,
        algorithms: &[Algorithm::Es256],
        cred_protect,
        gesture: Gesture::Touch,
    })
}

fn other_name() -> KeyName {
    KeyName::new("Old key").unwrap()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
