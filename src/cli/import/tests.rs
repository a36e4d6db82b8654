//! Which files count for whom, what becomes of them in the records, and what is said. The files themselves are read in the core.

use std::path::PathBuf;

use fidokey_core::credential::AccountName;

use super::module::Module;
use super::*;
use crate::arguments::PamU2f;
use crate::doctor::scratch::{LINE, Scratch};

const CENTRAL: &str = include_str!("../../../tests/golden/pam-u2f/central");
const OLD: &str = include_str!("../../../tests/golden/pam-u2f/old");
const ECDSA: &str = include_str!("../../../tests/golden/ssh/ecdsa");
const ECDSA_PUB: &str = include_str!("../../../tests/golden/ssh/ecdsa.pub");
const NO_TOUCH: &str = include_str!("../../../tests/golden/ssh/notouch");

fn account(uid: u32, name: &str) -> Account {
    Account { uid, name: AccountName::new(name).unwrap() }
}

fn accounts_of_the_machine(name: &AccountName) -> Result<Option<Account>, Failure> {
    let known = [account(0, "root"), account(1000, "alice"), account(1001, "bob")];
    Ok(known.into_iter().find(|known| known.name == *name))
}

fn file(owner: u32, text: &str) -> File {
    let bytes = text.as_bytes().to_vec().into();
    File { read: Foreign { bytes, owner, brought: false }, shown: "FILE".to_owned() }
}

fn nothing_said() -> Common {
    Common { protocol: None, verification: None, dry_run: false }
}

fn module() -> Module {
    let rp_id = |text| RpId::new(text).ok();
    Module { origin: rp_id("pam://origin"), appid: rp_id("pam://appid"), ..Module::default() }
}

fn mapping(common: Common, user: Option<&str>, owner: u32, text: &str) -> Imported {
    let asked = PamU2f {
        file: PathBuf::from("FILE"),
        user: user.map(|name| AccountName::new(name).unwrap()),
        service: None,
        origin: None,
        appid: None,
        common,
    };
    let file = file(owner, text);
    pam_u2f::gather(&asked, &file, &module(), &mut accounts_of_the_machine).unwrap()
}

/// What was found: whose, bound to what, of what generation, with what to prove.
fn found(imported: &Imported) -> Vec<(&str, &str, Protocol, Verification)> {
    let what = |one: &'_ Found| (one.protocol, one.verification);
    let whose = imported.found.iter().map(|one| (one.account.name.as_str(), one.rp_id.as_str()));
    let found = whose.zip(imported.found.iter().map(what));
    found
        .map(|((user, rp_id), (protocol, verification))| (user, rp_id, protocol, verification))
        .collect()
}

/// What the records hold after `imported` was carried over, and what was said to be there.
fn carried(tree: &Scratch, imported: &mut Imported) -> Carried {
    let mut told = Vec::new();
    let mut tell = |_: &Account, one: &Credential, _: usize| told.push(one.name.clone());
    let (by, when) = ("root, from pam-u2f", "2026-11-26T10:00:00Z");
    let carried = imported.carry(&tree.places(), by, when, Some(&mut tell)).unwrap();
    assert_eq!(told.len(), carried.over.len(), "each is told");
    carried
}

fn record(tree: &Scratch, uid: u32) -> Record {
    let path = tree.path(&format!("etc/fidokey/users/{uid}.toml"));
    Record::parse(&std::fs::read(path).unwrap()).unwrap()
}

// I11.
#[test]
fn given_a_central_file_then_all_of_its_accounts_keep_keys_options_and_rp_id() {
    let imported = mapping(nothing_said(), None, 0, CENTRAL);
    let (none, required) = (Verification::None, Verification::Required);
    let (alice, bob) = (
        ("alice", "pam://origin", Protocol::Fido2, none),
        ("bob", "pam://origin", Protocol::Fido2, required),
    );
    assert_eq!(found(&imported), [alice, alice, bob, bob]);
    assert_eq!(imported.left, ["line 3: carol: there is no such account."]);
    let imported = mapping(nothing_said(), Some("bob"), 0, CENTRAL);
    assert_eq!(found(&imported), [bob, bob]);
    assert!(imported.left.is_empty());
    let imported = mapping(nothing_said(), None, 0, OLD);
    assert_eq!(found(&imported), [("alice", "pam://appid", Protocol::U2f, none)]);
}

