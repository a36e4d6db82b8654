//! A registration: one plugged-in key makes a credential, and a fresh login assertion with it must verify
//! before anybody may write it into a record.

use std::time::Duration;

use crate::assertion::{Challenge, Subject};
use crate::credential::{Algorithm, Credential, KeyName, RpId};
use crate::ctap::client::Client;
use crate::ports::{Account, Fault, Host, KeyEvent, KeyId, Keys, Machine, Origin};
use crate::record::CREDENTIALS_MAX;

pub use error::EnrollError;

mod error;
mod fido2;
mod first_generation;

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
    /// The name of the new key; not among the existing ones.
    pub name: &'a KeyName,
    /// The algorithms that the credential may have, the most wanted one first.
    pub algorithms: &'a [Algorithm],
    /// The relying party id to bind the credential to.
    pub rp_id: &'a RpId,
    /// How long to wait for a key to be plugged in, and for each of the two touches.
    pub patience: Duration,
    /// When this is, as RFC 3339 in UTC; only shown.
    pub added: &'a str,
    /// Who does this; only shown.
    pub added_by: &'a str,
}

/// Registers the one key that is plugged in and proves it with a login. Two touches.
///
/// # Errors
/// Why not; nothing has to be undone then.
pub fn enroll<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    enrollment: &Enrollment<'_>,
) -> Result<Credential, EnrollError> {
    if enrollment.existing.len() >= CREDENTIALS_MAX {
        return Err(EnrollError::Full);
    }
    if enrollment.existing.iter().any(|known| known.name == *enrollment.name) {
        return Err(EnrollError::NameTaken);
    }
    let key = only_key(host, keys, enrollment.patience)?;
    let mut nonce = [0; 8];
    machine.fill_random(&mut nonce)?;
    let until = keys.now()?.after(enrollment.patience);
    let mut client = Client::open(keys, key, u64::from_be_bytes(nonce), until)?;
    if client.speaks_ctap2() {
        let credential = fido2::make(machine, host, &mut client, enrollment, until)?;
        fido2::prove(machine, host, &mut client, enrollment, &credential)?;
        Ok(credential)
    } else {
        let credential = first_generation::make(machine, host, &mut client, enrollment, until)?;
        first_generation::prove(machine, host, &mut client, enrollment, &credential)?;
        Ok(credential)
    }
}

/// The key that is plugged in, waited for where there is none.
fn only_key<H: Host, K: Keys>(
    host: &mut H,
    keys: &mut K,
    patience: Duration,
) -> Result<KeyId, EnrollError> {
    let until = keys.now()?.after(patience);
    let mut invited = false;
    loop {
        match keys.plugged()?.as_slice() {
            [key] => return Ok(*key),
            [] if keys.now()? >= until => return Err(EnrollError::NoKey),
            [] => {
                if !invited {
                    show(host, "Insert your security key.")?;
                    invited = true;
                }
                if matches!(keys.wait(until)?, KeyEvent::Signal(_)) {
                    return Err(EnrollError::Cancelled);
                }
            }
            _ => return Err(EnrollError::SeveralKeys),
        }
    }
}

fn show<H: Host>(host: &mut H, text: &str) -> Result<(), EnrollError> {
    host.show(text).map_err(|_| EnrollError::Conversation)
}

/// The challenge of the login that proves the new credential.
fn login_challenge<M: Machine>(
    machine: &mut M,
    enrollment: &Enrollment<'_>,
    credential: &Credential,
) -> Result<Challenge, Fault> {
    let origin = Origin { service: "fidokey-enroll".to_owned(), ..Origin::default() };
    let account = enrollment.account;
    let who = Subject { uid: account.uid, user: account.name.as_str(), origin: &origin };
    Ok(Challenge::new(&random32(machine)?, &credential.rp_id, &who, machine.hedge()?))
}

fn random32<M: Machine>(machine: &mut M) -> Result<[u8; 32], Fault> {
    let mut bytes = [0; 32];
    machine.fill_random(&mut bytes)?;
    Ok(bytes)
}
