//! An answer to a request for a new credential: what is registered is what its authenticator data say, and these say what
//! they must.

use fidokey_core::credential::{Algorithm, RpId, Verification};
use fidokey_core::ctap::cbor::Value;
use fidokey_core::ctap::ctap2::{MadeCredential, read_made_credential};
use fidokey_core::registration::check;
use sha2::{Digest as _, Sha256};

use super::Tape;

/// The first byte says what was asked for: ES256 (1) and EdDSA (2), both where neither, verification (4), credProtect
/// (8); and whether what follows is the CBOR of the answer or the authenticator data alone (16).
pub fn run(bytes: &[u8]) {
    let mut tape = Tape::new(bytes);
    let setup = tape.byte();
    let rest = tape.rest();
    let algorithms: &[Algorithm] = match setup & 3 {
        1 => &[Algorithm::Es256],
        2 => &[Algorithm::EdDsa],
        _ => &Algorithm::ALL,
    };
    let required = if setup & 4 == 0 { Verification::None } else { Verification::Required };
    let made = if setup & 16 == 0 {
        let Ok(made) = read_made_credential(&rest) else { return };
        made
    } else {
        MadeCredential { format: "packed", auth_data: &rest, statement: Value::Map(Vec::new()) }
    };
    let protect = setup & 8 != 0;
    let Ok(registered) = check(&made, &RpId::default(), algorithms, required, protect) else {
        return;
    };
    let data = made.auth_data;
    assert!(matches!(made.format, "none" | "packed" | "fido-u2f"));
    assert_eq!(data[..32], Sha256::digest("pam://fidokey")[..]);
    let flags = data[32];
    // UP and AT are there, the reserved ones are not.
    assert_eq!(flags & 0x63, 0x41);
    assert!(required == Verification::None || flags & 0x04 != 0);
    assert_eq!(registered.backup_eligible, flags & 0x08 != 0);
    assert!(registered.backup_eligible || flags & 0x10 == 0);
    assert_eq!(data[37..53], registered.aaguid);
    let id = registered.id.as_bytes();
    assert_eq!(usize::from(u16::from_be_bytes([data[53], data[54]])), id.len());
    assert_eq!(&data[55..55 + id.len()], id);
    let cose = &data[55 + id.len()..];
    assert!(algorithms.contains(&registered.public_key.algorithm()));
    let point = registered.public_key.to_bytes();
    for coordinate in point[point.len() % 2..].chunks(32) {
        assert!(cose.windows(32).any(|part| part == coordinate));
    }
    // An output of credProtect, where it was asked for, and nothing else.
    let protected = cose.windows(11).any(|part| part == b"credProtect");
    assert_eq!(flags & 0x80 != 0, protected && protect);
    // Exact to the byte.
    let less = MadeCredential { auth_data: &data[..data.len() - 1], ..made.clone() };
    let more = [data, &[0]].concat();
    let more = MadeCredential { auth_data: &more, ..made };
    for bent in [less, more] {
        assert!(check(&bent, &RpId::default(), algorithms, required, protect).is_err());
    }
}
