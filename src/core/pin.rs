//! A PIN as a key wants it, from what a person has typed.
//!
//! At a login nothing of it is kept but the half of its hash that the key is sent, and that is wiped too. A key that is
//! given a new PIN is sent the whole.

use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::{Zeroize as _, Zeroizing};

/// The fewest characters (CTAP 2.1 section 6.5.1), counted as code points after normalization.
pub const PIN_MIN: usize = 4;
/// The most bytes.
pub const PIN_MAX: usize = 63;

/// The most bytes that are looked at: no form of a PIN has more than three times those of its shortest.
const TYPED_MAX: usize = 3 * PIN_MAX;

/// The length to which a new PIN is filled up with zeros before it is encrypted, in bytes (CTAP 2.1 section 6.5.5.5).
const PADDED: usize = 64;

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
        let mut pin = Normalized::default();
        pin.fill(typed).ok_or(NoPin::Unfit)?;
        Ok(pin.hash())
    }

    /// The 16 bytes.
    pub(crate) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A PIN that is needed as it is: to be set, or by what else talks to the key. Wiped when it is dropped, and never
/// moved in between.
pub struct Pin(Box<Normalized>);

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pin(..)")
    }
}

impl Pin {
    /// Takes `typed` as a PIN, in the form (NFC) that [`PinHash::of`] hashes.
    ///
    /// # Errors
    /// [`NoPin`].
    pub fn of(typed: &[u8]) -> Result<Self, NoPin> {
        if typed.is_empty() {
            return Err(NoPin::Declined);
        }
        let mut pin = Box::<Normalized>::default();
        pin.fill(typed).ok_or(NoPin::Unfit)?;
        Ok(Self(pin))
    }

    /// The PIN: 4 to 63 bytes of UTF-8.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// Its characters, counted as keys count them: code points.
    #[must_use]
    pub fn characters(&self) -> usize {
        self.0.count
    }

    /// What proves to a key that one knows it.
    #[must_use]
    pub fn hash(&self) -> PinHash {
        self.0.hash()
    }

    /// What a key is sent, encrypted, to have it from now on.
    pub(crate) fn padded(&self) -> Zeroizing<[u8; PADDED]> {
        let mut padded = Zeroizing::new([0; PADDED]);
        for (place, byte) in padded.iter_mut().zip(self.bytes()) {
            *place = *byte;
        }
        padded
    }
}

/// The one buffer that the PIN is put into.
struct Normalized {
    buffer: [u8; PIN_MAX],
    length: usize,
    count: usize,
}

impl Default for Normalized {
    fn default() -> Self {
        Self { buffer: [0; PIN_MAX], length: 0, count: 0 }
    }
}

impl Normalized {
    fn hash(&self) -> PinHash {
        let mut digest = Zeroizing::new([0; 32]);
        Sha256::new_with_prefix(self.bytes()).finalize_into((&mut *digest).into());
        let mut half = Zeroizing::new([0; 16]);
        for (place, byte) in half.iter_mut().zip(digest.iter()) {
            *place = *byte;
        }
        PinHash(half)
    }

    /// In place: what is moved leaves a copy behind.
    fn fill(&mut self, typed: &[u8]) -> Option<()> {
        if typed.len() > TYPED_MAX {
            return None;
        }
        let typed = str::from_utf8(typed).ok()?;
        // Most PINs are digits, of which normalization would only make more copies.
        if typed.is_ascii() {
            for byte in typed.bytes() {
                self.push(&[byte])?;
                self.count = self.count.saturating_add(1);
            }
        } else {
            for character in typed.nfc() {
                let mut encoded = Zeroizing::new([0; 4]);
                self.push(character.encode_utf8(&mut *encoded).as_bytes())?;
                self.count = self.count.saturating_add(1);
            }
        }
        (self.count >= PIN_MIN).then_some(())
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
    fn given_a_pin_that_is_kept_then_it_is_in_its_one_form_and_filled_up() {
        let pin = Pin::of("cafe\u{301}".as_bytes()).unwrap();
        assert_eq!(pin.bytes(), "caf\u{e9}".as_bytes());
        assert_eq!(pin.characters(), 4);
        assert_eq!(pin.padded()[..6], *b"caf\xc3\xa9\0");
        assert_eq!(pin.hash().bytes(), PinHash::of("caf\u{e9}".as_bytes()).unwrap().bytes());
        assert_eq!(Pin::of(&[b'1'; 63]).unwrap().padded()[62..], *b"1\0");
        assert_eq!(Pin::of(&[b'1'; 64]).unwrap_err(), NoPin::Unfit);
        assert_eq!(format!("{pin:?}"), "Pin(..)");
    }

    #[test]
    fn it_is_the_left_half_of_the_sha_256() {
        assert_eq!(hash("1234").unwrap()[..4], [0x03, 0xac, 0x67, 0x42]);
        assert_eq!(format!("{:?}", PinHash::of(b"1234").unwrap()), "PinHash(..)");
    }
}
