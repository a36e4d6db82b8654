//! The answers of authenticatorClientPIN: how often, the point of an agreement, a token.

use fidokey_core::ctap::cbor;
use fidokey_core::ctap::client_pin::{
    read_key_agreement, read_pin_retries, read_token, read_uv_retries,
};
use fidokey_core::ctap::pin_protocol::{PinProtocol, Point, SharedSecret};

use super::Tape;

/// The generator of P-256's group, which is a point to agree with as good as any.
pub const GENERATOR: ([u8; 32], [u8; 32]) = (
    *b"\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96",
    *b"\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16\x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5",
);

/// The first byte says which answer the others are the CBOR of, and the protocol (its upper half).
pub fn run(bytes: &[u8]) {
    let mut tape = Tape::new(bytes);
    let kind = tape.byte();
    let rest = tape.rest();
    let protocol = if kind & 0xf0 == 0 { PinProtocol::One } else { PinProtocol::Two };
    match kind % 4 {
        0 => {
            if let Ok(retries) = read_pin_retries(&rest) {
                assert_eq!(number(&rest, 3), Some(retries.left.into()));
            }
        }
        1 => {
            if let Ok(left) = read_uv_retries(&rest) {
                assert_eq!(number(&rest, 5), Some(left.into()));
            }
        }
        2 => {
            let Ok(point) = read_key_agreement(&rest) else { return };
            assert!(contains(&rest, &point.x) && contains(&rest, &point.y));
            let Some((shared, ours)) = SharedSecret::agree(protocol, &point, &[9; 32]) else {
                return;
            };
            assert_ne!(ours, point, "our own point");
            used(&shared);
        }
        _ => {
            let (x, y) = GENERATOR;
            let (shared, _) = SharedSecret::agree(protocol, &Point { x, y }, &[9; 32]).unwrap();
            let Ok(sent) = read_token(&rest) else { return };
            token(&shared, &sent);
        }
    }
}

/// A token of the right length, and what it is good for.
fn token(shared: &SharedSecret, sent: &[u8]) {
    let lengths: &[usize] = match shared.protocol() {
        PinProtocol::One => &[16, 32],
        PinProtocol::Two => &[48],
    };
    let token = shared.token(sent);
    assert_eq!(token.is_some(), lengths.contains(&sent.len()), "{}", sent.len());
    if let Some(plain) = shared.decrypt(sent) {
        let iv = *sent.first_chunk().unwrap_or(&[0; 16]);
        assert_eq!(shared.encrypt(&iv, &plain).as_deref(), Some(sent));
    }
    if let Some(token) = token {
        let param = token.authorize(&[3; 32]).unwrap();
        assert_eq!(param.len(), if shared.protocol() == PinProtocol::One { 16 } else { 32 });
    }
}

fn used(shared: &SharedSecret) {
    let sent = shared.encrypt(&[5; 16], &[6; 32]).unwrap();
    assert_eq!(shared.decrypt(&sent).unwrap()[..], [6; 32]);
    token(shared, &sent);
}

/// The number of that member: one that does not fit is an error, and not the rest of a division.
fn number(answer: &[u8], member: i64) -> Option<i64> {
    cbor::read(answer).ok()?.value.member(member)?.integer()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
