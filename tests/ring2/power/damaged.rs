//! An edit that waits, where the journal or a text that is kept is damaged: nothing is done by it, and whoever looks is told.

use std::fs;
use std::os::unix::fs::symlink;

use crate::power::disk::{Content, KEPT, STACKS};
use crate::power::machine::{SERVICES, debian};
use crate::power::waiting::{JOURNAL, REVERT, assert_said, in_kept, tried, with_stacks};
use crate::power::{BOOT, after, assert_old, enable, words};

/// BAR I4: nothing is done by a journal that is not one, within or outside of the stacks; whoever sees it is told which
/// file it is. To disable is possible all the same.
#[test]
fn given_a_journal_that_is_damaged_or_points_elsewhere_then_nothing_is_touched_and_it_is_said() {
    let (machine, tried) = tried();
    let good = String::from_utf8(tried.kept(JOURNAL).unwrap().text.clone()).unwrap();
    // What would be taken for what was written, and for the text before.
    let stack = String::from_utf8(tried.stack("sudo").unwrap().text.clone()).unwrap();
    for (name, text) in [("etc/outside", &*stack), ("var/outside", &*stack)] {
        machine.file(name, text, 0o644);
    }
    let named = |name: &str| good.replace("service = \"sudo\"", &format!("service = \"{name}\""));
    for (text, mode) in [
        ("", 0o600),
        ("\0\0\0\0", 0o600),
        ("\u{1b}[2J", 0o600),
        (&good[..good.len() / 2], 0o600),
        (&good.replace("schema = 1", "schema = 2"), 0o600),
        (&named("../outside"), 0o600),
        (&named("/etc/outside"), 0o600),
        (&named(".sudo"), 0o600),
        (&named(""), 0o600),
        (&good, 0o644),
        (&"#".repeat(70_000), 0o600),
    ] {
        let mut disk = tried.clone();
        disk.put(in_kept(JOURNAL), Content::new(text, mode));
        for verb in [&BOOT[..], &REVERT] {
            disk.write(&machine.root);
            assert_said(&machine.run(verb), 5, &["/var/lib/fidokey-stacks/pending.toml"]);
            assert_eq!(machine.disk(), disk);
        }
        // Another edit would overwrite what it may wait for.
        let disabled = after(&machine, &disk, &words("disable", &SERVICES, &[]));
        assert_eq!(disabled.stacks(), debian().stacks());
        assert_eq!(disabled.kept(JOURNAL), disk.kept(JOURNAL));
        assert_eq!(disabled.kept("stacks/sudo"), disk.kept("stacks/sudo"));
        assert_said(&machine.run(&enable()), 5, &["/var/lib/fidokey-stacks/pending.toml"]);
        assert_eq!(machine.disk(), disabled);
    }
    for name in ["etc/outside", "var/outside"] {
        assert_eq!(fs::read_to_string(machine.root.join(name)).unwrap(), stack);
    }

    // One that leads elsewhere.
    let mut disk = tried.clone();
    disk.0.remove(&in_kept(JOURNAL));
    disk.write(&machine.root);
    machine.file("var/elsewhere", &good, 0o600);
    symlink("/var/elsewhere", machine.root.join(KEPT).join(JOURNAL)).unwrap();
    assert_said(&machine.run(&BOOT), 5, &["pending.toml: it is a symbolic link"]);
    let stack = fs::read(machine.root.join(STACKS).join("sudo")).unwrap();
    assert_eq!(stack, tried.stack("sudo").unwrap().text);
}

/// BAR I4: a text that is not the one before is put nowhere. That it could not be undone is said at every start, until the
/// line is taken out.
#[test]
fn given_a_kept_text_that_is_damaged_then_it_is_not_put_back_and_said() {
    let (machine, tried) = tried();
    let kept = tried.kept("stacks/sudo").unwrap().clone();
    let half = Content { text: kept.text[..kept.text.len() / 2].to_vec(), ..kept.clone() };
    let other = Content { text: b"auth sufficient pam_permit.so\n".to_vec(), ..kept.clone() };
    for damaged in [
        None,
        Some(Content::new("", 0o600)),
        Some(half),
        Some(other),
        Some(Content { mode: 0o666, ..kept }),
    ] {
        let mut disk = tried.clone();
        match damaged {
            Some(content) => disk.put(in_kept("stacks/sudo"), content),
            None => assert!(disk.0.remove(&in_kept("stacks/sudo")).is_some()),
        }
        disk.write(&machine.root);
        for _ in 0..2 {
            machine.boot();
            let output = machine.run(&BOOT);
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let told = String::from_utf8(output.stderr).unwrap();
            assert!(told.contains("The text that sudo had before is not what was kept"), "{told}");
            assert!(told.contains("Take our line out: `fidokey disable sudo`."), "{told}");
            // The others are undone.
            let end = with_stacks(&debian(), &["sudo"], &tried);
            assert_eq!(machine.disk().stacks(), end.stacks());
            assert!(machine.disk().kept(JOURNAL).is_some());
        }
        machine.done(&["disable", "sudo"]);
        assert_old(&machine.disk(), &debian(), &disk);
    }

    // All of them.
    let mut disk = tried.clone();
    disk.0.retain(|name, _| !name.starts_with(in_kept("stacks")));
    let end = with_stacks(&tried, &["polkit-1"], &debian());
    disk.write(&machine.root);
    let output = machine.run(&BOOT);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("Take our line out: `fidokey disable login`."), "{told}");
    assert_eq!(machine.disk().stacks(), end.stacks());
}
