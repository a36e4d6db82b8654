//! A key that does what it likes: right until the tape says otherwise, and an account of what it signed and of what it
//! really sent.
//!
//! Its private key signs what the key is asked to, or what the tape made of that; nobody else has it. The challenges
//! depend on the whole input, so no input can hold a signature for its own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use fidokey_core::credential::Verification;
use fidokey_core::ports::Report;
use sha2::{Digest as _, Sha256};

use super::Tape;
use super::assertion::is_right;
use crate::sim::device::{Device, Message, Outbox, frames, padded};
use crate::sim::softkey::{Behaviour, Draft, Secret, keepalive, soft_key};
use crate::sim::u2f_key::{U2fBehaviour, U2fDraft, u2f_key};
use crate::sim::verifier::Verifier;

/// What a hostile key did.
#[derive(Default)]
pub(super) struct Deeds {
    /// What it had signed: authenticator data, and the client data hash where the tape left that alone.
    signed: Vec<(Vec<u8>, Vec<u8>, bool)>,
    /// The messages that were whole when they left it.
    sent: Vec<Vec<u8>>,
    partial: BTreeMap<[u8; 4], (usize, u8, Vec<u8>)>,
    /// It gave away another channel than the one that it knows: what it owes is not known then.
    pub(super) channel_bent: bool,
}

impl Deeds {
    /// Whether one of `secrets` has signed what is enough under `required`, and the answer left the key as it was signed.
    /// `present` is 0 where a silent answer is enough.
    pub(super) fn gave(&self, secrets: &[Secret], required: Verification, present: u8) -> bool {
        self.signed.iter().filter(|(.., untouched)| *untouched).any(|(data, hash, _)| {
            is_right(data, required, present)
                && secrets.iter().any(|secret| {
                    let signature = secret.sign(&[&data[..], hash].concat());
                    let whole = |sent: &&Vec<u8>| {
                        // Of a first-generation key's answer the hash of the relying party is not a part.
                        contains(sent, &signature) && contains(sent, &data[32..])
                    };
                    self.sent.iter().any(|sent| whole(&sent))
                })
        })
    }

