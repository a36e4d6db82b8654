//! A directory with a PAM service, a policy and a record, and a program that logs in there.

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fidokey_core::attestation::Admission;
use fidokey_core::credential::{AccountName, Algorithm, Credential, KeyName, RpId, Verification};
use fidokey_core::enroll::{Enrollment, enroll};
use fidokey_core::ports::{Account, Machine as _};
use fidokey_core::record::Record;
use fidokey_system::files::Places;
use fidokey_system::machine::System;
use fidokey_tests::key::{EmulatedKey, KeyHandle, What};
use fidokey_tests::sim::world::{SECOND_FACTOR, world};
use fidokey_tests::socket_keys::SocketKeys;

/// The account of every test: there on every system, and nobody's.
pub(crate) const USER: &str = "nobody";

/// A stage is beneath the target directory: every directory above it must be the owner's or root's.
pub(crate) struct Stage {
    pub(crate) directory: PathBuf,
    /// The client's end of the key, open in every child.
    pub(crate) key: Option<OwnedFd>,
    extra: Vec<String>,
    /// Whether the application runs as whoever runs the tests: the owner of the files.
    pub(crate) as_owner: bool,
}

impl Stage {
    /// A stage without a key and without a record, with a policy for a second factor that waits briefly.
    pub(crate) fn bare() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ring2-{}-{number}", std::process::id());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("etc/fidokey/users")).unwrap();
        fs::create_dir_all(directory.join("pam.d")).unwrap();
        let states = directory.join("var/lib/fidokey");
        fs::create_dir_all(&states).unwrap();
        fs::set_permissions(&states, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(directory.join("key"), "").unwrap();
        let stage = Self { directory, key: None, extra: Vec::new(), as_owner: false };
        stage.config(&format!("{SECOND_FACTOR}wait_for_key = \"1s\"\ntouch = \"1s\"\n"));
        stage
    }

    /// The same with an emulated key plugged in, whose credential is the account's.
    pub(crate) fn enrolled(key: &EmulatedKey) -> (Self, KeyHandle) {
        Self::enrolled_with(key, &Algorithm::ALL)
    }

    /// The same with a credential of one of these algorithms.
    pub(crate) fn enrolled_with(key: &EmulatedKey, algorithms: &[Algorithm]) -> (Self, KeyHandle) {
        Self::enrolled_as(key, Vec::new(), algorithms)
    }

    /// The same, where the account has these credentials before that one.
    pub(crate) fn enrolled_after(
        key: &EmulatedKey,
        credentials: Vec<Credential>,
    ) -> (Self, KeyHandle) {
        Self::enrolled_as(key, credentials, &Algorithm::ALL)
    }

    fn enrolled_as(
        key: &EmulatedKey,
        mut credentials: Vec<Credential>,
        algorithms: &[Algorithm],
    ) -> (Self, KeyHandle) {
        let mut stage = Self::bare();
        let (client, handle) = key.plug().unwrap();
        let fd = client.as_raw_fd();
        let account = account();
        let (_, mut host) = world(&[], SECOND_FACTOR);
        let enrollment = Enrollment {
            account: &account,
            existing: &credentials,
            name: Some(&KeyName::new("Blue key").unwrap()),
            algorithms,
            admission: Admission::default(),
            rp_id: &RpId::default(),
            verification: Verification::None,
            policy: Verification::None,
            pin_guard: 3,
            patience: Duration::from_secs(10),
            added: "2026-11-23T10:00:00Z",
            added_by: "root",
        };
        let mut machine = System::new(Places::system());
        let enrolled =
            enroll(&mut machine, &mut host, &mut SocketKeys::new(&[fd]), &enrollment).unwrap();
        credentials.push(enrolled.credential);
        let record = Record { user: account.name, uid: account.uid, credentials };
        stage.record(&record.to_toml());
        stage.key = Some(client);
        handle.clear_transcript();
        (stage, handle)
    }

    /// Writes the policy.
    pub(crate) fn config(&self, text: &str) {
        fs::write(self.directory.join("etc/fidokey/config.toml"), text).unwrap();
    }

    /// The path of the account's record.
    pub(crate) fn record_path(&self) -> PathBuf {
        self.directory.join(format!("etc/fidokey/users/{}.toml", account().uid))
    }

    /// The path of the account's state.
    pub(crate) fn state_path(&self) -> PathBuf {
        self.directory.join(format!("var/lib/fidokey/{}.toml", account().uid))
    }

    /// Writes the account's record.
    pub(crate) fn record(&self, text: &str) {
        fs::write(self.record_path(), text).unwrap();
    }

    /// More arguments on the virtual module's line.
    pub(crate) fn arguments(&mut self, arguments: &[&str]) {
        self.extra = arguments.iter().map(|&argument| argument.to_owned()).collect();
    }

    /// The auth line of the virtual module.
    pub(crate) fn line(&self, control: &str) -> String {
        let module = virtual_module();
        let mut line = format!("auth {control} {} ", module.display());
        line += &format!("virtual:root={} ", self.directory.display());
        if let Some(key) = &self.key {
            let lock = self.directory.join("key");
            line += &format!("virtual:key={} virtual:lock={} ", key.as_raw_fd(), lock.display());
        }
        line + &self.extra.join(" ")
    }

    /// Another key instead of the one that is there.
    pub(crate) fn replace_key(&mut self, client: OwnedFd) {
        self.key = Some(client);
    }

    /// No key any more.
    pub(crate) fn forget_key(&mut self) {
        self.key = None;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// The account of the tests as this machine has it.
pub(crate) fn account() -> Account {
    let mut machine = System::new(Places::system());
    machine.account(&AccountName::new(USER).unwrap()).unwrap().unwrap()
}

/// The virtual module that was built with these tests, beside the test program and never a copy further up, which
/// may be an old one; or the one that `FIDOKEY_VIRTUAL_SO` names, for BAR X3: built as the shipped module is, without
/// the debug assertions that these tests have.
pub(crate) fn virtual_module() -> PathBuf {
    std::env::var_os("FIDOKEY_VIRTUAL_SO")
        .map_or_else(|| beside("libfidokey_virtual.so"), PathBuf::from)
}

/// The module that is shipped: the one that was packaged, where `FIDOKEY_SO` names it.
pub(crate) fn shipped_module() -> PathBuf {
    std::env::var_os("FIDOKEY_SO").map_or_else(|| beside("libpam_fidokey.so"), PathBuf::from)
}

/// What was built with these tests.
pub(crate) fn beside(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().parent().unwrap().join(name);
    assert!(path.is_file(), "{} was not built", path.display());
    path
}

/// The commands that a key received, in words.
pub(crate) fn commands(key: &KeyHandle) -> Vec<String> {
    let word = |what: &What| match what {
        What::Touch => "touch".to_owned(),
        What::Command(command) => {
            command.to_string().split(' ').nth(1).unwrap_or_default().to_owned()
        }
    };
    key.transcript().iter().map(|entry| word(&entry.what)).collect()
}
