//! A world on a simulated clock: keys that are scripts, a machine and a host that are tables.
//!
//! Nothing here waits: time jumps to the next event. So a test of a 30-second deadline takes as long as the
//! code under test computes.

mod commands;
pub mod device;
pub mod registering;
pub mod scripts;
pub mod softkey;
pub mod u2f_key;
pub mod verifier;
pub mod watched;
pub mod world;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use fidokey_core::ports;
use fidokey_core::ports::{
    Fault, Gone, Heard, KeyEvent, KeyId, Keys, Moment, OpenError, Report, Signal,
};

use device::Device;

/// The keys of a simulated machine.
pub struct SimKeys {
    now: Duration,
    slots: Vec<Slot>,
    /// How often the code under test waited: a bound on its work.
    pub waits: u64,
    /// Everything that was done to the keys, in order.
    pub trace: Vec<Step>,
    /// What happens at which time without a key's doing.
    plan: Vec<(Duration, Plan)>,
    /// Fails the n-th call of a port with this.
    pub fault: Option<(u64, Fault)>,
    /// How long every key takes to take a report that continues a message: the kernel waits for up to 5 seconds.
    pub send_takes: Duration,
    /// How long the process does not get its turn before each of the next reports that continue a message.
    pub pauses: VecDeque<Duration>,
    /// Keys that take so many reports and then none, also plugged in anew: the kernel gives up on each after 5 seconds.
    pub stuck: Vec<(KeyId, u64)>,
    calls: u64,
    /// Whether any key is open, for whoever wants to see it from elsewhere.
    pub in_use: Rc<Cell<bool>>,
    /// The signal that is pending.
    pub signal: Option<Signal>,
    /// One that comes when nobody waits any more.
    pub late_signal: Option<Signal>,
    /// How often an interrupt was taken.
    pub interrupts_taken: u32,
    told_until: Duration,
    /// Time that passed while nobody looked at the clock: somebody was typing.
    pub typing: Rc<Cell<Duration>>,
    /// What the system has of every key's device.
    pub described: ports::Device,
}

/// How long a signal that was told is not told again.
const TOLD_EVERY: Duration = Duration::from_millis(10);

/// One thing that was done to a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Opened, with what came of it.
    Open(KeyId, Result<(), OpenError>),
    /// One report sent.
    Send(KeyId, Report),
    /// Left to others while somebody is asked.
    Release(KeyId),
    /// Taken back, with what came of it.
    Retake(KeyId, Result<Heard, OpenError>),
    /// Closed.
    Close(KeyId),
}

struct Slot {
    id: KeyId,
    device: Rc<RefCell<dyn Device>>,
    plugged: bool,
    open: bool,
    /// Another program holds the lock until then.
    locked_until: Duration,
    denied: Option<i32>,
    /// Others have talked to it.
    used_by_others: bool,
    /// Nothing can be read from it, though it stays plugged in.
    broken: bool,
    /// Removed at the n-th thing done to it.
    removed_at: Option<u64>,
    done: u64,
}

enum Plan {
    /// Something was plugged in or out while nobody looked.
    Notice,
    Plug(KeyId),
    /// The same or another key in the same port: another `KeyId` of the same slot.
    Replace(KeyId),
    Signal(Signal),
    /// The process stands still for so long, as after Ctrl-Z.
    Stop(Duration),
    Unplug(KeyId),
    /// Another program has it until then.
    Lock(KeyId, Duration),
}

impl Default for SimKeys {
    fn default() -> Self {
        Self {
            // Not zero: a clock that starts at zero hides mistakes.
            now: Duration::from_secs(1000),
            slots: Vec::new(),
            waits: 0,
            trace: Vec::new(),
            plan: Vec::new(),
            fault: None,
            send_takes: Duration::ZERO,
            pauses: VecDeque::new(),
            stuck: Vec::new(),
            calls: 0,
            in_use: Rc::default(),
            signal: None,
            late_signal: None,
            interrupts_taken: 0,
            told_until: Duration::ZERO,
            typing: Rc::default(),
            described: ports::Device::default(),
        }
    }
}

impl SimKeys {
    /// A machine with this one key plugged in as key 0.
    pub fn with(device: impl Device + 'static) -> Self {
        let mut keys = Self::default();
        keys.add(device);
        keys
    }

    /// Plugs in one more key.
    pub fn add(&mut self, device: impl Device + 'static) -> KeyId {
        self.share(Rc::new(RefCell::new(device)))
    }

    /// Plugs in a key that the test keeps a hand on.
    pub fn share(&mut self, device: Rc<RefCell<dyn Device>>) -> KeyId {
        let id = KeyId(u64::try_from(self.slots.len()).unwrap());
        self.slots.push(Slot {
            id,
            device,
            plugged: true,
            open: false,
            locked_until: Duration::ZERO,
            denied: None,
            used_by_others: false,
            broken: false,
            removed_at: None,
            done: 0,
        });
        id
    }

