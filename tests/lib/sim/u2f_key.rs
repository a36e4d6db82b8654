//! A first-generation key whose every answer a test may bend.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::device::{CHANNEL, Message, Outbox, Script};
use super::softkey::{Instead, Secret, Seen};

/// A signature about to be sent.
#[derive(Clone, Debug)]
pub struct U2fDraft {
    /// The byte of user presence.
    pub flags: u8,
    /// The counter.
    pub counter: [u8; 4],
    /// The client data hash to sign.
    pub hash: Vec<u8>,
    /// A signature instead of the right one.
    pub signature: Option<Vec<u8>>,
    /// Bytes after it.
    pub tail: Vec<u8>,
    /// The data's length, instead of the truth.
    pub cut: Option<usize>,
    /// The status word.
    pub word: u16,
}

/// A registration about to be sent.
#[derive(Clone, Debug)]
pub struct U2fRegistration {
    /// 0x05.
    pub reserved: u8,
    /// The point.
    pub public_key: Vec<u8>,
    /// The handle.
    pub handle: Vec<u8>,
    /// What is said to be its length, instead of the truth.
    pub handle_length: Option<u8>,
    /// The attestation certificate.
    pub certificate: Vec<u8>,
    /// The attestation's signature.
    pub signature: Vec<u8>,
    /// Bytes after it.
    pub tail: Vec<u8>,
    /// The status word.
    pub word: u16,
}

/// What such a key does, besides holding its secrets.
#[derive(Clone)]
pub struct U2fBehaviour {
    /// How long after the first request for it the finger comes; never where absent.
    pub touch: Option<Duration>,
    /// Bends a signature before it is made.
    pub bend: Rc<dyn Fn(&mut U2fDraft)>,
    /// Bends a registration.
    pub bend_registration: Rc<dyn Fn(&mut U2fRegistration)>,
    /// Answers a message itself, where it says so.
    pub instead: Instead,
}

impl Default for U2fBehaviour {
    fn default() -> Self {
        Self {
            touch: Some(Duration::from_millis(250)),
            bend: Rc::new(|_| {}),
            bend_registration: Rc::new(|_| {}),
            instead: Rc::new(|_, _| false),
        }
    }
}

/// A key that speaks CTAP1 alone, with these secrets. The second value shows what it saw.
pub fn u2f_key(secrets: &[Secret], behaviour: U2fBehaviour) -> (Script, Rc<RefCell<Seen>>) {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let (mut secrets, log) = (secrets.to_vec(), Rc::clone(&seen));
    let mut asked = None;
    let script = Script::with_init(move |message, outbox| {
        let channel = message.channel;
        if message.command == 0x06 {
            // Version 2 of the protocol, and of the capabilities only the one to wink.
            let given = if channel == [0xff; 4] { CHANNEL } else { channel };
            let response = [&message.payload[..], &given, &[2, 1, 0, 0, 0x01]].concat();
            outbox.message(Duration::ZERO, channel, 0x06, &response);
        } else if !(behaviour.instead)(message, outbox) {
            match message.command {
                0x03 => {
                    let response =
                        answer(&mut secrets, &behaviour, &log, &mut asked, message, outbox);
                    outbox.message(Duration::ZERO, channel, 0x03, &response);
                }
                0x11 => log.borrow_mut().cancels += 1,
                _ => outbox.message(Duration::ZERO, channel, 0x3f, &[0x01]),
            }
        }
    });
    (script, seen)
}

fn answer(
    secrets: &mut Vec<Secret>,
    behaviour: &U2fBehaviour,
    seen: &RefCell<Seen>,
    asked: &mut Option<Duration>,
    message: &Message,
    outbox: &Outbox,
) -> Vec<u8> {
    let [0, instruction, control, 0, 0, high, low, rest @ ..] = &message.payload[..] else {
        return vec![0x67, 0x00];
    };
    let data = &rest[..usize::from(u16::from_be_bytes([*high, *low]))];
    let (hash, application) = (&data[..32], &data[32..64]);
    let mut touched = || {
        let first = *asked.get_or_insert(outbox.now());
        let touched = behaviour.touch.is_some_and(|touch| outbox.now() >= first + touch);
        if touched {
            *asked = None;
            seen.borrow_mut().touches += 1;
            seen.borrow_mut().hashes.push(hash.to_vec());
        }
        touched
    };
    match (instruction, control) {
        (0x01, 0x00) => {
            if !touched() {
                return vec![0x69, 0x85];
            }
            let secret = Secret::new(0xe0 + u8::try_from(secrets.len()).unwrap(), 64);
            register(secrets, secret, behaviour)
        }
        (0x02, 0x03 | 0x07) => {
            let handle = &data[65..65 + usize::from(data[64])];
            let mine = secrets.iter().find(|secret| {
                secret.id == handle && Sha256::digest(&secret.rp_id)[..] == *application
            });
            match mine {
                None => vec![0x6a, 0x80],
                Some(_) if *control == 0x07 || !touched() => vec![0x69, 0x85],
                Some(secret) => sign(secret, application, hash, behaviour),
            }
        }
        _ => vec![0x6d, 0x00],
    }
}

fn register(secrets: &mut Vec<Secret>, mut secret: Secret, behaviour: &U2fBehaviour) -> Vec<u8> {
    let mut draft = U2fRegistration {
        reserved: 0x05,
        public_key: secret.public_key(),
        handle: secret.id.clone(),
        handle_length: None,
        certificate: certificate(300),
        signature: secret.sign(b"attestation"),
        tail: Vec::new(),
        word: 0x9000,
    };
    (behaviour.bend_registration)(&mut draft);
    secret.id.clone_from(&draft.handle);
    secrets.push(secret);
    let length = draft.handle_length.unwrap_or(u8::try_from(draft.handle.len()).unwrap());
    let word = draft.word.to_be_bytes();
    if draft.word != 0x9000 {
        return word.to_vec();
    }
    [
        &[draft.reserved][..],
        &draft.public_key,
        &[length],
        &draft.handle,
        &draft.certificate,
        &draft.signature,
        &draft.tail,
        &word,
    ]
    .concat()
}

/// What looks like a certificate of so many bytes, 260 and more.
pub fn certificate(length: u16) -> Vec<u8> {
    let mut certificate = vec![0x5a; usize::from(length)];
    certificate[..2].copy_from_slice(&[0x30, 0x82]);
    certificate[2..4].copy_from_slice(&(length - 4).to_be_bytes());
    certificate
}

fn sign(secret: &Secret, application: &[u8], hash: &[u8], behaviour: &U2fBehaviour) -> Vec<u8> {
    let mut draft = U2fDraft {
        flags: 0x01,
        counter: [0, 0, 0, 9],
        hash: hash.to_vec(),
        signature: None,
        tail: Vec::new(),
        cut: None,
        word: 0x9000,
    };
    (behaviour.bend)(&mut draft);
    let signed = [application, &[draft.flags], &draft.counter, &draft.hash].concat();
    let signature = draft.signature.unwrap_or_else(|| secret.sign(&signed));
    let mut data = [&[draft.flags][..], &draft.counter, &signature, &draft.tail].concat();
    data.truncate(draft.cut.unwrap_or(data.len()));
    if draft.word != 0x9000 {
        data.clear();
    }
    [&data[..], &draft.word.to_be_bytes()].concat()
}
