//! That the model loses what a disk can lose.

use std::collections::BTreeSet;

use crate::power::disk::{Content, Disk};
use crate::power::model::{Model, Op, after, cuts};

fn write(path: &str, text: &str) -> Op {
    Op::Write { path: path.into(), bytes: text.into() }
}

fn rename(from: &str, to: &str) -> Op {
    Op::Rename { from: from.into(), to: to.into() }
}

fn sync(path: &str) -> Op {
    Op::Sync { path: path.into() }
}

/// The texts that a file can have after a power cut at any step; `None` where it can be missing.
fn texts(disk: &Disk, ops: &[Op], path: &str) -> BTreeSet<Option<String>> {
    let text =
        |disk: &Disk| disk.file(path).map(|file| String::from_utf8(file.text.clone()).unwrap());
    cuts(disk, ops).iter().map(text).collect()
}

/// BAR I3: that the tests could see what a step too few leaves.
#[test]
fn given_a_step_that_is_left_out_then_what_it_is_for_is_lost_on_some_disk() {
    let some = |text: &str| Some(text.to_owned());
    let (new, old) = ("etc/pam.d/.new", "etc/pam.d/sudo");
    let mut disk = Disk::default();
    disk.put(old, Content::new("old", 0o644));
    let all = [
        Op::Create { path: new.into(), mode: 0o600 },
        write(new, "news"),
        Op::Mode { path: new.into(), mode: 0o644 },
        sync(new),
        rename(new, old),
        sync("etc/pam.d"),
    ];
    assert_eq!(texts(&disk, &all, old), [some("old"), some("news")].into());
    assert_eq!(texts(&disk, &all, new), [None, some(""), some("ne"), some("news")].into());
    assert_eq!(Model::new(&after(&disk, &all)).cut(), [after(&disk, &all)]);

    let unwritten = [&all[..3], &all[4..]].concat();
    let lost = [some("old"), some(""), some("ne"), some("news")];
    assert_eq!(texts(&disk, &unwritten, old), lost.clone().into());
    // In place.
    let in_place = [Op::Truncate { path: old.into() }, write(old, "news")];
    assert_eq!(texts(&disk, &in_place, old), lost.into());

    // What was not synchronised can be lost after another directory's steps were kept.
    let journal = "var/lib/fidokey-stacks/pending.toml";
    disk.put(journal, Content::new("journal", 0o600));
    let removed = [Op::Unlink { path: journal.into() }, sync("var/lib/fidokey-stacks")];
    let both = |ops: &[Op]| {
        let disks = cuts(&disk, &[ops, &removed].concat());
        disks
            .iter()
            .any(|disk| disk.file(journal).is_none() && disk.file(old).unwrap().text == b"old")
    };
    assert!(both(&all[..5]) && !both(&all));
}
