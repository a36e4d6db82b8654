//! The emulated key's fingerprint reader, and that a key without one is as if there were no such thing. What the command
//! makes of it is in the virtual machine's `keys`.

use std::os::fd::AsRawFd as _;
use std::time::Duration;

use fidokey_core::ctap::bus::Bus;
use fidokey_core::ctap::cbor::{Value, Writer, read};
use fidokey_core::ctap::client::{Client, KeyError};
use fidokey_core::ctap::client_pin::{Permission, get_token, read_token};
use fidokey_core::ctap::ctap2::Status;
use fidokey_core::ctap::pin_protocol::{PinProtocol, SharedSecret};
use fidokey_core::ports::KeyId;
use fidokey_tests::key::{EmulatedKey, Touch};
use fidokey_tests::socket_keys::SocketKeys;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

const BIO_ENROLLMENT: u8 = 0x09;
const ENROLL_BEGIN: u8 = 1;
const CAPTURE_NEXT: u8 = 2;
const ENUMERATE: u8 = 4;
const SET_NAME: u8 = 5;
const REMOVE: u8 = 6;
const PIN: &str = "271828";

type SocketClient<'b, 'k> = Client<'b, 'k, SocketKeys>;

/// Has `work` talk to a key.
fn with<T>(
    key: &EmulatedKey,
    work: impl AsyncFnOnce(&mut SocketClient<'_, '_>) -> Result<T, KeyError>,
) -> Result<T, KeyError> {
    let (wire, handle) = key.plug().unwrap();
    let mut keys = SocketKeys::new(&[wire.as_raw_fd()]);
    let bus = Bus::new(&mut keys);
    let done = bus.alone(KeyId(0), async {
        let end = bus.now().unwrap().after(Duration::from_secs(10));
        work(&mut Client::open(&bus, KeyId(0), 1, end).await?).await
    });
    drop(bus);
    handle.unplug();
    done.unwrap()
}

async fn send(client: &mut SocketClient<'_, '_>, request: &[u8]) -> Result<Vec<u8>, KeyError> {
    let end = client.now().unwrap().after(Duration::from_secs(10));
    client.touch(request, end).await
}

/// What a token of the key's is, for this permission.
async fn token(
    client: &mut SocketClient<'_, '_>,
    permission: Permission,
) -> Result<Vec<u8>, KeyError> {
    let end = client.now().unwrap().after(Duration::from_secs(10));
    let theirs = client.key_agreement(PinProtocol::Two, end).await?;
    let (shared, ours) = SharedSecret::agree(PinProtocol::Two, &theirs, &[5; 32]).unwrap();
    let encrypted = shared.encrypt(&[6; 16], &Sha256::digest(PIN)[..16]).unwrap();
    let request = get_token(PinProtocol::Two, &ours, &encrypted, Some((permission, "")));
    let token = read_token(&send(client, &request).await?).unwrap();
    Ok(shared.decrypt(&token).unwrap().to_vec())
}

/// authenticatorBioEnrollment, authorized by `token` (CTAP 2.1 section 6.7.1).
fn request(token: &[u8], subcommand: u8, params: &[u8]) -> Vec<u8> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(token).unwrap();
    hmac.update(&[1, subcommand]);
    hmac.update(params);
    let mut request = Writer::beginning_with(BIO_ENROLLMENT);
    request.map(if params.is_empty() { 4 } else { 5 });
    request.integer(1).integer(1).integer(2).integer(subcommand.into());
    let mut request = request.into_bytes();
    if !params.is_empty() {
        request.push(3);
        request.extend_from_slice(params);
    }
    let mut rest = Writer::default();
    rest.integer(4).integer(2).integer(5).bytes(&hmac.finalize().into_bytes());
    request.extend(rest.into_bytes());
    request
}

fn of_template(id: &[u8], name: Option<&str>) -> Vec<u8> {
    let mut params = Writer::default();
    params.map(1 + usize::from(name.is_some())).integer(1).bytes(id);
    if let Some(name) = name {
        params.integer(2).text(name);
    }
    params.into_bytes()
}

/// How a reading went and how many more there are.
fn reading(answer: &[u8]) -> (u64, u64) {
    let answer = read(answer).unwrap().value;
    let number = |key| answer.member(key).and_then(Value::unsigned).unwrap();
    (number(5), number(6))
}

/// Has the key learn a finger; how each reading went.
async fn enroll(
    client: &mut SocketClient<'_, '_>,
    token: &[u8],
    readings: &mut Vec<(u64, u64)>,
) -> Result<Vec<u8>, KeyError> {
    let begun = send(client, &request(token, ENROLL_BEGIN, &[])).await?;
    let id = read(&begun).unwrap().value.member(4).and_then(Value::bytes).unwrap().to_vec();
    readings.push(reading(&begun));
    while readings.last().is_some_and(|(_, left)| *left != 0) {
        let next = request(token, CAPTURE_NEXT, &of_template(&id, None));
        readings.push(reading(&send(client, &next).await?));
    }
    Ok(id)
}

