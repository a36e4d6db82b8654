//! Keys that make credentials, of either generation: right by default, bent in one place on demand.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use fidokey_core::credential::Algorithm;
use fidokey_core::ctap::cbor::{self, Writer};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest as _, Sha256};

use super::device::{Message, Outbox, Script, init_response};
use super::softkey::Secret;

/// A registration about to be sent, every part of it open to a test.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The attestation format.
    pub format: String,
    /// SHA-256 of the relying party id.
    pub rp_id_hash: Vec<u8>,
    /// The flags: UP and AT.
    pub flags: u8,
    /// The length of the id as announced, where that is another than its length.
    pub id_len: Option<u16>,
    /// The credential id.
    pub id: Vec<u8>,
    /// The COSE key, encoded.
    pub cose: Vec<u8>,
    /// What follows the key: extension outputs.
    pub extensions: Vec<u8>,
    /// What follows the CBOR.
    pub tail: Vec<u8>,
}

/// A COSE key of ES256 with these coordinates.
pub fn es256_cose(x: &[u8], y: &[u8]) -> Vec<u8> {
    let mut cose = Writer::default();
    cose.map(5).integer(1).integer(2).integer(3).integer(-7).integer(-1).integer(1);
    cose.integer(-2).bytes(x).integer(-3).bytes(y);
    cose.into_bytes()
}

/// A COSE key of EdDSA.
pub fn eddsa_cose(x: &[u8]) -> Vec<u8> {
    let mut cose = Writer::default();
    cose.map(4).integer(1).integer(1).integer(3).integer(-8).integer(-1).integer(6);
    cose.integer(-2).bytes(x);
    cose.into_bytes()
}

/// The coordinates of a secret's public key.
pub fn coordinates(key: &SigningKey) -> (Vec<u8>, Vec<u8>) {
    let point = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
    (point[1..33].to_vec(), point[33..].to_vec())
}

/// A key that makes the credential of `secret` and signs with it, after a touch; `bend` bends the
/// registration, `answer` may answer a message instead.
pub fn registrar(
    secret: &Secret,
    algorithm: Algorithm,
    bend: impl Fn(&mut Draft) + 'static,
    answer: impl Fn(&Message, &mut Outbox) -> bool + 'static,
) -> Script {
    let secret = secret.clone();
    Script::new(move |message, outbox| {
        if answer(message, outbox) {
            return;
        }
        let body = message.payload.get(1..).unwrap_or_default();
        let response = match message.payload.first() {
            Some(0x04) => info(),
            Some(0x01) => registration(&secret, algorithm, &bend),
            Some(0x02) => assertion(&secret, algorithm, body),
            _ => vec![0x01],
        };
        outbox.message(Duration::from_millis(200), message.channel, message.command, &response);
    })
}

/// The key of EdDSA that goes with every secret.
pub fn eddsa_key() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[7; 32])
}

fn info() -> Vec<u8> {
    let mut info = Writer::beginning_with(0);
    info.map(3).integer(1).array(1).text("FIDO_2_1").integer(3).bytes(&[0; 16]);
    info.integer(10).array(2);
    for algorithm in Algorithm::ALL {
        info.map(2).text("alg").integer(algorithm.cose()).text("type").text("public-key");
    }
    info.into_bytes()
}

fn registration(secret: &Secret, algorithm: Algorithm, bend: &dyn Fn(&mut Draft)) -> Vec<u8> {
    let (x, y) = coordinates(&secret.key);
    let mut draft = Draft {
        format: "packed".to_owned(),
        rp_id_hash: Sha256::digest(&secret.rp_id).to_vec(),
        flags: 0x41,
        id_len: None,
        id: secret.id.clone(),
        cose: match algorithm {
            Algorithm::Es256 => es256_cose(&x, &y),
            Algorithm::EdDsa => eddsa_cose(eddsa_key().verifying_key().as_bytes()),
        },
        extensions: Vec::new(),
        tail: Vec::new(),
    };
    bend(&mut draft);
    let id_len = draft.id_len.unwrap_or_else(|| u16::try_from(draft.id.len()).unwrap());
    let mut auth_data = draft.rp_id_hash.clone();
    auth_data.push(draft.flags);
    auth_data.extend_from_slice(&[0, 0, 0, 1]);
    auth_data.extend_from_slice(&[0xaa; 16]);
    auth_data.extend_from_slice(&id_len.to_be_bytes());
    auth_data.extend_from_slice(&draft.id);
    auth_data.extend_from_slice(&draft.cose);
    auth_data.extend_from_slice(&draft.extensions);
    let mut response = Writer::beginning_with(0);
    response.map(3).integer(1).text(&draft.format).integer(2).bytes(&auth_data);
    response.integer(3).map(0);
    let mut response = response.into_bytes();
    response.extend_from_slice(&draft.tail);
    response
}

