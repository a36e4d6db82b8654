//! One CTAPHID channel to one key, as a state machine over reports (CTAP 2.1 section 11.2).
//!
//! It makes the reports to send and says of each report that came what it means for us. It knows no time:
//! [`super::session`] does.

use super::frame::{self, BROADCAST, Channel, MESSAGE_MAX, Packet, command};
use crate::ports::Report;

/// Length of an INIT request's payload, in bytes.
const NONCE_LEN: usize = 8;
/// Least length of an INIT response, in bytes; more is for later versions of the protocol.
const INIT_RESPONSE_MIN: usize = 17;

/// CTAPHID's `ERR_INVALID_CHANNEL` (CTAP 2.1 section 11.2.9.1.6).
pub const INVALID_CHANNEL: u8 = 0x0b;

/// The flag of a key that speaks CTAP2 (CTAP 2.1 section 11.2.9.1.3).
pub const CAPABILITY_CBOR: u8 = 0x04;

/// How a key broke the framing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// It gave us the channel 0 or the broadcast channel, or another one than ours at a resync.
    ChannelId,
    /// A response to another command than ours.
    Command,
    /// A continuation packet out of order.
    Sequence,
    /// An initialization packet in the middle of a message, or a continuation before any.
    Packet,
    /// A message of more bytes than the protocol or the key's own word allows, or fewer than it must have.
    Length,
}

/// What a report that came in means for us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Incoming {
    /// The key broke the framing; the channel must be reset.
    Broken(Framing),
    /// The key is occupied and cannot say with whom: an error on the broadcast channel while we open ours.
    Busy,
    /// The last message of a cancelled request is through.
    Drained,
    /// The key refused the request with this CTAPHID error code.
    Error(u8),
    /// Not for us.
    Foreign,
    /// The key is alive, with this status: 1 processing, 2 waiting for a touch.
    Keepalive(u8),
    /// The whole response.
    Message(Vec<u8>),
    /// The channel is open, to a key of these capabilities (a byte of flags, see [`CAPABILITY_CBOR`]).
    Opened(u8),
    /// A part of the response.
    Partial,
}

/// One channel.
#[derive(Debug)]
pub struct Link {
    channel: Channel,
    state: State,
    /// The longest response that is accepted, in bytes.
    limit: usize,
}

#[derive(Debug)]
enum State {
    Assembling { payload: Vec<u8>, missing: usize, sequence: u8, draining: bool },
    Draining,
    Idle,
    Opening { nonce: [u8; NONCE_LEN] },
    Waiting { command: u8 },
}

impl Default for Link {
    fn default() -> Self {
        Self { channel: BROADCAST, state: State::Idle, limit: MESSAGE_MAX }
    }
}

impl Link {
    /// The report that opens a channel or, where there is one, resets it. `nonce` tells our response from
    /// those to other programs.
    pub fn open(&mut self, nonce: [u8; NONCE_LEN]) -> Vec<Report> {
        self.state = State::Opening { nonce };
        frame::reports(self.channel, command::INIT, &nonce).unwrap_or_default()
    }

    /// The reports of a request, or `None` when `payload` is longer than 7609 bytes.
    pub fn request(&mut self, command: u8, payload: &[u8]) -> Option<Vec<Report>> {
        let reports = frame::reports(self.channel, command, payload)?;
        self.state = State::Waiting { command };
        Some(reports)
    }

    /// The reports that cancel the request that is under way; what still comes is drained.
    pub fn cancel(&mut self) -> Vec<Report> {
        // A response that has begun to arrive goes on: its rest is what has to be drained.
        self.state = match std::mem::replace(&mut self.state, State::Draining) {
            State::Assembling { payload, missing, sequence, .. } => {
                State::Assembling { payload, missing, sequence, draining: true }
            }
            _ => State::Draining,
        };
        frame::reports(self.channel, command::CANCEL, &[]).unwrap_or_default()
    }

    /// Whether the key has given us a channel.
    pub fn has_channel(&self) -> bool {
        self.channel != BROADCAST
    }

    /// Gives up a channel that the key has forgotten. The next one is opened as if it were the first.
    pub fn forget(&mut self) {
        self.channel = BROADCAST;
        self.state = State::Idle;
    }