    /// Lets another program hold the lock on `key` for this long from now.
    pub fn lock(&mut self, key: KeyId, span: Duration) {
        let until = self.now + span;
        self.slot(key).locked_until = until;
    }

    /// Lets another program take the lock on `key` after one span and hold it until a longer one has passed.
    pub fn lock_after(&mut self, key: KeyId, from: Duration, until: Duration) {
        let until = self.now + until;
        self.plan.push((self.now + from, Plan::Lock(key, until)));
    }

    /// Makes opening `key` fail with this error number.
    pub fn deny(&mut self, key: KeyId, errno: i32) {
        self.slot(key).denied = Some(errno);
    }

    /// Makes every read from `key` fail.
    pub fn break_reading(&mut self, key: KeyId) {
        self.slot(key).broken = true;
    }

    /// Sends a signal after this span.
    pub fn signal_after(&mut self, signal: Signal, span: Duration) {
        self.plan.push((self.now + span, Plan::Signal(signal)));
    }

    /// Stops the process after one span for another.
    pub fn stop_after(&mut self, span: Duration, stopped: Duration) {
        self.plan.push((self.now + span, Plan::Stop(stopped)));
    }

    /// Removes `key` after this span.
    pub fn unplug_after(&mut self, key: KeyId, span: Duration) {
        self.plan.push((self.now + span, Plan::Unplug(key)));
    }

    /// Removes `key` now and plugs it in after this span.
    pub fn plug_after(&mut self, key: KeyId, span: Duration) {
        self.slot(key).plugged = false;
        self.plan.push((self.now + span, Plan::Plug(key)));
    }

    /// Removes `key` after one span and plugs it in, or another in its place, after a longer one.
    pub fn replug(&mut self, key: KeyId, removed: Duration, plugged: Duration) {
        self.plan.push((self.now + removed, Plan::Unplug(key)));
        self.plan.push((self.now + plugged, Plan::Replace(key)));
    }

    /// Removes `key` at the n-th open, send or report (from 0).
    pub fn remove_at(&mut self, key: KeyId, step: u64) {
        self.slot(key).removed_at = Some(step);
    }

    /// Whether any key is open.
    pub fn any_open(&self) -> bool {
        self.slots.iter().any(|slot| slot.open)
    }

    /// The time that has passed.
    pub fn elapsed(&self) -> Duration {
        self.now - Duration::from_secs(1000)
    }

    fn slot(&mut self, key: KeyId) -> &mut Slot {
        &mut self.slots[port(key)]
    }

    fn count_call(&mut self) -> Result<(), Fault> {
        self.calls += 1;
        match self.fault {
            Some((at, fault)) if at == self.calls => Err(fault),
            _ => Ok(()),
        }
    }

    fn carry_out(&mut self, plan: Plan) -> KeyEvent {
        match plan {
            Plan::Notice => KeyEvent::Hotplug,
            Plan::Lock(key, until) => {
                self.slot(key).locked_until = until;
                self.slot(key).used_by_others = true;
                KeyEvent::Hotplug
            }
            Plan::Signal(signal) => {
                self.signal = Some(signal);
                self.told_until = self.now + TOLD_EVERY;
                KeyEvent::Signal(signal)
            }
            Plan::Stop(stopped) => {
                self.now += stopped;
                KeyEvent::Elapsed
            }
            Plan::Replace(key) => {
                let slot = self.slot(key);
                slot.plugged = true;
                slot.id.0 += 1 << 32;
                KeyEvent::Hotplug
            }
            Plan::Plug(key) => {
                self.slot(key).plugged = true;
                KeyEvent::Hotplug
            }
            Plan::Unplug(key) => {
                let slot = self.slot(key);
                slot.plugged = false;
                if std::mem::take(&mut slot.open) { KeyEvent::Gone(key) } else { KeyEvent::Hotplug }
            }
        }
    }

    /// Counts a step of `key`; true when the key is removed at this one.
    fn removed_now(&mut self, key: KeyId) -> bool {
        let slot = self.slot(key);
        let removed = slot.removed_at == Some(slot.done);
        slot.done += 1;
        if removed {
            slot.plugged = false;
            slot.open = false;
        }
        removed
    }
}

/// Where a key is plugged in, whichever it is.
fn port(key: KeyId) -> usize {
    (key.0 & 0xffff_ffff) as usize
}

impl Keys for SimKeys {
    fn now(&mut self) -> Result<Moment, Fault> {
        self.count_call()?;
        self.now += self.typing.take();
        Ok(Moment::new(self.now))
    }

    fn plugged(&mut self) -> Result<Vec<KeyId>, Fault> {
        self.count_call()?;
        Ok(self.slots.iter().filter(|slot| slot.plugged).map(|slot| slot.id).collect())
    }

    fn device(&mut self, _key: KeyId) -> ports::Device {
        self.described.clone()
    }

