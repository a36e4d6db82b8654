//! What a key may and may not sign: every deviation from the one right answer is a denied login.

use std::rc::Rc;

use fidokey_core::assertion::{Challenge, Rejected, Response, Subject, Verified, verify};
use fidokey_core::credential::{Credential, Verification};
use fidokey_core::ports::{Hedge, Origin};
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::softkey::{Behaviour, Draft, Secret, soft_key};
use fidokey_tests::sim::world::login_of_alice;
use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer as _;
use sha2::{Digest as _, Sha256};

/// The PAM code and the logged reason of a login with a key that bends its answer so.
fn login_bent(
    secrets: &[Secret],
    credentials: &[Credential],
    bend: impl Fn(&mut Draft) + 'static,
) -> (i32, String) {
    let behaviour = Behaviour { bend: Rc::new(bend), ..Behaviour::default() };
    let (key, _) = soft_key(secrets, behaviour);
    let (code, host) = login_of_alice(credentials, &mut SimKeys::with(key));
    let (_, line) = host.logged.last().unwrap();
    let reason = line.split(' ').find_map(|field| field.strip_prefix("reason=")).unwrap();
    (code, reason.to_owned())
}

#[track_caller]
fn given(bend: impl Fn(&mut Draft) + 'static, expected: (i32, &str)) {
    let secret = Secret::new(1, 64);
    let credentials = [secret.credential()];
    let (code, reason) = login_bent(&[secret], &credentials, bend);
    assert_eq!((code, reason.as_str()), expected);
}

#[test]
fn given_the_right_answer_then_the_login_is_granted() {
    given(|_| {}, (0, "verified"));
    // Allowed variants: no id for a single credential, the right or an empty handle, one credential.
    given(|draft| draft.id = None, (0, "verified"));
    given(|draft| draft.user = Some(vec![7; 32]), (0, "verified"));
    given(|draft| draft.user = Some(vec![]), (0, "verified"));
    given(|draft| draft.count = Some(1), (0, "verified"));
    // UV without being asked for it is more than enough.
    given(|draft| draft.auth_data[32] |= 0x04, (0, "verified"));
}

/// BAR C5.
#[test]
fn given_no_user_presence_then_denied() {
    given(|draft| draft.auth_data[32] = 0x00, (7, "user_presence"));
    given(|draft| draft.auth_data[32] = 0x04, (7, "user_presence"));
}

/// BAR C4: the same bytes again, to another challenge.
#[test]
fn given_a_recorded_assertion_then_denied() {
    let secret = Secret::new(1, 64);
    let recorded = vec![0x5a; 32];
    given(move |draft| draft.hash = recorded.clone(), (7, "signature"));

    // And truly recorded: the first login's answer replayed to the second.
    let first = Rc::new(std::cell::RefCell::new(None));
    let tape = Rc::clone(&first);
    let bend = move |draft: &mut Draft| {
        let hash = tape.borrow_mut().get_or_insert_with(|| draft.hash.clone()).clone();
        draft.hash = hash;
    };
    let behaviour = Behaviour { bend: Rc::new(bend), ..Behaviour::default() };
    let credentials = [secret.credential()];
    let (key, _) = soft_key(&[secret], behaviour);
    let mut keys = SimKeys::with(key);
    let (mut machine, mut host) =
        fidokey_tests::sim::world::world(&credentials, fidokey_tests::sim::world::SECOND_FACTOR);
    let mut login = || fidokey_core::login::login(&mut machine, &mut host, &mut keys, &[]).number();
    assert_eq!((login(), login()), (0, 7));
    assert!(first.borrow().is_some());
}

/// BAR C7.
#[test]
fn given_another_relying_party_then_denied() {
    given(|draft| draft.auth_data[0] ^= 1, (7, "rp_id_hash"));
    given(|draft| draft.auth_data[31] ^= 0x80, (7, "rp_id_hash"));
}

/// BAR C8.
#[test]
fn given_an_id_that_was_not_offered_then_denied() {
    given(|draft| draft.id = Some(vec![9; 64]), (7, "credential_id"));
    given(|draft| draft.id.as_mut().unwrap().push(0), (7, "credential_id"));
    given(|draft| draft.id = Some(vec![]), (7, "credential_id"));
    // Without an id among several credentials nobody can say whose signature it is.
    let secrets = [Secret::new(1, 64), Secret::new(2, 64)];
    let credentials = secrets.clone().map(|secret| secret.credential());
    let outcome = login_bent(&secrets, &credentials, |draft| draft.id = None);
    assert_eq!(outcome, (7, "credential_id".to_owned()));
}

/// BAR C9: the signature is good, but another credential's of the same account.
#[test]
fn given_the_id_of_the_accounts_other_key_then_denied() {
    let secrets = [Secret::new(1, 64), Secret::new(2, 64)];
    let credentials = secrets.clone().map(|secret| secret.credential());
    let other = secrets[1].id.clone();
    let outcome =
        login_bent(&secrets[..1], &credentials, move |draft| draft.id = Some(other.clone()));
    assert_eq!(outcome, (7, "signature".to_owned()));
}

/// BAR C10.
#[test]
fn given_another_user_handle_then_denied() {
    given(|draft| draft.user = Some(vec![8; 32]), (7, "user_handle"));
    given(|draft| draft.user = Some(vec![7; 31]), (7, "user_handle"));
    given(|draft| draft.user = Some(vec![7; 33]), (7, "user_handle"));
}

