//! All that a key says of itself, for a person to read and for what is done to the key itself (CTAP 2.1 section 6.4).
//! What a login and a registration need of it is [`super::ctap2::Info`].

use super::cbor::{self, Value};
use super::ctap2::Malformed;

/// What a key says of itself. Its texts are the key's: whoever shows them makes them printable.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Description {
    /// The model; `None` where it says none.
    pub aaguid: Option<[u8; 16]>,
    /// Its algorithms, by their numbers of COSE.
    pub algorithms: Vec<i64>,
    /// The extensions that it knows.
    pub extensions: Vec<String>,
    /// The number of its firmware.
    pub firmware: Option<u64>,
    /// Whether a reset takes a touch of several seconds.
    pub long_touch_for_reset: bool,
    /// The fewest characters of a new PIN, where it says so.
    pub min_pin_length: Option<u64>,
    /// What it can do, and whether it does it now.
    pub options: Vec<(String, bool)>,
    /// How many more credentials it has room for, where it says so.
    pub room: Option<u64>,
    /// The versions of the protocols that it speaks.
    pub versions: Vec<String>,
}

impl Description {
    /// What it says of this option; `None` where it says nothing.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<bool> {
        self.options.iter().find(|(option, _)| option == name).map(|(_, said)| *said)
    }
}

/// Reads the CBOR of a getInfo response. What is absent or of another type is as good as not said; no list is longer
/// than the message.
///
/// # Errors
/// [`Malformed`]: no map.
pub fn read_description(payload: &[u8]) -> Result<Description, Malformed> {
    let read = cbor::read(payload).map_err(|_| Malformed)?;
    let map = match &read.value {
        map @ Value::Map(_) => map,
        _ => return Err(Malformed),
    };
    let texts = |key: i64| -> Vec<String> {
        let items = map.member(key).and_then(Value::items).unwrap_or_default();
        items.iter().filter_map(Value::text).map(str::to_owned).collect()
    };
    let number = |key: i64| map.member(key).and_then(Value::unsigned);
    let options = match map.member(4) {
        Some(Value::Map(options)) => options
            .iter()
            .filter_map(|(name, said)| match said {
                Value::Bool(said) => Some((name.text()?.to_owned(), *said)),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    let algorithms = map.member(10).and_then(Value::items).unwrap_or_default();
    Ok(Description {
        aaguid: map.member(3).and_then(Value::bytes).and_then(|bytes| bytes.try_into().ok()),
        algorithms: algorithms
            .iter()
            .filter_map(|entry| entry.named("alg").and_then(Value::integer))
            .collect(),
        extensions: texts(2),
        firmware: number(14),
        long_touch_for_reset: map.member(0x18) == Some(&Value::Bool(true)),
        min_pin_length: number(13),
        options,
        room: number(0x14),
        versions: texts(1),
    })
}

#[cfg(test)]
mod tests {
    use super::super::cbor::Writer;
    use super::*;

    #[test]
    fn given_what_a_key_says_then_it_is_read() {
        let mut info = Writer::default();
        info.map(8).integer(1).array(2).text("FIDO_2_1").text("U2F_V2");
        info.integer(2).array(1).text("credProtect");
        info.integer(3).bytes(&[7; 16]);
        info.integer(4).map(2).text("rk").bool(true).text("clientPin").bool(false);
        info.integer(10).array(1).map(2).text("alg").integer(-7).text("type").text("public-key");
        info.integer(13).integer(6).integer(14).integer(300).integer(0x14).integer(25);
        let description = read_description(&info.into_bytes()).unwrap();
        assert_eq!(description.versions, ["FIDO_2_1", "U2F_V2"]);
        assert_eq!(description.extensions, ["credProtect"]);
        assert_eq!(description.aaguid, Some([7; 16]));
        assert_eq!(description.option("clientPin"), Some(false));
        assert_eq!(description.option("uv"), None);
        assert_eq!(description.algorithms, [-7]);
        assert_eq!(
            (description.min_pin_length, description.firmware, description.room),
            (Some(6), Some(300), Some(25))
        );
        assert!(!description.long_touch_for_reset);
    }

    #[test]
    fn given_members_of_other_types_then_they_are_as_good_as_not_said() {
        let mut info = Writer::default();
        info.map(5).integer(1).text("FIDO_2_1").integer(3).bytes(&[7; 15]);
        info.integer(4).map(1).integer(1).bool(true).integer(13).text("4").integer(0x18).integer(1);
        assert_eq!(read_description(&info.into_bytes()), Ok(Description::default()));
        for payload in [&[0x80][..], &[], &[0xa1, 1], &[0x00]] {
            assert_eq!(read_description(payload), Err(Malformed), "{payload:02x?}");
        }
    }
}
