//! The power goes, or the command is killed, at every step of `fidokey enable`, `disable` and `revert`, and of what changes
//! a record (`records`). What is there then is
//! made, for every disk that can be left, and the built command goes on from it as the next start of the machine would.
//!
//! `model` says what a disk may lose; `calls` sees the steps, `machine` is where they are made. What becomes of an edit that
//! waits without any of that is in `waiting` and `damaged`.

mod calls;
mod damaged;
mod disk;
mod lost;
mod machine;
mod model;
mod records;
mod steps;
mod waiting;

use std::collections::BTreeSet;

use nix::errno::Errno;

use crate::stepping::Next;

use self::disk::{Disk, KEPT, STACKS};
use self::machine::{Machine, SERVICES, debian};
use self::model::{Op, cuts};

const BOOT: [&str; 2] = ["revert", "--boot"];

/// The command, with the services behind the verb.
fn words<'w>(verb: &'w str, services: &[&'w str], options: &[&'w str]) -> Vec<&'w str> {
    [&[verb], services, options].concat()
}

fn enable() -> Vec<&'static str> {
    words("enable", &SERVICES, &["--force"])
}

fn trial() -> Vec<&'static str> {
    words("enable", &SERVICES, &["--force", "--try", "5m"])
}

/// The disk after `words`.
#[track_caller]
fn after(machine: &Machine, disk: &Disk, words: &[&str]) -> Disk {
    disk.write(&machine.root);
    machine.done(words);
    machine.disk()
}

/// Each stack is that of one of the two, byte for byte and with its mode; beside them is nothing that could be taken for
/// one.
#[track_caller]
fn assert_whole(disk: &Disk, old: &Disk, new: &Disk) {
    let (now, old, new) = (disk.stacks(), old.stacks(), new.stacks());
    for name in now.keys().chain(old.keys()).chain(new.keys()) {
        let now = now.get(name);
        assert!(now == old.get(name) || now == new.get(name), "{}: {disk:#?}", name.display());
    }
}

/// Nothing waits, and the stacks are the old ones.
#[track_caller]
fn assert_old(disk: &Disk, old: &Disk, of: &Disk) {
    assert_eq!(disk.stacks(), old.stacks(), "of {of:#?}");
    assert_eq!(disk.kept("pending.toml"), None, "of {of:#?}");
}

/// Starts the machine with each of these disks: what waits is undone, and then nothing changes any more. So it is with the
/// disks that are left where the power goes meanwhile, however often. The number of all of them.
fn assert_undone(machine: &Machine, disks: BTreeSet<Disk>, old: &Disk, new: &Disk) -> usize {
    undo(machine, disks, old, new, true)
}

fn undo(machine: &Machine, disks: BTreeSet<Disk>, old: &Disk, new: &Disk, cut: bool) -> usize {
    let mut waiting: Vec<Disk> = disks.iter().cloned().collect();
    let (mut seen, mut ends) = (disks, BTreeSet::new());
    while let Some(disk) = waiting.pop() {
        assert_whole(&disk, old, new);
        disk.write(&machine.root);
        machine.boot();
        let ops = machine.steps(&BOOT);
        let end = machine.disk();
        assert_old(&end, old, &disk);
        if ends.insert(end.clone()) {
            machine.done(&BOOT);
            assert_eq!(machine.disk(), end, "of {disk:#?}");
        }
        if !cut {
            continue;
        }
        for left in cuts(&disk, &ops) {
            if seen.insert(left.clone()) {
                waiting.push(left);
            }
        }
    }
    seen.len()
}

/// The disks that an edit can begin with: one without a trace of us, and one where each stack was edited before, so that
/// its text of another time is kept.
fn beginnings(machine: &Machine) -> [Disk; 2] {
    let enabled = after(machine, &debian(), &enable());
    [debian(), after(machine, &enabled, &words("disable", &SERVICES, &[]))]
}

