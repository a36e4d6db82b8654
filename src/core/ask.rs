//! Finding a key that holds a credential of the account, and having it sign: the part of a login between
//! the policy and the verifier.
//!
//! The cheapest way that the credentials allow: where one key is plugged in and its list of credentials is
//! short, INIT and getAssertion, two commands. Otherwise the keys are first asked silently, so that only a
//! key of this account ever blinks.

use std::time::Duration;

use attempt::{Miss, Turn, show, try_key};

use crate::assertion::{Subject, Verified};
use crate::credential::{Credential, Verification};
use crate::ports::{Host, KeyEvent, KeyId, Keys, Machine, Moment};
use crate::verdict::Reason;

mod attempt;

/// The longest that a login waits, whatever keys and neighbours do.
pub const BUDGET: Duration = Duration::from_secs(45);
/// Pause after a key was removed: it may still be listed.
const REMOVED: Duration = Duration::from_millis(100);

/// What is asked of the keys, for whom.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The credentials of the account, at least one.
    pub credentials: &'a [&'a Credential],
    /// What must be proven beyond the touch.
    pub required: Verification,
    /// Who logs in, from where.
    pub who: Subject<'a>,
    /// How long to wait for a key to be plugged in.
    pub wait_for_key: Duration,
    /// How long to wait for the touch.
    pub touch: Duration,
}

/// A login by a key.
#[derive(Debug)]
#[must_use]
pub struct Answered {
    /// What it signed.
    pub verified: Verified,
    /// Whether its CBOR was in canonical form: old keys send maps that are not sorted.
    pub canonical: bool,
}

/// What is done with an [`Answered`] while its key is still open and locked.
pub type Conclude<'c, M, H> = dyn FnMut(&mut M, &mut H, Answered) -> Result<Verified, Reason> + 'c;

/// Has a key of the account sign a fresh challenge, verifies it, and hands it to `conclude` before the key is
/// given up.
///
/// # Errors
/// Why there is no verified assertion, or what `conclude` has against it.
pub fn ask<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    question: &Question<'_>,
    conclude: &mut Conclude<'_, M, H>,
) -> Result<Verified, Reason> {
    let fault = Reason::Fault;
    let start = keys.now().map_err(fault)?;
    let end = start.after(BUDGET);
    let mut insert_until = start.after(question.wait_for_key).min(end);
    let mut asked: Vec<(KeyId, Reason)> = Vec::new();
    let mut invited = false;
    loop {
        let plugged = keys.plugged().map_err(fault)?;
        asked.retain(|(key, _)| plugged.contains(key));
        let sole = plugged.len() == 1;
        let fresh: Vec<KeyId> =
            plugged.into_iter().filter(|key| asked.iter().all(|(known, _)| known != key)).collect();
        let Some(&key) = fresh.first() else {
            // A key that cannot be used is said so at once; another account's leaves time for the right one.
            let unusable = asked.iter().find(|(_, reason)| *reason != Reason::NotRegistered);
            if let Some((_, reason)) = unusable {
                return Err(*reason);
            }
            if asked.is_empty() && !keys.are_visible() {
                return Err(Reason::KeyInaccessible);
            }
            if keys.now().map_err(fault)? >= insert_until {
                return Err(asked.first().map_or(Reason::NoKey, |(_, reason)| *reason));
            }
            if asked.is_empty() && !invited {
                show(host, "Insert your security key.").map_err(miss_to_reason)?;
                invited = true;
            }
            wait(keys, insert_until)?;
            continue;
        };
        let turn = Turn { question, key, sole, end };
        match try_key(machine, host, keys, turn, conclude) {
            Ok(verified) => return Ok(verified),
            Err(Miss::End(reason)) => return Err(reason),
            Err(Miss::Foreign) => {
                asked.push((key, Reason::NotRegistered));
                if fresh.len() == 1 {
                    let text = format!("This key is not registered for {}.", question.who.user);
                    show(host, &text).map_err(miss_to_reason)?;
                    let now = keys.now().map_err(fault)?;
                    insert_until = now.after(question.wait_for_key).min(end);
                }
            }
            Err(Miss::Unusable(reason)) => asked.push((key, reason)),
            Err(Miss::Gone) => {
                invited = false;
                let now = keys.now().map_err(fault)?;
                if now >= end {
                    return Err(Reason::NoKey);
                }
                insert_until = insert_until.max(now.after(question.wait_for_key)).min(end);
                wait(keys, now.after(REMOVED).min(end))?;
            }
        }
    }
}

/// Waits for anything to happen, and ends the login where somebody wants that.
fn wait<K: Keys>(keys: &mut K, until: Moment) -> Result<(), Reason> {
    match keys.wait(until).map_err(Reason::Fault)? {
        KeyEvent::Signal(signal) => Err(signal.into()),
        _ => Ok(()),
    }
}

fn miss_to_reason(miss: Miss) -> Reason {
    match miss {
        Miss::End(reason) | Miss::Unusable(reason) => reason,
        Miss::Foreign => Reason::NotRegistered,
        Miss::Gone => Reason::NoKey,
    }
}
