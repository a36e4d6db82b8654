//! Records, policies and states as released versions have written them (`tests/golden/VERSION`): whoever has upgraded logs in
//! as before. A file in there is never changed; a version that writes something else gets a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use fidokey_core::credential::Algorithm;
use fidokey_core::login::login;
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::softkey::{Behaviour, Draft, Secret, soft_key};
use fidokey_tests::sim::u2f_key::{U2fBehaviour, u2f_key};
use fidokey_tests::sim::world::world;

fn versions() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let versions = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    // What others have written is beside them, under their names.
    let is_version = |path: &PathBuf| {
        path.file_name().unwrap().to_str().unwrap().starts_with(|c: char| c.is_ascii_digit())
    };
    versions.filter(is_version).collect()
}

/// The keys that hold what the records name: one of each kind.
fn secrets() -> [Secret; 3] {
    let eddsa = Secret { algorithm: Algorithm::EdDsa, ..Secret::new(2, 64) };
    [Secret::new(1, 64), eddsa, Secret::new(3, 64)]
}

/// A login of alice by the key that holds the secret of that number, with the files of that version.
fn logged_in(version: &Path, number: usize, counter: u32) -> i32 {
    let text = |name: &str| fs::read_to_string(version.join(name)).unwrap();
    let secret = secrets()[number].clone();
    let bend = move |draft: &mut Draft| {
        draft.auth_data.splice(33.., counter.to_be_bytes());
    };
    let mut keys = match number {
        2 => SimKeys::with(u2f_key(&[secret], U2fBehaviour::default()).0),
        _ => {
            let behaviour = Behaviour { bend: Rc::new(bend), ..Behaviour::default() };
            SimKeys::with(soft_key(&[secret], behaviour).0)
        }
    };
    let (mut machine, mut host) = world(&[], &text("config.toml"));
    machine.records.insert(1000, Ok(Some(text("1000.toml").into_bytes())));
    machine.states.insert(1000, Ok(Some(text("state.toml").into_bytes())));
    machine.key_in_use = Rc::clone(&keys.in_use);
    login(&mut machine, &mut host, &mut keys, &[]).number()
}

/// BAR I9: what a released version has registered still logs in, with its policy, and what it has seen of counters still
/// counts.
#[test]
fn given_the_files_of_each_version_then_each_of_its_keys_logs_in_and_its_counters_hold() {
    assert!(!versions().is_empty());
    for version in versions() {
        assert_eq!(logged_in(&version, 0, 1000), 0, "{}", version.display());
        assert_eq!(logged_in(&version, 1, 0), 0, "{}", version.display());
        assert_eq!(logged_in(&version, 2, 0), 0, "{}", version.display());
        // The state has seen 900.
        assert_eq!(logged_in(&version, 0, 900), 7, "{}", version.display());
    }
}
