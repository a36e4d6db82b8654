//! Questions to one key and their answers. What an assertion is worth, [`crate::assertion`] says.

use std::fmt;
use std::time::Duration;

use super::bus::Bus;
use super::client_pin::{self, Permission, Retries};
use super::ctap2::{self, Gesture, Info, MESSAGE_SIZE_DEFAULT, Malformed, Status};
use super::frame::command;
use super::pin_protocol::{PinProtocol, Point, SharedSecret, Token};
use super::session::{CallError, RETRY, Session};
use super::u2f::{self, StatusWord};
use crate::assertion::{Challenge, Rejected, verify_silent};
use crate::credential::{Credential, RpId};
use crate::pin::PinHash;
use crate::ports::{Fault, Heard, KeyId, Keys, Moment};

/// How long a key may take for what needs no touch, keepalives included.
const SILENT_ANSWER: Duration = Duration::from_secs(5);
/// The list of credentials that is sent without asking the key what it takes.
pub const UNASKED_COUNT: usize = 8;

/// A key's failure to answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyError {
    /// No answer.
    Call(CallError),
    /// An answer that is none.
    Malformed,
    /// A refusal.
    Status(Status),
    /// A refusal of a first-generation key.
    StatusWord(StatusWord),
}

impl From<CallError> for KeyError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<Fault> for KeyError {
    fn from(fault: Fault) -> Self {
        Self::Call(CallError::Fault(fault))
    }
}

impl From<Malformed> for KeyError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<u2f::Malformed> for KeyError {
    fn from(_: u2f::Malformed) -> Self {
        Self::Malformed
    }
}

/// What the key did, without the key: numbers of its own alone are in it, no text.
impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(CallError::Broken(_)) => f.write_str("broke the framing of its messages"),
            Self::Call(CallError::Busy) => f.write_str("is in use by another program"),
            Self::Call(CallError::Elapsed) => f.write_str("did not end in time"),
            Self::Call(CallError::Fault(fault)) => {
                write!(f, "is out of reach: {} failed (error {})", fault.call, fault.errno)
            }
            Self::Call(CallError::Gone) => f.write_str("was pulled out"),
            Self::Call(CallError::Hid(code)) => {
                write!(f, "refused with CTAPHID error 0x{code:02x}")
            }
            Self::Call(CallError::Inaccessible(errno)) => {
                write!(f, "cannot be opened (error {errno})")
            }
            Self::Call(CallError::Silent) => f.write_str("said nothing in time"),
            Self::Call(CallError::TooLong) => f.write_str("takes no message of that length"),
            Self::Malformed => f.write_str("did not answer as its protocol says"),
            Self::Status(status) => write!(f, "refused with CTAP status 0x{:02x}", status.0),
            Self::StatusWord(word) => write!(f, "refused with U2F status word 0x{:04x}", word.0),
        }
    }
}

impl KeyError {
    /// Whether it can mean that the list of credentials was too long: a CTAP status, or CTAPHID's
    /// ERR_INVALID_LEN, which some keys answer before they have read the whole.
    #[must_use]
    pub const fn may_mean_list_too_long(self) -> bool {
        match self {
            Self::Call(CallError::Hid(code)) => code == 0x03,
            Self::Status(status) => status.may_mean_list_too_long(),
            Self::Call(_) | Self::Malformed | Self::StatusWord(_) => false,
        }
    }
}

/// A key that is open, locked and asked.
#[derive(Debug)]
pub struct Client<'b, 'k, K: Keys> {
    session: Session<'b, 'k, K>,
}

impl<'b, 'k, K: Keys> Client<'b, 'k, K> {
    /// See [`Session::open`].
    ///
    /// # Errors
    /// [`KeyError::Call`].
    pub async fn open(
        bus: &'b Bus<'k, K>,
        key: KeyId,
        nonce: u64,
        until: Moment,
    ) -> Result<Self, KeyError> {
        Ok(Self { session: Session::open(bus, key, nonce, until).await? })
    }

    /// The clock.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be read.
    pub fn now(&self) -> Result<Moment, Fault> {
        self.session.now()
    }

