//! Systems for tests, in the directory that the tests were built in: an installed fidokey, two accounts, no keys.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fidokey_core::base64url;
use fidokey_core::findings::Kind;

use fidokey_system::accounts::effective_uid;
use fidokey_system::files::Places;

use super::report::{Finding, Report};
use super::world::{Accounts, World};

/// What a FIDO key says of itself (HID 1.11 section 6.2.2): usage page F1D0, usage 1, reports of 64 bytes.
pub(crate) const FIDO_DESCRIPTOR: &[u8] = &[
    0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x20, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08,
    0x95, 0x40, 0x81, 0x02, 0x09, 0x21, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x91,
    0x02, 0xc0,
];

/// The line of the manual.
pub(crate) const LINE: &str =
    "auth [success=ok ignore=ignore default=die] pam_fidokey.so mode=second-factor";

/// A system in a directory of its own.
pub(crate) struct Scratch {
    root: PathBuf,
}

impl Scratch {
    /// `name` is used by one test only.
    pub(crate) fn new(name: &str) -> Self {
        let tests = std::env::current_exe().unwrap();
        let root = tests.parent().unwrap().join("scratch-doctor").join(name);
        if root.exists() {
            fs::remove_dir_all(&root).unwrap();
        }
        fs::create_dir_all(&root).unwrap();
        let tree = Self { root: root.canonicalize().unwrap() };
        for directory in ["etc/fidokey/users", "etc/pam.d", "var/lib/fidokey"] {
            fs::create_dir_all(tree.path(directory)).unwrap();
        }
        for directory in
            ["", "etc", "etc/fidokey", "etc/fidokey/users", "etc/pam.d", "var", "var/lib"]
        {
            tree.mode(directory, 0o755);
        }
        tree.mode("var/lib/fidokey", 0o700);
        tree.write(
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n",
        );
        tree
    }

    /// The same, a Debian with the module, alice's two keys and the line for sudo.
    pub(crate) fn enabled(name: &str) -> Self {
        let tree = Self::new(name);
        let library = "usr/lib/x86_64-linux-gnu/security";
        for module in ["pam_deny.so", "pam_permit.so", "pam_unix.so", "pam_listfile.so"] {
            tree.write(&format!("{library}/{module}"), "");
        }
        let library = format!("{library}/pam_fidokey.so");
        tree.write(&library, b"\x7fELF\x02\x01\x01_________\x03\x00\x3e\x00____");
        tree.write("etc/fidokey/users/1000.toml", record("alice", 1000, &["a", "b"]));
        tree.write(
            "etc/pam.d/common-auth",
            "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\n\
             auth required pam_permit.so\n",
        );
        for service in ["su", "other"] {
            tree.write(&format!("etc/pam.d/{service}"), "@include common-auth\n");
        }
        tree.write("etc/pam.d/sudo", format!("@include common-auth\n{LINE}\n"));
        tree
    }

    /// Where fidokey's files are in it.
    pub(crate) fn places(&self) -> Places {
        Places { root: self.root.clone(), owner: effective_uid(), ..Places::system() }
    }

    /// The text of a service's file.
    pub(crate) fn stack(&self, service: &str) -> String {
        fs::read_to_string(self.path(&format!("etc/pam.d/{service}"))).unwrap()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Writes a file that all may read, with the directories on the way to it.
    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let mut directory = PathBuf::new();
        for part in Path::new(path).parent().unwrap() {
            directory.push(part);
            if !self.root.join(&directory).exists() {
                fs::create_dir(self.root.join(&directory)).unwrap();
                self.mode(directory.to_str().unwrap(), 0o755);
            }
        }
        fs::write(self.path(path), text).unwrap();
        self.mode(path, 0o644);
    }

    /// Sets a mode, whatever the umask is.
    pub(crate) fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }

    pub(crate) fn examine(&self) -> Report {
        let world = World::new(Some(&self.root)).unwrap_or_else(|failure| panic!("{failure:?}"));
        super::examine(&world)
    }

    /// The same where the accounts are others than those of its file.
    pub(crate) fn examine_with(&self, accounts: Accounts) -> Report {
        let world = World::new(Some(&self.root)).unwrap_or_else(|failure| panic!("{failure:?}"));
        super::examine(&World { accounts, ..world })
    }

    /// What is found, in order: `one-key /etc/fidokey/users/1000.toml:3:1`. That nobody is asked for a key is left out
    /// where there is no stack at all.
    pub(crate) fn found(&self) -> Vec<String> {
        let told = |Finding { kind, place, wrong, remedy }: &Finding| {
            // Two sentences that can be read, or it is no finding.
            assert!(
                wrong.ends_with(['.', '`']) && remedy.ends_with(['.', '`']),
                "{wrong} {remedy}"
            );
            let place = place.to_string();
            let inside = place.strip_prefix(self.root.to_str().unwrap());
            format!("{} {}", kind.row().word, inside.unwrap_or(&place))
        };
        let report = self.examine();
        let stacks = report.looked_at.services > 0;
        let counts = |finding: &&Finding| stacks || finding.kind != Kind::NobodyAsked;
        report.findings.iter().filter(counts).map(told).collect()
    }

    /// What people read.
    pub(crate) fn text(&self) -> String {
        self.examine().text()
    }

    /// The exit code that it comes to.
    pub(crate) fn exit(&self) -> u8 {
        u8::from(self.examine().is_bad())
    }
}

/// A record with a FIDO2 credential of each name, whose ids are the names.
pub(crate) fn record(user: &str, uid: u32, names: &[&str]) -> String {
    let mut text = format!("schema = 1\nuser = \"{user}\"\nuid = {uid}\n");
    for name in names {
        text += &credential(name, "fido2", "none");
    }
    text
}

/// A credential of a record.
pub(crate) fn credential(name: &str, protocol: &str, verification: &str) -> String {
    let id = base64url::encode(name.as_bytes());
    format!(
        "\n[[credential]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\nalgorithm = \"es256\"\n\
         rp_id = \"pam://fidokey\"\nid = \"{id}\"\npublic_key = \
         \"BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"\n\
         verification = \"{verification}\"\nadded = 2026-11-23T10:00:00Z\nadded_by = \"root\"\n"
    )
}
