//! The CTAP2 messages that fidokey sends and reads: getInfo, makeCredential, getAssertion (CTAP 2.1
//! sections 6.1, 6.2, 6.4).

use super::cbor::{self, Value, Writer};
use super::pin_protocol::PinProtocol;
use crate::assertion::Response;
use crate::credential::Algorithm;

/// What a key accepts that does not say what it accepts, in bytes (CTAP 2.1 section 6.4, maxMsgSize).
pub const MESSAGE_SIZE_DEFAULT: usize = 1024;

/// A status byte that is not 0x00 (CTAP 2.1 section 8.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Status(pub u8);

impl Status {
    /// The key holds one of the credentials that must not be registered again.
    pub const CREDENTIAL_EXCLUDED: Self = Self(0x19);
    /// A request that the key could not read; some answer it to a list that is too long.
    pub const INVALID_CBOR: Self = Self(0x12);
    /// Some keys answer this where others say [`Status::NO_CREDENTIALS`].
    pub const INVALID_CREDENTIAL: Self = Self(0x22);
    /// The message is too long, or its length is wrong.
    pub const INVALID_LENGTH: Self = Self(0x03);
    /// A cancelled wait.
    pub const KEEPALIVE_CANCEL: Self = Self(0x2d);
    /// More than the key can take.
    pub const LIMIT_EXCEEDED: Self = Self(0x15);
    /// None of the credentials offered is the key's.
    pub const NO_CREDENTIALS: Self = Self(0x2e);
    /// The user declined on the key.
    pub const OPERATION_DENIED: Self = Self(0x27);
    /// The key takes no PIN until it is plugged in anew.
    pub const PIN_AUTH_BLOCKED: Self = Self(0x34);
    /// Something about the token is wrong: a key that was asked by another program meanwhile has made a new one.
    pub const PIN_AUTH_INVALID: Self = Self(0x33);
    /// No try is left.
    pub const PIN_BLOCKED: Self = Self(0x32);
    /// The PIN was wrong.
    pub const PIN_INVALID: Self = Self(0x31);
    /// There is no PIN on the key.
    pub const PIN_NOT_SET: Self = Self(0x35);
    /// The PIN must be changed first.
    pub const PIN_POLICY_VIOLATION: Self = Self(0x37);
    /// The key does nothing without verification (CTAP 2.0: `PIN_REQUIRED`).
    pub const PUAT_REQUIRED: Self = Self(0x36);
    /// A request of more bytes than the key takes.
    pub const REQUEST_TOO_LARGE: Self = Self(0x39);
    /// The key's own verification has no try left.
    pub const UV_BLOCKED: Self = Self(0x3c);
    /// The key's own verification did not know the user.
    pub const UV_INVALID: Self = Self(0x3f);
    /// None of the algorithms asked for.
    pub const UNSUPPORTED_ALGORITHM: Self = Self(0x26);
    /// Nobody touched the key within the key's own time.
    pub const USER_ACTION_TIMEOUT: Self = Self(0x2f);

    /// Whether it can mean that the list of credentials was too long.
    #[must_use]
    pub const fn may_mean_list_too_long(self) -> bool {
        matches!(
            self,
            Self::INVALID_LENGTH
                | Self::INVALID_CBOR
                | Self::LIMIT_EXCEEDED
                | Self::REQUEST_TOO_LARGE
        )
    }

    /// Whether it means that none of the credentials offered is the key's.
    #[must_use]
    pub const fn means_not_mine(self) -> bool {
        matches!(self, Self::NO_CREDENTIALS | Self::INVALID_CREDENTIAL)
    }

    /// Whether the key wants a PIN or a token first, or has trouble with one (0x31 to 0x38).
    #[must_use]
    pub const fn wants_pin(self) -> bool {
        matches!(self.0, 0x31..=0x38)
    }

