//! What a key may and may not register: every deviation from the one right answer is an error, and nothing is
//! returned that could be written.

use std::rc::Rc;
use std::time::Duration;

use fidokey_core::assertion::Rejected;
use fidokey_core::credential::{Algorithm, Credential, Protocol};
use fidokey_core::ctap::client::KeyError;
use fidokey_core::enroll::EnrollError;
use fidokey_core::ports::KeyId;
use fidokey_core::registration::Unfit;
use fidokey_tests::sim::registering::{DraftCredential, bytes, integer};
use fidokey_tests::sim::scripts::{SCRIPTS, hostile_from};
use fidokey_tests::sim::softkey::{Behaviour, Draft, soft_key};
use fidokey_tests::sim::u2f_key::{U2fBehaviour, U2fDraft, U2fRegistration, certificate, u2f_key};
use fidokey_tests::sim::world::enroll_for_alice;
use fidokey_tests::sim::{SimKeys, Step};

type Outcome = Result<Credential, EnrollError>;

fn outcome(keys: &mut SimKeys, algorithm: Algorithm) -> Outcome {
    let (result, _) = enroll_for_alice(&[], &[algorithm], keys);
    assert_eq!(keys.trace.last(), Some(&Step::Close(KeyId(0))), "left open");
    assert!(keys.elapsed() <= Duration::from_secs(46), "{:?}", keys.elapsed());
    result
}

fn behaviour(algorithm: Algorithm) -> Behaviour {
    Behaviour { algorithms: vec![algorithm], ..Behaviour::default() }
}

fn bent(algorithm: Algorithm, protect: bool, bend: fn(&mut DraftCredential)) -> Outcome {
    let behaviour =
        Behaviour { cred_protect: protect, bend_credential: Rc::new(bend), ..behaviour(algorithm) };
    outcome(&mut SimKeys::with(soft_key(&[], behaviour).0), algorithm)
}

/// Both algorithms, with and without credProtect: what is right is accepted, or the tables below say nothing.
#[test]
fn given_the_right_registration_then_the_credential_is_returned() {
    for algorithm in Algorithm::ALL {
        for protect in [false, true] {
            let credential = bent(algorithm, protect, |_| {}).unwrap();
            assert_eq!(credential.public_key.algorithm(), algorithm);
            assert_eq!(credential.protocol, Protocol::Fido2);
            assert_eq!((credential.id.as_bytes().len(), credential.aaguid), (48, Some([0xaa; 16])));
        }
        // Allowed: the other formats, verification and backup that nobody asked for, a long id.
        assert!(bent(algorithm, false, |d| d.format = "none".to_owned()).is_ok());
        assert!(bent(algorithm, false, |d| d.format = "fido-u2f".to_owned()).is_ok());
        assert!(bent(algorithm, false, |d| d.flags |= 0x04).is_ok());
        assert!(bent(algorithm, false, |d| d.id = vec![7; 900]).is_ok());
    }
}

