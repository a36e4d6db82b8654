//! The operating system without its keys, as the flows want it.

use fidokey_core::credential::{AccountName, Uid};
use fidokey_core::ports::{Account, Fault, FileError, Hedge, Machine};

use crate::files::Places;
use crate::{accounts, clock, random};

/// This machine, with the administrator's files at these places.
#[derive(Debug)]
pub struct System {
    places: Places,
}

impl System {
    /// This machine, with the administrator's files at `places`.
    #[must_use]
    pub const fn new(places: Places) -> Self {
        Self { places }
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

    fn config(&mut self) -> Result<Option<Vec<u8>>, FileError> {
        self.places.read_config()
    }

    fn record(&mut self, uid: Uid) -> Result<Option<Vec<u8>>, FileError> {
        self.places.read_record(uid)
    }
}