    fn note(&mut self, report: &Report) {
        let channel: [u8; 4] = report[..4].try_into().unwrap();
        if report[4] & 0x80 != 0 {
            let length = usize::from(u16::from_be_bytes([report[5], report[6]]));
            self.partial.insert(channel, (length, 0, report[7..].to_vec()));
        } else if let Some((_, sequence, payload)) = self.partial.get_mut(&channel)
            && *sequence == report[4]
        {
            *sequence += 1;
            payload.extend_from_slice(&report[5..]);
        }
        if let Some((length, _, payload)) = self.partial.get(&channel)
            && payload.len() >= *length
        {
            self.sent.push(payload[..*length].to_vec());
            self.partial.remove(&channel);
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

type Shared<T> = Rc<RefCell<T>>;

/// The key, for a world.
pub(super) struct Hostile {
    inner: Box<dyn Device>,
    tape: Shared<Tape>,
    deeds: Shared<Deeds>,
}

impl Hostile {
    /// A key with these secrets, of the first generation where that is said.
    pub(super) fn new(
        secrets: &[Secret],
        u2f: bool,
        touch: Option<Duration>,
        verifier: Shared<Verifier>,
        tape: Shared<Tape>,
    ) -> (Self, Shared<Deeds>) {
        let deeds: Shared<Deeds> = Rc::default();
        let (of_tape, noted) = (Rc::clone(&tape), Rc::clone(&deeds));
        let last = Rc::clone(&deeds);
        let answers = Rc::clone(&tape);
        let instead = Rc::new(move |message: &Message, outbox: &mut Outbox| {
            answer(&mut answers.borrow_mut(), &last.borrow().sent, message, outbox)
        });
        let inner: Box<dyn Device> = if u2f {
            let bend = move |draft: &mut U2fDraft| {
                bend_u2f(&mut of_tape.borrow_mut(), &mut noted.borrow_mut(), draft);
            };
            let bend = Rc::new(bend);
            let behaviour = U2fBehaviour { touch, bend, instead, ..U2fBehaviour::default() };
            Box::new(u2f_key(secrets, behaviour).0)
        } else {
            let bend = move |draft: &mut Draft| {
                bend_draft(&mut of_tape.borrow_mut(), &mut noted.borrow_mut(), draft);
            };
            let bend = Rc::new(bend);
            let behaviour = Behaviour { touch, bend, instead, verifier, ..Behaviour::default() };
            Box::new(soft_key(secrets, behaviour).0)
        };
        (Self { inner, tape, deeds: Rc::clone(&deeds) }, deeds)
    }
}

impl Device for Hostile {
    fn receive(&mut self, now: Duration, report: &Report) {
        self.inner.receive(now, report);
    }

    fn due(&self) -> Option<Duration> {
        self.inner.due()
    }

    fn pop(&mut self) -> Report {
        let right = self.inner.pop();
        let mut report = right;
        let mut tape = self.tape.borrow_mut();
        match tape.byte() {
            0xf0..=0xf7 => report[usize::from(tape.byte() % 64)] ^= tape.byte(),
            0xf8 => report[..4].copy_from_slice(&[0, 0, 0, 8]),
            0xf9 => report = padded(&[&right[..4], &tape.bytes(60)].concat()),
            0xfa => report = padded(&tape.bytes(64)),
            0xfb => report[4] = tape.byte(),
            0xfc => report[5..7].copy_from_slice(&tape.number().to_be_bytes()),
            _ => {}
        }
        let mut deeds = self.deeds.borrow_mut();
        deeds.channel_bent |= right[4] == 0x86 && report != right;
        deeds.note(&report);
        report
    }
}

/// An answer in the place of the key's own, or something before it: false where that is still to come.
fn answer(tape: &mut Tape, sent: &[Vec<u8>], message: &Message, outbox: &mut Outbox) -> bool {
    let kind = tape.byte();
    // Zeros, and whatever is no other choice, are right.
    if kind < 0x80 {
        return false;
    }
    let Message { channel, command, .. } = *message;
    if command == 0x11 {
        return kind < 0x90;
    }
    let delay = Duration::from_millis(10) * u32::from(tape.byte());
    let mut say = |command, payload: &[u8]| outbox.message(delay, channel, command, payload);
    match kind % 12 {
        0 => {}
        1 => say(command, &tape.prefixed()),
        2 => say(command, &[&[0], &tape.prefixed()[..]].concat()),
        3 => say(command, &tape.bytes(2)),
        4 => say(command, &[tape.byte()]),
        5 => say(0x3f, &[tape.byte()]),
        6 => {
            for _ in 0..tape.byte() % 64 {
                outbox.raw(Duration::from_millis(100), keepalive(channel));
            }
            return false;
        }
        7 => {
            outbox.raw(delay, frames([0, 0, 0, 8], command, &tape.prefixed()).remove(0));
            return false;
        }
        8 => outbox.repeat(delay + Duration::from_millis(10), keepalive(channel)),
        9 => outbox.raw(delay, padded(&[&channel[..], &tape.bytes(60)].concat())),
        // What it has said before.
        10 => say(command, sent.last().map_or(&[], Vec::as_slice)),
        _ => {
            let (length, pattern) = (usize::from(tape.number()) % 7610, tape.prefixed());
            let pattern = if pattern.is_empty() { vec![0] } else { pattern };
            say(command, &pattern.into_iter().cycle().take(length).collect::<Vec<u8>>());
        }
    }
    true
}

fn bend_draft(tape: &mut Tape, deeds: &mut Deeds, draft: &mut Draft) {
    let hash = draft.hash.clone();
    match tape.byte() {
        0xf0 => draft.auth_data[32] ^= tape.byte(),
        0xf1 => draft.auth_data[usize::from(tape.byte() % 37)] ^= tape.byte(),
        0xf2 => draft.hash[usize::from(tape.byte() % 32)] ^= tape.byte(),
        0xf3 => draft.auth_data.extend(tape.prefixed()),
        0xf4 => draft.auth_data.truncate(tape.byte().into()),
        0xf5 => draft.id = Some(tape.prefixed()),
        0xf6 => draft.id = None,
        0xf7 => draft.user = Some(tape.prefixed()),
        0xf8 => draft.count = Some(tape.byte().into()),
        0xf9 => draft.tail = tape.prefixed(),
        0xfa => draft.signature_tail = tape.prefixed(),
        0xfb => draft.signature = Some(tape.prefixed()),
        _ => {}
    }
    if draft.signature.is_none() {
        deeds.signed.push((draft.auth_data.clone(), draft.hash.clone(), draft.hash == hash));
    }
}

fn bend_u2f(tape: &mut Tape, deeds: &mut Deeds, draft: &mut U2fDraft) {
    let hash = draft.hash.clone();
    match tape.byte() {
        0xf0 => draft.flags ^= tape.byte(),
        0xf1 => draft.counter[usize::from(tape.byte() % 4)] ^= tape.byte(),
        0xf2 => draft.hash[usize::from(tape.byte() % 32)] ^= tape.byte(),
        0xf3 => draft.tail = tape.prefixed(),
        0xf4 => draft.cut = Some(tape.byte().into()),
        0xf5 => draft.word = tape.number(),
        0xf6 => draft.signature = Some(tape.prefixed()),
        _ => {}
    }
    if draft.signature.is_none() {
        let head = [&Sha256::digest("pam://fidokey")[..], &[draft.flags], &draft.counter].concat();
        deeds.signed.push((head, draft.hash.clone(), draft.hash == hash));
    }
}
