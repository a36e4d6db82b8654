//! Registrations by keys that lie: an error, nothing to write, and the key is closed. BAR E13.

use std::rc::Rc;
use std::time::Duration;

use fidokey_core::assertion::Rejected;
use fidokey_core::credential::{AccountName, Algorithm, Credential, KeyName, Protocol, RpId};
use fidokey_core::enroll::{EnrollError, Enrollment, enroll};
use fidokey_core::ports::{Account, KeyId};
use fidokey_core::registration::Unfit;
use fidokey_tests::sim::device::{Device, Message, Outbox, Script, frames};
use fidokey_tests::sim::registrar::{
    Draft, U2fBehaviour, coordinates, eddsa_cose, es256_cose, registrar, u2f_key,
};
use fidokey_tests::sim::softkey::{Secret, keepalive};
use fidokey_tests::sim::world::{SECOND_FACTOR, world};
use fidokey_tests::sim::{SimKeys, Step};

const SECOND: Duration = Duration::from_secs(1);

fn enroll_with(keys: &mut SimKeys, existing: &[Credential]) -> Result<Credential, EnrollError> {
    let (mut machine, mut host) = world(&[], SECOND_FACTOR);
    let account = Account { uid: 1000, name: AccountName::new("alice").unwrap() };
    let enrollment = Enrollment {
        account: &account,
        existing,
        name: &KeyName::new("Blue key").unwrap(),
        algorithms: &Algorithm::ALL,
        rp_id: &RpId::default(),
        patience: 5 * SECOND,
        added: "2026-11-23T10:00:00Z",
        added_by: "root",
    };
    let outcome = enroll(&mut machine, &mut host, keys, &enrollment);
    // Two touches, insertion and what a broken key may add: never longer, and the key is left alone.
    assert!(keys.elapsed() <= 20 * SECOND, "{:?}", keys.elapsed());
    let used = keys.trace.iter().any(|step| matches!(step, Step::Open(_, Ok(()))));
    assert!(!used || keys.trace.last() == Some(&Step::Close(KeyId(0))));
    outcome
}

fn enroll_by(device: impl Device + 'static) -> Result<Credential, EnrollError> {
    enroll_with(&mut SimKeys::with(device), &[])
}

fn secret() -> Secret {
    Secret::new(1, 64)
}

#[track_caller]
fn given(algorithm: Algorithm, bend: impl Fn(&mut Draft) + 'static, unfit: Unfit) {
    let outcome = enroll_by(registrar(&secret(), algorithm, bend, |_, _| false));
    assert_eq!(outcome.map(|_| ()), Err(EnrollError::Unfit(unfit)));
}

#[test]
fn given_the_right_answers_then_the_credential_is_what_the_key_made() {
    for algorithm in Algorithm::ALL {
        let made = enroll_by(registrar(&secret(), algorithm, |_| {}, |_, _| false)).unwrap();
        assert_eq!(made.public_key.algorithm(), algorithm);
        assert_eq!((made.id.as_bytes(), made.protocol), (&secret().id[..], Protocol::Fido2));
        assert_eq!(made.aaguid, Some([0xaa; 16]));
        assert_eq!(made.user_handle.unwrap().len(), 32);
    }
    let made = enroll_by(u2f_key(&secret(), U2fBehaviour::default()).0).unwrap();
    assert_eq!((made.id.as_bytes(), made.protocol), (&secret().id[..], Protocol::U2f));
}

/// BAR E6: the authenticator data.
#[test]
fn given_authenticator_data_that_do_not_fit_the_request_then_refused() {
    let es256 = Algorithm::Es256;
    for byte in 0..32 {
        given(es256, move |draft| draft.rp_id_hash[byte] ^= 1, Unfit::RpIdHash);
    }
    given(es256, |draft| draft.flags &= !0x01, Unfit::UserPresence);
    given(es256, |draft| draft.flags |= 0x10, Unfit::BackupState);
    given(es256, |draft| draft.flags |= 0x02, Unfit::ReservedFlags);
    given(es256, |draft| draft.flags |= 0x20, Unfit::ReservedFlags);
    given(es256, |draft| draft.flags &= !0x40, Unfit::AttestedData);
    given(es256, |draft| draft.id.clear(), Unfit::CredentialId);
    given(es256, |draft| draft.id = vec![1; 1024], Unfit::CredentialId);
    given(es256, |draft| draft.id_len = Some(65535), Unfit::CredentialId);
    given(es256, |draft| draft.id_len = Some(63), Unfit::Malformed);
    given(es256, |draft| draft.format = "tpm".to_owned(), Unfit::Format);
    given(es256, |draft| draft.format = String::new(), Unfit::Format);
    given(es256, |draft| draft.tail.push(0), Unfit::Malformed);
    given(es256, |draft| draft.extensions.push(0), Unfit::Malformed);
    given(es256, |draft| draft.flags |= 0x80, Unfit::Malformed);
    for extensions in [&[0xa0][..], &[0xa1, 0x61, b'x', 0xf5], &[0x80], &[0xa0, 0]] {
        let bend = move |draft: &mut Draft| {
            draft.flags |= 0x80;
            draft.extensions = extensions.to_vec();
        };
        let outcome = enroll_by(registrar(&secret(), es256, bend, |_, _| false));
        assert!(
            matches!(outcome, Err(EnrollError::Unfit(Unfit::Extensions | Unfit::Malformed))),
            "{extensions:02x?}"
        );
    }
}

