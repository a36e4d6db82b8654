//! One try of a PIN that somebody wants to make on purpose: where few are left, a login makes none, and the right one
//! gives all of them back.

use crate::credential::RpId;
use crate::ctap::bus::Bus;
use crate::ctap::client::Client;
use crate::ctap::client_pin::Permission;
use crate::enroll::EnrollError;
use crate::management::sole;
use crate::pin_exchange::{self, Terms};
use crate::ports::{Host, KeyId, Keys, Machine};
use crate::stage::Stage;
use std::time::Duration;

/// Asks for the PIN of the one key that is plugged in, and has the key judge it: one try is spent, or all of them are
/// given back. How many are left then.
///
/// # Errors
/// Why it was not tried, or that it was wrong.
pub fn check_pin<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    patience: Duration,
) -> Result<u8, EnrollError> {
    let bus = Bus::new(keys);
    let stage = Stage::new(machine, host);
    let checked = sole(&bus, &stage, patience)
        .and_then(|key| bus.alone(key, check(&bus, &stage, key, patience))?);
    bus.settle();
    checked
}

async fn check<M: Machine, H: Host, K: Keys>(
    bus: &Bus<'_, K>,
    stage: &Stage<'_, M, H>,
    key: KeyId,
    patience: Duration,
) -> Result<u8, EnrollError> {
    let nonce = u64::from_be_bytes(stage.random()?);
    let end = bus.now()?.after(patience);
    let mut client = Client::open(bus, key, nonce, end).await?;
    if !client.speaks_ctap2() {
        return Err(EnrollError::Unverifying);
    }
    let info = client.info(end).await?;
    let (protocol, left) = pin_exchange::may_be_asked(&mut client, &info, 0, end).await?;
    let introduction = format!("Enter the PIN of the key. Tries left: {left}.");
    let terms = Terms { protocol, guard: 0, slept: stage.asleep(bus.now()?)? };
    let pin = pin_exchange::typed(stage, &mut client, &introduction, terms, end).await?;
    let rp_id = RpId::default();
    let scope = (protocol, Permission::GetAssertion, rp_id.as_str());
    let end = bus.now()?.after(patience);
    let _unused = pin_exchange::token(stage, &mut client, &info, &pin, scope, end).await?;
    Ok(client.pin_retries(protocol, end).await?.left)
}
