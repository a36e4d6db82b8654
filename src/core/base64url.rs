//! Base64 with the URL alphabet and without padding (RFC 4648 section 5), as records write bytes.
//!
//! Strict both ways: one text for every value, so that two texts never name the same credential.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The text of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for chunk in bytes.chunks(3) {
        let group = match *chunk {
            [a] => u32::from_be_bytes([0, a, 0, 0]),
            [a, b] => u32::from_be_bytes([0, a, b, 0]),
            [a, b, c] => u32::from_be_bytes([0, a, b, c]),
            _ => continue,
        };
        for shift in [18u32, 12, 6, 0].into_iter().take(chunk.len().saturating_add(1)) {
            let index = usize::try_from((group >> shift) & 63).unwrap_or(0);
            text.push(char::from(*ALPHABET.get(index).unwrap_or(&b'A')));
        }
    }
    text
}

/// The bytes of `text`, or `None` when it is not the one text of any value: foreign characters, padding,
/// a length of 1 more than a multiple of 4, or bits left over that are not zero.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len().saturating_mul(3) / 4);
    for chunk in text.as_bytes().chunks(4) {
        let mut group = 0u32;
        for &character in chunk {
            group = (group << 6) | u32::from(value(character)?);
        }
        let (spare, left_over) = match chunk.len() {
            4 => (0u32, 0),
            3 => (2, 0b11),
            2 => (4, 0b1111),
            _ => return None,
        };
        if group & left_over != 0 {
            return None;
        }
        // A text of n characters holds n - 1 whole bytes: the last ones of the four.
        let big_endian = (group >> spare).to_be_bytes();
        bytes.extend_from_slice(big_endian.get(5usize.checked_sub(chunk.len())?..)?);
    }
    Some(bytes)
}

/// Where `character` stands in [`ALPHABET`]. By range and not by search: a record of 64 credentials has 30,000 of them.
const fn value(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character.wrapping_sub(b'A')),
        b'a'..=b'z' => Some(character.wrapping_sub(b'a').wrapping_add(26)),
        b'0'..=b'9' => Some(character.wrapping_sub(b'0').wrapping_add(52)),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_the_vectors_of_rfc_4648_then_both_ways_agree() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"fooba", "Zm9vYmE"),
            (b"foobar", "Zm9vYmFy"),
            (&[0xfb, 0xff, 0xfe], "-__-"),
        ] {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn given_any_byte_then_it_is_a_character_of_the_alphabet_in_its_place_or_none() {
        for byte in 0..=255 {
            let place = ALPHABET.iter().position(|&known| known == byte);
            assert_eq!(value(byte).map(usize::from), place, "{byte}");
        }
    }

    #[test]
    fn given_another_text_for_the_same_bytes_then_it_is_refused() {
        for text in ["Zh", "Zm9", "Zg==", "Z", "Zm8 ", "+//+", "Zm9v\n"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
