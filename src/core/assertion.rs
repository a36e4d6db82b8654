//! Verification of an assertion, and nothing else: the one maker of [`Verified`].
//!
//! fidokey is client and relying party in one process, so the checks of WebAuthn Level 3 section 7.2 on the
//! collected client data (steps 8 to 14) come down to one: the hash that was signed is that of a
//! [`Challenge`] made by this very call, which the check consumes.

use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::credential::{
    Algorithm, Credential, CredentialId, KeyName, Protocol, RpId, Uid, Verification,
};
use crate::ctap::u2f::Signed;
use crate::ports::{Hedge, Origin};

/// Length of authenticator data without attested credential data and extensions, in bytes (WebAuthn
/// section 6.1).
const AUTH_DATA_LEN: usize = 37;
/// Longest DER form of an ECDSA signature over P-256, in bytes.
const DER_SIGNATURE_MAX: usize = 72;

/// Flags of authenticator data (WebAuthn section 6.1).
pub(crate) mod flag {
    pub(crate) const USER_PRESENT: u8 = 0x01;
    /// Bits 1 and 5.
    pub(crate) const RESERVED: u8 = 0x22;
    pub(crate) const USER_VERIFIED: u8 = 0x04;
    pub(crate) const BACKUP_ELIGIBLE: u8 = 0x08;
    pub(crate) const BACKUP_STATE: u8 = 0x10;
    pub(crate) const ATTESTED: u8 = 0x40;
    pub(crate) const EXTENSIONS: u8 = 0x80;
}

/// A public key that has been checked: a point of its curve, in the one encoding that is accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PublicKey {
    /// A point of edwards25519.
    EdDsa(ed25519_dalek::VerifyingKey),
    /// A point of P-256.
    Es256(VerifyingKey),
}

impl PublicKey {
    /// Takes `bytes` as a key of `algorithm`: for ES256 the uncompressed point of SEC 1, 65 bytes beginning
    /// with 0x04 (WebAuthn section 5.8.5 allows no other); for EdDSA the 32 bytes of RFC 8032 section 5.1.2.
    /// `None` when it is not on the curve, is the point at infinity or one of small order, for which anybody
    /// can sign, is another encoding of a point or has another length.
    #[must_use]
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Es256 if bytes.len() == 65 && bytes.first() == Some(&0x04) => {
                VerifyingKey::from_sec1_bytes(bytes).ok().map(Self::Es256)
            }
            Algorithm::Es256 => None,
            Algorithm::EdDsa => {
                let bytes: &[u8; 32] = bytes.try_into().ok()?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).ok()?;
                (is_canonical(bytes) && !key.is_weak()).then_some(Self::EdDsa(key))
            }
        }
    }

    /// What it verifies.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::EdDsa(_) => Algorithm::EdDsa,
            Self::Es256(_) => Algorithm::Es256,
        }
    }

    /// The encoding that [`PublicKey::new`] takes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::EdDsa(key) => key.to_bytes().to_vec(),
            Self::Es256(key) => key.to_sec1_point(false).as_bytes().to_vec(),
        }
    }

    /// Whether `signature` is this key's over `message`. ES256: strict DER of at most 72 bytes, either of the
    /// two values of `s`. EdDSA: 64 bytes, `s` below the order of the group, no cofactor.
    ///
    /// It says nothing of whose message it is or when it was signed; [`verify`] does.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::EdDsa(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Self::Es256(key) => {
                signature.len() <= DER_SIGNATURE_MAX
                    && Signature::from_der(signature).is_ok_and(|s| key.verify(message, &s).is_ok())
            }
        }
    }
}

/// Whether the y coordinate of an encoded point is below 2^255 - 19: one point, one text.
fn is_canonical(encoded: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = encoded;
    *low < 0xed || high & 0x7f != 0x7f || middle.iter().any(|&byte| byte != 0xff)
}

/// A client data hash that was made for one assertion and is used up by verifying it.
///
/// Not `Clone`: an answer to it is looked at once.
#[derive(Debug)]
pub struct Challenge([u8; 32]);