    fn open(&mut self, key: KeyId) -> Result<(), OpenError> {
        let removed = self.removed_now(key);
        let now = self.now;
        let slot = self.slot(key);
        let result = if removed || !slot.plugged || slot.id != key {
            Err(OpenError::Gone)
        } else if let Some(errno) = slot.denied {
            Err(OpenError::Denied { errno })
        } else if now < slot.locked_until {
            Err(OpenError::Busy)
        } else {
            slot.open = true;
            self.in_use.set(true);
            Ok(())
        };
        self.trace.push(Step::Open(key, result));
        result
    }

    fn send(&mut self, key: KeyId, report: &Report) -> Result<(), Gone> {
        if self.removed_now(key) {
            return Err(Gone);
        }
        let open = self.slot(key).open;
        match self.stuck.iter_mut().find(|(stuck, _)| port(*stuck) == port(key)) {
            Some((_, 0)) if open => {
                self.now += Duration::from_secs(5);
                self.slot(key).open = false;
                return Err(Gone);
            }
            Some((_, left)) => *left = left.saturating_sub(1),
            None => {}
        }
        if report[4] & 0x80 == 0 {
            self.now += self.send_takes + self.pauses.pop_front().unwrap_or_default();
        }
        let now = self.now;
        let slot = self.slot(key);
        if !slot.open || !slot.plugged || slot.id != key {
            return Err(Gone);
        }
        slot.device.borrow_mut().receive(now, report);
        self.trace.push(Step::Send(key, *report));
        Ok(())
    }

    fn wait(&mut self, until: Moment) -> Result<KeyEvent, Fault> {
        self.count_call()?;
        self.waits += 1;
        let end = self.now + Moment::new(self.now).until(until);
        if Moment::new(self.now) >= until {
            return Ok(KeyEvent::Elapsed);
        }
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.open && slot.broken) {
            slot.open = false;
            return Ok(KeyEvent::Gone(slot.id));
        }
        let planned = self.plan.iter().map(|(at, _)| *at).min();
        let due = self
            .slots
            .iter()
            .filter(|slot| slot.open)
            .filter_map(|slot| Some((slot.device.borrow().due()?, slot.id)))
            .min();
        let told = self.signal.map(|signal| (self.now.max(self.told_until), signal));
        if let Some((at, signal)) = told
            && at <= end
            && planned.is_none_or(|planned| at <= planned)
            && due.is_none_or(|(due, _)| at <= due.max(self.now))
        {
            self.now = at;
            self.told_until = at + TOLD_EVERY;
            return Ok(KeyEvent::Signal(signal));
        }
        if let Some(at) = planned
            && at <= end
            && due.is_none_or(|(due, _)| at <= due)
        {
            let index = self.plan.iter().position(|(time, _)| *time == at).unwrap();
            let (_, plan) = self.plan.remove(index);
            self.now = self.now.max(at);
            return Ok(self.carry_out(plan));
        }
        match due {
            Some((at, key)) if at <= end => {
                self.now = self.now.max(at);
                let report = self.slot(key).device.borrow_mut().pop();
                if self.removed_now(key) {
                    return Ok(KeyEvent::Gone(key));
                }
                Ok(KeyEvent::Report(key, report))
            }
            _ => {
                self.now = end;
                Ok(KeyEvent::Elapsed)
            }
        }
    }

    fn release(&mut self, key: KeyId) {
        self.trace.push(Step::Release(key));
        // Whoever waits for it may have it now.
        self.in_use.set(false);
    }

    fn retake(&mut self, key: KeyId) -> Result<Heard, OpenError> {
        let removed = self.removed_now(key);
        self.now += self.typing.take();
        let now = self.now;
        // What was to happen while somebody typed has happened.
        while let Some(index) = self.plan.iter().position(|(at, _)| *at <= now) {
            let (_, plan) = self.plan.remove(index);
            if !matches!(self.carry_out(plan), KeyEvent::Signal(_)) {
                // The watch has seen it all the same.
                self.plan.push((now + Duration::from_millis(1), Plan::Notice));
            }
        }
        let slot = self.slot(key);
        let result = if removed || !slot.open || !slot.plugged || slot.id != key {
            slot.open = false;
            Err(OpenError::Gone)
        } else if now < slot.locked_until {
            Err(OpenError::Busy)
        } else {
            let heard = std::mem::take(&mut slot.used_by_others);
            self.in_use.set(true);
            Ok(if heard { Heard::Others } else { Heard::Nothing })
        };
        self.trace.push(Step::Retake(key, result));
        result
    }

    fn close(&mut self, key: KeyId) {
        self.slot(key).open = false;
        self.in_use.set(self.slots.iter().any(|slot| slot.open));
        self.trace.push(Step::Close(key));
    }

    fn pending_signal(&mut self) -> Option<Signal> {
        self.signal.or(self.late_signal)
    }

    fn take_interrupt(&mut self) {
        self.interrupts_taken += 1;
        for pending in [&mut self.signal, &mut self.late_signal] {
            *pending = pending.filter(|signal| *signal != Signal::Interrupt);
        }
    }
}