    /// What the key says of itself. From here on no response may be longer than it says, where it says so.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn info(&mut self, until: Moment) -> Result<Info, KeyError> {
        Ok(self.info_and_more(until).await?.0)
    }

    /// The same, and the CBOR that says more than [`Info`] has.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub(super) async fn info_and_more(
        &mut self,
        until: Moment,
    ) -> Result<(Info, Vec<u8>), KeyError> {
        let response = self.silent_call(&ctap2::get_info(), until).await?;
        let payload = cbor_of(&response)?;
        let info = ctap2::read_info(payload)?;
        self.session.limit(info.max_response_size);
        Ok((info, payload.to_vec()))
    }

    /// Sends a request that waits for a touch, `until` at the latest, and returns the CBOR of the response.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn touch(&mut self, request: &[u8], until: Moment) -> Result<Vec<u8>, KeyError> {
        let response = self.session.call(command::CBOR, request, until).await?;
        Ok(cbor_of(&response)?.to_vec())
    }

    /// Asks without a touch which of `credentials`, all of one relying party, is the key's; each list as
    /// long as `limits` allow, and halved where the key refuses it all the same. The answer is the key's
    /// word and proves nothing before [`Found::prove`] does.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn find<'c>(
        &mut self,
        rp_id: &RpId,
        credentials: &[&'c Credential],
        limits: Limits,
        fresh: &mut dyn FnMut() -> Result<Challenge, Fault>,
        until: Moment,
    ) -> Result<Option<Found<'c>>, KeyError> {
        let mut rest = credentials;
        let mut limits = limits;
        let mut unread = None;
        while !rest.is_empty() {
            let count = limits.fitting(rp_id, rest);
            let (list, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            let ids: Vec<&[u8]> = list.iter().map(|c| c.id.as_bytes()).collect();
            let challenge = fresh()?;
            let hash = challenge.client_data_hash();
            let request = ctap2::get_assertion(rp_id.as_str(), hash, &ids, Gesture::None);
            let answer = self.silent_call(&request, until).await.map_err(KeyError::from);
            match answer.and_then(|response| cbor_of(&response).map(<[u8]>::to_vec)) {
                Ok(payload) => {
                    let credential = named(list, &payload)?;
                    return Ok(Some(Found { credential, challenge, payload }));
                }
                Err(KeyError::Status(status)) if status.means_not_mine() => rest = later,
                Err(error) if error.may_mean_list_too_long() && count > 1 => {
                    limits.count = count / 2;
                }
                // An id that this key cannot even read, longer than its own ever are, is another key's.
                Err(error) if error.may_mean_list_too_long() => {
                    unread = Some(error);
                    rest = later;
                }
                Err(error) => return Err(error),
            }
        }
        unread.map_or(Ok(None), Err)
    }

    /// How often the PIN may still be tried.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn pin_retries(
        &mut self,
        protocol: PinProtocol,
        until: Moment,
    ) -> Result<Retries, KeyError> {
        let request = client_pin::get_pin_retries(protocol);
        let response = self.silent_call(&request, until).await?;
        Ok(client_pin::read_pin_retries(cbor_of(&response)?)?)
    }

    /// How often the key's own verification may still be tried.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn uv_retries(
        &mut self,
        protocol: PinProtocol,
        until: Moment,
    ) -> Result<u8, KeyError> {
        let request = client_pin::get_uv_retries(protocol);
        let response = self.silent_call(&request, until).await?;
        Ok(client_pin::read_uv_retries(cbor_of(&response)?)?)
    }

    /// The point to agree on a secret with. A key that has forgotten our channel while it was released says so, and is
    /// asked again on a new one.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn key_agreement(
        &mut self,
        protocol: PinProtocol,
        until: Moment,
    ) -> Result<Point, KeyError> {
        let request = client_pin::get_key_agreement(protocol);
        let response = match self.silent_call(&request, until).await {
            Err(CallError::Hid(_)) => self.silent_call(&request, until).await?,
            other => other?,
        };
        Ok(client_pin::read_key_agreement(cbor_of(&response)?)?)
    }

    /// Gives the PIN away, encrypted for whoever `shared` was agreed on with, for a token. One try of the PIN's is
    /// spent on it.
    ///
    /// # Errors
    /// See [`KeyError`]; a wrong PIN is [`Status::PIN_INVALID`].
    pub async fn token(
        &mut self,
        exchange: &Exchange<'_>,
        pin: &PinHash,
        until: Moment,
    ) -> Result<Token, KeyError> {
        let Exchange { shared, ours, random, scope } = exchange;
        let encrypted = shared.encrypt(random, pin.bytes()).ok_or(KeyError::Malformed)?;
        let request = client_pin::get_token(shared.protocol(), ours, &encrypted, *scope);
        let response = self.silent_call(&request, until).await?;
        let token = client_pin::read_token(cbor_of(&response)?)?;
        shared.token(&token).ok_or(KeyError::Malformed)
    }

    /// See [`Session::release`].
    ///
    /// # Errors
    /// [`Fault`].
    pub fn release(&mut self) -> Result<(), Fault> {
        self.session.release()
    }

    /// See [`Session::stop_releasing`].
    ///
    /// # Errors
    /// [`Fault`].
    pub fn stop_releasing(&mut self) -> Result<(), Fault> {
        self.session.stop_releasing()
    }

    /// See [`Session::rest`]: whether the key is still there.
    ///
    /// # Errors
    /// [`KeyError::Call`].
    pub async fn is_there(&mut self) -> Result<(), KeyError> {
        let now = self.session.now()?;
        Ok(self.session.rest(now).await?)
    }

    /// See [`Session::retake`].
    ///
    /// # Errors
    /// [`KeyError::Call`].
    pub async fn retake(&mut self, end: Moment) -> Result<Heard, KeyError> {
        Ok(self.session.retake(end).await?)
    }

    /// See [`Session::wait_for`].
    ///
    /// # Errors
    /// [`KeyError::Call`].
    pub async fn wait_for(
        &mut self,
        ready: impl Fn() -> bool,
        end: Moment,
    ) -> Result<(), KeyError> {
        Ok(self.session.wait_for(ready, end).await?)
    }

    /// See [`Session::turn`].
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn turn(&self) -> Result<(), Fault> {
        self.session.turn().await
    }

    /// Whether the key speaks CTAP2; it is of the first generation otherwise.
    pub const fn speaks_ctap2(&self) -> bool {
        self.session.speaks_ctap2()
    }

    /// Asks a first-generation key without a touch whether the credential `handle` is its own. A throw-away
    /// challenge: nothing is signed.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn u2f_holds(
        &mut self,
        rp_id: &RpId,
        handle: &[u8],
        throw_away: &[u8; 32],
        until: Moment,
    ) -> Result<bool, KeyError> {
        let control = u2f::Control::CheckOnly;
        let Some(request) = u2f::authenticate(control, throw_away, rp_id.as_str(), handle) else {
            return Ok(false);
        };
        match self.u2f_message(&request, until).await {
            // "Test of user presence required": despite its name the answer yes.
            Err(KeyError::StatusWord(StatusWord::CONDITIONS_NOT_SATISFIED)) => Ok(true),
            Err(KeyError::StatusWord(word)) if word.means_not_mine() => Ok(false),
            Ok(_) => Err(KeyError::Malformed),
            Err(error) => Err(error),
        }
    }

    /// Sends a request of the first generation until it has its touch, `until` at the latest, and returns the
    /// data of the response. The key is asked again 100 ms after it said that it was not touched; after the
    /// touch nothing is waited for.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn u2f_touch(&mut self, request: &[u8], until: Moment) -> Result<Vec<u8>, KeyError> {
        loop {
            match self.u2f_message(request, until).await {
                Err(KeyError::StatusWord(StatusWord::CONDITIONS_NOT_SATISFIED)) => {
                    let now = self.session.now()?;
                    if now >= until {
                        return Err(CallError::Elapsed.into());
                    }
                    self.session.rest(now.after(RETRY).min(until)).await?;
                }
                other => return other,
            }
        }
    }

    /// One message of the first generation; the key answers it at once.
    pub(super) async fn u2f_message(
        &mut self,
        request: &[u8],
        until: Moment,
    ) -> Result<Vec<u8>, KeyError> {
        let response = self.session.call(command::MSG, request, until).await?;
        match u2f::data(&response) {
            Ok(data) => Ok(data.to_vec()),
            Err(Ok(word)) => Err(KeyError::StatusWord(word)),
            Err(Err(malformed)) => Err(malformed.into()),
        }
    }

    /// A request that waits for nobody. A key that does not end it in time has failed: there is no touch that
    /// was missed, and another key may do better.
    pub(super) async fn silent_call(
        &mut self,
        request: &[u8],
        until: Moment,
    ) -> Result<Vec<u8>, CallError> {
        let answer_until = self.session.now()?.after(SILENT_ANSWER);
        match self.session.call(command::CBOR, request, answer_until.min(until)).await {
            Err(CallError::Elapsed) if answer_until < until => Err(CallError::Silent),
            other => other,
        }
    }
}

