//! What `OpenSK` needs from the hardware: a real clock, a finger, a wire, a memory.

use std::rc::Rc;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use opensk::api::clock::Clock;
use opensk::api::connection::{HidConnection, RecvStatus, UsbEndpoint};
use opensk::api::crypto::software_crypto::SoftwareCrypto;
use opensk::api::customization::CustomizationImpl;
use opensk::api::key_store;
use opensk::api::rng::rand_core::SeedableRng as _;
use opensk::api::user_presence::{UserPresence, UserPresenceError, UserPresenceWaitResult};
use opensk::ctap::status_code::{Ctap2StatusCode, CtapResult};
use opensk::env::Env;
use opensk::env::test::TestRng;

use super::packet::Report;
use super::reader::Reader;
use super::run::Firmware;
use super::store::Store;
use super::wire::{SLICE, SharedWire};
use super::{Shared, State};

pub(super) struct KeyEnv {
    clock: MonotonicClock,
    connection: Connection,
    customization: CustomizationImpl,
    finger: Finger,
    reader: Reader,
    rng: TestRng,
    store: Store,
}

impl KeyEnv {
    pub(super) fn new(firmware: Firmware, wire: &SharedWire) -> Self {
        Self {
            clock: MonotonicClock,
            connection: Connection(Rc::clone(wire)),
            customization: firmware.customization,
            finger: Finger { wire: Rc::clone(wire), shared: wire.borrow().shared() },
            reader: Reader::new(Rc::clone(wire), firmware.store.clone(), firmware.has_reader),
            rng: TestRng::from_seed(firmware.seed),
            store: firmware.store,
        }
    }
}

pub(super) struct Connection(SharedWire);

impl HidConnection for Connection {
    fn send(&mut self, report: &Report, _: UsbEndpoint) -> CtapResult<()> {
        self.0.borrow_mut().send(report);
        Ok(())
    }

    fn recv(&mut self, report: &mut Report, timeout_ms: usize) -> CtapResult<RecvStatus> {
        Ok(match self.0.borrow_mut().receive(milliseconds(timeout_ms)) {
            Some(received) => {
                *report = received;
                RecvStatus::Received(UsbEndpoint::MainHid)
            }
            None => RecvStatus::Timeout,
        })
    }
}

pub(super) struct Finger {
    wire: SharedWire,
    shared: Arc<Shared>,
}

impl UserPresence for Finger {
    fn check_init(&mut self) {
        self.shared.lock().ask();
    }

    /// Ends with the touch, with a packet for the firmware to judge (CANCEL, or somebody else's), or when
    /// it is time for a keepalive.
    fn wait_with_timeout(
        &mut self,
        packet: &mut Report,
        timeout_ms: usize,
    ) -> UserPresenceWaitResult {
        let deadline = Instant::now() + milliseconds(timeout_ms);
        loop {
            let until_touch = {
                let mut state: MutexGuard<'_, State> = self.shared.lock();
                if state.take_touch() {
                    return Ok((Ok(()), RecvStatus::Timeout));
                }
                state.until_touch().unwrap_or(SLICE)
            };
            let mut wire = self.wire.borrow_mut();
            if wire.is_gone() {
                return Err(Ctap2StatusCode::CTAP2_ERR_VENDOR_HARDWARE_FAILURE);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok((Err(UserPresenceError::Timeout), RecvStatus::Timeout));
            }
            if let Some(received) = wire.receive(left.min(until_touch).min(SLICE)) {
                *packet = received;
                let status = RecvStatus::Received(UsbEndpoint::MainHid);
                return Ok((Err(UserPresenceError::Timeout), status));
            }
        }
    }

    fn check_complete(&mut self) {
        self.shared.lock().asked = None;
    }
}

pub(super) struct MonotonicClock;

/// How long `OpenSK` waits for the next report of a message, and makes no other timer. Where it is at home a report is read
/// when it comes; the thread that reads it here may not have got its turn, and gives it ten times as long.
const NEXT_REPORT_MS: usize = 100;

/// The moment at which a timer ends; none has ended.
#[derive(Default)]
pub(super) struct Timer(Option<Instant>);

impl Clock for MonotonicClock {
    type Timer = Timer;

    fn make_timer(&mut self, ms: usize) -> Timer {
        let ms = if ms == NEXT_REPORT_MS { ms * 10 } else { ms };
        Timer(Some(Instant::now() + milliseconds(ms)))
    }

    fn is_elapsed(&mut self, timer: &Timer) -> bool {
        timer.0.is_none_or(|end| end <= Instant::now())
    }
}

pub(super) struct NoDebugging;

impl std::fmt::Write for NoDebugging {
    fn write_str(&mut self, _: &str) -> std::fmt::Result {
        Ok(())
    }
}

impl key_store::Helper for KeyEnv {}

impl Env for KeyEnv {
    type Clock = MonotonicClock;
    type Crypto = SoftwareCrypto;
    type Customization = CustomizationImpl;
    type Fingerprint = Reader;
    type HidConnection = Connection;
    type KeyStore = Self;
    type Persist = Store;
    type Rng = TestRng;
    type UserPresence = Finger;
    type Write = NoDebugging;

    fn rng(&mut self) -> &mut TestRng {
        &mut self.rng
    }

    fn user_presence(&mut self) -> &mut Finger {
        &mut self.finger
    }

    fn persist(&mut self) -> &mut Store {
        &mut self.store
    }

    fn key_store(&mut self) -> &mut Self {
        self
    }

    fn clock(&mut self) -> &mut MonotonicClock {
        &mut self.clock
    }

    fn write(&mut self) -> NoDebugging {
        NoDebugging
    }

    fn customization(&self) -> &CustomizationImpl {
        &self.customization
    }

    fn fingerprint(&mut self) -> &mut Reader {
        &mut self.reader
    }

    fn hid_connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    fn boots_after_soft_reset(&self) -> bool {
        false
    }
}

fn milliseconds(count: usize) -> Duration {
    Duration::from_millis(count as u64)
}
