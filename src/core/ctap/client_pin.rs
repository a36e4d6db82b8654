//! The messages of authenticatorClientPIN that fidokey sends and reads (CTAP 2.1 section 6.5.5).

use super::cbor::{self, Value, Writer};
use super::ctap2::Malformed;
use super::pin_protocol::{PinProtocol, Point};

/// The command.
const CLIENT_PIN: u8 = 0x06;

/// What a token is for (CTAP 2.1 section 6.5.5.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Permission {
    /// `be`: the fingerprints on the key.
    BioEnrollment,
    /// `cm`: the credentials on the key.
    CredentialManagement,
    /// `ga`: an assertion.
    GetAssertion,
    /// `mc`: a new credential.
    MakeCredential,
}

impl Permission {
    const fn bits(self) -> i16 {
        match self {
            Self::MakeCredential => 0x01,
            Self::GetAssertion => 0x02,
            Self::CredentialManagement => 0x04,
            Self::BioEnrollment => 0x08,
        }
    }
}

/// How many tries are left (`getPINRetries`, `getUVRetries`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retries {
    /// Tries until the PIN, or the built-in verification, is blocked.
    pub left: u8,
    /// The key takes no PIN until it is plugged in anew.
    pub power_cycle: bool,
}

/// Asks how often the PIN may still be tried.
#[must_use]
pub fn get_pin_retries(protocol: PinProtocol) -> Vec<u8> {
    subcommand(protocol, 0x01)
}

/// Asks how often the built-in verification may still be tried.
#[must_use]
pub fn get_uv_retries(protocol: PinProtocol) -> Vec<u8> {
    subcommand(protocol, 0x07)
}

/// A request of nothing else. The protocol means nothing to some of them, and CTAP 2.1 leaves it out there; CTAP 2.0 wants
/// it in all, and there are keys of either version that do.
fn subcommand(protocol: PinProtocol, number: i16) -> Vec<u8> {
    let mut request = Writer::beginning_with(CLIENT_PIN);
    request.map(2).integer(1).integer(protocol.number().into()).integer(2).integer(number);
    request.into_bytes()
}

/// Reads the answer to [`get_pin_retries`].
///
/// # Errors
/// [`Malformed`]: without a number nobody could tell whether a try is the last one.
pub fn read_pin_retries(payload: &[u8]) -> Result<Retries, Malformed> {
    let map = cbor::read(payload).map_err(|_| Malformed)?.value;
    let left = map.member(3).and_then(Value::unsigned).ok_or(Malformed)?;
    let power_cycle = match map.member(4) {
        None => false,
        Some(Value::Bool(power_cycle)) => *power_cycle,
        Some(_) => return Err(Malformed),
    };
    Ok(Retries { left: u8::try_from(left).map_err(|_| Malformed)?, power_cycle })
}

/// Reads the answer to [`get_uv_retries`].
///
/// # Errors
/// [`Malformed`].
pub fn read_uv_retries(payload: &[u8]) -> Result<u8, Malformed> {
    let map = cbor::read(payload).map_err(|_| Malformed)?.value;
    let left = map.member(5).and_then(Value::unsigned).ok_or(Malformed)?;
    u8::try_from(left).map_err(|_| Malformed)
}

/// Asks for the key's point, new since it was plugged in.
#[must_use]
pub fn get_key_agreement(protocol: PinProtocol) -> Vec<u8> {
    subcommand(protocol, 0x02)
}

/// Reads the answer to [`get_key_agreement`]. Whether the point is on the curve is not looked at here.
///
/// # Errors
/// [`Malformed`]: not a COSE key of P-256 for ECDH.
pub fn read_key_agreement(payload: &[u8]) -> Result<Point, Malformed> {
    const EC2: i64 = 2;
    const P_256: i64 = 1;
    let map = cbor::read(payload).map_err(|_| Malformed)?.value;
    let key = map.member(1).ok_or(Malformed)?;
    let number = |label: i64| key.member(label).and_then(Value::integer);
    // The algorithm (label 3, -25) means nothing here, and some keys send another.
    if number(1) != Some(EC2) || number(-1) != Some(P_256) {
        return Err(Malformed);
    }
    let coordinate = |label: i64| {
        let bytes = key.member(label).and_then(Value::bytes).ok_or(Malformed)?;
        bytes.try_into().map_err(|_| Malformed)
    };
    Ok(Point { x: coordinate(-2)?, y: coordinate(-3)? })
}

/// Asks for a token in return for the PIN. `pin_hash_encrypted` is the left half of its SHA-256, encrypted. A key that
/// knows permissions (`scope`) gives it for that alone, at that relying party alone; an empty one is none in particular.
#[must_use]
pub fn get_token(
    protocol: PinProtocol,
    ours: &Point,
    pin_hash_encrypted: &[u8],
    scope: Option<(Permission, &str)>,
) -> Vec<u8> {
    let mut request = Writer::beginning_with(CLIENT_PIN);
    let (count, number) = match scope {
        Some((_, "")) => (5, 0x09),
        Some(_) => (6, 0x09),
        None => (4, 0x05),
    };
    request.map(count);
    request.integer(1).integer(protocol.number().into());
    request.integer(2).integer(number);
    request.integer(3);
    cose_key(&mut request, ours);
    request.integer(6).bytes(pin_hash_encrypted);
    if let Some((permission, rp_id)) = scope {
        request.integer(9).integer(permission.bits());
        if !rp_id.is_empty() {
            request.integer(10).text(rp_id);
        }
    }
    request.into_bytes()
}

