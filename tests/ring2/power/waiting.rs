//! What becomes of an edit that waits: it is confirmed, its time is over, or somebody else edits meanwhile. What becomes of
//! it where the journal or a kept text is not what it was is in `damaged`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::power::disk::{Content, Disk, KEPT, STACKS, STATES};
use crate::power::machine::{Machine, POLKIT, SERVICES, debian};
use crate::power::model::{Op, cuts};
use crate::power::{BOOT, after, assert_old, assert_undone, enable, trial};

pub(crate) const REVERT: [&str; 1] = ["revert"];
pub(crate) const JOURNAL: &str = "pending.toml";

/// The state of an account whose one key was last used for `service`.
fn state(user: &str, counter: u32, service: &str) -> Content {
    let hash = "A".repeat(43);
    let text = format!(
        "schema = 1\nuser = \"{user}\"\n\n[[credential]]\nid_hash = \"{hash}\"\n\
         added = 2026-11-23T10:00:00Z\ncounter = {counter}\nlast_used = 2026-11-24T08:00:00Z\n\
         last_service = \"{service}\"\n"
    );
    Content::new(&text, 0o600)
}

pub(crate) fn in_states(name: &str) -> PathBuf {
    Path::new(STATES).join(name)
}

pub(crate) fn in_kept(name: &str) -> PathBuf {
    Path::new(KEPT).join(name)
}

/// A machine with a trial of all services, before which alice had logged in by sudo, and the disk of that.
pub(crate) fn tried() -> (Machine, Disk) {
    let machine = Machine::new();
    let mut disk = debian();
    disk.put(in_states("1000.toml"), state("alice", 7, "sudo"));
    let disk = after(&machine, &disk, &trial());
    (machine, disk)
}

/// `disk` with the stacks of these services as another one has them.
pub(crate) fn with_stacks(disk: &Disk, services: &[&str], of: &Disk) -> Disk {
    let mut disk = disk.clone();
    for service in services {
        let path = Path::new(STACKS).join(service);
        match of.0.get(&path) {
            Some(node) => disk.0.insert(path, node.clone()),
            None => disk.0.remove(&path),
        };
    }
    disk
}

/// `disk` with a journal whose time is over.
fn over(disk: &Disk) -> Disk {
    let journal = String::from_utf8(disk.kept(JOURNAL).unwrap().text.clone()).unwrap();
    let deadline = journal.lines().find(|line| line.starts_with("deadline = ")).unwrap();
    let mut over = disk.clone();
    over.put(in_kept(JOURNAL), Content::new(&journal.replace(deadline, "deadline = 0"), 0o600));
    over
}

