//! A PIN as a key wants it, from what a person has typed.
//!
//! Nothing of it is kept but the half of its hash that the key is sent, and that is wiped too.

use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::{Zeroize as _, Zeroizing};

/// The fewest characters (CTAP 2.1 section 6.5.1), counted as code points after normalization.
pub const PIN_MIN: usize = 4;
/// The most bytes.
pub const PIN_MAX: usize = 63;

/// The most bytes that are looked at: no form of a PIN has more than three times those of its shortest.
const TYPED_MAX: usize = 3 * PIN_MAX;

/// What the key is sent, encrypted: the left 16 bytes of the SHA-256 of the PIN (CTAP 2.1 section 6.5.5.7).
pub struct PinHash(Zeroizing<[u8; 16]>);

impl std::fmt::Debug for PinHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PinHash(..)")
    }
}

/// Why what was typed is no PIN. No try is spent on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoPin {
    /// Nothing was typed, which means no.
    Declined,
    /// No key takes this: it has fewer than 4 characters or more than 63 bytes, or is not UTF-8.
    Unfit,
}

impl PinHash {
    /// Takes `typed` as a PIN; in whatever way a keyboard has put its characters together, it is the same one (NFC).
    ///
    /// # Errors
    /// [`NoPin`].
    pub fn of(typed: &[u8]) -> Result<Self, NoPin> {
        if typed.is_empty() {
            return Err(NoPin::Declined);
        }
        let mut pin = Normalized { buffer: [0; PIN_MAX], length: 0 };
        pin.fill(typed).ok_or(NoPin::Unfit)?;
        let mut digest = Zeroizing::new([0; 32]);
        Sha256::new_with_prefix(pin.bytes()).finalize_into((&mut *digest).into());
        let mut half = Zeroizing::new([0; 16]);
        half.copy_from_slice(digest.first_chunk::<16>().ok_or(NoPin::Unfit)?);
        Ok(Self(half))
    }

    /// The 16 bytes.
    pub(crate) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The one buffer that the PIN is put into.
struct Normalized {
    buffer: [u8; PIN_MAX],
    length: usize,
}

impl Normalized {
    /// In place: what is moved leaves a copy behind.
    fn fill(&mut self, typed: &[u8]) -> Option<()> {
        if typed.len() > TYPED_MAX {
            return None;
        }
        let typed = str::from_utf8(typed).ok()?;
        let mut count = 0_usize;
        // Most PINs are digits, of which normalization would only make more copies.
        if typed.is_ascii() {
            for byte in typed.bytes() {
                self.push(&[byte])?;
                count = count.saturating_add(1);
            }
        } else {
            for character in typed.nfc() {
                let mut encoded = Zeroizing::new([0; 4]);
                self.push(character.encode_utf8(&mut *encoded).as_bytes())?;
                count = count.saturating_add(1);
            }
        }
        (count >= PIN_MIN).then_some(())
    }

    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.length.checked_add(bytes.len())?;
        self.buffer.get_mut(self.length..end)?.copy_from_slice(bytes);
        self.length = end;
        Some(())
    }

    fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Normalized {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(typed: &str) -> Result<[u8; 16], NoPin> {
        PinHash::of(typed.as_bytes()).map(|hash| *hash.bytes())
    }

    // P2.
    #[test]
    fn given_too_few_or_too_many_characters_then_it_is_no_pin() {
        assert_eq!(hash(""), Err(NoPin::Declined));
        for unfit in ["1", "123", "äöü", "€€€"] {
            assert_eq!(hash(unfit), Err(NoPin::Unfit), "{unfit}");
        }
        for (character, most) in [("1", 63), ("é", 31), ("€", 21), ("🔑", 15)] {
            assert!(hash(&character.repeat(4)).is_ok(), "{character}");
            assert!(hash(&character.repeat(most)).is_ok(), "{character}");
            assert_eq!(hash(&character.repeat(most + 1)), Err(NoPin::Unfit), "{character}");
        }
        assert_eq!(hash(&"1".repeat(1 << 20)), Err(NoPin::Unfit));
        assert_eq!(PinHash::of(b"12\xff456").unwrap_err(), NoPin::Unfit);
    }

    // P9. The composed form, the decomposed one, and one whose marks are in another order.
    #[test]
    fn given_another_way_to_write_the_same_characters_then_it_is_the_same_pin() {
        assert_eq!(hash("caf\u{e9}"), hash("cafe\u{301}"));
        assert_eq!(hash("abq\u{307}\u{323}"), hash("abq\u{323}\u{307}"));
        assert_eq!(hash("\u{212b}ngstr\u{f6}m"), hash("A\u{30a}ngstro\u{308}m"));
        assert_ne!(hash("cafe"), hash("caf\u{e9}"));
        // Three characters, though six code points were typed.
        assert_eq!(hash("e\u{301}e\u{301}e\u{301}"), Err(NoPin::Unfit));
        assert!(hash("e\u{301}e\u{301}e\u{301}e\u{301}").is_ok());
    }

    #[test]
    fn it_is_the_left_half_of_the_sha_256() {
        assert_eq!(hash("1234").unwrap()[..4], [0x03, 0xac, 0x67, 0x42]);
        assert_eq!(format!("{:?}", PinHash::of(b"1234").unwrap()), "PinHash(..)");
    }
}
