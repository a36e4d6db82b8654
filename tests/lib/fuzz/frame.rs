//! CTAPHID: reports in any order on one channel, beside a second account of what they say.

use fidokey_core::ctap::channel::{Incoming, Link};
use fidokey_core::ctap::frame::{Channel, MESSAGE_MAX, Packet, parse, reports};
use fidokey_core::ports::Report;

use super::Tape;

const BROADCAST: [u8; 4] = [0xff; 4];
const NONCE: [u8; 8] = *b"nonce-01";

const KEEPALIVE: u8 = 0x3b;
const ERROR: u8 = 0x3f;

/// What has been heard of a message.
struct Heard {
    command: u8,
    /// The length that was said.
    length: usize,
    bytes: Vec<u8>,
    /// The number that the next report of it must have.
    next: u8,
    /// Whether all had theirs.
    in_order: bool,
}

/// The second account of a channel.
struct Account {
    channel: [u8; 4],
    opening: bool,
    /// The command whose answer is awaited.
    awaited: Option<u8>,
    cancelled: bool,
    limit: usize,
    heard: Option<Heard>,
}

/// What is done, one after the other: a channel opened (0) or forgotten (1), a request (2), its cancellation (3), the
/// key's word for its longest message (4), or a report of these bytes, on our channel (5 to 7) or as it is.
pub fn run(bytes: &[u8]) {
    let mut tape = Tape::new(bytes);
    let mut link = Link::default();
    let mut ours = Account {
        channel: BROADCAST,
        opening: false,
        awaited: None,
        cancelled: false,
        limit: MESSAGE_MAX,
        heard: None,
    };
    for _ in 0..bytes.len().min(400) {
        match tape.byte() {
            0 => {
                let sent = link.open(NONCE);
                assert_eq!((sent.len(), &sent[0][..4]), (1, &ours.channel[..]));
                ours.opening = true;
                ours.answered();
            }
            1 => {
                link.forget();
                ours = Account { channel: BROADCAST, limit: ours.limit, ..ours };
                ours.opening = false;
                ours.answered();
            }
            2 => request(&mut tape, &mut link, &mut ours),
            3 => {
                assert_eq!(link.cancel().len(), 1);
                ours.opening = false;
                ours.awaited = None;
                ours.cancelled = true;
            }
            4 => {
                let limit = tape.number().into();
                link.limit(limit);
                ours.limit = limit.min(MESSAGE_MAX);
            }
            way => {
                let report = report(way, &mut tape, &ours);
                let incoming = link.receive(&report);
                ours.check(&report, incoming);
            }
        }
    }
}

/// A report of few bytes: its channel is ours (5 to 7) or of 4 bytes, then its kind and its beginning.
fn report(way: u8, tape: &mut Tape, ours: &Account) -> Report {
    let mut report = [0; 64];
    let channel = if (5..8).contains(&way) { ours.channel.to_vec() } else { tape.bytes(4) };
    report[..channel.len()].copy_from_slice(&channel);
    let rest = tape.prefixed();
    let length = rest.len().min(60);
    report[4..4 + length].copy_from_slice(&rest[..length]);
    report
}

/// A request, whose reports say it again.
fn request(tape: &mut Tape, link: &mut Link, ours: &mut Account) {
    let (command, length) = (tape.byte() & 0x7f, tape.number());
    let payload = vec![0x5a; length.into()];
    let sent = link.request(command, &payload);
    assert_eq!(sent.is_some(), payload.len() <= MESSAGE_MAX);
    let Some(sent) = sent else { return };
    assert_eq!(Some(&sent), reports(Channel(ours.channel), command, &payload).as_ref());
    let said: usize = sent
        .iter()
        .map(|report| match parse(report).1 {
            Packet::Initialization { data, .. } | Packet::Continuation { data, .. } => {
                data.iter().filter(|byte| **byte == 0x5a).count()
            }
        })
        .sum();
    assert_eq!(said, payload.len());
    ours.opening = false;
    ours.answered();
    ours.awaited = Some(command);
}