    /// Believes the key's own word for its longest message, in bytes (getInfo's maxMsgSize).
    pub fn limit(&mut self, max_message_size: usize) {
        self.limit = max_message_size.min(MESSAGE_MAX);
    }

    /// Takes one report. Reports on other channels and other programs' INIT responses are [`Foreign`].
    ///
    /// [`Foreign`]: Incoming::Foreign
    pub fn receive(&mut self, report: &Report) -> Incoming {
        let (channel, packet) = frame::parse(report);
        if channel != self.channel {
            return Incoming::Foreign;
        }
        if let State::Opening { nonce } = self.state {
            return self.opening(nonce, packet);
        }
        // Everybody's INIT responses come on the broadcast channel, which is ours only while we open.
        if channel == BROADCAST {
            return Incoming::Foreign;
        }
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Assembling { payload, missing, sequence, draining } => match packet {
                Packet::Continuation { sequence: sent, data } if sent == sequence => {
                    self.assemble(payload, missing, sequence.wrapping_add(1), draining, data)
                }
                Packet::Continuation { .. } => Incoming::Broken(Framing::Sequence),
                Packet::Initialization { .. } => Incoming::Broken(Framing::Packet),
            },
            State::Waiting { command } => self.waiting(command, packet),
            State::Draining => self.draining(packet),
            State::Idle | State::Opening { .. } => Incoming::Foreign,
        }
    }

    fn opening(&mut self, nonce: [u8; NONCE_LEN], packet: Packet<'_>) -> Incoming {
        let Packet::Initialization { command, length, data } = packet else {
            return Incoming::Foreign;
        };
        if command == command::ERROR {
            // It was plugged in anew, as it were, or had others to remember: our channel is nobody's any more.
            if data.first() == Some(&INVALID_CHANNEL) {
                self.forget();
            }
            return Incoming::Busy;
        }
        if command != command::INIT || data.first_chunk() != Some(&nonce) {
            return Incoming::Foreign;
        }
        let capabilities = data.get(INIT_RESPONSE_MIN.saturating_sub(1)).copied().unwrap_or(0);
        let channel = data.get(NONCE_LEN..).and_then(<[u8]>::first_chunk).copied().map(Channel);
        self.state = State::Idle;
        match channel {
            _ if length < INIT_RESPONSE_MIN || length > data.len() => {
                Incoming::Broken(Framing::Length)
            }
            Some(given) if given == BROADCAST || given == Channel([0; 4]) => {
                Incoming::Broken(Framing::ChannelId)
            }
            Some(given) if self.channel == BROADCAST || self.channel == given => {
                self.channel = given;
                Incoming::Opened(capabilities)
            }
            _ => Incoming::Broken(Framing::ChannelId),
        }
    }

    fn waiting(&mut self, awaited: u8, packet: Packet<'_>) -> Incoming {
        let Packet::Initialization { command, length, data } = packet else {
            return Incoming::Broken(Framing::Packet);
        };
        match (command, data.first()) {
            (command::KEEPALIVE, Some(&status)) => {
                self.state = State::Waiting { command: awaited };
                Incoming::Keepalive(status)
            }
            (command::ERROR, Some(&code)) => Incoming::Error(code),
            _ if command != awaited => Incoming::Broken(Framing::Command),
            // Before anything is kept: the length is the key's word.
            _ if length > self.limit => Incoming::Broken(Framing::Length),
            _ => self.assemble(Vec::new(), length, 0, false, data),
        }
    }

    fn draining(&mut self, packet: Packet<'_>) -> Incoming {
        match packet {
            Packet::Initialization { command, length, data } if command != command::KEEPALIVE => {
                self.assemble(Vec::new(), length.min(MESSAGE_MAX), 0, true, data)
            }
            _ => {
                self.state = State::Draining;
                Incoming::Foreign
            }
        }
    }

    fn assemble(
        &mut self,
        mut payload: Vec<u8>,
        missing: usize,
        sequence: u8,
        draining: bool,
        data: &[u8],
    ) -> Incoming {
        let part = data.get(..missing).unwrap_or(data);
        payload.extend_from_slice(part);
        let missing = missing.saturating_sub(part.len());
        match (missing, draining) {
            (0, true) => Incoming::Drained,
            (0, false) => Incoming::Message(payload),
            _ => {
                self.state = State::Assembling { payload, missing, sequence, draining };
                Incoming::Partial
            }
        }
    }
}
