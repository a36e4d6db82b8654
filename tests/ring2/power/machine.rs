//! A machine of its own for the command: a root with the programs that it needs, the stacks of Debian, and a systemctl that
//! writes down what it is asked. systemd itself is in ring 3.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::statvfs::{FsFlags, statvfs};

use crate::power::calls::op;
use crate::power::disk::{Content, Disk, KEPT, RECORDS, STACKS, STATES};
use crate::power::model::{Op, after};
use crate::power::steps::step;
use crate::stepping::Next;

/// The services that are edited: two of Debian's, one of them with a mode of its own, and one that only the vendor has.
pub(crate) const SERVICES: [&str; 3] = ["sudo", "login", "polkit-1"];

const COMMON_AUTH: &str = "\
auth\t[success=1 default=ignore]\tpam_unix.so nullok
auth\trequisite\t\t\tpam_deny.so
auth\trequired\t\t\tpam_permit.so
";
const SUDO: &str = "\
#%PAM-1.0

session    required   pam_limits.so

@include common-auth
@include common-account
@include common-session
";
const LOGIN: &str = "\
auth       optional   pam_faildelay.so  delay=3000000
auth       requisite  pam_nologin.so
session    required   pam_loginuid.so
@include common-auth
auth       optional   pam_group.so
@include common-account
@include common-session
";
const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n";
/// What the vendor has for the third.
pub(crate) const POLKIT: &str =
    "#%PAM-1.0\n@include common-auth\n@include common-account\n@include common-session\n";

const MODULES: [&str; 9] = [
    "pam_deny.so",
    "pam_faildelay.so",
    "pam_fidokey.so",
    "pam_group.so",
    "pam_limits.so",
    "pam_loginuid.so",
    "pam_nologin.so",
    "pam_permit.so",
    "pam_unix.so",
];
/// Where a module is looked for first.
const MODULES_PLACE: &str = "usr/lib64/security";
const BOOT_ID: &str = "proc/sys/kernel/random/boot_id";
/// What systemctl was asked, where there is such a file.
const ASKED: &str = "run/asked";

pub(crate) struct Machine {
    pub(crate) root: PathBuf,
    boots: Cell<u32>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root = quick().join(format!("fidokey-power-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for place in [
            STACKS,
            KEPT,
            STATES,
            MODULES_PLACE,
            "bin",
            "dev",
            RECORDS,
            "proc/sys/kernel/random",
            "run/systemd/system",
            "usr/bin",
            "usr/lib/pam.d",
        ] {
            // Nobody else may write to what is on the way, whatever the umask is.
            let mut path = root.clone();
            for name in Path::new(place) {
                fs::create_dir_all(&path).unwrap();
                mode(&path, 0o755);
                path.push(name);
            }
            fs::create_dir_all(&path).unwrap();
            mode(&path, if [KEPT, STATES].contains(&place) { 0o700 } else { 0o755 });
        }
        let machine = Self { root, boots: Cell::new(0) };
        for module in MODULES {
            machine.file(&format!("{MODULES_PLACE}/{module}"), "", 0o644);
        }
        machine.file("usr/lib/pam.d/polkit-1", POLKIT, 0o644);
        machine.file("etc/passwd", PASSWD, 0o644);
        machine.file("dev/null", "", 0o666);
        let systemctl = format!(
            "#!/bin/sh\ntest -e /{ASKED} && echo \"$*\" >>/{ASKED}\n! test -e \"/run/no-$2\"\n"
        );
        machine.file("usr/bin/systemctl", &systemctl, 0o755);
        machine.programs(&[(&command(), "usr/bin/fidokey"), (Path::new("/bin/sh"), "bin/sh")]);
        machine.boot();
        machine
    }

    /// Writes a file, from the root.
    pub(crate) fn file(&self, name: &str, text: &str, bits: u32) {
        fs::write(self.root.join(name), text).unwrap();
        mode(&self.root.join(name), bits);
    }

    /// Programs, and the libraries that they need.
    fn programs(&self, programs: &[(&Path, &str)]) {
        for (from, to) in programs {
            fs::copy(from, self.root.join(to)).unwrap();
        }
        let output = Command::new("ldd").args(programs.iter().map(|(from, _)| from)).output();
        let output = String::from_utf8(output.unwrap().stdout).unwrap();
        let libraries =
            output.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
        for library in libraries {
            let place = self.root.join(library.trim_start_matches('/'));
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::copy(library, place).unwrap();
        }
    }

