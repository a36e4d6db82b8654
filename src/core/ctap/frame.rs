//! CTAPHID framing: messages into 64-byte reports and back (CTAP 2.1 section 11.2.4).

use crate::ports::Report;

/// The longest message: one initialization packet of 57 bytes and 128 continuation packets of 59.
pub const MESSAGE_MAX: usize = 57 + 128 * 59;

/// The channel that INIT is sent on before there is one.
pub const BROADCAST: Channel = Channel([0xff; 4]);

/// A channel id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Channel(pub [u8; 4]);

/// The commands of CTAPHID (CTAP 2.1 section 11.2.9), without the bit that marks an initialization packet.
pub mod command {
    /// A CTAP2 message.
    pub const CBOR: u8 = 0x10;
    /// Ends a wait for the user.
    pub const CANCEL: u8 = 0x11;
    /// The key refused a packet or a message.
    pub const ERROR: u8 = 0x3f;
    /// Allocates or resets a channel.
    pub const INIT: u8 = 0x06;
    /// The key is alive: working, or waiting for a touch.
    pub const KEEPALIVE: u8 = 0x3b;
    /// A CTAP1 message.
    pub const MSG: u8 = 0x03;
}

/// What one report says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packet<'a> {
    /// The next part of a message.
    Continuation {
        /// 0 to 127, rising by one.
        sequence: u8,
        /// 59 bytes, padding included.
        data: &'a [u8],
    },
    /// The beginning of a message.
    Initialization {
        /// The command.
        command: u8,
        /// The length of the whole message, 0 to 65535 as sent.
        length: usize,
        /// 57 bytes, padding included.
        data: &'a [u8],
    },
}

/// Takes a report apart: the channel it is on and what it says.
#[must_use]
pub fn parse(report: &Report) -> (Channel, Packet<'_>) {
    let [c0, c1, c2, c3, kind, rest @ ..] = report;
    let channel = Channel([*c0, *c1, *c2, *c3]);
    let packet = if kind & 0x80 == 0 {
        Packet::Continuation { sequence: *kind, data: rest }
    } else {
        let [high, low, data @ ..] = rest;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        Packet::Initialization { command: kind & 0x7f, length, data }
    };
    (channel, packet)
}

/// The reports that carry `payload`, or `None` when it is longer than [`MESSAGE_MAX`].
#[must_use]
pub fn reports(channel: Channel, command: u8, payload: &[u8]) -> Option<Vec<Report>> {
    if payload.len() > MESSAGE_MAX {
        return None;
    }
    let [high, low] = u16::try_from(payload.len()).ok()?.to_be_bytes();
    let (first, rest) = payload.split_at(payload.len().min(57));
    let mut reports = vec![report(channel, &[command | 0x80, high, low], first)];
    for (sequence, part) in (0u8..128).zip(rest.chunks(59)) {
        reports.push(report(channel, &[sequence], part));
    }
    Some(reports)
}

fn report(channel: Channel, head: &[u8], part: &[u8]) -> Report {
    let mut report = [0; 64];
    let bytes = channel.0.iter().chain(head).chain(part);
    for (place, byte) in report.iter_mut().zip(bytes) {
        *place = *byte;
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_message_of_any_length_then_its_reports_say_it_again() {
        for length in [0, 1, 57, 58, 116, 117, 7608, MESSAGE_MAX] {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let reports = reports(Channel([1, 2, 3, 4]), command::CBOR, &payload).unwrap();
            let mut message = Vec::new();
            for (index, report) in reports.iter().enumerate() {
                let (channel, packet) = parse(report);
                assert_eq!(channel, Channel([1, 2, 3, 4]));
                match packet {
                    Packet::Initialization { command, length: announced, data } => {
                        assert_eq!((index, command, announced), (0, command::CBOR, length));
                        message.extend_from_slice(data);
                    }
                    Packet::Continuation { sequence, data } => {
                        assert_eq!(usize::from(sequence) + 1, index);
                        message.extend_from_slice(data);
                    }
                }
            }
            message.truncate(length);
            assert_eq!(message, payload);
        }
    }

    /// BAR D6.
    #[test]
    fn given_a_message_too_long_then_no_report_is_made() {
        assert_eq!(reports(BROADCAST, command::CBOR, &[0; MESSAGE_MAX + 1]), None);
    }
}