/// BAR E6, C14: the public key.
#[test]
fn given_a_public_key_that_logins_would_not_take_then_refused() {
    let (x, y) = coordinates(&secret().key);
    let replace = |from: &'static [u8], to: &'static [u8]| {
        move |draft: &mut Draft| {
            let at = draft.cose.windows(from.len()).position(|part| part == from).unwrap();
            draft.cose.splice(at..at + from.len(), to.iter().copied());
        }
    };
    // kty 2 → 1, alg -7 → -8 and -257, crv 1 → 2, as encoded in a row: 01 02 03 26 20 01.
    given(Algorithm::Es256, replace(&[1, 2, 3, 0x26], &[1, 1, 3, 0x26]), Unfit::PublicKey);
    given(Algorithm::Es256, replace(&[3, 0x26, 0x20], &[3, 0x27, 0x20]), Unfit::PublicKey);
    given(Algorithm::Es256, replace(&[3, 0x26], &[3, 0x39, 1, 0]), Unfit::Algorithm);
    given(Algorithm::Es256, replace(&[0x20, 1, 0x21], &[0x20, 2, 0x21]), Unfit::PublicKey);
    given(Algorithm::EdDsa, replace(&[0x20, 6], &[0x20, 7]), Unfit::PublicKey);
    given(Algorithm::EdDsa, replace(&[3, 0x27], &[3, 0x26]), Unfit::PublicKey);
    // One member too many; the map says so.
    given(
        Algorithm::Es256,
        |draft| {
            draft.cose[0] = 0xa6;
            draft.cose.extend_from_slice(&[0x04, 0x00]);
        },
        Unfit::PublicKey,
    );
    let short = (x[..31].to_vec(), y.clone());
    given(Algorithm::Es256, move |d| d.cose = es256_cose(&short.0, &short.1), Unfit::PublicKey);
    let off = (x.clone(), x);
    given(Algorithm::Es256, move |d| d.cose = es256_cose(&off.0, &off.1), Unfit::PublicKey);
    given(Algorithm::Es256, |d| d.cose = es256_cose(&[0; 32], &[0; 32]), Unfit::PublicKey);
    for weak in [[0; 32], [1; 32].map(|_| 0xff)] {
        given(Algorithm::EdDsa, move |d| d.cose = eddsa_cose(&weak), Unfit::PublicKey);
    }
    given(Algorithm::EdDsa, |d| d.cose = eddsa_cose(&[7; 31]), Unfit::PublicKey);
    given(Algorithm::Es256, |d| d.cose = vec![0x80], Unfit::Malformed);
    given(Algorithm::Es256, |d| d.cose.clear(), Unfit::Malformed);
}

/// BAR E3: a credential that does not pass a login is not registered.
#[test]
fn given_a_credential_that_cannot_log_in_then_refused() {
    // The registration names another public key than the one that signs.
    let (x, y) = coordinates(&Secret::new(2, 64).key);
    let key =
        registrar(&secret(), Algorithm::Es256, move |d| d.cose = es256_cose(&x, &y), |_, _| false);
    assert_eq!(enroll_by(key).unwrap_err(), EnrollError::Unproven(Rejected::Signature));
    // And one that says of itself that it may be copied, and at the login that it may not. BAR C11.
    let key = registrar(&secret(), Algorithm::Es256, |draft| draft.flags |= 0x18, |_, _| false);
    assert_eq!(enroll_by(key).unwrap_err(), EnrollError::Unproven(Rejected::BackupEligibility));
    for (bend, rejected) in [
        ((|data: &mut Vec<u8>| data[0] = 0) as fn(&mut Vec<u8>), Rejected::UserPresence),
        (|data| data[0] = 5, Rejected::ReservedFlags),
        (|data| data.push(0), Rejected::Signature),
        (|data| data.truncate(9), Rejected::Malformed),
    ] {
        let behaviour = U2fBehaviour { signature: Rc::new(bend), ..U2fBehaviour::default() };
        let outcome = enroll_by(u2f_key(&secret(), behaviour).0);
        assert_eq!(outcome.unwrap_err(), EnrollError::Unproven(rejected));
    }
}

/// BAR E6: a registration of the first generation.
#[test]
fn given_a_first_generation_registration_that_is_bent_then_refused() {
    type Bend = fn(&mut Vec<u8>);
    let bends: [(Bend, Unfit); 7] = [
        (|data| data[0] = 0x04, Unfit::Malformed),
        (|data| data[1] = 0x02, Unfit::PublicKey),
        (|data| data[40] ^= 1, Unfit::PublicKey),
        (|data| data[66] = 0, Unfit::Malformed),
        (|data| data[66] = 255, Unfit::Malformed),
        (|data| data.push(0), Unfit::Malformed),
        (|data| data.truncate(100), Unfit::Malformed),
    ];
    for (number, (bend, unfit)) in bends.into_iter().enumerate() {
        let behaviour = U2fBehaviour { registration: Rc::new(bend), ..U2fBehaviour::default() };
        let outcome = enroll_by(u2f_key(&secret(), behaviour).0);
        assert_eq!(outcome.unwrap_err(), EnrollError::Unfit(unfit), "{number}");
    }
}