    /// Whether it is the end of the key's own verification, in vain (CTAP 2.1 sections 6.1.2 step 11 and 6.2.2 step 6,
    /// CTAP 2.0 for the refusal): a PIN may still do, where there is one.
    #[must_use]
    pub const fn ends_built_in(self) -> bool {
        matches!(
            self,
            Self::OPERATION_DENIED
                | Self::PIN_BLOCKED
                | Self::PUAT_REQUIRED
                | Self::UV_BLOCKED
                | Self::UV_INVALID
        )
    }
}

/// A response that is not what its command answers: not CBOR as we read it, a member missing or of a wrong
/// type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed;

/// Splits a response into its status and its CBOR.
///
/// # Errors
/// The status when it is not success, or [`Malformed`] when there is none.
pub fn payload(response: &[u8]) -> Result<&[u8], Result<Status, Malformed>> {
    match response.split_first() {
        Some((0, payload)) => Ok(payload),
        Some((&status, _)) => Err(Ok(Status(status))),
        None => Err(Err(Malformed)),
    }
}

/// What a key says of itself, as far as it changes what we send (CTAP 2.1 section 6.4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Info {
    /// Whether it asks for verification at every request.
    pub always_uv: bool,
    /// Whether a PIN is set on it; `None` where it cannot have one.
    pub client_pin: Option<bool>,
    /// Whether its own verification, a fingerprint for example, is set up; `None` where it has none.
    pub built_in_uv: Option<bool>,
    /// Whether the PIN must be changed before it is of any use.
    pub force_pin_change: bool,
    /// The PIN protocol to use with it; `None` where it has neither of the two.
    pub pin_protocol: Option<PinProtocol>,
    /// Whether it can be asked for a touch that means nothing else (authenticatorSelection).
    pub selection: bool,
    /// Whether its tokens have permissions.
    pub token_permissions: bool,
    /// Whether its PIN is good for no assertion and no new credential.
    pub pin_is_for_management_only: bool,
    /// Whether it knows the extension credProtect.
    pub cred_protect: bool,
    /// The algorithms that it lists and that we know; a key that lists none can do ES256.
    pub algorithms: Vec<Algorithm>,
    /// Whether it speaks any version of FIDO2.
    pub fido2: bool,
    /// The version of its firmware, in whatever way its maker counts, where it says so.
    pub firmware: Option<u64>,
    /// Whether it makes non-discoverable credentials without a PIN although one is set.
    pub make_cred_uv_not_required: bool,
    /// The most credentials in one list, where it says so; at least 1.
    pub max_credential_count: Option<usize>,
    /// The longest message, in bytes; at least 1024.
    pub max_message_size: usize,
    /// The longest response: the same where the key says so, else what the protocol allows. An attestation
    /// with its certificate has more than 1024 bytes.
    pub max_response_size: usize,
}

/// The request for [`Info`].
#[must_use]
pub fn get_info() -> Vec<u8> {
    vec![0x04]
}

/// Whether the CBOR of a response is in canonical form. It is read either way, and the log says it where it
/// is not.
#[must_use]
pub fn is_canonical(payload: &[u8]) -> bool {
    cbor::read(payload).is_ok_and(|read| read.canonical)
}

