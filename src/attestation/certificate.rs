//! A certificate (RFC 5280), as far as an attestation needs it. What is trusted is decided elsewhere.

use fidokey_core::attestation::Form;
use x509_cert::certificate::{Certificate, Version};
use x509_cert::der::asn1::{ObjectIdentifier, OctetStringRef};
use x509_cert::der::{AnyRef, Decode as _, Reader as _, SliceReader, pem};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::name::Name;

use crate::BadRoots;
use crate::public_key::{PublicKey, Signing};

const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
/// id-fido-gen-ce-aaguid (WebAuthn section 8.2.1).
const AAGUID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.45724.1.1.4");

const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// A certificate, taken apart.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) der: Vec<u8>,
    /// Its public key, where it is of a kind that is used for this.
    pub(crate) key: Option<PublicKey>,
    /// It demands nothing that we do not know: no other extension is critical, none is there twice.
    pub(crate) is_understood: bool,
    /// It says that it may issue others.
    pub(crate) is_authority: bool,
    says_constraints: bool,
    /// How many authorities may be between it and the last one.
    path_length: Option<u8>,
    /// Its key may sign certificates, or nothing is said of that.
    may_sign: bool,
    is_version_3: bool,
    aaguid: Aaguid,
    subject: Name,
    issuer: Name,
    /// What its issuer has signed, as it is in it.
    tbs: Vec<u8>,
    signing: Option<Signing>,
    signature: Vec<u8>,
}

/// What a certificate says of the model that it is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Aaguid {
    Absent,
    /// Critical, or not 16 bytes.
    Wrong,
    Of([u8; 16]),
}

/// The certificates of a file in PEM: text may stand before each of them, and nothing behind the last.
pub(crate) fn from_pem(text: &[u8]) -> Result<Vec<Parsed>, BadRoots> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let text = str::from_utf8(text).map_err(|_| BadRoots::Malformed)?.trim_end();
    let mut certificates = Vec::new();
    for part in text.split_inclusive(END) {
        let from = part.find(BEGIN).ok_or(BadRoots::Malformed)?;
        let one = part.get(from..).unwrap_or_default();
        let parsed = pem::decode_vec(one.as_bytes()).ok().and_then(|(_, der)| Parsed::new(&der));
        certificates.push(parsed.ok_or(BadRoots::Malformed)?);
    }
    Ok(certificates)
}

impl Parsed {
    /// Takes the DER of one certificate apart; `None` where it is not that, to the byte.
    pub(crate) fn new(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let tbs = certificate.tbs_certificate();
        // Both places that name the algorithm say the same, one of them in what is signed.
        let algorithm = certificate.signature_algorithm();
        let signing = Signing::of(algorithm).filter(|_| tbs.signature() == algorithm);
        let mut parsed = Self {
            der: der.to_vec(),
            key: PublicKey::new(tbs.subject_public_key_info()),
            is_understood: true,
            is_authority: false,
            says_constraints: false,
            path_length: None,
            may_sign: true,
            is_version_3: tbs.version() == Version::V3,
            aaguid: Aaguid::Absent,
            subject: tbs.subject().clone(),
            issuer: tbs.issuer().clone(),
            tbs: signed_part(der)?,
            signing,
            signature: certificate.signature().as_bytes()?.to_vec(),
        };
        let mut seen = Vec::new();
        for extension in tbs.extensions().into_iter().flatten() {
            let value = extension.extn_value.as_bytes();
            if seen.contains(&extension.extn_id) {
                parsed.is_understood = false;
            }
            seen.push(extension.extn_id);
            match extension.extn_id {
                BASIC_CONSTRAINTS => {
                    let constraints = BasicConstraints::from_der(value).ok()?;
                    parsed.says_constraints = true;
                    parsed.is_authority = constraints.ca;
                    parsed.path_length = constraints.path_len_constraint;
                }
                KEY_USAGE => parsed.may_sign = KeyUsage::from_der(value).ok()?.key_cert_sign(),
                AAGUID => parsed.aaguid = aaguid(value, extension.critical),
                _ if extension.critical => parsed.is_understood = false,
                _ => {}
            }
        }
        Some(parsed)
    }

    /// Whether it may issue, with so many authorities below. One of the trusted that says nothing of being an authority is
    /// old, and somebody has put it among them.
    pub(crate) fn may_issue(&self, below: usize) -> bool {
        (self.is_authority || !self.says_constraints)
            && self.may_sign
            && self.path_length.is_none_or(|most| below <= usize::from(most))
    }

    /// Whether `other` is signed by its key and in its name.
    pub(crate) fn has_issued(&self, other: &Self) -> bool {
        !self.subject.is_empty()
            && self.subject == other.issuer
            && match (&self.key, other.signing) {
                (Some(key), Some(signing)) => key.has_signed(signing, &other.tbs, &other.signature),
                _ => false,
            }
    }

    /// What section 8.2.1 of WebAuthn wants of the certificate of a key that signs attestations.
    pub(crate) fn is_fit_for_packed(&self) -> bool {
        let has = |kind| self.subject_text(kind).any(|text| !text.is_empty());
        let unit = self.subject_text(UNIT).any(|text| text == b"Authenticator Attestation");
        self.is_understood
            && self.is_version_3
            && self.says_constraints
            && !self.is_authority
            && unit
            && [COUNTRY, ORGANIZATION, COMMON_NAME].into_iter().all(has)
    }

    fn subject_text(&self, kind: ObjectIdentifier) -> impl Iterator<Item = &[u8]> {
        self.subject.iter().filter(move |part| part.oid == kind).map(|part| part.value.value())
    }

    /// Whether it is for the model that a key says it is; `None` where a key of that generation says nothing. In the form
    /// of the first generation no model number is signed: there the certificate is all that could stand for one.
    pub(crate) fn is_of_model(&self, aaguid: Option<[u8; 16]>, form: Form) -> bool {
        match (self.aaguid, aaguid) {
            (Aaguid::Wrong, _) => false,
            (Aaguid::Of(certified), Some(aaguid)) => certified == aaguid,
            (Aaguid::Of(_), None) => true,
            (Aaguid::Absent, Some(aaguid)) => form == Form::Packed || aaguid == [0; 16],
            (Aaguid::Absent, None) => true,
        }
    }
}

fn aaguid(value: &[u8], critical: bool) -> Aaguid {
    let bytes = <&OctetStringRef>::from_der(value).ok().map(OctetStringRef::as_bytes);
    match bytes.and_then(|bytes| bytes.try_into().ok()) {
        Some(aaguid) if !critical => Aaguid::Of(aaguid),
        _ => Aaguid::Wrong,
    }
}

/// The first part of a certificate, header and all: as it was signed, not as we would write it.
fn signed_part(der: &[u8]) -> Option<Vec<u8>> {
    let whole = AnyRef::from_der(der).ok()?;
    let mut reader = SliceReader::new(whole.value()).ok()?;
    reader.tlv_bytes().ok().map(<[u8]>::to_vec)
}
