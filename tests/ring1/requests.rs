//! What is never sent, and what never counts, whatever a key does: no signature without a touch, no second
//! helping, no older protocol for a newer credential.

use std::rc::Rc;
use std::time::Duration;

use fidokey_core::credential::{Credential, Verification};
use fidokey_core::ports::KeyId;
use fidokey_tests::sim::device::Script;
use fidokey_tests::sim::scripts::{SCRIPTS, hostile_from};
use fidokey_tests::sim::softkey::{Behaviour, Draft, Secret, soft_key};
use fidokey_tests::sim::u2f_key::{U2fBehaviour, U2fDraft, u2f_key};
use fidokey_tests::sim::world::login_of_alice;
use fidokey_tests::sim::{SimKeys, Step};

const SECOND: Duration = Duration::from_secs(1);

/// Code and reason of a login by this key, and all that was sent.
fn login(key: Script, credentials: &[Credential]) -> (i32, String, SimKeys) {
    let mut keys = SimKeys::with(key);
    let (code, host) = login_of_alice(credentials, &mut keys);
    let (_, line) = &host.logged[0];
    let reason = line.split(' ').find_map(|field| field.strip_prefix("reason=")).unwrap();
    if !keys.trace.is_empty() {
        assert_eq!(keys.trace.last(), Some(&Step::Close(KeyId(0))));
    }
    (code, reason.to_owned(), keys)
}

fn bent(bend: impl Fn(&mut Draft) + 'static) -> Behaviour {
    Behaviour { bend: Rc::new(bend), ..Behaviour::default() }
}

fn u2f_bent(bend: impl Fn(&mut U2fDraft) + 'static) -> U2fBehaviour {
    U2fBehaviour { bend: Rc::new(bend), ..U2fBehaviour::default() }
}

/// BAR D11: one assertion was asked for, so one is looked at; getNextAssertion is never sent.
#[test]
fn given_any_number_of_credentials_but_one_then_denied_after_one_command() {
    let secret = Secret::new(1, 64);
    for count in [0, 2, 255, 1 << 16, 1 << 32, (1 << 32) + 1, 1 << 63, u64::MAX] {
        let key = soft_key(std::slice::from_ref(&secret), bent(move |d| d.count = Some(count))).0;
        let (code, reason, keys) = login(key, &[secret.credential()]);
        assert_eq!((code, reason.as_str()), (7, "number_of_credentials"), "{count}");
        assert_eq!(keys.commands(), ["INIT", "getAssertion"]);
    }
}

/// BAR D12: pulled out at any step and plugged in again, the same key lets its owner in.
#[test]
fn given_the_only_key_removed_at_any_step_and_plugged_in_again_then_the_login_goes_on() {
    let secret = Secret::new(1, 64);
    for first_generation in [false, true] {
        for span in (0..600).step_by(25).map(Duration::from_millis) {
            let secrets = std::slice::from_ref(&secret);
            let (key, credential) = if first_generation {
                (u2f_key(secrets, U2fBehaviour::default()).0, secret.u2f_credential())
            } else {
                (soft_key(secrets, Behaviour::default()).0, secret.credential())
            };
            let mut keys = SimKeys::with(key);
            keys.replug(KeyId(0), span, span + SECOND);
            let (code, _) = login_of_alice(&[credential], &mut keys);
            assert_eq!(code, 0, "removed after {span:?}");
            assert!(keys.elapsed() <= span + 2 * SECOND, "{:?}", keys.elapsed());
        }
    }
}

