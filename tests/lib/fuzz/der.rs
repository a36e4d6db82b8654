//! Signatures: what is taken as one is strict DER in its one form, and what verifies is what was signed.

use std::sync::LazyLock;

use fidokey_core::assertion::PublicKey;
use fidokey_core::credential::Algorithm;
use p256::ecdsa::Signature;

use super::assertion::secrets;

/// What the two keys of [`secrets`] have signed.
pub const MESSAGE: &[u8] = b"what was signed";

/// The order of P-256's group, big-endian.
const ORDER: [u8; 32] = *b"\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";

type Known = [(PublicKey, Vec<u8>); 2];
static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    secrets().map(|secret| {
        let key = PublicKey::new(secret.algorithm, &secret.public_key()).unwrap();
        let signature = secret.sign(MESSAGE);
        (key, signature)
    })
});

/// `bytes` are a signature.
pub fn run(bytes: &[u8]) {
    let strict = strict(bytes);
    let theirs = Signature::from_der(bytes);
    assert_eq!(theirs.is_ok(), strict.is_some(), "{bytes:02x?}");
    if let Ok(signature) = theirs {
        assert_eq!(signature.to_der().as_bytes(), bytes);
        assert!(bytes.len() <= 72);
    }
    for (key, known) in &*KNOWN {
        let verified = key.verifies(MESSAGE, bytes);
        let is_known = match key.algorithm() {
            Algorithm::Es256 => {
                let (r, s) = self::strict(known).unwrap();
                strict == Some((r, s)) || strict == Some((r, negated(&s)))
            }
            Algorithm::EdDsa => bytes == known,
        };
        assert_eq!(verified, is_known, "{bytes:02x?}");
        assert!(!key.verifies(b"another message", bytes));
    }
}

/// `SEQUENCE { r INTEGER, s INTEGER }` in DER, with both from 1 to the order of the group, which is not allowed itself.
fn strict(bytes: &[u8]) -> Option<([u8; 32], [u8; 32])> {
    let [0x30, length, rest @ ..] = bytes else { return None };
    if usize::from(*length) != rest.len() || rest.len() > 0x7f {
        return None;
    }
    let (r, rest) = integer(rest)?;
    let (s, rest) = integer(rest)?;
    rest.is_empty().then_some((r, s))
}

fn integer(bytes: &[u8]) -> Option<([u8; 32], &[u8])> {
    let [0x02, length, rest @ ..] = bytes else { return None };
    let (digits, rest) = rest.split_at_checked((*length).into())?;
    let digits = match digits {
        [0, next, ..] if *next >= 0x80 => &digits[1..],
        [1..=0x7f, ..] => digits,
        _ => return None,
    };
    let mut number = [0; 32];
    number[32_usize.checked_sub(digits.len())?..].copy_from_slice(digits);
    (number < ORDER).then_some((number, rest))
}

/// The other value of `s` that makes the same signature.
fn negated(s: &[u8; 32]) -> [u8; 32] {
    let mut borrowed = false;
    let mut difference = ORDER;
    for (digit, less) in difference.iter_mut().zip(s).rev() {
        let (first, one) = digit.overflowing_sub(*less);
        let (second, two) = first.overflowing_sub(u8::from(borrowed));
        (*digit, borrowed) = (second, one || two);
    }
    difference
}
