//! Keys renamed and removed, in records of their own.

use std::fs;

use fidokey_core::credential::AccountName;

use super::*;
use crate::doctor::scratch::{LINE, Scratch, credential, record as text};
use crate::registry::Authorised;

fn alice() -> Account {
    Account { uid: 1000, name: AccountName::new("alice").unwrap() }
}

fn name(text: &str) -> KeyName {
    KeyName::new(text).unwrap()
}

/// Alice's keys in a system of her own.
fn keys(test: &str, names: &[&str]) -> Scratch {
    let tree = Scratch::new(test);
    tree.write("etc/fidokey/users/1000.toml", text("alice", 1000, names));
    tree
}

fn names(tree: &Scratch) -> Vec<String> {
    let file = tree.places().read_record(1000).unwrap();
    let record = file.map(|file| Record::parse(&file.text).unwrap());
    let credentials = record.map(|record| record.credentials).unwrap_or_default();
    credentials.iter().map(|credential| credential.name.to_string()).collect()
}

/// The only key that there is.
fn only(tree: &Scratch) -> Credential {
    let file = tree.places().read_record(1000).unwrap().unwrap();
    Record::parse(&file.text).unwrap().credentials.remove(0)
}

fn says(failure: &Failure, exit: Exit, words: &str) {
    assert_eq!(failure.exit(), exit, "{failure:?}");
    assert!(format!("{failure:?}").contains(words), "{failure:?}");
}

#[test]
fn given_a_new_name_then_nothing_else_of_the_record_changes() {
    let tree = keys("manage-rename", &["Blue", "Green"]);
    let path = tree.path("etc/fidokey/users/1000.toml");
    let places = tree.places();
    // As it is written: what is in there otherwise is a test's.
    renamed(&places, &alice(), Right::Root, "Blue", &name("Blue")).unwrap();
    let before = fs::read_to_string(&path).unwrap();
    assert_eq!(
        renamed(&places, &alice(), Right::Root, "Blue", &name("Red")).unwrap().0,
        name("Blue")
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), before.replace("\"Blue\"", "\"Red\""));
    let taken = renamed(&places, &alice(), Right::Root, "Red", &name("Green")).unwrap_err();
    says(&taken, Exit::No, "already has a key of that name");
    let none = renamed(&places, &alice(), Right::Root, "Blue", &name("White")).unwrap_err();
    says(&none, Exit::No, "alice has no key");
    assert_eq!(names(&tree), ["Red", "Green"]);
}

#[test]
fn given_the_tag_of_the_list_then_it_is_that_key() {
    let tree = keys("manage-tag", &["Blue", "Green"]);
    let places = tree.places();
    let file = places.read_record(1000).unwrap().unwrap();
    let tags: Vec<String> =
        Record::parse(&file.text).unwrap().credentials.iter().map(record::tag).collect();
    renamed(&places, &alice(), Right::Root, &tags[1], &name("White")).unwrap();
    assert_eq!(names(&tree), ["Blue", "White"]);
    // Nobody calls a key as the log calls another one.
    let taken = renamed(&places, &alice(), Right::Root, "Blue", &name(&tags[1])).unwrap_err();
    says(&taken, Exit::No, "already has a key of that name");
    // Where somebody has written that into the record, neither is removed by it.
    let path = "etc/fidokey/users/1000.toml";
    let text = fs::read_to_string(tree.path(path)).unwrap();
    tree.write(path, text.replace("\"Blue\"", &format!("\"{}\"", tags[1])));
    let none = |_: &[Credential], _: &[Credential]| Ok(Needed::Nowhere);
    let refused = removed(&places, &alice(), Right::Root, &tags[1], none).unwrap_err();
    says(&refused, Exit::No, "is the name of one key of alice and the CRED of another");
    assert_eq!(names(&tree), [tags[1].as_str(), "White"]);
    removed(&places, &alice(), Right::Root, "White", none).unwrap();
    removed(&places, &alice(), Right::Root, &tags[1], none).unwrap();
    assert_eq!(names(&tree), [""; 0]);
}