impl Challenge {
    /// The hash of a fresh `nonce` and of everything that makes this login this login, so that two logins
    /// never share a challenge even when the random generator repeats itself (a restored snapshot).
    ///
    /// `SHA-256("fidokey-pam-assert-v1\0" ‖ nonce ‖ LP(rp_id) ‖ u32(uid) ‖ LP(user) ‖ LP(service) ‖ LP(tty) ‖
    /// LP(rhost) ‖ u64(boottime_ns) ‖ u32(pid))`, integers big-endian, LP with a length of 4 bytes before.
    #[must_use]
    pub fn new(nonce: &[u8; 32], rp_id: &RpId, who: &Subject<'_>, hedge: Hedge) -> Self {
        let mut hash = Sha256::new_with_prefix(b"fidokey-pam-assert-v1\0");
        hash.update(nonce);
        length_prefixed(&mut hash, rp_id.as_str());
        hash.update(who.uid.to_be_bytes());
        length_prefixed(&mut hash, who.user);
        length_prefixed(&mut hash, &who.origin.service);
        length_prefixed(&mut hash, &who.origin.tty);
        length_prefixed(&mut hash, &who.origin.rhost);
        hash.update(hedge.boottime_ns.to_be_bytes());
        hash.update(hedge.pid.to_be_bytes());
        Self(hash.finalize().into())
    }

    /// A challenge that nobody will look at the answer to but for the key's word.
    pub(crate) const fn throw_away(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// The bytes that the key signs.
    #[must_use]
    pub const fn client_data_hash(&self) -> &[u8; 32] {
        &self.0
    }
}

/// So that no two lists of texts give the same bytes.
fn length_prefixed(hash: &mut Sha256, text: &str) {
    hash.update(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    hash.update(text.as_bytes());
}

/// For whom and from where a login is.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The user number.
    pub uid: Uid,
    /// The account name.
    pub user: &'a str,
    /// Service, terminal and remote host.
    pub origin: &'a Origin,
}

/// What a key answered to a request for an assertion, as it came off the wire (CTAP 2.1 section 6.2.2).
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// `credential.id`, where the key named one.
    pub credential_id: Option<&'a [u8]>,
    /// The authenticator data, raw as signed.
    pub auth_data: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
    /// `user.id`, where the key gave one.
    pub user_handle: Option<&'a [u8]>,
    /// How many credentials the key says it has for this request, where it says so.
    pub number_of_credentials: Option<u64>,
}

/// An assertion passed every check. Made by [`verify`] and [`verify_u2f`] alone, and not to be copied: one
/// assertion is one login.
#[derive(Debug, Eq, PartialEq)]
#[must_use]
pub struct Verified {
    key_name: KeyName,
    user_verified: bool,
    signature_counter: u32,
    credential_id: CredentialId,
}

impl Verified {
    /// The name of the key that signed.
    #[must_use]
    pub const fn key_name(&self) -> &KeyName {
        &self.key_name
    }

    /// Whether the key verified its user (UV).
    #[must_use]
    pub const fn user_verified(&self) -> bool {
        self.user_verified
    }

    /// The signature counter that the key sent.
    #[must_use]
    pub const fn signature_counter(&self) -> u32 {
        self.signature_counter
    }

    /// How logs name the credential that signed.
    #[must_use]
    pub fn credential_tag(&self) -> [u8; 4] {
        self.credential_id.tag()
    }

    /// Whether it was `credential` that signed.
    #[must_use]
    pub fn is_by(&self, credential: &Credential) -> bool {
        self.credential_id == credential.id
    }

    /// Whether the verified flags satisfy `required`. Asked once more where the verdict is made, so that no
    /// single mistake on the way there can let a touch pass for a PIN.
    #[must_use]
    pub const fn satisfies(&self, required: Verification) -> bool {
        match required {
            Verification::None => true,
            Verification::Required => self.user_verified,
        }
    }
}

