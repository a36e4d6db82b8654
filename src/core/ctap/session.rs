//! One key in use: opened, locked, a channel on it, and every request with an end.
//!
//! However a session ends, a request that is under way is cancelled and its last frames are drained, so
//! that the key stops blinking and the next program finds it idle.

use std::time::Duration;

use super::channel::{CAPABILITY_CBOR, Framing, Incoming, Link};
use crate::ports::{Fault, Gone, KeyEvent, KeyId, Keys, Moment, OpenError, Report, Signal};

/// How long another program may hold a key before we give up.
pub const LOCK_WAIT: Duration = Duration::from_secs(3);
/// How long a key may be silent while it owes us an answer. CTAP asks for a keepalive every 100 ms.
pub const SILENCE: Duration = Duration::from_secs(2);
/// Pause between two tries of something that was busy.
pub const RETRY: Duration = Duration::from_millis(100);
/// How long a node may refuse us after it appeared: udev sets its access rights only then.
const SETTLE: Duration = Duration::from_millis(500);
/// Silence that ends draining, and the longest that draining takes.
const DRAIN_SILENCE: Duration = Duration::from_millis(200);
const DRAIN_MAX: Duration = Duration::from_secs(1);
/// CTAPHID's `ERR_CHANNEL_BUSY` (CTAP 2.1 section 11.2.9.1.6).
const CHANNEL_BUSY: u8 = 0x06;

/// Why a key gave no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallError {
    /// It broke the framing.
    Broken(Framing),
    /// Another program holds it.
    Busy,
    /// The deadline of the request passed while the key was alive.
    Elapsed,
    /// The operating system failed.
    Fault(Fault),
    /// It was removed.
    Gone,
    /// It refused the message with this CTAPHID error.
    Hid(u8),
    /// Its node cannot be opened, with this error number.
    Inaccessible(i32),
    /// Somebody wants this wait to end.
    Signal(Signal),
    /// It said nothing for 2 seconds.
    Silent,
    /// The request is longer than any message.
    TooLong,
}

impl From<Fault> for CallError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Gone> for CallError {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// A key that is open and locked, with a channel.
#[derive(Debug)]
pub struct Session<'k, K: Keys> {
    keys: &'k mut K,
    key: KeyId,
    link: Link,
    capabilities: u8,
    nonce: u64,
    /// A request was sent and its final frame has not come.
    owed: bool,
}

