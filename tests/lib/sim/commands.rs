//! What the code under test has said to the keys, in words.

use fidokey_core::ctap::cbor;
use fidokey_core::ports::KeyId;

use super::{SimKeys, Step};

impl SimKeys {
    /// The messages that were sent to keys, put together: `(key, command, payload)`.
    pub fn messages(&self) -> Vec<(KeyId, u8, Vec<u8>)> {
        put_together(&self.trace)
    }

    /// The commands that were sent, in words: `INIT`, `getAssertion`, `getAssertion?` for a silent one, ….
    pub fn commands(&self) -> Vec<&'static str> {
        self.words(&self.messages())
    }

    /// Those that were sent before a key was left to others.
    pub fn commands_before_release(&self) -> Vec<&'static str> {
        let before = |step: &&Step| !matches!(step, Step::Release(_));
        let trace: Vec<Step> = self.trace.iter().take_while(before).cloned().collect();
        self.words(&put_together(&trace))
    }

    /// Those that this key was sent.
    pub fn commands_of(&self, key: KeyId) -> Vec<&'static str> {
        let mut messages = self.messages();
        messages.retain(|(to, ..)| *to == key);
        self.words(&messages)
    }

    fn words(&self, messages: &[(KeyId, u8, Vec<u8>)]) -> Vec<&'static str> {
        messages
            .iter()
            .map(|(_, command, payload)| match (command, payload.first()) {
                (0x03, _) => match payload.get(1..3) {
                    Some([0x01, 0x00]) => "register",
                    Some([0x02, 0x03]) => "sign",
                    Some([0x02, 0x07]) => "sign?",
                    _ => "another",
                },
                (0x06, _) => "INIT",
                (0x11, _) => "CANCEL",
                (0x10, Some(0x01)) => "makeCredential",
                (0x10, Some(0x02)) if payload.ends_with(b"\x62up\xf4") => "getAssertion?",
                (0x10, Some(0x02)) => "getAssertion",
                (0x10, Some(0x04)) => "getInfo",
                (0x10, Some(0x06)) => match clientpin_subcommand(payload) {
                    0x01 => "getPINRetries",
                    0x02 => "getKeyAgreement",
                    0x05 => "getPinToken",
                    0x07 => "getUVRetries",
                    0x09 => "getPinUvAuthToken",
                    _ => "another",
                },
                (0x10, Some(0x0b)) => "selection",
                _ => "another",
            })
            .collect()
    }
}

/// The messages that these steps have sent.
fn put_together(trace: &[Step]) -> Vec<(KeyId, u8, Vec<u8>)> {
    let mut messages: Vec<(KeyId, u8, Vec<u8>, usize)> = Vec::new();
    for step in trace {
        let Step::Send(key, report) = step else { continue };
        if report[4] & 0x80 != 0 {
            let length = usize::from(u16::from_be_bytes([report[5], report[6]]));
            messages.push((*key, report[4] & 0x7f, report[7..].to_vec(), length));
        } else if let Some(last) = messages.last_mut() {
            last.2.extend_from_slice(&report[5..]);
        }
    }
    messages
        .into_iter()
        .map(|(key, command, mut payload, length)| {
            payload.truncate(length);
            (key, command, payload)
        })
        .collect()
}

/// The subcommand of an authenticatorClientPIN request.
fn clientpin_subcommand(payload: &[u8]) -> u64 {
    let request = cbor::read(&payload[1..]).unwrap().value;
    request.member(2).unwrap().unsigned().unwrap()
}
