//! `fidokey doctor` from outside: its exit codes, its lines and its object, over systems that are made up. What each
//! finding is found by stands beside the code.

#![expect(clippy::expect_used, reason = "a test says what went wrong by failing")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const NOBODY_UID: u32 = 65534;
const LINE: &str = "auth [success=ok ignore=ignore default=die] pam_fidokey.so mode=second-factor";
const KEY: &str =
    "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";

#[expect(clippy::disallowed_methods, reason = "a test is not login's process")]
fn command(program: &str) -> Command {
    Command::new(program)
}

fn doctor(arguments: &[&str]) -> Output {
    let mut command = command(env!("CARGO_BIN_EXE_fidokey"));
    command.arg("doctor").args(arguments).output().expect("the command was built")
}

/// As somebody who is not root, whoever runs the tests.
fn unprivileged(arguments: &[&str]) -> Output {
    let mut command = command(env!("CARGO_BIN_EXE_fidokey"));
    if fidokey_system::accounts::effective_uid() == 0 {
        command.uid(NOBODY_UID).gid(NOBODY_UID);
    }
    command.args(arguments).output().expect("the command can be run by others")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// A system on which alice has two keys and sudo asks for one.
struct System(PathBuf);

impl System {
    fn new(name: &str) -> Self {
        let system = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join("doctor").join(name));
        if system.0.exists() {
            fs::remove_dir_all(&system.0).expect("what an earlier run has left");
        }
        fs::create_dir_all(&system.0).expect("a directory");
        system.mode("", 0o755);
        system.write("etc/passwd", "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n");
        system.write("etc/fidokey/users/1000.toml", &record("alice", 1000, &["AAAA", "BBBB"]));
        system.write("etc/pam.d/sudo", &format!("auth requisite pam_unix.so\n{LINE}\n"));
        system.write("usr/lib/security/pam_unix.so", "");
        system
            .write("usr/lib/security/pam_fidokey.so", "\x7fELF\x02\x01\x01 and so on, to the end");
        fs::create_dir_all(system.0.join("var/lib/fidokey")).expect("a directory");
        for (directory, mode) in [("var", 0o755), ("var/lib", 0o755), ("var/lib/fidokey", 0o700)] {
            system.mode(directory, mode);
        }
        system
    }

    fn write(&self, path: &str, text: &str) {
        let mut directory = PathBuf::new();
        for part in Path::new(path).parent().expect("a directory") {
            directory.push(part);
            fs::create_dir_all(self.0.join(&directory)).expect("a directory");
            self.mode(directory.to_str().expect("UTF-8"), 0o755);
        }
        fs::write(self.0.join(path), text).expect("a file");
        self.mode(path, 0o644);
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.0.join(path), Permissions::from_mode(mode)).expect("a mode");
    }

    fn root(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }

    /// The exit code and what is said.
    fn doctor(&self, more: &[&str]) -> (Option<i32>, String) {
        let output = doctor(&[&["--root", self.root()], more].concat());
        assert_eq!(text(&output.stderr), "");
        (output.status.code(), text(&output.stdout).to_owned())
    }
}

fn record(user: &str, uid: u32, ids: &[&str]) -> String {
    let mut text = format!("schema = 1\nuser = \"{user}\"\nuid = {uid}\n");
    for id in ids {
        text += &format!(
            "\n[[credential]]\nname = \"{id}\"\nprotocol = \"fido2\"\nalgorithm = \"es256\"\nrp_id = \"pam://fidokey\"\n\
             id = \"{id}\"\npublic_key = \"{KEY}\"\nverification = \"none\"\nadded = 2026-11-23T10:00:00Z\nadded_by = \"root\"\n"
        );
    }
    text
}

// I8.
#[test]
fn given_nothing_bad_then_the_code_is_0_and_the_last_line_says_what_was_looked_at() {
    let system = System::new("good");
    let expected = "1 account, 2 keys, 1 service (1 of them asking for a key); nothing would lock out or weaken a login.\n\
                    This is not the running system: its devices and its name service were not looked at.\n";
    assert_eq!(system.doctor(&[]), (Some(0), expected.to_owned()));
    let (code, object) = system.doctor(&["--json"]);
    assert_eq!(
        (code, object.as_str()),
        (
            Some(0),
            "{\"schema\": 1, \"findings\": [], \"looked_at\": {\"accounts\": 1, \"keys\": 2, \"services\": 1, \
             \"services_asking\": 1, \"running\": false}}\n"
        )
    );
}