impl<'k, K: Keys> Session<'k, K> {
    /// Opens `key`, locks it and opens a channel with the random `nonce`; `end` at the latest, and 3 seconds at
    /// the latest where another program has the lock, or a channel.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn open(keys: &'k mut K, key: KeyId, nonce: u64, end: Moment) -> Result<Self, CallError> {
        let start = keys.now()?;
        let until = end.min(start.after(LOCK_WAIT));
        loop {
            match keys.open(key) {
                Ok(()) => break,
                Err(OpenError::Busy) if keys.now()? < until => {}
                Err(OpenError::Busy) => return Err(CallError::Busy),
                Err(OpenError::Denied { .. }) if keys.now()? < start.after(SETTLE).min(until) => {}
                Err(OpenError::Denied { errno }) => return Err(CallError::Inaccessible(errno)),
                Err(OpenError::NotAKey) => return Err(CallError::Inaccessible(0)),
                Err(OpenError::Gone) => return Err(CallError::Gone),
            }
            pause(keys, until)?;
        }
        // From here on the key is closed on every way out.
        let mut session =
            Self { keys, key, link: Link::default(), capabilities: 0, nonce, owed: false };
        // The lock may have come at the last moment: the channel has its own time.
        let opened = session.keys.now()?.after(LOCK_WAIT).min(end);
        session.open_channel(opened)?;
        Ok(session)
    }

    /// Whether the key says that it speaks CTAP2; it is of the first generation otherwise.
    pub const fn speaks_ctap2(&self) -> bool {
        self.capabilities & CAPABILITY_CBOR != 0
    }

    /// Waits until `end`, as for a touch that a first-generation key does not wait for itself.
    ///
    /// # Errors
    /// [`CallError::Gone`] when the key is removed meanwhile, [`CallError::Fault`].
    pub fn rest(&mut self, end: Moment) -> Result<(), CallError> {
        loop {
            match self.hear(end, end) {
                Err(CallError::Elapsed | CallError::Silent) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends `request`, a CTAP2 message (`command::CBOR`) or a CTAP1 one (`command::MSG`), and returns the response, `until` at the latest. A key that is
    /// busy with another channel is asked again for 3 seconds.
    ///
    /// # Errors
    /// See [`CallError`]. After [`CallError::Broken`] and [`CallError::Hid`] the channel has been reset and
    /// another request may be made; after any other the session is of no more use.
    pub fn call(
        &mut self,
        command: u8,
        request: &[u8],
        until: Moment,
    ) -> Result<Vec<u8>, CallError> {
        let busy_until = self.keys.now()?.after(LOCK_WAIT).min(until);
        loop {
            match self.call_once(command, request, until) {
                Err(CallError::Hid(CHANNEL_BUSY)) => {
                    if self.keys.now()? >= busy_until {
                        return Err(CallError::Busy);
                    }
                    pause(self.keys, busy_until)?;
                }
                Err(error @ (CallError::Broken(_) | CallError::Hid(_))) => {
                    let drained = self.keys.now()?.after(DRAIN_MAX).min(until);
                    self.drain(drained)?;
                    let reset = self.keys.now()?.after(SILENCE).min(until);
                    self.open_channel(reset)?;
                    // Not before: a key that waits for a touch ignores INIT, and has to be cancelled.
                    self.owed = false;
                    return Err(error);
                }
                other => return other,
            }
        }
    }

    /// Believes the key's own word for its longest message, in bytes.
    pub fn limit(&mut self, max_message_size: usize) {
        self.link.limit(max_message_size);
    }

    /// The clock, and the only way to it while a key is in use.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be read.
    pub fn now(&mut self) -> Result<Moment, Fault> {
        self.keys.now()
    }

    fn call_once(
        &mut self,
        command: u8,
        request: &[u8],
        until: Moment,
    ) -> Result<Vec<u8>, CallError> {
        let reports = self.link.request(command, request).ok_or(CallError::TooLong)?;
        self.owed = true;
        self.send(&reports, until)?;
        let mut heard = self.keys.now()?;
        loop {
            match self.hear(heard.after(SILENCE), until)? {
                Incoming::Message(response) => {
                    self.owed = false;
                    return Ok(response);
                }
                Incoming::Error(code) => {
                    self.owed = false;
                    return Err(CallError::Hid(code));
                }
                Incoming::Broken(framing) => return Err(CallError::Broken(framing)),
                // A sign of life. The deadline of the request stays where it is.
                Incoming::Keepalive(_) | Incoming::Partial => heard = self.keys.now()?,
                Incoming::Busy | Incoming::Drained | Incoming::Foreign | Incoming::Opened(_) => {}
            }
        }
    }

    /// Opens or resets the channel. An occupied key answers on the broadcast channel and without our nonce,
    /// or not at all while it waits for a touch: it is asked again every 100 ms.
    fn open_channel(&mut self, until: Moment) -> Result<(), CallError> {
        let silent_at = self.keys.now()?.after(SILENCE);
        let mut busy = false;
        loop {
            self.nonce = self.nonce.wrapping_add(1);
            let reports = self.link.open(self.nonce.to_be_bytes());
            self.send(&reports, until)?;
            match self.opened(if busy { until } else { silent_at }, until) {
                Ok(true) => return Ok(()),
                Ok(false) => busy = true,
                Err(CallError::Elapsed | CallError::Silent) if busy => return Err(CallError::Busy),
                Err(CallError::Elapsed) => return Err(CallError::Silent),
                Err(error) => return Err(error),
            }
            pause(self.keys, until)?;
            if self.keys.now()? >= until {
                return Err(CallError::Busy);
            }
        }
    }

    /// Whether the channel was opened (true) or the key is occupied (false).
    fn opened(&mut self, silent_at: Moment, until: Moment) -> Result<bool, CallError> {
        loop {
            match self.hear(silent_at, until)? {
                Incoming::Opened(capabilities) => {
                    self.capabilities = capabilities;
                    return Ok(true);
                }
                Incoming::Busy => return Ok(false),
                Incoming::Broken(framing) => return Err(CallError::Broken(framing)),
                _ => {}
            }
        }
    }

    /// Waits for a report of this key and says what it means.
    fn hear(&mut self, silent_at: Moment, until: Moment) -> Result<Incoming, CallError> {
        loop {
            match self.keys.wait(silent_at.min(until))? {
                KeyEvent::Report(key, report) if key == self.key => {
                    return Ok(self.link.receive(&report));
                }
                KeyEvent::Gone(key) if key == self.key => return Err(CallError::Gone),
                KeyEvent::Elapsed if until <= silent_at => return Err(CallError::Elapsed),
                KeyEvent::Elapsed => return Err(CallError::Silent),
                KeyEvent::Signal(signal) => return Err(CallError::Signal(signal)),
                // Whoever waits for other keys lists them anew.
                KeyEvent::Gone(_) | KeyEvent::Hotplug | KeyEvent::Report(..) => {}
            }
        }
    }

    /// Sends a message, `until` at the latest but for its first report: the bus gives a key up to 5 seconds to
    /// take each.
    fn send(&mut self, reports: &[Report], until: Moment) -> Result<(), CallError> {
        for (index, report) in reports.iter().enumerate() {
            if index != 0 && self.keys.now()? >= until {
                return Err(CallError::Elapsed);
            }
            self.keys.send(self.key, report)?;
        }
        Ok(())
    }

    /// Cancels the request that is under way, and drains.
    fn cancel(&mut self) -> Result<(), CallError> {
        // One report: it is sent even where the clock fails.
        for report in self.link.cancel() {
            self.keys.send(self.key, &report)?;
        }
        let end = self.keys.now()?.after(DRAIN_MAX);
        self.drain(end)
    }

    /// Reads what still comes: until the final frame of a cancelled request, 200 ms of silence, or `end`.
    fn drain(&mut self, end: Moment) -> Result<(), CallError> {
        let mut quiet = self.keys.now()?.after(DRAIN_SILENCE);
        loop {
            match self.hear(quiet, end) {
                Ok(Incoming::Drained) => return Ok(()),
                Ok(_) => quiet = self.keys.now()?.after(DRAIN_SILENCE),
                // A key is given up in order all the same. Whoever waits next is told again.
                Err(CallError::Signal(_)) => {}
                Err(CallError::Silent | CallError::Elapsed) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

impl<K: Keys> Drop for Session<'_, K> {
    fn drop(&mut self) {
        if self.owed {
            // Nothing more can be done for a key that does not even take this.
            let _ = self.cancel();
        }
        self.keys.close(self.key);
    }
}

/// Waits a little without missing the deadline; what happens meanwhile is of no interest.
fn pause<K: Keys>(keys: &mut K, until: Moment) -> Result<(), CallError> {
    let end = keys.now()?.after(RETRY).min(until);
    while keys.now()? < end {
        match keys.wait(end)? {
            KeyEvent::Elapsed => break,
            KeyEvent::Signal(signal) => return Err(CallError::Signal(signal)),
            KeyEvent::Gone(_) | KeyEvent::Hotplug | KeyEvent::Report(..) => {}
        }
    }
    Ok(())
}
