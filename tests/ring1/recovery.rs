//! Logins that end in the middle of a transaction, and whoever comes next to the same key: a thousand of them, with the
//! emulated key.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fidokey_core::credential::{Algorithm, Credential};
use fidokey_core::login::login;
use fidokey_core::ports::{Fault, Gone, KeyEvent, KeyId, Keys, Moment, OpenError, Report, Signal};
use fidokey_tests::key::{EmulatedKey, Entry, KeyHandle, Touch, What};
use fidokey_tests::sim::world::{SECOND_FACTOR, enroll_for_alice, world};
use fidokey_tests::socket_keys::SocketKeys;

/// Logins that go wrong, and as many after them.
const CYCLES: u64 = 1000;
/// Each with a key of its own: they wait for their keys' threads most of the time.
const THREADS: u64 = 8;

/// What goes wrong at one of the calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wrong {
    /// The call fails, where it can.
    Fault,
    /// What is sent does not arrive, the key is taken for gone, and somebody has had enough.
    Unsent,
    /// What is received is taken for the end of the key, and somebody has had enough.
    Lost,
    /// Somebody has had enough.
    Interrupt,
    /// The program is to end.
    Terminate,
}

const WRONGS: [Wrong; 5] =
    [Wrong::Fault, Wrong::Unsent, Wrong::Lost, Wrong::Interrupt, Wrong::Terminate];

/// A key that one call of which goes wrong.
struct Failing {
    keys: SocketKeys,
    wrong: Wrong,
    /// How many calls are left before that one.
    left: u64,
    happened: bool,
    signal: Option<Signal>,
    told: bool,
}

impl Failing {
    /// Counts a call; whether it is the one, of those that can go wrong like this.
    fn is_it(&mut self, wrongs: &[Wrong]) -> bool {
        self.left = self.left.saturating_sub(1);
        let it = self.left == 0 && !self.happened && wrongs.contains(&self.wrong);
        self.happened |= it;
        it
    }

    fn fails(&mut self) -> Result<(), Fault> {
        let it = self.is_it(&[Wrong::Fault]);
        if it { Err(Fault { call: "any", errno: 5 }) } else { Ok(()) }
    }
}

impl Keys for Failing {
    fn now(&mut self) -> Result<Moment, Fault> {
        self.keys.now()
    }

    fn plugged(&mut self) -> Result<Vec<KeyId>, Fault> {
        self.fails()?;
        self.keys.plugged()
    }

    fn open(&mut self, key: KeyId) -> Result<(), OpenError> {
        self.keys.open(key)
    }

    fn send(&mut self, key: KeyId, report: &Report) -> Result<(), Gone> {
        if self.is_it(&[Wrong::Unsent]) {
            self.signal = Some(Signal::Interrupt);
            self.keys.close(key);
            return Err(Gone);
        }
        self.keys.send(key, report)
    }

    fn wait(&mut self, until: Moment) -> Result<KeyEvent, Fault> {
        self.fails()?;
        if self.is_it(&[Wrong::Interrupt, Wrong::Terminate]) {
            let interrupt = self.wrong == Wrong::Interrupt;
            self.signal = Some(if interrupt { Signal::Interrupt } else { Signal::Terminate });
        }
        if let Some(signal) = self.signal.filter(|_| !self.told) {
            self.told = true;
            return Ok(KeyEvent::Signal(signal));
        }
        match self.keys.wait(until)? {
            KeyEvent::Report(key, _) if self.is_it(&[Wrong::Lost]) => {
                self.signal = Some(Signal::Interrupt);
                self.keys.close(key);
                Ok(KeyEvent::Gone(key))
            }
            event => Ok(event),
        }
    }

    fn close(&mut self, key: KeyId) {
        self.keys.close(key);
    }

    fn pending_signal(&mut self) -> Option<Signal> {
        self.signal
    }

    fn take_interrupt(&mut self) {
        self.signal = None;
    }
}

/// Numbers that are as good as random, and the same for the same seed (SplitMix64).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The same key for every program: its wire and its lock.
struct Plugged {
    client: std::os::fd::OwnedFd,
    handle: KeyHandle,
    lock: PathBuf,
    credential: Credential,
}