// I11: the file of a person, who can write a line for root into it.
#[test]
fn given_a_file_that_is_not_roots_then_it_speaks_of_its_owner_alone() {
    let text = format!("{}{}", CENTRAL.replace("alice:", "root:"), OLD);
    let imported = mapping(nothing_said(), None, 1000, &text);
    assert_eq!(found(&imported).len(), 1);
    assert_eq!(found(&imported)[0].0, "alice");
    let silenced = |line: &String| line.contains("may write anything into it");
    assert_eq!(
        imported.left.iter().filter(|line| silenced(line)).count(),
        2,
        "{:?}",
        imported.left
    );
    let keys = [file(1001, ECDSA)];
    let imported = ssh::gather(&nothing_said(), &keys, &account(1000, "alice"));
    assert!(imported.found.is_empty() && silenced(&imported.left[0]));
}

// I11: more can be asked for, less cannot, and a u2f credential that would have to prove more is none.
#[test]
fn given_what_is_asked_for_then_nothing_becomes_weaker() {
    let asked = |protocol, verification| Common { protocol, verification, dry_run: false };
    let (none, required) = (Some(Verification::None), Some(Verification::Required));
    let verifications = |common| -> Vec<Verification> {
        mapping(common, Some("bob"), 0, CENTRAL).found.iter().map(|one| one.verification).collect()
    };
    assert_eq!(verifications(asked(None, none)), [Verification::Required; 2]);
    let imported = mapping(asked(None, required), Some("alice"), 0, CENTRAL);
    assert!(imported.found.iter().all(|one| one.verification == Verification::Required));
    for (common, text) in [
        (asked(Some(Protocol::U2f), None), CENTRAL.lines().nth(1).unwrap()),
        (asked(None, required), OLD),
    ] {
        let imported = mapping(common, None, 0, text);
        assert!(imported.found.is_empty());
        assert!(imported.left[0].contains("neither PIN nor fingerprint"), "{:?}", imported.left);
    }
}

// I11: a line that pam-u2f does not use is no way in.
#[test]
fn given_a_line_that_is_not_used_then_it_is_said_and_left() {
    let imported = mapping(nothing_said(), None, 0, &format!("{OLD}alice:\n"));
    assert!(imported.found.is_empty());
    assert_eq!(imported.left.len(), 2);
    assert!(imported.left[0].starts_with("line 1: alice: pam-u2f does not use it, but line 2"));
    assert_eq!(imported.left[1], "line 2: alice: it has no keys.");
}

// I11, E5, E8: once more changes nothing, nobody gets another's, and what is there stays as it is.
#[test]
fn given_an_import_then_the_records_are_whole_and_a_second_one_changes_nothing() {
    let tree = Scratch::new("import-twice");
    let mut imported = mapping(nothing_said(), None, 0, CENTRAL);
    assert_eq!(carried(&tree, &mut imported).over.len(), 4);
    let alice = record(&tree, 1000);
    let names: Vec<&str> = alice.credentials.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["pam-u2f 1", "pam-u2f 2"]);
    assert_eq!(alice.credentials[0].added_by, "root, from pam-u2f");
    let before = alice.to_toml();
    let mut again = mapping(nothing_said(), None, 0, CENTRAL);
    let second = carried(&tree, &mut again);
    assert_eq!((second.over.len(), second.there.len(), again.left.len()), (0, 4, 1));
    assert_eq!(record(&tree, 1000).to_toml(), before);
    // The same key under another name, and with more to prove than it has to now.
    let swapped = CENTRAL.lines().next().unwrap().replace("alice:", "bob:");
    let mut imported = mapping(nothing_said(), None, 0, &swapped);
    assert!(carried(&tree, &mut imported).over.is_empty());
    assert!(imported.left.iter().all(|line| line.contains("alice has the very same credential")));
    let more = Common { verification: Some(Verification::Required), ..nothing_said() };
    let mut imported = mapping(more, Some("alice"), 0, CENTRAL);
    assert!(carried(&tree, &mut imported).over.is_empty());
    assert!(imported.left[0].contains("remove it first"), "{:?}", imported.left);
    assert_eq!(record(&tree, 1000).to_toml(), before);
}

#[test]
fn given_a_dry_run_or_a_record_that_is_broken_then_nothing_is_written() {
    let tree = Scratch::new("import-dry");
    let mut imported = mapping(nothing_said(), None, 0, CENTRAL);
    let places = tree.places();
    let dry = imported.carry(&places, "root", "2026-11-26T10:00:00Z", None).unwrap();
    assert_eq!(dry.over.len(), 4);
    assert!(!tree.path("etc/fidokey/users/1000.toml").exists());
    tree.write("etc/fidokey/users/1000.toml", "broken");
    let mut imported = mapping(nothing_said(), None, 0, CENTRAL);
    let carried = carried(&tree, &mut imported);
    assert_eq!(carried.over.len(), 2);
    assert_eq!(std::fs::read(tree.path("etc/fidokey/users/1000.toml")).unwrap(), b"broken");
    assert_eq!(imported.left.iter().filter(|line| line.contains("1000.toml")).count(), 2);
}

