//! A key as a script: what it sends for what it receives, byte by byte, on the simulated clock.

use std::collections::VecDeque;
use std::time::Duration;

use fidokey_core::ports::Report;

/// A key on the simulated clock.
pub trait Device {
    /// A report from the host.
    fn receive(&mut self, now: Duration, report: &Report);
    /// When the key sends its next report, if it does.
    fn due(&self) -> Option<Duration>;
    /// That report.
    fn pop(&mut self) -> Report;
}

impl<D: Device + ?Sized> Device for Box<D> {
    fn receive(&mut self, now: Duration, report: &Report) {
        (**self).receive(now, report);
    }

    fn due(&self) -> Option<Duration> {
        (**self).due()
    }

    fn pop(&mut self) -> Report {
        (**self).pop()
    }
}

/// A whole message from the host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// The channel it came on.
    pub channel: [u8; 4],
    /// The command.
    pub command: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

/// What a script may do in answer to a message.
#[derive(Default)]
pub struct Outbox {
    queue: VecDeque<(Duration, Report)>,
    repeat: Option<(Duration, Duration, Report)>,
    now: Duration,
}

impl Outbox {
    /// The time.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Sends one raw report `delay` after the report before it.
    pub fn raw(&mut self, delay: Duration, report: Report) {
        let after = self.queue.back().map_or(self.now, |(at, _)| *at).max(self.now);
        self.queue.push_back((after + delay, report));
    }

    /// Sends a message, well framed.
    pub fn message(&mut self, delay: Duration, channel: [u8; 4], command: u8, payload: &[u8]) {
        for (index, report) in frames(channel, command, payload).into_iter().enumerate() {
            self.raw(if index == 0 { delay } else { Duration::ZERO }, report);
        }
    }

    /// Sends this report for ever from now on, every `period`.
    pub fn repeat(&mut self, period: Duration, report: Report) {
        self.repeat = Some((self.now + period, period, report));
    }

    /// Sends nothing more.
    pub fn silence(&mut self) {
        self.queue.clear();
        self.repeat = None;
    }
}

/// The reports of a message; lengths beyond the protocol's are cut, not refused.
pub fn frames(channel: [u8; 4], command: u8, payload: &[u8]) -> Vec<Report> {
    let mut reports = Vec::new();
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&channel[..], &[command | 0x80], &length].concat();
    let (first, rest) = payload.split_at(payload.len().min(57));
    reports.push(padded(&[&head[..], first].concat()));
    for (sequence, part) in rest.chunks(59).enumerate() {
        let head = [&channel[..], &[u8::try_from(sequence).unwrap()]].concat();
        reports.push(padded(&[&head[..], part].concat()));
    }
    reports
}

/// A report that begins with `bytes`.
pub fn padded(bytes: &[u8]) -> Report {
    let mut report = [0; 64];
    report[..bytes.len()].copy_from_slice(bytes);
    report
}

/// The channel that a [`Script`] gives to whoever asks.
pub const CHANNEL: [u8; 4] = [0, 0, 0, 7];

type Answer = Box<dyn FnMut(&Message, &mut Outbox)>;

/// A key that frames correctly and answers every message but INIT as `answer` says; INIT it answers well,
/// unless a script takes that too.
pub struct Script {
    answer: Answer,
    hears_init: bool,
    partial: Option<(Message, usize)>,
    outbox: Outbox,
}

impl Script {
    /// A key that answers INIT as it should and everything else by `answer`.
    pub fn new(answer: impl FnMut(&Message, &mut Outbox) + 'static) -> Self {
        Self {
            answer: Box::new(answer),
            hears_init: false,
            partial: None,
            outbox: Outbox::default(),
        }
    }

    /// A key whose script answers INIT as well.
    pub fn with_init(answer: impl FnMut(&Message, &mut Outbox) + 'static) -> Self {
        Self { hears_init: true, ..Self::new(answer) }
    }
}

/// The payload of a good response to INIT.
pub fn init_response(nonce: &[u8], channel: [u8; 4]) -> Vec<u8> {
    [nonce, &channel, &[2, 1, 0, 0, 0x05]].concat()
}

impl Device for Script {
    fn receive(&mut self, now: Duration, report: &Report) {
        self.outbox.now = now;
        let channel: [u8; 4] = report[..4].try_into().unwrap();
        if report[4] & 0x80 != 0 {
            let length = usize::from(u16::from_be_bytes([report[5], report[6]]));
            let command = report[4] & 0x7f;
            self.partial =
                Some((Message { channel, command, payload: report[7..].to_vec() }, length));
        } else if let Some((message, _)) = &mut self.partial {
            message.payload.extend_from_slice(&report[5..]);
        }
        let complete = self.partial.take_if(|(message, length)| message.payload.len() >= *length);
        let Some((mut message, length)) = complete else { return };
        message.payload.truncate(length);
        if message.command == 0x06 && !self.hears_init {
            let given = if channel == [0xff; 4] { CHANNEL } else { channel };
            let response = init_response(&message.payload, given);
            self.outbox.message(Duration::ZERO, channel, 0x06, &response);
        } else {
            (self.answer)(&message, &mut self.outbox);
        }
    }

    fn due(&self) -> Option<Duration> {
        let queued = self.outbox.queue.front().map(|(at, _)| *at);
        let repeated = self.outbox.repeat.map(|(at, _, _)| at);
        queued.into_iter().chain(repeated).min()
    }

    fn pop(&mut self) -> Report {
        let queued = self.outbox.queue.front().map(|(at, _)| *at);
        match &mut self.outbox.repeat {
            Some((at, period, report)) if queued.is_none_or(|queued| *at < queued) => {
                *at += *period;
                *report
            }
            _ => self.outbox.queue.pop_front().unwrap().1,
        }
    }
}
