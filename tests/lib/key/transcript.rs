//! What went over the wire, command by command, so that tests can assert it.

use std::fmt;
use std::time::{Duration, Instant};

use super::packet::Report;

/// One thing that happened to the key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// When, since the key was plugged in; for a command, the arrival of its last report.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// See [`Entry`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum What {
    /// A whole CTAPHID command arrived, CANCEL and commands that the key refuses included.
    Command(Command),
    /// The key was touched while it asked for it.
    Touch,
}

/// A CTAPHID command and what the key answered to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command {
    /// The channel, as the number that big-endian bytes make.
    pub channel: u32,
    /// The command without its top bit: 0x01 PING, 0x03 MSG, 0x06 INIT, 0x10 CBOR, 0x11 CANCEL.
    pub command: u8,
    /// The length of the payload as announced.
    pub length: usize,
    /// The first byte of a CBOR command: 0x01 makeCredential, 0x02 getAssertion, 0x04 getInfo, …
    pub ctap2: Option<u8>,
    /// The reports that the command came in.
    pub reports_in: u32,
    /// The reports that the key sent on that channel until the next command there, keepalives included.
    pub reports_out: u32,
    /// The keepalives among them.
    pub keepalives: u32,
    /// The CTAP2 status at the head of the answer to a CBOR command.
    pub status: Option<u8>,
    /// Instruction and first parameter of a U2F message: 0x01 register; 0x02 authenticate, with 0x07 check-only
    /// or 0x03 sign.
    pub apdu: Option<(u8, u8)>,
    /// The status word of the answer to it.
    pub status_word: Option<u16>,
}

/// The record, and the commands that have not arrived whole.
pub(super) struct Transcript {
    pub(super) entries: Vec<Entry>,
    started: Instant,
    partial: Vec<(Command, usize)>,
}

impl Transcript {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), started: Instant::now(), partial: Vec::new() }
    }

    pub(super) fn touch(&mut self) {
        self.push(What::Touch);
    }

    pub(super) fn received(&mut self, report: &Report) {
        let channel = channel(report);
        let mut pending = self
            .partial
            .iter()
            .position(|(command, _)| command.channel == channel)
            .map(|at| self.partial.swap_remove(at));
        if report[4] & 0x80 != 0 {
            let command = Command {
                channel,
                command: report[4] & 0x7f,
                length: length(report),
                ctap2: (report[4] == 0x90 && length(report) > 0).then_some(report[7]),
                reports_in: 1,
                reports_out: 0,
                keepalives: 0,
                status: None,
                apdu: (report[4] == 0x83 && length(report) > 2).then_some((report[8], report[9])),
                status_word: None,
            };
            pending = Some((command, 57));
        } else if let Some((command, arrived)) = &mut pending {
            command.reports_in += 1;
            *arrived += 59;
        }
        match pending {
            Some((command, arrived)) if arrived >= command.length => {
                self.push(What::Command(command));
            }
            Some(partial) => self.partial.push(partial),
            None => (),
        }
    }

    pub(super) fn sent(&mut self, report: &Report) {
        let channel = channel(report);
        // The answer belongs to the last command on its channel that is not a CANCEL: that has none.
        let command = self.entries.iter_mut().rev().find_map(|entry| match &mut entry.what {
            What::Command(command) if command.channel == channel && command.command != 0x11 => {
                Some(command)
            }
            _ => None,
        });
        let Some(command) = command else {
            return;
        };
        command.reports_out += 1;
        match report[4] {
            0xbb => command.keepalives += 1,
            0x90 if command.command == 0x10 => command.status = Some(report[7]),
            // What is longer than a status word ends with that of success.
            0x83 if command.command == 0x03 => {
                command.status_word = Some(match length(report) {
                    2 => u16::from_be_bytes([report[7], report[8]]),
                    _ => 0x9000,
                });
            }
            _ => (),
        }
    }

    fn push(&mut self, what: What) {
        self.entries.push(Entry { at: self.started.elapsed(), what });
    }
}

fn channel(report: &Report) -> u32 {
    u32::from_be_bytes([report[0], report[1], report[2], report[3]])
}

fn length(report: &Report) -> usize {
    usize::from(u16::from_be_bytes([report[5], report[6]]))
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} {}", self.at.as_secs_f64(), self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(command) => command.fmt(f),
            Self::Touch => f.write_str("touch"),
        }
    }
}

/// `command getAssertion length=317 in=6 out=9 keepalives=2 status=00`
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("command ")?;
        match (self.command, self.ctap2) {
            (0x03, _) if self.apdu.is_some() => match self.apdu {
                Some((0x01, _)) => f.write_str("register")?,
                Some((0x02, 0x03)) => f.write_str("sign")?,
                Some((0x02, 0x07)) => f.write_str("check-only")?,
                _ => f.write_str("MSG")?,
            },
            (0x01, _) => f.write_str("PING")?,
            (0x03, _) => f.write_str("MSG")?,
            (0x04, _) => f.write_str("LOCK")?,
            (0x06, _) => f.write_str("INIT")?,
            (0x08, _) => f.write_str("WINK")?,
            (0x10, Some(0x01)) => f.write_str("makeCredential")?,
            (0x10, Some(0x02)) => f.write_str("getAssertion")?,
            (0x10, Some(0x04)) => f.write_str("getInfo")?,
            (0x10, Some(0x06)) => f.write_str("clientPIN")?,
            (0x10, Some(0x07)) => f.write_str("reset")?,
            (0x10, Some(0x08)) => f.write_str("getNextAssertion")?,
            (0x10, Some(0x0b)) => f.write_str("selection")?,
            (0x10, Some(other)) => write!(f, "CBOR-{other:02x}")?,
            (0x11, _) => f.write_str("CANCEL")?,
            (other, _) => write!(f, "CTAPHID-{other:02x}")?,
        }
        write!(f, " length={} in={} out={}", self.length, self.reports_in, self.reports_out)?;
        write!(f, " keepalives={}", self.keepalives)?;
        if let Some(status) = self.status {
            write!(f, " status={status:02x}")?;
        }
        match self.status_word {
            Some(word) => write!(f, " sw={word:04x}"),
            None => Ok(()),
        }
    }
}
