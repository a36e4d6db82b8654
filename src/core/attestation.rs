//! Which keys may be registered, where the policy does not admit all of them, and what a key shows for itself. Whether a
//! certificate is anything is judged elsewhere, by whoever knows X.509: login never does.

use std::fmt;

use crate::credential::{Algorithm, RpId};
use crate::ctap::cbor::Value;
use crate::ctap::ctap2::MadeCredential;
use crate::ctap::u2f;
use crate::registration::Registered;

/// What stands for a key's maker and model (WebAuthn Level 3 section 6.5), taken apart and not verified.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Attestation {
    /// The algorithm of the signature, as COSE numbers it; `None` where the statement does not say it.
    pub algorithm: Option<i64>,
    /// The signature.
    pub signature: Vec<u8>,
    /// What it is over.
    pub signed: Vec<u8>,
    /// The certificates, that of the signing key first. None, where nobody vouches for the key but itself.
    pub certificates: Vec<Vec<u8>>,
    /// The model number that the key gives; `None` for one of the first generation.
    pub aaguid: Option<[u8; 16]>,
    /// What was signed how.
    pub form: Form,
}

/// The form of an attestation, of those that keys on the USB use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Form {
    /// "packed": the authenticator data, with the model number in it.
    #[default]
    Packed,
    /// "fido-u2f": what a key of the first generation signs, without a model number.
    U2f,
}

impl Attestation {
    /// What came with a new credential, in a format that [`crate::registration::check`] lets pass; `client_data_hash` is what
    /// it was asked for with. A statement that is not what its format says has no certificates.
    #[must_use]
    pub fn of(
        made: &MadeCredential<'_>,
        registered: &Registered,
        client_data_hash: &[u8; 32],
    ) -> Self {
        let statement = |name| made.statement.named(name);
        let certificates = || {
            let listed = statement("x5c")?.items()?;
            listed.iter().map(|one| one.bytes().map(<[u8]>::to_vec)).collect::<Option<Vec<_>>>()
        };
        let attestation = Self {
            algorithm: statement("alg").and_then(Value::integer),
            signature: statement("sig").and_then(Value::bytes).unwrap_or_default().to_vec(),
            signed: [made.auth_data, client_data_hash].concat(),
            certificates: certificates().unwrap_or_default(),
            aaguid: Some(registered.aaguid),
            form: Form::Packed,
        };
        match made.format {
            "packed" => attestation,
            // What a key of the first generation would sign: no model number is in it (WebAuthn section
            // 8.6).
            "fido-u2f" => Self {
                algorithm: Some(Algorithm::Es256.cose().into()),
                signed: [
                    &[0],
                    made.auth_data.get(..32).unwrap_or_default(),
                    client_data_hash,
                    registered.id.as_bytes(),
                    &registered.public_key.to_bytes(),
                ]
                .concat(),
                form: Form::U2f,
                ..attestation
            },
            _ => Self { aaguid: Some(registered.aaguid), ..Self::default() },
        }
    }

    /// What came with a registration of the first generation.
    #[must_use]
    pub fn of_u2f(registered: &u2f::Registered<'_>, rp_id: &RpId, challenge: &[u8; 32]) -> Self {
        let (handle, public_key) = (registered.handle, registered.public_key);
        Self {
            algorithm: Some(Algorithm::Es256.cose().into()),
            signature: registered.signature.to_vec(),
            signed: u2f::signed_registration(rp_id.as_str(), challenge, handle, public_key),
            certificates: vec![registered.certificate.to_vec()],
            aaguid: None,
            form: Form::U2f,
        }
    }
}

/// Somebody who knows whose certificates are to be trusted.
pub trait Judge: fmt::Debug {
    /// Whether one of those that are trusted vouches for the key.
    ///
    /// # Errors
    /// Why not.
    fn judge(&self, attestation: &Attestation) -> Result<(), NotAdmitted>;
}

/// Which keys may be registered: all of them, unless something else is said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Admission<'a> {
    /// The models that may be, by the numbers that they give.
    pub models: Option<&'a [[u8; 16]]>,
    /// Who has to find that the key is what it says.
    pub judge: Option<&'a dyn Judge>,
}

impl Admission<'_> {
    /// Whether a key that gives this model number is one of those that may be registered.
    ///
    /// # Errors
    /// [`NotAdmitted::Model`].
    pub fn model(&self, aaguid: Option<[u8; 16]>) -> Result<(), NotAdmitted> {
        match (self.models, aaguid) {
            (None, _) => Ok(()),
            (Some(models), Some(aaguid)) if models.contains(&aaguid) => Ok(()),
            (Some(_), _) => Err(NotAdmitted::Model),
        }
    }

    /// Whether the key is vouched for, where that is wanted.
    ///
    /// # Errors
    /// Why not.
    pub fn attested(&self, attestation: impl FnOnce() -> Attestation) -> Result<(), NotAdmitted> {
        self.judge.map_or(Ok(()), |judge| judge.judge(&attestation()))
    }
}

/// Why a key may not be registered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotAdmitted {
    /// Another model than those that are listed, or one without a number.
    Model,
    /// Nobody vouches for it but itself.
    Unattested,
    /// A certificate, or the whole of them, is not as it must be.
    Certificate,
    /// The chain ends nowhere that is trusted.
    Chain,
    /// The signature is not that of the certificate's key.
    Signature,
    /// The certificate is for another model than the one that the key says it is.
    OtherModel,
}

impl NotAdmitted {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Model => "aaguid",
            Self::Unattested => "unattested",
            Self::Certificate => "certificate",
            Self::Chain => "chain",
            Self::Signature => "signature",
            Self::OtherModel => "certified_aaguid",
        }
    }
}

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Model => "its model is not listed",
            Self::Unattested => "no maker vouches for it",
            Self::Certificate => "its attestation certificate is not as it must be",
            Self::Chain => "no maker that is trusted vouches for it",
            Self::Signature => "its attestation is not signed by the certificate's key",
            Self::OtherModel => "its attestation certificate is for another model",
        })
    }
}
