//! The two PIN/UV auth protocols: a secret that is agreed on with a key, and what is encrypted and authenticated
//! with it (CTAP 2.1 sections 6.5.6 and 6.5.7).
//!
//! The agreement is not authenticated: whoever is at the other end learns enough to find the PIN by trying. Who that
//! is has to be known before.

use aes::Aes256;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdh::diffie_hellman;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::{PublicKey, SecretKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The length of a block of AES and of the second protocol's initialization vector, in bytes.
const BLOCK: usize = 16;
/// The length of a coordinate of P-256, in bytes.
pub const COORDINATE: usize = 32;
/// The longest token, in bytes: 16 or 32 of the first protocol, 32 of the second.
const TOKEN_MAX: usize = 32;

/// Which of the two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PinProtocol {
    /// The first: keys derived by SHA-256, no initialization vector, authentication of 16 bytes.
    One,
    /// The second: HKDF, a random initialization vector, authentication of 32 bytes.
    Two,
}

impl PinProtocol {
    /// Its number on the wire (`pinUvAuthProtocol`).
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// The one to use with a key that lists these, in whatever order: the second where both are there. `None` where
    /// it lists others only.
    #[must_use]
    pub fn choose(listed: &[u64]) -> Option<Self> {
        [Self::Two, Self::One].into_iter().find(|one| listed.contains(&one.number().into()))
    }
}

/// A point of P-256, as COSE has it: `x` and `y`, big-endian.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Point {
    /// The one coordinate.
    pub x: [u8; COORDINATE],
    /// The other.
    pub y: [u8; COORDINATE],
}

/// What was agreed on with a key, for one exchange.
pub struct SharedSecret {
    protocol: PinProtocol,
    /// One and the same in the first protocol.
    hmac_key: Zeroizing<[u8; 32]>,
    aes_key: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedSecret").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

impl SharedSecret {
    /// Agrees on a secret with a key whose point is `theirs`; `random` becomes our ephemeral private key. With the
    /// secret comes our point, for the key to do the same.
    ///
    /// `None` where `theirs` is not a point of the curve, and where `random` is no private key, which happens once in
    /// 2^32 times.
    #[must_use]
    pub fn agree(
        protocol: PinProtocol,
        theirs: &Point,
        random: &[u8; 32],
    ) -> Option<(Self, Point)> {
        let sec1 = [&[0x04], &theirs.x[..], &theirs.y[..]].concat();
        let theirs = PublicKey::from_sec1_bytes(&sec1).ok()?;
        let secret = SecretKey::from_slice(random).ok()?;
        let ours = secret.public_key().to_sec1_point(false);
        let (_, ours) = ours.as_bytes().split_first()?;
        let (x, y) = ours.split_first_chunk()?;
        let ours = Point { x: *x, y: *y.first_chunk()? };
        let agreed = diffie_hellman(secret.to_nonzero_scalar(), theirs.as_affine());
        let z = agreed.raw_secret_bytes();
        let this = match protocol {
            PinProtocol::One => {
                let mut key = Zeroizing::new([0; 32]);
                Sha256::new_with_prefix(z).finalize_into((&mut *key).into());
                Self { protocol, hmac_key: key.clone(), aes_key: key }
            }
            PinProtocol::Two => {
                let expand = Hkdf::<Sha256>::new(Some(&[0; 32]), z);
                let (mut hmac_key, mut aes_key) =
                    (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
                expand.expand(b"CTAP2 HMAC key", &mut *hmac_key).ok()?;
                expand.expand(b"CTAP2 AES key", &mut *aes_key).ok()?;
                Self { protocol, hmac_key, aes_key }
            }
        };
        Some((this, ours))
    }

    /// Which protocol it is of.
    #[must_use]
    pub const fn protocol(&self) -> PinProtocol {
        self.protocol
    }

    /// Encrypts `plain`, whole blocks of 16 bytes; `random` is used by the second protocol. `None` for other lengths.
    #[must_use]
    pub fn encrypt(&self, random: &[u8; BLOCK], plain: &[u8]) -> Option<Vec<u8>> {
        let (iv, prefix) = match self.protocol {
            PinProtocol::One => ([0; BLOCK], &[][..]),
            PinProtocol::Two => (*random, &random[..]),
        };
        let mut sent = [prefix, plain].concat();
        let (blocks, []) = sent.get_mut(prefix.len()..)?.as_chunks_mut::<BLOCK>() else {
            return None;
        };
        let mut cipher = cbc::Encryptor::<Aes256>::new((&*self.aes_key).into(), (&iv).into());
        blocks.iter_mut().for_each(|block| cipher.encrypt_block(block.into()));
        Some(sent)
    }

    /// Decrypts what the other end has encrypted. `None` where it is not whole blocks.
    #[must_use]
    pub fn decrypt(&self, received: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (iv, ciphertext) = match self.protocol {
            PinProtocol::One => ([0; BLOCK], received),
            PinProtocol::Two => {
                let (iv, ciphertext) = received.split_first_chunk()?;
                (*iv, ciphertext)
            }
        };
        let mut plain = Zeroizing::new(ciphertext.to_vec());
        let (blocks, []) = plain.as_chunks_mut::<BLOCK>() else { return None };
        let mut cipher = cbc::Decryptor::<Aes256>::new((&*self.aes_key).into(), (&iv).into());
        blocks.iter_mut().for_each(|block| cipher.decrypt_block(block.into()));
        Some(plain)
    }

    /// The token that a key has encrypted: 16 or 32 bytes of the first protocol, 32 of the second. `None` for
    /// anything else.
    #[must_use]
    pub fn token(&self, received: &[u8]) -> Option<Token> {
        let token = self.decrypt(received)?;
        let fits = match self.protocol {
            PinProtocol::One => token.len() == BLOCK || token.len() == TOKEN_MAX,
            PinProtocol::Two => token.len() == TOKEN_MAX,
        };
        fits.then_some(Token { protocol: self.protocol, token })
    }

    /// What proves to the key that `message` is from whoever it agreed with.
    #[must_use]
    pub fn authenticate(&self, message: &[u8]) -> Option<Vec<u8>> {
        authenticate(self.protocol, &*self.hmac_key, message)
    }
}

/// A `pinUvAuthToken`: the right to one request. It is not stored, and wiped when it was used.
pub struct Token {
    protocol: PinProtocol,
    token: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

impl Token {
    /// Which protocol it is of.
    #[must_use]
    pub const fn protocol(&self) -> PinProtocol {
        self.protocol
    }

