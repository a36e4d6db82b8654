//! Logins that are normal, of each kind, each on as many stages as there are workers: where one thing fails the login
//! may wait for a key.

use std::cell::Cell;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use fidokey_core::notice::Changed;
use fidokey_tests::key::{EmulatedKey, KeyHandle};

use crate::notices::announce;
use crate::run::Application;
use crate::stage::{Stage, shipped_module};
use crate::state::owned;

/// A kind of login.
#[derive(Clone, Copy)]
pub(crate) struct Scene {
    /// What it is called in the table.
    pub(crate) name: &'static str,
    /// What the module answers when nothing fails.
    pub(crate) code: i32,
    /// What the application is told to do.
    pub(crate) words: &'static [&'static str],
    make: fn(u64) -> Place,
}

/// A stage for such a login.
pub(crate) struct Place {
    pub(crate) stage: Stage,
    /// The keys that are plugged in.
    keys: Vec<KeyHandle>,
    /// Where the shipped module is used: a program in a root directory of its own, which the logins enter.
    enclosure: Option<Child>,
    /// How many logins there were.
    logins: Cell<usize>,
}

const TYPED_WRONG: &[&str] = &["conv:answers=Security key PIN: =4321", "authenticate"];
const TYPED_RIGHT: &[&str] = &["conv:answers=Security key PIN: =1234", "authenticate"];

pub(crate) const GRANTED: Scene =
    Scene { name: "granted", code: 0, words: &["authenticate"], make: granted };
pub(crate) const GRANTED_WITH_PIN: Scene =
    Scene { name: "granted with PIN", code: 0, words: TYPED_RIGHT, make: with_pin };
pub(crate) const WRONG_PIN: Scene =
    Scene { name: "wrong PIN", code: 7, words: TYPED_WRONG, make: with_pin };
pub(crate) const NO_KEY: Scene =
    Scene { name: "no key", code: 7, words: &["authenticate"], make: no_key };
pub(crate) const WRONG_KEY: Scene =
    Scene { name: "wrong key", code: 7, words: &["authenticate"], make: wrong_key };
pub(crate) const NOT_ENROLLED: Scene =
    Scene { name: "not enrolled", code: 25, words: &["authenticate"], make: not_enrolled };
pub(crate) const NOT_ENROLLED_TOLD: Scene = Scene {
    name: "not enrolled, told of a change",
    code: 25,
    words: &["authenticate"],
    make: not_enrolled,
};
pub(crate) const BAD_RECORD: Scene =
    Scene { name: "bad record", code: 7, words: &["authenticate"], make: bad_record };
pub(crate) const REMOTE: Scene =
    Scene { name: "remote", code: 6, words: &["item:4=10.0.0.1", "authenticate"], make: granted };
pub(crate) const SHIPPED: Scene =
    Scene { name: "shipped module", code: 0, words: &["authenticate"], make: shipped };

impl Scene {
    /// What libpam answers when nothing fails, with the module alone in the stack.
    pub(crate) fn answer(&self) -> i32 {
        if self.code == 25 { 6 } else { self.code }
    }

    /// How many try at once: more where most of them wait, for a key or because a guess was wrong.
    pub(crate) fn workers(&self) -> u64 {
        match self.name {
            "bad record" | "not enrolled" | "not enrolled, told of a change" | "remote" => 4,
            "no key" | "wrong key" => 24,
            _ => 12,
        }
    }

    /// A stage for it, whose name service and state are as after many logins.
    pub(crate) fn place(&self, seed: u64) -> Place {
        // One after the other: a key that shares a processor with many others takes too long for its registration.
        static REGISTERING: Mutex<()> = Mutex::new(());
        let _one = REGISTERING.lock();
        let place = (self.make)(seed);
        place.mend(self);
        place
    }
}

