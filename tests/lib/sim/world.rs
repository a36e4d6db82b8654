//! A machine and a host that are tables, and a login on them in one call.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use fidokey_core::attestation::Admission;
use fidokey_core::credential::{
    AccountName, Algorithm, Credential, KeyName, RpId, Uid, Verification,
};
use fidokey_core::enroll::{EnrollError, Enrolled, Enrollment, enroll};
use fidokey_core::login::login;
use fidokey_core::ports::{
    Account, ConversationError, Fault, FileError, Hedge, Host, Keys, Machine, Origin, Severity,
    TextFile, UserError,
};
use fidokey_core::record::Record;

use super::verifier::Verifier;

/// A machine: randomness, accounts and files from tables.
#[derive(Clone, Debug)]
pub struct SimMachine {
    /// Accounts by the name that is typed.
    pub accounts: BTreeMap<String, Account>,
    /// The policy file.
    pub config: Result<Option<Vec<u8>>, FileError>,
    /// The records.
    pub records: BTreeMap<Uid, Result<Option<Vec<u8>>, FileError>>,
    /// What they become once they were read.
    pub later_records: BTreeMap<Uid, Result<Option<Vec<u8>>, FileError>>,
    /// The states.
    pub states: BTreeMap<Uid, Result<Option<Vec<u8>>, FileError>>,
    /// Why a state cannot be written, where it cannot.
    pub state_fails: Option<FileError>,
    /// Set while a key is open; see [`super::SimKeys::in_use`].
    pub key_in_use: Rc<Cell<bool>>,
    /// For each time a state was read or written, whether a key was open.
    pub key_was_in_use: Vec<bool>,
    /// Whose state is held against other logins.
    pub state_held: Option<Uid>,
    /// How often a state was read.
    pub state_reads: u32,
    /// How often one was looked at without being held.
    pub state_looks: u32,
    /// How often one was to be written.
    pub state_writes: u32,
    /// How long it has slept.
    pub slept: Rc<Cell<Duration>>,
    /// What the wall clock shows.
    pub since_1970: Option<Duration>,
    /// The randomness: a counter, or the same bytes for ever.
    pub constant_random: bool,
    /// The time since boot; one more at every look.
    pub boottime_ns: u64,
    /// Fails the n-th call.
    pub fault: Option<(u64, Fault)>,
    calls: u64,
    drawn: u64,
}

impl SimMachine {
    fn count_call(&mut self) -> Result<(), Fault> {
        self.calls += 1;
        match self.fault {
            Some((at, fault)) if at == self.calls => Err(fault),
            _ => Ok(()),
        }
    }
}

impl Machine for SimMachine {
    fn fill_random(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        self.count_call()?;
        if !self.constant_random {
            self.drawn += 1;
        }
        for (place, byte) in buffer.iter_mut().zip(self.drawn.to_be_bytes().into_iter().cycle()) {
            *place = byte;
        }
        Ok(())
    }

    fn hedge(&mut self) -> Result<Hedge, Fault> {
        self.count_call()?;
        self.boottime_ns += 1;
        let slept = u64::try_from(self.slept.get().as_nanos()).unwrap();
        Ok(Hedge { boottime_ns: self.boottime_ns + slept, pid: 4711 })
    }

    fn account(&mut self, name: &AccountName) -> Result<Option<Account>, Fault> {
        self.count_call()?;
        Ok(self.accounts.get(name.as_str()).cloned())
    }

    fn config(&mut self) -> Result<Option<TextFile>, FileError> {
        Ok(file("/etc/fidokey/config.toml".to_owned(), self.config.clone()?))
    }

    fn record(&mut self, uid: Uid) -> Result<Option<TextFile>, FileError> {
        let record = self.records.get(&uid).cloned().unwrap_or(Ok(None));
        if let Some(later) = self.later_records.remove(&uid) {
            self.records.insert(uid, later);
        }
        let record = record?;
        Ok(file(format!("/etc/fidokey/users/{uid}.toml"), record))
    }

    fn state(&mut self, uid: Uid) -> Result<Option<TextFile>, FileError> {
        self.state_reads += 1;
        self.state_held = Some(uid);
        self.key_was_in_use.push(self.key_in_use.get());
        let state = self.states.get(&uid).cloned().unwrap_or(Ok(None))?;
        Ok(file(format!("/var/lib/fidokey/{uid}.toml"), state))
    }

