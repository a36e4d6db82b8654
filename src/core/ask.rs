//! Finding a key that holds a credential of the account, and having it sign: the part of a login between
//! the policy and the verifier.
//!
//! The cheapest way that the credentials allow: where one key is plugged in and its list of credentials is
//! short, INIT and getAssertion, two commands. Otherwise the keys are first asked silently, so that only a
//! key of this account ever blinks.

use std::time::Duration;

use crate::assertion::{self, Challenge, Subject, Verified};
use crate::credential::{Credential, RpId, Verification, is_unprintable};
use crate::ctap::client::{Client, KeyError, Limits};
use crate::ctap::ctap2::{self, Status};
use crate::ctap::session::CallError;
use crate::ports::{Fault, Host, KeyId, Keys, Machine, Moment};
use crate::verdict::Reason;

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

/// Why a key did not end the login, or how it did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Miss {
    /// The login ends here.
    End(Reason),
    /// It is another account's.
    Foreign,
    /// It was removed.
    Gone,
    /// It is of no use now, for this reason.
    Unusable(Reason),
}

impl From<Fault> for Miss {
    fn from(fault: Fault) -> Self {
        Self::End(Reason::Fault(fault))
    }
}

impl From<KeyError> for Miss {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Call(CallError::Fault(fault)) => fault.into(),
            KeyError::Call(CallError::Gone) => Self::Gone,
            KeyError::Call(CallError::Busy) => Self::Unusable(Reason::KeyBusy),
            KeyError::Call(CallError::Elapsed) => Self::End(Reason::TouchTimeout),
            KeyError::Call(CallError::Inaccessible(_)) => Self::Unusable(Reason::KeyInaccessible),
            KeyError::Status(status) if status.means_not_mine() => Self::Foreign,
            KeyError::Status(Status::USER_ACTION_TIMEOUT) => Self::End(Reason::TouchTimeout),
            KeyError::Status(Status::OPERATION_DENIED) => Self::End(Reason::Declined),
            KeyError::Status(status) if status.wants_pin() => {
                Self::Unusable(Reason::VerificationUnavailable)
            }
            KeyError::Call(_) | KeyError::Malformed | KeyError::Status(_) => {
                Self::Unusable(Reason::KeyFailed)
            }
        }
    }
}

/// Has a key of the account sign a fresh challenge, and verifies it.
///
/// # Errors
/// Why there is no verified assertion.
pub fn ask<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    question: &Question<'_>,
) -> Result<Answered, Reason> {
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
            if asked.is_empty() && !invited {
                show(host, "Insert your security key.").map_err(miss_to_reason)?;
                invited = true;
            }
            if keys.now().map_err(fault)? >= insert_until {
                return Err(asked.first().map_or(Reason::NoKey, |(_, reason)| *reason));
            }
            keys.wait(insert_until).map_err(fault)?;
            continue;
        };
        match try_key(machine, host, keys, question, key, sole, end) {
            Ok(answered) => return Ok(answered),
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
                keys.wait(now.after(REMOVED).min(end)).map_err(fault)?;
            }
        }
    }
}

fn miss_to_reason(miss: Miss) -> Reason {
    match miss {
        Miss::End(reason) | Miss::Unusable(reason) => reason,
        Miss::Foreign => Reason::NotRegistered,
        Miss::Gone => Reason::NoKey,
    }
}

/// One message; a conversation that fails ends the login at once, before anything blinks.
fn show<H: Host>(host: &mut H, text: &str) -> Result<(), Miss> {
    host.show(text).map_err(|_| Miss::End(Reason::Conversation))
}

fn try_key<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    question: &Question<'_>,
    key: KeyId,
    sole: bool,
    end: Moment,
) -> Result<Answered, Miss> {
    let mut nonce = [0; 8];
    machine.fill_random(&mut nonce)?;
    let mut client = Client::open(keys, key, u64::from_be_bytes(nonce), end)?;
    let mut attempt = Attempt { machine, host, question, client: &mut client, end, cued: false };

    let groups = by_rp_id(question.credentials);
    if let ([(rp_id, credentials)], true) = (&groups[..], sole)
        && Limits::UNASKED.fit(rp_id, credentials)
    {
        match attempt.touch(rp_id, credentials) {
            Err(Attempted::Error(error)) if error.may_mean_list_too_long() => {}
            other => return other.map_err(Miss::from),
        }
    }
    attempt.search(&groups)
}