impl Place {
    /// The application, started by another program with these words before ours.
    fn application(&self, before: &[&str]) -> Application<'_> {
        let Some(enclosure) = &self.enclosure else {
            return self.stage.application().before(before);
        };
        let target = enclosure.id().to_string();
        // Whoever is not root has become it there.
        let own: &[&str] = match nix::unistd::geteuid().is_root() {
            true => &[],
            false => &["--user", "--preserve-credentials"],
        };
        let enter = ["nsenter", "--target", &target, "--mount", "--root", "--wd"];
        let line = format!("auth required {}", shipped_module().display());
        self.stage.application().before(&[&enter, own, before].concat()).stack(&[line])
    }

    /// The same as a command.
    pub(crate) fn command(&self, before: &[&str], report: &Path, words: &[&str]) -> Command {
        self.application(before).command(report, words)
    }

    /// What a system call is about, with paths from the root that the module has.
    pub(crate) fn seen_from_root(&self, about: &str) -> String {
        let directory = self.stage.directory.display().to_string();
        let root = if self.enclosure.is_some() { directory + "/root" } else { directory };
        if about == root { "/".to_owned() } else { about.replace(&root, "") }
    }

    /// To be called before a login: a key has no third wrong PIN in a row, and what was told once is not told again.
    pub(crate) fn prepare(&self, scene: &Scene) {
        if scene.name == NOT_ENROLLED_TOLD.name {
            announce(&self.stage, Changed::Removed);
        }
        let logins = self.logins.replace(self.logins.get() + 1);
        if scene.words == TYPED_WRONG && logins % 2 == 1 {
            self.mend(scene);
        }
    }

    /// A login in which nothing fails, so that the next one is as the ones before: with the right PIN where there is
    /// one, which gives the key its tries back.
    pub(crate) fn mend(&self, scene: &Scene) {
        let words = if scene.words == TYPED_WRONG { TYPED_RIGHT } else { scene.words };
        let code = if words == scene.words { scene.answer() } else { 0 };
        // Where many run at once, a key can take too long.
        let mut codes = (0..5).map(|_| self.application(&[]).run(words).code("authenticate"));
        assert!(codes.any(|got| got == code), "{}", scene.name);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(enclosure) = &mut self.enclosure {
            enclosure.kill().unwrap();
            enclosure.wait().unwrap();
        }
    }
}

fn place((stage, key): (Stage, KeyHandle)) -> Place {
    Place { stage, keys: vec![key], enclosure: None, logins: Cell::new(0) }
}

fn granted(seed: u64) -> Place {
    place(owned(&EmulatedKey::new(seed)))
}

fn with_pin(seed: u64) -> Place {
    let mut place = place(owned(&EmulatedKey::new(seed).with_pin("1234")));
    place.stage.arguments(&["verification=required"]);
    place
}

/// A stage without a key, whose account has one: the same for all of them, for a registration takes its time.
fn no_key(_seed: u64) -> Place {
    static RECORD: OnceLock<String> = OnceLock::new();
    let record = || fs::read_to_string(granted(499).stage.record_path()).unwrap();
    let place = not_enrolled(0);
    place.stage.record(RECORD.get_or_init(record));
    place
}

/// A key that holds no credential of the account.
fn wrong_key(seed: u64) -> Place {
    let mut place = no_key(seed);
    let (client, other) = EmulatedKey::new(seed).plug().unwrap();
    place.stage.replace_key(client);
    place.keys = vec![other];
    place
}

fn not_enrolled(_seed: u64) -> Place {
    let mut stage = Stage::bare();
    stage.as_owner = true;
    Place { stage, keys: Vec::new(), enclosure: None, logins: Cell::new(0) }
}

fn bad_record(seed: u64) -> Place {
    let place = no_key(seed);
    let record = fs::read_to_string(place.stage.record_path()).unwrap();
    place.stage.record(&record.replace("schema = 1", "schema = 9"));
    place
}

/// A key that the shipped module finds by itself.
fn shipped(seed: u64) -> Place {
    let mut place = place(Stage::plugged(&EmulatedKey::new(seed)));
    let [program, words @ ..] = place.stage.enter();
    let mut enclosure = Command::new(program)
        .args(words)
        .args(["sh", "-c", "echo ready; exec sleep infinity"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(enclosure.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    place.enclosure = Some(enclosure);
    place
}
