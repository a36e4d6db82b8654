//! One key being asked: the requests of either generation, the cue, and the verification of what it signs.

use super::{Answered, Conclude, Question};
use crate::assertion::{self, Challenge, Verified};
use crate::credential::{Credential, Protocol, RpId, is_unprintable};
use crate::ctap::client::{Client, KeyError, Limits};
use crate::ctap::ctap2::{self, Status};
use crate::ctap::session::CallError;
use crate::ctap::u2f::{self, StatusWord};
use crate::ports::{Fault, Host, KeyId, Keys, Machine, Moment};
use crate::verdict::Reason;

/// Why a key did not end the login, or how it did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Miss {
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
            KeyError::Call(CallError::Signal(signal)) => Self::End(signal.into()),
            KeyError::Call(CallError::Busy) => Self::Unusable(Reason::KeyBusy),
            KeyError::Call(CallError::Elapsed) => Self::End(Reason::TouchTimeout),
            KeyError::Call(CallError::Inaccessible(_)) => Self::Unusable(Reason::KeyInaccessible),
            KeyError::Status(status) if status.means_not_mine() => Self::Foreign,
            KeyError::Status(Status::USER_ACTION_TIMEOUT) => Self::End(Reason::TouchTimeout),
            KeyError::Status(Status::OPERATION_DENIED) => Self::End(Reason::Declined),
            KeyError::Status(status) if status.wants_pin() => {
                Self::Unusable(Reason::VerificationUnavailable)
            }
            KeyError::StatusWord(word) if word.means_not_mine() => Self::Foreign,
            KeyError::StatusWord(StatusWord::COMMAND_NOT_ALLOWED) => {
                Self::Unusable(Reason::VerificationUnavailable)
            }
            KeyError::Call(_)
            | KeyError::Malformed
            | KeyError::Status(_)
            | KeyError::StatusWord(_) => Self::Unusable(Reason::KeyFailed),
        }
    }
}

/// A key whose turn it is.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) question: &'a Question<'a>,
    pub(super) key: KeyId,
    /// No other key is plugged in.
    pub(super) sole: bool,
    pub(super) end: Moment,
}

/// Opens the key and asks it; what it signed is concluded before the key is closed, and its lock given up.
pub(super) fn try_key<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    turn: Turn<'_>,
    conclude: &mut Conclude<'_, M, H>,
) -> Result<Verified, Miss> {
    let Turn { question, key, sole, end } = turn;
    let mut nonce = [0; 8];
    machine.fill_random(&mut nonce)?;
    let mut client = Client::open(keys, key, u64::from_be_bytes(nonce), end)?;
    let mut attempt = Attempt { machine, host, question, client: &mut client, end, cued: false };
    let answered = attempt.ask(sole)?;
    conclude(attempt.machine, attempt.host, answered).map_err(Miss::End)
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
    /// Asks the key in the cheapest way that the credentials and its generation allow.
    fn ask(&mut self, sole: bool) -> Result<Answered, Miss> {
        if !self.client.speaks_ctap2() {
            return self.first_generation().map_err(Miss::from);
        }
        let groups = by_rp_id(self.question.credentials);
        if let ([(rp_id, credentials)], true) = (&groups[..], sole)
            && Limits::UNASKED.fit(rp_id, credentials)
        {
            match self.touch(rp_id, credentials) {
                Err(Attempted::Error(error)) if error.may_mean_list_too_long() => {}
                other => return other.map_err(Miss::from),
            }
        }
        self.search(&groups)
    }

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
        let until = self.cue()?;
        let payload = self.client.touch(&request, until).map_err(Attempted::Error)?;
        let rejected = |rejected| Attempted::Miss(Miss::End(Reason::Rejected(rejected)));
        let response = ctap2::read_assertion(&payload)
            .map_err(|_| rejected(assertion::Rejected::Malformed))?;
        let verified = assertion::verify(challenge, credentials, &response, self.question.required)
            .map_err(rejected)?;
        Ok(Answered { verified, canonical: ctap2::is_canonical(&payload) })
    }

    /// Has a key that speaks CTAP1 alone sign. A single credential is asked for right away: what is not the
    /// key's is refused as fast as a question would be. Of several the key's own is found first.
    fn first_generation(&mut self) -> Result<Answered, Attempted> {
        let registered: Vec<&Credential> = self
            .question
            .credentials
            .iter()
            .copied()
            .filter(|credential| credential.protocol == Protocol::U2f)
            .collect();
        let own = match registered.as_slice() {
            [only] => Some(*only),
            several => self.u2f_find(several)?,
        };
        let credential = own.ok_or(Attempted::Miss(Miss::Foreign))?;
        let challenge = challenge(self.machine, &credential.rp_id, self.question)?;
        let request = u2f::authenticate(
            u2f::Control::Sign,
            challenge.client_data_hash(),
            credential.rp_id.as_str(),
            credential.id.as_bytes(),
        )
        .ok_or(Attempted::Miss(Miss::Foreign))?;
        let until = self.cue()?;
        let data = self.client.u2f_touch(&request, until).map_err(Attempted::Error)?;
        let rejected = |rejected| Attempted::Miss(Miss::End(Reason::Rejected(rejected)));
        let signed =
            u2f::read_signed(&data).map_err(|_| rejected(assertion::Rejected::Malformed))?;
        let verified =
            assertion::verify_u2f(challenge, credential, &signed, self.question.required)
                .map_err(rejected)?;
        Ok(Answered { verified, canonical: true })
    }

    /// The first of `credentials` that a first-generation key says is its own.
    fn u2f_find<'c>(
        &mut self,
        credentials: &[&'c Credential],
    ) -> Result<Option<&'c Credential>, Attempted> {
        for &credential in credentials {
            let throw_away = challenge(self.machine, &credential.rp_id, self.question)?;
            let (rp_id, handle) = (&credential.rp_id, credential.id.as_bytes());
            let hash = throw_away.client_data_hash();
            if self.client.u2f_holds(rp_id, handle, hash, self.end).map_err(Attempted::Error)? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }

    /// Shows the cue, once for this key, and says until when its touch is waited for.
    fn cue(&mut self) -> Result<Moment, Attempted> {
        if !self.cued {
            let service = &self.question.who.origin.service;
            let text = format!("Touch your security key ({}).", short(service));
            show(self.host, &text).map_err(Attempted::Miss)?;
            self.cued = true;
        }
        Ok(self.client.now()?.after(self.question.touch).min(self.end))
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

/// One message; a conversation that fails ends the login at once, before anything blinks.
pub(super) fn show<H: Host>(host: &mut H, text: &str) -> Result<(), Miss> {
    host.show(text).map_err(|_| Miss::End(Reason::Conversation))
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