/// Reads the CBOR of a getInfo response.
///
/// # Errors
/// [`Malformed`].
pub fn read_info(payload: &[u8]) -> Result<Info, Malformed> {
    let read = cbor::read(payload).map_err(|_| Malformed)?;
    let map = match &read.value {
        map @ Value::Map(_) => map,
        _ => return Err(Malformed),
    };
    let lists = |key: i64, wanted: &[&str]| {
        map.member(key)
            .and_then(Value::items)
            .is_some_and(|items| items.iter().filter_map(Value::text).any(|t| wanted.contains(&t)))
    };
    let said = |name: &str| match map.member(4).and_then(|options| options.named(name)) {
        Some(Value::Bool(said)) => Some(*said),
        _ => None,
    };
    let option = |name: &str| said(name) == Some(true);
    let algorithms = match map.member(10) {
        None => vec![Algorithm::Es256],
        Some(list) => {
            let listed: Vec<i64> = list
                .items()
                .ok_or(Malformed)?
                .iter()
                .filter_map(|entry| entry.named("alg").and_then(Value::integer))
                .collect();
            let known = |algorithm: &Algorithm| listed.contains(&algorithm.cose().into());
            Algorithm::ALL.into_iter().filter(known).collect()
        }
    };
    let pin_protocol = match map.member(6) {
        // As in CTAP 2.0, where the member is optional and there is only the first.
        None => Some(PinProtocol::One),
        Some(list) => {
            let list = list.items().ok_or(Malformed)?;
            let listed: Vec<u64> = list.iter().filter_map(Value::unsigned).collect();
            PinProtocol::choose(&listed)
        }
    };
    let number = |key: i64| map.member(key).and_then(Value::unsigned).map(bounded);
    Ok(Info {
        always_uv: option("alwaysUv"),
        client_pin: said("clientPin"),
        built_in_uv: said("uv"),
        force_pin_change: map.member(12) == Some(&Value::Bool(true)),
        pin_protocol,
        selection: lists(1, &["FIDO_2_1", "FIDO_2_2", "FIDO_2_3"]),
        token_permissions: option("pinUvAuthToken"),
        pin_is_for_management_only: option("noMcGaPermissionsWithClientPin"),
        cred_protect: lists(2, &["credProtect"]),
        algorithms,
        fido2: lists(1, &["FIDO_2_0", "FIDO_2_1_PRE", "FIDO_2_1", "FIDO_2_2", "FIDO_2_3"]),
        firmware: map.member(14).and_then(Value::unsigned),
        make_cred_uv_not_required: option("makeCredUvNotRqd"),
        max_credential_count: number(7).map(|count| count.max(1)),
        max_message_size: number(5).unwrap_or(0).max(MESSAGE_SIZE_DEFAULT),
        max_response_size: number(5).unwrap_or(usize::MAX).max(MESSAGE_SIZE_DEFAULT),
    })
}

/// A key's number as a size; what does not fit is as good as no limit.
fn bounded(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What a request wants of the person with the key.
#[derive(Clone, Copy, Debug)]
pub enum Gesture<'a> {
    /// Nothing: a silent question whether a credential is the key's. The answer grants nothing.
    None,
    /// A touch.
    Touch,
    /// The key's own verification, which is a touch as well.
    BuiltIn,
    /// A touch; a PIN was given already.
    Pin(Authorization<'a>),
}

/// What a token says of one request.
#[derive(Clone, Copy, Debug)]
pub struct Authorization<'a> {
    /// `pinUvAuthParam`.
    pub param: &'a [u8],
    /// `pinUvAuthProtocol`.
    pub protocol: PinProtocol,
}

/// A request for an assertion.
#[must_use]
pub fn get_assertion(
    rp_id: &str,
    client_data_hash: &[u8; 32],
    allow_list: &[&[u8]],
    gesture: Gesture<'_>,
) -> Vec<u8> {
    // Old keys refuse `up` when it is true, and `uv` and `rk` in any form: only what is needed is sent.
    let more = match gesture {
        Gesture::None | Gesture::BuiltIn => 1,
        Gesture::Touch => 0,
        Gesture::Pin(_) => 2,
    };
    let mut request = Writer::beginning_with(0x02);
    request.map(3_usize.saturating_add(more));
    request.integer(1).text(rp_id);
    request.integer(2).bytes(client_data_hash);
    request.integer(3);
    descriptors(&mut request, allow_list);
    match gesture {
        Gesture::None => {
            request.integer(5).map(1).text("up").bool(false);
        }
        Gesture::Touch => {}
        Gesture::BuiltIn => {
            request.integer(5).map(1).text("uv").bool(true);
        }
        Gesture::Pin(Authorization { param, protocol }) => {
            request.integer(6).bytes(param).integer(7).integer(protocol.number().into());
        }
    }
    request.into_bytes()
}

