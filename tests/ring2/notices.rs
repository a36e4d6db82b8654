//! What is told at a login of changes to an account's keys, with the real libpam, files and locks.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use fidokey_core::notice::{Change, Changed};
use fidokey_core::ports::FileError;
use fidokey_core::state::State;
use fidokey_system::files::Places;
use fidokey_tests::key::EmulatedKey;

use crate::run::Outcome;
use crate::stage::{Stage, account};
use crate::state::{assert_granted, owned, text};

const ADDED: &str = "Security key \"Blue\" was added on 2026-11-26 by root.";
const REMOVED: &str = "Security key \"Blue\" was removed on 2026-11-26 by root.";
const CUE: &str = "Touch your security key (fidokey-test).";

/// Announces a change as the command does.
#[track_caller]
pub(crate) fn announce(stage: &Stage, what: Changed) {
    try_to_announce(stage, what).unwrap();
}

fn try_to_announce(stage: &Stage, what: Changed) -> Result<(), FileError> {
    let root = stage.directory.clone();
    let owner = nix::unistd::geteuid().as_raw();
    let places = Places { root, owner, ..Places::system() };
    let change = Change { what, key: "Blue", when: "2026-11-26T11:00:00Z", by: "root" };
    places.announce(&account(), &change)
}

/// A stage whose account has no key, and whose application is the owner of its files.
fn without_a_key() -> Stage {
    let mut stage = Stage::bare();
    stage.as_owner = true;
    stage
}

fn has_notice(stage: &Stage) -> bool {
    State::parse(text(stage).as_bytes()).unwrap().take_notice().is_some()
}

/// How often something of a change was told.
fn told(outcomes: &[Outcome]) -> usize {
    let shown = outcomes.iter().flat_map(Outcome::shown);
    let is =
        |text: &&str| [ADDED, REMOVED].contains(text) || text.starts_with("Your security keys");
    shown.filter(is).count()
}

#[test]
fn given_a_change_then_the_next_login_tells_it_once() {
    let (stage, _key) = owned(&EmulatedKey::new(1401));
    announce(&stage, Changed::Registered);
    let outcome = stage.run(&["authenticate"]);
    assert_granted(&outcome, None);
    assert_eq!(outcome.shown(), [CUE, ADDED]);
    assert_eq!(outcome.log().get("keys"), Some("1"));
    let outcome = stage.run(&["authenticate"]);
    assert_eq!(outcome.shown(), [CUE]);
    announce(&stage, Changed::Registered);
    announce(&stage, Changed::Removed);
    let told =
        "Your security keys were changed 2 times, last on 2026-11-26 by root; see `fidokey list`.";
    assert_eq!(stage.run(&["authenticate"]).shown(), [CUE, told]);
}