/// BAR E6, C14, C18, C19 for registrations.
#[test]
fn given_a_bent_registration_then_it_is_unfit_for_that_reason() {
    type Bend = fn(&mut DraftCredential);
    let bends: &[(Unfit, Bend)] = &[
        (Unfit::RpIdHash, |d| d.rp_id_hash[0] ^= 1),
        (Unfit::RpIdHash, |d| d.rp_id_hash[31] ^= 0x80),
        (Unfit::UserPresence, |d| d.flags &= !0x01),
        (Unfit::UserPresence, |d| d.flags = 0x44),
        (Unfit::BackupState, |d| d.flags |= 0x10),
        (Unfit::ReservedFlags, |d| d.flags |= 0x02),
        (Unfit::ReservedFlags, |d| d.flags |= 0x20),
        (Unfit::AttestedData, |d| d.flags &= !0x40),
        (Unfit::Algorithm, |d| d.set(3, integer(-257 + 1))),
        (Unfit::Algorithm, |d| d.set(3, integer(0))),
        (Unfit::Algorithm, |d| d.set(3, bytes(b"ES256"))),
        (Unfit::Algorithm, |d| d.drop_member(3)),
        (Unfit::PublicKey, |d| d.set(1, integer(3))),
        (Unfit::PublicKey, |d| d.drop_member(1)),
        (Unfit::PublicKey, |d| d.set(-1, integer(2))),
        (Unfit::PublicKey, |d| d.drop_member(-1)),
        (Unfit::PublicKey, |d| d.drop_member(-2)),
        (Unfit::PublicKey, |d| d.set(-4, bytes(&[7; 32]))),
        (Unfit::PublicKey, |d| d.set(2, bytes(b"kid"))),
        (Unfit::PublicKey, |d| d.set(-2, bytes(&[7; 31]))),
        (Unfit::PublicKey, |d| d.set(-2, bytes(&[7; 33]))),
        (Unfit::PublicKey, |d| d.set(-2, bytes(&[]))),
        (Unfit::PublicKey, |d| d.set(-2, integer(1))),
        // x = 2: of neither curve a point with the y that is there, and of edwards25519 none at all.
        (Unfit::PublicKey, |d| d.set(-2, bytes(&[[2].as_slice(), &[0; 31]].concat()))),
        (Unfit::PublicKey, |d| d.set(-2, bytes(&[0; 32]))),
        (Unfit::PublicKey, |d| d.set(-2, bytes(&[0xff; 32]))),
        (Unfit::CredentialId, |d| d.id.clear()),
        (Unfit::CredentialId, |d| d.id = vec![7; 1024]),
        (Unfit::CredentialId, |d| d.id_length = Some(60_000)),
        (Unfit::CredentialId, |d| d.id_length = Some(0)),
        (Unfit::Malformed, |d| d.flags |= 0x80),
        (Unfit::Malformed, |d| d.extensions = vec![0xa0]),
        (Unfit::Malformed, |d| d.extensions = vec![0]),
        (Unfit::Extensions, |d| (d.flags, d.extensions) = (0xc1, vec![0xa0])),
        (Unfit::Extensions, |d| (d.flags, d.extensions) = (0xc1, b"\xa1\x61x\x01".to_vec())),
        (Unfit::Extensions, |d| (d.flags, d.extensions) = (0xc1, vec![0])),
        (Unfit::Malformed, |d| (d.flags, d.extensions) = (0xc1, vec![0xa0, 0])),
        (Unfit::Malformed, |d| d.cut = Some(31)),
        (Unfit::Malformed, |d| d.cut = Some(32)),
        (Unfit::Malformed, |d| d.cut = Some(36)),
        (Unfit::Malformed, |d| d.cut = Some(37)),
        (Unfit::Malformed, |d| d.cut = Some(54)),
        (Unfit::CredentialId, |d| d.cut = Some(55)),
        (Unfit::Malformed, |d| d.cut = Some(55 + 48)),
        (Unfit::Malformed, |d| d.cut = Some(55 + 48 + 10)),
        (Unfit::Format, |d| d.format = "tpm".to_owned()),
        (Unfit::Format, |d| d.format.clear()),
        (Unfit::Format, |d| d.format = "Packed".to_owned()),
        (Unfit::Malformed, |d| d.statement = vec![0x80]),
        (Unfit::Malformed, |d| d.statement = vec![0xf6]),
        (Unfit::Malformed, |d| d.statement.clear()),
        (Unfit::Malformed, |d| d.tail.push(0)),
        (Unfit::Malformed, |d| d.tail.push(0xf6)),
    ];
    for algorithm in Algorithm::ALL {
        for (number, (unfit, bend)) in bends.iter().enumerate() {
            let refused = bent(algorithm, false, *bend).unwrap_err();
            assert_eq!(refused, EnrollError::Unfit(*unfit), "{algorithm:?} {number}");
        }
    }
    // What only the one curve has.
    for (unfit, bend) in [
        (Unfit::PublicKey, (|d| d.set(-3, bytes(&[7; 31]))) as Bend),
        (Unfit::PublicKey, |d| d.set(-3, bytes(&[7; 32]))),
        (Unfit::PublicKey, |d| d.drop_member(-3)),
        (Unfit::PublicKey, |d| d.set(-3, vec![0xf5])), // compressed: the sign of y alone
    ] {
        let refused = bent(Algorithm::Es256, false, bend).unwrap_err();
        assert_eq!(refused, EnrollError::Unfit(unfit));
    }
    let refused = bent(Algorithm::EdDsa, false, |d| d.set(-3, bytes(&[7; 32]))).unwrap_err();
    assert_eq!(refused, EnrollError::Unfit(Unfit::PublicKey));
}

