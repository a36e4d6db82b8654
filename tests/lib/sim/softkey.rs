//! A CTAP2 key whose every answer a test may bend: right by default, wrong in one place on demand.
//!
//! What is right is judged by the other, unrelated emulated key; this one is for the wrong.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use fidokey_core::assertion::PublicKey;
use fidokey_core::credential::{
    Algorithm, Credential, CredentialId, KeyName, Protocol, RpId, Verification,
};
use fidokey_core::ctap::cbor::{self, Value, Writer};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest as _, Sha256};

use super::device::{Message, Outbox, Script};
use super::registering::{DraftCredential, make_credential};
use super::verifier::Verifier;

/// One credential and its private key.
#[derive(Clone)]
pub struct Secret {
    /// The credential's id.
    pub id: Vec<u8>,
    /// Its private key.
    pub key: SigningKey,
    /// Its relying party id.
    pub rp_id: String,
    /// What it signs with; for EdDSA the bytes of `key` are the seed.
    pub algorithm: Algorithm,
}

impl Secret {
    /// A credential that the number tells from others, with an id of `id_len` bytes.
    pub fn new(number: u8, id_len: usize) -> Self {
        let scalar = Sha256::digest([b's', number]);
        let key = SigningKey::from_slice(&scalar).unwrap();
        let mut id = vec![number; id_len];
        id[0] = 0xc0;
        Self { id, key, rp_id: "pam://fidokey".to_owned(), algorithm: Algorithm::Es256 }
    }

    /// The signature over `message`, as keys send it.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self.algorithm {
            Algorithm::Es256 => {
                let signature: Signature = self.key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Algorithm::EdDsa => self.ed25519().sign(message).to_bytes().to_vec(),
        }
    }

    /// The public key, as records hold it.
    pub fn public_key(&self) -> Vec<u8> {
        match self.algorithm {
            Algorithm::Es256 => self.key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            Algorithm::EdDsa => self.ed25519().verifying_key().to_bytes().to_vec(),
        }
    }

    fn ed25519(&self) -> ed25519_dalek::SigningKey {
        let seed: [u8; 32] = self.key.to_bytes().into();
        ed25519_dalek::SigningKey::from_bytes(&seed)
    }

    /// The credential as a record would hold it, made by a first-generation key.
    pub fn u2f_credential(&self) -> Credential {
        Credential {
            protocol: Protocol::U2f,
            user_handle: None,
            backup_eligible: None,
            aaguid: None,
            ..self.credential()
        }
    }

    /// The credential as a record would hold it.
    pub fn credential(&self) -> Credential {
        Credential {
            name: KeyName::new(&format!("Key {}", self.id.last().unwrap())).unwrap(),
            protocol: Protocol::Fido2,
            rp_id: RpId::new(&self.rp_id).unwrap(),
            id: CredentialId::new(&self.id).unwrap(),
            public_key: PublicKey::new(self.algorithm, &self.public_key()).unwrap(),
            verification: Verification::None,
            user_handle: Some(vec![7; 32]),
            backup_eligible: Some(false),
            counter: None,
            aaguid: Some([0; 16]),
            added: "2026-11-23T10:00:00Z".to_owned(),
            added_by: "root".to_owned(),
        }
    }
}

/// An assertion about to be sent, every part of it open to a test. The signature is made last, unless one
/// is given.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The credential id, or none.
    pub id: Option<Vec<u8>>,
    /// The authenticator data.
    pub auth_data: Vec<u8>,
    /// The client data hash to sign.
    pub hash: Vec<u8>,
    /// A signature instead of the right one.
    pub signature: Option<Vec<u8>>,
    /// Bytes after the signature.
    pub signature_tail: Vec<u8>,
    /// The user handle, or none.
    pub user: Option<Vec<u8>>,
    /// numberOfCredentials, or none.
    pub count: Option<u64>,
    /// Bytes after the CBOR.
    pub tail: Vec<u8>,
}

/// What a soft key does, besides holding its secrets.
#[derive(Clone)]
pub struct Behaviour {
    /// When the finger comes; never where absent.
    pub touch: Option<Duration>,
    /// How long the key itself waits for the finger, which then comes so much later to its next request; for ever where
    /// absent.
    pub patience: Option<Duration>,
    /// Answers "not mine" at once, as CTAP 2.1 says, or after a touch, as certified keys do.
    pub foreign_waits: bool,
    /// The status for "not mine".
    pub foreign_status: u8,
    /// What getInfo says of the longest list; enforced with this status where it is enforced.
    pub list_limit: Option<(usize, u8, bool)>,
    /// Keeps that limit to itself.
    pub list_limit_hidden: bool,
    /// What getInfo says of the longest message.
    pub max_message_size: Option<u16>,
    /// Sends the signature before the authenticator data, against CTAP's order.
    pub unsorted: bool,
    /// The algorithms that getInfo lists, where it lists any.
    pub algorithms: Vec<Algorithm>,
    /// Whether getInfo lists the extension credProtect.
    pub cred_protect: bool,
    /// What it verifies its user by.
    pub verifier: Rc<RefCell<Verifier>>,
    /// Bends an assertion before it is signed.
    pub bend: Rc<dyn Fn(&mut Draft)>,
    /// Bends a registration before it is sent.
    pub bend_credential: Rc<dyn Fn(&mut DraftCredential)>,
    /// Answers a message itself, where it says so.
    pub instead: Instead,
}