    fn look_at_state(&mut self, uid: Uid) -> Result<Option<TextFile>, FileError> {
        self.state_looks += 1;
        let state = self.states.get(&uid).cloned().unwrap_or(Ok(None))?;
        Ok(file(format!("/var/lib/fidokey/{uid}.toml"), state))
    }

    fn write_state(&mut self, text: &str) -> Result<(), FileError> {
        let uid = self.state_held.unwrap();
        self.state_writes += 1;
        self.key_was_in_use.push(self.key_in_use.get());
        if let Some(error) = &self.state_fails {
            return Err(error.clone());
        }
        self.states.insert(uid, Ok(Some(text.as_bytes().to_vec())));
        Ok(())
    }

    fn release_state(&mut self) {
        self.state_held = None;
    }

    fn since_1970(&mut self) -> Option<Duration> {
        self.since_1970
    }
}

fn file(path: String, text: Option<Vec<u8>>) -> Option<TextFile> {
    text.map(|text| TextFile { path, text })
}

/// A host that notes what it is told.
#[derive(Clone, Debug)]
pub struct SimHost {
    /// The items.
    pub origin: Origin,
    /// The user it means.
    pub user: Result<String, UserError>,
    /// The user it means at the end, where that is another one.
    pub user_later: Option<String>,
    /// The n-th message (from 0) and all later ones fail.
    pub deaf_from: Option<usize>,
    /// What was shown.
    pub shown: Vec<String>,
    /// What was logged.
    pub logged: Vec<(Severity, String)>,
    /// Whether it asks for a name at each try.
    pub asks_for_names: bool,
    /// What was kept in the transaction.
    pub kept: BTreeMap<String, String>,
    /// How often it was asked to hold back a failure.
    pub delays: u32,
    /// What is typed where a PIN is asked for, one after the other; then the conversation fails.
    pub typed: VecDeque<Vec<u8>>,
    /// How long that takes, each time, and the clock that goes on meanwhile.
    pub typing: (Duration, Rc<Cell<Duration>>),
    /// How long the machine sleeps meanwhile, and its count of that.
    pub sleeping: (Duration, Rc<Cell<Duration>>),
    /// At how many of the questions it does.
    pub sleeps: u32,
    /// What others leave of the tries of this verifier meanwhile.
    pub typing_spends: Option<(Rc<RefCell<Verifier>>, u8)>,
    /// What was asked, each with how many messages had been shown before.
    pub asked: Vec<(String, usize)>,
}

impl Host for SimHost {
    fn origin(&mut self) -> Origin {
        self.origin.clone()
    }

    fn user(&mut self) -> Result<String, UserError> {
        self.user.clone()
    }

    fn still_means(&mut self, user: &str) -> bool {
        self.user_later.as_deref().is_none_or(|later| later == user)
    }

    fn show(&mut self, text: &str) -> Result<(), ConversationError> {
        if self.deaf_from.is_some_and(|from| self.shown.len() >= from) {
            return Err(ConversationError);
        }
        self.shown.push(text.to_owned());
        Ok(())
    }

    fn ask(&mut self, prompt: &str, read: &mut dyn FnMut(&[u8])) -> Result<(), ConversationError> {
        self.asked.push((prompt.to_owned(), self.shown.len()));
        let (takes, clock) = &self.typing;
        clock.set(clock.get() + *takes);
        if let Some(rest) = self.sleeps.checked_sub(1) {
            self.sleeps = rest;
            let (sleeps, slept) = &self.sleeping;
            slept.set(slept.get() + *sleeps);
        }
        if let Some((verifier, left)) = &self.typing_spends {
            verifier.borrow_mut().retries = *left;
        }
        read(&self.typed.pop_front().ok_or(ConversationError)?);
        Ok(())
    }

    fn asks_for_names(&mut self) -> bool {
        self.asks_for_names
    }

    fn recall(&mut self, name: &str) -> Option<String> {
        self.kept.get(name).cloned()
    }

    fn keep(&mut self, name: &str, text: &str) {
        self.kept.insert(name.to_owned(), text.to_owned());
    }

