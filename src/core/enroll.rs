//! A registration: one plugged-in key makes a credential, and a fresh login assertion with it must verify
//! before anybody may write it into a record.

use std::fmt;
use std::time::Duration;

use crate::assertion::{self, Challenge, Rejected, Subject};
use crate::credential::{
    Algorithm, CounterPolicy, Credential, KeyName, Protocol, RpId, Verification,
};
use crate::ctap::client::{Client, KeyError, Limits};
use crate::ctap::ctap2::{self, NewCredential, Status};
use crate::ctap::session::CallError;
use crate::ports::{Account, Fault, Host, KeyId, Keys, Machine, Moment, Origin};
use crate::record::CREDENTIALS_MAX;
use crate::registration::{self, Unfit};

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

/// Why nothing was registered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EnrollError {
    /// The key already holds a credential of this account.
    AlreadyRegistered,
    /// The terminal or the conversation is gone.
    Conversation,
    /// The user declined on the key.
    Declined,
    /// A system call failed.
    Fault(Fault),
    /// The account has 64 credentials.
    Full,
    /// Another program holds the key.
    KeyBusy,
    /// The key did not answer as its protocol says.
    KeyFailed(KeyError),
    /// The key's node cannot be opened, with this error number.
    KeyInaccessible(i32),
    /// Another key of this account has that name.
    NameTaken,
    /// No key was plugged in in time, or it was pulled out.
    NoKey,
    /// The key asks for a PIN.
    PinNeeded,
    /// Several keys are plugged in.
    SeveralKeys,
    /// Nobody touched the key in time.
    TouchTimeout,
    /// The registration does not pass a check.
    Unfit(Unfit),
    /// The key has none of the algorithms asked for.
    Unsupported,
    /// The new credential did not pass a login.
    Unproven(Rejected),
}

impl EnrollError {
    /// What to do about it, in one sentence.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::AlreadyRegistered => "Plug in another key, or see `fidokey list`.",
            Self::Conversation => "Run the command in a terminal.",
            Self::Declined => "Run the command again and confirm on the key.",
            Self::Fault(_) => "See the system's log; this should not happen.",
            Self::Full => "Remove a key that is no longer used first.",
            Self::KeyBusy => "Close the program that uses the key, then run the command again.",
            Self::KeyFailed(_) => "Unplug the key, plug it in again, then run the command again.",
            Self::KeyInaccessible(_) => "Run the command as root.",
            Self::NameTaken => "Choose another name with --name.",
            Self::NoKey => "Plug in the key, leave it in, then run the command again.",
            Self::PinNeeded => "Use a key without a PIN, or reset the PIN with the key's own tool.",
            Self::SeveralKeys => "Leave only the key to register plugged in.",
            Self::TouchTimeout => "Run the command again and touch the key when it blinks.",
            Self::Unfit(_) | Self::Unproven(_) => "Do not use this key: nothing was written.",
            Self::Unsupported => "Use another key, or another --algorithm.",
        }
    }
}

impl fmt::Display for EnrollError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRegistered => {
                f.write_str("This key is already registered for the account.")
            }
            Self::Conversation => f.write_str("There is no one to talk to."),
            Self::Declined => f.write_str("The registration was declined on the key."),
            Self::Fault(fault) => write!(f, "{} failed (error {}).", fault.call, fault.errno),
            Self::Full => write!(f, "The account already has {CREDENTIALS_MAX} keys."),
            Self::KeyBusy => f.write_str("The security key is in use by another program."),
            Self::KeyFailed(KeyError::Status(status)) => {
                write!(f, "The key refused with CTAP status 0x{:02x}.", status.0)
            }
            Self::KeyFailed(_) => f.write_str("The key did not answer as its protocol says."),
            Self::KeyInaccessible(errno) => {
                write!(f, "The key is plugged in but cannot be opened (error {errno}).")
            }
            Self::NameTaken => f.write_str("The account already has a key of that name."),
            Self::NoKey => f.write_str("No security key was there in time."),
            Self::PinNeeded => {
                f.write_str("This key asks for its PIN, which is not supported yet.")
            }
            Self::SeveralKeys => f.write_str("Several security keys are plugged in."),
            Self::TouchTimeout => f.write_str("Timed out waiting for the security key."),
            Self::Unfit(unfit) => {
                write!(f, "The key's registration was not accepted ({}).", unfit.word())
            }
            Self::Unproven(rejected) => {
                write!(f, "The new credential did not pass a login ({}).", rejected.word())
            }
            Self::Unsupported => f.write_str("This key has none of the algorithms asked for."),
        }
    }
}