/// BAR E6: level 2 was asked for; level 3 would hide the credential, and any other extension was not asked for.
#[test]
fn given_another_protection_than_asked_for_then_it_is_unfit() {
    fn protect(draft: &mut DraftCredential, level: &[u8]) {
        draft.extensions = [&[0xa1, 0x6b][..], b"credProtect", level].concat();
    }
    type Bend = fn(&mut DraftCredential);
    let refusals: [(Unfit, Bend); 6] = [
        (Unfit::Extensions, |d| protect(d, &[3])),
        (Unfit::Extensions, |d| protect(d, &[0])),
        (Unfit::Extensions, |d| protect(d, &[0x21])),
        (Unfit::Malformed, |d| protect(d, &[2, 0])),
        (Unfit::Malformed, |d| protect(d, &[])),
        (Unfit::Extensions, |d| {
            d.extensions = [&[0xa2, 0x61, b'x', 1, 0x6b][..], b"credProtect", &[2]].concat();
        }),
    ];
    for (number, (unfit, bend)) in refusals.into_iter().enumerate() {
        let refused = bent(Algorithm::Es256, true, bend).unwrap_err();
        assert_eq!(refused, EnrollError::Unfit(unfit), "{number}");
    }
    // Less than asked for is no harm.
    assert!(bent(Algorithm::Es256, true, |d| protect(d, &[1])).is_ok());
}

/// BAR E3: the new credential must pass a login first.
#[test]
fn given_a_bent_proof_then_the_credential_is_unproven() {
    type Bend = fn(&mut Draft);
    let bends: [(Rejected, Bend); 12] = [
        (Rejected::Signature, |d| d.hash = vec![0x5a; 32]),
        (Rejected::Signature, |d| d.signature = Some(vec![0; 64])),
        (Rejected::Signature, |d| d.signature_tail.push(0)),
        (Rejected::UserPresence, |d| d.auth_data[32] = 0),
        (Rejected::RpIdHash, |d| d.auth_data[0] ^= 1),
        (Rejected::CredentialId, |d| d.id = Some(vec![9; 48])),
        (Rejected::BackupEligibility, |d| d.auth_data[32] |= 0x08),
        (Rejected::ReservedFlags, |d| d.auth_data[32] |= 0x20),
        (Rejected::AttestedData, |d| d.auth_data[32] |= 0x40),
        (Rejected::UserHandle, |d| d.user = Some(vec![9; 32])),
        (Rejected::NumberOfCredentials, |d| d.count = Some(2)),
        (Rejected::Malformed, |d| d.tail.push(0)),
    ];
    for algorithm in Algorithm::ALL {
        for (rejected, bend) in bends {
            let behaviour = Behaviour { bend: Rc::new(bend), ..behaviour(algorithm) };
            let refused =
                outcome(&mut SimKeys::with(soft_key(&[], behaviour).0), algorithm).unwrap_err();
            assert_eq!(refused, EnrollError::Unproven(rejected), "{algorithm:?}");
        }
    }
}

fn u2f(behaviour: U2fBehaviour) -> Outcome {
    outcome(&mut SimKeys::with(u2f_key(&[], behaviour).0), Algorithm::Es256)
}

