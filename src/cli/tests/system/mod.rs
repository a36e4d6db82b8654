//! The built command on a machine whose `/etc` and `/var/lib` are made up: a mount namespace of its own. Nothing of the
//! real ones is read or written.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const KEY: &str =
    "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";
/// SHA-256 of the id `AAAA`, three bytes of zero, in base64url.
const HASH: &str = "cJ6AyISHokEeHuTfufIqhhSS0gxHZRUMDHlKvXD4FHw";
pub(crate) const LINE: &str =
    "auth [success=ok ignore=ignore default=die] /etc/modules/pam_fidokey.so";

/// What stands between the machine and the command: the two directories, then the command as it is called.
const ENTER: &str =
    "mount --bind \"$1/etc\" /etc && mount --bind \"$1/lib\" /var/lib && shift && exec \"$@\"";

/// The machine.
pub(crate) struct System(PathBuf);

#[expect(clippy::disallowed_methods, reason = "a test is not login's process")]
fn program(name: &str) -> Command {
    Command::new(name)
}

impl System {
    /// A machine on which alice has two keys, of which she has used one, and sudo asks for one of them. `name` is used by
    /// one test only.
    pub(crate) fn new(name: &str) -> Self {
        let system = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join("systems").join(name));
        if system.0.exists() {
            fs::remove_dir_all(&system.0).expect("what an earlier run has left");
        }
        system.write(
            "etc/passwd",
            "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n",
        );
        system.write("etc/nsswitch.conf", "passwd: files\n");
        system.write("etc/fidokey/users/1000.toml", &record("alice", 1000, &["AAAA", "BBBB"]));
        system.write(
            "etc/pam.d/sudo",
            &format!("auth requisite /etc/modules/pam_unix.so\n{LINE} mode=second-factor\n"),
        );
        system.write("etc/pam.d/su", "auth required /etc/modules/pam_unix.so\n");
        for module in ["pam_fidokey.so", "pam_unix.so"] {
            system.write(&format!("etc/modules/{module}"), "");
        }
        system.write(
            "lib/fidokey/1000.toml",
            &format!(
                "schema = 1\nuser = \"alice\"\n\n[[credential]]\nid_hash = \"{HASH}\"\nadded = 2026-11-23T10:00:00Z\n\
                 counter = 7\nlast_used = 2026-11-26T09:12:00Z\nlast_service = \"sudo\"\n"
            ),
        );
        system.mode("lib/fidokey", 0o700);
        system.mode("lib/fidokey/1000.toml", 0o600);
        system
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let mut directory = self.0.clone();
        for part in Path::new(path).parent().expect("a directory") {
            directory.push(part);
            fs::create_dir_all(&directory).expect("a directory");
            fs::set_permissions(&directory, Permissions::from_mode(0o755)).expect("a mode");
        }
        fs::write(self.0.join(path), text).expect("a file");
        self.mode(path, 0o644);
    }

    pub(crate) fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.0.join(path), Permissions::from_mode(mode)).expect("a mode");
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.0.join(path)).expect("a file");
    }

    /// What the command comes to there, for root.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_as(&[], arguments)
    }

    /// The same where `before`, which begins with a program, runs the command.
    pub(crate) fn run_as(&self, before: &[&str], arguments: &[&str]) -> Output {
        let mut command = program("unshare");
        // Whoever is not root is the root of a namespace in which the files are root's.
        if fidokey_system::accounts::effective_uid() != 0 {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "sh", "-c", ENTER, "sh"]).arg(&self.0).args(before);
        command.arg(env!("CARGO_BIN_EXE_fidokey")).args(arguments);
        command.output().expect("unshare of util-linux")
    }
}

/// A record with a credential of each id.
pub(crate) fn record(user: &str, uid: u32, ids: &[&str]) -> String {
    let mut text = format!("schema = 1\nuser = \"{user}\"\nuid = {uid}\n");
    for id in ids {
        text += &format!(
            "\n[[credential]]\nname = \"{id}\"\nprotocol = \"fido2\"\nalgorithm = \"es256\"\nrp_id = \"pam://fidokey\"\n\
             id = \"{id}\"\npublic_key = \"{KEY}\"\nverification = \"none\"\nadded = 2026-11-23T10:00:00Z\nadded_by = \"root\"\n"
        );
    }
    text
}