// E9: the last one that is enough is the last one.
#[test]
fn given_a_service_that_wants_a_pin_then_the_last_key_that_has_one_takes_force() {
    let tree = Scratch::new("manage-more");
    let places = tree.places();
    let path = "etc/fidokey/users/1000.toml";
    tree.write(path, text("alice", 1000, &["Blue"]) + &credential("Old", "u2f", "none"));
    tree.write("etc/pam.d/sudo", format!("auth requisite pam_unix.so\n{LINE}\n"));
    tree.write(
        "etc/fidokey/config.toml",
        "schema = 1\n[service.sudo]\nverification = \"required\"\n",
    );
    let asks = |before: &[Credential], left: &[Credential]| needed(&places, before, left);
    let refused = removed(&places, &alice(), Right::Root, "Blue", asks).unwrap_err();
    says(
        &refused,
        Exit::No,
        "sudo asks for a PIN or a fingerprint, which no other key of alice proves",
    );
    removed(&places, &alice(), Right::Root, "Old", asks).unwrap();
    assert_eq!(names(&tree), ["Blue"]);
    // What proves nothing is no loss, and what only an alternative asks for the password stands in for.
    tree.write(
        path,
        text("alice", 1000, &[])
            + &credential("Old", "u2f", "none")
            + &credential("Older", "u2f", "none"),
    );
    removed(&places, &alice(), Right::Root, "Old", asks).unwrap();
    let both = || text("alice", 1000, &["Blue"]) + &credential("Old", "u2f", "none");
    tree.write(path, both());
    let line = LINE.replace("mode=second-factor", "mode=alternative");
    assert_ne!(line, LINE);
    tree.write("etc/pam.d/sudo", format!("{line}\nauth requisite pam_unix.so\n"));
    removed(&places, &alice(), Right::Root, "Blue", asks).unwrap();
    // A login from elsewhere wants it where nothing else does; what stands in no service is nobody's.
    tree.write(path, both());
    tree.write("etc/pam.d/sudo", format!("auth requisite pam_unix.so\n{LINE}\n"));
    tree.write("etc/fidokey/config.toml", "schema = 1\n[service.sudo]\nremote = \"verify\"\n");
    let refused = removed(&places, &alice(), Right::Root, "Blue", asks).unwrap_err();
    says(&refused, Exit::No, "sudo asks for a PIN or a fingerprint");
    // Also where another service includes it, as on Fedora.
    tree.write("etc/pam.d/sudo-i", "auth include sudo\n");
    let refused = removed(&places, &alice(), Right::Root, "Blue", asks).unwrap_err();
    says(&refused, Exit::No, "sudo asks for a PIN or a fingerprint");
    fs::remove_file(tree.path("etc/pam.d/sudo-i")).unwrap();
    fs::rename(tree.path("etc/pam.d/sudo"), tree.path("etc/pam.d/sudo.dpkg-old")).unwrap();
    removed(&places, &alice(), Right::Root, "Blue", asks).unwrap();
}

// E9.
#[test]
fn given_the_last_key_and_a_service_that_asks_for_it_then_it_takes_force() {
    let tree = keys("manage-last", &["Blue", "Green"]);
    let places = tree.places();
    let asks = |before: &[Credential], left: &[Credential]| needed(&places, before, left);
    // No stack asks for a key yet.
    assert_eq!(asks(&[], &[]).unwrap(), Needed::Nowhere);
    tree.write("etc/pam.d/sudo", format!("auth requisite pam_unix.so\n{LINE}\n"));
    assert_eq!(asks(&[], &[]).unwrap(), Needed::Weaker("sudo".to_owned()));
    removed(&places, &alice(), Right::Root, "Green", asks).unwrap();
    let before = fs::read(tree.path("etc/fidokey/users/1000.toml")).unwrap();
    let refused = removed(&places, &alice(), Right::Root, "Blue", asks).unwrap_err();
    says(&refused, Exit::No, "alice would have no key, and sudo ask for none");
    says(
        &refused,
        Exit::No,
        &format!("`fidokey remove --user alice --force {}`", record::tag(&only(&tree))),
    );
    // What is root's alone is nobody else's way out.
    let (proven, by) = (only(&tree), "alice via polkit");
    let since = clock::boottime_ns().unwrap();
    tree.write("etc/fidokey/config.toml", "schema = 1\nself_service = true\n");
    let own = Right::Key(Authorised { by, since }, &proven);
    let refused = removed(&places, &alice(), own, "Blue", asks).unwrap_err();
    says(&refused, Exit::No, "Register another key first: `fidokey enroll`.");
    tree.write("etc/fidokey/config.toml", "schema = 1\n[service.sudo]\nunenrolled = \"deny\"\n");
    let refused = removed(&places, &alice(), Right::Root, "Blue", asks).unwrap_err();
    says(&refused, Exit::No, "without a key alice is not let in by sudo");
    // Who cannot say what is in force does not say that nobody asks.
    tree.write("etc/fidokey/config.toml", "schema = 1\nunenroled = \"deny\"\n");
    let refused = removed(&places, &alice(), Right::Root, "Blue", asks).unwrap_err();
    assert_eq!(refused.exit(), Exit::Unreadable);
    tree.write("etc/fidokey/config.toml", "schema = 1\n");
    tree.write("etc/pam.d/sudo", format!("{LINE} nouserok\n"));
    assert_eq!(asks(&[], &[]).unwrap(), Needed::Denied("sudo".to_owned()));
    // Nor does what no stack is to us, and may be to another release of libpam.
    tree.write("etc/pam.d/sudo", format!("{LINE}\nauth include\n"));
    assert_eq!(asks(&[], &[]).unwrap(), Needed::Denied("sudo".to_owned()));
    tree.write("etc/pam.d/sudo", "auth include\n");
    assert_eq!(asks(&[], &[]).unwrap(), Needed::Nowhere);
    assert_eq!(fs::read(tree.path("etc/fidokey/users/1000.toml")).unwrap(), before);
    let (gone, left) =
        removed(&places, &alice(), Right::Root, "Blue", |_: &[Credential], _: &[Credential]| {
            Ok(Needed::Nowhere)
        })
        .unwrap();
    assert_eq!((gone.name.as_str(), left), ("Blue", 0));
    // Proven absent, and not a record of nothing, which would deny.
    assert_eq!(places.read_record(1000), Ok(None));
}

