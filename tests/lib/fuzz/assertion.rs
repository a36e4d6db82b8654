//! An answer to a request for an assertion: verified if, and only if, it is what the private key has signed and says what
//! it must say.

use fidokey_core::assertion::{Challenge, Response, Subject, verify, verify_silent};
use fidokey_core::credential::{Algorithm, Credential, RpId, Verification};
use fidokey_core::ctap::ctap2::read_assertion;
use fidokey_core::ports::{Hedge, Origin};
use sha2::{Digest as _, Sha256};

use super::Tape;
use crate::sim::softkey::Secret;

/// The flags of what the two keys have signed for whoever makes up answers.
pub const SIGNED_FLAGS: [u8; 8] = [0x00, 0x01, 0x04, 0x05, 0x09, 0x11, 0x41, 0x81];

/// The challenge of all answers here.
pub fn challenge() -> Challenge {
    let origin = Origin::default();
    let who = Subject { uid: 1000, user: "alice", origin: &origin };
    Challenge::new(&[1; 32], &RpId::default(), &who, Hedge { boottime_ns: 1, pid: 1 })
}

/// The two keys.
pub fn secrets() -> [Secret; 2] {
    [Secret::new(1, 64), Secret { algorithm: Algorithm::EdDsa, ..Secret::new(2, 40) }]
}

/// Authenticator data with these flags and a counter.
pub fn auth_data(flags: u8) -> Vec<u8> {
    [&Sha256::digest("pam://fidokey")[..], &[flags, 0, 0, 1, 2]].concat()
}

/// The first byte says whether verification is required (1), which key it is (2), whether both are offered (4), and
/// whether what follows is the CBOR of an answer or authenticator data that the key signs (8).
pub fn run(bytes: &[u8]) {
    let mut tape = Tape::new(bytes);
    let setup = tape.byte();
    let rest = tape.rest();
    let required = if setup & 1 == 0 { Verification::None } else { Verification::Required };
    let [first, second] = secrets();
    let (secret, other) = if setup & 2 == 0 { (first, second) } else { (second, first) };
    let (mine, another) = (secret.credential(), other.credential());
    let offered = if setup & 4 == 0 { vec![&mine] } else { vec![&another, &mine] };
    if setup & 8 == 0 {
        let Ok(response) = read_assertion(&rest) else { return };
        given(&offered, &response, required);
        return;
    }
    let signature = secret.sign(&[&rest[..], challenge().client_data_hash()].concat());
    let response = Response {
        credential_id: Some(&secret.id),
        auth_data: &rest,
        signature: &signature,
        user_handle: None,
        number_of_credentials: None,
    };
    let verified = verify(challenge(), &offered, &response, required);
    assert_eq!(verified.is_ok(), is_right(&rest, required, 1), "{verified:?} {rest:02x?}");
    let silent = verify_silent(&challenge(), &offered, &response);
    assert_eq!(silent.is_ok(), is_right(&rest, Verification::None, 0), "{silent:?} {rest:02x?}");
}

/// An answer that somebody has made up: what is verified of it are the bytes that were signed.
fn given(offered: &[&Credential], response: &Response<'_>, required: Verification) {
    let by = |credential: &Credential| {
        let id = response.credential_id;
        assert!(id.map_or(offered.len() == 1, |id| id == credential.id.as_bytes()));
        assert!(matches!(response.number_of_credentials, None | Some(1)));
        assert!(
            matches!(response.user_handle, None | Some([]))
                || response.user_handle == Some(&[7; 32])
        );
        assert!(SIGNED_FLAGS.iter().any(|flags| auth_data(*flags) == response.auth_data));
    };
    if let Ok(verified) = verify(challenge(), offered, response, required) {
        let credential = offered.iter().find(|credential| verified.is_by(credential)).unwrap();
        by(credential);
        assert!(is_right(response.auth_data, required, 1));
        assert!(verified.satisfies(required));
    }
    if let Ok(credential) = verify_silent(&challenge(), offered, response) {
        by(credential);
        assert!(is_right(response.auth_data, Verification::None, 0));
    }
}

/// What authenticator data must say (WebAuthn section 7.2): 37 bytes, our relying party, the touch (`present` is 1 where
/// it was asked for), nothing that was not asked for, and no backup, as at the registration.
pub(super) fn is_right(auth_data: &[u8], required: Verification, present: u8) -> bool {
    auth_data.len() == 37
        && auth_data[..32] == Sha256::digest("pam://fidokey")[..]
        && auth_data[32] & present == present
        && auth_data[32] & !0x05 == 0
        && (required == Verification::None || auth_data[32] & 0x04 != 0)
}
