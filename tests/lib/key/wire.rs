//! What any firmware of a key has of the world: a wire, a finger, a light. Each side of it is in the transcript.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fidokey_core::ctap::frame::{BROADCAST, Channel, parse};

use super::Shared;
use super::packet::{PacketEnd, Report};

/// How long the key sleeps before it looks whether its policy changed or it was unplugged.
pub const SLICE: Duration = Duration::from_millis(20);

/// The wire is used by the main loop and, while the key waits for a touch, from inside of the firmware.
pub type SharedWire = Rc<RefCell<Wire>>;

/// A packet end that writes the transcript, and the finger.
pub struct Wire {
    end: Box<dyn PacketEnd>,
    shared: Arc<Shared>,
    channel: Channel,
    gone: bool,
}

impl Wire {
    pub(super) fn new(end: Box<dyn PacketEnd>, shared: Arc<Shared>) -> SharedWire {
        Rc::new(RefCell::new(Self { end, shared, channel: BROADCAST, gone: false }))
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Whether the key was unplugged or the client has gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone || self.shared.lock().unplugged
    }

    /// The next report from the host, or none when `timeout` has passed or nobody is there any more.
    pub fn receive(&mut self, timeout: Duration) -> Option<Report> {
        let received = self.end.receive(timeout);
        let report = self.note(received)??;
        self.channel = parse(&report).0;
        self.shared.lock().transcript.received(&report);
        Some(report)
    }

    /// The channel of the last report from the host: what is being done is done for whoever has it.
    pub(super) const fn channel(&self) -> Channel {
        self.channel
    }

    /// Sends a report to the host.
    pub fn send(&mut self, report: &Report) {
        // What the firmware says after it lost its power, nobody hears.
        if self.is_gone() {
            return;
        }
        self.shared.lock().transcript.sent(report);
        let sent = self.end.send(report);
        self.note(sent);
    }

    /// Starts to ask for a touch, or goes on asking.
    pub fn ask(&self) {
        self.shared.lock().ask();
    }

    /// Asks no longer.
    pub fn stop_asking(&self) {
        self.shared.lock().asked = None;
    }

    /// How long until the finger comes; none when it never does or nobody asks for it.
    #[must_use]
    pub fn until_touch(&self) -> Option<Duration> {
        self.shared.lock().until_touch()
    }

    /// Takes the touch if the finger has come.
    #[must_use]
    pub fn take_touch(&self) -> bool {
        self.shared.lock().take_touch()
    }

    fn note<T>(&mut self, result: io::Result<T>) -> Option<T> {
        self.gone |= result.is_err();
        result.ok()
    }
}