/// The first check that an assertion did not pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rejected {
    /// The AT flag is set, or its data are there.
    AttestedData,
    /// BE differs from the registration's.
    BackupEligibility,
    /// BS without BE.
    BackupState,
    /// The id that signed is not one of those that were offered.
    CredentialId,
    /// The ED flag is set: we asked for no extension.
    Extensions,
    /// The authenticator data do not have 37 bytes.
    Length,
    /// More than one credential claimed, though we named those we accept.
    NumberOfCredentials,
    /// The answer has no member that it must have, or a wrong type, or bytes left over.
    Malformed,
    /// A reserved flag is set.
    ReservedFlags,
    /// Signed for another relying party.
    RpIdHash,
    /// The signature is not this credential's over this challenge.
    Signature,
    /// The user handle is another user's.
    UserHandle,
    /// Nobody touched the key: UP is clear.
    UserPresence,
    /// UV is clear and verification is required.
    UserVerification,
}

impl Rejected {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::AttestedData,
        Self::BackupEligibility,
        Self::BackupState,
        Self::CredentialId,
        Self::Extensions,
        Self::Length,
        Self::NumberOfCredentials,
        Self::Malformed,
        Self::ReservedFlags,
        Self::RpIdHash,
        Self::Signature,
        Self::UserHandle,
        Self::UserPresence,
        Self::UserVerification,
    ];

    /// The word for the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AttestedData => "attested_data",
            Self::BackupEligibility => "backup_eligibility",
            Self::BackupState => "backup_state",
            Self::CredentialId => "credential_id",
            Self::Extensions => "extensions",
            Self::Length => "length",
            Self::NumberOfCredentials => "number_of_credentials",
            Self::Malformed => "malformed",
            Self::ReservedFlags => "reserved_flags",
            Self::RpIdHash => "rp_id_hash",
            Self::Signature => "signature",
            Self::UserHandle => "user_handle",
            Self::UserPresence => "user_presence",
            Self::UserVerification => "user_verification",
        }
    }
}

/// Verifies the answer to a request that offered the credentials `offered` (all of one account) and sent
/// `challenge`, under the policy `required` and each credential's own.
///
/// # Errors
/// The first check that it did not pass.
pub fn verify(
    challenge: Challenge,
    offered: &[&Credential],
    response: &Response<'_>,
    required: Verification,
) -> Result<Verified, Rejected> {
    check(challenge, offered, response, required, Protocol::Fido2)
}

/// Verifies the answer to a silent question for the credentials `offered`, sent with `challenge`: that the key has the
/// private key of one of them, here and now. It says nothing of a person, so it lets nobody in; it tells a key that may
/// be given a PIN from one that only claims so.
///
/// # Errors
/// The first check that it did not pass.
pub fn verify_silent<'c>(
    challenge: &Challenge,
    offered: &[&'c Credential],
    response: &Response<'_>,
) -> Result<&'c Credential, Rejected> {
    examine(challenge, offered, response, None, Protocol::Fido2).map(|signed| signed.credential)
}

/// Verifies what a first-generation key signed for `credential` (U2F raw messages section 5.4): the same bytes
/// as an assertion's, so the same checks, and stricter: every flag but the touch is reserved there, and a
/// touch is all that such a message can prove.
///
/// # Errors
/// The first check that it did not pass.
pub fn verify_u2f(
    challenge: Challenge,
    credential: &Credential,
    signed: &Signed<'_>,
    required: Verification,
) -> Result<Verified, Rejected> {
    match signed.flags {
        flag::USER_PRESENT => {}
        flags if flags & flag::USER_PRESENT == 0 => return Err(Rejected::UserPresence),
        _ => return Err(Rejected::ReservedFlags),
    }
    let rp_id_hash = Sha256::digest(credential.rp_id.as_str());
    let response = Response {
        credential_id: Some(credential.id.as_bytes()),
        auth_data: &[&rp_id_hash[..], &[signed.flags], signed.counter].concat(),
        signature: signed.signature,
        user_handle: None,
        number_of_credentials: None,
    };
    check(challenge, &[credential], &response, required, Protocol::U2f)
}

fn check(
    challenge: Challenge,
    offered: &[&Credential],
    response: &Response<'_>,
    required: Verification,
    spoken: Protocol,
) -> Result<Verified, Rejected> {
    let signed = examine(&challenge, offered, response, Some(required), spoken)?;
    Ok(Verified {
        key_name: signed.credential.name.clone(),
        user_verified: signed.user_verified,
        signature_counter: signed.signature_counter,
        credential_id: signed.credential.id.clone(),
    })
}

