//! Lists of credentials: the key takes 10 entries in 3072 bytes, says so, and means it.

use fidokey_core::credential::RpId;
use fidokey_core::ctap::client::KeyError;
use fidokey_core::ctap::ctap2::{self, Gesture, Status};
use fidokey_second::SecondKey;

use crate::scene::{enrolled, login_of_alice, others, plug, reason};

#[test]
fn given_an_eleventh_entry_then_the_key_refuses_the_whole_without_a_touch() {
    let key = plug(SecondKey::new(1));
    for (count, status) in [(10, 0x2e), (11, 0x12)] {
        let credentials = others(count, 64);
        let ids: Vec<&[u8]> = credentials.iter().map(|c| c.id.as_bytes()).collect();
        let request =
            ctap2::get_assertion(RpId::default().as_str(), &[0x5a; 32], &ids, Gesture::Touch);
        let refused =
            key.ask(async |client, until| client.touch(&request, until).await.unwrap_err());
        assert_eq!(refused, KeyError::Status(Status(status)));
    }
    assert_eq!(key.commands(), ["INIT", "getAssertion 2e", "touch", "INIT", "getAssertion 12"]);
}

#[test]
fn given_twenty_credentials_the_last_its_own_then_one_touch() {
    let (key, credential) = enrolled(SecondKey::new(1));
    let mut credentials = others(19, 64);
    credentials.push(credential);
    let (code, host) = login_of_alice(&credentials, &mut key.keys());
    assert_eq!((code, reason(&host)), (0, "verified"));
    assert_eq!(
        key.commands(),
        ["INIT", "getInfo 00", "getAssertion 2e", "getAssertion 00", "getAssertion 00", "touch"]
    );
    assert_eq!(host.shown, ["Touch your security key (sudo)."]);
}

#[test]
fn given_64_credentials_the_last_its_own_then_one_touch() {
    let (key, credential) = enrolled(SecondKey::new(1));
    for id_len in [32, 64, 156, 241] {
        let mut credentials = others(63, id_len);
        credentials.push(credential.clone());
        key.handle.clear_transcript();
        let (code, _) = login_of_alice(&credentials, &mut key.keys());
        let commands = key.commands();
        assert_eq!(code, 0, "{id_len} {commands:?}");
        // Ten at a time, whatever their length: ten of 241 bytes have 2700.
        let refused = commands.iter().filter(|command| *command == "getAssertion 2e").count();
        assert_eq!(refused, 6, "{id_len} {commands:?}");
        assert_eq!(commands.iter().filter(|command| *command == "touch").count(), 1);
    }
}

#[test]
fn given_twenty_credentials_of_others_then_not_registered_and_nothing_blinks() {
    let key = plug(SecondKey::new(1));
    let (code, host) = login_of_alice(&others(20, 64), &mut key.keys());
    assert_eq!((code, reason(&host)), (7, "not_registered"));
    assert_eq!(key.commands(), ["INIT", "getInfo 00", "getAssertion 2e", "getAssertion 2e"]);
    assert_eq!(host.shown[0], "This key is not registered for alice.");
}

/// As many as fit into a message that any key takes.
#[test]
fn given_a_short_list_with_its_own_in_it_then_two_commands() {
    let (key, credential) = enrolled(SecondKey::new(1));
    let mut credentials = others(7, 64);
    credentials.insert(3, credential);
    let (code, _) = login_of_alice(&credentials, &mut key.keys());
    assert_eq!(code, 0);
    assert_eq!(key.commands(), ["INIT", "getAssertion 00", "touch"]);
}

/// Ids of every length that a record may hold, among them longer ones than this key announces to read.
#[test]
fn given_ids_of_any_length_beside_its_own_then_it_logs_in() {
    let (key, credential) = enrolled(SecondKey::new(1));
    for id_len in [16, 32, 241, 255, 256, 512, 767, 768, 1023] {
        for count in [1, 9] {
            for own_first in [true, false] {
                let mut credentials = others(count, id_len);
                let at = if own_first { 0 } else { credentials.len() };
                credentials.insert(at, credential.clone());
                key.handle.clear_transcript();
                let (code, host) = login_of_alice(&credentials, &mut key.keys());
                let commands = key.commands();
                assert_eq!(code, 0, "{id_len} {count} {own_first} {} {commands:?}", reason(&host));
                assert_eq!(commands.iter().filter(|command| *command == "touch").count(), 1);
            }
        }
    }
}
