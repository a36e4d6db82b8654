//! Which keys the policy admits: asked after the first touch, and before anything of the key is believed or written.

use std::cell::RefCell;
use std::rc::Rc;

use fidokey_attestation::Roots;
use fidokey_core::attestation::{Admission, Attestation, Form, Judge, NotAdmitted};
use fidokey_core::credential::{Algorithm, Protocol};
use fidokey_core::enroll::{EnrollError, Enrolled};
use fidokey_core::ports::{KeyId, Keys};
use fidokey_tests::key::{ATTESTATION_CERTIFICATE, EmulatedKey};
use fidokey_tests::sim::softkey::{Behaviour, soft_key};
use fidokey_tests::sim::u2f_key::{U2fBehaviour, u2f_key};
use fidokey_tests::sim::world::enroll_as;
use fidokey_tests::sim::{SimKeys, Step};
use fidokey_tests::socket_keys::SocketKeys;
use std::os::fd::AsRawFd as _;

type Outcome = Result<Enrolled, EnrollError>;

fn register(admission: Admission<'_>, keys: &mut impl Keys) -> Outcome {
    enroll_as(&[], None, &Algorithm::ALL, admission, keys).0
}

/// A judge that answers what it is told, and remembers what it saw.
#[derive(Debug)]
struct Told(Result<(), NotAdmitted>, RefCell<Vec<Attestation>>);

impl Judge for Told {
    fn judge(&self, attestation: &Attestation) -> Result<(), NotAdmitted> {
        self.1.borrow_mut().push(attestation.clone());
        self.0
    }
}

// E14.
#[test]
fn given_a_list_of_models_then_no_other_is_registered() {
    let listed = |models: &[[u8; 16]]| {
        let (key, seen) = soft_key(&[], Behaviour::default());
        let mut keys = SimKeys::with(key);
        let admission = Admission { models: Some(models), judge: None };
        let outcome = register(admission, &mut keys).map(|enrolled| enrolled.credential.aaguid);
        let asked = seen.borrow().hashes.len();
        (outcome, asked)
    };
    // Both touches, where it is admitted; where it is not, the second one is not asked for.
    assert_eq!(listed(&[[1; 16], [0xaa; 16]]), (Ok(Some([0xaa; 16])), 2));
    let refused = Err(EnrollError::NotAdmitted(NotAdmitted::Model));
    assert_eq!(listed(&[[1; 16]]), (refused, 1));
    assert_eq!(listed(&[]), (refused, 1));

    // A key of the first generation has no number, and is asked for no touch.
    let (key, seen) = u2f_key(&[], U2fBehaviour::default());
    let admission = Admission { models: Some(&[[0; 16], [1; 16]]), judge: None };
    let refused = register(admission, &mut SimKeys::with(key)).unwrap_err();
    assert_eq!(refused, EnrollError::NotAdmitted(NotAdmitted::Model));
    assert_eq!(seen.borrow().touches, 0);
}

// E14.
#[test]
fn given_a_judge_then_it_decides_and_sees_what_was_signed() {
    for first_generation in [false, true] {
        for answer in [Ok(()), Err(NotAdmitted::Chain), Err(NotAdmitted::Unattested)] {
            let judge = Told(answer, RefCell::default());
            let mut keys = SimKeys::with(if first_generation {
                u2f_key(&[], U2fBehaviour::default()).0
            } else {
                soft_key(&[], Behaviour::default()).0
            });
            let admission = Admission { models: None, judge: Some(&judge) };
            let outcome = register(admission, &mut keys);
            assert_eq!(keys.trace.last(), Some(&Step::Close(KeyId(0))));
            assert_eq!(outcome.map(drop), answer.map_err(EnrollError::NotAdmitted));
            let seen = judge.1.borrow();
            assert_eq!(seen.len(), 1);
            let form = if first_generation { Form::U2f } else { Form::Packed };
            assert_eq!((seen[0].form, seen[0].certificates.len()), (form, first_generation.into()));
        }
    }
    // "none" says nothing, whatever else is in it.
    let judge = Told(Ok(()), RefCell::default());
    let bend_credential =
        Rc::new(|draft: &mut fidokey_tests::sim::registering::DraftCredential| {
            draft.format = "none".to_owned();
            draft.statement = [&[0xa1, 0x63][..], b"x5c", &[0x81, 0x41, 0x30]].concat();
        });
    let key = soft_key(&[], Behaviour { bend_credential, ..Behaviour::default() }).0;
    let admission = Admission { models: None, judge: Some(&judge) };
    register(admission, &mut SimKeys::with(key)).unwrap();
    assert!(judge.1.borrow()[0].certificates.is_empty());
}

/// A list of one certificate.
fn pem(der: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |chunk: &[u8], at: usize| {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let number = byte(0) << 16 | byte(1) << 8 | byte(2);
        let value = usize::try_from(number >> (18 - 6 * at) & 63).unwrap();
        if at <= chunk.len() { DIGITS[value] } else { b'=' }
    };
    let digits: Vec<u8> =
        der.chunks(3).flat_map(|chunk| (0..4).map(move |at| digit(chunk, at))).collect();
    let mut text = b"-----BEGIN CERTIFICATE-----\n".to_vec();
    for line in digits.chunks(64) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(b"-----END CERTIFICATE-----\n");
    text
}

// E14: a key whose author is not ours, in both generations; its certificate is a batch's own.
#[test]
fn given_the_emulated_key_then_its_own_maker_admits_it_and_another_does_not() {
    let own = Roots::from_pem(&pem(ATTESTATION_CERTIFICATE)).unwrap();
    let other = include_bytes!("../../src/attestation/tests/root.pem");
    let other = Roots::from_pem(other).unwrap();
    for first_generation in [false, true] {
        for (judge, admitted) in [(&own, true), (&other, false)] {
            let key = EmulatedKey::new(14);
            let key = if first_generation { key.u2f_only() } else { key };
            let (client, _handle) = key.plug().unwrap();
            let admission = Admission { models: None, judge: Some(judge) };
            let outcome = register(admission, &mut SocketKeys::new(&[client.as_raw_fd()]));
            match outcome {
                Ok(enrolled) => {
                    assert!(admitted);
                    let u2f = enrolled.credential.protocol == Protocol::U2f;
                    assert_eq!(u2f, first_generation);
                }
                Err(refused) => {
                    assert!(!admitted, "{refused:?}");
                    assert_eq!(refused, EnrollError::NotAdmitted(NotAdmitted::Chain));
                }
            }
        }
    }
}
