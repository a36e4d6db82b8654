//! A registration: the key that is touched makes a credential, and a fresh login assertion with it must verify
//! before anybody may write it into a record.

use std::cell::Cell;
use std::time::Duration;

use crate::assertion::{Challenge, Subject};
use crate::attestation::{Admission, Attestation};
use crate::credential::{Algorithm, Credential, KeyName, RpId, Verification};
use crate::ctap::bus::{Bus, Happened};
use crate::ctap::client::Client;
use crate::key_name;
use crate::models::{self, Advisory};
use crate::ports::{Account, Fault, Host, KeyId, Keys, Machine, Moment, Origin};
use crate::race::Race;
use crate::record::CREDENTIALS_MAX;
use crate::stage::Stage;

pub use error::EnrollError;

mod error;
mod fido2;
mod first_generation;

use fido2::is_protected;

/// What the user reads before the touch that registers, and before the one that proves.
const CUE: &str = "Touch your security key to register it.";
const CUE_TO_PROVE: &str = "Touch it again to test it.";

/// What is to be registered, for whom.
#[derive(Clone, Copy, Debug)]
pub struct Enrollment<'a> {
    /// The account.
    pub account: &'a Account,
    /// Its credentials so far: none of them is made twice.
    pub existing: &'a [Credential],
    /// The name of the new key, not among the existing ones; `None` for that of its model.
    pub name: Option<&'a KeyName>,
    /// The algorithms that the credential may have, the most wanted one first.
    pub algorithms: &'a [Algorithm],
    /// Which keys may be registered.
    pub admission: Admission<'a>,
    /// The relying party id to bind the credential to.
    pub rp_id: &'a RpId,
    /// What a login with it must prove beyond the touch, whatever the policy says.
    pub verification: Verification,
    /// What the policy wants of logins beyond the touch: that much is proven now.
    pub policy: Verification,
    /// With so many tries of a PIN left, or fewer, it is not asked for.
    pub pin_guard: u8,
    /// How long to wait for a key to be plugged in, and for each of the two touches.
    pub patience: Duration,
    /// When this is, as RFC 3339 in UTC; only shown.
    pub added: &'a str,
    /// Who does this; only shown.
    pub added_by: &'a str,
}

impl Enrollment<'_> {
    /// What must be proven beyond the touches.
    fn proof(&self) -> Verification {
        self.verification.max(self.policy)
    }

    /// Whether a key of that model, which attests itself like that, may be registered.
    fn admit(
        &self,
        aaguid: Option<[u8; 16]>,
        attestation: impl FnOnce() -> Attestation,
    ) -> Result<(), EnrollError> {
        let admitted =
            self.admission.model(aaguid).and_then(|()| self.admission.attested(attestation));
        admitted.map_err(EnrollError::NotAdmitted)
    }

    /// What a key is called whose device calls itself `product`, and the name that it gets.
    fn names(
        &self,
        product: &[u8],
        aaguid: Option<[u8; 16]>,
    ) -> Result<(KeyName, KeyName), EnrollError> {
        let model = key_name::of_model(product, aaguid);
        let name = match self.name {
            Some(name) => name.clone(),
            None => key_name::free(&model, self.existing).ok_or(EnrollError::Full)?,
        };
        Ok((model, name))
    }
}

/// A key that was registered and has proven itself.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// The new credential.
    pub credential: Credential,
    /// What its model is called: the name that the credential has where none was chosen, less the number that tells it
    /// from others. For whoever finds the name taken when it is to be written.
    pub model: KeyName,
    /// What is known against the model.
    pub advisory: Option<Advisory>,
    /// Whether the key, as it is now, can verify who touches it: it has a PIN, or a reader that knows somebody.
    pub verifies: bool,
}

/// Registers a key and proves it with a login: two touches. Where several keys are plugged in all of them ask for the
/// first touch, and the one that is touched is meant; the others are cancelled.
///
/// # Errors
/// Why not; nothing has to be undone then.
pub fn enroll<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    enrollment: &Enrollment<'_>,
) -> Result<Enrolled, EnrollError> {
    if enrollment.existing.len() >= CREDENTIALS_MAX {
        return Err(EnrollError::Full);
    }
    if enrollment.existing.iter().any(|known| Some(&known.name) == enrollment.name) {
        return Err(EnrollError::NameTaken);
    }
    let bus = Bus::new(keys);
    let stage = Stage::new(machine, host);
    let chosen = Cell::new(None);
    let registered = choose(Registering { bus: &bus, stage: &stage, enrollment, chosen: &chosen });
    bus.settle();
    registered
}

/// What every key is asked, and which of them was touched.
struct Registering<'s, 'k, 'm, M: Machine, H: Host, K: Keys> {
    bus: &'s Bus<'k, K>,
    stage: &'s Stage<'m, M, H>,
    enrollment: &'s Enrollment<'s>,
    chosen: &'s Cell<Option<KeyId>>,
}

impl<M: Machine, H: Host, K: Keys> Clone for Registering<'_, '_, '_, M, H, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Machine, H: Host, K: Keys> Copy for Registering<'_, '_, '_, M, H, K> {}

