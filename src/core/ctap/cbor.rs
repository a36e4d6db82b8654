//! CBOR as CTAP uses it (CTAP 2.1 section 8): a bounded reader of hostile bytes and a writer in canonical
//! order.
//!
//! The reader refuses what no key sends and an attacker might: indefinite lengths, tags, floating point,
//! more than 4 levels, duplicate keys of a map, bytes left over. It tolerates, and says so, what real keys
//! do send: maps that are not sorted and integers that are not as short as they could be; and undefined, which is null.

/// Deepest nesting: getInfo's list of maps, attestation's map of lists and a map within a map have 3.
const DEPTH_MAX: u8 = 4;

/// An item that borrows from the bytes it was read from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value<'a> {
    /// A list.
    Array(Vec<Value<'a>>),
    /// True or false.
    Bool(bool),
    /// A byte string.
    Bytes(&'a [u8]),
    /// A map, in the order sent, its keys distinct.
    Map(Vec<(Value<'a>, Value<'a>)>),
    /// A negative integer.
    Negative(i64),
    /// Null or undefined.
    Null,
    /// A text string.
    Text(&'a str),
    /// An integer of zero or more.
    Unsigned(u64),
}

impl<'a> Value<'a> {
    /// The member of a map under an integer key; `None` for other values and absent members.
    #[must_use]
    pub fn member(&self, key: i64) -> Option<&Self> {
        let Self::Map(members) = self else { return None };
        members.iter().find(|(name, _)| name.integer() == Some(key)).map(|(_, value)| value)
    }

    /// The member of a map under a text key.
    #[must_use]
    pub fn named(&self, key: &str) -> Option<&Self> {
        let Self::Map(members) = self else { return None };
        members.iter().find(|(name, _)| *name == Value::Text(key)).map(|(_, value)| value)
    }

    /// A byte string's bytes.
    #[must_use]
    pub const fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// An integer that fits.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Unsigned(number) => i64::try_from(*number).ok(),
            Self::Negative(number) => Some(*number),
            _ => None,
        }
    }

    /// A text string's text.
    #[must_use]
    pub const fn text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An integer of zero or more.
    #[must_use]
    pub const fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(*number),
            _ => None,
        }
    }

    /// The items of a list.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }
}

/// Why bytes are not an item that we accept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CborError {
    /// The same key twice in a map.
    DuplicateKey,
    /// Bytes after the end of the item.
    LeftOver,
    /// More than 4 levels.
    TooDeep,
    /// The bytes end too early, or a length is more than there are bytes.
    Truncated,
    /// A text string that is not UTF-8.
    Utf8,
    /// A tag, a floating point number, an indefinite length, a reserved or unknown form, an integer below
    /// -2^63.
    Unaccepted,
}

/// An item, and whether its bytes were in canonical form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Read<'a> {
    /// The item.
    pub value: Value<'a>,
    /// Whether no map was unsorted, no integer longer than needed and no null undefined: that is tolerated, and worth a
    /// line in the log.
    pub canonical: bool,
}

/// Reads `bytes` as exactly one item.
///
/// # Errors
/// See [`CborError`].
pub fn read(bytes: &[u8]) -> Result<Read<'_>, CborError> {
    let (value, rest, canonical) = read_first(bytes)?;
    if rest.is_empty() { Ok(Read { value, canonical }) } else { Err(CborError::LeftOver) }
}

/// Reads the first item of `bytes`; returns it, the bytes after it and whether it was canonical.
///
/// # Errors
/// See [`CborError`].
pub fn read_first(bytes: &[u8]) -> Result<(Value<'_>, &[u8], bool), CborError> {
    let mut reader = Reader { rest: bytes, canonical: true };
    let value = reader.item(DEPTH_MAX)?;
    Ok((value, reader.rest, reader.canonical))
}

struct Reader<'a> {
    rest: &'a [u8],
    canonical: bool,
}

