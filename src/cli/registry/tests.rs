//! Changes of records, with those of others in between.

use fidokey_core::assertion::PublicKey;
use fidokey_core::credential::Algorithm;

use super::*;

const RECORD: &str = r#"
schema = 1
user = "alice"
uid = 1000

[[credential]]
name = "Key 1"
protocol = "fido2"
algorithm = "es256"
rp_id = "pam://fidokey"
id = "AAAA"
public_key = "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
verification = "none"
added = 2026-11-23T10:00:00Z
added_by = "root"
"#;

/// Of just now.
fn alice() -> Authorised<'static> {
    Authorised { by: "alice via polkit", since: clock::boottime_ns().unwrap() }
}

fn credential(name: &str) -> Credential {
    let id = fidokey_core::credential::CredentialId::new(name.as_bytes()).unwrap();
    let record = Record::parse(RECORD.as_bytes()).unwrap();
    let one = record.credentials.into_iter().next().unwrap();
    Credential { name: KeyName::new(name).unwrap(), id, ..one }
}

fn names(credentials: &[Credential]) -> Vec<&str> {
    credentials.iter().map(|credential| credential.name.as_str()).collect()
}

// E8.
#[test]
fn given_a_quicker_registration_then_a_chosen_name_is_refused_and_a_default_moves_on() {
    let model = KeyName::new("Solo 2").unwrap();
    let quicker = vec![credential("Solo 2")];
    let new = Credential { name: model.clone(), ..credential("other id") };
    let mut both = quicker.clone();
    let refused = join(&mut both, new.clone(), None);
    assert_eq!(refused.unwrap_err(), EnrollError::NameTaken);
    assert_eq!(names(&both), ["Solo 2"]);
    assert_eq!(join(&mut both, new, Some(&model)).unwrap().name.as_str(), "Solo 2 2");
    assert_eq!(names(&both), ["Solo 2", "Solo 2 2"]);
    let same_id = Credential { name: KeyName::new("Blue").unwrap(), ..credential("Solo 2") };
    let refused = join(&mut both, same_id, Some(&model));
    assert_eq!(refused.unwrap_err(), EnrollError::AlreadyRegistered);
    let mut many: Vec<Credential> =
        (0..CREDENTIALS_MAX).map(|number| credential(&format!("a{number}"))).collect();
    assert_eq!(join(&mut many, credential("b"), Some(&model)).unwrap_err(), EnrollError::Full);
}

// E5; F12: a record that is none is in nobody's way.
#[test]
fn given_an_id_that_another_account_has_then_nothing_is_written() {
    let tree = crate::doctor::scratch::Scratch::new("enroll-another");
    let account = |uid, name: &str| Account {
        uid,
        name: fidokey_core::credential::AccountName::new(name).unwrap(),
    };
    tree.write("etc/fidokey/users/1.toml", "broken");
    tree.write("etc/fidokey/users/2.toml", "");
    let places = tree.places();
    let add_for = |uid, name, key| {
        add(&places, &account(uid, name), Right::Root, credential(key), None).map(|_added| ())
    };
    add_for(1001, "bob", "a").unwrap();
    add_for(1000, "alice", "b").unwrap();
    let before = std::fs::read(tree.path("etc/fidokey/users/1000.toml")).unwrap();
    let refused = add_for(1000, "alice", "a").unwrap_err();
    assert_eq!(refused.exit(), Exit::No);
    assert!(format!("{refused:?}").contains("bob has the very same credential"), "{refused:?}");
    assert!(
        add_for(1002, "carol", "b").is_err() && !tree.path("etc/fidokey/users/1002.toml").exists()
    );
    assert_eq!(std::fs::read(tree.path("etc/fidokey/users/1000.toml")).unwrap(), before);
    add_for(1000, "alice", "c").unwrap();
}

// E2: whoever has the password alone has had it since before the first key was there.
#[test]
fn given_a_key_that_has_come_or_gone_since_the_proof_then_nothing_is_written() {
    let tree = crate::doctor::scratch::Scratch::new("registry-right");
    tree.write("etc/fidokey/config.toml", "schema = 1\nself_service = true\n");
    let places = tree.places();
    let name = fidokey_core::credential::AccountName::new("alice").unwrap();
    let hers = Account { uid: 1000, name };
    let add_by = |right: Right<'_>, key: &str| {
        add(&places, &hers, right, credential(key), None).map_err(|failed| failed.exit())
    };
    let on_disk = || std::fs::read(tree.path("etc/fidokey/users/1000.toml")).ok();

    assert_eq!(add_by(Right::Key(alice(), &credential("a")), "b").unwrap_err(), Exit::NotPermitted);
    assert_eq!(on_disk(), None);
    add_by(Right::FirstKey(alice()), "a").unwrap();
    let before = on_disk();
    // Two at once, by the password alone: the second is late.
    assert_eq!(add_by(Right::FirstKey(alice()), "b").unwrap_err(), Exit::NotPermitted);
    // A key that was removed meanwhile, and one that has its id and is another.
    assert_eq!(
        add_by(Right::Key(alice(), &credential("gone")), "b").unwrap_err(),
        Exit::NotPermitted
    );
    // The base point of edwards25519 (RFC 8032 section 5.1).
    let mut bytes = [0x66; 32];
    bytes[0] = 0x58;
    let other = PublicKey::new(Algorithm::EdDsa, &bytes).unwrap();
    let impostor = Credential { public_key: other, ..credential("a") };
    assert_eq!(add_by(Right::Key(alice(), &impostor), "b").unwrap_err(), Exit::NotPermitted);
    assert_eq!(on_disk(), before);
    // Its name is not what makes it that key.
    let renamed = Credential { name: KeyName::new("Blue").unwrap(), ..credential("a") };
    assert_eq!(add_by(Right::Key(alice(), &renamed), "b").unwrap().1, 2);
    let before = on_disk();
    for text in ["schema = 1\n", "schema = 1\nself_service = false\n"] {
        tree.write("etc/fidokey/config.toml", text);
        let late = add_by(Right::Key(alice(), &credential("a")), "c").unwrap_err();
        assert_eq!(late, Exit::NotPermitted, "{text}");
    }
    tree.write("etc/fidokey/config.toml", "schema = 1\nself_service = yes\n");
    assert_eq!(add_by(Right::Key(alice(), &credential("a")), "c").unwrap_err(), Exit::Unreadable);
    assert_eq!(on_disk(), before);
}

