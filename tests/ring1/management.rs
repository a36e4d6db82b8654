//! What is done to a key itself: by the emulated key, which judges it, and by scripts that answer anything.

use std::cell::RefCell;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use fidokey_core::ctap::bus::Bus;
use fidokey_core::ctap::client::{Client, KeyError};
use fidokey_core::ctap::ctap2::Status;
use fidokey_core::ctap::management;
use fidokey_core::enroll::EnrollError;
use fidokey_core::management::{
    Described, Feature, ManagementError, PinState, change_pin, describe, reset, set_pin, unlock,
};
use fidokey_core::pin_check::check_pin;
use fidokey_core::ports::{KeyId, Keys, Signal};
use fidokey_tests::key::{EmulatedKey, KeyHandle};
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::device::{Message, Outbox};
use fidokey_tests::sim::softkey::{Behaviour, keepalive, soft_key};
use fidokey_tests::sim::verifier::Verifier;
use fidokey_tests::sim::world::{SimHost, world};
use fidokey_tests::socket_keys::SocketKeys;

mod resets;
mod scripts;

const PATIENCE: Duration = Duration::from_secs(10);

/// Somebody who types these.
fn typing(typed: &[&str]) -> SimHost {
    let (_, mut host) = world(&[], "");
    host.typed = typed.iter().map(|line| line.as_bytes().to_vec()).collect();
    host
}

/// An emulated key that is plugged in here.
struct Plugged {
    wire: OwnedFd,
    handle: KeyHandle,
}

impl Plugged {
    fn new(key: &EmulatedKey) -> Self {
        let (wire, handle) = key.plug().unwrap();
        Self { wire, handle }
    }

    fn keys(&self) -> SocketKeys {
        SocketKeys::new(&[self.wire.as_raw_fd()])
    }

    fn set(&self, typed: &[&str]) -> (Result<(), ManagementError>, SimHost) {
        let (mut machine, _) = world(&[], "");
        let mut host = typing(typed);
        (set_pin(&mut machine, &mut host, &mut self.keys(), PATIENCE), host)
    }

    fn change(&self, typed: &[&str]) -> (Result<(), ManagementError>, SimHost) {
        let (mut machine, _) = world(&[], "");
        let mut host = typing(typed);
        (change_pin(&mut machine, &mut host, &mut self.keys(), PATIENCE), host)
    }

    fn check(&self, typed: &str) -> Result<u8, EnrollError> {
        let (mut machine, _) = world(&[], "");
        check_pin(&mut machine, &mut typing(&[typed]), &mut self.keys(), PATIENCE)
    }

    fn describe(&self) -> Described {
        let (mut machine, mut host) = world(&[], "");
        describe(&mut machine, &mut host, &mut self.keys(), PATIENCE).unwrap()
    }
}

fn left(left: u8) -> PinState {
    PinState::Set { left: Some(left), replug: false, change_required: false }
}

#[test]
fn given_a_key_without_a_pin_then_it_gets_one_that_is_typed_twice() {
    let key = EmulatedKey::new(1);
    let plugged = Plugged::new(&key);
    assert_eq!(plugged.describe().pin, PinState::NotSet);
    let (set, host) = plugged.set(&["cafe\u{301}", "caf\u{e9}"]);
    assert_eq!(set, Ok(()));
    assert_eq!(host.shown, ["Choose a PIN of 4 to 63 characters."]);
    let asked: Vec<&str> = host.asked.iter().map(|(prompt, _)| prompt.as_str()).collect();
    assert_eq!(asked, ["New PIN: ", "The new PIN again: "]);
    assert_eq!(plugged.check("caf\u{e9}"), Ok(8));
    // And no second first one.
    let (set, host) = plugged.set(&["1234", "1234"]);
    assert_eq!(set, Err(ManagementError::PinAlreadySet));
    assert_eq!(host.asked, []);
    // The longest there is.
    let longest = "1".repeat(63);
    assert_eq!(plugged.change(&["caf\u{e9}", &longest, &longest]).0, Ok(()));
    assert_eq!(plugged.check(&longest), Ok(8));
}

#[test]
fn given_what_no_key_takes_or_two_that_differ_then_nothing_is_set() {
    let key = EmulatedKey::new(2);
    let plugged = Plugged::new(&key);
    let long = "1".repeat(64);
    for (typed, error) in [
        (&["1234", "1235"][..], ManagementError::PinsDiffer),
        (&["1234", ""], ManagementError::PinsDiffer),
        (&["123", "123"], EnrollError::PinUnfit.into()),
        (&[&long, &long], EnrollError::PinUnfit.into()),
        (&["", ""], EnrollError::PinDeclined.into()),
        (&["1234"], EnrollError::Conversation.into()),
        (&[], EnrollError::Conversation.into()),
    ] {
        assert_eq!(plugged.set(typed).0, Err(error), "{typed:?}");
        assert_eq!(plugged.describe().pin, PinState::NotSet);
    }
    assert_eq!(plugged.change(&["1234", "5678", "5678"]).0, Err(EnrollError::PinNotSet.into()));
}

