//! The line in the log and what the user reads: of one form, and not to be bent by anything from outside.

use fidokey_core::credential::{AccountName, KeyName};
use fidokey_core::login::login;
use fidokey_core::ports::{Account, Fault, FileError, Severity, UserError};
use fidokey_core::record::Record;
use fidokey_tests::log::LogLine;
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::softkey::{Behaviour, Draft, Secret, soft_key};
use fidokey_tests::sim::world::{SECOND_FACTOR, SimHost, SimMachine, world};

/// Names that have been used against logs and terminals.
const NASTY: [&str; 12] = [
    "",
    " ",
    "x result=granted",
    "x\" code=0 y=\"",
    "a\nb\rc",
    "\u{1b}[2J\u{1b}]0;x\u{7}",
    "\u{9b}31m",
    "\u{2028}\u{2029}\u{85}",
    "\u{202e}txt.exe\u{2066}",
    "\\x0a\\",
    "%s%n%999999d",
    "cut…",
];

/// A login of alice that `arrange` has changed, by her key: the code, and the host that heard of it.
fn after(arrange: impl FnOnce(&mut SimMachine, &mut SimHost, &mut SimKeys)) -> (i32, SimHost) {
    let secret = Secret::new(1, 64);
    let (mut machine, mut host) = world(&[secret.credential()], SECOND_FACTOR);
    let mut keys = SimKeys::with(soft_key(&[secret], Behaviour::default()).0);
    arrange(&mut machine, &mut host, &mut keys);
    let code = login(&mut machine, &mut host, &mut keys, &[]).number();
    (code, host)
}

#[track_caller]
fn only_line(host: &SimHost) -> (Severity, LogLine) {
    let [(severity, line)] = host.logged.as_slice() else { panic!("{:?}", host.logged) };
    (*severity, LogLine::parse(line).unwrap_or_else(|error| panic!("{error}: {line}")))
}

/// BAR G1: one line for every decision, of the grammar, with the code that was returned.
#[test]
fn given_any_decision_then_one_line_of_the_grammar_says_it() {
    type Arrange = fn(&mut SimMachine, &mut SimHost, &mut SimKeys);
    let error = FileError { path: "/etc/fidokey/users".to_owned(), reason: "mode", errno: 0 };
    let refused = move |machine: &mut SimMachine, _: &mut SimHost, _: &mut SimKeys| {
        machine.records.insert(1000, Err(error));
    };
    let (code, host) = after(refused);
    assert_eq!((code, only_line(&host).1.get("problem")), (7, Some("mode")));
    let cases: [(Arrange, i32, &str, &str); 9] = [
        (|_, _, _| {}, 0, "granted", "verified"),
        (|_, host, _| host.user = Ok("bob".into()), 25, "exempt", "not_enrolled"),
        (|_, host, _| host.user = Ok("carol".into()), 10, "denied", "user_unknown"),
        (|_, host, _| host.user = Err(UserError::Conversation), 19, "denied", "conversation"),
        (|_, host, _| host.origin.rhost = "::1".into(), 6, "denied", "remote"),
        (|_, host, _| host.user_later = Some("root".into()), 7, "denied", "user_changed"),
        (|_, _, keys| *keys = SimKeys::default(), 7, "denied", "no_key"),
        (|machine, _, _| machine.config = Ok(Some(b"x".to_vec())), 3, "denied", "config"),
        (
            |machine, _, _| machine.fault = Some((2, Fault { call: "getrandom", errno: 38 })),
            4,
            "denied",
            "system",
        ),
    ];
    for (arrange, expected, result, reason) in cases {
        let (code, host) = after(arrange);
        let (_, line) = only_line(&host);
        assert_eq!(code, expected, "{reason}");
        assert_eq!(line.get("code"), Some(code.to_string().as_str()));
        assert_eq!((line.get("result"), line.get("reason")), (Some(result), Some(reason)));
    }
    let (_, host) = after(|machine, _, _| {
        machine.fault = Some((2, Fault { call: "getrandom", errno: 38 }));
    });
    let (severity, line) = only_line(&host);
    assert_eq!((severity, line.get("call")), (Severity::Error, Some("getrandom")));
}