// I11, E7: what could not be written is said of those keys alone, and what was written is told.
#[test]
fn given_a_record_that_cannot_be_written_then_the_other_accounts_have_theirs() {
    let tree = Scratch::new("import-large");
    let mut imported = mapping(nothing_said(), None, 0, CENTRAL);
    let one = imported.found[0].clone();
    // More than a record may have, in bytes.
    let large =
        (1..=60).map(|n| Found { id: CredentialId::new(&[n; 1023]).unwrap(), ..one.clone() });
    imported.found.extend(large);
    let before = imported.left.len();
    let carried = carried(&tree, &mut imported);
    let users: Vec<&str> = carried.over.iter().map(|(account, _)| account.name.as_str()).collect();
    assert_eq!(users, ["bob", "bob"]);
    assert!(!tree.path("etc/fidokey/users/1000.toml").exists());
    assert_eq!(record(&tree, 1001).credentials.len(), 2);
    let left = imported.left.get(before..).unwrap();
    assert_eq!(left.len(), 62);
    assert!(!left[0].contains("Nothing was written"), "{left:?}");
}

// I11: the names in a file of somebody's are not all asked for.
#[test]
fn given_a_file_that_is_not_roots_with_many_names_then_few_are_looked_up() {
    let text: String = (0..1000).map(|n| format!("user{n}:\n")).collect();
    let mut asked_for = Vec::new();
    let mut count = |name: &AccountName| {
        asked_for.push(name.clone());
        accounts_of_the_machine(name)
    };
    let asked = PamU2f {
        file: PathBuf::from("FILE"),
        user: None,
        service: None,
        origin: None,
        appid: None,
        common: nothing_said(),
    };
    let imported = pam_u2f::gather(&asked, &file(1000, &text), &module(), &mut count).unwrap();
    assert_eq!((asked_for.len(), imported.left.len()), (8, 1000));
}

// I11.
#[test]
fn given_sshs_files_then_only_what_the_public_ones_let_in_is_carried_over() {
    let alice = account(1000, "alice");
    let left = |files: &[File]| {
        let imported = ssh::gather(&nothing_said(), files, &alice);
        (found(&imported).len(), imported.left.join("\n"))
    };
    let private = || file(1000, ECDSA);
    assert_eq!(left(&[private()]), (1, String::new()));
    assert_eq!(left(&[private(), file(0, ECDSA_PUB)]), (1, String::new()));
    let (count, told) = left(&[file(0, ECDSA_PUB)]);
    assert!(count == 0 && told.starts_with("FILE: line 1: its private key file"), "{told}");
    let (count, told) = left(&[private(), file(0, NO_TOUCH), file(0, ECDSA_PUB)]);
    assert!(
        count == 1 && told == "FILE: no line of the public keys that were named lets it in.",
        "{told}"
    );
    let (count, told) = left(&[private(), file(0, &format!("from=\"::1\" {ECDSA_PUB}"))]);
    assert!(count == 0 && told.contains("FILE: line 1: its options limit it"), "{told}");
    // Nor where another line, such as that of the .pub file, says nothing of a limit.
    for limit in ["from=\"::1\"", "verify-required", "restrict,pty", "command=\"true\""] {
        let limited = || file(0, &format!("{limit} {ECDSA_PUB}"));
        for files in [
            [private(), file(0, ECDSA_PUB), limited()],
            [limited(), private(), file(0, ECDSA_PUB)],
            [private(), limited(), file(0, &format!("{ECDSA_PUB}\n{ECDSA_PUB}"))],
        ] {
            let (count, told) = left(&files);
            assert!(
                count == 0 && told.contains("FILE: FILE: line 1 does not let it in everywhere"),
                "{told}"
            );
        }
    }
    let imported = ssh::gather(&nothing_said(), &[private()], &alice);
    assert_eq!(found(&imported), [("alice", "ssh:work", Protocol::Fido2, Verification::None)]);
    assert_eq!(imported.found[0].name(&[]).unwrap().as_str(), "work key");
}