#[test]
fn given_the_wrong_old_pin_then_one_try_is_spent_and_nothing_is_changed() {
    let key = EmulatedKey::new(3).with_pin("1234");
    let plugged = Plugged::new(&key);
    let (changed, host) = plugged.change(&["9999", "5678", "5678"]);
    assert_eq!(changed, Err(EnrollError::PinWrong(Some(7)).into()));
    assert_eq!(host.shown[0], "Tries left for the PIN it has now: 8.");
    assert_eq!(plugged.describe().pin, left(7));
    // What is no new PIN costs nothing.
    let differ = plugged.change(&["1234", "5678", "5679"]).0;
    assert_eq!(differ, Err(ManagementError::PinsDiffer));
    assert_eq!(plugged.describe().pin, left(7));
    assert_eq!(plugged.change(&["1234", "5678", "5678"]).0, Ok(()));
    assert_eq!(plugged.describe().pin, left(8));
    assert_eq!(plugged.check("1234"), Err(EnrollError::PinWrong(Some(7))));
    assert_eq!(plugged.check("5678"), Ok(8));
}

#[test]
fn given_three_wrong_ones_then_the_key_wants_to_be_plugged_in_anew() {
    let key = EmulatedKey::new(4).with_pin("1234");
    let plugged = Plugged::new(&key);
    let wrong = ["9999", "5678", "5678"];
    for left in [7, 6] {
        assert_eq!(plugged.change(&wrong).0, Err(EnrollError::PinWrong(Some(left)).into()));
    }
    assert_eq!(plugged.change(&wrong).0, Err(EnrollError::PinReplug.into()));
    assert_eq!(plugged.change(&["1234", "5678", "5678"]).0, Err(EnrollError::PinReplug.into()));
}

#[test]
fn given_a_key_then_it_says_what_it_is_and_nobody_is_asked() {
    let key = EmulatedKey::new(5);
    let plugged = Plugged::new(&key);
    let described = plugged.describe();
    assert!(described.second_generation);
    let versions = &described.description.versions;
    assert!(["U2F_V2", "FIDO_2_1"].iter().all(|version| versions.contains(&(*version).to_owned())));
    assert!(described.description.aaguid.is_some());
    assert_eq!(described.description.option("rk"), Some(true));
    assert_eq!(described.uv_tries, None);
    assert_eq!(plugged.handle.touches(), 0);
    let first = EmulatedKey::new(5).u2f_only();
    let described = Plugged::new(&first).describe();
    assert_eq!(described.description.versions, ["U2F_V2"]);
    assert_eq!((described.second_generation, described.pin), (false, PinState::Impossible));
}

#[test]
fn given_a_first_generation_key_then_it_has_no_pin_and_no_reset() {
    let key = EmulatedKey::new(6).u2f_only();
    let plugged = Plugged::new(&key);
    assert_eq!(plugged.set(&["1234", "1234"]).0, Err(ManagementError::PinImpossible));
    assert_eq!(plugged.change(&["1234"]).0, Err(ManagementError::PinImpossible));
    let (mut machine, mut host) = world(&[], "");
    let done = reset(&mut machine, &mut host, &mut plugged.keys(), PATIENCE);
    assert_eq!(done, Err(ManagementError::ResetImpossible));
    for feature in [Feature::Credentials, Feature::Fingerprints] {
        let done = unlock(&mut machine, &mut host, &mut plugged.keys(), feature, PATIENCE);
        assert_eq!(done.unwrap_err(), ManagementError::NoFeature(feature));
    }
}

#[test]
fn given_a_key_that_keeps_credentials_then_its_pin_unlocks_them() {
    let key = EmulatedKey::new(7).with_pin("1234");
    let plugged = Plugged::new(&key);
    let (mut machine, _) = world(&[], "");
    let mut unlock = |typed: &str, feature| {
        let mut host = typing(&[typed]);
        let unlocked = unlock(&mut machine, &mut host, &mut plugged.keys(), feature, PATIENCE);
        (unlocked, host)
    };
    let (wrong, host) = unlock("9999", Feature::Credentials);
    assert_eq!(wrong.unwrap_err(), EnrollError::PinWrong(Some(7)).into());
    assert_eq!(host.shown, ["Enter the PIN of the key. Tries left: 8."]);
    let unlocked = unlock("1234", Feature::Credentials).0.unwrap();
    assert_eq!((unlocked.pin.bytes(), unlocked.preview), (&b"1234"[..], false));
    assert_eq!(plugged.describe().pin, left(8));
    // It has no reader: nobody is asked for the PIN.
    let (none, host) = unlock("1234", Feature::Fingerprints);
    assert_eq!(none.unwrap_err(), ManagementError::NoFeature(Feature::Fingerprints));
    assert_eq!(host.asked, []);
}

#[test]
fn given_a_reset_then_the_emulated_key_has_forgotten_its_pin() {
    let key = EmulatedKey::new(8).with_pin("1234");
    let plugged = Plugged::new(&key);
    let mut keys = plugged.keys();
    let bus = Bus::new(&mut keys);
    let done = bus.alone(KeyId(0), async {
        let end = bus.now().unwrap().after(PATIENCE);
        let mut client = Client::open(&bus, KeyId(0), 1, end).await?;
        client.touch(&management::reset(), end).await
    });
    assert_eq!(done.unwrap(), Ok(Vec::new()));
    drop(bus);
    assert_eq!(plugged.handle.touches(), 1);
    assert_eq!(plugged.describe().pin, PinState::NotSet);
    assert_eq!(plugged.set(&["5678", "5678"]).0, Ok(()));
}
