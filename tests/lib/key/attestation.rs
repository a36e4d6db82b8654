//! The batch attestation of the emulated keys: a test key and its self-signed certificate, no secret.
//!
//! Made once with `openssl ecparam -name prime256v1 -genkey` and `openssl req -x509 -days 36500 -sha256
//! -outform DER`; subject C=ZZ, O=fidokey tests, OU=Authenticator Attestation (WebAuthn section 8.2.1),
//! critical basicConstraints CA:FALSE.

use opensk::api::persist::Attestation;

/// The private key.
pub const ATTESTATION_KEY: [u8; 32] = [
    0x91, 0x50, 0xd8, 0x2d, 0x48, 0xec, 0xe4, 0x83, 0x40, 0x92, 0x07, 0x3d, 0x9b, 0xcc, 0x55, 0x16,
    0xa9, 0x7c, 0xbc, 0xe9, 0x73, 0x20, 0xa9, 0xf5, 0x23, 0x74, 0x11, 0xbd, 0x5f, 0xc4, 0x26, 0x86,
];

/// The certificate, in DER.
pub const ATTESTATION_CERTIFICATE: &[u8] = include_bytes!("attestation.der");

pub(super) fn batch() -> Attestation {
    Attestation {
        wrapped_private_key: ATTESTATION_KEY.to_vec(),
        certificate: ATTESTATION_CERTIFICATE.to_vec(),
    }
}