// I8, K7.
#[test]
fn given_what_would_lock_out_or_weaken_then_the_code_is_1_and_each_has_two_lines() {
    let system = System::new("bad");
    let bad = |kind: &str, severity: &str| {
        let (code, said) = system.doctor(&[]);
        assert_eq!(code, Some(1), "{said}");
        let first = said.lines().next().expect("a line");
        assert!(first.starts_with(severity) && first.ends_with(&format!("[{kind}]")), "{said}");
        assert_eq!(said.lines().count(), 2 + 3, "{said}");
        let (code, object) = system.doctor(&["--json"]);
        assert_eq!(code, Some(1));
        assert!(
            object.contains(&format!("\"severity\": \"{severity}\", \"id\": \"{kind}\"")),
            "{object}"
        );
    };
    system.write(
        "etc/fidokey/users/1000.toml",
        &record("alice", 1000, &["AAAA", "AAAA"]).replacen("\"AAAA\"", "\"A\"", 1),
    );
    bad("credential-duplicate", "lockout");
    system.write("etc/fidokey/users/1000.toml", &record("alice", 1000, &["AAAA", "BBBB"]));
    system.write("etc/fidokey/users/0.toml", &record("root", 0, &["CCCC", "AAAA"]));
    bad("credential-shared", "weak");
    fs::remove_file(system.0.join("etc/fidokey/users/0.toml")).expect("a file");
    system.write("etc/pam.d/sudo", &format!("auth sufficient pam_unix.so\n{LINE}\n"));
    bad("stack-bypassed", "weak");
    system.write("etc/pam.d/sudo", &format!("auth requisite pam_unix.so\n{LINE}x\n"));
    bad("argument-wrong", "lockout");
}

#[test]
fn given_warnings_and_notes_alone_then_the_code_is_0() {
    let system = System::new("warnings");
    system.write("etc/fidokey/users/1000.toml", &record("alice", 1000, &["AAAA"]));
    system.write("etc/fidokey/users/.1000.toml.7.new", "");
    let (code, said) = system.doctor(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("[one-key]") && said.contains("[leftover]"), "{said}");
    assert!(said.contains("nothing would lock out or weaken a login"), "{said}");
}

#[test]
fn given_somebody_who_is_not_root_then_this_system_is_not_looked_at_and_the_code_is_4() {
    // "/" is this system, however it is said.
    for arguments in
        [["doctor"].as_slice(), &["doctor", "--root", "/"], &["doctor", "--root", "/etc/.."]]
    {
        let output = unprivileged(arguments);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(4), ""));
        assert_eq!(text(&output.stderr).lines().count(), 2, "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("sudo fidokey doctor"));
    }
}

#[test]
fn given_no_directory_then_the_code_is_5() {
    let system = System::new("none");
    let absent = format!("{}/absent", system.root());
    for root in [absent.as_str(), &format!("{}/etc/passwd", system.root())] {
        let output = doctor(&["--root", root]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(5), ""));
        assert_eq!(text(&output.stderr).lines().count(), 2, "{}", text(&output.stderr));
    }
}

// F3, F4: in place of everything that is read.
#[test]
fn given_a_fifo_a_directory_or_a_device_in_place_of_any_file_then_it_ends() {
    let system = System::new("hostile");
    for path in [
        "etc/passwd",
        "etc/fidokey/config.toml",
        "etc/fidokey/users/1000.toml",
        "etc/pam.d/sudo",
        "usr/lib/security/pam_fidokey.so",
        "var/lib/fidokey/1000.toml",
        "usr/lib/systemd/system/polkit-agent-helper@.service",
    ] {
        let place = system.0.join(path);
        let kept = fs::read(&place).ok();
        let parent = place.parent().expect("a directory");
        fs::create_dir_all(parent).expect("a directory");
        for make in [["mkfifo"].as_slice(), &["mkdir"], &["mknod", "c", "1", "5"]] {
            let _ = fs::remove_file(&place);
            let (program, more) = make.split_first().expect("a program");
            let made = command(program).arg(&place).args(more).output().expect("coreutils");
            // Only root makes devices.
            if made.status.success() {
                let output = doctor(&["--root", system.root()]);
                // Without accounts nothing can be said.
                let said = (text(&output.stdout), text(&output.stderr));
                let expected = match (path, *program) {
                    ("etc/passwd", _) => Some(5),
                    // Nobody asks for it, or there is no such service.
                    (unit, _) if unit.ends_with(".service") => Some(0),
                    ("etc/pam.d/sudo", "mkdir") => Some(0),
                    _ => Some(1),
                };
                assert_eq!(output.status.code(), expected, "{path} {make:?}: {said:?}");
                let _ = fs::remove_dir(&place);
            }
        }
        let _ = fs::remove_file(&place);
        if let Some(kept) = kept {
            system.write(path, text(&kept));
        }
    }
    assert_eq!(system.doctor(&[]).0, Some(0));
}
