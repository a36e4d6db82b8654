//! Logins by keys of the first generation, and by keys that pretend to be one.

use std::rc::Rc;
use std::time::Duration;

use fidokey_core::assertion::{Challenge, Rejected, Response, Subject, verify, verify_u2f};
use fidokey_core::credential::{Credential, RpId, Verification};
use fidokey_core::ctap::u2f::Signed;
use fidokey_core::ports::{Hedge, KeyId, Origin};
use fidokey_tests::sim::registrar::{U2fBehaviour, u2f_key};
use fidokey_tests::sim::softkey::{Behaviour, Secret, soft_key};
use fidokey_tests::sim::world::{SimHost, login_of_alice};
use fidokey_tests::sim::{SimKeys, Step};
use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer as _;
use sha2::{Digest as _, Sha256};

fn reason(host: &SimHost) -> &str {
    host.logged[0].1.split(' ').find_map(|field| field.strip_prefix("reason=")).unwrap()
}

/// A login of an account with this one U2F credential, by a key that behaves so.
fn login(behaviour: U2fBehaviour) -> (i32, String, SimKeys) {
    let secret = Secret::new(1, 64);
    let mut keys = SimKeys::with(u2f_key(&secret, behaviour).0);
    let (code, host) = login_of_alice(&[secret.u2f_credential()], &mut keys);
    assert_eq!(keys.trace.last(), Some(&Step::Close(KeyId(0))));
    assert!(keys.elapsed() <= Duration::from_secs(46));
    (code, reason(&host).to_owned(), keys)
}

/// Nothing is sent or waited for after the touch.
#[test]
fn given_a_touch_then_granted_and_nothing_follows() {
    let (code, reason, keys) = login(U2fBehaviour::default());
    assert_eq!((code, reason.as_str()), (0, "verified"));
    // 6985 at 0, 100 and 200 ms, the signature at 300 ms.
    assert_eq!(keys.elapsed(), Duration::from_millis(300));
    assert_eq!(keys.messages().len(), 1 + 4);
}

/// BAR D20: 6985 for ever.
#[test]
fn given_a_key_that_is_never_touched_then_the_deadline_holds() {
    let (code, reason, keys) = login(U2fBehaviour { touch: None, ..U2fBehaviour::default() });
    assert_eq!((code, reason.as_str()), (7, "touch_timeout"));
    assert!(keys.elapsed() <= Duration::from_secs(31));
}

/// BAR D20: every flag byte but 0x01, short data, a byte too many.
#[test]
fn given_a_signature_with_other_flags_or_lengths_then_denied() {
    for flags in (0..=u8::MAX).filter(|flags| *flags != 0x01) {
        let signature = Rc::new(move |data: &mut Vec<u8>| data[0] = flags);
        let (code, reason, _) = login(U2fBehaviour { signature, ..U2fBehaviour::default() });
        let expected = if flags & 1 == 0 { "user_presence" } else { "reserved_flags" };
        assert_eq!((code, reason.as_str()), (7, expected), "{flags:02x}");
    }
    for length in 0..13 {
        let signature = Rc::new(move |data: &mut Vec<u8>| data.truncate(length));
        let (code, reason, _) = login(U2fBehaviour { signature, ..U2fBehaviour::default() });
        assert_eq!((code, reason.as_str()), (7, "malformed"), "{length}");
    }
    // BAR C12: the last of its six places.
    let signature = Rc::new(|data: &mut Vec<u8>| data.push(0));
    let (code, reason, _) = login(U2fBehaviour { signature, ..U2fBehaviour::default() });
    assert_eq!((code, reason.as_str()), (7, "signature"));
    for bit in 8..40 {
        let signature = Rc::new(move |data: &mut Vec<u8>| data[bit / 8] ^= 1 << (bit % 8));
        let (code, reason, _) = login(U2fBehaviour { signature, ..U2fBehaviour::default() });
        assert_eq!((code, reason.as_str()), (7, "signature"), "counter, bit {bit}");
    }
}

/// BAR D10, D20: status words of every class that there is, but success. 6700 and 6A80 are "not mine".
#[test]
fn given_any_status_word_then_denied_with_a_reason_of_its_own() {
    let words = (0x6000..=0x6fff).chain(0x8f00..=0x91ff).chain([0x0000, 0x0001, 0xffff]);
    for word in words.filter(|word| ![0x9000, 0x6985].contains(word)) {
        let status_word = Some(word);
        let (code, reason, _) = login(U2fBehaviour { status_word, ..U2fBehaviour::default() });
        let expected = match word {
            0x6700 | 0x6a80 => "not_registered",
            0x6986 => "verification_unavailable",
            _ => "key_failed",
        };
        assert_eq!((code, reason.as_str()), (7, expected), "{word:04x}");
    }
}

