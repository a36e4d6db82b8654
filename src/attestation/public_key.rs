//! The public keys of certificates, and the signatures that are made with them: those kinds that makers of keys use.

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use rsa::{BoxedUint, Pkcs1v15Sign};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Reader as _, SliceReader};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// A modulus of 2048 to 4096 bits, in bytes.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=512;

/// A public key, which is one of its kind.
#[derive(Debug)]
pub(crate) enum PublicKey {
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    Rsa(rsa::PublicKey),
}

/// How a certificate is signed. Nothing with SHA-1, which others can make certificates for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signing {
    Ecdsa(Hash),
    Rsa(Hash),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Signing {
    pub(crate) fn of(algorithm: &AlgorithmIdentifierOwned) -> Option<Self> {
        Some(match algorithm.oid.to_string().as_str() {
            "1.2.840.10045.4.3.2" => Self::Ecdsa(Hash::Sha256),
            "1.2.840.10045.4.3.3" => Self::Ecdsa(Hash::Sha384),
            "1.2.840.10045.4.3.4" => Self::Ecdsa(Hash::Sha512),
            "1.2.840.113549.1.1.11" => Self::Rsa(Hash::Sha256),
            "1.2.840.113549.1.1.12" => Self::Rsa(Hash::Sha384),
            "1.2.840.113549.1.1.13" => Self::Rsa(Hash::Sha512),
            _ => return None,
        })
    }
}

impl Hash {
    fn of(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha384 => Sha384::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
        }
    }
}

impl PublicKey {
    pub(crate) fn new(info: &SubjectPublicKeyInfoOwned) -> Option<Self> {
        let bytes = info.subject_public_key.as_bytes()?;
        let curve = || info.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok();
        match info.algorithm.oid {
            EC => match curve()? {
                P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).ok().map(Self::P256),
                P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(bytes).ok().map(Self::P384),
                _ => None,
            },
            RSA => rsa_key(bytes).map(Self::Rsa),
            _ => None,
        }
    }

    /// Whether this key has signed `message`, the signed part of a certificate.
    pub(crate) fn has_signed(&self, signing: Signing, message: &[u8], signature: &[u8]) -> bool {
        match (self, signing) {
            (Self::P256(key), Signing::Ecdsa(hash)) => {
                let signature = p256::ecdsa::Signature::from_der(signature);
                signature.is_ok_and(|it| key.verify_prehash(&hash.of(message), &it).is_ok())
            }
            (Self::P384(key), Signing::Ecdsa(hash)) => {
                let signature = p384::ecdsa::Signature::from_der(signature);
                signature.is_ok_and(|it| key.verify_prehash(&hash.of(message), &it).is_ok())
            }
            (Self::Rsa(key), Signing::Rsa(hash)) => {
                let padding = match hash {
                    Hash::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
                    Hash::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
                    Hash::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
                };
                key.verify(padding, &hash.of(message), signature).is_ok()
            }
            _ => false,
        }
    }

    /// Whether this key has signed `message` as an authenticator does (COSE -7).
    pub(crate) fn has_signed_es256(&self, message: &[u8], signature: &[u8]) -> bool {
        matches!(self, Self::P256(_))
            && self.has_signed(Signing::Ecdsa(Hash::Sha256), message, signature)
    }
}

/// `RSAPublicKey` (RFC 8017 appendix A.1.1), of a size that is neither weak nor slow.
fn rsa_key(bytes: &[u8]) -> Option<rsa::PublicKey> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let (modulus, exponent) = reader
        .sequence(|inner| {
            Ok::<_, x509_cert::der::Error>((UintRef::decode(inner)?, UintRef::decode(inner)?))
        })
        .ok()?;
    reader.finish().ok()?;
    let (modulus, exponent) = (modulus.as_bytes(), exponent.as_bytes());
    if !MODULUS.contains(&modulus.len()) || exponent.is_empty() || exponent.len() > 4 {
        return None;
    }
    let number = BoxedUint::from_be_slice_vartime;
    rsa::PublicKey::new(number(modulus), number(exponent)).ok()
}