/// BAR D20: what a first-generation key signs, bent.
#[test]
fn given_a_bent_signature_of_a_first_generation_key_then_denied() {
    let secret = Secret::new(1, 64);
    let login = |behaviour| {
        let key = u2f_key(std::slice::from_ref(&secret), behaviour).0;
        let (code, reason, keys) = login(key, &[secret.u2f_credential()]);
        (code, reason, keys.elapsed())
    };
    let (code, reason, _) = login(U2fBehaviour::default());
    assert_eq!((code, reason.as_str()), (0, "verified"));
    for flags in (0..=255).filter(|flags| *flags != 1) {
        let (code, reason, _) = login(u2f_bent(move |d| d.flags = flags));
        let expected = if flags & 1 == 0 { "user_presence" } else { "reserved_flags" };
        assert_eq!((code, reason.as_str()), (7, expected), "{flags:02x}");
    }
    // The flags, the counter and a signature of at least 8 bytes; a good one has more than 65.
    for length in 0..70 {
        let (code, reason, _) = login(u2f_bent(move |d| d.cut = Some(length)));
        let expected = if length < 13 { "malformed" } else { "signature" };
        assert_eq!((code, reason.as_str()), (7, expected), "{length}");
    }
    for bend in [
        (|d: &mut U2fDraft| d.tail.push(0)) as fn(&mut U2fDraft),
        |d| d.hash = vec![0x5a; 32],
        |d| d.signature = Some(vec![0; 64]),
    ] {
        let (code, reason, _) = login(u2f_bent(bend));
        assert_eq!((code, reason.as_str()), (7, "signature"));
    }
    // Asked again and again, and the time for the touch is the end of it.
    let (code, reason, elapsed) = login(U2fBehaviour { touch: None, ..U2fBehaviour::default() });
    assert_eq!((code, reason.as_str()), (7, "touch_timeout"));
    assert!(elapsed <= 31 * SECOND, "{elapsed:?}");
}

/// BAR D21: the message that is granted for is the last one sent and asks for a touch; no message at all asks
/// for a signature without one but the silent question, and that never ends in a grant.
#[test]
fn given_any_login_then_only_a_request_for_a_touch_is_granted() {
    let secrets: Vec<Secret> = (1..=12).map(|number| Secret::new(number, 64)).collect();
    let fido2: Vec<_> = secrets.iter().map(Secret::credential).collect();
    let u2f: Vec<_> = secrets.iter().map(Secret::u2f_credential).collect();
    let mixed: Vec<_> = u2f[..3].iter().chain(&fido2[3..6]).cloned().collect();
    let mut granted = 0;
    for credentials in [&fido2[..1], &fido2[..3], &fido2, &u2f[..1], &u2f[..3], &u2f, &mixed] {
        for held in [0, 1, 2, 5, 11] {
            let own = &secrets[held..=held];
            let mut keys: Vec<Script> = vec![
                soft_key(own, Behaviour::default()).0,
                soft_key(own, bent(|d| d.auth_data[32] |= 0x01)).0,
                soft_key(own, Behaviour { touch: None, ..Behaviour::default() }).0,
                u2f_key(own, U2fBehaviour::default()).0,
                u2f_key(own, U2fBehaviour { touch: None, ..U2fBehaviour::default() }).0,
            ];
            for from in 0..3 {
                for (_, hostile) in SCRIPTS.iter().filter(|(name, _)| !name.contains("foreign")) {
                    let instead = hostile_from(from, *hostile);
                    keys.push(soft_key(own, Behaviour { instead, ..Behaviour::default() }).0);
                }
            }
            for key in keys {
                let (code, _, keys) = login(key, credentials);
                only_asks_for_touches(&keys);
                if code == 0 {
                    granted += 1;
                    let last = *keys.commands().last().unwrap();
                    assert!(matches!(last, "getAssertion" | "sign"), "granted for {last}");
                }
            }
        }
    }
    assert!(granted > 50, "{granted}");
}