/// Asks for a touch that means nothing but "this one", among several keys (authenticatorSelection, CTAP 2.1 section
/// 6.9).
#[must_use]
pub fn selection() -> Vec<u8> {
    vec![0x0b]
}

fn descriptors(request: &mut Writer, ids: &[&[u8]]) {
    request.array(ids.len());
    for id in ids {
        request.map(2).text("id").bytes(id).text("type").text("public-key");
    }
}

/// Takes the CBOR of a getAssertion response apart. Nothing is verified here.
///
/// # Errors
/// [`Malformed`].
pub fn read_assertion(payload: &[u8]) -> Result<Response<'_>, Malformed> {
    let map = cbor::read(payload).map_err(|_| Malformed)?.value;
    let credential_id = match map.member(1) {
        None => None,
        Some(descriptor) => Some(read_descriptor(descriptor)?),
    };
    let user_handle = match map.member(4) {
        None => None,
        Some(user) => Some(user.named("id").and_then(Value::bytes).ok_or(Malformed)?),
    };
    let number_of_credentials = match map.member(5) {
        None => None,
        Some(number) => Some(number.unsigned().ok_or(Malformed)?),
    };
    Ok(Response {
        credential_id,
        auth_data: map.member(2).and_then(Value::bytes).ok_or(Malformed)?,
        signature: map.member(3).and_then(Value::bytes).ok_or(Malformed)?,
        user_handle,
        number_of_credentials,
    })
}

fn read_descriptor<'a>(descriptor: &Value<'a>) -> Result<&'a [u8], Malformed> {
    match descriptor.named("type").map(Value::text) {
        None | Some(Some("public-key")) => {}
        Some(_) => return Err(Malformed),
    }
    descriptor.named("id").and_then(Value::bytes).ok_or(Malformed)
}

/// What a new credential is asked for with.
#[derive(Clone, Copy, Debug)]
pub struct NewCredential<'a> {
    /// The relying party id.
    pub rp_id: &'a str,
    /// The hash to sign.
    pub client_data_hash: &'a [u8; 32],
    /// 32 random bytes; they, and no name, tell accounts apart on the key.
    pub user_handle: &'a [u8; 32],
    /// Ids that the key must not have.
    pub exclude_list: &'a [&'a [u8]],
    /// The algorithms that it may have, the most wanted one first.
    pub algorithms: &'a [Algorithm],
    /// Ask for credProtect level 2: found only with its id, or after verification. Never level 3: a silent
    /// question could not find it.
    pub cred_protect: bool,
    /// What is wanted of the person; a silent request is one for a touch.
    pub gesture: Gesture<'a>,
}

/// A request for a new, non-discoverable credential.
#[must_use]
pub fn make_credential(new: &NewCredential<'_>) -> Vec<u8> {
    let of_gesture = match new.gesture {
        Gesture::None | Gesture::Touch => 0,
        Gesture::BuiltIn => 1,
        Gesture::Pin(_) => 2,
    };
    let optional =
        usize::from(!new.exclude_list.is_empty()).saturating_add(usize::from(new.cred_protect));
    let mut request = Writer::beginning_with(0x01);
    request.map(optional.saturating_add(of_gesture).saturating_add(4));
    request.integer(1).bytes(new.client_data_hash);
    // A neutral name: who finds the key learns nothing about account or host from it.
    request.integer(2).map(2).text("id").text(new.rp_id).text("name").text("fidokey");
    request.integer(3).map(2).text("id").bytes(new.user_handle).text("name").text("fidokey");
    request.integer(4).array(new.algorithms.len());
    for algorithm in new.algorithms {
        request.map(2).text("alg").integer(algorithm.cose()).text("type").text("public-key");
    }
    if !new.exclude_list.is_empty() {
        request.integer(5);
        descriptors(&mut request, new.exclude_list);
    }
    if new.cred_protect {
        request.integer(6).map(1).text("credProtect").integer(2);
    }
    match new.gesture {
        Gesture::None | Gesture::Touch => {}
        Gesture::BuiltIn => {
            request.integer(7).map(1).text("uv").bool(true);
        }
        Gesture::Pin(Authorization { param, protocol }) => {
            request.integer(8).bytes(param).integer(9).integer(protocol.number().into());
        }
    }
    request.into_bytes()
}