/// BAR S12: it goes along with what is read and written of the state in any case.
#[test]
fn given_a_change_then_the_login_that_tells_it_makes_no_system_call_more() {
    let (stage, _key) = owned(&EmulatedKey::new(1402));
    stage.run(&["authenticate"]);
    let mut counts = Vec::new();
    for change in [false, true, false] {
        if change {
            announce(&stage, Changed::Registered);
        }
        let (outcome, calls) = stage.traced(&[], &["authenticate"]);
        assert_eq!(outcome.shown().len(), if change { 2 } else { 1 });
        let states = stage.directory.join("var/lib/fidokey");
        let states = states.to_str().unwrap();
        let ours = calls.iter().filter(|call| call.inside && call.text.contains(states));
        // A short read more or less, or a look at a descriptor, is none of it.
        let names = ["openat", "fsync", "rename", "flock", "unlink"];
        counts
            .push(ours.filter(|call| names.iter().any(|name| call.name.starts_with(name))).count());
    }
    assert!(counts[0] > 4 && counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

#[test]
fn given_the_last_key_was_removed_then_the_login_that_is_exempt_tells_it_once() {
    let stage = without_a_key();
    announce(&stage, Changed::Removed);
    let outcome = stage.run(&["authenticate"]);
    assert_eq!((outcome.log().get("code"), outcome.shown()), (Some("25"), vec![REMOVED]));
    let outcome = stage.run(&["authenticate"]);
    assert_eq!((outcome.log().get("code"), outcome.shown()), (Some("25"), vec![]));
}

/// An account that never had a key: no file is made, and what is looked for is not there.
#[test]
fn given_an_account_that_never_had_a_state_then_its_login_opens_one_file_more_and_makes_none() {
    let stage = without_a_key();
    let (outcome, calls) = stage.traced(&["-e", "trace=faccessat,openat"], &["authenticate"]);
    assert_eq!(outcome.log().get("code"), Some("25"));
    let states = stage.directory.join("var/lib/fidokey");
    assert_eq!(fs::read_dir(&states).unwrap().count(), 0);
    let state = stage.state_path();
    let opened = |path: &std::path::Path| {
        let path = path.to_str().unwrap();
        calls.iter().filter(|call| call.inside && call.path().as_deref() == Some(path)).count()
    };
    assert_eq!((opened(&states), opened(&state)), (1, 1));
}

/// A host that is not root, as a screen locker: the change is told by another one.
#[test]
fn given_a_host_that_is_not_root_then_it_tells_nothing_and_forgets_nothing() {
    if !nix::unistd::geteuid().is_root() {
        println!("not run by root: nothing to be seen");
        return;
    }
    for enrolled in [true, false] {
        let (mut stage, _key) = match enrolled {
            true => {
                let (stage, key) = owned(&EmulatedKey::new(1403));
                (stage, Some(key))
            }
            false => (without_a_key(), None),
        };
        announce(&stage, Changed::Registered);
        stage.as_owner = false;
        let outcome = stage.run(&["authenticate"]);
        assert_eq!(outcome.log().get("code"), Some(if enrolled { "0" } else { "25" }));
        assert_eq!(told(&[outcome]), 0);
        assert!(has_notice(&stage));
    }
}

/// Denied: by a record that is none. And no conversation, by which nothing can be told: the code is as it was.
#[test]
fn given_a_denial_or_no_conversation_then_it_is_told_at_the_next_login() {
    let stage = without_a_key();
    announce(&stage, Changed::Removed);
    stage.record("schema = 9\n");
    let outcome = stage.run(&["authenticate"]);
    assert_eq!((outcome.log().get("code"), told(&[outcome])), (Some("7"), 0));
    fs::remove_file(stage.record_path()).unwrap();
    for kind in ["conv:error", "conv:none", "conv:again"] {
        let outcome = stage.run(&[kind, "authenticate"]);
        assert_eq!(outcome.log().get("code"), Some("25"), "{kind}");
        assert!(has_notice(&stage), "{kind}");
    }
    assert_eq!(stage.run(&["authenticate"]).shown(), [REMOVED]);
    assert!(!has_notice(&stage));
}

/// A state that cannot be written, or is not root's alone.
#[test]
fn given_a_state_that_cannot_be_written_then_told_again_and_an_unsafe_one_is_left_alone() {
    let (stage, _key) = owned(&EmulatedKey::new(1404));
    announce(&stage, Changed::Registered);
    for _ in 0..2 {
        let outcome = stage.run(&["limit:FSIZE=0", "authenticate", "unlimit"]);
        assert_granted(&outcome, Some("limited"));
        assert_eq!(outcome.shown(), [CUE, ADDED]);
    }
    fs::set_permissions(stage.state_path(), Permissions::from_mode(0o644)).unwrap();
    let outcome = stage.run(&["authenticate"]);
    assert_granted(&outcome, Some("unsafe"));
    assert_eq!(outcome.shown(), [CUE]);
    fs::remove_file(stage.record_path()).unwrap();
    let outcome = stage.run(&["authenticate"]);
    assert_eq!((outcome.log().get("code"), outcome.shown()), (Some("25"), vec![]));
    fs::set_permissions(stage.state_path(), Permissions::from_mode(0o600)).unwrap();
    let outcome = stage.run(&["limit:FSIZE=0", "authenticate", "unlimit"]);
    assert_eq!(outcome.shown(), [ADDED]);
    assert_eq!(
        (outcome.log().get("code"), outcome.log().get("state")),
        (Some("25"), Some("limited"))
    );
    assert_eq!(stage.run(&["authenticate"]).shown(), [ADDED]);
    assert_eq!(stage.run(&["authenticate"]).shown(), Vec::<&str>::new());
}

/// Many at once, of which each is held up by none: one of them tells it, or, where one had no lock in time, more.
#[test]
fn given_many_logins_at_once_then_it_is_told_at_least_once_and_once_by_each_at_the_most() {
    let stage = without_a_key();
    announce(&stage, Changed::Removed);
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let logins: Vec<_> =
            (0..40).map(|_| scope.spawn(|| stage.run(&["authenticate"]))).collect();
        logins.into_iter().map(|login| login.join().unwrap()).collect()
    });
    for outcome in &outcomes {
        assert_eq!(outcome.log().get("code"), Some("25"), "{:?}", outcome.report);
        assert!(outcome.shown().len() <= 1, "{:?}", outcome.report);
    }
    // Who could not write it has said so.
    let unwritten = outcomes.iter().filter(|one| one.log().get("state").is_some()).count();
    let told = told(&outcomes);
    assert!(told == 1 || (1..=1 + unwritten).contains(&told), "{told} {unwritten}");
    assert!(!has_notice(&stage) || told == unwritten);
}