/// What a token is asked for with.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// What was agreed on with the key.
    pub shared: &'a SharedSecret,
    /// Our point of that agreement.
    pub ours: &'a Point,
    /// 16 random bytes, for the second protocol.
    pub random: &'a [u8; 16],
    /// What the token is for, where the key knows permissions.
    pub scope: Option<(Permission, &'a str)>,
}

/// A credential that a key says is its own.
#[derive(Debug)]
pub struct Found<'c> {
    /// Which one.
    pub credential: &'c Credential,
    challenge: Challenge,
    payload: Vec<u8>,
}

impl Found<'_> {
    /// Whether the key has shown that it is: it has signed a fresh challenge with that credential's private key.
    ///
    /// # Errors
    /// The first check that what it signed does not pass.
    pub fn prove(&self) -> Result<(), Rejected> {
        let response = ctap2::read_assertion(&self.payload).map_err(|_| Rejected::Malformed)?;
        verify_silent(&self.challenge, &[self.credential], &response).map(|_| ())
    }
}

/// The credential that a silent answer names: the only one asked for, or the one with that id.
fn named<'c>(list: &[&'c Credential], payload: &[u8]) -> Result<&'c Credential, KeyError> {
    match (ctap2::read_assertion(payload)?.credential_id, list) {
        (None, [only]) => Ok(only),
        (Some(id), list) => {
            list.iter().find(|c| c.id.as_bytes() == id).copied().ok_or(KeyError::Malformed)
        }
        (None, _) => Err(KeyError::Malformed),
    }
}

