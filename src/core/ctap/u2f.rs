//! The messages of first-generation keys: register and authenticate (U2F raw messages 1.2; CTAP 2.1 section 8).
//!
//! A U2F key never waits: it answers at once that it was not touched, and is asked again.

use sha2::{Digest as _, Sha256};

/// The longest key handle, in bytes: its length is one byte.
pub const HANDLE_MAX: usize = 255;
/// The longest attestation certificate that is taken off a registration, in bytes.
const CERTIFICATE_MAX: usize = 2048;
/// Longest DER form of an ECDSA signature over P-256, in bytes.
const SIGNATURE_MAX: usize = 72;

/// A status word (ISO 7816-4; U2F raw messages section 3.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StatusWord(pub u16);

impl StatusWord {
    /// Not by U2F: what a key answers that wants verification at every request.
    pub const COMMAND_NOT_ALLOWED: Self = Self(0x6986);
    /// Not touched yet. To a check-only question: the handle is the key's.
    pub const CONDITIONS_NOT_SATISFIED: Self = Self(0x6985);
    /// Done.
    pub const NO_ERROR: Self = Self(0x9000);
    /// The handle is not the key's.
    pub const WRONG_DATA: Self = Self(0x6a80);
    /// The handle has a length that the key's own never have.
    pub const WRONG_LENGTH: Self = Self(0x6700);

    /// Whether it means that the handle is not the key's.
    #[must_use]
    pub const fn means_not_mine(self) -> bool {
        matches!(self, Self::WRONG_DATA | Self::WRONG_LENGTH)
    }
}

/// What a request for a signature does without a touch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Control {
    /// Only asks whether the handle is the key's (0x07). Nothing is signed, whatever is touched.
    CheckOnly,
    /// Signs after a touch (0x03). The third one, 0x08, signs without any and is never sent.
    Sign,
}

/// A request to register: `challenge` and the relying party id, each as its hash.
#[must_use]
pub fn register(challenge: &[u8; 32], rp_id: &str) -> Vec<u8> {
    apdu(0x01, 0x00, &[challenge, &Sha256::digest(rp_id)[..]].concat())
}

/// A request for a signature with the credential `handle`, or `None` when that is longer than 255 bytes.
#[must_use]
pub fn authenticate(
    control: Control,
    challenge: &[u8; 32],
    rp_id: &str,
    handle: &[u8],
) -> Option<Vec<u8>> {
    let length = u8::try_from(handle.len()).ok()?;
    let control = match control {
        Control::CheckOnly => 0x07,
        Control::Sign => 0x03,
    };
    let data = [challenge, &Sha256::digest(rp_id)[..], &[length], handle].concat();
    Some(apdu(0x02, control, &data))
}

/// Asks for the version of the protocol that the key speaks. Without data there is no length of them either.
#[must_use]
pub fn version() -> Vec<u8> {
    vec![0, 0x03, 0, 0, 0, 0, 0]
}

/// An APDU of extended length with room for any response; the data of all requests here are short.
fn apdu(instruction: u8, parameter: u8, data: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[0, instruction, parameter, 0, 0, high, low], data, &[0, 0]].concat()
}

/// A response that is shorter than its status word, or not what its request answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed;

/// Splits a response into its data and its status word.
///
/// # Errors
/// The status word when it is not success, or [`Malformed`] when there is none.
pub fn data(response: &[u8]) -> Result<&[u8], Result<StatusWord, Malformed>> {
    let (data, word) = response.split_last_chunk::<2>().ok_or(Err(Malformed))?;
    match StatusWord(u16::from_be_bytes(*word)) {
        StatusWord::NO_ERROR => Ok(data),
        other => Err(Ok(other)),
    }
}

/// What a key signed, taken apart and not verified.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The byte of user presence.
    pub flags: u8,
    /// The counter, as it was signed.
    pub counter: &'a [u8; 4],
    /// The signature.
    pub signature: &'a [u8],
}

/// Takes the data of an authentication response apart. Nothing is verified here.
///
/// # Errors
/// [`Malformed`] when it is shorter than any signature.
pub fn read_signed(data: &[u8]) -> Result<Signed<'_>, Malformed> {
    let (&flags, rest) = data.split_first().ok_or(Malformed)?;
    let (counter, signature) = rest.split_first_chunk().ok_or(Malformed)?;
    if signature.len() < 8 {
        return Err(Malformed);
    }
    Ok(Signed { flags, counter, signature })
}

/// A registration, taken apart and not verified.
#[derive(Clone, Copy, Debug)]
pub struct Registered<'a> {
    /// The public key, 65 bytes.
    pub public_key: &'a [u8],
    /// The key handle.
    pub handle: &'a [u8],
    /// The attestation certificate, as long as its outer DER header says.
    pub certificate: &'a [u8],
    /// The signature that goes with it.
    pub signature: &'a [u8],
}