impl<'a> Reader<'a> {
    fn item(&mut self, levels: u8) -> Result<Value<'a>, CborError> {
        let (major, argument) = self.head()?;
        let inner = levels.checked_sub(1).ok_or(CborError::TooDeep);
        match major {
            0 => Ok(Value::Unsigned(argument)),
            1 => {
                let number = i64::try_from(argument).map_err(|_| CborError::Unaccepted)?;
                Ok(Value::Negative(!number))
            }
            2 => self.take(argument).map(Value::Bytes),
            3 => {
                let text = self.take(argument)?;
                std::str::from_utf8(text).map(Value::Text).map_err(|_| CborError::Utf8)
            }
            4 => {
                let inner = inner?;
                self.bound(argument)?;
                let mut items = Vec::with_capacity(reserve(argument));
                for _ in 0..argument {
                    items.push(self.item(inner)?);
                }
                Ok(Value::Array(items))
            }
            5 => {
                let inner = inner?;
                self.bound(argument)?;
                self.map(argument, inner)
            }
            7 => match argument {
                20 => Ok(Value::Bool(false)),
                21 => Ok(Value::Bool(true)),
                22 => Ok(Value::Null),
                23 => {
                    // One value, two texts: as keys of a map they are sorted, and still the same key.
                    self.canonical = false;
                    Ok(Value::Null)
                }
                _ => Err(CborError::Unaccepted),
            },
            _ => Err(CborError::Unaccepted),
        }
    }

    fn map(&mut self, count: u64, inner: u8) -> Result<Value<'a>, CborError> {
        let mut members: Vec<(Value<'a>, Value<'a>)> = Vec::with_capacity(reserve(count));
        let mut previous: &'a [u8] = &[];
        for _ in 0..count {
            let before = self.rest;
            let key = self.item(inner)?;
            let length = before.len().saturating_sub(self.rest.len());
            let encoded = before.get(..length).ok_or(CborError::Truncated)?;
            // CTAP's order: by major type, then shorter encodings first, then byte by byte.
            let rank =
                |bytes: &'a [u8]| (bytes.first().map(|first| first >> 5), bytes.len(), bytes);
            if rank(previous) >= rank(encoded) {
                self.canonical = false;
            }
            // Among canonical, sorted keys no two are equal; the search is for the others.
            if !self.canonical && members.iter().any(|(known, _)| *known == key) {
                return Err(CborError::DuplicateKey);
            }
            previous = encoded;
            members.push((key, self.item(inner)?));
        }
        Ok(Value::Map(members))
    }

    /// Major type and argument of the next item; lengths and simple values included.
    fn head(&mut self) -> Result<(u8, u64), CborError> {
        let (&first, rest) = self.rest.split_first().ok_or(CborError::Truncated)?;
        self.rest = rest;
        let (major, short) = (first >> 5, first & 0x1f);
        let (length, least) = match short {
            0..=23 => return Ok((major, u64::from(short))),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            _ => return Err(CborError::Unaccepted),
        };
        if major == 7 {
            // Simple values of two bytes, and floating point numbers.
            return Err(CborError::Unaccepted);
        }
        let argument =
            self.take(length)?.iter().fold(0u64, |sum, &byte| (sum << 8) | u64::from(byte));
        if argument < least {
            self.canonical = false;
        }
        Ok((major, argument))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], CborError> {
        let length = usize::try_from(length).map_err(|_| CborError::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A list or map of `count` entries needs as many bytes: refused before the first is read.
    fn bound(&self, count: u64) -> Result<(), CborError> {
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() => Ok(()),
            _ => Err(CborError::Truncated),
        }
    }
}

/// How many of `count` items to make room for: the length is the key's word, each item costs it a byte. Never
/// more than a list's first growth takes anyway, and no more than there are: thousands of lists of one item
/// must not have room for four each.
fn reserve(count: u64) -> usize {
    usize::try_from(count.min(4)).unwrap_or(0)
}

