//! Keys that answer anything: an error of our own words, in bounded time, and nothing sent that was not to be.

use super::*;

/// A key with a PIN whose answers to authenticatorClientPIN's subcommand are these bytes, or silence.
fn bent(subcommand: u8, answer: Option<Vec<u8>>) -> SimKeys {
    let instead = move |message: &Message, outbox: &mut Outbox| {
        // {1: protocol, 2: subcommand, …}
        let is_meant = message.command == 0x10
            && message.payload.first() == Some(&0x06)
            && message.payload.get(5) == Some(&subcommand);
        if is_meant && let Some(answer) = &answer {
            outbox.message(Duration::ZERO, message.channel, 0x10, answer);
        }
        is_meant
    };
    let verifier = Verifier::with_pin("1234").shared();
    let behaviour = Behaviour { instead: Rc::new(instead), verifier, ..Behaviour::default() };
    SimKeys::with(soft_key(&[], behaviour).0)
}

fn change(keys: &mut SimKeys) -> Result<(), ManagementError> {
    let (mut machine, _) = world(&[], "");
    let done = change_pin(&mut machine, &mut typing(&["1234", "5678", "5678"]), keys, PATIENCE);
    assert!(!keys.any_open());
    assert!(keys.now().unwrap() < fidokey_core::ports::Moment::new(Duration::from_secs(1030)));
    done
}

#[test]
fn given_any_status_then_changing_the_pin_says_what_it_means() {
    for status in 1..=u8::MAX {
        let done = change(&mut bent(0x04, Some(vec![status])));
        let error = match status {
            0x31 => EnrollError::PinWrong(Some(8)).into(),
            0x32 => EnrollError::PinBlocked.into(),
            0x34 => EnrollError::PinReplug.into(),
            0x35 => EnrollError::PinNotSet.into(),
            0x37 => ManagementError::PinRefused,
            _ => {
                assert!(done.is_err());
                continue;
            }
        };
        assert_eq!(done, Err(error), "{status:#x}");
    }
    assert_eq!(change(&mut bent(0x04, Some(vec![0]))), Ok(()));
}

#[test]
fn given_answers_that_are_none_then_the_pin_is_not_changed() {
    let failed = |done: Result<(), ManagementError>| {
        let Err(ManagementError::Common(EnrollError::KeyFailed(error))) = done else {
            panic!("{done:?}")
        };
        error
    };
    for (subcommand, answer) in [
        (0x01, vec![0]),
        (0x01, vec![0, 0xa0]),
        (0x01, vec![]),
        (0x02, vec![0, 0xa0]),
        (0x02, [&[0][..], &[0xff; 200]].concat()),
        (0x04, vec![]),
    ] {
        let mut keys = bent(subcommand, Some(answer.clone()));
        failed(change(&mut keys));
        // Nothing was encrypted for whoever cannot agree on a secret.
        assert!(subcommand == 0x04 || !keys.commands().contains(&"another"), "{answer:?}");
    }
    for subcommand in [0x01, 0x02, 0x04] {
        failed(change(&mut bent(subcommand, None)));
    }
}

#[test]
fn given_no_key_or_several_then_nobody_is_asked() {
    let (mut machine, mut host) = world(&[], "");
    let mut keys = SimKeys::default();
    let none = set_pin(&mut machine, &mut host, &mut keys, PATIENCE);
    assert_eq!(none, Err(EnrollError::NoKey.into()));
    assert_eq!(host.shown, ["Insert your security key."]);
    let key = || soft_key(&[], Behaviour::default()).0;
    keys.add(key());
    keys.add(key());
    let several = change_pin(&mut machine, &mut host, &mut keys, PATIENCE);
    assert_eq!(several, Err(EnrollError::SeveralKeys.into()));
    let several = describe(&mut machine, &mut host, &mut keys, PATIENCE);
    assert_eq!(several.unwrap_err(), EnrollError::SeveralKeys.into());
    assert_eq!((keys.trace.len(), host.asked.len()), (0, 0));
}

/// A key that wants another PIN than it has: that is what changing it is for.
#[test]
fn given_a_pin_that_must_be_changed_then_it_can_be_and_unlocks_nothing() {
    let verifier = Verifier {
        force_change: true,
        options: vec![("credMgmt", true), ("clientPin", true), ("pinUvAuthToken", true)],
        ..Verifier::with_pin("1234")
    };
    let verifier = verifier.shared();
    let behaviour = Behaviour { verifier: Rc::clone(&verifier), ..Behaviour::default() };
    let mut keys = SimKeys::with(soft_key(&[], behaviour).0);
    let (mut machine, mut host) = world(&[], "");
    let feature = Feature::Credentials;
    let unlocked = unlock(&mut machine, &mut host, &mut keys, feature, PATIENCE);
    assert_eq!(unlocked.unwrap_err(), EnrollError::PinChangeRequired.into());
    assert_eq!(host.asked, []);
    let _ = change(&mut keys);
    assert!(keys.commands().contains(&"another"), "changePIN was sent");
}

/// Fingerprints: the commands of either time, a token for them alone where the key knows permissions.
#[test]
fn given_a_reader_then_the_token_is_for_fingerprints_alone() {
    for (option, preview) in [("bioEnroll", false), ("userVerificationMgmtPreview", true)] {
        let verifier = Verifier::with_pin("1234");
        let options = [&[(option, false)], &verifier.options[..]].concat();
        let verifier = Verifier { options, ..verifier }.shared();
        let behaviour = Behaviour { verifier: Rc::clone(&verifier), ..Behaviour::default() };
        let mut keys = SimKeys::with(soft_key(&[], behaviour).0);
        let (mut machine, _) = world(&[], "");
        let mut host = typing(&["1234"]);
        let feature = Feature::Fingerprints;
        let unlocked = unlock(&mut machine, &mut host, &mut keys, feature, PATIENCE).unwrap();
        assert_eq!(unlocked.preview, preview);
        let tokens = verifier.borrow().tokens.clone();
        assert_eq!(tokens.len(), 1);
        assert_eq!((tokens[0].1, tokens[0].2.as_deref()), (Some(0x08), None));
    }
}
