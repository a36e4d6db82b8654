//! The answers of first-generation keys: exact to the byte, and verified if what was signed is what must be said.

use fidokey_core::assertion::verify_u2f;
use fidokey_core::credential::Verification;
use fidokey_core::ctap::u2f::{StatusWord, data, read_registered, read_signed};
use sha2::{Digest as _, Sha256};

use super::Tape;
use super::assertion::{challenge, secrets};

/// What the key has signed for whoever makes up answers: flags and counter.
pub const SIGNED: [[u8; 5]; 4] =
    [[1, 0, 0, 0, 9], [0, 0, 0, 0, 9], [0x81, 0, 0, 0, 9], [5, 0, 0, 0, 9]];

/// The first byte says what follows: an answer to a request for a signature (0), what the key signs in answer to one (1),
/// an answer to a registration (2).
pub fn run(bytes: &[u8]) {
    let mut tape = Tape::new(bytes);
    let setup = tape.byte();
    let kind = setup % 3;
    if kind == 1 {
        let head = tape.bytes(5);
        return signed(&[&head[..], &[0; 5]].concat()[..5], setup & 0x80 == 0);
    }
    let response = tape.rest();
    let data = match data(&response) {
        Ok(data) => data,
        Err(Ok(word)) => return assert_ne!(word, StatusWord::NO_ERROR),
        Err(Err(_)) => return assert!(response.len() < 2),
    };
    assert_eq!([data, &[0x90, 0x00]].concat(), response);
    if kind == 0 { authentication(data) } else { registration(data) }
}

/// An answer that somebody has made up.
fn authentication(data: &[u8]) {
    let Ok(signed) = read_signed(data) else { return };
    assert_eq!([&[signed.flags], &signed.counter[..], signed.signature].concat(), data);
    let credential = secrets()[0].u2f_credential();
    let verify = |required| verify_u2f(challenge(), &credential, &signed, required);
    if let Ok(verified) = verify(Verification::None) {
        assert!(SIGNED.contains(data.first_chunk().unwrap()) && signed.flags == 1);
        assert!(!verified.user_verified());
    }
    // A touch is all that such a key can prove.
    assert!(verify(Verification::Required).is_err());
}

/// What the key signs, with a signature that is right or not.
fn signed(head: &[u8], right: bool) {
    let [secret, _] = secrets();
    let hash = *challenge().client_data_hash();
    let mut message = [&Sha256::digest("pam://fidokey")[..], head, &hash].concat();
    message[0] ^= u8::from(!right);
    let data = [head, &secret.sign(&message)].concat();
    let signed = read_signed(&data).unwrap();
    let verified = verify_u2f(challenge(), &secret.u2f_credential(), &signed, Verification::None);
    assert_eq!(verified.is_ok(), right && head[0] == 1, "{verified:?}");
}

fn registration(data: &[u8]) {
    let Ok(registered) = read_registered(data) else { return };
    let handle = registered.handle.len();
    assert!(data[0] == 5 && registered.public_key == &data[1..66] && handle > 0);
    assert_eq!(usize::from(data[66]), handle);
    assert_eq!(&data[67..67 + handle], registered.handle);
    // A certificate and a signature, and not a byte more or less.
    assert!(data.len() <= 67 + handle + 2048 + 72);
    assert!(read_registered(&data[..data.len() - 1]).is_err());
    assert!(read_registered(&[data, &[0]].concat()).is_err());
}