#[test]
fn given_any_comment_then_it_becomes_a_name_that_is_free() {
    let one =
        ssh::gather(&nothing_said(), &[file(0, ECDSA)], &account(1000, "alice")).found.remove(0);
    let tree = Scratch::new("import-names");
    let mut names = Vec::new();
    for (comment, id) in [
        ("a\"\\b\u{1b} ", b"1"),
        ("ab", b"2"),
        (&"x".repeat(40), b"3"),
        (&"x".repeat(40), b"4"),
        ("\u{202e}", b"5"),
    ] {
        let id = CredentialId::new(id).unwrap();
        let found = vec![Found { name: comment.to_owned(), id, ..one.clone() }];
        let mut imported = Imported { found, left: Vec::new() };
        names.extend(
            carried(&tree, &mut imported).over.into_iter().map(|(_, one)| one.name.to_string()),
        );
    }
    let long = "x".repeat(32);
    assert_eq!(names, ["ab", "ab 2", &long, &format!("{} 2", "x".repeat(30)), "Key"]);
}

#[test]
fn given_a_file_that_cannot_be_read_then_the_remedy_is_for_it() {
    let tree = Scratch::new("import-unread");
    let failure = |path: &Path| File::read(path).map(|_read| ()).unwrap_err();
    let told = format!("{:?}", failure(&tree.path("none")));
    assert!(told.contains("there is no such file"), "{told}");
    tree.write("file", "secret");
    tree.mode("file", 0o666);
    let told = format!("{:?}", failure(&tree.path("file")));
    assert!(told.contains("chmod go-w") && !told.contains("secret"), "{told}");
    assert_eq!(failure(&tree.path("etc")).exit(), Exit::Unreadable);
}

// E15 has the exit codes: whatever is not carried over is said, and what to do then.
#[test]
fn given_nothing_or_not_all_then_two_lines_say_so_and_the_exit_code_is_1() {
    let tree = Scratch::new("import-left");
    let nothing = Imported::default().finish(&tree.places(), "ssh", true).unwrap_err();
    assert_eq!(nothing.exit(), Exit::No);
    assert!(format!("{nothing:?}").contains("There is nothing to carry over."), "{nothing:?}");
    let mut imported = Imported::default();
    imported.leave("line 3", "no key");
    let left = imported.finish(&tree.places(), "ssh", true).unwrap_err();
    assert_eq!(left.exit(), Exit::No);
    assert!(format!("{left:?}").contains("for the reasons above: 1."), "{left:?}");
}

// I11, E9: an account that was left to its password is not denied from then on.
#[test]
fn given_keys_that_a_service_would_deny_for_then_they_wait_for_one_that_is_enough() {
    let tree = Scratch::new("import-more");
    tree.write("etc/pam.d/sudo", format!("auth requisite pam_unix.so\n{LINE}\n"));
    tree.write(
        "etc/fidokey/config.toml",
        "schema = 1\n[service.sudo]\nverification = \"required\"\n",
    );
    let mut imported = mapping(nothing_said(), None, 0, OLD);
    assert!(carried(&tree, &mut imported).over.is_empty());
    assert!(
        imported.left[0].contains("sudo asks for a PIN or a fingerprint"),
        "{:?}",
        imported.left
    );
    assert!(!tree.path("etc/fidokey/users/1000.toml").exists());
    // Beside one that is, they are of use to other services.
    tree.write(
        "etc/fidokey/users/1000.toml",
        crate::doctor::scratch::record("alice", 1000, &["Blue"]),
    );
    let mut imported = mapping(nothing_said(), None, 0, OLD);
    assert_eq!(carried(&tree, &mut imported).over.len(), 1);
}

// I11: a disk that somebody has brought has the owners that they have given it.
#[test]
fn given_a_file_on_a_disk_that_somebody_may_have_brought_then_its_owner_speaks_for_nobody() {
    let mut file = file(1001, CENTRAL);
    assert!(file.is_no_guests().is_ok());
    file.read.brought = true;
    let refused = file.is_no_guests().unwrap_err();
    assert!(refused.happened().contains("a disk that somebody has brought"), "{refused:?}");
}

// I11: a list that does not count limits all the same.
#[test]
fn given_public_keys_of_somebody_else_then_no_private_key_is_taken_without_them() {
    let alice = account(1000, "alice");
    let files = [file(1000, ECDSA), file(1001, ECDSA_PUB)];
    let imported = ssh::gather(&nothing_said(), &files, &alice);
    assert!(imported.found.is_empty());
    assert_eq!(imported.left.len(), 2, "{:?}", imported.left);
}
