//! A whole login by a key that does what it likes: it ends in time, leaves nothing blinking, and lets in for what the
//! account's key has signed alone.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use fidokey_core::credential::{Credential, Verification};
use fidokey_core::login::login;
use fidokey_core::ports::{KeyId, Keys as _, Signal};
use sha2::{Digest as _, Sha256};

use super::Tape;
use super::hostile::{Deeds, Hostile};
use crate::log::LogLine;
use crate::sim::SimKeys;
use crate::sim::softkey::Secret;
use crate::sim::verifier::Verifier;
use crate::sim::watched::{Owed, Watched};
use crate::sim::world::{SimHost, SimMachine, world};

/// The longest that is waited for a key and its touch, with the second in which it is left.
const LONGEST: Duration = Duration::from_secs(46);

/// What the bits of the first byte mean.
pub mod setup {
    /// A key of the first generation.
    pub const U2F: u8 = 1;
    /// The policy requires verification.
    pub const REQUIRED: u8 = 2;
    /// The key has a PIN.
    pub const PIN: u8 = 4;
    /// The key can verify its user itself.
    pub const BUILT_IN: u8 = 8;
    /// More credentials than any key takes unasked.
    pub const MANY: u8 = 16;
    /// Nobody touches it.
    pub const UNTOUCHED: u8 = 32;
    /// Two bytes more say what happens to the key meanwhile, and when.
    pub const EVENT: u8 = 64;
    /// Two bytes more say what is typed, and how long that takes.
    pub const TYPED: u8 = 128;
}

/// The key of one input, in its world.
pub(super) struct Scene {
    pub(super) keys: SimKeys,
    pub(super) deeds: Rc<RefCell<Deeds>>,
    pub(super) verifier: Rc<RefCell<Verifier>>,
    owed: Rc<Owed>,
    /// Removed or broken, so that what it owes cannot be had any more.
    gone: bool,
}

impl Scene {
    /// The key that `setup` and the tape after it make, with these secrets.
    pub(super) fn new(setup: u8, tape: &mut Tape, secrets: &[Secret]) -> Self {
        let has = |bit: u8| setup & bit != 0;
        let mut verifier =
            if has(setup::PIN) { Verifier::with_pin("1234") } else { Verifier::default() };
        if has(setup::BUILT_IN) {
            verifier.options.push(("uv", true));
            verifier.readings = [0, 0, 0x3f].into();
        }
        let verifier = verifier.shared();
        let event = has(setup::EVENT).then(|| (tape.byte(), tape.byte()));
        let touch = (!has(setup::UNTOUCHED)).then_some(Duration::from_millis(250));
        let tape = Rc::new(RefCell::new(std::mem::replace(tape, Tape::new(&[]))));
        let (key, deeds) =
            Hostile::new(secrets, has(setup::U2F), touch, Rc::clone(&verifier), tape);
        let (key, owed) = Watched::new(key);
        let mut keys = SimKeys::with(key);
        let gone = event.is_some_and(|(what, when)| happens(&mut keys, what, when));
        Self { keys, deeds, verifier, owed, gone }
    }

    /// What holds at the end, whatever came of it.
    pub(super) fn check(&self, host: &SimHost) {
        let Self { keys, .. } = self;
        let asked = u32::try_from(host.asked.len()).unwrap();
        let typing = (host.typing.0 + Duration::from_secs(1)) * asked;
        assert!(keys.elapsed() <= 2 * LONGEST + typing, "{:?}", keys.elapsed());
        assert!(keys.waits < 20_000, "{} waits", keys.waits);
        assert!(!keys.any_open(), "left open");
        let known = !self.gone && !self.deeds.borrow().channel_bent;
        assert!(!known || !self.owed.request.get(), "left blinking: {:?}", keys.commands());
    }
}

/// What happens to the key; true where it may be gone.
fn happens(keys: &mut SimKeys, what: u8, when: u8) -> bool {
    let (key, at) = (KeyId(0), Duration::from_millis(20) * u32::from(when));
    match what % 8 {
        0 => keys.unplug_after(key, at),
        1 => keys.plug_after(key, at),
        2 => keys.replug(key, at, 2 * at),
        3 => keys.remove_at(key, when.into()),
        4 => keys.lock(key, at),
        5 => keys.signal_after(Signal::Interrupt, at),
        6 => keys.signal_after(Signal::Terminate, at),
        _ => keys.lock_after(key, at, 2 * at),
    }
    matches!(what % 8, 0 | 2 | 3)
}

/// A machine and a host for this input: no two have the same challenges.
pub(super) fn world_of(
    input: &[u8],
    credentials: &[Credential],
    policy: &str,
    keys: &SimKeys,
    typed: Option<(u8, u8)>,
) -> (SimMachine, SimHost) {
    let (mut machine, mut host) = world(credentials, policy);
    let digest = Sha256::digest(input);
    machine.boottime_ns = u64::from_be_bytes(digest[..8].try_into().unwrap()) >> 2;
    if let Some((what, long)) = typed {
        const TYPED: [&[u8]; 4] = [b"1234", b"4321", b"", b"12"];
        host.typed = (0..3).map(|at| TYPED[usize::from(what >> (2 * at) & 3)].to_vec()).collect();
        host.typing = (Duration::from_millis(400) * u32::from(long), Rc::clone(&keys.typing));
    }
    (machine, host)
}

/// See [`code`].
pub fn run(bytes: &[u8]) {
    let _ = code(bytes);
}

/// The code that such a login ends with. See [`setup`] for the first byte; what follows is what the key does.
pub fn code(bytes: &[u8]) -> i32 {
    let mut tape = Tape::new(bytes);
    let setup = tape.byte();
    let has = |bit: u8| setup & bit != 0;
    let typed = has(setup::TYPED).then(|| (tape.byte(), tape.byte()));
    let secret = Secret::new(1, 64);
    let mine = if has(setup::U2F) { secret.u2f_credential() } else { secret.credential() };
    let mut credentials = vec![mine];
    if has(setup::MANY) {
        // Keys of other people's: the first one's public key will do for them.
        credentials.extend((2..12_u8).map(|number| {
            let other = Secret { id: vec![number; 300], ..secret.clone() };
            other.credential()
        }));
        credentials.rotate_left(1);
    }
    let required = if has(setup::REQUIRED) { Verification::Required } else { Verification::None };
    let mut scene = Scene::new(setup, &mut tape, std::slice::from_ref(&secret));
    let policy = format!(
        "schema = 1\n[default]\nmode = \"second-factor\"\nwait_for_key = \"5s\"\ntouch = \"10s\"\nverification = \"{}\"\n",
        required.word()
    );
    let (mut machine, mut host) = world_of(bytes, &credentials, &policy, &scene.keys, typed);
    let code = login(&mut machine, &mut host, &mut scene.keys, &[]).number();

    scene.check(&host);
    assert!([0, 4, 7, 19, 26].contains(&code), "{code}");
    let [(_, line)] = host.logged.as_slice() else { panic!("{:?}", host.logged) };
    LogLine::parse(line).unwrap();
    let deeds = scene.deeds.borrow();
    let secrets = std::slice::from_ref(&secret);
    if code == 0 {
        assert!(deeds.gave(secrets, required, 1), "let in for nothing: {line}");
        assert!(!has(setup::UNTOUCHED) && scene.keys.pending_signal().is_none());
    }
    let tries = scene.verifier.borrow().tries;
    assert!(usize::try_from(tries).unwrap() <= host.asked.len(), "{tries} tries");
    if tries > 0 {
        assert!(deeds.gave(secrets, Verification::None, 0), "a PIN for a key that proved nothing");
    }
    code
}
