//! A key whose obligations are kept account of: what it was asked and has not answered.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use fidokey_core::ports::Report;

use super::device::{CHANNEL, Device};

/// What a watched key owes.
#[derive(Debug, Default)]
pub struct Owed {
    /// A CTAP2 request was sent whole or in part, and neither answered nor cancelled.
    pub request: Cell<bool>,
    /// Reports that it was sent.
    pub received: Cell<u64>,
}

/// A key, and an account of what it owes.
pub struct Watched<D> {
    device: D,
    owed: Rc<Owed>,
}

impl<D: Device> Watched<D> {
    /// The key and its account.
    pub fn new(device: D) -> (Self, Rc<Owed>) {
        let owed = Rc::new(Owed::default());
        (Self { device, owed: Rc::clone(&owed) }, owed)
    }
}

impl<D: Device> Device for Watched<D> {
    fn receive(&mut self, now: Duration, report: &Report) {
        self.owed.received.set(self.owed.received.get() + 1);
        match report[4] {
            // CBOR; CANCEL.
            0x90 => self.owed.request.set(true),
            0x91 => self.owed.request.set(false),
            _ => {}
        }
        self.device.receive(now, report);
    }

    fn due(&self) -> Option<Duration> {
        self.device.due()
    }

    fn pop(&mut self) -> Report {
        let report = self.device.pop();
        // The answer, the refusal of the whole message, or the answer to INIT, which resets the channel.
        if report[..4] == CHANNEL && matches!(report[4], 0x86 | 0x90 | 0xbf) {
            self.owed.request.set(false);
        }
        report
    }
}