/// BAR I3: enable and disable, without --try. The next start of the machine undoes neither.
#[test]
fn given_a_power_cut_at_any_step_of_enable_or_disable_then_each_stack_is_the_old_or_the_new() {
    let machine = Machine::new();
    for begin in beginnings(&machine) {
        begin.write(&machine.root);
        let ops = machine.steps(&enable());
        let new = machine.disk();
        for service in SERVICES {
            let text = String::from_utf8(new.stack(service).unwrap().text.clone()).unwrap();
            assert_eq!(text.matches("pam_fidokey.so").count(), 1, "{text}");
        }
        let mut disks = cuts(&begin, &ops);
        let enabled = disks.len();
        let ops = machine.steps(&words("disable", &SERVICES, &[]));
        assert_eq!(machine.disk().stacks(), begin.stacks());
        disks.extend(cuts(&new, &ops));
        // Some of them are neither: the power went between two services.
        let between = |disk: &&Disk| {
            disk.stack("sudo") == new.stack("sudo") && disk.stack("login") == begin.stack("login")
        };
        assert!(disks.iter().filter(between).count() > 2);
        println!("{enabled} disks of enable, {} with those of disable", disks.len());
        for disk in disks {
            assert_whole(&disk, &begin, &new);
            disk.write(&machine.root);
            machine.boot();
            machine.done(&BOOT);
            assert_eq!(machine.disk().stacks(), disk.stacks());
        }
    }
}

/// BAR I3, I4.
#[test]
fn given_a_power_cut_at_any_step_of_a_trial_then_it_is_gone_after_the_start() {
    let machine = Machine::new();
    for begin in beginnings(&machine) {
        begin.write(&machine.root);
        let ops = machine.steps(&trial());
        let new = machine.disk();
        let disks = cuts(&begin, &ops);
        assert!(disks.contains(&begin) && disks.contains(&new));
        let count = disks.len();
        let all = assert_undone(&machine, disks, &begin, &new);
        println!("{count} disks of a trial, {all} with those of undoing it");
    }
}

/// BAR I3, I4: some of what waits is disabled, or all of it.
#[test]
fn given_a_power_cut_while_what_waits_is_disabled_then_all_of_it_is_gone_after_the_start() {
    let machine = Machine::new();
    let tried = after(&machine, &debian(), &trial());
    for services in [&SERVICES[..], &["login"], &["polkit-1"], &["polkit-1", "sudo"]] {
        tried.write(&machine.root);
        let ops = machine.steps(&words("disable", services, &[]));
        let disks = cuts(&tried, &ops);
        let count = disks.len();
        let all = assert_undone(&machine, disks, &debian(), &tried);
        println!("{count} disks of disabling {services:?}, {all} with those of undoing the rest");
    }
}

/// BAR I3, I4: killed before each step that changes something; then the machine goes on, what waits is undone, and in the
/// middle of that the power goes. What the killed one has not synchronised is not on the disk by then.
#[test]
fn given_a_command_that_is_killed_and_a_power_cut_then_what_waited_is_gone_after_the_start() {
    let machine = Machine::new();
    let tried = after(&machine, &debian(), &trial());
    let disable = words("disable", &SERVICES, &[]);
    for (begin, words) in [(&debian(), trial()), (&tried, disable), (&tried, BOOT.to_vec())] {
        let mut disks = BTreeSet::new();
        for at in 0.. {
            begin.write(&machine.root);
            let mut ops = machine.killed(&words, at);
            let is_end = ops.len() < at;
            assert_whole(&machine.disk(), &debian(), &tried);
            // The lock of the one that was killed is free.
            ops.extend(machine.steps(&BOOT));
            assert_old(&machine.disk(), &debian(), begin);
            ops.iter_mut().for_each(Op::forget_deadline);
            let left = cuts(begin, &ops);
            left.iter().for_each(|disk| assert_whole(disk, &debian(), &tried));
            disks.extend(left);
            if is_end {
                assert!(at > 10, "{at}");
                break;
            }
        }
        let count = undo(&machine, disks, &debian(), &tried, false);
        println!("{words:?}: {count} disks");
    }
}