fn assertion(secret: &Secret, algorithm: Algorithm, request: &[u8]) -> Vec<u8> {
    let request = cbor::read(request).unwrap().value;
    let hash = request.member(2).unwrap().bytes().unwrap();
    let auth_data = [&Sha256::digest(&secret.rp_id)[..], &[1, 0, 0, 0, 2]].concat();
    let signed = [&auth_data[..], hash].concat();
    let signature = match algorithm {
        Algorithm::Es256 => {
            let signature: Signature = secret.key.sign(&signed);
            signature.to_der().as_bytes().to_vec()
        }
        Algorithm::EdDsa => eddsa_key().sign(&signed).to_bytes().to_vec(),
    };
    let mut response = Writer::beginning_with(0);
    response.map(2).integer(2).bytes(&auth_data).integer(3).bytes(&signature);
    response.into_bytes()
}

/// Changes bytes that are about to be sent.
pub type Bend = Rc<dyn Fn(&mut Vec<u8>)>;

/// The instruction and the control byte of every message that a key received.
pub type Heard = Rc<RefCell<Vec<(u8, u8)>>>;

/// What a key of the first generation does.
#[derive(Clone)]
pub struct U2fBehaviour {
    /// When the finger comes, after the first request for it; never where absent.
    pub touch: Option<Duration>,
    /// Bends the data of a registration.
    pub registration: Bend,
    /// Bends the data of a signature: flags, counter, DER.
    pub signature: Bend,
    /// Answers every register and sign with this status word.
    pub status_word: Option<u16>,
}

impl Default for U2fBehaviour {
    fn default() -> Self {
        Self {
            touch: Some(Duration::from_millis(250)),
            registration: Rc::new(|_| {}),
            signature: Rc::new(|_| {}),
            status_word: None,
        }
    }
}

/// A key of the first generation with this one credential. The second value is what it heard.
pub fn u2f_key(secret: &Secret, behaviour: U2fBehaviour) -> (Script, Heard) {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (log, secret) = (Rc::clone(&seen), secret.clone());
    let asked = RefCell::new(0u32);
    let script = Script::with_init(move |message, outbox| {
        let channel = message.channel;
        match message.command {
            0x06 => {
                let mut response = init_response(&message.payload, super::device::CHANNEL);
                response[16] = 0x01;
                outbox.message(Duration::ZERO, channel, 0x06, &response);
            }
            0x03 => {
                let [_, instruction, control, _, _, _, _, data @ ..] = &message.payload[..] else {
                    panic!("a short APDU")
                };
                log.borrow_mut().push((*instruction, *control));
                let touched = || {
                    *asked.borrow_mut() += 1;
                    // It is asked every 100 ms.
                    let due = behaviour.touch.map(|touch| touch.as_millis() / 100 + 1);
                    due.is_some_and(|due| u128::from(*asked.borrow()) > due)
                };
                let response =
                    u2f_answer(&secret, &behaviour, *instruction, *control, data, touched);
                if response.ends_with(&[0x90, 0x00]) {
                    *asked.borrow_mut() = 0;
                }
                outbox.message(Duration::ZERO, channel, 0x03, &response);
            }
            _ => outbox.message(Duration::ZERO, channel, 0x3f, &[0x01]),
        }
    });
    (script, seen)
}

fn u2f_answer(
    secret: &Secret,
    behaviour: &U2fBehaviour,
    instruction: u8,
    control: u8,
    data: &[u8],
    touched: impl FnOnce() -> bool,
) -> Vec<u8> {
    let word = |word: u16| word.to_be_bytes().to_vec();
    let (hash, application) = (&data[..32], &data[32..64]);
    let mine = instruction == 0x01 || data[65..].starts_with(&secret.id);
    if !mine || application != &Sha256::digest(&secret.rp_id)[..] {
        return word(0x6a80);
    }
    if control == 0x07 {
        return word(0x6985);
    }
    if let Some(status) = behaviour.status_word {
        return word(status);
    }
    if !touched() {
        return word(0x6985);
    }
    let mut response = match instruction {
        0x01 => {
            let point = secret.key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
            let length = u8::try_from(secret.id.len()).unwrap();
            let certificate = [0x30, 0x03, 1, 2, 3];
            let signature: Signature = secret.key.sign(b"nobody looks at it");
            let mut data = vec![0x05];
            data.extend_from_slice(&point);
            data.push(length);
            data.extend_from_slice(&secret.id);
            data.extend_from_slice(&certificate);
            data.extend_from_slice(signature.to_der().as_bytes());
            (behaviour.registration)(&mut data);
            data
        }
        _ => {
            let mut signed = application.to_vec();
            signed.extend_from_slice(&[0x01, 0, 0, 0, 5]);
            signed.extend_from_slice(hash);
            let signature: Signature = secret.key.sign(&signed);
            let mut data = vec![0x01, 0, 0, 0, 5];
            data.extend_from_slice(signature.to_der().as_bytes());
            (behaviour.signature)(&mut data);
            data
        }
    };
    response.extend_from_slice(&[0x90, 0x00]);
    response
}
