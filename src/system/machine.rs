//! The operating system without its keys, as the flows want it.

use std::time::Duration;

use fidokey_core::credential::{AccountName, Uid};
use fidokey_core::ports::{Account, Fault, FileError, Hedge, Machine, NOT_ROOT, TextFile};

use crate::files::Places;
use crate::state::AccountState;
use crate::{accounts, clock, random};

/// This machine, with the administrator's files at these places.
#[derive(Debug)]
pub struct System {
    places: Places,
    writes: bool,
    /// From reading a state to writing it, or giving it up.
    state: Option<AccountState>,
}

impl System {
    /// This machine, with the administrator's files at `places`.
    #[must_use]
    pub const fn new(places: Places) -> Self {
        Self { places, writes: true, state: None }
    }

    /// The same, which never writes a state: for a login that is none.
    #[must_use]
    pub const fn read_only(places: Places) -> Self {
        Self { places, writes: false, state: None }
    }
}

impl Machine for System {
    fn fill_random(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        random::fill(buffer)
    }

    fn hedge(&mut self) -> Result<Hedge, Fault> {
        Ok(Hedge { boottime_ns: clock::boottime_ns()?, pid: std::process::id() })
    }

    fn account(&mut self, name: &AccountName) -> Result<Option<Account>, Fault> {
        accounts::account(name)
    }

    fn config(&mut self) -> Result<Option<TextFile>, FileError> {
        self.places.read_config()
    }

    fn record(&mut self, uid: Uid) -> Result<Option<TextFile>, FileError> {
        self.places.read_record(uid)
    }

    fn state(&mut self, uid: Uid) -> Result<Option<TextFile>, FileError> {
        self.allowed()?;
        self.state.insert(self.places.account_state(uid)?).read()
    }

    fn look_at_state(&mut self, uid: Uid) -> Result<Option<TextFile>, FileError> {
        self.allowed()?;
        self.places.read_state(uid)
    }

    fn write_state(&mut self, text: &str) -> Result<(), FileError> {
        match &self.state {
            Some(state) if self.writes => state.write(text),
            Some(_) => Ok(()),
            None => Err(self.no_state("not_read")),
        }
    }

    fn release_state(&mut self) {
        self.state = None;
    }

    fn since_1970(&mut self) -> Option<Duration> {
        clock::since_1970().ok()
    }
}

impl System {
    /// Whether this process is meant to know a state.
    fn allowed(&self) -> Result<(), FileError> {
        let euid = accounts::effective_uid();
        match euid == 0 || euid == self.places.owner {
            true => Ok(()),
            false => Err(self.no_state(NOT_ROOT)),
        }
    }

    fn no_state(&self, reason: &'static str) -> FileError {
        let place = self.places.beneath(&self.places.state);
        FileError { path: place.to_string_lossy().into_owned(), reason, errno: 0 }
    }
}