impl Plugged {
    fn new(seed: u64, key: &EmulatedKey) -> Self {
        let (client, handle) = key.plug().unwrap();
        let name = format!("recovery-{}-{seed}", std::process::id());
        let lock = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&lock, "").unwrap();
        let mut keys = SocketKeys::new(&[client.as_raw_fd()]);
        let credential = enroll_for_alice(&[], &Algorithm::ALL, &mut keys).0.unwrap();
        Self { client, handle, lock, credential }
    }

    /// What the next program has of it.
    fn keys(&self) -> SocketKeys {
        SocketKeys::new(&[self.client.as_raw_fd()]).locked_by(Some(self.lock.clone()))
    }

    fn login(&self, keys: &mut impl Keys, deaf_from: Option<usize>) -> (i32, String) {
        let credentials = std::slice::from_ref(&self.credential);
        let policy = format!("{SECOND_FACTOR}wait_for_key = \"1s\"\ntouch = \"1s\"\n");
        let (mut machine, mut host) = world(credentials, &policy);
        host.deaf_from = deaf_from;
        let code = login(&mut machine, &mut host, keys, &[]).number();
        (code, format!("{:?} {:?}", host.shown, host.logged))
    }
}

/// One login that goes wrong at some call, and the next one. Whether the key had been asked for a touch by then.
fn cycle(seed: u64, plugged: &Plugged) -> bool {
    let random = mix(seed);
    let wrong = WRONGS[(random % 5) as usize];
    let left = 1 + (random >> 8) % 10;
    // Nobody hears the cue now and then, and hardly anybody touches the key.
    let deaf_from = (random >> 16).is_multiple_of(16).then_some(0);
    let touch = if (random >> 24).is_multiple_of(4) { Touch::AtOnce } else { Touch::Never };
    plugged.handle.set_touch(touch);
    plugged.handle.clear_transcript();
    let mut keys =
        Failing { keys: plugged.keys(), wrong, left, happened: false, signal: None, told: false };
    let (code, told) = plugged.login(&mut keys, deaf_from);
    let what = format!("FIDOKEY_SEED={seed}: {wrong:?} {left} {touch:?} {told}");
    assert_ne!(code, 0, "{what}");
    let armed = plugged.handle.transcript().iter().any(is_request);
    // What was sent to a key that is taken for gone cannot be taken back. Whatever else was asked was cancelled.
    if !matches!(wrong, Wrong::Unsent | Wrong::Lost) {
        assert!(!plugged.handle.is_asking(), "left blinking: {what}");
    }
    // Free although the first program has not ended.
    fs::File::open(&plugged.lock).unwrap().try_lock().unwrap_or_else(|_| panic!("locked: {what}"));

    plugged.handle.set_touch(Touch::AtOnce);
    let start = Instant::now();
    let (next, told) = plugged.login(&mut plugged.keys(), None);
    assert_eq!(next, 0, "{what}; then {told}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}: {what}", start.elapsed());
    assert!(!plugged.handle.is_asking());
    keys.happened && armed
}

fn is_request(entry: &Entry) -> bool {
    matches!(&entry.what, What::Command(command) if command.to_string().contains("getAssertion"))
}

/// BAR D25: an error at a random call of a login (a fault, a report that is lost either way, a signal, a deaf
/// program) leaves the key cancelled and unlocked, and the next login by that very key is granted. A thousand times;
/// `FIDOKEY_SEED` has one of them again.
#[test]
fn given_a_login_that_ends_in_the_middle_then_the_next_one_by_the_same_key_is_granted() {
    let chosen = std::env::var("FIDOKEY_SEED").ok().map(|text| text.parse::<u64>().unwrap());
    let (first, cycles) = chosen.map_or((1, CYCLES), |seed| (seed, 1));
    let armed: u64 = std::thread::scope(|scope| {
        let run = |thread: u64| {
            let plugged = Plugged::new(thread, &EmulatedKey::new(700 + thread));
            let seeds = (first..first + cycles).filter(|seed| seed % THREADS == thread);
            let armed = seeds.filter(|seed| cycle(*seed, &plugged)).count() as u64;
            fs::remove_file(&plugged.lock).unwrap();
            armed
        };
        let runs: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || run(thread))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).sum()
    });
    println!("{cycles} logins from {first} went wrong, {armed} of them after the key was asked");
    assert!(cycles == 1 || armed > cycles / 4, "{armed}");
}