/// BAR I3: killed before each step, without --try; whoever runs it again comes to its end, and the power may go then.
#[test]
fn given_a_command_that_is_killed_then_each_stack_is_whole_and_it_can_be_run_again() {
    let machine = Machine::new();
    let enabled = after(&machine, &debian(), &enable());
    let disable = words("disable", &SERVICES, &[]);
    for (begin, words, end) in [(&debian(), enable(), &enabled), (&enabled, disable, &debian())] {
        for at in 0.. {
            begin.write(&machine.root);
            let mut ops = machine.killed(&words, at);
            let is_end = ops.len() < at;
            assert_whole(&machine.disk(), begin, end);
            ops.extend(machine.steps(&words));
            assert_eq!(machine.disk().stacks(), end.stacks());
            cuts(begin, &ops).iter().for_each(|disk| assert_whole(disk, begin, end));
            if is_end {
                assert!(at > 10, "{at}");
                break;
            }
        }
    }
}

/// What a disk refuses.
#[derive(Clone, Copy, PartialEq)]
enum Fails {
    /// One step.
    Once,
    /// From there on each step in that directory, which can be a disk of its own; or in both.
    In(&'static str),
    /// From there on to synchronise that directory.
    Synchronising(&'static str),
}

impl Fails {
    const ALL: [Self; 6] = [
        Self::Once,
        Self::In(""),
        Self::In(STACKS),
        Self::In(KEPT),
        Self::Synchronising(STACKS),
        Self::Synchronising(KEPT),
    ];

    /// Whether the step of this number is refused, where it begins at another one.
    fn at(self, begin: usize, number: usize, op: &Op) -> bool {
        match self {
            Self::Once => number == begin,
            Self::In(directory) => number >= begin && op.path().starts_with(directory),
            Self::Synchronising(directory) => {
                number >= begin && *op == Op::Sync { path: directory.into() }
            }
        }
    }
}

/// BAR I3, I4: the disk refuses a step, or those that follow as well, in one directory or in both. Each stack is whole; what
/// was not put back at once is undone at the next start, if the power goes as well.
#[test]
fn given_a_disk_that_fails_then_each_stack_is_whole_and_a_trial_is_gone_after_the_start() {
    let machine = Machine::new();
    let tried = after(&machine, &debian(), &trial());
    let disable = words("disable", &SERVICES, &[]);
    let mut disks = BTreeSet::new();
    let (mut failed, mut waiting) = (0, 0);
    for (begin, words) in [(&debian(), trial()), (&tried, disable), (&tried, BOOT.to_vec())] {
        begin.write(&machine.root);
        for (at, first) in machine.steps(&words).iter().enumerate() {
            // Otherwise it would be the same as from the next step on.
            for fails in Fails::ALL.into_iter().filter(|fails| fails.at(at, at, first)) {
                begin.write(&machine.root);
                let fails_at = |number, op: &Op| fails.at(at, number, op);
                let (mut ops, status) =
                    machine.stepped(&words, |number, op| match fails_at(number, op) {
                        true => Next::Refuse(Errno::EIO),
                        false => Next::Make,
                    });
                failed += usize::from(!status.success());
                if fails == Fails::Once && begin == &debian() && !status.success() {
                    // All of it is put back at once.
                    assert_old(&machine.disk(), begin, begin);
                }
                waiting += usize::from(machine.disk().stacks() != debian().stacks());
                ops.iter_mut().for_each(Op::forget_deadline);
                disks.extend(cuts(begin, &ops));
            }
        }
    }
    // The power does not go a second time: the disks would be those of the other tests.
    let count = undo(&machine, disks, &debian(), &tried, false);
    println!("{failed} have failed, {waiting} with something to undo: {count} disks");
    assert!(failed > 20 && waiting > 5);
}