/// BAR D21: nothing that signs without a touch is ever sent.
#[test]
fn given_any_login_then_no_request_signs_without_a_touch() {
    let secrets: Vec<Secret> = (1..=5).map(|number| Secret::new(number, 64)).collect();
    let credentials: Vec<Credential> = secrets.iter().map(Secret::u2f_credential).collect();
    for known in [1, 5] {
        let (key, seen) = u2f_key(&secrets[0], U2fBehaviour::default());
        let (code, _) = login_of_alice(&credentials[..known], &mut SimKeys::with(key));
        assert_eq!(code, 0);
        assert!(seen.borrow().iter().all(|(ins, p1)| *ins == 2 && [3, 7].contains(p1)));
        assert_eq!(seen.borrow().last(), Some(&(2, 3)));
    }
}

/// BAR D21: what is answered to a silent question grants nothing, a right signature with UP included.
#[test]
fn given_a_silent_question_that_is_answered_with_up_then_it_still_takes_a_touch() {
    let secrets: Vec<Secret> = (1..=9).map(|number| Secret::new(number, 64)).collect();
    let credentials: Vec<Credential> = secrets.iter().map(Secret::credential).collect();
    let bend = |draft: &mut fidokey_tests::sim::softkey::Draft| draft.auth_data[32] = 0x05;
    let behaviour = Behaviour { bend: Rc::new(bend), touch: None, ..Behaviour::default() };
    let mut keys = SimKeys::with(soft_key(&secrets, behaviour).0);
    let (code, host) = login_of_alice(&credentials, &mut keys);
    assert_eq!((code, reason(&host)), (7, "touch_timeout"));
    assert_eq!(keys.commands(), ["INIT", "getInfo", "getAssertion?", "getAssertion", "CANCEL"]);
}

/// A FIDO2 credential is not asked for over U2F: what a downgraded key could answer is not wanted.
#[test]
fn given_a_first_generation_key_and_only_fido2_credentials_then_it_is_not_asked() {
    let secret = Secret::new(1, 64);
    let (key, seen) = u2f_key(&secret, U2fBehaviour::default());
    let (code, host) = login_of_alice(&[secret.credential()], &mut SimKeys::with(key));
    assert_eq!((code, reason(&host)), (7, "not_registered"));
    assert!(seen.borrow().is_empty());
}

fn challenge(origin: &Origin) -> Challenge {
    let who = Subject { uid: 1000, user: "alice", origin };
    Challenge::new(&[1; 32], &RpId::default(), &who, Hedge { boottime_ns: 1, pid: 1 })
}

/// BAR D22: whatever flags a key sends, a message or a credential of the first generation proves no more than
/// a touch.
#[test]
fn given_a_first_generation_message_or_credential_then_it_never_counts_as_verified() {
    let origin = Origin::default();
    let secret = Secret::new(1, 64);
    let sign = |flags: u8| {
        let auth_data = [&Sha256::digest("pam://fidokey")[..], &[flags, 0, 0, 0, 1]].concat();
        let hash = *challenge(&origin).client_data_hash();
        let signature: Signature = secret.key.sign(&[&auth_data[..], &hash].concat());
        (auth_data, signature.to_der().as_bytes().to_vec())
    };
    let (auth_data, signature) = sign(0x05);
    let response = Response {
        credential_id: None,
        auth_data: &auth_data,
        signature: &signature,
        user_handle: None,
        number_of_credentials: None,
    };
    let required = Verification::Required;
    let fido2 = secret.credential();
    assert!(verify(challenge(&origin), &[&fido2], &response, required).unwrap().user_verified());
    let u2f = secret.u2f_credential();
    let refused = verify(challenge(&origin), &[&u2f], &response, required);
    assert_eq!(refused.unwrap_err(), Rejected::UserVerification);

    let (_, signature) = sign(0x01);
    let signed = Signed { flags: 0x01, counter: &[0, 0, 0, 1], signature: &signature };
    for credential in [&fido2, &u2f] {
        let refused = verify_u2f(challenge(&origin), credential, &signed, required);
        assert_eq!(refused.unwrap_err(), Rejected::UserVerification);
        let touch = verify_u2f(challenge(&origin), credential, &signed, Verification::None);
        assert!(!touch.unwrap().user_verified());
    }
}
