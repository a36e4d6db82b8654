//! Each finding about records, with its exit code.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{chown, symlink};

use crate::doctor::scratch::{Scratch, credential, record};

const ALICE: &str = "etc/fidokey/users/1000.toml";

/// What is found where alice's record is `text`, and the exit code.
fn of(name: &str, text: &str) -> (Vec<String>, u8) {
    let tree = Scratch::new(name);
    tree.write(ALICE, text);
    (tree.found(), tree.exit())
}

fn one(kind: &str) -> Vec<String> {
    vec![format!("{kind} /{ALICE}")]
}

// I8.
#[test]
fn given_accounts_with_two_keys_then_nothing_is_found_and_all_of_it_was_looked_at() {
    let tree = Scratch::new("records-good");
    tree.write(ALICE, record("alice", 1000, &["a", "b"]));
    tree.write("etc/fidokey/users/1001.toml", record("bob", 1001, &["c", "d", "e"]));
    tree.write("etc/fidokey/users/.lock", "");
    assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
    assert!(tree.text().contains("\n2 accounts, 5 keys, 0 services"), "{}", tree.text());
}

// I8.
#[test]
fn given_an_account_with_one_key_then_it_is_a_warning() {
    let tree = Scratch::new("records-one");
    tree.write(ALICE, record("alice", 1000, &["a"]));
    assert_eq!((tree.found(), tree.exit()), (one("one-key"), 0));
    assert!(tree.text().contains("the policy says no way back"), "{}", tree.text());
    tree.write("etc/fidokey/config.toml", "schema = 1\nway_back = \"root at the console\"\n");
    assert_eq!((tree.found(), tree.exit()), (one("one-key"), 0));
    assert!(tree.text().contains("the way back is \"root at the console\""), "{}", tree.text());
}

// F1, F6, F8, F16, I8.
#[test]
fn given_a_record_that_a_login_would_not_trust_then_it_is_a_lockout() {
    let tree = Scratch::new("records-unsafe");
    let good = record("alice", 1000, &["a", "b"]);
    let unsafe_record = |remedy: &str| {
        assert_eq!((tree.found(), tree.exit()), (one("record-unsafe"), 1));
        assert!(tree.text().contains(remedy) && tree.text().contains("alice is denied: "));
        let _ = fs::remove_file(tree.path(ALICE));
    };
    tree.write(ALICE, "");
    unsafe_record("`rm ");
    tree.write(ALICE, &good);
    tree.mode(ALICE, 0o666);
    unsafe_record("`chmod go-w ");
    tree.write("elsewhere", &good);
    fs::hard_link(tree.path("elsewhere"), tree.path(ALICE)).unwrap();
    unsafe_record("`cp -p ");
    symlink(tree.path("elsewhere"), tree.path(ALICE)).unwrap();
    unsafe_record("`ls -l ");
    tree.write(ALICE, vec![b'#'; 64 * 1024 + 1]);
    unsafe_record("larger than 64 KiB");
    fs::create_dir(tree.path(ALICE)).unwrap();
    assert_eq!(tree.found(), one("record-unsafe"));
    fs::remove_dir(tree.path(ALICE)).unwrap();
    tree.write(ALICE, &good);
    // Only root can give a file away.
    if chown(tree.path(ALICE), Some(4711), None).is_ok() {
        unsafe_record("`chown root:root ");
    }
}

// F6, F10, I8.
#[test]
fn given_a_directory_that_a_login_would_not_trust_then_everybody_is_locked_out() {
    let tree = Scratch::new("records-directory");
    for level in ["etc/fidokey/users", "etc/fidokey", "etc", ""] {
        tree.mode(level, 0o777);
        let found = tree.found();
        assert!(
            found.contains(&format!("records-unsafe /{level}").trim_end_matches('/').to_owned())
        );
        assert_eq!(tree.exit(), 1);
        tree.mode(level, 0o755);
    }
    fs::remove_dir(tree.path("etc/fidokey/users")).unwrap();
    assert_eq!(tree.found(), ["records-unsafe /etc/fidokey/users"]);
    assert!(tree.text().contains("`install -d -m 0755 "), "{}", tree.text());
}

