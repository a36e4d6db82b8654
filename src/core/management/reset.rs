//! A reset: everything on the key is lost, its PIN and the credentials of every site included (CTAP 2.1 section 6.6).
//! Whether that is meant has been asked before.

use std::time::Duration;

use super::{ManagementError, converse, open, sole};
use crate::ctap::bus::{Bus, Happened};
use crate::ctap::client::KeyError;
use crate::ctap::ctap2::Status;
use crate::ctap::description::Description;
use crate::ctap::management;
use crate::enroll::EnrollError;
use crate::ports::{Host, KeyId, Keys, Machine};
use crate::stage::Stage;

/// What a key of CTAP 2.1 answers to a reset ten seconds after it was plugged in, or later.
const NOT_ALLOWED: Status = Status(0x30);
/// What a key answers that knows no reset.
const INVALID_COMMAND: Status = Status(0x01);

/// Resets the one key that is plugged in: it is unplugged, plugged in again and touched. Keys want that, so that no
/// program resets one behind its owner's back.
///
/// # Errors
/// Why it is as it was, or why that is not known.
pub fn reset<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    patience: Duration,
) -> Result<(), ManagementError> {
    let bus = Bus::new(keys);
    let stage = Stage::new(machine, host);
    let resetting = Resetting { bus: &bus, stage: &stage, patience };
    let done = resetting.run();
    bus.settle();
    done
}

struct Resetting<'s, 'k, 'm, M: Machine, H: Host, K: Keys> {
    bus: &'s Bus<'k, K>,
    stage: &'s Stage<'m, M, H>,
    patience: Duration,
}

impl<M: Machine, H: Host, K: Keys> Resetting<'_, '_, '_, M, H, K> {
    fn run(&self) -> Result<(), ManagementError> {
        let before = sole(self.bus, self.stage, self.patience)?;
        let known = converse(self.bus, before, self.describe(before))?;
        self.bus.see_off();
        self.stage.cue_again("Unplug the key and plug it in again.", self.patience)?;
        let after = self.plugged_anew(before)?;
        converse(self.bus, after, self.reset(after, &known))
    }

    async fn describe(&self, key: KeyId) -> Result<Description, ManagementError> {
        let mut client = open(self.bus, self.stage, key, self.patience).await?;
        if !client.speaks_ctap2() {
            return Err(ManagementError::ResetImpossible);
        }
        let end = self.bus.now()?.after(self.patience);
        Ok(client.describe(end).await?.1)
    }

    /// Waits until the key is gone and one is there. Between the two nobody can have plugged it in for long.
    fn plugged_anew(&self, before: KeyId) -> Result<KeyId, ManagementError> {
        let until = self.bus.now()?.after(self.patience);
        loop {
            match self.bus.plugged()?.as_slice() {
                [] => {}
                [key] if *key == before => {}
                [key] => return Ok(*key),
                _ => return Err(EnrollError::SeveralKeys.into()),
            }
            if self.bus.now()? >= until {
                return Err(ManagementError::NotReplugged);
            }
            if matches!(self.bus.wait(until)?, Happened::Signal(_)) {
                return Err(EnrollError::Cancelled.into());
            }
        }
    }

    async fn reset(&self, key: KeyId, known: &Description) -> Result<(), ManagementError> {
        let mut client = open(self.bus, self.stage, key, self.patience).await?;
        if !client.speaks_ctap2() {
            return Err(ManagementError::OtherKey);
        }
        let end = self.bus.now()?.after(self.patience);
        let (_, description) = client.describe(end).await?;
        // Two of one model nobody can tell apart here; that a wrong one is plugged in is likelier to be another model.
        if (description.aaguid, &description.versions) != (known.aaguid, &known.versions) {
            return Err(ManagementError::OtherKey);
        }
        let text = if description.long_touch_for_reset {
            "Touch the key and hold it until it stops blinking to reset it."
        } else {
            "Touch the key to reset it."
        };
        self.stage.cue_again(text, self.patience)?;
        let end = self.bus.now()?.after(self.patience);
        match client.touch(&management::reset(), end).await {
            Ok(_) => Ok(()),
            Err(KeyError::Status(NOT_ALLOWED)) => Err(ManagementError::ResetLate),
            Err(KeyError::Status(INVALID_COMMAND)) => Err(ManagementError::ResetImpossible),
            Err(KeyError::Status(Status::OPERATION_DENIED)) => Err(ManagementError::ResetDenied),
            Err(error) => Err(error.into()),
        }
    }
}
