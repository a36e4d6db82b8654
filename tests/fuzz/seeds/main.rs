//! The first inputs of all targets, into the directory that is named: what keys have answered, what others made up to
//! test signatures with, and texts as they are written.

mod made;
mod recording;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use std::{env, fs};

use fidokey_core::attestation::Admission;
use fidokey_core::credential::{AccountName, Algorithm, Credential, KeyName, RpId, Verification};
use fidokey_core::enroll::{Enrollment, enroll};
use fidokey_core::login::login;
use fidokey_core::ports::{Account, Keys};
use fidokey_tests::key::EmulatedKey;
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::softkey::{Behaviour, soft_key};
use fidokey_tests::sim::u2f_key::{U2fBehaviour, u2f_key};
use fidokey_tests::sim::verifier::Verifier;
use fidokey_tests::sim::world::world;
use fidokey_tests::socket_keys::SocketKeys;
use recording::Recording;

/// An input and whose it is.
type Seed = (&'static str, Vec<u8>);

fn main() {
    let directory = PathBuf::from(env::args_os().nth(1).expect("a directory"));
    let mut seeds = made::all();
    recorded(&mut seeds);
    for (target, bytes) in &seeds {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let directory = directory.join(target);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("{:016x}", hasher.finish())), bytes).unwrap();
    }
    println!("{} inputs in {}", seeds.len(), directory.display());
}

/// What keys answer to a registration and a login: OpenSK of both generations, with a PIN and without, and soft keys.
fn recorded(seeds: &mut Vec<Seed>) {
    let opensk = [
        EmulatedKey::new(1),
        EmulatedKey::new(2).second_generation(),
        EmulatedKey::new(3).with_pin("1234"),
        EmulatedKey::new(4).u2f_only(),
    ];
    for key in &opensk {
        let (wire, _plugged) = key.plug().unwrap();
        ceremonies(SocketKeys::new(&[wire.as_raw_fd()]), seeds);
    }
    let verifiers =
        [Verifier::default(), Verifier::with_pin("1234"), Verifier::of_ctap_2_0("1234")];
    for verifier in verifiers {
        for (algorithm, cred_protect) in [(Algorithm::Es256, true), (Algorithm::EdDsa, false)] {
            let behaviour = Behaviour {
                algorithms: vec![algorithm],
                cred_protect,
                list_limit: Some((8, 0x15, true)),
                max_message_size: Some(1200),
                verifier: Rc::new(std::cell::RefCell::new(clone(&verifier))),
                ..Behaviour::default()
            };
            ceremonies(SimKeys::with(soft_key(&[], behaviour).0), seeds);
        }
    }
    ceremonies(SimKeys::with(u2f_key(&[], U2fBehaviour::default()).0), seeds);
}

/// The same key once more: its state is not to be shared.
fn clone(verifier: &Verifier) -> Verifier {
    Verifier {
        options: verifier.options.clone(),
        versions: verifier.versions.clone(),
        protocols: verifier.protocols.clone(),
        pin: verifier.pin.clone(),
        ..Verifier::default()
    }
}

/// A registration and a login, with verification where the key has a PIN.
fn ceremonies(keys: impl Keys, seeds: &mut Vec<Seed>) {
    let mut keys = Recording::new(keys);
    for verification in [Verification::Required, Verification::None] {
        let Some(credential) = registered(&mut keys, verification) else { continue };
        let policy = format!(
            "schema = 1\n[default]\nmode = \"second-factor\"\nverification = \"{}\"\n",
            verification.word()
        );
        let (mut machine, mut host) = world(&[credential], &policy);
        host.typed.push_back(b"1234".to_vec());
        let _ = login(&mut machine, &mut host, &mut keys, &[]);
    }
    for (request, answer) in &keys.answers {
        seeds.extend(made::of_answer(request, answer));
    }
}

fn registered(keys: &mut impl Keys, verification: Verification) -> Option<Credential> {
    let (mut machine, mut host) = world(&[], "schema = 1\n");
    host.typed.push_back(b"1234".to_vec());
    let enrollment = Enrollment {
        account: &Account { uid: 1000, name: AccountName::new("alice").unwrap() },
        existing: &[],
        name: Some(&KeyName::new("Blue key").unwrap()),
        algorithms: &Algorithm::ALL,
        admission: Admission::default(),
        rp_id: &RpId::default(),
        verification,
        policy: Verification::None,
        pin_guard: 3,
        patience: Duration::from_secs(10),
        added: "2026-11-23T10:00:00Z",
        added_by: "root",
    };
    enroll(&mut machine, &mut host, keys, &enrollment).ok().map(|enrolled| enrolled.credential)
}
