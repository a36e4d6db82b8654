//! The fingerprint reader of a key (CTAP 2.1 section 6.7): what is asked of it, by whom, and what it remembers, is
//! `OpenSK`'s; the finger, the wait for it and how a reading goes are here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fidokey_core::ctap::frame::{Packet, command, parse, reports};
use opensk::api::fingerprint::{
    Ctap2EnrollFeedback, Fingerprint, FingerprintCheckError, FingerprintKind,
};
use opensk::api::persist::Persist as _;
use opensk::ctap::status_code::{Ctap2StatusCode, CtapResult};

use super::Shared;
use super::store::Store;
use super::wire::{SLICE, SharedWire};

/// The longest name of a fingerprint, in bytes.
pub(super) const NAME_MAX: usize = 16;
/// How many fingers there is room for.
const FINGERS_MAX: usize = 2;
/// Good readings of one finger.
const READINGS: usize = 3;
/// The finger that comes for this reading of an enrollment, counted from 1, lies badly.
const BAD_READING: u32 = 2;
/// How long a reading waits when nobody has said.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a waiting key says that it waits.
const KEEPALIVE_INTERVAL: Duration = Duration::from_millis(100);
/// What a keepalive says meanwhile: that a finger is wanted.
const UP_NEEDED: u8 = 2;
/// What an error of the transport says: another transaction is going on.
const CHANNEL_BUSY: u8 = 0x06;

pub(super) struct Reader {
    wire: SharedWire,
    shared: Arc<Shared>,
    store: Store,
    is_fitted: bool,
    enrollment: Option<Enrollment>,
}

/// A finger that is being learnt.
struct Enrollment {
    id: Vec<u8>,
    readings: u32,
    left: usize,
}

impl Reader {
    pub(super) fn new(wire: SharedWire, store: Store, is_fitted: bool) -> Self {
        let shared = wire.borrow().shared();
        Self { wire, shared, store, is_fitted, enrollment: None }
    }

    /// Whether a finger came before `timeout`; the key blinks meanwhile.
    fn await_finger(&self, timeout: Duration, say: bool) -> CtapResult<bool> {
        self.shared.lock().ask();
        let came = self.watch(Instant::now() + timeout, say);
        self.shared.lock().asked = None;
        came
    }

    fn watch(&self, deadline: Instant, say: bool) -> CtapResult<bool> {
        let channel = self.wire.borrow().channel();
        let mut keepalive = Instant::now() + KEEPALIVE_INTERVAL;
        loop {
            let until_touch = {
                let mut state = self.shared.lock();
                if state.take_touch() {
                    return Ok(true);
                }
                state.until_touch().unwrap_or(SLICE)
            };
            let mut wire = self.wire.borrow_mut();
            if wire.is_gone() {
                return Err(Ctap2StatusCode::CTAP2_ERR_VENDOR_HARDWARE_FAILURE);
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(false);
            }
            if say && now >= keepalive {
                keepalive = now + KEEPALIVE_INTERVAL;
                let said = reports(channel, command::KEEPALIVE, &[UP_NEEDED]);
                said.unwrap_or_default().iter().for_each(|report| wire.send(report));
            }
            let Some(received) = wire.receive(until_touch.min(deadline - now).min(SLICE)) else {
                continue;
            };
            match parse(&received) {
                (from, Packet::Initialization { command: command::CANCEL, .. }) => {
                    if from == channel {
                        return Err(Ctap2StatusCode::CTAP2_ERR_KEEPALIVE_CANCEL);
                    }
                }
                (from, Packet::Initialization { .. }) => {
                    let said = reports(from, command::ERROR, &[CHANNEL_BUSY]);
                    said.unwrap_or_default().iter().for_each(|report| wire.send(report));
                }
                (_, Packet::Continuation { .. }) => {}
            }
        }
    }
}

impl Fingerprint for Reader {
    fn prepare_enrollment(&mut self) -> CtapResult<()> {
        self.enrollment = None;
        if !self.is_fitted {
            return Err(Ctap2StatusCode::CTAP1_ERR_INVALID_COMMAND);
        }
        let known = self.store.template_infos()?;
        if known.len() >= FINGERS_MAX {
            return Err(Ctap2StatusCode::CTAP2_ERR_FP_DATABASE_FULL);
        }
        let id = (1..).map(|number: u8| vec![0xf1, number]);
        let free = |id: &Vec<u8>| known.iter().all(|template| template.template_id != *id);
        self.enrollment = id.take(FINGERS_MAX).find(free).map(|id| Enrollment {
            id,
            readings: 0,
            left: READINGS,
        });
        Ok(())
    }

    fn capture_sample(
        &mut self,
        timeout_ms: Option<usize>,
    ) -> CtapResult<(Ctap2EnrollFeedback, usize, Option<Vec<u8>>)> {
        let timeout = timeout_ms.map_or(PATIENCE, |ms| Duration::from_millis(ms as u64));
        let came = self.await_finger(timeout, true)?;
        let enrollment =
            self.enrollment.as_mut().ok_or(Ctap2StatusCode::CTAP2_ERR_VENDOR_INTERNAL_ERROR)?;
        enrollment.readings += u32::from(came);
        let feedback = match (came, enrollment.readings) {
            (false, _) => Ctap2EnrollFeedback::NoUserActivity,
            (true, BAD_READING) => Ctap2EnrollFeedback::FpTooHigh,
            (true, _) => {
                enrollment.left -= 1;
                Ctap2EnrollFeedback::FpGood
            }
        };
        // From the first reading on: an id that `OpenSK` chooses until there is one is not that of the finger that it keeps.
        Ok((feedback, enrollment.left, Some(enrollment.id.clone())))
    }

    fn cancel_enrollment(&mut self) -> CtapResult<()> {
        self.enrollment = None;
        Ok(())
    }

    fn remove_enrollment(&mut self, _: &[u8]) -> CtapResult<()> {
        Ok(())
    }

    fn check_fingerprint_init(&mut self) -> CtapResult<()> {
        Ok(())
    }

    /// Every finger is one that the key knows. `OpenSK` sends the keepalives and has no word for a CANCEL here.
    fn check_fingerprint(&mut self, timeout_ms: usize) -> Result<(), FingerprintCheckError> {
        match self.await_finger(Duration::from_millis(timeout_ms as u64), false) {
            Ok(true) => Ok(()),
            Ok(false) => Err(FingerprintCheckError::Timeout),
            Err(_) => Err(FingerprintCheckError::Other),
        }
    }

    fn check_fingerprint_complete(&mut self) -> CtapResult<()> {
        Ok(())
    }

    fn fingerprint_kind(&self) -> FingerprintKind {
        FingerprintKind::Touch
    }

    fn max_capture_samples_required_for_enroll(&self) -> usize {
        READINGS
    }
}