/// Writes items in canonical form. Members of maps must be written in CTAP's order by the caller; the
/// tests of the requests hold it to that.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A writer that begins with `first`, the command byte of a CTAP2 request.
    #[must_use]
    pub fn beginning_with(first: u8) -> Self {
        Self { bytes: vec![first] }
    }

    /// Everything written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The head of a list of `count` items.
    pub fn array(&mut self, count: usize) -> &mut Self {
        self.head(4, count)
    }

    /// True or false.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.bytes.push(if value { 0xf5 } else { 0xf4 });
        self
    }

    /// A byte string.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.head(2, value.len());
        self.bytes.extend_from_slice(value);
        self
    }

    /// An integer of an algorithm, a key of a map or a version: -256 to 65535 is all that CTAP needs.
    pub fn integer(&mut self, value: i16) -> &mut Self {
        match usize::try_from(value) {
            Ok(value) => self.head(0, value),
            Err(_) => self.head(1, usize::from((!value).unsigned_abs())),
        }
    }

    /// The head of a map of `count` members.
    pub fn map(&mut self, count: usize) -> &mut Self {
        self.head(5, count)
    }

    /// A text string.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.head(3, value.len());
        self.bytes.extend_from_slice(value.as_bytes());
        self
    }

    fn head(&mut self, major: u8, argument: usize) -> &mut Self {
        let major = major << 5;
        if let Ok(short @ 0..=23) = u8::try_from(argument) {
            self.bytes.push(major | short);
        } else if let Ok(byte) = u8::try_from(argument) {
            self.bytes.extend_from_slice(&[major | 24, byte]);
        } else if let Ok(number) = u16::try_from(argument) {
            self.bytes.push(major | 25);
            self.bytes.extend_from_slice(&number.to_be_bytes());
        } else {
            // No message is as long as four bytes can say.
            let number = u32::try_from(argument).unwrap_or(u32::MAX);
            self.bytes.push(major | 26);
            self.bytes.extend_from_slice(&number.to_be_bytes());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_what_keys_send_then_it_is_read() {
        let read = read(&[0xa3, 1, 0x61, b'x', 2, 0x82, 0xf5, 0x20, 3, 0x42, 7, 8]).unwrap();
        assert!(read.canonical);
        assert_eq!(read.value.member(1), Some(&Value::Text("x")));
        assert_eq!(read.value.member(2).unwrap().items().unwrap()[1].integer(), Some(-1));
        assert_eq!(read.value.member(3).unwrap().bytes(), Some(&[7, 8][..]));
    }

    /// BAR D9.
    #[test]
    fn given_hostile_cbor_then_it_is_refused() {
        use CborError::*;
        for (bytes, error) in [
            (&[0x81, 0x81, 0x81, 0x81, 0x81, 0x00][..], TooDeep),
            (&[0xc0, 0x00], Unaccepted),             // a tag
            (&[0x9f, 0x00, 0xff], Unaccepted),       // indefinite length
            (&[0x5f, 0x41, 0x00, 0xff], Unaccepted), // the same of bytes
            (&[0xf9, 0x3c, 0x00], Unaccepted),       // half precision
            (&[0xfa, 0, 0, 0, 0], Unaccepted),
            (&[0xfb, 0, 0, 0, 0, 0, 0, 0, 0], Unaccepted),
            (&[0xf8, 0x20], Unaccepted),
            (&[0xf0], Unaccepted),
            (&[0x1c], Unaccepted),
            (&[0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Unaccepted),
            (&[0xa2, 1, 1, 1, 2], DuplicateKey),
            (&[0xa2, 0x18, 1, 1, 1, 2], DuplicateKey), // the same key, longer
            (&[0xa3, 2, 1, 1, 1, 2, 1], DuplicateKey), // unsorted
            (&[0xa2, 0xf6, 1, 0xf7, 2], DuplicateKey), // null and undefined
            (&[0x00, 0x00], LeftOver),
            (&[0x61, 0xff], Utf8),
            (&[], Truncated),
            (&[0x18], Truncated),
            (&[0x42, 0x00], Truncated),
            (&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Truncated),
            (&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Truncated),
            (&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Truncated),
        ] {
            assert_eq!(read(bytes), Err(error), "{bytes:02x?}");
        }
    }

    /// BAR D9: what GoTrust, Nitrokey FIDO2 and Solo keys send.
    #[test]
    fn given_unsorted_or_long_integers_then_they_are_read_and_told() {
        for bytes in [&[0xa2, 2, 1, 1, 1][..], &[0x18, 1], &[0x19, 0, 200], &[0x1a, 0, 0, 1, 0]] {
            assert!(!read(bytes).unwrap().canonical, "{bytes:02x?}");
        }
    }

    /// BAR D9, D6: whatever 7609 bytes say, memory and stack stay bounded.
    #[test]
    fn given_a_message_of_nothing_but_heads_then_reading_ends() {
        for byte in 0..=u8::MAX {
            let _ = read(&[byte; 7609]);
            let mut list = vec![0x99, 0x1d, 0xb6];
            list.resize(7609, byte);
            let _ = read(&list);
        }
    }

    #[test]
    fn given_any_length_then_what_is_written_is_canonical() {
        for length in [0, 23, 24, 255, 256, 65535, 65536] {
            let mut writer = Writer::default();
            writer.bytes(&vec![1; length]);
            let bytes = writer.into_bytes();
            let read = read(&bytes).unwrap();
            assert!(read.canonical);
            assert_eq!(read.value.bytes().unwrap().len(), length);
        }
        for number in [-257, -256, -25, -24, -8, -7, -1, 0, 23, 24, 255, 256, i16::MAX] {
            let mut writer = Writer::default();
            writer.integer(number);
            let bytes = writer.into_bytes();
            assert_eq!(read(&bytes).unwrap().value.integer(), Some(number.into()));
            assert!(read(&bytes).unwrap().canonical);
        }
    }
}
