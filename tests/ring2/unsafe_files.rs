//! Records and directories that are not what they should be, each refused by name in the log. Calls that fail
//! are in `opens.rs`.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fidokey_tests::key::{EmulatedKey, KeyHandle};
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::unistd::mkfifo;

use crate::stage::{Stage, account};

/// What is on the way to the record, from the first directory that is looked at.
const WAY: [&str; 4] = ["", "etc", "etc/fidokey", "etc/fidokey/users"];

/// A stage with a record that would let in, and the text of it.
fn enrolled(seed: u64) -> (Stage, KeyHandle, String) {
    let (stage, key) = Stage::enrolled(&EmulatedKey::new(seed));
    let record = fs::read_to_string(stage.record_path()).unwrap();
    (stage, key, record)
}

/// Asserts that the login is denied because of what is at `path`. What is on the way to the policy, too, is an
/// error of the policy.
#[track_caller]
fn assert_refused(stage: &Stage, path: &Path, problem: &str) {
    let log = stage.run(&["authenticate"]).log();
    let users = stage.directory.join("etc/fidokey/users");
    let (code, reason) = if path.starts_with(users) { ("7", "record") } else { ("3", "config") };
    assert_eq!((log.get("code"), log.get("reason")), (Some(code), Some(reason)), "{path:?}");
    assert_eq!(log.get("file"), path.to_str());
    assert_eq!(log.get("problem"), Some(problem), "{path:?}");
}

/// BAR F1, F2: at each level, to where everything is as it should be.
#[test]
fn given_a_symbolic_link_at_any_level_then_denied() {
    for level in WAY {
        let (stage, _key, _) = enrolled(101);
        let path = stage.directory.join(level);
        let path = if level.is_empty() { stage.directory.clone() } else { path };
        let elsewhere = stage.directory.with_extension("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        if level.is_empty() {
            // The application's own files are there, too, and nobody minds.
            assert!(stage.directory.join("pam.d").is_dir());
        }
        assert_refused(&stage, &path, "symlink");
        fs::remove_file(&path).unwrap();
        fs::rename(&elsewhere, &path).unwrap();
        assert_eq!(stage.run(&["authenticate"]).code("authenticate"), 0, "{level}");
    }
    let (stage, _key, _) = enrolled(101);
    let elsewhere = stage.directory.join("elsewhere");
    fs::rename(stage.record_path(), &elsewhere).unwrap();
    for target in [elsewhere.to_str().unwrap(), "../../../elsewhere", "nowhere", "/proc/self/fd/0"]
    {
        symlink(target, stage.record_path()).unwrap();
        assert_refused(&stage, &stage.record_path(), "symlink");
        fs::remove_file(stage.record_path()).unwrap();
    }
}

/// BAR F3, F4: none of them is waited for.
#[test]
fn given_a_record_that_is_no_file_then_denied_at_once() {
    let (stage, _key, record) = enrolled(102);
    let path = stage.record_path();
    let start = Instant::now();
    let check = |problem| {
        assert_refused(&stage, &path, problem);
        if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) }.unwrap();
    };
    fs::remove_file(&path).unwrap();
    mkfifo(&path, Mode::from_bits_truncate(0o644)).unwrap();
    check("not_a_file");
    fs::create_dir(&path).unwrap();
    check("not_a_file");
    // The path of a socket has at most 107 bytes, so it is bound elsewhere and moved.
    let short = std::env::temp_dir().join(format!("fidokey-ring2-{}", std::process::id()));
    let _bound = UnixListener::bind(&short).unwrap();
    if fs::rename(&short, &path).is_ok() {
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
        check("not_a_file");
    } else {
        fs::remove_file(&short).unwrap();
    }
    // Only root makes devices.
    let null = nix::sys::stat::makedev(1, 3);
    if mknod(&path, SFlag::S_IFCHR, Mode::from_bits_truncate(0o644), null).is_ok() {
        check("not_a_file");
    }
    assert!(start.elapsed() < Duration::from_secs(10));
    stage.record(&record);
    assert_eq!(stage.run(&["authenticate"]).code("authenticate"), 0);
}

/// BAR F5: neither is it read, nor is there room made for it.
#[test]
fn given_a_huge_record_then_denied_without_reading_it() {
    let (stage, _key, _) = enrolled(103);
    let peak = || -> u64 {
        let outcome = stage.run(&["authenticate", "memory"]);
        let line = outcome.report.iter().find_map(|line| line.strip_prefix("memory="));
        line.unwrap().parse().unwrap()
    };
    let normal = peak();
    let file = File::options().write(true).open(stage.record_path()).unwrap();
    for size in [64 * 1024 + 1, 3 << 30] {
        file.set_len(size).unwrap();
        assert_refused(&stage, &stage.record_path(), "too_large");
        assert!(peak() < normal + 1024, "{size}: {} KiB, {normal} KiB normally", peak());
    }
}

