//! The process that asked is nobody's but its own: what the module does to it, by its system calls and by what is
//! left afterwards.

use fidokey_tests::key::{EmulatedKey, Touch};

use crate::stage::{Stage, shipped_module};
use crate::trace::Call;

/// What no call of libpam may do in the program's name, whoever of its modules does it.
const FORBIDDEN: [&str; 45] = [
    "alarm",
    "capset",
    "chdir",
    "chroot",
    "clone",
    "clone3",
    "close_range",
    "execve",
    "execveat",
    "fchdir",
    "fork",
    "keyctl",
    "kill",
    "mount",
    "nanosleep",
    "nice",
    "pause",
    "personality",
    "prctl",
    "ptrace",
    "rt_sigaction",
    "rt_sigqueueinfo",
    "sched_setscheduler",
    "seccomp",
    "setfsgid",
    "setfsuid",
    "setgid",
    "setgroups",
    "setitimer",
    "setns",
    "setpgid",
    "setpriority",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setrlimit",
    "setsid",
    "setuid",
    "sigaltstack",
    "tgkill",
    "tkill",
    "umask",
    "unshare",
    "vfork",
];

/// Asserts what is said about the calls of one login.
fn assert_harmless(calls: &[Call]) {
    let inside: Vec<_> = calls.iter().filter(|call| call.inside).collect();
    assert!(inside.len() > 20, "{inside:?}");
    for call in inside {
        let (name, text) = (call.name.as_str(), call.text.as_str());
        assert!(!FORBIDDEN.contains(&name), "{call:?}");
        // A limit may be read, not set: the third argument is the new one.
        if name == "prlimit64" {
            assert_eq!(text.split(", ").nth(2), Some("NULL"), "{call:?}");
        }
        // The socket of the name service cache or of systemd, and libpam's to the audit log.
        if name == "socket" {
            assert!(text.starts_with("AF_UNIX") || text.contains("NETLINK_AUDIT"), "{call:?}");
        }
        if name == "connect" {
            let local = ["/dev/log", "/var/run/nscd/socket", "/run/systemd/"];
            assert!(local.iter().any(|path| text.contains(path)), "{call:?}");
        }
        // The audit log is told the terminal: libaudit asks whether there is one.
        if name == "ioctl" {
            assert!(text.contains(", TCGETS, "), "{call:?}");
        }
        if name == "fcntl" {
            assert!(!["F_SETLK", "F_SETOWN", "F_SETSIG"].iter().any(|what| text.contains(what)));
        }
        // BAR INV-6, whatever is open there.
        if ["pwrite64", "pwritev", "sendmsg", "sendto", "write", "writev"].contains(&name) {
            let stream = ["0<", "1<", "2<"].iter().any(|number| text.starts_with(number));
            assert!(!stream, "{call:?}");
        }
    }
}

/// BAR X7, INV-5, INV-6, INV-7: in a login that is granted, with a state and without, one that is denied after a wait, one that panics at its
/// beginning and one that panics while the key is armed, and in setcred after each.
#[test]
fn given_any_login_then_the_module_does_nothing_to_the_process() {
    let (mut stage, key) = Stage::enrolled(&EmulatedKey::new(121));
    let words = ["authenticate", "setcred:2"];
    for (panic, code) in [("", 0), ("virtual:panic=9", 26), ("virtual:panic=30", 26)] {
        stage.arguments(&[panic]);
        let (outcome, calls) = stage.traced(&[], &words);
        assert_eq!(outcome.code("authenticate"), code, "{panic}");
        assert_harmless(&calls);
    }
    // One that writes a state.
    stage.arguments(&[]);
    stage.as_owner = true;
    let (outcome, calls) = stage.traced(&[], &words);
    assert_eq!(outcome.code("authenticate"), 0);
    assert_harmless(&calls);
    key.unplug();
    let (outcome, calls) = stage.traced(&[], &words);
    assert_eq!(outcome.code("authenticate"), 7);
    assert_harmless(&calls);
}

/// BAR INV-5, X5: descriptors, and what the kernel and libc have about the process, after a login that is granted,
/// denied or panics, as the module that is shipped and as the virtual one. The first login of a program is left
/// out: the name service stays loaded after it.
#[test]
fn given_any_login_then_the_process_is_afterwards_as_before() {
    let (mut stage, key) = Stage::enrolled(&EmulatedKey::new(122));
    // As a program that asks for names: the second try waits like the first.
    let words = [
        "item:9=login: ",
        "authenticate",
        "descriptors",
        "tidy",
        "authenticate",
        "descriptors",
        "tidy",
        "setcred:2",
        "descriptors",
        "tidy",
    ];
    let check = |stage: &Stage, code: i32, line: String| {
        let outcome = stage.run_stack(&[line], &words);
        assert_eq!(outcome.codes("authenticate"), [code; 2]);
        for what in ["descriptors ", "tidy="] {
            let seen: Vec<_> =
                outcome.report.iter().filter(|line| line.starts_with(what)).collect();
            assert!(seen.len() == 3 && seen[0].len() > 50);
            assert_eq!((seen[0], seen[1]), (seen[1], seen[2]));
        }
    };
    for (panic, code) in [("", 0), ("virtual:panic=9", 26), ("virtual:panic=30", 26)] {
        stage.arguments(&[panic]);
        check(&stage, code, stage.line("required"));
    }
    stage.arguments(&[]);
    stage.as_owner = true;
    check(&stage, 0, stage.line("required"));
    key.unplug();
    check(&stage, 7, stage.line("required"));
    check(&stage, 7, format!("auth required {} mode=second-factor", shipped_module().display()));
}

/// BAR INV-5, INV-7, X5, X6, X7: the same of the module that is shipped, with a key: one that is touched and one that
/// nobody touches. And where the standard streams are closed, nothing of it is left in their place.
#[test]
fn given_a_login_by_the_shipped_module_and_a_key_then_the_process_is_as_before() {
    let (stage, key) = Stage::plugged(&EmulatedKey::new(123));
    let looks = ["descriptors", "tidy"];
    for (touch, code) in [(Touch::AtOnce, 0), (Touch::Never, 7)] {
        key.set_touch(touch);
        let (outcome, calls) = stage.traced_plugged(&["authenticate", "setcred:2"]);
        assert_eq!(outcome.code("authenticate"), code);
        assert_harmless(&calls);
        assert!(calls.iter().any(|call| call.inside && call.text.contains("/dev/hidraw0")));
        for close in ["close:", "close:012"] {
            let words =
                [&[close, "item:9=login: ", "authenticate"][..], &looks, &["authenticate"], &looks];
            let outcome = stage.run_plugged(&[], &words.concat());
            assert_eq!(outcome.codes("authenticate"), [code; 2]);
            for what in ["descriptors ", "tidy="] {
                let seen: Vec<_> =
                    outcome.report.iter().filter(|line| line.starts_with(what)).collect();
                assert!(seen.len() == 2 && seen[0].len() > 20, "{seen:?}");
                assert_eq!(seen[0], seen[1]);
                assert!(!seen[0].contains("hidraw") && !seen[0].contains("inotify"), "{seen:?}");
            }
            let open = outcome.report.iter().find(|line| line.starts_with("descriptors ")).unwrap();
            assert_eq!(close == "close:012", !open.contains(" 0=") && !open.contains(" 2="));
        }
    }
}