#[test]
fn given_a_record_that_is_none_then_reset_removes_it_and_the_others_say_what_is_wrong() {
    let tree = keys("manage-reset", &["Blue", "Green"]);
    let places = tree.places();
    assert_eq!(emptied(&places, &alice()).unwrap().map(|gone| gone.len()), Some(2));
    assert_eq!(emptied(&places, &alice()).unwrap().map(|gone| gone.len()), None);
    for broken in ["schema = 9\n", ""] {
        tree.write("etc/fidokey/users/1000.toml", broken);
        let refused = removed(
            &places,
            &alice(),
            Right::Root,
            "Blue",
            |_: &[Credential], _: &[Credential]| Ok(Needed::Nowhere),
        );
        assert_eq!(refused.unwrap_err().exit(), Exit::Unreadable);
        let refused = renamed(&places, &alice(), Right::Root, "Blue", &name("Red"));
        assert_eq!(refused.unwrap_err().exit(), Exit::Unreadable);
        assert_eq!(emptied(&places, &alice()).unwrap().map(|gone| gone.len()), Some(0));
        assert!(!tree.path("etc/fidokey/users/1000.toml").exists());
    }
    // Another account's is not this one's to remove by the way, but reset is asked to by number.
    tree.write("etc/fidokey/users/1000.toml", text("bob", 1000, &["Blue"]));
    let refused =
        removed(&places, &alice(), Right::Root, "Blue", |_: &[Credential], _: &[Credential]| {
            Ok(Needed::Nowhere)
        });
    assert_eq!(refused.unwrap_err().exit(), Exit::Unreadable);
    assert_eq!(emptied(&places, &alice()).unwrap().map(|gone| gone.len()), Some(1));
}

// E8.
#[test]
fn given_two_that_change_at_once_then_both_have_done_so() {
    let all: Vec<String> = (0..16).map(|number| format!("k{number}")).collect();
    let tree = keys("manage-at-once", &all.iter().map(String::as_str).collect::<Vec<_>>());
    let places = tree.places();
    std::thread::scope(|scope| {
        let (places, all) = (&places, &all);
        scope.spawn(move || {
            for one in &all[..8] {
                let none = |_: &[Credential], _: &[Credential]| Ok(Needed::Nowhere);
                removed(places, &alice(), Right::Root, one, none).unwrap();
            }
        });
        scope.spawn(move || {
            for one in &all[8..] {
                renamed(places, &alice(), Right::Root, one, &name(&format!("new {one}"))).unwrap();
            }
        });
    });
    let expected: Vec<String> = all[8..].iter().map(|one| format!("new {one}")).collect();
    assert_eq!(names(&tree), expected);
}