/// What passed every check.
struct Examined<'c> {
    credential: &'c Credential,
    user_verified: bool,
    signature_counter: u32,
}

/// All the checks. Where `required` is `None` nobody was asked for a touch, and none is looked for.
fn examine<'c>(
    challenge: &Challenge,
    offered: &[&'c Credential],
    response: &Response<'_>,
    required: Option<Verification>,
    spoken: Protocol,
) -> Result<Examined<'c>, Rejected> {
    // Step 5 of WebAuthn section 7.2. A key may leave the id out only when it was offered a single one
    // (CTAP 2.1 section 6.2.2).
    let credential = match (response.credential_id, offered) {
        (None, [only]) => *only,
        (None, _) => return Err(Rejected::CredentialId),
        (Some(id), offered) => *offered
            .iter()
            .find(|credential| credential.id.as_bytes() == id)
            .ok_or(Rejected::CredentialId)?,
    };
    // With an allow list there is exactly one answer; the number is never looped on.
    if !matches!(response.number_of_credentials, None | Some(1)) {
        return Err(Rejected::NumberOfCredentials);
    }
    // Step 6. An empty handle says nothing: keys that do not store one send it so.
    let sent = response.user_handle.filter(|handle| !handle.is_empty());
    if let (Some(known), Some(sent)) = (&credential.user_handle, sent)
        && known != sent
    {
        return Err(Rejected::UserHandle);
    }

    let data = AuthData::parse(response.auth_data)?;
    if !bool::from(data.rp_id_hash[..].ct_eq(&Sha256::digest(credential.rp_id.as_str())[..])) {
        return Err(Rejected::RpIdHash);
    }
    if required.is_some() && data.flags & flag::USER_PRESENT == 0 {
        return Err(Rejected::UserPresence);
    }
    // Of the first generation on either side, nothing but the touch counts, whatever the flags say.
    let second_generation = spoken == Protocol::Fido2 && credential.protocol == Protocol::Fido2;
    let user_verified = second_generation && data.flags & flag::USER_VERIFIED != 0;
    let required = required.map(|required| required.max(credential.verification));
    if required == Some(Verification::Required) && !user_verified {
        return Err(Rejected::UserVerification);
    }
    // Steps 18 and 19: BE never changes in the life of a credential.
    let backup_eligible = data.flags & flag::BACKUP_ELIGIBLE != 0;
    if data.flags & flag::BACKUP_STATE != 0 && !backup_eligible {
        return Err(Rejected::BackupState);
    }
    if credential.backup_eligible.is_some_and(|known| known != backup_eligible) {
        return Err(Rejected::BackupEligibility);
    }

    let mut signed = Vec::with_capacity(AUTH_DATA_LEN.saturating_add(32));
    signed.extend_from_slice(response.auth_data);
    signed.extend_from_slice(challenge.client_data_hash());
    if !credential.public_key.verifies(&signed, response.signature) {
        return Err(Rejected::Signature);
    }
    Ok(Examined { credential, user_verified, signature_counter: data.signature_counter })
}

/// Authenticator data of an assertion: exactly 37 bytes, no attested credential, no extensions.
struct AuthData<'a> {
    rp_id_hash: &'a [u8; 32],
    flags: u8,
    signature_counter: u32,
}

impl<'a> AuthData<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Rejected> {
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>().ok_or(Rejected::Length)?;
        let (&flags, rest) = rest.split_first().ok_or(Rejected::Length)?;
        if flags & flag::ATTESTED != 0 {
            return Err(Rejected::AttestedData);
        }
        if flags & flag::EXTENSIONS != 0 {
            return Err(Rejected::Extensions);
        }
        if flags & flag::RESERVED != 0 {
            return Err(Rejected::ReservedFlags);
        }
        let counter: &[u8; 4] = rest.try_into().map_err(|_| Rejected::Length)?;
        Ok(Self { rp_id_hash, flags, signature_counter: u32::from_be_bytes(*counter) })
    }
}