/// The credentials by relying party, in the order of the record.
fn by_rp_id<'a>(credentials: &[&'a Credential]) -> Vec<(&'a RpId, Vec<&'a Credential>)> {
    let mut groups: Vec<(&RpId, Vec<&Credential>)> = Vec::new();
    for &credential in credentials {
        match groups.iter_mut().find(|(rp_id, _)| **rp_id == credential.rp_id) {
            Some((_, group)) => group.push(credential),
            None => groups.push((&credential.rp_id, vec![credential])),
        }
    }
    groups
}

/// How one request for a touch failed.
enum Attempted {
    Error(KeyError),
    Miss(Miss),
}

impl From<Attempted> for Miss {
    fn from(attempted: Attempted) -> Self {
        match attempted {
            Attempted::Error(error) => error.into(),
            Attempted::Miss(miss) => miss,
        }
    }
}

impl From<Fault> for Attempted {
    fn from(fault: Fault) -> Self {
        Self::Miss(fault.into())
    }
}

/// One key being asked.
struct Attempt<'a, 'k, M: Machine, H: Host, K: Keys> {
    machine: &'a mut M,
    host: &'a mut H,
    question: &'a Question<'a>,
    client: &'a mut Client<'k, K>,
    end: Moment,
    cued: bool,
}

impl<M: Machine, H: Host, K: Keys> Attempt<'_, '_, M, H, K> {
    /// Asks the key silently for its credential, then for the touch. Only here is the key asked what it
    /// takes, and only where the answer changes what is sent.
    fn search(&mut self, groups: &[(&RpId, Vec<&Credential>)]) -> Result<Answered, Miss> {
        let long = groups.iter().any(|(rp_id, list)| !Limits::UNASKED.fit(rp_id, list));
        let limits = if long || self.cued {
            Limits::of(&self.client.info(self.end)?)
        } else {
            Limits::UNASKED
        };
        for (rp_id, credentials) in groups {
            let (machine, question) = (&mut *self.machine, self.question);
            let mut fresh_hash = || {
                challenge(machine, rp_id, question).map(|challenge| *challenge.client_data_hash())
            };
            let found = self.client.find(rp_id, credentials, limits, &mut fresh_hash, self.end)?;
            if let Some(credential) = found {
                return self.touch(rp_id, &[credential]).map_err(Miss::from);
            }
        }
        Err(Miss::Foreign)
    }

    /// Shows the cue, arms the key and verifies what it signs. Nothing is sent after the answer.
    fn touch(&mut self, rp_id: &RpId, credentials: &[&Credential]) -> Result<Answered, Attempted> {
        let challenge = challenge(self.machine, rp_id, self.question)?;
        let ids: Vec<&[u8]> = credentials.iter().map(|c| c.id.as_bytes()).collect();
        let request =
            ctap2::get_assertion(rp_id.as_str(), challenge.client_data_hash(), &ids, true);
        if !self.cued {
            let service = &self.question.who.origin.service;
            let text = format!("Touch your security key ({}).", short(service));
            show(self.host, &text).map_err(Attempted::Miss)?;
            self.cued = true;
        }
        let until = self.client.now()?.after(self.question.touch).min(self.end);
        let payload = self.client.touch(&request, until).map_err(Attempted::Error)?;
        let rejected = |rejected| Attempted::Miss(Miss::End(Reason::Rejected(rejected)));
        let response = ctap2::read_assertion(&payload)
            .map_err(|_| rejected(assertion::Rejected::Malformed))?;
        let verified = assertion::verify(challenge, credentials, &response, self.question.required)
            .map_err(rejected)?;
        Ok(Answered { verified, canonical: ctap2::is_canonical(&payload) })
    }
}

fn challenge<M: Machine>(
    machine: &mut M,
    rp_id: &RpId,
    question: &Question<'_>,
) -> Result<Challenge, Fault> {
    let mut nonce = [0; 32];
    machine.fill_random(&mut nonce)?;
    Ok(Challenge::new(&nonce, rp_id, &question.who, machine.hedge()?))
}

/// `text` from outside without what could change a terminal, at most 32 characters.
fn short(text: &str) -> String {
    text.chars().filter(|c| !is_unprintable(*c)).take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_text_that_moves_the_cursor_then_only_its_letters_are_shown() {
        assert_eq!(short("su\u{1b}[2Jdo\n\u{202e}"), "su[2Jdo");
        assert_eq!(short(&"x".repeat(4096)).len(), 32);
    }
}