// K1, I8.
#[test]
fn given_an_unknown_key_or_no_toml_at_all_then_it_is_a_lockout_at_its_place() {
    let misspelt = record("alice", 1000, &["a"]).replace("uid = ", "uit = ");
    let place = format!("record-wrong /{ALICE}:3:1");
    assert_eq!(of("records-misspelt", &misspelt), (vec![place], 1));
    let (found, exit) = of("records-binary", "\u{0}\u{1b}[2J");
    assert!(found.len() == 1 && found[0].starts_with(&format!("record-wrong /{ALICE}:1:")));
    assert_eq!(exit, 1);
}

// U12, I8.
#[test]
fn given_a_name_service_that_fails_then_it_is_a_lockout() {
    let tree = Scratch::new("records-lookup");
    tree.write(ALICE, record("alice", 1000, &["a", "b"]));
    let report = tree.examine_with(crate::doctor::world::Accounts::Fails);
    let words: Vec<&str> = report.findings.iter().map(|finding| finding.kind.row().word).collect();
    assert_eq!(words, ["account-lookup", "nobody-asked"]);
    assert!(report.is_bad() && report.text().contains("getpwuid_r failed (error 5)"));
}

// I10.
#[test]
fn given_a_record_of_a_newer_version_then_that_is_what_is_said() {
    let newer = record("alice", 1000, &["a"]).replace("schema = 1", "schema = 2\nnew = true");
    let tree = Scratch::new("records-newer");
    tree.write(ALICE, newer);
    assert_eq!((tree.found(), tree.exit()), (vec![format!("record-newer /{ALICE}:1:10")], 1));
    assert!(tree.text().contains("this version reads schema 1 only"));
}

// K7.
#[test]
fn given_a_credential_twice_in_one_record_then_it_is_a_lockout() {
    let mut twice = record("alice", 1000, &["a", "b"]);
    twice += &credential("a", "fido2", "none").replace("name = \"a\"", "name = \"c\"");
    let tree = Scratch::new("records-duplicate");
    tree.write(ALICE, twice);
    let found = tree.found();
    assert!(found.len() == 1 && found[0].starts_with("credential-duplicate "), "{found:?}");
    assert_eq!(tree.exit(), 1);
}

// K7.
#[test]
fn given_a_credential_in_two_accounts_records_then_it_is_a_weakness() {
    let tree = Scratch::new("records-shared");
    tree.write(ALICE, record("alice", 1000, &["a", "b"]));
    let bob = record("bob", 1001, &["c", "a"]);
    tree.write("etc/fidokey/users/1001.toml", bob);
    assert_eq!(tree.found(), ["credential-shared /etc/fidokey/users/1001.toml"]);
    assert_eq!(tree.exit(), 1);
    assert!(tree.text().contains("\"a\" of bob is the same credential as one of alice"));
}

// F15, S11, I8.
#[test]
fn given_an_account_that_has_another_name_now_then_it_is_a_lockout() {
    // Renamed: nobody is called carol.
    let tree = Scratch::new("records-renamed");
    tree.write(ALICE, record("carol", 1000, &["a", "b"]));
    assert_eq!((tree.found(), tree.exit()), (one("record-renamed"), 1));
    assert!(tree.text().contains("`user = \"alice\"`"), "{}", tree.text());
    // The number was given to somebody else.
    tree.write(ALICE, record("bob", 1000, &["a", "b"]));
    assert_eq!((tree.found(), tree.exit()), (one("record-renamed"), 1));
    assert!(tree.text().contains("whose number is 1001 now"), "{}", tree.text());
    // A copy under another number.
    tree.write(ALICE, record("alice", 1001, &["a", "b"]));
    assert_eq!((tree.found(), tree.exit()), (one("record-wrong"), 1));
}