    /// The `pinUvAuthParam` of a request with this client data hash, as long as the protocol makes it.
    #[must_use]
    pub fn authorize(&self, client_data_hash: &[u8; 32]) -> Option<Vec<u8>> {
        authenticate(self.protocol, &self.token, client_data_hash)
    }
}

/// HMAC-SHA-256, cut to 16 bytes by the first protocol.
fn authenticate(protocol: PinProtocol, key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    hmac.update(message);
    let mut tag = hmac.finalize().into_bytes().to_vec();
    if protocol == PinProtocol::One {
        tag.truncate(BLOCK);
    }
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ends of an agreement.
    fn pair(protocol: PinProtocol) -> (SharedSecret, SharedSecret) {
        let theirs = SecretKey::from_slice(&[7; 32]).unwrap().public_key().to_sec1_point(false);
        let theirs = theirs.as_bytes();
        let theirs =
            Point { x: theirs[1..33].try_into().unwrap(), y: theirs[33..].try_into().unwrap() };
        let (ours, point) = SharedSecret::agree(protocol, &theirs, &[9; 32]).unwrap();
        (ours, SharedSecret::agree(protocol, &point, &[7; 32]).unwrap().0)
    }

    // P10.
    #[test]
    fn the_second_protocol_is_chosen_where_a_key_has_both() {
        assert_eq!(PinProtocol::choose(&[1, 2]), Some(PinProtocol::Two));
        assert_eq!(PinProtocol::choose(&[2, 1, 3]), Some(PinProtocol::Two));
        assert_eq!(PinProtocol::choose(&[1]), Some(PinProtocol::One));
        assert_eq!(PinProtocol::choose(&[3, 0]), None);
        assert_eq!(PinProtocol::choose(&[]), None);
    }

    // P10.
    #[test]
    fn what_one_end_encrypts_the_other_reads_and_parameters_have_their_full_length() {
        for (protocol, prefix, tag) in [(PinProtocol::One, 0, 16), (PinProtocol::Two, 16, 32)] {
            let (ours, theirs) = pair(protocol);
            let plain = [5; 64];
            let sent = ours.encrypt(&[3; 16], &plain).unwrap();
            assert_eq!(sent.len(), plain.len() + prefix);
            assert_eq!(**theirs.decrypt(&sent).unwrap(), plain);
            assert_eq!(ours.authenticate(b"x"), theirs.authenticate(b"x"));
            assert_eq!(ours.authenticate(b"x").unwrap().len(), tag);
            assert!(ours.encrypt(&[3; 16], &[5; 63]).is_none());
            let token = theirs.token(&ours.encrypt(&[3; 16], &[8; 32]).unwrap()).unwrap();
            assert_eq!(token.authorize(&[0; 32]).unwrap().len(), tag);
        }
    }

    #[test]
    fn a_token_of_another_length_is_none() {
        for protocol in [PinProtocol::One, PinProtocol::Two] {
            let (ours, theirs) = pair(protocol);
            for length in [0, 16, 32, 48, 64] {
                let token = theirs.token(&ours.encrypt(&[3; 16], &vec![1; length]).unwrap());
                let fits = length == 32 || (length == 16 && protocol == PinProtocol::One);
                assert_eq!(token.is_some(), fits, "{protocol:?} {length}");
            }
            for length in [1, 15, 17, 33] {
                assert!(theirs.token(&vec![1; length]).is_none(), "{protocol:?} {length}");
            }
        }
    }

    // P11.
    #[test]
    fn given_a_point_that_is_not_on_the_curve_then_nothing_is_agreed_on() {
        let off = [
            Point { x: [0; 32], y: [0; 32] },
            Point { x: [1; 32], y: [1; 32] },
            Point { x: [0xff; 32], y: [0xff; 32] },
        ];
        for theirs in off {
            for protocol in [PinProtocol::One, PinProtocol::Two] {
                assert!(SharedSecret::agree(protocol, &theirs, &[9; 32]).is_none());
            }
        }
    }

    #[test]
    fn nothing_secret_is_shown_by_debug() {
        let (ours, theirs) = pair(PinProtocol::Two);
        let token = theirs.token(&ours.encrypt(&[3; 16], &[0xab; 32]).unwrap()).unwrap();
        assert_eq!(format!("{ours:?}"), "SharedSecret { protocol: Two, .. }");
        assert_eq!(format!("{token:?}"), "Token { protocol: Two, .. }");
    }
}
