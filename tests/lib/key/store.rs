//! The key's persistent memory: numbered values, in memory or in a file of `number hex` lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opensk::api::persist::{Persist, PersistIter};
use opensk::ctap::status_code::{Ctap2StatusCode, CtapResult};

/// Clones share the same memory.
#[derive(Clone)]
pub(super) struct Store(Arc<Mutex<Contents>>);

struct Contents {
    values: BTreeMap<usize, Vec<u8>>,
    file: Option<PathBuf>,
}

impl Store {
    pub(super) fn in_memory() -> Self {
        Self::new(BTreeMap::new(), None)
    }

    pub(super) fn in_file(path: &Path) -> io::Result<Self> {
        let values = match fs::read_to_string(path) {
            Ok(text) => parse(&text)
                .ok_or_else(|| io::Error::other(format!("{} is not a key", path.display())))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self::new(values, Some(path.to_owned())))
    }

    fn new(values: BTreeMap<usize, Vec<u8>>, file: Option<PathBuf>) -> Self {
        Self(Arc::new(Mutex::new(Contents { values, file })))
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Persist for Store {
    fn find(&self, key: usize) -> CtapResult<Option<Vec<u8>>> {
        Ok(self.lock().values.get(&key).cloned())
    }

    fn insert(&mut self, key: usize, value: &[u8]) -> CtapResult<()> {
        let mut contents = self.lock();
        contents.values.insert(key, value.to_vec());
        contents.save()
    }

    fn remove(&mut self, key: usize) -> CtapResult<()> {
        let mut contents = self.lock();
        contents.values.remove(&key);
        contents.save()
    }

    fn iter(&self) -> CtapResult<PersistIter<'_>> {
        let keys: Vec<usize> = self.lock().values.keys().copied().collect();
        Ok(Box::new(keys.into_iter().map(Ok)))
    }
}

impl Contents {
    /// Written whole and renamed, so that a killed key is never half a key.
    fn save(&self) -> CtapResult<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut text = String::new();
        for (key, value) in &self.values {
            let _ = write!(text, "{key} ");
            for byte in value {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        let fresh = file.with_extension("new");
        fs::write(&fresh, text)
            .and_then(|()| fs::rename(&fresh, file))
            .map_err(|_| Ctap2StatusCode::CTAP2_ERR_VENDOR_HARDWARE_FAILURE)
    }
}

fn parse(text: &str) -> Option<BTreeMap<usize, Vec<u8>>> {
    text.lines()
        .map(|line| {
            let (key, hex) = line.split_once(' ')?;
            let value = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
                .collect::<Option<Vec<u8>>>()?;
            Some((key.parse().ok()?, value))
        })
        .collect()
}