// F15, S11, I8.
#[test]
fn given_an_account_that_has_another_number_or_is_gone_then_it_is_said() {
    let tree = Scratch::new("records-moved");
    let moved = "etc/fidokey/users/2000.toml";
    tree.write(moved, record("alice", 2000, &["a", "b"]));
    assert_eq!((tree.found(), tree.exit()), (vec![format!("record-moved /{moved}")], 1));
    // Registered again under the new number: the old record is nobody's.
    tree.write(ALICE, record("alice", 1000, &["c", "d"]));
    assert_eq!((tree.found(), tree.exit()), (vec![format!("record-orphaned /{moved}")], 0));
    for unusable in ["", "schema = 2\n", "x"] {
        tree.write(moved, unusable);
        let found = tree.found();
        assert!(found.len() == 1 && found[0] == format!("record-orphaned /{moved}"), "{found:?}");
        assert_eq!(tree.exit(), 0);
    }
    tree.write(moved, record("carol", 2000, &["a", "b"]));
    assert_eq!((tree.found(), tree.exit()), (vec![format!("record-orphaned /{moved}")], 0));
}

// I8.
#[test]
fn given_keys_that_cannot_prove_what_their_record_wants_then_it_is_a_lockout() {
    let text = record("alice", 1000, &[])
        + &credential("a", "u2f", "required")
        + &credential("b", "u2f", "required");
    assert_eq!(of("records-hopeless", &text), (one("verification-impossible"), 1));
    let text = text + &credential("c", "u2f", "none");
    assert_eq!(of("records-hopeless", &text), (Vec::new(), 0));
}

// I8.
#[test]
fn given_another_relying_party_then_it_is_a_note() {
    let tree = Scratch::new("records-rp-id");
    tree.write(ALICE, record("alice", 1000, &["a", "b"]));
    tree.write("etc/fidokey/config.toml", "schema = 1\nrp_id = \"pam://example\"\n");
    assert_eq!((tree.found(), tree.exit()), (one("rp-id"), 0));
}

// E7.
#[test]
fn given_what_nobody_reads_then_it_is_said_and_not_bad() {
    let tree = Scratch::new("records-names");
    let users = tree.path("etc/fidokey/users");
    for name in ["alice.toml", "01000.toml", "+1.toml", "4294967296.toml", "1000.toml~", "-1.toml"]
    {
        fs::write(users.join(name), "").unwrap();
    }
    fs::write(users.join(std::ffi::OsStr::from_bytes(b"\xff\x1b[2J.toml")), "").unwrap();
    fs::write(users.join(".1000.toml.123.new"), "schema").unwrap();
    let found = tree.found();
    assert_eq!(found.iter().filter(|found| found.starts_with("record-name ")).count(), 7);
    assert_eq!(found.last().unwrap(), "leftover /etc/fidokey/users/.1000.toml.123.new");
    assert_eq!((found.len(), tree.exit()), (8, 0));
    assert!(!tree.text().contains('\u{1b}'));
}

// I8: ten thousand of everything that a directory can hold.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test may look at the clock")]
fn given_ten_thousand_records_and_what_is_none_then_it_ends_soon() {
    let tree = Scratch::new("records-many");
    let users = tree.path("etc/fidokey/users");
    let text = record("nobody", 1, &["a"]);
    for uid in 0..10_000_u32 {
        let path = users.join(format!("{}.toml", uid + 10_000));
        match uid % 5 {
            0 => symlink("/dev/zero", path).unwrap(),
            1 => fs::File::create(path).unwrap().set_len(3 << 30).unwrap(),
            2 => fs::write(path, [b'['; 60_000]).unwrap(),
            _ => fs::write(path, &text).unwrap(),
        }
    }
    let start = std::time::Instant::now();
    let report = tree.examine();
    assert!(start.elapsed() < std::time::Duration::from_secs(60), "{:?}", start.elapsed());
    // And that no stack names the module.
    assert_eq!(report.findings.len(), 10_001);
    assert!(report.text().lines().count() < 60);
    fs::remove_dir_all(&users).unwrap();
}
