//! Every name that could be taken for something else, and the message that comes of it, read as mail systems read it.

use std::collections::BTreeMap;

use fidokey_core::credential::{AccountName, KeyName};
use fidokey_core::ports::Account;

use super::*;

const WHATS: [What<'static>; 6] = [
    What::Registered,
    What::Removed,
    What::Renamed("Old\r\nBcc: mallory@example.org\r\n\r\nbody"),
    What::Reset(0),
    What::Reset(1),
    What::Reset(64),
];

/// Names of keys, accounts, machines and whoever did it.
fn hostile() -> Vec<String> {
    let mut names: Vec<String> = [
        "Blue\nBcc: mallory@example.org",
        "Blue\r\nBcc: mallory@example.org",
        "Blue\rBcc: mallory@example.org",
        "Blue\n\nbody",
        "Blue\n.\nQUIT",
        "\r\n",
        "\0",
        "Blue\0Green",
        "Subject: x",
        "=?utf-8?q?Bcc=3A_mallory?=",
        "=?utf-8?b?DQpCY2M6IG1hbGxvcnk=?=",
        "\u{2028}Bcc: mallory",
        "\u{85}Bcc: mallory",
        "\u{202e}eulB",
        "\u{feff}",
        "Schlüssel",
        "🔑",
        "\u{10ffff}",
        ".",
        "-oQ/tmp",
        "",
        " ",
        "\t",
        "From mallory",
    ]
    .map(str::to_owned)
    .into();
    for long in ["a", "ü", "🔑", "\u{10ffff}", "=?", "\r\n ", " "] {
        names.push(long.repeat(100_000));
    }
    names
}

fn alice() -> Account {
    Account { uid: 1000, name: AccountName::new("alice").unwrap() }
}

/// The message about `what`, with these names in it.
fn written(what: What<'_>, key: &str, by: &str, host: &str) -> String {
    let account = alice();
    let when = "2026-11-23T10:00:00Z";
    let change = Change { what, account: &account, key, cred: "5ef7bd01", when, by, keys: 2 };
    message(&change, "alice", host, Duration::from_secs(1_795_428_000))
}

