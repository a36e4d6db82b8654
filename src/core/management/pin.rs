//! A key's first PIN, or another one than it has (CTAP 2.1 sections 6.5.5.5 and 6.5.5.6).

use std::time::Duration;

use super::{ManagementError, converse, open, sole};
use crate::ctap::bus::Bus;
use crate::ctap::client::{Client, Exchange, KeyError};
use crate::ctap::ctap2::{Info, Status};
use crate::ctap::description::Description;
use crate::ctap::pin_protocol::PinProtocol;
use crate::enroll::EnrollError;
use crate::pin::{PIN_MIN, Pin, PinHash};
use crate::pin_exchange::{self, NoToken};
use crate::ports::{Heard, Host, KeyId, Keys, Machine};
use crate::stage::Stage;

/// What stands where the new PIN is typed.
const NEW: &str = "New PIN: ";
const AGAIN: &str = "The new PIN again: ";
/// What stands where the one is typed that the key has.
const OLD: &str = "The PIN it has now: ";

/// Gives the one key that is plugged in its first PIN, which is typed twice.
///
/// # Errors
/// Why it has none now, or why that is not known.
pub fn set_pin<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    patience: Duration,
) -> Result<(), ManagementError> {
    with_new_pin(machine, host, keys, patience, false)
}

/// Changes the PIN of the one key that is plugged in: the one that it has is typed once, the new one twice. One try is
/// spent where the one is wrong.
///
/// # Errors
/// Why it has the old one still, or why that is not known.
pub fn change_pin<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    patience: Duration,
) -> Result<(), ManagementError> {
    with_new_pin(machine, host, keys, patience, true)
}

fn with_new_pin<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    patience: Duration,
    has_one: bool,
) -> Result<(), ManagementError> {
    let bus = Bus::new(keys);
    let stage = Stage::new(machine, host);
    let new = New { bus: &bus, stage: &stage, patience };
    let done = sole(&bus, &stage, patience)
        .map_err(Into::into)
        .and_then(|key| converse(&bus, key, new.give(key, has_one)));
    bus.settle();
    done
}

struct New<'s, 'k, 'm, M: Machine, H: Host, K: Keys> {
    bus: &'s Bus<'k, K>,
    stage: &'s Stage<'m, M, H>,
    patience: Duration,
}

impl<M: Machine, H: Host, K: Keys> New<'_, '_, '_, M, H, K> {
    async fn give(&self, key: KeyId, has_one: bool) -> Result<(), ManagementError> {
        let mut client = open(self.bus, self.stage, key, self.patience).await?;
        if !client.speaks_ctap2() {
            return Err(ManagementError::PinImpossible);
        }
        let end = self.bus.now()?.after(self.patience);
        let (info, description) = client.describe(end).await?;
        let protocol = protocol(&info, has_one)?;
        let slept = self.stage.asleep(self.bus.now()?)?;
        let mut introduction = None;
        if has_one {
            let left = pin_exchange::tries_left(&mut client, protocol, 0, end).await?;
            introduction = Some(format!("Tries left for the PIN it has now: {left}."));
        }
        let mut ask = || self.ask(introduction.as_deref(), least(&description));
        let (pins, heard, end) =
            pin_exchange::released(self.stage, &mut client, slept, end, &mut ask).await?;
        if has_one && heard == Heard::Others {
            pin_exchange::tries_left(&mut client, protocol, 0, end).await?;
        }
        self.send(&mut client, protocol, &pins).await
    }

    /// Has the PINs typed: the one that the key has, where it has one, and the new one.
    fn ask(
        &self,
        introduction: Option<&str>,
        least: usize,
    ) -> Result<(Option<PinHash>, Pin), ManagementError> {
        let mut old = None;
        if let Some(introduction) = introduction {
            self.stage.show(introduction)?;
            old = Some(pin_exchange::ask_once(self.stage, OLD, PinHash::of)?);
        }
        self.stage.show(&format!("Choose a PIN of {least} to 63 characters."))?;
        let new = pin_exchange::ask_once(self.stage, NEW, Pin::of)?;
        if new.characters() < least {
            return Err(ManagementError::PinTooShort(least));
        }
        match pin_exchange::ask_once(self.stage, AGAIN, Pin::of) {
            Ok(again) if again.bytes() == new.bytes() => Ok((old, new)),
            Ok(_) | Err(NoToken::Declined | NoToken::Unfit) => Err(ManagementError::PinsDiffer),
            Err(error) => Err(error.into()),
        }
    }

    async fn send(
        &self,
        client: &mut Client<'_, '_, K>,
        protocol: PinProtocol,
        (old, new): &(Option<PinHash>, Pin),
    ) -> Result<(), ManagementError> {
        let end = self.bus.now()?.after(self.patience);
        let (shared, ours) = pin_exchange::agree(self.stage, client, protocol, end).await?;
        let randoms: [[u8; 16]; 2] = [self.stage.random()?, self.stage.random()?];
        let [random, other] = &randoms;
        let exchange = Exchange { shared: &shared, ours: &ours, random, scope: None };
        let old = old.as_ref().map(|hash| (hash, other));
        match client.set_pin(&exchange, old, new, end).await {
            Ok(()) => Ok(()),
            Err(KeyError::Status(Status::PIN_POLICY_VIOLATION)) => Err(ManagementError::PinRefused),
            Err(KeyError::Status(Status::PIN_INVALID)) => {
                Err(pin_exchange::wrong(client, protocol, end).await.into())
            }
            Err(error) => Err(NoToken::from(error).into()),
        }
    }
}

/// The protocol to use with a key that says this of itself, where it has a PIN, or none, as it is meant to.
fn protocol(info: &Info, has_one: bool) -> Result<PinProtocol, ManagementError> {
    match (info.client_pin, has_one) {
        (None, _) => return Err(ManagementError::PinImpossible),
        (Some(true), false) => return Err(ManagementError::PinAlreadySet),
        (Some(false), true) => return Err(EnrollError::PinNotSet.into()),
        (Some(true), true) | (Some(false), false) => {}
    }
    info.pin_protocol.ok_or(EnrollError::Unverifying.into())
}

/// The fewest characters that the key takes. What no PIN can have is as good as not said: the key will refuse it.
fn least(description: &Description) -> usize {
    description
        .min_pin_length
        .and_then(|least| usize::try_from(least).ok())
        .filter(|least| (PIN_MIN..=crate::pin::PIN_MAX).contains(least))
        .unwrap_or(PIN_MIN)
}
