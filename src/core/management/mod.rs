//! What is done to a key itself, whoever it belongs to: it is looked at, gets a PIN, is reset, or gives its PIN's holder
//! access to what it keeps. One key at a time, so that it is the one that is meant.

use std::future::Future;
use std::time::Duration;

use crate::ctap::bus::{Bus, Happened};
use crate::ctap::client::Client;
use crate::enroll::EnrollError;
use crate::ports::{Host, KeyId, Keys, Machine};
use crate::race::Race;
use crate::stage::Stage;

mod describe;
mod error;
mod pin;
mod reset;
mod unlock;

pub use describe::{Described, PinState, describe};
pub use error::ManagementError;
pub use pin::{change_pin, set_pin};
pub use reset::reset;
pub use unlock::{Feature, Unlocked, unlock};

/// How long to wait for an event where the conversation says when it goes on anyway.
const LOOK: Duration = Duration::from_secs(1);

/// The one key that is plugged in, or will be.
pub(crate) fn sole<M: Machine, H: Host, K: Keys>(
    bus: &Bus<'_, K>,
    stage: &Stage<'_, M, H>,
    patience: Duration,
) -> Result<KeyId, EnrollError> {
    let until = bus.now()?.after(patience);
    loop {
        match bus.plugged()?.as_slice() {
            [] => stage.invite(patience)?,
            [key] => return Ok(*key),
            _ => return Err(EnrollError::SeveralKeys),
        }
        if bus.now()? >= until {
            return Err(EnrollError::NoKey);
        }
        if matches!(bus.wait(until)?, Happened::Signal(_)) {
            return Err(EnrollError::Cancelled);
        }
    }
}

/// Has one conversation with `key`, which a signal ends: what the key was asked is cancelled then.
fn converse<K: Keys, T>(
    bus: &Bus<'_, K>,
    key: KeyId,
    talk: impl Future<Output = Result<T, ManagementError>>,
) -> Result<T, ManagementError> {
    let mut race = Race::default();
    bus.begin(key)?;
    race.enter(key, talk);
    loop {
        if let Some((_, outcome)) = race.step(bus)? {
            return outcome;
        }
        // The conversation has its own ends, and wakes this then.
        let until = bus.now()?.after(LOOK);
        if matches!(bus.wait(until)?, Happened::Signal(_)) {
            return Err(EnrollError::Cancelled.into());
        }
    }
}

/// The one key that is plugged in, opened, and all that is said to it.
async fn open<'b, 'k, M: Machine, H: Host, K: Keys>(
    bus: &'b Bus<'k, K>,
    stage: &Stage<'_, M, H>,
    key: KeyId,
    patience: Duration,
) -> Result<Client<'b, 'k, K>, ManagementError> {
    let nonce = u64::from_be_bytes(stage.random()?);
    let end = bus.now()?.after(patience);
    Ok(Client::open(bus, key, nonce, end).await?)
}
