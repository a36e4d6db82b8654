//! The power goes, or the command is killed, or the disk fails, at every step of what changes a record. A registration
//! writes by the very same steps (`registry::change`), for which there would have to be a key here.

use std::collections::BTreeSet;
use std::path::Path;

use fidokey_core::record::Record;
use nix::errno::Errno;

use crate::stepping::Next;

use super::disk::{Content, Disk, RECORDS};
use super::machine::{Machine, debian};
use super::model::cuts;

const NAME: &str = "1000.toml";

/// Each verb, and how many keys there are after it.
const VERBS: [(&[&str], usize); 4] = [
    (&["rename", "--user", "alice", "Blue", "White"], 2),
    (&["remove", "--user", "alice", "Blue"], 1),
    (&["remove", "--user", "alice", "--force", "709e80c8"], 1),
    (&["reset", "alice", "--force"], 0),
];

/// Two keys of alice's.
fn begin() -> Disk {
    let credential = |name: &str, id: &str| {
        format!(
            "\n[[credential]]\nname = \"{name}\"\nprotocol = \"fido2\"\nalgorithm = \"es256\"\n\
             rp_id = \"pam://fidokey\"\nid = \"{id}\"\npublic_key = \
             \"BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"\n\
             verification = \"none\"\nadded = 2026-11-23T10:00:00Z\nadded_by = \"root\"\n"
        )
    };
    let text = format!(
        "schema = 1\nuser = \"alice\"\nuid = 1000\n{}{}",
        credential("Blue", "AAAA"),
        credential("Green", "AAAB")
    );
    let mut disk = debian();
    disk.put(path(), Content::new(&text, 0o644));
    disk
}

fn path() -> std::path::PathBuf {
    Path::new(RECORDS).join(NAME)
}

/// How many keys the record on that disk has, which is a record or is not there.
#[track_caller]
fn keys(disk: &Disk) -> usize {
    let Some(file) = disk.file(path()) else { return 0 };
    assert_eq!(file.mode, 0o644);
    let record = Record::parse(&file.text).unwrap_or_else(|misfit| panic!("{misfit}: {disk:#?}"));
    record.credentials.len()
}

/// What is left beside the records is no record: no reader looks for it.
#[track_caller]
fn assert_whole(disk: &Disk, old: &Disk, new: &Disk) {
    let record = disk.file(path());
    assert!(record == old.file(path()) || record == new.file(path()), "{disk:#?}");
    for name in disk.0.keys().filter(|name| name.starts_with(RECORDS) && **name != path()) {
        assert!(name.file_name().unwrap().to_str().unwrap().starts_with('.'), "{disk:#?}");
    }
}

/// BAR E7.
#[test]
fn given_a_power_cut_at_any_step_then_the_record_is_the_old_or_the_new_and_can_be_changed() {
    let machine = Machine::new();
    for (words, left) in VERBS {
        begin().write(&machine.root);
        let ops = machine.steps(words);
        let new = machine.disk();
        assert_eq!(keys(&new), left, "{words:?}");
        let disks = cuts(&begin(), &ops);
        let whole: BTreeSet<_> = disks.iter().map(|disk| disk.file(path())).collect();
        assert_eq!(whole.len(), 2, "{words:?}");
        println!("{words:?}: {} disks", disks.len());
        for disk in &disks {
            assert_whole(disk, &begin(), &new);
            if disk.file(path()) == begin().file(path()) {
                // The lock and the half of a file that was left are in nobody's way.
                disk.write(&machine.root);
                machine.done(words);
                assert_eq!(machine.disk().file(path()), new.file(path()), "of {disk:#?}");
            }
        }
    }
}

/// BAR E7: what is killed holds nobody up, and is done by the next one.
#[test]
fn given_a_command_that_is_killed_then_the_record_is_whole_and_the_command_can_be_run_again() {
    let machine = Machine::new();
    for (words, _) in VERBS {
        begin().write(&machine.root);
        machine.done(words);
        let new = machine.disk();
        for at in 0.. {
            begin().write(&machine.root);
            let mut ops = machine.killed(words, at);
            let is_end = ops.len() < at;
            let killed = machine.disk();
            assert_whole(&killed, &begin(), &new);
            if killed.file(path()) == begin().file(path()) {
                ops.extend(machine.steps(words));
            }
            assert_eq!(machine.disk().file(path()), new.file(path()));
            cuts(&begin(), &ops).iter().for_each(|disk| assert_whole(disk, &begin(), &new));
            if is_end {
                assert!(at > 2, "{at}");
                break;
            }
        }
    }
}

/// BAR E7: what is said to have failed has left the old one, but for the very last step, after which nobody can tell.
#[test]
fn given_a_disk_that_fails_then_it_is_said_and_the_old_record_is_there() {
    let machine = Machine::new();
    for (words, left) in VERBS {
        begin().write(&machine.root);
        let ops = machine.steps(words);
        let new = machine.disk();
        let of_record = |op: &super::model::Op| op.path().starts_with(RECORDS);
        let mut refused = 0;
        for at in (0..ops.len()).filter(|at| of_record(&ops[*at])) {
            begin().write(&machine.root);
            let (_, status) = machine.stepped(words, |number, _| match number == at {
                true => Next::Refuse(Errno::EIO),
                false => Next::Make,
            });
            let disk = machine.disk();
            assert_whole(&disk, &begin(), &new);
            if !status.success() {
                refused += 1;
                let is_last = ops[at + 1..].iter().all(|op| !of_record(op));
                assert!(is_last || keys(&disk) == 2, "{words:?} {:?}: {disk:#?}", ops[at]);
            }
        }
        assert!(refused >= if left == 0 { 2 } else { 5 }, "{words:?}: {refused} of {ops:?}");
    }
}