/// Takes the place of a key's own answer to a message where it returns true.
pub type Instead = Rc<dyn Fn(&Message, &mut Outbox) -> bool>;

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            touch: Some(Duration::from_millis(250)),
            patience: None,
            foreign_waits: false,
            foreign_status: 0x2e,
            list_limit: None,
            list_limit_hidden: false,
            max_message_size: None,
            unsorted: false,
            algorithms: Vec::new(),
            cred_protect: false,
            verifier: Rc::default(),
            bend: Rc::new(|_| {}),
            bend_credential: Rc::new(|_| {}),
            instead: Rc::new(|_, _| false),
        }
    }
}

/// What a soft key saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// The client data hashes of all requests, in order.
    pub hashes: Vec<Vec<u8>>,
    /// The lengths of the allow lists.
    pub lists: Vec<usize>,
    /// Touches that were used up.
    pub touches: u32,
    /// Requests that it has stopped waiting for a finger in.
    pub given_up: u32,
    /// CTAPHID_CANCEL on our channel.
    pub cancels: u32,
}

/// A key with these secrets. The second value shows what it saw.
pub fn soft_key(secrets: &[Secret], behaviour: Behaviour) -> (Script, Rc<RefCell<Seen>>) {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let (mut secrets, log) = (secrets.to_vec(), Rc::clone(&seen));
    let script = Script::new(move |message, outbox| {
        if !(behaviour.instead)(message, outbox) {
            answer(&mut secrets, &behaviour, &log, message, outbox);
        }
    });
    (script, seen)
}

fn answer(
    secrets: &mut Vec<Secret>,
    behaviour: &Behaviour,
    seen: &RefCell<Seen>,
    message: &Message,
    outbox: &mut Outbox,
) {
    let channel = message.channel;
    match (message.command, message.payload.first()) {
        (0x11, _) => {
            seen.borrow_mut().cancels += 1;
            outbox.silence();
            outbox.message(Duration::ZERO, channel, 0x10, &[0x2d]);
        }
        (0x10, Some(0x04)) => {
            outbox.message(Duration::ZERO, channel, 0x10, &info(behaviour));
        }
        (0x10, Some(0x06)) => {
            let request = cbor::read(&message.payload[1..]).unwrap().value;
            let response = behaviour.verifier.borrow_mut().client_pin(&request);
            outbox.message(Duration::ZERO, channel, 0x10, &response);
        }
        (0x10, Some(kind @ (0x01 | 0x02 | 0x0b))) => {
            let (wait, response) = if *kind == 0x0b {
                (true, vec![0])
            } else {
                let request = cbor::read(&message.payload[1..]).unwrap().value;
                if *kind == 0x01 {
                    make_credential(secrets, behaviour, seen, &request)
                } else {
                    assertion(secrets, behaviour, seen, &request)
                }
            };
            // What is left of the time to the finger, after what the key has waited for it already.
            let waited = behaviour.patience.unwrap_or_default() * seen.borrow().given_up;
            let touch = behaviour.touch.map(|touch| touch.saturating_sub(waited));
            let short = |limit: &Duration| touch.is_none_or(|touch| touch > *limit);
            if let Some(limit) = behaviour.patience.filter(|limit| wait && short(limit)) {
                seen.borrow_mut().given_up += 1;
                let steps = limit.as_millis() / 100;
                for _ in 0..steps {
                    outbox.raw(Duration::from_millis(100), keepalive(channel));
                }
                outbox.message(Duration::ZERO, channel, 0x10, &[0x2f]);
                return;
            }
            match (wait, touch) {
                (false, _) => outbox.message(Duration::ZERO, channel, 0x10, &response),
                (true, None) => {
                    outbox.repeat(Duration::from_millis(100), keepalive(channel));
                }
                (true, Some(touch)) => {
                    let mut left = touch;
                    while let Some(rest) = left.checked_sub(Duration::from_millis(100)) {
                        outbox.raw(Duration::from_millis(100), keepalive(channel));
                        left = rest;
                    }
                    seen.borrow_mut().touches += 1;
                    outbox.message(left, channel, 0x10, &response);
                }
            }
        }
        _ => outbox.message(Duration::ZERO, channel, 0x3f, &[0x01]),
    }
}

/// A keepalive that says "touch me".
pub fn keepalive(channel: [u8; 4]) -> [u8; 64] {
    super::device::frames(channel, 0x3b, &[2]).remove(0)
}