/// A makeCredential response, taken apart and not verified.
#[derive(Clone, Debug)]
pub struct MadeCredential<'a> {
    /// The attestation statement format.
    pub format: &'a str,
    /// The authenticator data, raw.
    pub auth_data: &'a [u8],
    /// The attestation statement: a map, of what its format says.
    pub statement: Value<'a>,
}

/// Takes the CBOR of a makeCredential response apart. Nothing is verified here.
///
/// # Errors
/// [`Malformed`].
pub fn read_made_credential(payload: &[u8]) -> Result<MadeCredential<'_>, Malformed> {
    let map = cbor::read(payload).map_err(|_| Malformed)?.value;
    let format = map.member(1).and_then(Value::text).ok_or(Malformed)?;
    let auth_data = map.member(2).and_then(Value::bytes).ok_or(Malformed)?;
    // Taken out of the answer and not copied: it is as large as the key wants it to be.
    let Value::Map(members) = map else { return Err(Malformed) };
    let statement = members.into_iter().find(|(name, _)| name.integer() == Some(3));
    match statement {
        Some((_, statement @ Value::Map(_))) => Ok(MadeCredential { statement, format, auth_data }),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_any_request_then_its_cbor_is_canonical() {
        let long = [7; 241];
        let ids: &[&[u8]] = &[&[1; 16], &long];
        let authorization = Authorization { param: &[3; 32], protocol: PinProtocol::Two };
        let gestures =
            [Gesture::None, Gesture::Touch, Gesture::BuiltIn, Gesture::Pin(authorization)];
        for gesture in gestures {
            for exclude_list in [&[][..], ids] {
                for cred_protect in [false, true] {
                    let new = NewCredential {
                        rp_id: "pam://fidokey",
                        client_data_hash: &[1; 32],
                        user_handle: &[2; 32],
                        exclude_list,
                        algorithms: &Algorithm::ALL,
                        cred_protect,
                        gesture,
                    };
                    assert!(cbor::read(&make_credential(&new)[1..]).unwrap().canonical);
                }
            }
            let request = get_assertion("pam://fidokey", &[1; 32], ids, gesture);
            assert!(cbor::read(&request[1..]).unwrap().canonical);
        }
    }

    /// The size that a login's cheapest path reckons with: 54 bytes and 22 more than each id (id of 25 to
    /// 255 bytes, relying party id of 13).
    #[test]
    fn given_one_id_of_241_bytes_then_the_request_has_317() {
        assert_eq!(
            get_assertion("pam://fidokey", &[1; 32], &[&[7; 241]], Gesture::Touch).len(),
            317
        );
    }

    /// BAR C12: one byte too many after the CBOR, or within a member.
    #[test]
    fn given_a_byte_after_the_response_then_it_is_malformed() {
        let mut good = vec![0xa2, 2, 0x41, 0, 3, 0x41, 0];
        assert!(read_assertion(&good).is_ok());
        good.push(0);
        assert!(read_assertion(&good).is_err());
    }

    #[test]
    fn given_members_of_wrong_types_then_the_response_is_malformed() {
        for payload in [
            &[0xa0][..],
            &[0x80],
            &[0xa1, 2, 0x41, 0],
            &[0xa2, 2, 0x61, b'x', 3, 0x41, 0],
            &[0xa3, 1, 0xa0, 2, 0x41, 0, 3, 0x41, 0],
            &[0xa3, 2, 0x41, 0, 3, 0x41, 0, 5, 0x20],
            &[0xa3, 2, 0x41, 0, 3, 0x41, 0, 4, 0xa0],
        ] {
            assert_eq!(read_assertion(payload).err(), Some(Malformed), "{payload:02x?}");
        }
    }
}
