//! The shipped module with a key: in a root directory of its own, whose sysfs and node are ours. What the node is made
//! of is a terminal's (see `PtyEnd`); everything that the module does with it is what it does with a hidraw node.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fidokey_tests::key::{EmulatedKey, KeyHandle, PtyEnd, REPORT_DESCRIPTOR, Touch};

use crate::run::{Application, Outcome};
use crate::stage::{Stage, shipped_module};

/// Makes that root, of `$0`: all of this machine but its devices, its sysfs and the files of ours; then goes there.
const ENTER: &str = r#"
set -e
umask 022
root=$0/root
mount -t tmpfs -o mode=755 none "$root"
for path in /*; do
    name=${path#/}
    case $name in
        dev | etc | sys | var) mkdir -p "$root/$name" ;;
        *)
            if [ -L "$path" ]; then cp -P "$path" "$root/$name"
            elif [ -d "$path" ]; then mkdir "$root/$name"; mount --rbind "$path" "$root/$name"
            fi ;;
    esac
done
for name in passwd group nsswitch.conf; do cp "/etc/$name" "$root/etc/"; done
if [ -f /etc/ld.so.cache ]; then cp /etc/ld.so.cache "$root/etc/"; fi
mkdir -p "$root/etc/fidokey" "$root/var/lib/fidokey"
mount --bind "$0/etc/fidokey" "$root/etc/fidokey"
mount --bind "$0/var/lib/fidokey" "$root/var/lib/fidokey"
mount --bind "$0/sys" "$root/sys"
: >"$root/dev/null"
mount --bind /dev/null "$root/dev/null"
if [ -f "$0/node" ]; then
    : >"$root/dev/hidraw0"
    mount --bind "$(cat "$0/node")" "$root/dev/hidraw0"
fi
exec chroot "$root" "$@"
"#;

impl Stage {
    /// A stage with an emulated key that the shipped module finds, and whose credential is the account's.
    pub(crate) fn plugged(key: &EmulatedKey) -> (Self, KeyHandle) {
        // Registered over a socket first: the record is what stays of that.
        let (mut stage, registered) = Self::enrolled(key);
        registered.unplug();
        stage.forget_key();
        stage.as_owner = true;
        let end = PtyEnd::new().unwrap();
        let (path, number) = end.node().unwrap();
        fs::create_dir(stage.directory.join("root")).unwrap();
        fs::write(stage.directory.join("node"), path.to_str().unwrap()).unwrap();
        fs::create_dir_all(stage.sysfs()).unwrap();
        fs::write(stage.sysfs().join("report_descriptor"), REPORT_DESCRIPTOR).unwrap();
        fs::write(stage.sysfs().parent().unwrap().join("dev"), number).unwrap();
        (stage, key.plug_into(end).unwrap())
    }

    /// Where sysfs has the HID device of the key.
    pub(crate) fn sysfs(&self) -> std::path::PathBuf {
        self.directory.join("sys/class/hidraw/hidraw0/device")
    }

    /// Does something while the node is away, which sysfs still shows: as in a sandbox.
    pub(crate) fn without_node<T>(&self, work: impl FnOnce() -> T) -> T {
        let (node, away) = (self.directory.join("node"), self.directory.join("node-away"));
        fs::rename(&node, &away).unwrap();
        let result = work();
        fs::rename(&away, &node).unwrap();
        result
    }

    /// A run there, with the shipped module alone in the stack, started by another program with these words before
    /// ours.
    pub(crate) fn run_plugged(&self, before: &[&str], words: &[&str]) -> Outcome {
        self.application_plugged(before).run(words)
    }

    /// What is run there.
    pub(crate) fn application_plugged(&self, before: &[&str]) -> Application<'_> {
        let before = [&self.enter()[..], before].concat();
        let line = format!("auth required {}", shipped_module().display());
        self.application().before(&before).stack(&[line])
    }

    /// The words before those of a program that is to be run there.
    pub(crate) fn enter(&self) -> [&str; 6] {
        // Whoever is not root becomes it there.
        let own = if nix::unistd::geteuid().is_root() { "-m" } else { "-rm" };
        ["unshare", own, "sh", "-c", ENTER, self.directory.to_str().unwrap()]
    }
}

/// That the rest of this is about the shipped module and a key of its own.
#[test]
fn given_a_key_behind_a_node_then_the_shipped_module_lets_in_by_it() {
    let (stage, key) = Stage::plugged(&EmulatedKey::new(210));
    let outcome = stage.run_plugged(&[], &["authenticate"]);
    assert_eq!(outcome.code("authenticate"), 0, "{:?}", outcome.report);
    assert_eq!((key.touches(), outcome.log().get("reason")), (1, Some("verified")));
    assert!(Path::new(&stage.state_path()).is_file());
}

/// BAR U10: a node that is there and cannot be opened, or that is not there: one line that names the cause, and a few
/// tries, not one after the other until the time is over.
#[test]
fn given_a_key_that_cannot_be_opened_then_unavailable_and_one_line() {
    let (stage, key) = Stage::plugged(&EmulatedKey::new(213));
    let trace = stage.trace_file();
    let strace = ["strace", "-o", &trace, "-P", "/dev/hidraw0", "-e", "trace=openat"];
    for (error, mode, code) in [
        ("EPERM", "second-factor", "7"),
        ("EACCES", "alternative", "9"),
        ("ENOENT", "second-factor", "7"),
    ] {
        stage.config(&format!("schema = 1\n[default]\nmode = \"{mode}\"\nwait_for_key = \"1s\"\n[service.fidokey-test]\ntouch_only_alternative = true\n"));
        let inject = format!("inject=openat:error={error}");
        let before = [&strace[..], &["-e", &inject]].concat();
        let outcome = stage.run_plugged(&before, &["authenticate"]);
        let log = outcome.log();
        assert_eq!(
            (log.get("code"), log.get("reason")),
            (Some(code), Some("key_inaccessible")),
            "{error}"
        );
        let tries = fs::read_to_string(&trace).unwrap();
        let tries = tries.lines().filter(|line| line.contains("INJECTED")).count();
        assert!((1..=10).contains(&tries), "{error}: {tries}");
    }
    assert_eq!(key.touches(), 0);
}

/// BAR D24: a signal at every millisecond, whose handler interrupts every call that waits: the login is as ever.
#[test]
fn given_calls_that_are_interrupted_all_the_time_then_no_failure() {
    let (stage, key) = Stage::plugged(&EmulatedKey::new(214));
    for touch in [Touch::AtOnce, Touch::After(Duration::from_millis(300))] {
        key.set_touch(touch);
        let outcome = stage.run_plugged(&[], &["alarm:1000", "authenticate", "signals"]);
        assert_eq!(outcome.code("authenticate"), 0, "{:?}", outcome.report);
        assert!(outcome.report.iter().any(|line| line.ends_with("handled=ALRM")));
    }
    key.set_touch(Touch::Never);
    let start = Instant::now();
    let outcome = stage.run_plugged(&[], &["alarm:1000", "authenticate"]);
    assert_eq!(outcome.log().get("reason"), Some("touch_timeout"));
    let took = start.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(6)).contains(&took), "{took:?}");
    // And each of them for certain, every other time.
    key.set_touch(Touch::AtOnce);
    for call in ["ppoll", "read", "write", "flock"] {
        let trace = stage.trace_file();
        let inject = format!("inject={call}:error=EINTR:when=1+2");
        let strace = ["strace", "-o", &trace, "-e", &inject];
        let filter: &[&str] = if call == "ppoll" { &[] } else { &["-P", "/dev/hidraw0"] };
        let outcome = stage.run_plugged(&[&strace[..], filter].concat(), &["authenticate"]);
        assert_eq!(outcome.code("authenticate"), 0, "{call}: {:?}", outcome.report);
        assert!(fs::read_to_string(&trace).unwrap().contains("INJECTED"), "{call}");
    }
}

/// BAR D25, Q8: a login of which a write to the key, a read or a wait fails, at each of them in turn, and one that is
/// killed there; nobody touches the key, and the program is interrupted when it goes on. Whoever had the key to the end has cancelled it (one that cannot be read is gone, and nobody's to be
/// cancelled); it is free, and the next login by it is granted.
#[test]
fn given_a_login_that_fails_or_is_killed_at_any_report_then_the_next_one_is_granted() {
    let (stage, key) = Stage::plugged(&EmulatedKey::new(215));
    // A login by this key sends three messages, in as many reports or more, and hears two answers before the touch.
    for (call, fault, last) in [
        ("write", "error=EIO", 4),
        ("read", "error=EIO", 3),
        ("ppoll", "error=EINVAL", 6),
        ("write", "signal=KILL", 4),
        ("read", "signal=KILL", 3),
    ] {
        for when in 1..=last {
            key.set_touch(Touch::Never);
            let inject = format!("inject={call}:{fault}:when={when}");
            let strace = ["strace", "-o", "/dev/null", "-e", &inject];
            let filter: &[&str] = if call == "ppoll" { &[] } else { &["-P", "/dev/hidraw0"] };
            let report = stage.own_file("report");
            let application = stage.application_plugged(&[&strace[..], filter].concat());
            let words = ["block:INT", "later:INT=400", "authenticate"];
            application.command(&report, &words).output().unwrap();
            let text = fs::read_to_string(&report).unwrap();
            let killed = !text.contains("authenticate=");
            assert_eq!(killed, fault == "signal=KILL", "{inject}: {text}");
            assert!(killed || !text.contains("authenticate=0"), "{inject}: {text}");
            assert!(killed || call == "read" || !key.is_asking(), "{inject}: left blinking");

            key.set_touch(Touch::AtOnce);
            let start = Instant::now();
            let outcome = stage.run_plugged(&[], &["authenticate"]);
            assert_eq!(outcome.code("authenticate"), 0, "{inject}: {:?}", outcome.report);
            assert!(start.elapsed() < Duration::from_secs(6), "{inject}");
            assert!(!key.is_asking());
        }
    }
}