/// Gives a key without a PIN its first one (CTAP 2.1 section 6.5.5.5), or changes the one it has (6.5.5.6), where
/// `pin_hash_encrypted` says that it is known. `param` authenticates both. The answer is a status and nothing else.
#[must_use]
pub fn set_pin(
    protocol: PinProtocol,
    ours: &Point,
    param: &[u8],
    new_pin_encrypted: &[u8],
    pin_hash_encrypted: Option<&[u8]>,
) -> Vec<u8> {
    let mut request = Writer::beginning_with(CLIENT_PIN);
    let (count, number) = if pin_hash_encrypted.is_some() { (6, 0x04) } else { (5, 0x03) };
    request.map(count);
    request.integer(1).integer(protocol.number().into());
    request.integer(2).integer(number);
    request.integer(3);
    cose_key(&mut request, ours);
    request.integer(4).bytes(param);
    request.integer(5).bytes(new_pin_encrypted);
    if let Some(hash) = pin_hash_encrypted {
        request.integer(6).bytes(hash);
    }
    request.into_bytes()
}

/// Reads the answer to [`get_token`]: the token, encrypted.
///
/// # Errors
/// [`Malformed`].
pub fn read_token(payload: &[u8]) -> Result<Vec<u8>, Malformed> {
    let map = cbor::read(payload).map_err(|_| Malformed)?.value;
    map.member(2).and_then(Value::bytes).map(<[u8]>::to_vec).ok_or(Malformed)
}

fn cose_key(request: &mut Writer, point: &Point) {
    request.map(5);
    request.integer(1).integer(2);
    request.integer(3).integer(-25);
    request.integer(-1).integer(1);
    request.integer(-2).bytes(&point.x);
    request.integer(-3).bytes(&point.y);
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINT: Point = Point { x: [1; 32], y: [2; 32] };

    #[test]
    fn given_any_request_then_its_cbor_is_canonical() {
        let scopes = [
            None,
            Some((Permission::GetAssertion, "pam://fidokey")),
            Some((Permission::MakeCredential, "x")),
            Some((Permission::BioEnrollment, "")),
            Some((Permission::CredentialManagement, "")),
        ];
        let mut requests = Vec::new();
        for protocol in [PinProtocol::One, PinProtocol::Two] {
            requests.extend([
                get_pin_retries(protocol),
                get_uv_retries(protocol),
                get_key_agreement(protocol),
                set_pin(protocol, &POINT, &[4; 32], &[5; 80], None),
                set_pin(protocol, &POINT, &[4; 16], &[5; 64], Some(&[6; 16])),
            ]);
            requests.extend(scopes.map(|scope| get_token(protocol, &POINT, &[3; 16], scope)));
        }
        for request in requests {
            assert_eq!(request[0], 0x06);
            assert!(cbor::read(&request[1..]).unwrap().canonical, "{request:02x?}");
        }
    }

    fn key_agreement(members: &[(i16, i16)], x: usize, y: usize) -> Vec<u8> {
        let mut answer = Writer::default();
        answer.map(1).integer(1).map(members.len().saturating_add(2));
        for (label, value) in members {
            answer.integer(*label).integer(*value);
        }
        answer.integer(-2).bytes(&vec![1; x]).integer(-3).bytes(&vec![2; y]);
        answer.into_bytes()
    }

    // P11: what is no key of P-256 is not taken for one.
    #[test]
    fn given_another_kind_of_key_then_the_agreement_is_malformed() {
        let good = [(1, 2), (3, -25), (-1, 1)];
        assert_eq!(read_key_agreement(&key_agreement(&good, 32, 32)), Ok(POINT));
        assert_eq!(read_key_agreement(&key_agreement(&[(1, 2), (-1, 1)], 32, 32)), Ok(POINT));
        for (members, x, y) in [
            (&[(1, 1), (3, -25), (-1, 1)][..], 32, 32),
            (&[(1, 2), (3, -25), (-1, 2)], 32, 32),
            (&[(3, -25), (-1, 1)], 32, 32),
            (&good, 31, 32),
            (&good, 32, 33),
            (&good, 0, 0),
        ] {
            assert_eq!(read_key_agreement(&key_agreement(members, x, y)), Err(Malformed));
        }
        assert_eq!(read_key_agreement(&[0xa0]), Err(Malformed));
    }

    // P3.
    #[test]
    fn given_no_number_of_retries_then_the_answer_is_malformed() {
        let left = |left, power_cycle| Ok(Retries { left, power_cycle });
        assert_eq!(read_pin_retries(&[0xa1, 3, 8]), left(8, false));
        assert_eq!(read_pin_retries(&[0xa2, 3, 0, 4, 0xf5]), left(0, true));
        assert_eq!(read_pin_retries(&[0xa2, 3, 5, 4, 0xf4]), left(5, false));
        for payload in [
            &[0xa0][..],
            &[0xa1, 4, 0xf5],
            &[0xa1, 3, 0x20],
            &[0xa1, 3, 0x19, 1, 0],
            &[0xa2, 3, 5, 4, 1],
        ] {
            assert_eq!(read_pin_retries(payload), Err(Malformed), "{payload:02x?}");
        }
    }
}
