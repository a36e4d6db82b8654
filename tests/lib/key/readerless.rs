//! A key without a fingerprint reader: `OpenSK` is built with one for all keys or for none, so it is not told of.

use fidokey_core::ctap::cbor::{Value, Writer, read_first};
use fidokey_core::ctap::frame::{Packet, command, parse, reports};

use super::packet::Report;

/// The request, which has no parameters.
const GET_INFO: u8 = 0x04;
/// Where the answer to getInfo has its options (CTAP 2.1 section 6.4).
const OPTIONS: Value<'_> = Value::Unsigned(0x04);
/// What a key without a reader does not say there: preferredPlatformUvAttempts, uvModality and two of its options.
const OF_A_READER: [Value<'_>; 4] =
    [Value::Unsigned(0x11), Value::Unsigned(0x12), Value::Text("uv"), Value::Text("bioEnroll")];

/// Whether this is a request for getInfo, which fits into one report.
pub(super) fn is_get_info(report: &Report) -> bool {
    matches!(
        parse(report),
        (_, Packet::Initialization { command: command::CBOR, length: 1, data: [GET_INFO, ..] })
    )
}

/// The answer to getInfo as a key without a reader gives it; anything else as it is.
pub(super) fn without_reader(replies: Vec<Report>) -> Vec<Report> {
    silenced(&replies).unwrap_or(replies)
}

fn silenced(replies: &[Report]) -> Option<Vec<Report>> {
    let (first, rest) = replies.split_first()?;
    let (channel, Packet::Initialization { command: command::CBOR, length, data }) = parse(first)
    else {
        return None;
    };
    let mut message = data.to_vec();
    for report in rest {
        let (_, Packet::Continuation { data, .. }) = parse(report) else { return None };
        message.extend_from_slice(data);
    }
    let (0, info) = message.get(..length)?.split_first().map(|(status, info)| (*status, info))?
    else {
        return None;
    };
    let message = [&[0], without(info)?.as_slice()].concat();
    reports(channel, command::CBOR, &message)
}

/// A map without these members, its options as well; the others as they were written.
fn without(map: &[u8]) -> Option<Vec<u8>> {
    let (head, mut rest) = map.split_first()?;
    // Its head is one byte for up to 23 members, and getInfo of `OpenSK` has fewer.
    let count = head.checked_sub(0xa0).filter(|count| *count < 24)?;
    let mut kept = Vec::new();
    for _ in 0..count {
        let (key, value, _) = read_first(rest).ok()?;
        let (_, next, _) = read_first(value).ok()?;
        let (name, value) = (&rest[..rest.len() - value.len()], &value[..value.len() - next.len()]);
        if key == OPTIONS {
            kept.push([name, &without(value)?].concat());
        } else if !OF_A_READER.contains(&key) {
            kept.push([name, value].concat());
        }
        rest = next;
    }
    let mut map = Writer::default();
    map.map(kept.len());
    Some([map.into_bytes(), kept.concat()].concat())
}