pub(super) fn cbor_of(response: &[u8]) -> Result<&[u8], KeyError> {
    ctap2::payload(response).map_err(|error| match error {
        Ok(status) => KeyError::Status(status),
        Err(Malformed) => KeyError::Malformed,
    })
}

/// How long a list of credentials may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The most entries.
    pub count: usize,
    /// The longest message, in bytes.
    pub message_size: usize,
}

impl Limits {
    /// What any key takes: 8 entries and 1024 bytes.
    pub const UNASKED: Self = Self { count: UNASKED_COUNT, message_size: MESSAGE_SIZE_DEFAULT };

    /// What a key says that it takes.
    #[must_use]
    pub fn of(info: &Info) -> Self {
        Self {
            count: info.max_credential_count.unwrap_or(usize::MAX),
            message_size: info.max_message_size.min(super::frame::MESSAGE_MAX),
        }
    }

    /// Whether all of `credentials` can be asked for at once.
    #[must_use]
    pub fn fit(self, rp_id: &RpId, credentials: &[&Credential]) -> bool {
        self.fitting(rp_id, credentials) == credentials.len()
    }

    /// How many of `credentials`, counted from the first, one message may name; at least 1.
    fn fitting(self, rp_id: &RpId, credentials: &[&Credential]) -> usize {
        let empty = ctap2::get_assertion(rp_id.as_str(), &[0; 32], &[], Gesture::None).len();
        let mut length = empty.saturating_add(2);
        let fitting = credentials
            .iter()
            .take_while(|credential| {
                // The head of an id takes 3 bytes at the most, what stands around it 20.
                length = length.saturating_add(credential.id.as_bytes().len().saturating_add(23));
                length <= self.message_size
            })
            .count();
        fitting.min(self.count).max(1)
    }
}
