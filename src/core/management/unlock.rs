//! The PIN of a key that keeps something to be managed, found right by the key: whoever goes on with it, in whatever
//! way, spends no try.

use std::time::Duration;

use super::{ManagementError, converse, open, sole};
use crate::ctap::bus::Bus;
use crate::ctap::client_pin::Permission;
use crate::ctap::description::Description;
use crate::ctap::pin_protocol::PinProtocol;
use crate::enroll::EnrollError;
use crate::pin::Pin;
use crate::pin_exchange;
use crate::ports::{Heard, Host, KeyId, Keys, Machine};
use crate::stage::Stage;

/// What a key keeps that can be managed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Feature {
    /// Credentials that it finds by itself (CTAP 2.1 section 6.8).
    Credentials,
    /// The fingerprints that it knows (section 6.7).
    Fingerprints,
}

impl Feature {
    /// How a key that says this of itself has it managed: `Some(true)` by the commands that came before CTAP 2.1.
    fn preview(self, description: &Description) -> Option<bool> {
        let said = |name: &str| description.option(name);
        match self {
            Self::Credentials if said("credMgmt") == Some(true) => Some(false),
            Self::Credentials if said("credentialMgmtPreview") == Some(true) => Some(true),
            // Its value is whether there are any.
            Self::Fingerprints if said("bioEnroll").is_some() => Some(false),
            Self::Fingerprints if said("userVerificationMgmtPreview").is_some() => Some(true),
            Self::Credentials | Self::Fingerprints => None,
        }
    }

    const fn permission(self) -> Permission {
        match self {
            Self::Credentials => Permission::CredentialManagement,
            Self::Fingerprints => Permission::BioEnrollment,
        }
    }
}

/// A key and its PIN.
#[derive(Debug)]
pub struct Unlocked {
    /// Which key; it is closed.
    pub key: KeyId,
    /// Its PIN: the key has said that it is right.
    pub pin: Pin,
    /// Whether it has this managed by the commands that came before CTAP 2.1.
    pub preview: bool,
    /// The PIN protocol to use with it.
    pub protocol: PinProtocol,
}

/// Asks for the PIN of the one key that is plugged in and has the key judge it. Keys that have nothing of `feature` are
/// not asked for it.
///
/// # Errors
/// Why not, or that it was wrong.
pub fn unlock<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    feature: Feature,
    patience: Duration,
) -> Result<Unlocked, ManagementError> {
    let bus = Bus::new(keys);
    let stage = Stage::new(machine, host);
    let unlocked = sole(&bus, &stage, patience)
        .map_err(Into::into)
        .and_then(|key| converse(&bus, key, ask(&bus, &stage, key, feature, patience)));
    bus.settle();
    unlocked
}

async fn ask<M: Machine, H: Host, K: Keys>(
    bus: &Bus<'_, K>,
    stage: &Stage<'_, M, H>,
    key: KeyId,
    feature: Feature,
    patience: Duration,
) -> Result<Unlocked, ManagementError> {
    let mut client = open(bus, stage, key, patience).await?;
    if !client.speaks_ctap2() {
        return Err(ManagementError::NoFeature(feature));
    }
    let end = bus.now()?.after(patience);
    let (info, description) = client.describe(end).await?;
    let preview = feature.preview(&description).ok_or(ManagementError::NoFeature(feature))?;
    if info.client_pin != Some(true) {
        return Err(EnrollError::PinNotSet.into());
    }
    if info.force_pin_change {
        return Err(EnrollError::PinChangeRequired.into());
    }
    let protocol = info.pin_protocol.ok_or(EnrollError::Unverifying)?;
    let left = pin_exchange::tries_left(&mut client, protocol, 0, end).await?;
    let slept = stage.asleep(bus.now()?)?;
    let introduction = format!("Enter the PIN of the key. Tries left: {left}.");
    let mut type_it = || {
        stage.show(&introduction)?;
        pin_exchange::ask_once(stage, pin_exchange::PROMPT, Pin::of)
    };
    let (pin, heard, end) =
        pin_exchange::released(stage, &mut client, slept, end, &mut type_it).await?;
    if heard == Heard::Others {
        pin_exchange::tries_left(&mut client, protocol, 0, end).await?;
    }
    let end = bus.now()?.after(patience);
    let scope = (protocol, feature.permission(), "");
    let hash = pin.hash();
    let _unused = pin_exchange::token(stage, &mut client, &info, &hash, scope, end).await?;
    Ok(Unlocked { key, pin, preview, protocol })
}