#[test]
fn given_a_key_that_is_registered_then_it_is_not_registered_twice() {
    let existing = [secret().u2f_credential()];
    let mut keys = SimKeys::with(u2f_key(&secret(), U2fBehaviour::default()).0);
    let outcome = enroll_with(&mut keys, &existing);
    assert_eq!(outcome.unwrap_err(), EnrollError::AlreadyRegistered);
    let known = Credential { name: KeyName::new("Old").unwrap(), ..secret().credential() };
    let mut keys = SimKeys::with(registrar(&secret(), Algorithm::Es256, |_| {}, |_, _| false));
    let outcome = enroll_with(&mut keys, &[known]);
    assert_eq!(outcome.unwrap_err(), EnrollError::AlreadyRegistered);
}

/// BAR D10: every status to every command of a registration is an error; none is taken for a credential.
#[test]
fn given_any_status_to_any_command_then_an_error_and_never_a_credential() {
    for command in [0x01, 0x02, 0x04] {
        for status in 1..=u8::MAX {
            let answer = move |message: &Message, outbox: &mut Outbox| {
                let answered = message.payload.first() == Some(&command);
                if answered {
                    outbox.message(Duration::ZERO, message.channel, 0x10, &[status]);
                }
                answered
            };
            let key = registrar(&secret(), Algorithm::Es256, |_| {}, answer);
            assert!(enroll_by(key).is_err(), "{command:02x} {status:02x}");
        }
    }
    for high in [0x61, 0x62, 0x63, 0x67, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x90, 0x91] {
        for low in 0..=u8::MAX {
            let word = u16::from_be_bytes([high, low]);
            if word == 0x9000 {
                continue; // success without data, which the bent registrations have
            }
            let behaviour = U2fBehaviour { status_word: Some(word), ..U2fBehaviour::default() };
            assert!(enroll_by(u2f_key(&secret(), behaviour).0).is_err(), "{word:04x}");
        }
    }
}

/// BAR E13: keys that break the protocol, at each of the commands of a registration.
#[test]
fn given_a_key_that_breaks_the_protocol_at_any_command_then_an_error_in_bounded_time() {
    type Breaks = fn(&Message, &mut Outbox);
    let scripts: [(&str, Breaks); 6] = [
        ("silence", |_, _| {}),
        ("endless keepalive", |message, outbox| {
            outbox.repeat(Duration::from_millis(100), keepalive(message.channel));
        }),
        ("a million foreign frames", |_, outbox| {
            let foreign = frames([0, 0, 0, 8], 0x10, &[0; 3]).remove(0);
            outbox.repeat(Duration::from_micros(20), foreign);
        }),
        ("a repeated sequence", |message, outbox| {
            let reports = frames(message.channel, 0x10, &[0; 200]);
            for report in [reports[0], reports[1], reports[1]] {
                outbox.raw(Duration::ZERO, report);
            }
        }),
        ("a length beyond the protocol", |message, outbox| {
            let mut report = frames(message.channel, 0x10, &[0; 3]).remove(0);
            (report[5], report[6]) = (0xff, 0xff);
            outbox.raw(Duration::ZERO, report);
        }),
        ("an empty message", |message, outbox| {
            outbox.message(Duration::ZERO, message.channel, 0x10, &[]);
        }),
    ];
    for (name, breaks) in scripts {
        for command in [0x04, 0x01, 0x02] {
            let answer = move |message: &Message, outbox: &mut Outbox| {
                let breaking = message.payload.first() == Some(&command);
                if breaking {
                    breaks(message, outbox);
                }
                breaking
            };
            let key = registrar(&secret(), Algorithm::Es256, |_| {}, answer);
            assert!(enroll_by(key).is_err(), "{name} at {command:02x}");
        }
    }
    assert!(enroll_by(Script::with_init(|_, _| {})).is_err());
}

/// BAR E13, D12: removed at each step there is.
#[test]
fn given_a_key_removed_at_any_step_then_nothing_is_registered() {
    for u2f in [false, true] {
        let mut steps = 0;
        for step in 0.. {
            let mut keys = match u2f {
                false => {
                    SimKeys::with(registrar(&secret(), Algorithm::Es256, |_| {}, |_, _| false))
                }
                true => SimKeys::with(u2f_key(&secret(), U2fBehaviour::default()).0),
            };
            keys.remove_at(KeyId(0), step);
            match enroll_with(&mut keys, &[]) {
                Ok(_) => break,
                Err(error) => assert_eq!(error, EnrollError::NoKey, "{step}"),
            }
            assert!(keys.elapsed() <= 6 * SECOND);
            steps = step;
        }
        assert!(steps >= 10, "{steps}");
    }
}