/// BAR C11.
#[test]
fn given_backup_flags_that_contradict_each_other_or_the_registration_then_denied() {
    given(|draft| draft.auth_data[32] |= 0x10, (7, "backup_state"));
    given(|draft| draft.auth_data[32] |= 0x08, (7, "backup_eligibility"));
    given(|draft| draft.auth_data[32] |= 0x18, (7, "backup_eligibility"));
}

/// BAR C12: one byte too many, wherever it is; five of its six places (the sixth is the public key of a
/// record, and the reply of a first-generation key is not read yet).
#[test]
fn given_one_byte_too_many_then_denied() {
    given(|draft| draft.auth_data.push(0), (7, "length"));
    given(|draft| draft.signature_tail.push(0), (7, "signature"));
    given(|draft| draft.tail.push(0), (7, "malformed"));
    given(
        |draft| {
            draft.auth_data[32] |= 0x80;
            draft.auth_data.push(0xa0);
        },
        (7, "extensions"),
    );
    let point = Secret::new(1, 64).key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
    let algorithm = fidokey_core::credential::Algorithm::Es256;
    let key = |bytes: &[u8]| fidokey_core::assertion::PublicKey::new(algorithm, bytes);
    assert!(key(&point).is_some());
    assert!(key(&[&point[..], &[0]].concat()).is_none());
}

/// BAR C18, C19.
#[test]
fn given_flags_or_lengths_that_an_assertion_never_has_then_denied() {
    given(|draft| draft.auth_data[32] |= 0x40, (7, "attested_data"));
    given(|draft| draft.auth_data[32] |= 0x80, (7, "extensions"));
    given(|draft| draft.auth_data[32] |= 0x02, (7, "reserved_flags"));
    given(|draft| draft.auth_data[32] |= 0x20, (7, "reserved_flags"));
    for length in 0..37 {
        given(move |draft| draft.auth_data.truncate(length), (7, "length"));
    }
    given(|draft| draft.count = Some(2), (7, "number_of_credentials"));
    given(|draft| draft.count = Some(0), (7, "number_of_credentials"));
}

#[test]
fn given_a_signature_that_is_none_then_denied() {
    for signature in [vec![], vec![0x30, 0x00], vec![0; 64], vec![0x30; 72], vec![0xff; 4000]] {
        given(move |draft| draft.signature = Some(signature.clone()), (7, "signature"));
    }
}

/// BAR D9: what old keys send: accepted, and the log says so.
#[test]
fn given_an_unsorted_reply_then_granted_and_logged() {
    let secret = Secret::new(1, 64);
    let credentials = [secret.credential()];
    let unsorted = Behaviour { unsorted: true, ..Behaviour::default() };
    for (behaviour, told) in [(unsorted, true), (Behaviour::default(), false)] {
        let (key, _) = soft_key(std::slice::from_ref(&secret), behaviour);
        let (code, host) = login_of_alice(&credentials, &mut SimKeys::with(key));
        assert_eq!(code, 0);
        assert_eq!(host.logged[0].1.contains("not canonical"), told);
    }
}

/// The verifier itself: a good signature over these flags, for a credential and a policy that want this.
fn verified(flags: u8, own: Verification, policy: Verification) -> Result<Verified, Rejected> {
    let secret = Secret::new(1, 64);
    let credential = Credential { verification: own, ..secret.credential() };
    let origin = Origin::default();
    let who = Subject { uid: 1000, user: "alice", origin: &origin };
    let hedge = Hedge { boottime_ns: 1, pid: 1 };
    let challenge = Challenge::new(&[1; 32], &credential.rp_id, &who, hedge);
    let auth_data = [&Sha256::digest(credential.rp_id.as_str())[..], &[flags, 0, 0, 1, 2]].concat();
    let signed = [&auth_data[..], challenge.client_data_hash()].concat();
    let signature: Signature = secret.key.sign(&signed);
    let signature = signature.to_der();
    let response = Response {
        credential_id: None,
        auth_data: &auth_data,
        signature: signature.as_bytes(),
        user_handle: None,
        number_of_credentials: None,
    };
    verify(challenge, &[&credential], &response, policy)
}

/// BAR C6: whoever asks for verification, the policy or the credential, a touch alone is not enough.
#[test]
fn given_verification_is_required_then_a_touch_is_not_enough() {
    use Verification::{None, Required};
    for (own, policy) in [(None, Required), (Required, None), (Required, Required)] {
        assert_eq!(verified(0x01, own, policy), Err(Rejected::UserVerification));
        assert!(verified(0x05, own, policy).unwrap().satisfies(Required));
        assert_eq!(verified(0x04, own, policy), Err(Rejected::UserPresence));
    }
    let touch = verified(0x01, None, None).unwrap();
    assert!(touch.satisfies(None) && !touch.satisfies(Required) && !touch.user_verified());
    assert!(verified(0x05, None, None).unwrap().user_verified());
    assert_eq!(touch.signature_counter(), 0x102);
}

/// The log names the credential as lists do: by the first 4 bytes of the hash of its id.
#[test]
fn given_a_login_then_the_log_names_the_key_and_the_credential() {
    let secret = Secret::new(1, 64);
    let credentials = [secret.credential()];
    let (key, _) = soft_key(std::slice::from_ref(&secret), Behaviour::default());
    let (_, host) = login_of_alice(&credentials, &mut SimKeys::with(key));
    let tag: String =
        Sha256::digest(&secret.id)[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = format!("cred={tag} key=\"{}\"", credentials[0].name);
    assert!(host.logged[0].1.contains(&expected), "{}", host.logged[0].1);
}