/// Has all keys ask for a touch, and goes on with the one that has it.
fn choose<M: Machine, H: Host, K: Keys>(
    registering: Registering<'_, '_, '_, M, H, K>,
) -> Result<Enrolled, EnrollError> {
    let Registering { bus, stage, enrollment, chosen } = registering;
    let until = bus.now()?.after(enrollment.patience);
    let mut race = Race::default();
    let mut known: Vec<KeyId> = Vec::new();
    let mut failed = None;
    let mut look = true;
    let mut cleared = false;
    loop {
        // Before the first touch only: what comes later is another key than the one that was chosen.
        if std::mem::take(&mut look) && chosen.get().is_none() {
            let plugged = bus.plugged()?;
            let sole = plugged.len() == 1 && race.is_over();
            for key in plugged {
                if !known.contains(&key) {
                    known.push(key);
                    bus.begin(key)?;
                    race.enter(key, register(registering, key, sole));
                }
            }
        }
        while let Some((key, outcome)) = race.step(bus)? {
            match outcome {
                Ok(enrolled) => return Ok(enrolled),
                Err(error) if chosen.get() == Some(key) => return Err(error),
                // Another key may do; where none does, it is the first one's error that is told.
                Err(error) => failed = failed.or(Some(error)),
            }
            // Before the chosen one goes on.
            cleared = clear(bus, &mut race, chosen.get(), cleared)?;
        }
        if clear(bus, &mut race, chosen.get(), cleared)? != cleared {
            cleared = true;
            continue;
        }
        if race.is_over() {
            if let Some(error) = failed {
                return Err(error);
            }
            if bus.now()? >= until {
                return Err(EnrollError::NoKey);
            }
            stage.invite(enrollment.patience)?;
        }
        // The conversations have their own ends.
        let wait = if race.is_over() { until } else { bus.now()?.after(enrollment.patience) };
        match bus.wait(wait)? {
            Happened::Hotplug => look = true,
            Happened::Progress => {}
            Happened::Signal(_) => return Err(EnrollError::Cancelled),
        }
    }
}

/// Leaves all keys in peace but the one that was chosen: nobody looks after them while a PIN is typed. Whether that is
/// done.
fn clear<K: Keys, T>(
    bus: &Bus<'_, K>,
    race: &mut Race<'_, T>,
    chosen: Option<KeyId>,
    cleared: bool,
) -> Result<bool, EnrollError> {
    if let (Some(key), false) = (chosen, cleared) {
        race.only(key);
        bus.forget_wakes()?;
        bus.see_off();
        return Ok(true);
    }
    Ok(cleared)
}

/// The registration of one key: the touch that makes the credential, and the one that proves it.
async fn register<M: Machine, H: Host, K: Keys>(
    registering: Registering<'_, '_, '_, M, H, K>,
    key: KeyId,
    sole: bool,
) -> Result<Enrolled, EnrollError> {
    let Registering { bus, stage, enrollment, chosen } = registering;
    let nonce = u64::from_be_bytes(stage.random()?);
    let until = bus.now()?.after(enrollment.patience);
    let client = Client::open(bus, key, nonce, until).await?;
    let is_touched = || chosen.set(Some(key));
    let device = bus.device(key)?;
    let mut talk = Talk { stage, enrollment, client, is_touched, product: &device.product, sole };
    let (made, info) = if talk.client.speaks_ctap2() {
        let (made, info) = talk.fido2(until).await?;
        (made, Some(info))
    } else if enrollment.proof() == Verification::Required {
        return Err(EnrollError::Unverifying);
    } else {
        let made = talk.u2f_make(until).await?;
        talk.client.turn().await?;
        talk.u2f_prove(&made.credential).await?;
        (made, None)
    };
    let Made { credential, model } = made;
    let firmware = info.as_ref().and_then(|info| info.firmware);
    let advisory = models::advisory(credential.aaguid, firmware, device.usb);
    let verifies = info.as_ref().is_some_and(is_protected);
    Ok(Enrolled { credential, model, advisory, verifies })
}

/// A new credential, which has yet to prove itself, and what its model is called.
struct Made {
    credential: Credential,
    model: KeyName,
}

/// The conversation with one key.
struct Talk<'s, 'b, 'k, 'm, M: Machine, H: Host, K: Keys, F: Fn()> {
    stage: &'s Stage<'m, M, H>,
    enrollment: &'s Enrollment<'s>,
    client: Client<'b, 'k, K>,
    /// Called when it has got its first touch.
    is_touched: F,
    /// What its device calls itself.
    product: &'s [u8],
    /// No other key was plugged in when this one was.
    sole: bool,
}

impl<M: Machine, H: Host, K: Keys, F: Fn()> Talk<'_, '_, '_, '_, M, H, K, F> {
    /// The challenge of the login that proves the new credential.
    fn login_challenge(&self, credential: &Credential) -> Result<Challenge, Fault> {
        let origin = Origin { service: "fidokey-enroll".to_owned(), ..Origin::default() };
        let account = self.enrollment.account;
        let who = Subject { uid: account.uid, user: account.name.as_str(), origin: &origin };
        self.stage.challenge(&credential.rp_id, &who)
    }

    /// Until when a touch is waited for that is asked for now.
    fn patience(&self) -> Result<Moment, Fault> {
        Ok(self.client.now()?.after(self.enrollment.patience))
    }
}