/// What is signed in a registration (U2F raw messages section 4.3): of `challenge` and the relying party id each the hash.
#[must_use]
pub fn signed_registration(
    rp_id: &str,
    challenge: &[u8; 32],
    handle: &[u8],
    public_key: &[u8],
) -> Vec<u8> {
    [&[0], &Sha256::digest(rp_id)[..], challenge, handle, public_key].concat()
}

/// Takes the data of a registration response apart: `05 ‖ public key ‖ length ‖ handle ‖ certificate ‖
/// signature`. The certificate's length is that of its outer DER header, and nothing else of it is read.
///
/// # Errors
/// [`Malformed`].
pub fn read_registered(data: &[u8]) -> Result<Registered<'_>, Malformed> {
    let rest = data.strip_prefix(&[0x05]).ok_or(Malformed)?;
    let (public_key, rest) = rest.split_at_checked(65).ok_or(Malformed)?;
    let (&length, rest) = rest.split_first().ok_or(Malformed)?;
    let (handle, rest) = rest.split_at_checked(usize::from(length)).ok_or(Malformed)?;
    let (certificate, signature) = der_sequence(rest).ok_or(Malformed)?;
    match der_sequence(signature) {
        Some((whole, [])) if whole.len() <= SIGNATURE_MAX && !handle.is_empty() => {
            Ok(Registered { public_key, handle, certificate, signature })
        }
        _ => Err(Malformed),
    }
}

/// Splits off a DER SEQUENCE of definite length in its shortest form, at most 2048 bytes with its header.
fn der_sequence(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, length) = match bytes {
        [0x30, length @ 0..=0x7f, ..] => (2, usize::from(*length)),
        [0x30, 0x81, length @ 0x80..=0xff, ..] => (3, usize::from(*length)),
        [0x30, 0x82, high @ 1..=0xff, low, ..] => {
            (4, usize::from(u16::from_be_bytes([*high, *low])))
        }
        _ => return None,
    };
    let whole = length.checked_add(header).filter(|&whole| whole <= CERTIFICATE_MAX)?;
    bytes.split_at_checked(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_request_then_its_length_is_extended_and_its_response_may_be_long() {
        let request = register(&[1; 32], "pam://fidokey");
        assert_eq!(&request[..7], [0, 1, 0, 0, 0, 0, 64]);
        assert_eq!(&request[71..], [0, 0]);
        let request = authenticate(Control::Sign, &[1; 32], "pam://fidokey", &[9; 64]).unwrap();
        assert_eq!(&request[..7], [0, 2, 3, 0, 0, 0, 129]);
        assert_eq!(request[71], 64);
        assert_eq!(authenticate(Control::CheckOnly, &[1; 32], "x", &[0; 256]), None);
    }

    fn registration(certificate: &[u8], signature: &[u8]) -> Vec<u8> {
        [&[5], &[4; 65][..], &[3, 7, 7, 7], certificate, signature].concat()
    }

    #[test]
    fn given_a_registration_then_its_parts_are_found() {
        for certificate in [
            [&[0x30, 0x02][..], &[0; 2]].concat(),
            [&[0x30, 0x81, 0x80][..], &[0; 0x80]].concat(),
            [&[0x30, 0x82, 0x07, 0xfc][..], &[0; 2044]].concat(),
        ] {
            let data = registration(&certificate, &[0x30, 0x01, 0]);
            let registered = read_registered(&data).unwrap();
            assert_eq!((registered.public_key, registered.handle), (&[4; 65][..], &[7; 3][..]));
        }
    }

    /// BAR C12: the U2F reply's own last byte; and certificates whose length is not what DER says.
    #[test]
    fn given_a_registration_with_odd_lengths_then_it_is_malformed() {
        let good = registration(&[0x30, 0x00], &[0x30, 0x01, 0]);
        assert!(read_registered(&good).is_ok());
        for length in 0..good.len() {
            assert!(read_registered(&good[..length]).is_err(), "{length}");
        }
        assert!(read_registered(&[&good[..], &[0]].concat()).is_err());
        for certificate in [
            &[0x30, 0x80, 0, 0][..],   // indefinite
            &[0x30, 0x81, 0x01, 0],    // longer than need be
            &[0x30, 0x82, 0x00, 0x80], // the same
            &[0x30, 0x83, 0, 0, 1, 0], // the same
            &[0x30, 0x82, 0x07, 0xfd], // 2049 bytes with its header
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x31, 0x00], // no SEQUENCE
        ] {
            let mut data = registration(certificate, &[]);
            data.extend_from_slice(&[0; 4000]);
            assert!(read_registered(&data).is_err(), "{certificate:02x?}");
        }
    }

    #[test]
    fn given_short_data_then_they_are_malformed() {
        for length in 0..13 {
            assert!(read_signed(&[1; 13][..length]).is_err(), "{length}");
        }
        assert!(read_signed(&[1; 13]).is_ok());
        assert!(matches!(data(&[0x90]), Err(Err(Malformed))));
        assert!(matches!(data(&[0x69, 0x85]), Err(Ok(StatusWord::CONDITIONS_NOT_SATISFIED))));
    }
}
