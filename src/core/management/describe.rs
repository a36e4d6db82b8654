//! What a key says of itself. Nothing is asked of anybody, and nothing is spent.

use std::time::Duration;

use super::{ManagementError, converse, open, sole};
use crate::ctap::bus::Bus;
use crate::ctap::client::Client;
use crate::ctap::ctap2::Info;
use crate::ctap::description::Description;
use crate::ports::{Host, KeyId, Keys, Machine, Moment};
use crate::stage::Stage;

/// A key, and what it says of itself. Its texts are the key's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Described {
    /// Which one.
    pub key: KeyId,
    /// All that it says; of a first-generation key the version alone.
    pub description: Description,
    /// Whether it speaks CTAP2.
    pub second_generation: bool,
    /// Its PIN.
    pub pin: PinState,
    /// Tries of its own verification that are left, where it has one that is set up and says so.
    pub uv_tries: Option<u8>,
}

/// The state of a key's PIN.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PinState {
    /// It cannot have one.
    Impossible,
    /// It has none.
    NotSet,
    /// It has one.
    Set {
        /// Tries that are left, where it says so.
        left: Option<u8>,
        /// It takes no PIN until it is plugged in anew.
        replug: bool,
        /// It has to be changed before it is of use.
        change_required: bool,
    },
}

/// Has the one key that is plugged in describe itself.
///
/// # Errors
/// Why it did not.
pub fn describe<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    patience: Duration,
) -> Result<Described, ManagementError> {
    let bus = Bus::new(keys);
    let stage = Stage::new(machine, host);
    let described = sole(&bus, &stage, patience).map_err(Into::into).and_then(|key| {
        converse(&bus, key, async {
            let mut client = open(&bus, &stage, key, patience).await?;
            let end = bus.now()?.after(patience);
            ask(&mut client, key, end).await
        })
    });
    bus.settle();
    described
}

async fn ask<K: Keys>(
    client: &mut Client<'_, '_, K>,
    key: KeyId,
    end: Moment,
) -> Result<Described, ManagementError> {
    if !client.speaks_ctap2() {
        let version = client.u2f_version(end).await?;
        return Ok(Described {
            key,
            description: Description { versions: vec![version], ..Description::default() },
            second_generation: false,
            pin: PinState::Impossible,
            uv_tries: None,
        });
    }
    let (info, description) = client.describe(end).await?;
    let pin = pin(client, &info, end).await?;
    // Not every key that verifies by itself can be asked for this, and nothing depends on it.
    let uv_tries = match (info.built_in_uv, info.pin_protocol) {
        (Some(true), Some(protocol)) => client.uv_retries(protocol, end).await.ok(),
        _ => None,
    };
    Ok(Described { key, description, second_generation: true, pin, uv_tries })
}

async fn pin<K: Keys>(
    client: &mut Client<'_, '_, K>,
    info: &Info,
    end: Moment,
) -> Result<PinState, ManagementError> {
    match info.client_pin {
        None => return Ok(PinState::Impossible),
        Some(false) => return Ok(PinState::NotSet),
        Some(true) => {}
    }
    let change_required = info.force_pin_change;
    let Some(protocol) = info.pin_protocol else {
        return Ok(PinState::Set { left: None, replug: false, change_required });
    };
    let retries = client.pin_retries(protocol, end).await?;
    Ok(PinState::Set { left: Some(retries.left), replug: retries.power_cycle, change_required })
}
