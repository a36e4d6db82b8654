//! What a key is told at a registration, and what it is not.

use fidokey_core::credential::{Algorithm, Credential};
use fidokey_core::ctap::cbor::{self, Value};
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::softkey::{Behaviour, Secret, soft_key};
use fidokey_tests::sim::world::enroll_for_alice;

/// The request for a new credential of alice's, who has these, and the credential.
fn request(existing: &[Credential]) -> (Vec<u8>, Credential) {
    let mut keys = SimKeys::with(soft_key(&[], Behaviour::default()).0);
    let (credential, _) = enroll_for_alice(existing, &Algorithm::ALL, &mut keys);
    let requests: Vec<Vec<u8>> = keys
        .messages()
        .into_iter()
        .filter(|(_, command, payload)| *command == 0x10 && payload.first() == Some(&0x01))
        .map(|(_, _, payload)| payload[1..].to_vec())
        .collect();
    assert_eq!(requests.len(), 1);
    (requests.into_iter().next().unwrap(), credential.unwrap())
}

/// BAR E11: an account is 32 bytes to the key, drawn for this registration, and no name of it, its host or the key is there.
#[test]
fn given_a_registration_then_the_key_is_told_no_name() {
    let (request, credential) = request(&[]);
    let map = cbor::read(&request).unwrap().value;
    let user = map.member(3).unwrap();
    let handle = user.named("id").unwrap().bytes().unwrap();
    assert_eq!(handle.len(), 32);
    assert_eq!(credential.user_handle.as_ref().map(AsRef::as_ref), Some(handle));
    for (party, id) in [(map.member(2).unwrap(), "pam://fidokey"), (user, "")] {
        assert_eq!(party.named("name").and_then(Value::text), Some("fidokey"));
        assert_eq!(party.named("displayName"), None);
        assert!(id.is_empty() || party.named("id").and_then(Value::text) == Some(id));
    }
    for name in ["alice", "Blue", "root", "1000"] {
        assert!(!request.windows(name.len()).any(|part| part == name.as_bytes()), "{name}");
    }
}

/// BAR E4: the key is told which credentials the account has, for it to refuse a second one, and no others: it hears of
/// those that it is given, whatever the machine has besides.
#[test]
fn given_an_account_with_credentials_then_the_key_is_told_these() {
    let existing: Vec<Credential> =
        (1..=3).map(|number| Secret::new(number, 64).credential()).collect();
    let (request, _) = request(&existing);
    let map = cbor::read(&request).unwrap().value;
    let excluded = map.member(5).and_then(Value::items).unwrap();
    let told: Vec<&[u8]> =
        excluded.iter().map(|entry| entry.named("id").unwrap().bytes().unwrap()).collect();
    let known: Vec<&[u8]> = existing.iter().map(|credential| credential.id.as_bytes()).collect();
    assert_eq!(told, known);
    let (request, _) = self::request(&[]);
    assert_eq!(cbor::read(&request).unwrap().value.member(5), None);
}
