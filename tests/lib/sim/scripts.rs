//! What hostile keys answer, and keys that are right until the n-th message and hostile from then on.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::device::{Message, Outbox, frames, padded};
use super::softkey::{Instead, keepalive};

/// A hostile answer to any message.
pub type Hostile = fn(&Message, &mut Outbox);

/// Hostile from the `from`-th message on (0 is the first after INIT): CTAPHID_CANCEL does not count.
pub fn hostile_from(from: u32, hostile: Hostile) -> Instead {
    let heard = Cell::new(0);
    Rc::new(move |message, outbox| {
        if message.command == 0x11 {
            return heard.get() > from;
        }
        let now = heard.get();
        heard.set(now + 1);
        if now >= from {
            hostile(message, outbox);
        }
        now >= from
    })
}

fn begins(message: &Message, length: u16) -> [u8; 64] {
    let head = [message.command | 0x80];
    padded(&[&message.channel[..], &head, &length.to_be_bytes()].concat())
}

fn continues(message: &Message, sequence: u8) -> [u8; 64] {
    padded(&[&message.channel[..], &[sequence]].concat())
}

fn send(outbox: &mut Outbox, reports: &[[u8; 64]]) {
    for report in reports {
        outbox.raw(Duration::ZERO, *report);
    }
}

/// A response of 7609 bytes: success, then `cbor`, then this pattern again and again.
fn full(message: &Message, outbox: &mut Outbox, cbor: &[u8], pattern: &[u8]) {
    let mut response = vec![0];
    response.extend_from_slice(cbor);
    response.extend(pattern.iter().cycle().take(7609 - response.len()));
    outbox.message(Duration::ZERO, message.channel, message.command, &response);
}

/// A list that fills the longest message to its last byte: `count` times `item`, and zeros.
fn list(message: &Message, outbox: &mut Outbox, prefix: &[u8], item: &[u8]) {
    let room = 7609 - 1 - prefix.len() - 3;
    let (whole, rest) = (room / item.len(), room % item.len());
    let count = u16::try_from(whole + rest).unwrap().to_be_bytes();
    let mut response = [&[0][..], prefix, &[0x99], &count].concat();
    response.extend_from_slice(&item.repeat(whole));
    response.extend(std::iter::repeat_n(0, rest));
    assert_eq!(response.len(), 7609);
    outbox.message(Duration::ZERO, message.channel, message.command, &response);
}

/// {1: "packed", 2: one byte, 3: {"x": …}}: a registration whose statement follows.
const REGISTRATION: &[u8] = b"\xa3\x01\x66packed\x02\x41\x00\x03\xa1\x61x";
/// {1: …}: getInfo's versions follow.
const INFO: &[u8] = b"\xa1\x01";

/// What hostile keys answer, by name.
pub const SCRIPTS: &[(&str, Hostile)] = &[
    ("silence", |_, _| {}),
    ("keepalives for ever", |m, o| o.repeat(Duration::from_millis(100), keepalive(m.channel))),
    ("a keepalive every millisecond", |m, o| {
        o.repeat(Duration::from_millis(1), keepalive(m.channel));
    }),
    ("keepalives of no known state", |m, o| {
        o.repeat(Duration::from_millis(100), frames(m.channel, 0x3b, &[0xff]).remove(0));
    }),
    ("a hundred thousand foreign frames", |_, o| {
        o.repeat(Duration::from_micros(30), frames([0, 0, 0, 8], 0x10, &[0; 3]).remove(0));
    }),
    ("frames on the broadcast channel", |_, o| {
        o.repeat(Duration::from_millis(1), frames([0xff; 4], 0x06, &[0; 17]).remove(0));
    }),
    ("continuations of nothing for ever", |m, o| {
        o.repeat(Duration::from_millis(1), continues(m, 0));
    }),
    ("one report per 1.9 s", |m, o| {
        for report in frames(m.channel, m.command, &[0; 7609]) {
            o.raw(Duration::from_millis(1900), report);
        }
    }),
    ("half a message", |m, o| send(o, &[begins(m, 200), continues(m, 0)])),
    ("a length of 0", |m, o| send(o, &[begins(m, 0)])),
    ("a length of 7610", |m, o| send(o, &[begins(m, 7610)])),
    ("a length of 65535", |m, o| send(o, &[begins(m, 65535)])),
    ("wrong sequence", |m, o| send(o, &[begins(m, 200), continues(m, 1)])),
    ("repeated sequence", |m, o| send(o, &[begins(m, 200), continues(m, 0), continues(m, 0)])),
    ("missing sequence", |m, o| send(o, &[begins(m, 200), continues(m, 0), continues(m, 2)])),
    ("a beginning in the middle", |m, o| send(o, &[begins(m, 200), begins(m, 200)])),
    ("a continuation of nothing", |m, o| send(o, &[continues(m, 0)])),
    ("another command", |m, o| o.message(Duration::ZERO, m.channel, 0x01, &[0; 20])),
    ("busy for ever", |m, o| o.message(Duration::ZERO, m.channel, 0x3f, &[0x06])),
    ("an error of no bytes", |m, o| o.message(Duration::ZERO, m.channel, 0x3f, &[])),
    ("one byte of success", |m, o| o.message(Duration::ZERO, m.channel, m.command, &[0])),
    ("7609 zeros", |m, o| o.message(Duration::ZERO, m.channel, m.command, &[0; 7609])),
    ("7609 times ff", |m, o| o.message(Duration::ZERO, m.channel, m.command, &[0xff; 7609])),
    ("a list of 2^64-1", |m, o| full(m, o, &[0x9b], &[0xff])),
    ("a map of 2^63", |m, o| full(m, o, &[0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0], &[0])),
    ("a byte string of 2^64-1", |m, o| full(m, o, &[0x5b], &[0xff])),
    ("tags", |m, o| full(m, o, &[], &[0xc0])),
    ("lists 7600 deep", |m, o| full(m, o, &[], &[0x81])),
    ("an indefinite list", |m, o| full(m, o, &[0x9f], &[0])),
    ("a list of numbers", |m, o| list(m, o, &[], &[0])),
    ("a list of lists of one", |m, o| list(m, o, &[], &[0x81, 0])),
    ("a list of maps of one", |m, o| list(m, o, &[], &[0xa1, 0, 0])),
    ("a list of lists of lists", |m, o| list(m, o, &[], &[0x81, 0x81, 0])),
    ("a list of maps of maps", |m, o| list(m, o, &[], &[0xa1, 0xa1, 0, 0, 0xa1, 0, 0])),
    ("getInfo with a list of maps", |m, o| list(m, o, INFO, &[0xa1, 0, 0])),
    ("a statement of numbers", |m, o| list(m, o, REGISTRATION, &[0])),
    ("a statement of lists", |m, o| list(m, o, REGISTRATION, &[0x81, 0])),
];
