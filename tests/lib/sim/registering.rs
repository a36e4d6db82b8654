//! The soft key's registrations, every part of them open to a test.

use std::cell::RefCell;

use fidokey_core::credential::Algorithm;
use fidokey_core::ctap::cbor::{Value, Writer};
use sha2::{Digest as _, Sha256};

use super::softkey::{Behaviour, Secret, Seen};

/// A registration about to be sent: right until a test bends it.
#[derive(Clone, Debug)]
pub struct DraftCredential {
    /// The status byte; nothing follows it where it is not 0.
    pub status: u8,
    /// The attestation statement's format.
    pub format: String,
    /// The hash of the relying party id.
    pub rp_id_hash: Vec<u8>,
    /// The flags.
    pub flags: u8,
    /// The model.
    pub aaguid: [u8; 16],
    /// The id.
    pub id: Vec<u8>,
    /// What is said to be its length, instead of the truth.
    pub id_length: Option<u16>,
    /// The public key's members, each value as its CBOR.
    pub cose: Vec<(i16, Vec<u8>)>,
    /// What follows the public key in the authenticator data.
    pub extensions: Vec<u8>,
    /// The authenticator data's length, instead of the truth.
    pub cut: Option<usize>,
    /// The attestation statement, as its CBOR.
    pub statement: Vec<u8>,
    /// Bytes after the CBOR.
    pub tail: Vec<u8>,
}

impl DraftCredential {
    fn new(secret: &Secret) -> Self {
        let point = secret.public_key();
        let cose = match secret.algorithm {
            Algorithm::Es256 => vec![
                (1, integer(2)),
                (3, integer(-7)),
                (-1, integer(1)),
                (-2, bytes(&point[1..33])),
                (-3, bytes(&point[33..])),
            ],
            Algorithm::EdDsa => {
                vec![(1, integer(1)), (3, integer(-8)), (-1, integer(6)), (-2, bytes(&point))]
            }
        };
        Self {
            status: 0,
            format: "packed".to_owned(),
            rp_id_hash: Sha256::digest(&secret.rp_id).to_vec(),
            flags: 0x41,
            aaguid: [0xaa; 16],
            id: secret.id.clone(),
            id_length: None,
            cose,
            extensions: Vec::new(),
            cut: None,
            statement: vec![0xa0],
            tail: Vec::new(),
        }
    }

    /// Gives a member of the public key another value, or one more to the key.
    pub fn set(&mut self, member: i16, value: Vec<u8>) {
        match self.cose.iter_mut().find(|(name, _)| *name == member) {
            Some((_, known)) => *known = value,
            None => self.cose.push((member, value)),
        }
    }

    /// Takes a member of the public key away.
    pub fn drop_member(&mut self, member: i16) {
        self.cose.retain(|(name, _)| *name != member);
    }

    fn encode(&self) -> Vec<u8> {
        if self.status != 0 {
            return vec![self.status];
        }
        let mut data = [&self.rp_id_hash[..], &[self.flags], &[0, 0, 0, 5]].concat();
        data.extend_from_slice(&self.aaguid);
        let length = self.id_length.unwrap_or(u16::try_from(self.id.len()).unwrap());
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(&self.id);
        data.push(0xa0 | u8::try_from(self.cose.len()).unwrap());
        for (name, value) in &self.cose {
            data.extend_from_slice(&integer(*name));
            data.extend_from_slice(value);
        }
        data.extend_from_slice(&self.extensions);
        data.truncate(self.cut.unwrap_or(data.len()));

        let mut response = Writer::beginning_with(0);
        response.map(3).integer(1).text(&self.format).integer(2).bytes(&data).integer(3);
        [&response.into_bytes()[..], &self.statement, &self.tail].concat()
    }
}

/// A number as CBOR.
pub fn integer(number: i16) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.integer(number);
    writer.into_bytes()
}

/// A byte string as CBOR.
pub fn bytes(value: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.bytes(value);
    writer.into_bytes()
}

/// Whether it waits for a touch, and the response. The new credential is the key's from then on.
pub(super) fn make_credential(
    secrets: &mut Vec<Secret>,
    behaviour: &Behaviour,
    seen: &RefCell<Seen>,
    request: &Value<'_>,
) -> (bool, Vec<u8>) {
    seen.borrow_mut().hashes.push(request.member(1).unwrap().bytes().unwrap().to_vec());
    let excluded = request.member(5).and_then(Value::items).unwrap_or_default();
    seen.borrow_mut().lists.push(excluded.len());
    let held = |entry: &Value<'_>| {
        let id = entry.named("id").unwrap().bytes().unwrap();
        secrets.iter().any(|secret| secret.id == id)
    };
    if excluded.iter().any(held) {
        return (true, vec![0x19]);
    }
    let hash = request.member(1).unwrap().bytes().unwrap();
    let option = |name| request.member(7).and_then(|options| options.named(name));
    let uv = option("uv") == Some(&Value::Bool(true));
    let mut verifier = behaviour.verifier.borrow_mut();
    let user_verified = match verifier.judge(hash, request.member(8), uv, false) {
        Ok(user_verified) => user_verified,
        // A request without an authorization in it is one for a touch.
        Err(status) => return (true, vec![status]),
    };
    let listed = request.member(4).unwrap().items().unwrap();
    let first = listed[0].named("alg").and_then(Value::integer).unwrap();
    let algorithm = Algorithm::ALL.into_iter().find(|known| i64::from(known.cose()) == first);
    let mut secret = Secret::new(0xe0 + u8::try_from(secrets.len()).unwrap(), 48);
    secret.algorithm = algorithm.unwrap();
    secret.rp_id = request.member(2).unwrap().named("id").unwrap().text().unwrap().to_owned();
    let mut draft = DraftCredential::new(&secret);
    draft.flags |= u8::from(user_verified) << 2;
    if request.member(6).is_some() {
        draft.flags |= 0x80;
        draft.extensions = [&[0xa1, 0x6b][..], b"credProtect", &[2]].concat();
    }
    (behaviour.bend_credential)(&mut draft);
    secret.id.clone_from(&draft.id);
    secrets.push(secret);
    (true, draft.encode())
}