    /// Starts it anew, as far as the command can tell.
    pub(crate) fn boot(&self) {
        self.boots.set(self.boots.get() + 1);
        self.in_boot(self.boots.get());
    }

    /// Makes it that start of the machine, from 1.
    pub(crate) fn in_boot(&self, number: u32) {
        self.file(BOOT_ID, &format!("00000000-0000-4000-8000-{number:012}\n"), 0o644);
    }

    fn prepared(&self, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        // Whoever is not root becomes it there.
        if !nix::unistd::geteuid().is_root() {
            command.arg("-r");
        }
        command.arg(format!("--root={}", self.root.display()));
        command.args(["--wd=/", "/usr/bin/fidokey"]).args(words).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        command
    }

    /// Runs the command.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.prepared(words).output().unwrap()
    }

    /// Runs the command, which is done with what it was told to do.
    #[track_caller]
    pub(crate) fn done(&self, words: &[&str]) {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {output:?}\n{:#?}", self.disk());
    }

    /// Runs the command, where `next` says what becomes of each of its steps, by its number from 0. Which steps it has made, and
    /// how it has ended.
    pub(crate) fn stepped(
        &self,
        words: &[&str],
        next: impl Fn(usize, &Op) -> Next,
    ) -> (Vec<Op>, ExitStatus) {
        let disk = self.disk();
        let mut command = self.prepared(words);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let (mut ops, mut number) = (Vec::new(), 0);
        let status = step(command, |entry| {
            let Some(op) = op(entry, &self.root) else { return Next::Make };
            let next = next(number, &op);
            number += 1;
            if next == Next::Make {
                ops.push(op);
            }
            next
        });
        // That no step was overlooked, and none was taken for made that was not.
        assert_eq!(after(&disk, &ops), self.disk(), "{words:?} {ops:?}");
        (ops, status)
    }

    /// Runs the command and kills it before its step `at`, if it comes to that. Which steps it has made.
    pub(crate) fn killed(&self, words: &[&str], at: usize) -> Vec<Op> {
        let next = |number, _: &Op| if number == at { Next::Kill } else { Next::Make };
        let (ops, status) = self.stepped(words, next);
        assert!(status.success() || ops.len() == at, "{words:?}: {status}");
        ops
    }

    /// Runs the command to its end. The steps that it has made.
    pub(crate) fn steps(&self, words: &[&str]) -> Vec<Op> {
        self.killed(words, usize::MAX)
    }

    pub(crate) fn disk(&self) -> Disk {
        Disk::read(&self.root)
    }

    /// What systemctl is asked by what `run` runs.
    pub(crate) fn asked(&self, run: impl FnOnce()) -> Vec<String> {
        self.file(ASKED, "", 0o644);
        run();
        let text = fs::read_to_string(self.root.join(ASKED)).unwrap();
        fs::remove_file(self.root.join(ASKED)).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Also when a test has failed, which shows the disk: what is here takes memory.
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// The stacks before anything was done to them.
pub(crate) fn debian() -> Disk {
    let mut disk = Disk::default();
    for (name, text, bits) in [
        ("common-account", "account required pam_permit.so\n", 0o644),
        ("common-auth", COMMON_AUTH, 0o644),
        ("common-session", "session required pam_permit.so\n", 0o644),
        ("login", LOGIN, 0o644),
        ("sudo", SUDO, 0o640),
    ] {
        disk.put(Path::new(STACKS).join(name), Content::new(text, bits));
    }
    disk
}

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

/// In memory, where programs can be run there: the power never goes, and to synchronise a disk takes milliseconds.
fn quick() -> PathBuf {
    let memory = Path::new("/dev/shm");
    match statvfs(memory) {
        Ok(of) if !of.flags().contains(FsFlags::ST_NOEXEC) && of.blocks_available() > 0 => {
            memory.to_owned()
        }
        _ => PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
    }
}

/// The command that is shipped: `FIDOKEY_COMMAND`, or what `make build` has left. Cargo builds no program of another
/// package for these tests.
fn command() -> PathBuf {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../release/fidokey");
    let command = std::env::var_os("FIDOKEY_COMMAND").map_or(built, PathBuf::from);
    assert!(command.is_file(), "{} was not built: make build", command.display());
    command
}