/// BAR F6: the group or the world may write, or somebody owns it, at each level.
#[test]
fn given_what_somebody_else_could_write_at_any_level_then_denied() {
    let record = format!("etc/fidokey/users/{}.toml", account().uid);
    let (stage, _key, _) = enrolled(104);
    for level in WAY.iter().copied().chain([record.as_str(), "etc/fidokey/config.toml"]) {
        // Not joined where it is empty, for then the path would end in a slash.
        let mut path = stage.directory.clone();
        path.extend(Path::new(level).components());
        let mode = fs::metadata(&path).unwrap().permissions();
        for bits in [0o020, 0o002, 0o022, 0o1002] {
            fs::set_permissions(&path, Permissions::from_mode(0o755 | bits)).unwrap();
            assert_refused(&stage, &path, "mode");
        }
        fs::set_permissions(&path, mode).unwrap();
        // Only root can give a file away. The first directory tells whose the others must be.
        if nix::unistd::geteuid().is_root() && !level.is_empty() {
            chown(&path, Some(account().uid), None).unwrap();
            assert_refused(&stage, &path, "owner");
            chown(&path, Some(0), None).unwrap();
        }
        assert_eq!(stage.run(&["authenticate"]).code("authenticate"), 0, "{level}");
    }
}

/// BAR F8, F16.
#[test]
fn given_a_record_with_two_names_or_without_text_then_denied() {
    let (stage, _key, _) = enrolled(105);
    let second = stage.directory.join("second");
    fs::hard_link(stage.record_path(), &second).unwrap();
    assert_refused(&stage, &stage.record_path(), "hard_link");
    fs::remove_file(&second).unwrap();
    stage.record("");
    assert_refused(&stage, &stage.record_path(), "empty");
}

/// BAR F12: whatever is in the records of others, or in their places.
#[test]
fn given_broken_records_of_others_then_granted() {
    let (stage, _key, record) = enrolled(106);
    let users = stage.directory.join("etc/fidokey/users");
    fs::write(users.join("0.toml"), "schema = \0").unwrap();
    fs::write(users.join("1.toml"), "").unwrap();
    fs::write(users.join("2.toml"), &record).unwrap();
    fs::write(users.join(".65534.toml.1.new"), "half of").unwrap();
    fs::create_dir(users.join("3.toml")).unwrap();
    symlink("/nonexistent", users.join("4.toml")).unwrap();
    mkfifo(&users.join("nobody.toml"), Mode::from_bits_truncate(0o666)).unwrap();
    fs::set_permissions(users.join("0.toml"), Permissions::from_mode(0o666)).unwrap();
    assert_eq!(stage.run(&["authenticate"]).code("authenticate"), 0);
}

/// BAR F15: the number in the record, the name in it, each for itself.
#[test]
fn given_a_record_of_another_account_then_denied() {
    let (stage, key, record) = enrolled(107);
    let uid = account().uid;
    for (old, new) in [
        (format!("uid = {uid}"), "uid = 1".to_owned()),
        ("user = \"nobody\"".to_owned(), "user = \"daemon\"".to_owned()),
        ("user = \"nobody\"".to_owned(), "user = \"Nobody\"".to_owned()),
    ] {
        let other = record.replace(&old, &new);
        assert_ne!(other, record);
        stage.record(&other);
        let log = stage.run(&["authenticate"]).log();
        assert_eq!((log.get("code"), log.get("reason")), (Some("7"), Some("record")), "{new}");
    }
    assert_eq!(key.touches(), 2, "only those of the registration");
}

/// BAR F11, F13: replaced or written over without end, a record is one that was there or it is refused.
#[test]
fn given_a_record_that_changes_meanwhile_then_granted_or_denied_and_never_exempt() {
    let (stage, _key, record) = enrolled(108);
    let path = stage.record_path();
    let next = path.with_extension("next");
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Not for ever: a login that panics the test stops nobody.
            while !stop.load(Ordering::Relaxed) && start.elapsed() < Duration::from_secs(60) {
                fs::write(&next, &record).unwrap();
                fs::rename(&next, &path).unwrap();
                // In place: cut, then longer and longer.
                fs::write(&path, &record).unwrap();
                fs::write(&path, record.repeat(2)).unwrap();
                symlink("elsewhere", &next).unwrap();
                fs::rename(&next, &path).unwrap();
            }
        });
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..60 {
            let log = stage.run(&["authenticate"]).log();
            seen.insert((
                log.get("code").unwrap().to_owned(),
                log.get("reason").unwrap().to_owned(),
            ));
        }
        stop.store(true, Ordering::Relaxed);
        for (code, reason) in &seen {
            assert!(
                [("0", "verified"), ("7", "record")].contains(&(code.as_str(), reason.as_str())),
                "{code} {reason}"
            );
        }
    });
}