impl Account {
    /// Nothing is awaited any more.
    fn answered(&mut self) {
        (self.awaited, self.cancelled, self.heard) = (None, false, None);
    }

    /// Whether `report` is the next one of the answer that is awaited, and so must be taken.
    fn is_due(&self, report: &Report, begins: bool, length: usize) -> bool {
        let Some(awaited) = self.awaited else { return false };
        // Two commands are no answer's, whoever asks for one.
        if self.cancelled || self.channel == BROADCAST || [KEEPALIVE, ERROR].contains(&awaited) {
            return false;
        }
        match &self.heard {
            None => begins && report[4] & 0x7f == awaited && length <= self.limit,
            Some(heard) => !begins && report[4] == heard.next,
        }
    }

    /// What `report` may have meant.
    fn check(&mut self, report: &Report, incoming: Incoming) {
        if report[..4] != self.channel {
            return assert_eq!(incoming, Incoming::Foreign);
        }
        let begins = report[4] & 0x80 != 0;
        let length = usize::from(u16::from_be_bytes([report[5], report[6]]));
        let due = self.is_due(report, begins, length);
        if begins && !matches!(incoming, Incoming::Keepalive(_) | Incoming::Foreign) {
            let (command, bytes) = (report[4] & 0x7f, report[7..].to_vec());
            self.heard = Some(Heard { command, length, bytes, next: 0, in_order: true });
        } else if let (false, Some(heard)) = (begins, &mut self.heard) {
            heard.bytes.extend_from_slice(&report[5..]);
            heard.in_order &= report[4] == heard.next;
            heard.next = heard.next.wrapping_add(1);
        }
        if due {
            let heard = self.heard.as_ref().unwrap();
            let whole = heard.bytes.len() >= heard.length;
            let taken = matches!(incoming, Incoming::Message(_)) && whole
                || incoming == Incoming::Partial && !whole;
            assert!(taken, "{incoming:?} of what was due");
        }
        match incoming {
            Incoming::Message(message) => {
                let Heard { command, length, mut bytes, in_order, .. } = self.heard.take().unwrap();
                bytes.truncate(length);
                assert!(in_order && self.awaited == Some(command) && !self.cancelled);
                assert!(length <= self.limit && bytes == message);
                self.answered();
            }
            Incoming::Drained => {
                assert!(self.cancelled);
                self.answered();
            }
            Incoming::Partial => {
                let Heard { command, length, bytes, in_order, .. } = self.heard.as_ref().unwrap();
                assert!(*in_order && (self.cancelled || self.awaited == Some(*command)));
                assert!(bytes.len() < *length && bytes.len() <= MESSAGE_MAX + 64);
            }
            Incoming::Opened(capabilities) => {
                assert!(self.opening && report[4] == 0x86 && report[7..15] == NONCE);
                assert_eq!(capabilities, report[23]);
                let given: [u8; 4] = report[15..19].try_into().unwrap();
                assert!(given != BROADCAST && given != [0; 4]);
                assert!(self.channel == BROADCAST || self.channel == given);
                self.channel = given;
                self.opening = false;
            }
            Incoming::Busy => {
                assert!(self.opening && report[4] == 0xbf);
                if report[7] == 0x0b {
                    self.channel = BROADCAST;
                    self.opening = false;
                }
            }
            Incoming::Keepalive(status) => {
                assert!(self.awaited.is_some() && report[4] == 0xbb && status == report[7]);
            }
            Incoming::Error(code) => {
                assert!(self.awaited.is_some() && report[4] == 0xbf && code == report[7]);
                self.answered();
            }
            Incoming::Broken(_) => {
                assert!(self.opening || self.awaited.is_some() || self.cancelled);
                self.opening = false;
                self.answered();
            }
            Incoming::Foreign => {}
        }
    }
}