/// BAR G4: whatever user, terminal, host and service are called, it is one line of the same fields, at most 1 KiB.
#[test]
fn given_names_that_would_break_the_line_then_each_stays_in_its_field() {
    let long: Vec<String> = NASTY.iter().map(|name| name.repeat(5000)).collect();
    for name in NASTY.into_iter().chain(long.iter().map(String::as_str)) {
        let (_, host) = after(|_, host, _| {
            host.origin.tty = name.to_owned();
            host.origin.ruser = name.to_owned();
            host.origin.service = name.to_owned();
        });
        let (_, line) = only_line(&host);
        assert!(host.logged[0].1.len() <= 1024);
        let keys: Vec<&str> = line.fields().iter().map(|(key, _)| key.as_str()).collect();
        let expected =
            ["result", "code", "reason", "user", "uid", "ruser", "rhost", "tty", "service"];
        assert_eq!(keys[..9], expected);
        if name.len() < 20 {
            // Nothing was lost on the way.
            for key in ["ruser", "tty", "service"] {
                assert_eq!(line.get(key), Some(name), "{key}");
            }
        }
        let (code, host) = after(|_, host, _| host.origin.rhost = format!("x{name}"));
        assert_eq!((code, only_line(&host).1.get("result")), (6, Some("denied")));
    }
}

/// BAR G2, G3: of the credential four bytes of a hash, of the key its name; nothing of what was sent or signed.
#[test]
fn given_any_end_of_a_login_then_no_log_line_has_what_was_signed() {
    let secret = Secret::new(1, 64);
    let credential = secret.credential();
    for bent in [false, true] {
        let behaviour = Behaviour {
            bend: std::rc::Rc::new(move |draft: &mut Draft| {
                if bent {
                    draft.hash[0] ^= 1;
                }
            }),
            ..Behaviour::default()
        };
        let (mut machine, mut host) = world(std::slice::from_ref(&credential), SECOND_FACTOR);
        let (key, seen) = soft_key(std::slice::from_ref(&secret), behaviour);
        let mut keys = SimKeys::with(key);
        let code = login(&mut machine, &mut host, &mut keys, &[]).number();
        assert_eq!(code, if bent { 7 } else { 0 });
        let (_, line) = only_line(&host);
        let text = &host.logged[0].1;
        let hash = seen.borrow().hashes[0].clone();
        let secrets = [credential.id.as_bytes().to_vec(), credential.public_key.to_bytes(), hash];
        for bytes in secrets {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let base64 = fidokey_core::base64url::encode(&bytes);
            // Eight characters of it would be more than a tag's share.
            for part in [&hex[..16], &hex[hex.len() - 16..], &base64[..12]] {
                assert!(!text.contains(part), "{part} in {text}");
            }
        }
        if !bent {
            let [a, b, c, d] = credential.id.tag();
            let tag = format!("{a:02x}{b:02x}{c:02x}{d:02x}");
            assert_eq!((line.get("cred"), line.get("key")), (Some(&*tag), Some("Key 1")));
        }
    }
}

/// BAR G9: a file that is malformed is named, and its place; no character of its values.
#[test]
fn given_a_malformed_record_then_its_place_is_logged_and_not_its_text() {
    let (code, host) = after(|machine, _, _| {
        let text = b"schema = 1\nuser = \"hunter2\"\nuid = \"hunter2\"\n".to_vec();
        machine.records.insert(1000, Ok(Some(text)));
    });
    let (severity, line) = only_line(&host);
    assert_eq!((code, severity), (7, Severity::Error));
    assert_eq!(line.get("file"), Some("/etc/fidokey/users/1000.toml"));
    assert!(line.get("line").is_some() && line.get("column").is_some());
    assert!(!host.logged[0].1.contains("hunter2"));
}

/// BAR G5: what the user reads is a sentence of ours; of what comes from outside only cleaned letters are in it.
#[test]
fn given_odd_names_then_the_messages_are_ours_and_printable() {
    for name in NASTY {
        let (_, host) = after(|machine, host, keys| {
            host.origin.service = name.repeat(20);
            // A foreign key first, so that the account is named too.
            *keys = SimKeys::with(soft_key(&[], Behaviour::default()).0);
            machine.config = Ok(Some(format!("{SECOND_FACTOR}wait_for_key = \"0s\"\n").into()));
        });
        assert!(!host.shown.is_empty());
        for shown in &host.shown {
            let ours = [
                "Touch your security key (",
                "This key is not registered for alice.",
                "Timed out waiting for the security key.",
            ];
            assert!(ours.iter().any(|text| shown.starts_with(text)), "{shown:?}");
            assert!(shown.chars().count() <= 60, "{shown:?}");
            let bad = |c| fidokey_core::credential::is_unprintable(c);
            assert!(!shown.chars().any(bad), "{shown:?}");
        }
    }
    // A key's name is in the log alone, and it can only be one that is harmless.
    for name in NASTY {
        let harmless = name.chars().all(|c| c.is_ascii_graphic() || c == ' ' || c == '…');
        assert!(KeyName::new(name).is_err() || harmless, "{name:?}");
    }
}

