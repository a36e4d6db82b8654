//! One key in use: opened, locked, a channel on it, and every request with an end.
//!
//! However a session ends, a request that is under way is cancelled and its last frames are drained ([`Bus`] sees to
//! it), so that the key stops blinking and the next program finds it idle.

use std::time::Duration;

use super::bus::{Bus, DRAIN_MAX, DRAIN_SILENCE, Input};
use super::channel::{CAPABILITY_CBOR, Framing, INVALID_CHANNEL, Incoming, Link};
use crate::ports::{Fault, Gone, Heard, KeyId, Keys, Moment, OpenError, Report};

/// How long another program may hold a key before we give up.
pub const LOCK_WAIT: Duration = Duration::from_secs(3);
/// How long a key may be silent while it owes us an answer. CTAP asks for a keepalive every 100 ms.
pub const SILENCE: Duration = Duration::from_secs(2);
/// How long a key that was just plugged in may leave INIT unanswered before it is sent again: the kernel drops what a key says
/// while its driver takes it over, during which its node appears already (`driver_input_lock` in hid-core.c).
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// A report that failed after so long was not taken, for which the kernel gives a key 5 seconds; of a key that was removed it
/// fails at once.
const STUCK: Duration = Duration::from_secs(1);
/// Pause between two tries of something that was busy.
pub const RETRY: Duration = Duration::from_millis(100);
/// How long a node may refuse us after it appeared: udev sets its access rights only then.
const SETTLE: Duration = Duration::from_millis(500);
/// CTAPHID's `ERR_CHANNEL_BUSY` (CTAP 2.1 section 11.2.9.1.6).
const CHANNEL_BUSY: u8 = 0x06;
/// Its `ERR_MSG_TIMEOUT`: the reports of a message came too far apart, and none of it counts.
const MESSAGE_TIMEOUT: u8 = 0x05;
/// How far apart they may be without this process having been held up. Keys have been seen that wait for 100 ms.
const PROMPT: Duration = Duration::from_millis(50);
/// How often a message is sent again that was held up: by then the whole machine is too slow.
const HELD_UP_MAX: u32 = 4;

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
    /// It said nothing for 2 seconds, or took nothing for 5.
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
pub struct Session<'b, 'k, K: Keys> {
    bus: &'b Bus<'k, K>,
    key: KeyId,
    link: Link,
    capabilities: u8,
    nonce: u64,
    /// A request was sent and its final frame has not come.
    owed: bool,
    /// The last request came to the key more slowly than this process meant to send it.
    held_up: bool,
}