#[test]
fn given_a_key_with_a_reader_then_it_says_so_and_another_one_says_nothing_of_it() {
    let describe = |key: &EmulatedKey| {
        with(key, async |client| {
            let info = send(client, &[0x04]).await?;
            let info = read(&info).unwrap();
            assert!(info.canonical);
            let option =
                |name| info.value.member(4).and_then(|options| options.named(name).cloned());
            let said = [option("bioEnroll"), option("uv")]
                .map(|value| value.map(|value| value == Value::Bool(true)));
            let modality = info.value.member(0x12).is_some();
            Ok((said, modality, option("rk").is_some()))
        })
        .unwrap()
    };
    assert_eq!(describe(&EmulatedKey::new(1).with_reader()), ([Some(false); 2], true, true));
    assert_eq!(describe(&EmulatedKey::new(1)), ([None; 2], false, true));
}

#[test]
fn given_a_finger_then_it_is_learnt_kept_named_and_removed() {
    let key = EmulatedKey::new(2).with_pin(PIN).with_reader();
    let id = with(&key, async |client| {
        let token = token(client, Permission::BioEnrollment).await?;
        let none = send(client, &request(&token, ENUMERATE, &[])).await;
        assert_eq!(none.unwrap_err(), KeyError::Status(Status(0x2c)));
        let mut readings = Vec::new();
        let id = enroll(client, &token, &mut readings).await?;
        assert_eq!(readings, [(0, 2), (1, 2), (0, 1), (0, 0)]);
        enroll(client, &token, &mut Vec::new()).await?;
        let full = enroll(client, &token, &mut Vec::new()).await;
        assert_eq!(full.unwrap_err(), KeyError::Status(Status(0x17)));
        let long = of_template(&id, Some("seventeen letters"));
        let long = send(client, &request(&token, SET_NAME, &long)).await;
        assert_eq!(long.unwrap_err(), KeyError::Status(Status(0x03)));
        send(client, &request(&token, SET_NAME, &of_template(&id, Some("Thumb")))).await?;
        Ok(id)
    })
    .unwrap();
    with(&key, async |client| {
        let token = token(client, Permission::BioEnrollment).await?;
        let listed = send(client, &request(&token, ENUMERATE, &[])).await?;
        let listed = read(&listed).unwrap().value;
        let listed = listed.member(7).and_then(Value::items).unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!(listed[0].member(1).and_then(Value::bytes), Some(id.as_slice()));
        assert_eq!(listed[0].member(2).and_then(Value::text), Some("Thumb"));
        let gone = request(&token, REMOVE, &of_template(&id, None));
        send(client, &gone).await?;
        assert_eq!(send(client, &gone).await.unwrap_err(), KeyError::Status(Status(0x2c)));
        Ok(())
    })
    .unwrap();
}

#[test]
fn given_no_finger_then_the_reading_says_so_in_its_time() {
    let key = EmulatedKey::new(3).with_pin(PIN).touch(Touch::Never).with_reader();
    let read = with(&key, async |client| {
        let token = token(client, Permission::BioEnrollment).await?;
        let mut params = Writer::default();
        params.map(1).integer(3).integer(300);
        let begin = request(&token, ENROLL_BEGIN, &params.into_bytes());
        Ok(reading(&send(client, &begin).await?))
    });
    assert_eq!(read, Ok((0x0d, 3)));
}

#[test]
fn given_no_token_for_it_or_no_reader_then_no_finger_is_read() {
    let key = EmulatedKey::new(4).with_pin(PIN).with_reader();
    with(&key, async |client| {
        let unauthorized = send(client, &[BIO_ENROLLMENT, 0xa2, 1, 1, 2, ENROLL_BEGIN]).await;
        assert_eq!(unauthorized.unwrap_err(), KeyError::Status(Status::PUAT_REQUIRED));
        let other = token(client, Permission::CredentialManagement).await?;
        for token in [&other, &vec![0; 32]] {
            let refused = send(client, &request(token, ENROLL_BEGIN, &[])).await;
            assert_eq!(refused.unwrap_err(), KeyError::Status(Status(0x33)));
        }
        Ok(())
    })
    .unwrap();
    with(&EmulatedKey::new(5).with_pin(PIN), async |client| {
        let token = token(client, Permission::BioEnrollment).await?;
        let refused = send(client, &request(&token, ENROLL_BEGIN, &[])).await;
        assert_eq!(refused.unwrap_err(), KeyError::Status(Status(0x01)));
        Ok(())
    })
    .unwrap();
}
