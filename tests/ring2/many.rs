//! What many logins in one process leave behind.

use std::fs;
use std::os::fd::AsFd as _;

use fidokey_tests::key::EmulatedKey;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::run::Outcome;
use crate::stage::Stage;
use crate::state::owned;

/// The rounds, in which everything that is made once is made.
const FIRST: usize = 5;
const ROUNDS: usize = 250;

/// BAR Q10: two thousand logins in one process, that are granted with a PIN and without, denied and exempt, leave
/// nothing behind: after each of the rounds but the first ones the process has the same number of descriptors, mappings,
/// threads and blocks in use, and these have as many bytes.
#[test]
fn given_two_thousand_logins_in_one_process_then_nothing_is_left_of_them() {
    let (granted, _key) = owned(&EmulatedKey::new(193));
    let (mut with_pin, _other) = owned(&EmulatedKey::new(194).with_pin("1234"));
    with_pin.arguments(&["verification=required"]);
    let exempt = Stage::bare();
    let (broken, _third) = owned(&EmulatedKey::new(195));
    broken.record("schema = 9\n");
    let (mut without_key, _fourth) = owned(&EmulatedKey::new(196));
    without_key.forget_key();
    without_key.config("schema = 1\n[default]\nmode = \"second-factor\"\nwait_for_key = \"0s\"\n");

    let services = [
        ("granted", &granted, 0),
        ("with-pin", &with_pin, 0),
        ("exempt", &exempt, 6),
        ("broken", &broken, 7),
        ("without-key", &without_key, 7),
    ];
    for (name, stage, _) in services {
        // All of them in the directory of the first one.
        let line = stage.line("required") + "\n";
        fs::write(granted.directory.join("pam.d").join(name), line).unwrap();
        if let Some(key) = &stage.key {
            fcntl(key.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        }
    }
    let order = "granted,exempt,broken,granted,exempt,with-pin,without-key,exempt";
    let many = format!("many:{ROUNDS}={order}");
    let words = ["conv:answers=Security key PIN: =1234", &many];
    let outcome = granted.application().without_log().run(&words);
    for (name, _, code) in services {
        let counted =
            outcome.report.iter().filter(|line| line.starts_with(&format!("many {name} ")));
        let counted: Vec<&String> = counted.collect();
        assert_eq!(counted.len(), order.split(',').filter(|one| *one == name).count(), "{name}");
        assert!(counted.iter().all(|line| **line == format!("many {name} {code}x{ROUNDS}")));
    }
    assert!(last_change(&outcome) < FIRST, "{:#?}", outcome.report);
}

/// The last round after which the process had something else than before.
fn last_change(outcome: &Outcome) -> usize {
    let mut has = outcome.report.iter().filter_map(|line| line.strip_prefix("has "));
    let has = has.next_back().unwrap();
    println!("{has}");
    has.split(' ').next().unwrap().parse().unwrap()
}

/// For BAR Q10: one block is seen. It is the program's own, which makes an answer and does not hand it over.
#[test]
fn given_something_that_is_not_freed_then_it_shows_in_every_round() {
    let (stage, _key) = owned(&EmulatedKey::new(197));
    let outcome = stage.application().without_log().run(&["conv:error", "many:10=fidokey-test"]);
    assert_eq!(last_change(&outcome), 9, "{:#?}", outcome.report);
}