/// BAR G8: only what may be a guess is held back.
#[test]
fn given_a_denial_then_it_is_held_back_only_after_an_answer_that_was_not_accepted() {
    let bend = |draft: &mut Draft| draft.hash[0] ^= 1;
    let behaviour = Behaviour { bend: std::rc::Rc::new(bend), ..Behaviour::default() };
    let forged = soft_key(&[Secret::new(1, 64)], behaviour).0;
    let (code, host) = after(|_, _, keys| *keys = SimKeys::with(forged));
    assert_eq!((code, host.delays), (7, 1));
    let untouched = Behaviour { touch: None, ..Behaviour::default() };
    let untouched = soft_key(&[Secret::new(1, 64)], untouched).0;
    let foreign = soft_key(&[], Behaviour::default()).0;
    for keys_there in [SimKeys::with(untouched), SimKeys::default(), SimKeys::with(foreign)] {
        let (code, host) = after(|_, _, keys| *keys = keys_there);
        assert_eq!((code, host.delays), (7, 0));
    }
    let others: [fn(&mut SimMachine, &mut SimHost); 5] = [
        |_, _| {},
        |machine, _| machine.config = Ok(Some(b"x".to_vec())),
        |_, host| host.origin.rhost = "::1".to_owned(),
        |_, host| host.deaf_from = Some(0),
        |_, host| host.user = Ok("carol".to_owned()),
    ];
    for arrange in others {
        assert_eq!(after(|machine, host, _| arrange(machine, host)).1.delays, 0);
    }
}

/// BAR U6: the host turned to another user while the key was touched.
#[test]
fn given_a_user_that_changed_then_denied_and_an_alert() {
    let (code, host) = after(|_, host, _| host.user_later = Some("root".to_owned()));
    let (severity, line) = only_line(&host);
    assert_eq!((code, severity), (7, Severity::Alert));
    assert_eq!((line.get("user"), line.get("reason")), (Some("alice"), Some("user_changed")));
    assert_eq!(line.get("state"), None);
}

/// BAR U4, U5: whatever the name is spelt like, it is the number's record, and the number's own name is in it.
#[test]
fn given_other_spellings_of_an_account_then_the_same_key_is_asked_for() {
    for (typed, uid) in [("Alice", 1000), ("alice@corp", 1000), ("ALICE", 1000), ("toor", 0)] {
        for plugged in [true, false] {
            let (code, host) = after(|machine, host, keys| {
                let own = if uid == 0 { "root" } else { "alice" };
                let name = AccountName::new(own).unwrap();
                machine.accounts.insert(typed.to_owned(), Account { uid, name: name.clone() });
                let credentials = vec![Secret::new(1, 64).credential()];
                let record = Record { user: name, uid, credentials }.to_toml();
                machine.records.insert(uid, Ok(Some(record.into_bytes())));
                host.user = Ok(typed.to_owned());
                if !plugged {
                    *keys = SimKeys::default();
                }
            });
            assert_eq!(code, if plugged { 0 } else { 7 }, "{typed}");
            let (_, line) = only_line(&host);
            assert_eq!(line.get("user"), Some(typed));
            assert_eq!(line.get("uid"), Some(uid.to_string().as_str()));
        }
    }
}

/// Whoever loses the only key is locked out: a login that is asked for it says that there is no other, however it ends.
#[test]
fn given_an_account_with_one_key_then_the_line_says_so_and_with_two_it_does_not() {
    type Arrange = fn(&mut SimMachine, &mut SimHost, &mut SimKeys);
    let cases: [(Arrange, bool, &str); 6] = [
        (|_, _, _| {}, true, "verified"),
        (|_, _, keys| *keys = SimKeys::default(), true, "no_key"),
        (|_, host, _| host.user_later = Some("root".into()), true, "user_changed"),
        (|_, host, _| host.user = Ok("bob".into()), false, "not_enrolled"),
        (|_, host, _| host.origin.rhost = "::1".into(), false, "remote"),
        (|_, host, _| host.user = Ok("carol".into()), false, "user_unknown"),
    ];
    for (arrange, asked, reason) in cases {
        let (_, host) = after(arrange);
        let (_, line) = only_line(&host);
        assert_eq!(line.get("reason"), Some(reason));
        assert_eq!(line.get("keys"), asked.then_some("1"), "{reason}");
        let (_, host) = after(|machine, host, keys| {
            let user = AccountName::new("alice").unwrap();
            let credentials = [1, 2].map(|seed| Secret::new(seed, 64).credential()).into();
            let record = Record { user, uid: 1000, credentials }.to_toml();
            machine.records.insert(1000, Ok(Some(record.into_bytes())));
            arrange(machine, host, keys);
        });
        let (_, line) = only_line(&host);
        assert_eq!((line.get("reason"), line.get("keys")), (Some(reason), None));
    }
}