/// BAR E6, C12: the registrations of the first generation.
#[test]
fn given_a_bent_registration_of_a_first_generation_key_then_refused() {
    let credential = u2f(U2fBehaviour::default()).unwrap();
    assert_eq!((credential.protocol, credential.aaguid), (Protocol::U2f, None));

    type Bend = fn(&mut U2fRegistration);
    let bends: [(Unfit, Bend); 14] = [
        (Unfit::Malformed, |d| d.reserved = 0x04),
        (Unfit::Malformed, |d| d.reserved = 0x00),
        (Unfit::PublicKey, |d| d.public_key[0] = 0x02),
        (Unfit::PublicKey, |d| d.public_key[64] ^= 1),
        (Unfit::PublicKey, |d| d.public_key[1..].fill(0)),
        (Unfit::Malformed, |d| d.handle.clear()),
        (Unfit::Malformed, |d| d.handle_length = Some(0)),
        (Unfit::Malformed, |d| d.handle_length = Some(255)),
        (Unfit::Malformed, |d| d.handle_length = Some(63)),
        (Unfit::Malformed, |d| d.certificate = certificate(2049)),
        (Unfit::Malformed, |d| d.certificate[1] = 0x84),
        (Unfit::Malformed, |d| d.certificate.clear()),
        (Unfit::Malformed, |d| d.signature.clear()),
        (Unfit::Malformed, |d| d.tail.push(0)),
    ];
    for (number, (unfit, bend)) in bends.into_iter().enumerate() {
        let behaviour =
            U2fBehaviour { bend_registration: Rc::new(bend), ..U2fBehaviour::default() };
        assert_eq!(u2f(behaviour).unwrap_err(), EnrollError::Unfit(unfit), "{number}");
    }
    for word in [0x6700, 0x6a80, 0x6d00, 0x6e00, 0x6f00, 0x0000, 0x9001] {
        let bend = move |draft: &mut U2fRegistration| draft.word = word;
        let behaviour =
            U2fBehaviour { bend_registration: Rc::new(bend), ..U2fBehaviour::default() };
        let refused = u2f(behaviour).unwrap_err();
        assert!(
            matches!(refused, EnrollError::KeyFailed(KeyError::StatusWord(w)) if w.0 == word),
            "{word:04x} {refused:?}"
        );
    }
}

/// BAR E3, for the first generation.
#[test]
fn given_a_bent_proof_of_a_first_generation_key_then_unproven() {
    type Bend = fn(&mut U2fDraft);
    let bends: [(Rejected, Bend); 6] = [
        (Rejected::UserPresence, |d| d.flags = 0),
        (Rejected::ReservedFlags, |d| d.flags = 5),
        (Rejected::Signature, |d| d.hash = vec![0x5a; 32]),
        (Rejected::Signature, |d| d.tail.push(0)),
        (Rejected::Malformed, |d| d.cut = Some(12)),
        (Rejected::Malformed, |d| d.cut = Some(0)),
    ];
    for (rejected, bend) in bends {
        let behaviour = U2fBehaviour { bend: Rc::new(bend), ..U2fBehaviour::default() };
        assert_eq!(u2f(behaviour).unwrap_err(), EnrollError::Unproven(rejected));
    }
}

/// BAR E13, D1 to D9: whatever a key answers to whichever message, no credential, and the key closed in time.
#[test]
fn given_a_hostile_key_at_any_message_then_nothing_is_registered() {
    for (name, hostile) in SCRIPTS {
        for from in 0..3 {
            let instead = hostile_from(from, *hostile);
            let key = soft_key(&[], Behaviour { instead, ..Behaviour::default() }).0;
            let result = outcome(&mut SimKeys::with(key), Algorithm::Es256);
            assert!(result.is_err(), "{name}, message {from}");
            let instead = hostile_from(from * 2, *hostile);
            let key = u2f_key(&[], U2fBehaviour { instead, ..U2fBehaviour::default() }).0;
            let result = outcome(&mut SimKeys::with(key), Algorithm::Es256);
            assert!(result.is_err(), "{name}, U2F message {from}");
        }
    }
}

/// BAR E13, D8: pulled out at every step.
#[test]
fn given_a_key_removed_at_any_step_then_nothing_is_registered() {
    for first_generation in [false, true] {
        for step in 0.. {
            let key = if first_generation {
                u2f_key(&[], U2fBehaviour::default()).0
            } else {
                soft_key(&[], Behaviour::default()).0
            };
            let mut keys = SimKeys::with(key);
            keys.remove_at(KeyId(0), step);
            let (result, _) = enroll_for_alice(&[], &[Algorithm::Es256], &mut keys);
            if result.is_ok() {
                assert!(step > 12, "{step}");
                break;
            }
            assert_eq!(result.unwrap_err(), EnrollError::NoKey, "step {step}");
            assert!(keys.elapsed() <= Duration::from_secs(1));
        }
    }
}