// Whoever owns the session can end the process between the record and what is told of it.
#[test]
fn given_a_change_of_a_users_then_the_log_has_it_before_the_record_has() {
    let tree = crate::doctor::scratch::Scratch::new("registry-intent");
    tree.write("etc/fidokey/config.toml", "schema = 1\nself_service = true\n");
    let places = tree.places();
    let name = fidokey_core::credential::AccountName::new("alice").unwrap();
    let hers = Account { uid: 1000, name };
    let own = format!(".1000.toml.{}.new", std::process::id());
    let in_the_way = tree.path("etc/fidokey/users").join(own);
    let logged = || -> Vec<String> {
        let timeless = |line: &String| line.split_once("Z ").unwrap().1.to_owned();
        let lines = crate::log::tests::taken();
        let word = |line: &String| line.split_once('=').unwrap().0.to_owned();
        lines.iter().map(|line| format!("{} {}", word(line), timeless(line))).collect()
    };
    let adds = |right: Right<'_>, key| add(&places, &hers, right, credential(key), None);
    tree.write("etc/fidokey/users/.keep", "");
    std::fs::create_dir(&in_the_way).unwrap();
    adds(Right::FirstKey(alice()), "a").unwrap_err();
    let by = "by=\"alice via polkit\"";
    assert_eq!(logged(), [format!("registering user=alice uid=1000 key=a cred=ca978112 {by}")]);
    std::fs::remove_dir(&in_the_way).unwrap();

    adds(Right::Root, "a").unwrap();
    adds(Right::Root, "b").unwrap();
    // What is refused was never about to be.
    adds(Right::FirstKey(alice()), "c").unwrap_err();
    assert!(logged().is_empty());

    let proven = credential("a");
    let right = Right::Key(alice(), &proven);
    crate::manage::renamed(&places, &hers, right, "b", &KeyName::new("c").unwrap()).unwrap();
    crate::manage::removed(&places, &hers, right, "c", |_, _| Ok(crate::needed::Needed::Nowhere))
        .unwrap();
    assert_eq!(
        logged(),
        [
            format!("renaming user=alice uid=1000 key=c cred=3e23e816 from=b {by}"),
            format!("removing user=alice uid=1000 key=c cred=3e23e816 {by}"),
        ]
    );
}

// E2: a process that was stopped in time is no password that somebody else can use later.
#[test]
fn given_a_password_of_more_than_five_minutes_ago_then_nothing_is_written() {
    let minute = 60_000_000_000;
    let since = 7 * minute;
    let given = Authorised { by: "alice via polkit", since };
    for (now, is_over) in [
        (since, false),
        (since + 5 * minute, false),
        (since + 5 * minute + 1, true),
        (u64::MAX, true),
        (since - 1, true),
    ] {
        assert_eq!(given.is_over(now), is_over, "{now}");
    }

    let tree = crate::doctor::scratch::Scratch::new("registry-late");
    tree.write("etc/fidokey/config.toml", "schema = 1\nself_service = true\n");
    tree.write("etc/fidokey/users/.keep", "");
    let places = tree.places();
    let name = fidokey_core::credential::AccountName::new("alice").unwrap();
    let hers = Account { uid: 1000, name };
    let late = Authorised { since: u64::MAX, ..alice() };
    let proven = credential("a");
    for right in [Right::FirstKey(late), Right::Key(late, &proven)] {
        let refused = add(&places, &hers, right, credential("b"), None).unwrap_err();
        assert_eq!(refused.exit(), Exit::NotPermitted);
        assert!(refused.happened().contains("more than five minutes"), "{refused:?}");
        assert!(!tree.path("etc/fidokey/users/1000.toml").exists());
        add(&places, &hers, Right::Root, credential("a"), None).map(|_added| ()).unwrap();
        std::fs::remove_file(tree.path("etc/fidokey/users/1000.toml")).unwrap();
    }
    assert!(crate::log::tests::taken().is_empty());
}