/// The headers, each of which is there once, and the body.
fn read(message: &str) -> (BTreeMap<String, String>, String) {
    let (head, body) = message.split_once("\n\n").unwrap();
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    let mut last = String::new();
    for line in head.lines() {
        assert!((1..=78).contains(&line.len()), "{line:?}");
        assert!(line.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{line:?}");
        if let Some(rest) = line.strip_prefix(' ') {
            assert!(!rest.trim().is_empty(), "{head}");
            headers.get_mut(&last).unwrap().push_str(line);
        } else {
            let (name, value) = line.split_once(": ").unwrap();
            assert_eq!(headers.insert(name.to_owned(), value.to_owned()), None, "{head}");
            last = name.to_owned();
        }
    }
    (headers, body.to_owned())
}

/// What a reader makes of a subject (RFC 2047 section 6): words, and the white space between two of them is none.
fn decoded(subject: &str) -> String {
    if !subject.contains("=?") {
        return subject.to_owned();
    }
    let mut bytes = Vec::new();
    for word in subject.split(' ') {
        assert!(word.len() <= 75, "{word}");
        let text = word.strip_prefix("=?utf-8?b?").unwrap().strip_suffix("?=").unwrap();
        let url = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
        let part = fidokey_core::base64url::decode(&url).unwrap();
        // No word ends within a character.
        std::str::from_utf8(&part).unwrap();
        bytes.extend(part);
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn given_a_registration_then_the_mail_says_what_when_by_whom_and_what_to_do() {
    assert_eq!(
        written(What::Registered, "Blue", "root", "rig"),
        "From: root
To: alice
Subject: Security key \"Blue\" added to alice on rig
Date: Mon, 23 Nov 2026 10:00:00 +0000
Auto-Submitted: auto-generated
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 7bit

A security key was registered: account alice on rig.

Key:   \"Blue\" (cred 5ef7bd01)
When:  2026-11-23T10:00:00Z (UTC)
By:    root

The account has 2 keys now: see `fidokey list`.

If you know nothing of this, tell your administrator at once, who sees in the log of
authentication what was done. Until that key is removed, whoever has it may be let in as you.
"
    );
}

#[test]
fn given_each_change_then_its_mail_is_its_own() {
    let subject = |what| {
        let (headers, body) = read(&written(what, "Blue", "root", "rig"));
        assert!(body.contains("\"Blue\" (cred 5ef7bd01)"), "{body}");
        headers["Subject"].clone()
    };
    assert_eq!(subject(What::Removed), "Security key \"Blue\" removed from alice on rig");
    assert_eq!(subject(What::Renamed("Old")), "Security key of alice renamed \"Blue\" on rig");
    assert_eq!(subject(What::Reset(3)), "All security keys removed from alice on rig");
    let (_, body) = read(&written(What::Renamed("Old"), "Blue", "root", "rig"));
    assert!(body.contains("Was:   \"Old\"\n"), "{body}");
    let (_, body) = read(&written(What::Reset(3), "Blue", "root", "rig"));
    assert!(body.starts_with("All 3 security keys were removed: account alice on rig.\n"));
    assert!(body.contains("the last one \"Blue\""), "{body}");
    let account = alice();
    let unread = Change {
        what: What::Reset(0),
        account: &account,
        key: "",
        cred: "",
        when: "",
        by: "root",
        keys: 0,
    };
    let (_, body) = read(&message(&unread, "alice", "rig", Duration::ZERO));
    assert!(!body.contains("Key:") && body.contains("The account has no key now"), "{body}");
}

#[test]
fn given_hostile_names_then_the_headers_are_the_same_and_each_is_there_once() {
    let plain = read(&written(What::Registered, "Blue", "root", "rig")).0;
    for what in WHATS {
        for name in hostile() {
            for message in [
                written(what, &name, "root", "rig"),
                written(what, "Blue", &name, "rig"),
                written(what, "Blue", "root", &name),
                written(what, &name, &name, &name),
            ] {
                // What every pipe takes at once.
                assert!(message.len() < 4096, "{}", message.len());
                assert!(message.chars().all(|c| c == '\n' || !c.is_control()), "{message:?}");
                assert!(message.lines().all(|line| line.len() < 998), "{message:?}");
                let (headers, body) = read(&message);
                assert!(headers.keys().eq(plain.keys()), "{message}");
                for (header, value) in &headers {
                    let free = ["Subject", "Content-Transfer-Encoding"].contains(&header.as_str());
                    assert!(free || *value == plain[header], "{message}");
                }
                let encoding = if body.is_ascii() { "7bit" } else { "8bit" };
                assert_eq!(headers["Content-Transfer-Encoding"], encoding);
                assert!(decoded(&headers["Subject"]).contains("ecurity key"), "{message}");
                let lines = read(&written(what, "Blue", "root", "rig")).1.lines().count();
                assert_eq!(body.lines().count(), lines, "{message}");
                assert!(!body.lines().any(|line| line == "."), "{message}");
            }
        }
    }
}

#[test]
fn given_a_name_that_a_key_can_have_then_the_subject_is_read_with_that_very_name() {
    for name in [
        "Blue",
        "Subject: x",
        "=?utf-8?q?Bcc=3A_mallory?=",
        "Grün, für die Tür",
        "a b  c   d    e     f",
        &"🔑".repeat(32),
        &"ü".repeat(32),
        &"a".repeat(32),
    ] {
        assert_eq!(KeyName::new(name).unwrap().as_str(), name);
        let (headers, _) = read(&written(What::Registered, name, "root", "a-machine-of-some-name"));
        let wanted = format!("Security key \"{name}\" added to alice on a-machine-of-some-name");
        assert_eq!(decoded(&headers["Subject"]), wanted);
    }
}

#[test]
fn given_a_name_that_a_mail_system_might_take_for_more_then_it_is_no_address() {
    for name in ["alice", "_apt", "www-data", "a.b", "Alice2", "systemd-network", "a"] {
        assert_eq!(address(name), Some(name));
    }
    let long = "a".repeat(65);
    for name in [
        "",
        "|/bin/sh",
        "/etc/passwd",
        "root@elsewhere.org",
        "elsewhere!root",
        "root%elsewhere",
        "-t",
        "--",
        "a b",
        "a,b",
        "a;b",
        "a:b",
        ":include:/etc/shadow",
        "<root>",
        "(comment)a",
        "\"a\"",
        "\\a",
        "a\nb",
        "a\0",
        ".a",
        "a.",
        "a..b",
        "ä",
        "a$",
        "AD\\alice",
        "a+b",
        "~a",
        "[127.0.0.1]",
        &long,
    ] {
        assert_eq!(address(name), None, "{name:?}");
    }
}
