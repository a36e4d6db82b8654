//! PIN and fingerprint: who may be asked, what it costs, and what a person reads.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use fidokey_core::credential::{Credential, Verification};
use fidokey_core::login::login;
use fidokey_core::ports::KeyId;
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::device::Device;
use fidokey_tests::sim::softkey::{Behaviour, Secret, Seen, soft_key};
use fidokey_tests::sim::verifier::Verifier;
use fidokey_tests::sim::world::{SimHost, SimMachine, world};

mod asking;
mod cost;
mod enrolling;
mod kinds;
mod trust;

/// The policy that requires verification.
const STRICT: &str =
    "schema = 1\n[default]\nmode = \"second-factor\"\nverification = \"required\"\n";
const CUE: &str = "Touch your security key (sudo).";
const ENTER: &str = "Enter the PIN of \"Key 1\".";

/// A machine with keys, at which somebody types PINs.
struct Desk {
    machine: SimMachine,
    host: SimHost,
    keys: SimKeys,
}

impl Desk {
    /// Alice with these credentials under this policy, and no key yet.
    fn new(credentials: &[Credential], config: &str) -> Self {
        let (machine, mut host) = world(credentials, config);
        let keys = SimKeys::default();
        host.typing.1 = Rc::clone(&keys.typing);
        Self { machine, host, keys }
    }

    /// Alice with one credential, on a key with this verifier, under a policy that requires verification.
    fn with(verifier: &Rc<RefCell<Verifier>>) -> Self {
        let secret = Secret::new(1, 64);
        let mut desk = Self::new(&[secret.credential()], STRICT);
        desk.plug(&[secret], verifier);
        desk
    }

    /// Plugs in one more key.
    fn plug(&mut self, secrets: &[Secret], verifier: &Rc<RefCell<Verifier>>) -> KeyId {
        self.plug_with(secrets, verifier, Behaviour::default()).0
    }

    fn plug_with(
        &mut self,
        secrets: &[Secret],
        verifier: &Rc<RefCell<Verifier>>,
        behaviour: Behaviour,
    ) -> (KeyId, Rc<RefCell<Seen>>) {
        let verifier = Rc::clone(verifier);
        let (key, seen) = soft_key(secrets, Behaviour { verifier, ..behaviour });
        (self.add(key), seen)
    }

    fn add(&mut self, key: impl Device + 'static) -> KeyId {
        self.keys.add(key)
    }

    /// A login at which these are typed, one after the other: the code and the reason. No key is left open.
    fn login(&mut self, typed: &[&str]) -> (i32, String) {
        self.host.shown.clear();
        self.host.asked.clear();
        self.host.logged.clear();
        self.keys.trace.clear();
        self.host.typed = typed.iter().map(|pin| pin.as_bytes().to_vec()).collect();
        let answer = login(&mut self.machine, &mut self.host, &mut self.keys, &[]);
        assert!(!self.keys.any_open());
        let line = &self.host.logged[0].1;
        let reason = line.split(' ').find_map(|field| field.strip_prefix("reason=")).unwrap();
        (answer.number(), reason.to_owned())
    }

    /// The commands, without what a cancelled key is sent.
    fn commands(&self) -> Vec<&'static str> {
        self.keys.commands()
    }
}

/// What a login comes to.
fn outcome(code: i32, reason: &str) -> (i32, String) {
    (code, reason.to_owned())
}

fn granted() -> (i32, String) {
    outcome(0, "verified")
}

fn required(credential: Credential) -> Credential {
    Credential { verification: Verification::Required, ..credential }
}

/// So many seconds.
fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