/// Every message is one of those few, byte by byte where it matters.
fn only_asks_for_touches(keys: &SimKeys) {
    for ((_, command, payload), word) in keys.messages().iter().zip(keys.commands()) {
        let known = match command {
            0x03 => {
                let [0, instruction, control, ..] = payload[..] else { panic!("{payload:02x?}") };
                (instruction, control) == (0x02, 0x03) || (instruction, control) == (0x02, 0x07)
            }
            // getNextAssertion would be 0x08.
            0x10 => matches!(payload[0], 0x02 | 0x04),
            0x06 | 0x11 => true,
            _ => false,
        };
        assert!(known && word != "another", "{command:02x} {payload:02x?}");
        let option = payload.windows(3).any(|bytes| bytes == b"\x62up");
        assert_eq!(option, word == "getAssertion?", "{payload:02x?}");
    }
}

/// BAR D21: a silent answer with a good signature and UP set is a statement of whose credential it is, no more.
#[test]
fn given_a_silent_answer_that_claims_a_touch_then_the_touch_is_still_asked_for() {
    let secrets: Vec<Secret> = (1..=9).map(|number| Secret::new(number, 64)).collect();
    let credentials: Vec<_> = secrets.iter().map(Secret::credential).collect();
    let behaviour = Behaviour { touch: None, ..bent(|d| d.auth_data[32] |= 0x01) };
    let (code, reason, keys) = login(soft_key(&secrets[..1], behaviour).0, &credentials);
    assert_eq!((code, reason.as_str()), (7, "touch_timeout"));
    let expected = ["INIT", "getInfo", "getAssertion?", "getAssertion", "CANCEL"];
    assert_eq!(keys.commands(), expected);
}

/// BAR D22: a credential of the second generation is not asked for over the first one's protocol.
#[test]
fn given_a_key_that_falls_back_to_the_first_generation_then_it_is_not_asked() {
    let secret = Secret::new(1, 64);
    let key = u2f_key(std::slice::from_ref(&secret), U2fBehaviour::default()).0;
    let (code, reason, keys) = login(key, &[secret.credential()]);
    assert_eq!((code, reason.as_str()), (7, "not_registered"));
    assert_eq!(keys.commands(), ["INIT"]);
}

/// BAR D22, C6: over the newer protocol, a flag of verification counts nothing for a credential of the first
/// generation. (A login does not even ask then.)
#[test]
fn given_a_first_generation_credential_then_its_verification_flag_never_counts() {
    use fidokey_core::assertion::{Challenge, Rejected, Response, Subject, verify};
    use fidokey_core::ports::{Hedge, Origin};
    use sha2::{Digest as _, Sha256};

    let secret = Secret::new(1, 64);
    let origin = Origin::default();
    let who = Subject { uid: 1000, user: "alice", origin: &origin };
    let outcome = |credential: &Credential, required| {
        let hedge = Hedge { boottime_ns: 1, pid: 1 };
        let challenge = Challenge::new(&[1; 32], &credential.rp_id, &who, hedge);
        let hash = Sha256::digest(credential.rp_id.as_str());
        let auth_data = [&hash[..], &[0x05, 0, 0, 0, 9]].concat();
        let signature = secret.sign(&[&auth_data[..], challenge.client_data_hash()].concat());
        let response = Response {
            credential_id: Some(&secret.id),
            auth_data: &auth_data,
            signature: &signature,
            user_handle: None,
            number_of_credentials: None,
        };
        verify(challenge, &[credential], &response, required).map(|v| v.user_verified())
    };
    let (old, new) = (secret.u2f_credential(), secret.credential());
    assert_eq!(outcome(&new, Verification::Required), Ok(true));
    assert_eq!(outcome(&old, Verification::Required), Err(Rejected::UserVerification));
    assert_eq!(outcome(&old, Verification::None), Ok(false));

    let strict = Credential { verification: Verification::Required, ..old };
    assert_eq!(outcome(&strict, Verification::None), Err(Rejected::UserVerification));
    let key = soft_key(std::slice::from_ref(&secret), bent(|d| d.auth_data[32] = 0x05)).0;
    let (code, reason, keys) = login(key, &[strict]);
    assert_eq!((code, reason.as_str()), (7, "verification_unavailable"));
    assert!(keys.trace.is_empty());
}