fn info(behaviour: &Behaviour) -> Vec<u8> {
    let mut info = Writer::beginning_with(0);
    let verifier = behaviour.verifier.borrow();
    let list_limit = behaviour.list_limit.filter(|_| !behaviour.list_limit_hidden);
    let members = 2
        + usize::from(behaviour.max_message_size.is_some())
        + usize::from(list_limit.is_some())
        + usize::from(behaviour.cred_protect)
        + usize::from(!behaviour.algorithms.is_empty())
        + usize::from(!verifier.options.is_empty())
        + usize::from(verifier.protocols.is_some())
        + usize::from(verifier.force_change);
    info.map(members).integer(1).array(verifier.versions.len());
    for version in &verifier.versions {
        info.text(version);
    }
    if behaviour.cred_protect {
        info.integer(2).array(1).text("credProtect");
    }
    info.integer(3).bytes(&[0; 16]);
    if !verifier.options.is_empty() {
        info.integer(4).map(verifier.options.len());
        for (option, said) in &verifier.options {
            info.text(option).bool(*said);
        }
    }
    if let Some(size) = behaviour.max_message_size {
        info.integer(5).integer(i16::try_from(size).unwrap());
    }
    if let Some(protocols) = &verifier.protocols {
        info.integer(6).array(protocols.len());
        protocols.iter().for_each(|protocol| {
            info.integer(*protocol);
        });
    }
    if let Some((count, _, _)) = list_limit {
        info.integer(7).integer(i16::try_from(count).unwrap());
    }
    if !behaviour.algorithms.is_empty() {
        info.integer(10).array(behaviour.algorithms.len());
        for algorithm in &behaviour.algorithms {
            info.map(2).text("alg").integer(algorithm.cose()).text("type").text("public-key");
        }
    }
    if verifier.force_change {
        info.integer(12).bool(true);
    }
    info.into_bytes()
}

/// Whether it waits for a touch, and the response.
fn assertion(
    secrets: &[Secret],
    behaviour: &Behaviour,
    seen: &RefCell<Seen>,
    request: &Value<'_>,
) -> (bool, Vec<u8>) {
    let hash = request.member(2).unwrap().bytes().unwrap().to_vec();
    let list = request.member(3).unwrap().items().unwrap();
    let option = |name| request.member(5).and_then(|options| options.named(name));
    let silent = option("up") == Some(&Value::Bool(false));
    let uv = option("uv") == Some(&Value::Bool(true));
    seen.borrow_mut().hashes.push(hash.clone());
    seen.borrow_mut().lists.push(list.len());
    if let Some((limit, status, true)) = behaviour.list_limit
        && list.len() > limit
    {
        return (false, vec![status]);
    }
    let rp_id = request.member(1).unwrap().text().unwrap();
    let mine = list.iter().find_map(|entry| {
        let id = entry.named("id").unwrap().bytes().unwrap();
        secrets.iter().find(|secret| secret.id == id && secret.rp_id == rp_id)
    });
    let mut verifier = behaviour.verifier.borrow_mut();
    let user_verified = match verifier.judge(&hash, request.member(6), uv, silent) {
        Ok(user_verified) => user_verified,
        Err(status) => return (uv, vec![status]),
    };
    let Some(secret) = mine else {
        return (behaviour.foreign_waits && !silent, vec![behaviour.foreign_status]);
    };
    let mut auth_data = Sha256::digest(rp_id).to_vec();
    auth_data.push(u8::from(!silent) | u8::from(user_verified) << 2);
    // It rises with every assertion, silent ones too, as those of keys do: 9 the first time.
    let counter = u32::try_from(seen.borrow().hashes.len() + 8).unwrap();
    auth_data.extend_from_slice(&counter.to_be_bytes());
    let mut draft = Draft {
        id: Some(secret.id.clone()),
        auth_data,
        hash,
        signature: None,
        signature_tail: Vec::new(),
        user: None,
        count: None,
        tail: Vec::new(),
    };
    (behaviour.bend)(&mut draft);
    (!silent, encode(secret, &draft, behaviour.unsorted))
}

/// The response that a draft makes.
pub fn encode(secret: &Secret, draft: &Draft, unsorted: bool) -> Vec<u8> {
    let signed = [&draft.auth_data[..], &draft.hash].concat();
    let mut signature = draft.signature.clone().unwrap_or_else(|| secret.sign(&signed));
    signature.extend_from_slice(&draft.signature_tail);
    let members = 2
        + usize::from(draft.id.is_some())
        + usize::from(draft.user.is_some())
        + usize::from(draft.count.is_some());
    let mut response = Writer::beginning_with(0);
    response.map(members);
    if let Some(id) = &draft.id {
        response.integer(1).map(2).text("id").bytes(id).text("type").text("public-key");
    }
    if unsorted {
        response.integer(3).bytes(&signature).integer(2).bytes(&draft.auth_data);
    } else {
        response.integer(2).bytes(&draft.auth_data).integer(3).bytes(&signature);
    }
    if let Some(user) = &draft.user {
        response.integer(4).map(1).text("id").bytes(user);
    }
    if draft.count.is_some() {
        response.integer(5);
    }
    let mut response = response.into_bytes();
    match draft.count {
        Some(count @ 0..=23) => response.push(count.to_le_bytes()[0]),
        Some(count) => {
            response.push(0x1b);
            response.extend_from_slice(&count.to_be_bytes());
        }
        None => {}
    }
    response.extend_from_slice(&draft.tail);
    response
}
