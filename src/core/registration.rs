//! Verification of a registration (WebAuthn Level 3 section 7.1): what a key answers to makeCredential,
//! turned into a public key that a record may hold.
//!
//! What is checked is that the answer belongs to this request and that the credential is one that logins will accept.
//! Attestation chains are not judged here, and nowhere unless the policy wants it ([`crate::attestation`]): whose key it
//! is, the person who registers it knows.

use sha2::{Digest as _, Sha256};

use crate::assertion::{PublicKey, flag};
use crate::credential::{Algorithm, CredentialId, RpId, Verification};
use crate::ctap::cbor::{self, Value};
use crate::ctap::ctap2::MadeCredential;

/// A registration that passed every check.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The id of the new credential.
    pub id: CredentialId,
    /// Its public key.
    pub public_key: PublicKey,
    /// The model of the key as it calls itself.
    pub aaguid: [u8; 16],
    /// The BE flag.
    pub backup_eligible: bool,
}

/// The first check that a registration did not pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unfit {
    /// Another algorithm than those asked for.
    Algorithm,
    /// No attested credential data.
    AttestedData,
    /// BS without BE.
    BackupState,
    /// No id, or one of more than 1023 bytes.
    CredentialId,
    /// An extension that was not asked for, or a protection level that logins cannot work with.
    Extensions,
    /// An attestation statement of a format that USB keys do not use.
    Format,
    /// Not CBOR as we read it, members missing or of a wrong type, bytes left over.
    Malformed,
    /// The public key is not a point of its curve in the one encoding that is accepted.
    PublicKey,
    /// A reserved flag is set.
    ReservedFlags,
    /// Made for another relying party.
    RpIdHash,
    /// Nobody touched the key: UP is clear.
    UserPresence,
    /// UV is clear and verification is required.
    UserVerification,
}

/// Checks what a key answered to a request for a new credential of `rp_id` with one of `algorithms`;
/// `cred_protect` says whether level 2 was asked for.
///
/// # Errors
/// The first check that it did not pass.
pub fn check(
    made: &MadeCredential<'_>,
    rp_id: &RpId,
    algorithms: &[Algorithm],
    required: Verification,
    cred_protect: bool,
) -> Result<Registered, Unfit> {
    if !matches!(made.format, "none" | "packed" | "fido-u2f") {
        return Err(Unfit::Format);
    }
    let (rp_id_hash, rest) = take::<32>(made.auth_data)?;
    let (&[flags], rest) = take::<1>(rest)?;
    let (_signature_counter, rest) = take::<4>(rest)?;
    if rp_id_hash[..] != Sha256::digest(rp_id.as_str())[..] {
        return Err(Unfit::RpIdHash);
    }
    if flags & flag::USER_PRESENT == 0 {
        return Err(Unfit::UserPresence);
    }
    if required == Verification::Required && flags & flag::USER_VERIFIED == 0 {
        return Err(Unfit::UserVerification);
    }
    let backup_eligible = flags & flag::BACKUP_ELIGIBLE != 0;
    if flags & flag::BACKUP_STATE != 0 && !backup_eligible {
        return Err(Unfit::BackupState);
    }
    if flags & flag::RESERVED != 0 {
        return Err(Unfit::ReservedFlags);
    }
    if flags & flag::ATTESTED == 0 {
        return Err(Unfit::AttestedData);
    }

    let (aaguid, rest) = take::<16>(rest)?;
    let (length, rest) = take::<2>(rest)?;
    let (id, rest) = rest
        .split_at_checked(usize::from(u16::from_be_bytes(*length)))
        .ok_or(Unfit::CredentialId)?;
    let id = CredentialId::new(id).map_err(|_| Unfit::CredentialId)?;
    let (cose, rest, _) = cbor::read_first(rest).map_err(|_| Unfit::Malformed)?;
    let public_key = public_key(&cose, algorithms)?;
    extensions(flags, rest, cred_protect)?;
    Ok(Registered { id, public_key, aaguid: *aaguid, backup_eligible })
}

fn take<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), Unfit> {
    bytes.split_first_chunk().ok_or(Unfit::Malformed)
}

/// A COSE key (RFC 9053 section 7, WebAuthn section 5.8.5): of an algorithm that was asked for, and with
/// exactly the members that its kind has.
fn public_key(cose: &Value<'_>, algorithms: &[Algorithm]) -> Result<PublicKey, Unfit> {
    let Value::Map(members) = cose else { return Err(Unfit::Malformed) };
    let integer = |key: i64| cose.member(key).and_then(Value::integer);
    let coordinate = |key: i64| cose.member(key).and_then(Value::bytes).filter(|c| c.len() == 32);
    let algorithm = algorithms
        .iter()
        .copied()
        .find(|algorithm| integer(3) == Some(algorithm.cose().into()))
        .ok_or(Unfit::Algorithm)?;
    let shape = (integer(1), integer(-1), members.len());
    let bytes = match (algorithm, shape, coordinate(-2), coordinate(-3)) {
        (Algorithm::Es256, (Some(2), Some(1), 5), Some(x), Some(y)) => [&[0x04], x, y].concat(),
        (Algorithm::EdDsa, (Some(1), Some(6), 4), Some(x), None) => x.to_vec(),
        _ => return Err(Unfit::PublicKey),
    };
    PublicKey::new(algorithm, &bytes).ok_or(Unfit::PublicKey)
}

/// Extension outputs: none, or the protection level that was asked for.
fn extensions(flags: u8, rest: &[u8], cred_protect: bool) -> Result<(), Unfit> {
    match (flags & flag::EXTENSIONS != 0, rest.is_empty()) {
        (false, true) => return Ok(()),
        (true, false) => {}
        _ => return Err(Unfit::Malformed),
    }
    let outputs = cbor::read(rest).map_err(|_| Unfit::Malformed)?.value;
    match outputs {
        // Level 3 would hide the credential from the silent question.
        Value::Map(members) if cred_protect => match members.as_slice() {
            [(Value::Text("credProtect"), Value::Unsigned(1 | 2))] => Ok(()),
            _ => Err(Unfit::Extensions),
        },
        _ => Err(Unfit::Extensions),
    }
}

impl Unfit {
    /// The word for the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Algorithm => "algorithm",
            Self::AttestedData => "attested_data",
            Self::BackupState => "backup_state",
            Self::CredentialId => "credential_id",
            Self::Extensions => "extensions",
            Self::Format => "format",
            Self::Malformed => "malformed",
            Self::PublicKey => "public_key",
            Self::ReservedFlags => "reserved_flags",
            Self::RpIdHash => "rp_id_hash",
            Self::UserPresence => "user_presence",
            Self::UserVerification => "user_verification",
        }
    }
}