impl From<Fault> for EnrollError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<KeyError> for EnrollError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Call(CallError::Fault(fault)) => Self::Fault(fault),
            KeyError::Call(CallError::Gone) => Self::NoKey,
            KeyError::Call(CallError::Busy) => Self::KeyBusy,
            KeyError::Call(CallError::Elapsed) => Self::TouchTimeout,
            KeyError::Call(CallError::Inaccessible(errno)) => Self::KeyInaccessible(errno),
            KeyError::Status(Status::CREDENTIAL_EXCLUDED) => Self::AlreadyRegistered,
            KeyError::Status(Status::OPERATION_DENIED) => Self::Declined,
            KeyError::Status(Status::UNSUPPORTED_ALGORITHM) => Self::Unsupported,
            KeyError::Status(Status::USER_ACTION_TIMEOUT) => Self::TouchTimeout,
            KeyError::Status(status) if status.wants_pin() => Self::PinNeeded,
            other => Self::KeyFailed(other),
        }
    }
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
    let credential = make(machine, host, &mut client, enrollment, until)?;
    prove(machine, host, &mut client, enrollment, &credential)?;
    Ok(credential)
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
                keys.wait(until)?;
            }
            _ => return Err(EnrollError::SeveralKeys),
        }
    }
}

fn show<H: Host>(host: &mut H, text: &str) -> Result<(), EnrollError> {
    host.show(text).map_err(|_| EnrollError::Conversation)
}

/// The first touch: a new credential, checked.
fn make<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    client: &mut Client<'_, K>,
    enrollment: &Enrollment<'_>,
    until: Moment,
) -> Result<Credential, EnrollError> {
    let info = client.info(until)?;
    let possible = enrollment.algorithms.iter().any(|wanted| info.algorithms.contains(wanted));
    if !info.fido2 || !possible {
        return Err(EnrollError::Unsupported);
    }
    if info.always_uv || (info.client_pin && !info.make_cred_uv_not_required) {
        return Err(EnrollError::PinNeeded);
    }
    let rp_id = enrollment.rp_id;
    let known: Vec<&Credential> =
        enrollment.existing.iter().filter(|credential| credential.rp_id == *rp_id).collect();
    let limits = Limits::of(&info);
    // A list that one message cannot hold is gone through with silent questions instead.
    let fits = limits.message_size.saturating_sub(256);
    let exclude: Vec<&[u8]> =
        if (Limits { message_size: fits, ..limits }).fit(rp_id, &known) || known.is_empty() {
            known.iter().map(|credential| credential.id.as_bytes()).collect()
        } else {
            let mut fresh_hash = || random32(machine);
            if client.find(rp_id, &known, limits, &mut fresh_hash, until)?.is_some() {
                return Err(EnrollError::AlreadyRegistered);
            }
            Vec::new()
        };

    let user_handle = random32(machine)?;
    let request = ctap2::make_credential(&NewCredential {
        rp_id: rp_id.as_str(),
        client_data_hash: &random32(machine)?,
        user_handle: &user_handle,
        exclude_list: &exclude,
        algorithms: enrollment.algorithms,
        cred_protect: info.cred_protect,
    });
    show(host, "Touch your security key to register it.")?;
    let until = client.now()?.after(enrollment.patience);
    let payload = client.touch(&request, until)?;
    let made =
        ctap2::read_made_credential(&payload).map_err(|_| EnrollError::Unfit(Unfit::Malformed))?;
    let registered = registration::check(
        &made,
        rp_id,
        enrollment.algorithms,
        Verification::None,
        info.cred_protect,
    )
    .map_err(EnrollError::Unfit)?;
    if known.iter().any(|credential| credential.id == registered.id) {
        return Err(EnrollError::AlreadyRegistered);
    }
    Ok(Credential {
        name: enrollment.name.clone(),
        protocol: Protocol::Fido2,
        rp_id: rp_id.clone(),
        id: registered.id,
        public_key: registered.public_key,
        verification: Verification::None,
        user_handle: Some(user_handle.to_vec()),
        backup_eligible: Some(registered.backup_eligible),
        counter: CounterPolicy::Deny,
        aaguid: Some(registered.aaguid),
        added: enrollment.added.to_owned(),
        added_by: enrollment.added_by.to_owned(),
    })
}

/// The second touch: the new credential signs a login's challenge, and the login's verifier accepts it.
fn prove<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    client: &mut Client<'_, K>,
    enrollment: &Enrollment<'_>,
    credential: &Credential,
) -> Result<(), EnrollError> {
    let origin = Origin { service: "fidokey-enroll".to_owned(), ..Origin::default() };
    let account = enrollment.account;
    let who = Subject { uid: account.uid, user: account.name.as_str(), origin: &origin };
    let challenge = Challenge::new(&random32(machine)?, &credential.rp_id, &who, machine.hedge()?);
    let ids = [credential.id.as_bytes()];
    let rp_id = credential.rp_id.as_str();
    let request = ctap2::get_assertion(rp_id, challenge.client_data_hash(), &ids, true);
    show(host, "Touch it again to test it.")?;
    let until = client.now()?.after(enrollment.patience);
    let payload = client.touch(&request, until)?;
    let response =
        ctap2::read_assertion(&payload).map_err(|_| EnrollError::Unproven(Rejected::Malformed))?;
    assertion::verify(challenge, &[credential], &response, credential.verification)
        .map(|_verified| ())
        .map_err(EnrollError::Unproven)
}

fn random32<M: Machine>(machine: &mut M) -> Result<[u8; 32], Fault> {
    let mut bytes = [0; 32];
    machine.fill_random(&mut bytes)?;
    Ok(bytes)
}
