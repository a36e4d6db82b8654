//! What the tests share: an enrolled key, alice's login by it, and what went over its wire.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use fidokey_core::attestation::Admission;
use fidokey_core::credential::{AccountName, Algorithm, Credential, KeyName, RpId, Verification};
use fidokey_core::ctap::bus::Bus;
use fidokey_core::ctap::client::Client;
use fidokey_core::enroll::{EnrollError, Enrollment, enroll};
use fidokey_core::login::login;
use fidokey_core::ports::{
    Account, Fault, Gone, Heard, KeyEvent, KeyId, Keys, Moment, OpenError, Report,
};
use fidokey_second::SecondKey;
use fidokey_tests::key::{KeyHandle, What};
use fidokey_tests::sim::softkey::Secret;
use fidokey_tests::sim::world::{SECOND_FACTOR, SimHost, world};
use fidokey_tests::socket_keys::SocketKeys;

/// A key that is plugged in, and the client's end of its wire.
pub(crate) struct Plugged {
    pub(crate) wire: OwnedFd,
    pub(crate) handle: KeyHandle,
}

pub(crate) fn plug(key: SecondKey) -> Plugged {
    let (wire, handle) = key.plug().unwrap();
    Plugged { wire, handle }
}

impl Plugged {
    pub(crate) fn keys(&self) -> SocketKeys {
        SocketKeys::new(&[self.wire.as_raw_fd()])
    }

    /// A new credential for alice, who has these already.
    pub(crate) fn enroll(&self, existing: &[Credential]) -> Result<Credential, EnrollError> {
        let account = Account { uid: 1000, name: AccountName::new("alice").unwrap() };
        let enrollment = Enrollment {
            account: &account,
            existing,
            name: Some(&KeyName::new("Blue key").unwrap()),
            algorithms: &Algorithm::ALL,
            admission: Admission::default(),
            rp_id: &RpId::default(),
            verification: Verification::None,
            policy: Verification::None,
            pin_guard: 3,
            patience: Duration::from_secs(5),
            added: "2026-11-23T10:00:00Z",
            added_by: "root",
        };
        let (mut machine, mut host) = world(&[], SECOND_FACTOR);
        enroll(&mut machine, &mut host, &mut self.keys(), &enrollment)
            .map(|enrolled| enrolled.credential)
    }

    /// Something asked of the key as the core's client.
    pub(crate) fn ask<T>(
        &self,
        ask: impl AsyncFnOnce(&mut Client<'_, '_, SocketKeys>, Moment) -> T,
    ) -> T {
        let mut keys = self.keys();
        let bus = Bus::new(&mut keys);
        let until = bus.now().unwrap().after(Duration::from_secs(5));
        let talk = async {
            let mut client = Client::open(&bus, KeyId(0), 1, until).await.unwrap();
            ask(&mut client, until).await
        };
        bus.alone(KeyId(0), talk).unwrap()
    }

    /// The commands since the last look, each with the status of its answer, and the touches.
    pub(crate) fn commands(&self) -> Vec<String> {
        let word = |what: &What| match what {
            What::Touch => "touch".to_owned(),
            What::Command(command) => {
                let name = command.to_string().split(' ').nth(1).unwrap_or_default().to_owned();
                command.status.map_or(name.clone(), |status| format!("{name} {status:02x}"))
            }
        };
        let commands = self.handle.transcript().iter().map(|entry| word(&entry.what)).collect();
        self.handle.clear_transcript();
        commands
    }
}

/// A key of that seed, enrolled, with its credential; what that took is forgotten.
pub(crate) fn enrolled(key: SecondKey) -> (Plugged, Credential) {
    let plugged = plug(key);
    let credential = plugged.enroll(&[]).unwrap();
    plugged.handle.clear_transcript();
    (plugged, credential)
}

/// Alice's login that waits a second for another key, and another for the touch.
pub(crate) fn login_of_alice(credentials: &[Credential], keys: &mut impl Keys) -> (i32, SimHost) {
    patient_login_of_alice(1, credentials, keys)
}

/// The same that waits so many seconds for the touch.
pub(crate) fn patient_login_of_alice(
    seconds: u32,
    credentials: &[Credential],
    keys: &mut impl Keys,
) -> (i32, SimHost) {
    let config = format!("{SECOND_FACTOR}wait_for_key = \"1s\"\ntouch = \"{seconds}s\"\n");
    let (mut machine, mut host) = world(credentials, &config);
    let answer = login(&mut machine, &mut host, keys, &[]);
    (answer.number(), host)
}

/// The reason in the log line.
pub(crate) fn reason(host: &SimHost) -> &str {
    host.logged[0].1.split(' ').find_map(|field| field.strip_prefix("reason=")).unwrap()
}

/// Credentials of keys that are not here, with ids of that length.
pub(crate) fn others(count: u8, id_len: usize) -> Vec<Credential> {
    (1..=count).map(|number| Secret::new(number, id_len).credential()).collect()
}

/// Two keys, the other of which is plugged in a while after the one was first asked.
pub(crate) struct OneThenOther {
    keys: SocketKeys,
    at: Moment,
    announced: bool,
}

impl OneThenOther {
    pub(crate) fn new(one: &Plugged, other: &Plugged, after: Duration) -> Self {
        let mut keys = SocketKeys::new(&[one.wire.as_raw_fd(), other.wire.as_raw_fd()]);
        let at = keys.now().unwrap().after(after);
        Self { keys, at, announced: false }
    }
}

impl Keys for OneThenOther {
    fn now(&mut self) -> Result<Moment, Fault> {
        self.keys.now()
    }

    fn plugged(&mut self) -> Result<Vec<KeyId>, Fault> {
        let here = self.keys.now()? >= self.at;
        let mut keys = self.keys.plugged()?;
        keys.retain(|&key| here || key == KeyId(0));
        Ok(keys)
    }

    fn open(&mut self, key: KeyId) -> Result<(), OpenError> {
        self.keys.open(key)
    }

    fn send(&mut self, key: KeyId, report: &Report) -> Result<(), Gone> {
        self.keys.send(key, report)
    }

    fn wait(&mut self, until: Moment) -> Result<KeyEvent, Fault> {
        if self.announced || until < self.at {
            return self.keys.wait(until);
        }
        match self.keys.wait(self.at)? {
            KeyEvent::Elapsed => {
                self.announced = true;
                Ok(KeyEvent::Hotplug)
            }
            event => Ok(event),
        }
    }

    fn release(&mut self, key: KeyId) {
        self.keys.release(key);
    }

    fn retake(&mut self, key: KeyId) -> Result<Heard, OpenError> {
        self.keys.retake(key)
    }

    fn close(&mut self, key: KeyId) {
        self.keys.close(key);
    }
}