/// An error of two lines for a person, and nothing else.
#[track_caller]
pub(crate) fn assert_said(output: &Output, code: i32, words: &[&str]) {
    let told = std::str::from_utf8(&output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert_eq!(output.stdout, b"", "{told}");
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(words.iter().all(|words| told.contains(words)), "{told}");
}

/// BAR I4: a login by it confirms a service, and no other; that is so however often the power goes while it is noticed, and
/// across a start at which it is noticed first.
#[test]
fn given_a_login_by_one_service_that_waits_then_that_one_stays_and_the_others_go() {
    let (machine, tried) = tried();
    for (name, state, stays) in [
        ("1000.toml", state("alice", 8, "sudo"), Some("sudo")),
        // A key that does not count, and was not used before.
        ("1001.toml", state("bob", 0, "login"), Some("login")),
        ("1001.toml", state("bob", 3, "polkit-1"), Some("polkit-1")),
        ("1000.toml", state("alice", 8, "su"), None),
        // The one that was known, anew.
        ("1000.toml", state("alice", 7, "sudo"), None),
        ("1000.toml", Content::new("", 0o600), None),
        ("1000.toml", Content { mode: 0o644, ..state("alice", 8, "sudo") }, None),
    ] {
        let mut disk = tried.clone();
        disk.put(in_states(name), state.clone());
        let end = with_stacks(&debian(), stays.as_slice(), &tried);
        disk.write(&machine.root);
        machine.in_boot(1);
        let ops = machine.steps(&REVERT);
        let noticed = machine.disk();
        assert_eq!(noticed.stacks(), tried.stacks());
        let journal = String::from_utf8(noticed.kept(JOURNAL).unwrap().text.clone()).unwrap();
        for service in SERVICES {
            let waits = journal.contains(&format!("service = \"{service}\""));
            assert_eq!(waits, stays != Some(service), "{journal}");
        }
        // The first of them is the one where nobody has looked.
        assert_undone(&machine, cuts(&disk, &ops), &end, &tried);
    }
}

/// BAR I4: the last one that waits is confirmed; the timer is stopped, and the next start undoes nothing.
#[test]
fn given_a_login_by_all_that_waits_then_all_of_it_stays() {
    let (machine, mut disk) = tried();
    for (uid, service) in [(1000, "sudo"), (1001, "login"), (1002, "polkit-1")] {
        disk.put(in_states(&format!("{uid}.toml")), state("somebody", 9, service));
    }
    disk.write(&machine.root);
    let asked = machine.asked(|| machine.done(&REVERT));
    assert_eq!(asked, ["--quiet --no-block stop fidokey-revert.timer"]);
    assert_old(&machine.disk(), &disk, &disk);
    machine.boot();
    machine.done(&BOOT);
    assert_old(&machine.disk(), &disk, &disk);
}

/// BAR I4: before its time is over nothing is undone, and nothing is written; then all of it is. After another start, which
/// had no unit that looks, the timer does the same.
#[test]
fn given_the_deadline_or_another_start_then_it_is_undone_and_not_before() {
    let (machine, tried) = tried();
    tried.write(&machine.root);
    assert_eq!(machine.asked(|| machine.done(&REVERT)), <[String; 0]>::default());
    assert_eq!(machine.disk(), tried);

    let over = over(&tried);
    over.write(&machine.root);
    let asked = machine.asked(|| machine.done(&REVERT));
    assert_eq!(asked, ["--quiet --no-block stop fidokey-revert.timer"]);
    assert_old(&machine.disk(), &debian(), &over);

    tried.write(&machine.root);
    machine.boot();
    machine.done(&REVERT);
    assert_old(&machine.disk(), &debian(), &tried);
}

/// BAR I4: one that was killed before there was a timer is in nobody's way for longer than its time.
#[test]
fn given_a_trial_that_waits_then_there_is_no_other_edit_until_it_is_over() {
    let machine = Machine::new();
    debian().write(&machine.root);
    let is_journal = |op: &Op| *op == Op::Sync { path: KEPT.into() };
    let last = machine.steps(&trial()).iter().rposition(is_journal).unwrap();
    debian().write(&machine.root);
    machine.killed(&trial(), last + 1);
    let killed = machine.disk();
    assert!(killed.kept(JOURNAL).is_some() && killed.stacks() == debian().stacks());
    assert_said(&machine.run(&enable()), 1, &["another edit waits", "`fidokey revert`"]);
    machine.done(&REVERT);
    assert_eq!(machine.disk(), killed);

    over(&killed).write(&machine.root);
    assert_said(&machine.run(&enable()), 1, &["another edit waits", "`fidokey revert`"]);
    machine.done(&REVERT);
    machine.done(&enable());
    assert_eq!(machine.disk().kept(JOURNAL), None);
}

/// BAR I4: what somebody else has written since is theirs, and the rest is undone.
#[test]
fn given_a_stack_that_was_changed_or_removed_meanwhile_then_it_is_left_alone_and_said() {
    let (machine, tried) = tried();
    for text in [None, Some("auth required pam_deny.so\n"), Some(POLKIT)] {
        for service in SERVICES {
            let mut disk = tried.clone();
            let path = Path::new(STACKS).join(service);
            match text {
                Some(text) => disk.put(path, Content::new(text, 0o644)),
                None => assert!(disk.0.remove(&path).is_some()),
            }
            disk.write(&machine.root);
            let output = machine.run(&BOOT);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let told = String::from_utf8(output.stderr).unwrap();
            // Where only the vendor's text is left, or the same, that is the one before.
            let is_undone = service == "polkit-1" && text != Some("auth required pam_deny.so\n");
            let what = if is_undone { "reverted" } else { "changed_since" };
            assert!(told.contains(&format!("{service}: {what}.")), "{told}");
            let end = with_stacks(&debian(), &[service], &disk);
            assert_old(&machine.disk(), &end, &disk);
        }
    }
}

/// BAR I4: somebody who has added something to the tried stack keeps that, and not the line that nobody has confirmed.
#[test]
fn given_something_beside_our_line_meanwhile_then_the_line_alone_is_taken_out() {
    let (machine, tried) = tried();
    let path = Path::new(STACKS).join("sudo");
    let text = |disk: &Disk| String::from_utf8(disk.stack("sudo").unwrap().text.clone()).unwrap();
    let mut disk = tried.clone();
    disk.put(path, Content::new(&format!("{}# by hand\n", text(&tried)), 0o644));
    disk.write(&machine.root);
    let output = machine.run(&BOOT);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("sudo: line_taken_out."), "{told}");
    assert_eq!(text(&machine.disk()), format!("{}# by hand\n", text(&debian())));
}

/// BAR I4: where nobody would undo it, it is not done.
#[test]
fn given_a_machine_where_nobody_would_undo_it_then_nothing_is_tried() {
    let machine = Machine::new();
    debian().write(&machine.root);
    let units = [
        "--quiet is-enabled fidokey-revert-boot.service",
        "--quiet start fidokey-revert.timer",
        "--quiet is-active fidokey-revert.timer",
    ];
    for (count, verb) in ["is-enabled", "start", "is-active"].into_iter().enumerate() {
        let refused = format!("run/no-{verb}");
        machine.file(&refused, "", 0o644);
        let asked = machine.asked(|| {
            assert_said(&machine.run(&trial()), 1, &["there is nobody who would undo it"]);
        });
        assert_eq!(asked, units[..=count]);
        assert_old(&machine.disk(), &debian(), &debian());
        fs::remove_file(machine.root.join(refused)).unwrap();
    }
    let asked = machine.asked(|| machine.done(&trial()));
    assert_eq!(asked, units);
    assert_ne!(machine.disk().stacks(), debian().stacks());

    debian().write(&machine.root);
    fs::remove_dir(machine.root.join("run/systemd/system")).unwrap();
    assert_said(&machine.run(&trial()), 1, &["--try needs systemd"]);
    assert_old(&machine.disk(), &debian(), &debian());
}
