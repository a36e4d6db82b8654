//! What the module opens, and what comes of it when that fails.

use std::fs;
use std::os::unix::fs::symlink;

use fidokey_tests::key::EmulatedKey;

use crate::stage::Stage;
use crate::trace::Call;

/// The errors of BAR F9, by their numbers.
const ERRORS: [(&str, &str); 9] = [
    ("EACCES", "13"),
    ("EPERM", "1"),
    ("EIO", "5"),
    ("ELOOP", "40"),
    ("ENOTDIR", "20"),
    ("EMFILE", "24"),
    ("ENFILE", "23"),
    ("ENOMEM", "12"),
    ("ESTALE", "116"),
];

const WITH_MARKS: [&str; 2] = ["-e", "trace=faccessat,openat,openat2,open"];

/// The opens of a login, in a program that does nothing else.
fn opens(calls: &[Call]) -> Vec<&Call> {
    calls.iter().filter(|call| call.inside && call.name.starts_with("open")).collect()
}

/// BAR F9, F17: every open of ours fails in every way, one after the other. Neither a success nor an exemption
/// comes of it, and the log has the path and the error. Both in a stage whose normal verdict is a success and in
/// one where it is an exemption.
#[test]
fn given_an_open_that_fails_then_denied_with_path_and_error_in_the_log() {
    let (enrolled, _key) = Stage::enrolled(&EmulatedKey::new(111));
    for (stage, code, opened) in [(&enrolled, "0", 14), (&Stage::bare(), "25", 9)] {
        let (outcome, calls) = stage.traced(&WITH_MARKS, &["authenticate"]);
        assert_eq!(outcome.log().get("code"), Some(code));
        let root = stage.directory.to_str().unwrap();
        let mut ours = opens(&calls);
        ours.retain(|call| call.path().is_some_and(|path| path.starts_with(root)));
        // That is the virtual key's; what follows the last of them is the state's.
        ours.retain(|call| call.path() != Some(format!("{root}/key")));
        let in_etc = |call: &&Call| call.path().is_some_and(|path| path.contains("/etc/"));
        ours.truncate(ours.iter().rposition(in_etc).unwrap() + 1);
        // The root and two directories to the policy, the root and three to the record, and to that once more after the touch.
        assert_eq!(ours.len(), opened, "{ours:?}");
        for call in ours {
            let path = call.path().unwrap();
            for (name, number) in ERRORS {
                let inject = format!("inject=openat:error={name}:when={}", call.number);
                let options = [&WITH_MARKS[..], &["-e", &inject]].concat();
                let (outcome, calls) = stage.traced(&options, &["authenticate"]);
                let injected: Vec<_> =
                    calls.iter().filter(|call| call.text.contains("INJECTED")).collect();
                assert!(injected.len() == 1 && injected[0].path().as_ref() == Some(&path));
                let log = outcome.log();
                assert!(["3", "7"].contains(&log.get("code").unwrap()), "{path} {name}");
                assert_eq!(log.get("file"), Some(path.as_str()), "{name}");
                assert_eq!(log.get("errno"), Some(number), "{path}");
            }
        }
    }
}

/// BAR F2: a link is not followed, and a kernel without openat2 makes no difference.
#[test]
fn given_a_link_on_the_way_then_nothing_behind_it_is_opened() {
    for level in ["etc", "etc/fidokey", "etc/fidokey/users"] {
        let (stage, _key) = Stage::enrolled(&EmulatedKey::new(112));
        fs::rename(stage.directory.join(level), stage.directory.join("elsewhere")).unwrap();
        symlink("elsewhere", stage.directory.join(level)).unwrap();
        for inject in [&[][..], &["-e", "inject=openat2:error=ENOSYS"]] {
            let (outcome, calls) = stage.traced(&[&WITH_MARKS, inject].concat(), &["authenticate"]);
            assert_eq!(outcome.log().get("problem"), Some("symlink"), "{level}");
            let behind: Vec<_> = opens(&calls)
                .into_iter()
                .filter(|call| call.text.contains("elsewhere") || call.text.contains(".toml"))
                .filter(|call| !call.text.contains("config.toml"))
                .collect();
            assert!(behind.is_empty(), "{behind:?}");
        }
    }
    let (stage, _key) = Stage::enrolled(&EmulatedKey::new(113));
    let options = [&WITH_MARKS[..], &["-e", "inject=openat2:error=ENOSYS"]].concat();
    assert_eq!(stage.traced(&options, &["authenticate"]).0.code("authenticate"), 0);
}

/// BAR F14: our files and those of NSS, nothing below a home, nothing else.
#[test]
fn given_a_login_then_nothing_is_opened_but_our_files_and_those_of_nss() {
    let (mut stage, key) = Stage::enrolled(&EmulatedKey::new(114));
    let words = ["authenticate", "setcred:2"];
    let granted = stage.traced(&WITH_MARKS, &words);
    stage.as_owner = true;
    let with_state = stage.traced(&WITH_MARKS, &words);
    key.unplug();
    let denied = stage.traced(&WITH_MARKS, &words);
    let root = stage.directory.to_str().unwrap();
    for ((outcome, calls), code) in [(granted, 0), (with_state, 0), (denied, 7)] {
        assert_eq!(outcome.code("authenticate"), code);
        let opens = opens(&calls);
        assert!(opens.len() >= 9);
        for call in opens {
            let path = call.path().unwrap();
            let ours = path == root
                || path == format!("{root}/etc")
                || path.starts_with(&format!("{root}/etc/fidokey"))
                || path == format!("{root}/key")
                || path == format!("{root}/var")
                || path == format!("{root}/var/lib")
                || path.starts_with(&format!("{root}/var/lib/fidokey"));
            // What nss(5), nsswitch.conf(5) and ld.so(8) name.
            let nss = ["/etc/passwd", "/etc/nsswitch.conf", "/etc/ld.so.cache"].contains(&&*path)
                || path.contains("/libnss_")
                || path.starts_with("/run/systemd/userdb")
                || path.starts_with("/proc/sys/kernel/random");
            // libpam's own: it tells the audit log who the process is logged in as, where it may.
            let libpam = path == "/proc/self/loginuid"
                || path.starts_with("/proc/") && path.ends_with("/status");
            assert!(ours || nss || libpam, "{path}");
            assert!(!path.starts_with("/home") && !path.starts_with("/root"), "{path}");
        }
    }
}
