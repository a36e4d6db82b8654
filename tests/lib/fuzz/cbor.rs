//! The reader of CBOR. What it takes is written again by a writer of this file's own, and must be read as the same.

use std::collections::HashSet;

use fidokey_core::ctap::cbor::{self, CborError, Value};

/// `bytes` are an item, or not, with something after it.
pub fn run(bytes: &[u8]) {
    let whole = cbor::read(bytes);
    let (value, rest, canonical) = match cbor::read_first(bytes) {
        Ok(first) => first,
        Err(error) => return assert_eq!(whole, Err(error)),
    };
    let item = &bytes[..bytes.len() - rest.len()];
    assert!(bytes.ends_with(rest) && !item.is_empty());
    match whole {
        Ok(read) => assert!(rest.is_empty() && read.value == value && read.canonical == canonical),
        Err(error) => assert!(!rest.is_empty() && error == CborError::LeftOver),
    }
    check(&value, 4);
    let as_sent = written(&value, false);
    assert_eq!(cbor::read(&as_sent).map(|read| read.value), Ok(value.clone()));
    // What is in canonical form has one text, and whatever has that text is.
    let sorted = written(&value, true);
    match cbor::read(&sorted) {
        Ok(read) => assert!(read.canonical),
        // Of keys that are maps themselves two may differ in their order alone; nothing is looked up by such a key.
        Err(error) => assert!(error == CborError::DuplicateKey && !canonical),
    }
    assert_eq!(canonical, sorted == item);
}

/// No more than so many levels, and no key twice.
fn check(value: &Value<'_>, levels: u8) {
    match value {
        Value::Array(items) => {
            assert!(levels > 0);
            items.iter().for_each(|item| check(item, levels - 1));
        }
        Value::Map(members) => {
            assert!(levels > 0);
            let mut keys = HashSet::new();
            for (key, member) in members {
                assert!(keys.insert(written(key, false)), "twice: {key:?}");
                check(key, levels - 1);
                check(member, levels - 1);
            }
        }
        _ => {}
    }
}

/// An item in the fewest bytes, its maps in the order they have or in CTAP's.
fn written(value: &Value<'_>, sorted: bool) -> Vec<u8> {
    match value {
        Value::Array(items) => {
            let items = items.iter().flat_map(|item| written(item, sorted));
            head(4, value.items().unwrap().len() as u64).into_iter().chain(items).collect()
        }
        Value::Bool(value) => vec![if *value { 0xf5 } else { 0xf4 }],
        Value::Bytes(bytes) => [&head(2, bytes.len() as u64)[..], bytes].concat(),
        Value::Map(members) => {
            let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = members
                .iter()
                .map(|(key, member)| (written(key, sorted), written(member, sorted)))
                .collect();
            if sorted {
                pairs.sort_by_key(|(key, _)| (key[0] >> 5, key.len(), key.clone()));
            }
            let pairs = pairs.into_iter().flat_map(|(key, member)| [key, member].concat());
            head(5, members.len() as u64).into_iter().chain(pairs).collect()
        }
        Value::Negative(number) => head(1, number.wrapping_neg().wrapping_sub(1) as u64),
        Value::Null => vec![0xf6],
        Value::Text(text) => [&head(3, text.len() as u64)[..], text.as_bytes()].concat(),
        Value::Unsigned(number) => head(0, *number),
    }
}

fn head(major: u8, argument: u64) -> Vec<u8> {
    let bytes = argument.to_be_bytes();
    let (short, length) = match argument {
        0..=23 => return vec![major << 5 | bytes[7]],
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    [&[major << 5 | short], &bytes[8 - length..]].concat()
}