/// Changes while logins go on: each change is told, and the counter is that of the last login.
#[test]
fn given_changes_while_logins_go_on_then_neither_a_counter_nor_a_change_is_lost() {
    const CHANGES: u32 = 20;
    let (stage, _key) = owned(&EmulatedKey::new(1405));
    let done = AtomicBool::new(false);
    let (stage, done) = (&stage, &done);
    let changes = std::thread::scope(|scope| {
        let logins = scope.spawn(move || {
            let mut outcomes = Vec::new();
            while !done.load(Ordering::Relaxed) {
                outcomes.push(stage.run(&["authenticate"]));
            }
            outcomes.push(stage.run(&["authenticate"]));
            outcomes
        });
        for _ in 0..CHANGES {
            announce(stage, Changed::Registered);
            std::thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
        let outcomes = logins.join().unwrap();
        let number = |text: &str| match text.strip_prefix("Your security keys were changed ") {
            Some(rest) => rest.split(' ').next().unwrap().parse().unwrap(),
            None => u32::from(text == ADDED),
        };
        for outcome in &outcomes {
            // None finds a counter that went back.
            assert_eq!(outcome.code("authenticate"), 0, "{:?}", outcome.report);
            assert!([None, Some("new")].contains(&outcome.log().get("state")));
        }
        outcomes.iter().flat_map(Outcome::shown).map(number).sum::<u32>()
    });
    assert_eq!(changes, CHANGES);
    assert!(!has_notice(stage));
    let text = text(stage);
    assert_eq!(text.matches("[[credential]]").count(), 1);
    assert!(!text.contains("counter = 0\n"));
}

/// As a login replaces what is no state, so does the command; what others could have written is left as it is.
#[test]
fn given_a_state_in_doubt_then_a_change_is_put_down_in_a_new_one_or_refused() {
    let stage = without_a_key();
    for broken in ["", "x", "schema = 2\n", "schema = 1\nuser = \"daemon\"\n"] {
        fs::write(stage.state_path(), broken).unwrap();
        fs::set_permissions(stage.state_path(), Permissions::from_mode(0o600)).unwrap();
        announce(&stage, Changed::Removed);
        assert_eq!(stage.run(&["authenticate"]).shown(), [REMOVED], "{broken}");
    }
    fs::set_permissions(stage.state_path(), Permissions::from_mode(0o644)).unwrap();
    let before = fs::read_to_string(stage.state_path()).unwrap();
    let refused = try_to_announce(&stage, Changed::Removed);
    assert_eq!(refused.map_err(|error| error.reason), Err("mode"));
    assert_eq!(fs::read_to_string(stage.state_path()).unwrap(), before);
}
