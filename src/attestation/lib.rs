//! Whether somebody whom the administrator trusts vouches for a key (WebAuthn Level 3 sections 7.1, 8.2, 8.6). A registration
//! asks this where the policy names such makers; no login does, and nothing that login loads knows what a certificate is.
//!
//! Dates are not looked at: a key has its certificate for life and cannot get another one, and what a maker has revoked is
//! known to no machine that is not asked to be on the network. Both are for the list of the trusted to say.

#![forbid(unsafe_code)]

mod certificate;
mod public_key;

use std::fmt;

use fidokey_core::attestation::{Attestation, Form, Judge, NotAdmitted};
use fidokey_core::credential::Algorithm;

use certificate::Parsed;

/// The most certificates that a key may show.
pub const CHAIN_MAX: usize = 4;
/// The longest certificate that a key may show, in bytes.
pub const CERTIFICATE_MAX: usize = 4096;
/// The most certificates of the trusted.
pub const ROOTS_MAX: usize = 64;

/// Those who are trusted to vouch for keys: makers' roots, what is below them, or the certificates of single batches.
#[derive(Debug)]
pub struct Roots(Vec<Parsed>);

/// Why a list of the trusted is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadRoots {
    /// There is no certificate in it.
    Empty,
    /// More than 64.
    Many,
    /// Not PEM, or not certificates as we read them.
    Malformed,
    /// A public key of a kind that is not used for this, or a certificate that wants something that we do not know.
    Unusable,
}

impl fmt::Display for BadRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "there is no certificate in it",
            Self::Many => "it has more than 64 certificates",
            Self::Malformed => "not a list of certificates in PEM",
            Self::Unusable => {
                "a certificate's key is not P-256, P-384 or RSA of 2048 to 4096 bits, or what it demands is not known"
            }
        })
    }
}

impl Roots {
    /// Takes a file of certificates in PEM (RFC 7468): text may stand before each of them, nothing behind the last.
    ///
    /// # Errors
    /// [`BadRoots`]: one in doubt, and none of them counts.
    pub fn from_pem(text: &[u8]) -> Result<Self, BadRoots> {
        let certificates = certificate::from_pem(text)?;
        match certificates.len() {
            0 => return Err(BadRoots::Empty),
            1..=ROOTS_MAX => {}
            _ => return Err(BadRoots::Many),
        }
        if certificates.iter().any(|root| root.key.is_none() || !root.is_understood) {
            return Err(BadRoots::Unusable);
        }
        Ok(Self(certificates))
    }

    /// Whether the chain ends with one of these. `certificates` begins with that of the signing key, which is none of an
    /// authority; `below` of an issuer are those between it and that one.
    fn reaches(&self, certificates: &[Parsed]) -> Result<(), NotAdmitted> {
        for (below, certificate) in certificates.iter().enumerate() {
            // The very certificate, of a batch or of an authority.
            if self.0.iter().any(|root| root.der == certificate.der) {
                return Ok(());
            }
            if self.0.iter().any(|root| root.may_issue(below) && root.has_issued(certificate)) {
                return Ok(());
            }
            let Some(issuer) = certificates.get(below.saturating_add(1)) else { break };
            if !issuer.is_understood || !issuer.is_authority || !issuer.may_issue(below) {
                return Err(NotAdmitted::Certificate);
            }
            if !issuer.has_issued(certificate) {
                return Err(NotAdmitted::Chain);
            }
        }
        Err(NotAdmitted::Chain)
    }
}

impl Judge for Roots {
    fn judge(&self, attestation: &Attestation) -> Result<(), NotAdmitted> {
        let Attestation { algorithm, signature, signed, certificates, aaguid, form } = attestation;
        if certificates.is_empty() {
            return Err(NotAdmitted::Unattested);
        }
        let long = certificates.iter().any(|certificate| certificate.len() > CERTIFICATE_MAX);
        if certificates.len() > CHAIN_MAX || long {
            return Err(NotAdmitted::Certificate);
        }
        let parsed: Option<Vec<Parsed>> =
            certificates.iter().map(|certificate| Parsed::new(certificate)).collect();
        let parsed = parsed.ok_or(NotAdmitted::Certificate)?;
        let leaf = parsed.first().ok_or(NotAdmitted::Unattested)?;
        let fit = match form {
            Form::Packed => leaf.is_fit_for_packed(),
            Form::U2f => leaf.is_understood && !leaf.is_authority,
        };
        if !fit || *algorithm != Some(Algorithm::Es256.cose().into()) {
            return Err(NotAdmitted::Certificate);
        }
        if !leaf.is_of_model(*aaguid, *form) {
            return Err(NotAdmitted::OtherModel);
        }
        let key = leaf.key.as_ref().ok_or(NotAdmitted::Certificate)?;
        if !key.has_signed_es256(signed, signature) {
            return Err(NotAdmitted::Signature);
        }
        self.reaches(&parsed)
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
mod tests;