    fn delay_failure(&mut self) {
        self.delays += 1;
    }

    fn log(&mut self, severity: Severity, line: &str) {
        self.logged.push((severity, line.to_owned()));
    }
}

/// A machine on which alice (uid 1000) has these credentials and bob (1001) none, with this policy file,
/// and sudo asking for alice.
pub fn world(credentials: &[Credential], config: &str) -> (SimMachine, SimHost) {
    let account = |uid, name: &str| Account { uid, name: AccountName::new(name).unwrap() };
    let alice = account(1000, "alice");
    let record =
        Record { user: alice.name.clone(), uid: alice.uid, credentials: credentials.to_vec() };
    let machine = SimMachine {
        accounts: BTreeMap::from([
            ("alice".to_owned(), alice),
            ("bob".to_owned(), account(1001, "bob")),
        ]),
        config: Ok(Some(config.as_bytes().to_vec())),
        records: BTreeMap::from([(1000, Ok(Some(record.to_toml().into_bytes())))]),
        later_records: BTreeMap::new(),
        states: BTreeMap::new(),
        state_fails: None,
        key_in_use: Rc::default(),
        key_was_in_use: Vec::new(),
        state_held: None,
        state_reads: 0,
        state_looks: 0,
        state_writes: 0,
        // 2026-11-23T10:00:42Z
        since_1970: Some(Duration::from_secs(1_795_428_042)),
        constant_random: false,
        // As long as the keys' clock has run.
        boottime_ns: 1_000_000_000_000,
        slept: Rc::default(),
        fault: None,
        calls: 0,
        drawn: 0,
    };
    let host = SimHost {
        origin: Origin { service: "sudo".to_owned(), ..Origin::default() },
        user: Ok("alice".to_owned()),
        user_later: None,
        deaf_from: None,
        shown: Vec::new(),
        logged: Vec::new(),
        asks_for_names: false,
        kept: BTreeMap::new(),
        delays: 0,
        typed: VecDeque::new(),
        typing: (Duration::ZERO, Rc::default()),
        sleeping: (Duration::ZERO, Rc::clone(&machine.slept)),
        sleeps: 0,
        typing_spends: None,
        asked: Vec::new(),
    };
    (machine, host)
}

/// A policy file for a second factor by touch.
pub const SECOND_FACTOR: &str = "schema = 1\n[default]\nmode = \"second-factor\"\n";

/// Alice's login by sudo with these keys: the PAM code and the host with all that it heard.
pub fn login_of_alice(credentials: &[Credential], keys: &mut impl Keys) -> (i32, SimHost) {
    let (mut machine, mut host) = world(credentials, SECOND_FACTOR);
    let answer = login(&mut machine, &mut host, keys, &[]);
    (answer.number(), host)
}

/// The registration of one more key for alice, who has these credentials, with one of these algorithms, a name and 10
/// seconds for each touch: what comes of it, and the host with all that it heard.
pub fn enroll_for_alice(
    existing: &[Credential],
    algorithms: &[Algorithm],
    keys: &mut impl Keys,
) -> (Result<Credential, EnrollError>, SimHost) {
    let name = KeyName::new("Blue key").unwrap();
    let (result, host) = enroll_as(existing, Some(&name), algorithms, Admission::default(), keys);
    (result.map(|enrolled| enrolled.credential), host)
}

/// The same, with this name or that of the model, of the keys that may be registered; and all that comes of it.
pub fn enroll_as(
    existing: &[Credential],
    name: Option<&KeyName>,
    algorithms: &[Algorithm],
    admission: Admission<'_>,
    keys: &mut impl Keys,
) -> (Result<Enrolled, EnrollError>, SimHost) {
    let (mut machine, mut host) = world(existing, SECOND_FACTOR);
    let enrollment = Enrollment {
        account: &Account { uid: 1000, name: AccountName::new("alice").unwrap() },
        existing,
        name,
        algorithms,
        admission,
        rp_id: &RpId::default(),
        verification: Verification::None,
        policy: Verification::None,
        pin_guard: 3,
        patience: Duration::from_secs(10),
        added: "2026-11-23T10:00:00Z",
        added_by: "root",
    };
    let result = enroll(&mut machine, &mut host, keys, &enrollment);
    (result, host)
}