impl<'b, 'k, K: Keys> Session<'b, 'k, K> {
    /// Opens `key`, locks it and opens a channel with the random `nonce`; `end` at the latest, and 3 seconds at
    /// the latest where another program has the lock, or a channel.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn open(
        bus: &'b Bus<'k, K>,
        key: KeyId,
        nonce: u64,
        end: Moment,
    ) -> Result<Self, CallError> {
        let start = bus.now()?;
        let until = end.min(start.after(LOCK_WAIT));
        loop {
            match bus.open(key)? {
                Ok(()) => break,
                Err(OpenError::Busy) if bus.now()? < until => {}
                Err(OpenError::Busy) => return Err(CallError::Busy),
                Err(OpenError::Denied { .. }) if bus.now()? < start.after(SETTLE).min(until) => {}
                Err(OpenError::Denied { errno }) => return Err(CallError::Inaccessible(errno)),
                Err(OpenError::NotAKey) => return Err(CallError::Inaccessible(0)),
                Err(OpenError::Gone) => return Err(CallError::Gone),
            }
            pause(bus, key, until).await?;
        }
        // From here on the key is closed on every way out.
        let mut session = Self {
            bus,
            key,
            link: Link::default(),
            capabilities: 0,
            nonce,
            owed: false,
            held_up: false,
        };
        // The lock may have come at the last moment: the channel has its own time.
        let opened = session.bus.now()?.after(LOCK_WAIT).min(end);
        session.open_channel(opened).await?;
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
    pub async fn rest(&mut self, end: Moment) -> Result<(), CallError> {
        loop {
            match self.overhear(end, end).await {
                Err(CallError::Elapsed | CallError::Silent) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until `ready` says so, `end` at the latest. It is looked at whenever something happens to any key.
    ///
    /// # Errors
    /// [`CallError::Gone`] when the key is removed meanwhile, [`CallError::Elapsed`], [`CallError::Fault`].
    pub async fn wait_for(
        &mut self,
        ready: impl Fn() -> bool,
        end: Moment,
    ) -> Result<(), CallError> {
        loop {
            match self.bus.next_unless(self.key, &ready, end).await? {
                None => return Ok(()),
                Some(Input::Report(_)) => {}
                Some(Input::Gone) => return Err(CallError::Gone),
                Some(Input::Elapsed) => return Err(CallError::Elapsed),
            }
        }
    }

    /// Lets whoever waits for the events have a turn.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn turn(&self) -> Result<(), Fault> {
        self.bus.turn(self.key).await
    }

    /// Lets others have the key while a person is asked something; see [`Keys::release`]. No request is under way.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn release(&mut self) -> Result<(), Fault> {
        self.bus.release(self.key)
    }

    /// Takes back what can be had of the key at once, where it is of no more use: the program's signals are watched again.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn stop_releasing(&mut self) -> Result<(), Fault> {
        // Whoever has the key now may keep it.
        self.bus.retake(self.key).map(|_| ())
    }

    /// Takes the key back, with the channel that it was released with; 3 seconds at the latest. Whether others have
    /// used it meanwhile.
    ///
    /// # Errors
    /// [`CallError::Busy`], [`CallError::Gone`], [`CallError::Inaccessible`], [`CallError::Fault`].
    pub async fn retake(&mut self, end: Moment) -> Result<Heard, CallError> {
        let until = end.min(self.bus.now()?.after(LOCK_WAIT));
        let mut waited = false;
        loop {
            match self.bus.retake(self.key)? {
                Ok(heard) => return Ok(if waited { Heard::Others } else { heard }),
                Err(OpenError::Busy) if self.bus.now()? < until => waited = true,
                Err(OpenError::Busy) => return Err(CallError::Busy),
                Err(OpenError::Denied { errno }) => return Err(CallError::Inaccessible(errno)),
                Err(OpenError::Gone | OpenError::NotAKey) => return Err(CallError::Gone),
            }
            pause(self.bus, self.key, until).await?;
        }
    }

    /// Sends `request`, a CTAP2 message (`command::CBOR`) or a CTAP1 one (`command::MSG`), and returns the response, `until` at the latest. A key that is
    /// busy with another channel is asked again for 3 seconds, and one that got the request too slowly, since this process was
    /// held up, four times.
    ///
    /// # Errors
    /// See [`CallError`]. After [`CallError::Broken`] and [`CallError::Hid`] the channel has been reset and
    /// another request may be made; after any other the session is of no more use.
    pub async fn call(
        &mut self,
        command: u8,
        request: &[u8],
        until: Moment,
    ) -> Result<Vec<u8>, CallError> {
        let busy_until = self.bus.now()?.after(LOCK_WAIT).min(until);
        let mut again = 0_u32;
        loop {
            match self.call_once(command, request, until).await {
                Err(CallError::Hid(CHANNEL_BUSY)) => {
                    if self.bus.now()? >= busy_until {
                        return Err(CallError::Busy);
                    }
                    pause(self.bus, self.key, busy_until).await?;
                }
                Err(error @ (CallError::Broken(_) | CallError::Hid(_))) => {
                    if error == CallError::Hid(INVALID_CHANNEL) {
                        self.link.forget();
                    } else {
                        let drained = self.bus.now()?.after(DRAIN_MAX).min(until);
                        self.drain(drained).await?;
                    }
                    let reset = self.bus.now()?.after(SILENCE).min(until);
                    self.open_channel(reset).await?;
                    // Not before: a key that waits for a touch ignores INIT, and has to be cancelled.
                    self.owed = false;
                    // The key is not to blame where the scheduler is, or whoever has stopped the process.
                    if error == CallError::Hid(MESSAGE_TIMEOUT)
                        && self.held_up
                        && again < HELD_UP_MAX
                    {
                        again = again.saturating_add(1);
                        continue;
                    }
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
    pub fn now(&self) -> Result<Moment, Fault> {
        self.bus.now()
    }

    async fn call_once(
        &mut self,
        command: u8,
        request: &[u8],
        until: Moment,
    ) -> Result<Vec<u8>, CallError> {
        let reports = self.link.request(command, request).ok_or(CallError::TooLong)?;
        self.owed = true;
        self.held_up = self.send(&reports, until)? >= PROMPT;
        let mut heard = self.bus.now()?;
        loop {
            match self.hear(heard.after(SILENCE), until).await? {
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
                Incoming::Keepalive(_) | Incoming::Partial => heard = self.bus.now()?,
                Incoming::Busy | Incoming::Drained | Incoming::Foreign | Incoming::Opened(_) => {}
            }
        }
    }

    /// Opens or resets the channel. An occupied key answers on the broadcast channel and without our nonce,
    /// or not at all while it waits for a touch: it is asked again every 100 ms.
    async fn open_channel(&mut self, until: Moment) -> Result<(), CallError> {
        let silent_at = self.bus.now()?.after(SILENCE);
        let mut busy = false;
        loop {
            self.nonce = self.nonce.wrapping_add(1);
            let reports = self.link.open(self.nonce.to_be_bytes());
            self.send(&reports, until)?;
            match self.answered(&reports, if busy { until } else { silent_at }, until).await {
                Ok(true) => return Ok(()),
                Ok(false) => busy = true,
                Err(CallError::Elapsed | CallError::Silent) if busy => return Err(CallError::Busy),
                Err(CallError::Elapsed) => return Err(CallError::Silent),
                Err(error) => return Err(error),
            }
            pause(self.bus, self.key, until).await?;
            if self.bus.now()? >= until {
                return Err(CallError::Busy);
            }
        }
    }

    /// The same, of an INIT that was sent as `reports`. To a key that was just plugged in it is sent again every 500 ms, with the
    /// same nonce: whichever answer comes will do, and what comes after it is on the broadcast channel, which is not ours then.
    async fn answered(
        &mut self,
        reports: &[Report],
        silent_at: Moment,
        until: Moment,
    ) -> Result<bool, CallError> {
        while self.bus.is_new(self.key) && !self.link.has_channel() {
            let again_at = self.bus.now()?.after(ASK_AGAIN);
            if again_at >= silent_at {
                break;
            }
            match self.opened(again_at, until).await {
                Err(CallError::Silent) => {}
                other => return other,
            }
            self.send(reports, until)?;
        }
        self.opened(silent_at, until).await
    }

    /// Whether the channel was opened (true) or the key is occupied (false).
    async fn opened(&mut self, silent_at: Moment, until: Moment) -> Result<bool, CallError> {
        loop {
            match self.hear(silent_at, until).await? {
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

    /// Waits for a report of this key, which owes one, and says what it means.
    async fn hear(&mut self, silent_at: Moment, until: Moment) -> Result<Incoming, CallError> {
        let input = self.bus.next_owed(self.key, silent_at.min(until)).await?;
        self.understand(&input, silent_at, until)
    }

    /// The same where it owes nothing.
    async fn overhear(&mut self, silent_at: Moment, until: Moment) -> Result<Incoming, CallError> {
        let input = self.bus.next(self.key, silent_at.min(until)).await?;
        self.understand(&input, silent_at, until)
    }

    fn understand(
        &mut self,
        input: &Input,
        silent_at: Moment,
        until: Moment,
    ) -> Result<Incoming, CallError> {
        match input {
            Input::Report(report) => Ok(self.link.receive(report)),
            Input::Gone => Err(CallError::Gone),
            Input::Elapsed if until <= silent_at => Err(CallError::Elapsed),
            Input::Elapsed => Err(CallError::Silent),
        }
    }

    /// Sends a message, `until` at the latest but for its first report: the bus gives a key up to 5 seconds to
    /// take each. How far apart two of them were at the most. One that did not take it is not asked again, as one that was removed would be: everybody would wait for it each
    /// time.
    fn send(&mut self, reports: &[Report], until: Moment) -> Result<Duration, CallError> {
        let mut begun = self.bus.now()?;
        let mut apart = Duration::ZERO;
        for (index, report) in reports.iter().enumerate() {
            if index != 0 {
                let now = self.bus.now()?;
                apart = apart.max(begun.until(now));
                begun = now;
                if begun >= until {
                    return Err(CallError::Elapsed);
                }
            }
            if let Err(Gone) = self.bus.send(self.key, report)? {
                let stuck = self.bus.now()? >= begun.after(STUCK);
                return Err(if stuck { CallError::Silent } else { CallError::Gone });
            }
        }
        Ok(apart.max(begun.until(self.bus.now()?)))
    }

    /// Reads what still comes: until the final frame of a cancelled request, 200 ms of silence, or `end`.
    async fn drain(&mut self, end: Moment) -> Result<(), CallError> {
        loop {
            let quiet = self.bus.now()?.after(DRAIN_SILENCE);
            match self.overhear(quiet, end).await {
                Ok(Incoming::Drained) => return Ok(()),
                Ok(_) => {}
                Err(CallError::Silent | CallError::Elapsed) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

impl<K: Keys> Drop for Session<'_, '_, K> {
    fn drop(&mut self) {
        self.bus.leave(self.key, std::mem::take(&mut self.link), self.owed);
    }
}

/// Waits a little without missing the deadline; what happens meanwhile is of no interest.
async fn pause<K: Keys>(bus: &Bus<'_, K>, key: KeyId, until: Moment) -> Result<(), Fault> {
    let end = bus.now()?.after(RETRY).min(until);
    while bus.next(key, end).await? != Input::Elapsed {}
    Ok(())
}
