//! What a record must be, and what is refused.

use p256::ecdsa::SigningKey;

use super::keys::{CREDENTIAL, Key, RECORD};
use super::*;
use crate::credential::{CounterPolicy, Verification};
use crate::text::fields::fields;

/// What no message may ever contain.
const SECRET: &str = "hunter2";

fn public_key(seed: u8) -> PublicKey {
    let key = SigningKey::from_slice(&[seed; 32]).expect("a scalar of the curve");
    PublicKey::Es256(*key.verifying_key())
}

fn credential(seed: u8) -> Credential {
    Credential {
        name: KeyName::new(&format!("Key {seed}")).expect("a name"),
        protocol: Protocol::Fido2,
        rp_id: RpId::default(),
        id: CredentialId::new(&[seed; 48]).expect("an id"),
        public_key: public_key(seed),
        verification: Verification::Required,
        user_handle: Some(vec![seed; 32]),
        backup_eligible: Some(false),
        counter: Some(CounterPolicy::Deny),
        aaguid: Some([seed; 16]),
        added: "2026-11-23T10:00:00Z".to_owned(),
        added_by: "root".to_owned(),
    }
}

fn record(count: u8) -> Record {
    let user = AccountName::new("alice").expect("a name");
    Record { user, uid: 1000, credentials: (1..=count).map(credential).collect() }
}

/// The text of a record of two credentials with one part of it replaced, once.
fn with(part: &str, replacement: &str) -> String {
    let text = record(2).to_toml();
    assert!(text.contains(part), "{part:?} is not in the text");
    text.replacen(part, replacement, 1)
}

fn refused(text: &str) -> Misfit {
    match Record::parse(text.as_bytes()) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(misfit) => misfit,
    }
}

fn assert_same(one: &Record, other: &Record) {
    assert_eq!((&one.user, one.uid), (&other.user, other.uid));
    assert_eq!(one.credentials.len(), other.credentials.len());
    for (one, other) in one.credentials.iter().zip(&other.credentials) {
        assert_eq!(one.id, other.id);
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
}

#[test]
fn a_written_record_reads_as_the_same_record() {
    let mut odd = record(3);
    odd.user = AccountName::new("odd\"\\name").expect("a name");
    odd.credentials[0].name = KeyName::new("Blå nøkkel № 1").expect("a name");
    odd.credentials[0].added_by = "a \"quoted\" \\ note".to_owned();
    odd.credentials[1].user_handle = None;
    odd.credentials[1].backup_eligible = None;
    odd.credentials[1].aaguid = None;
    odd.credentials[1].verification = Verification::None;
    odd.credentials[2].counter = Some(CounterPolicy::Warn);
    odd.credentials[2].backup_eligible = Some(true);
    odd.credentials[2].id = CredentialId::new(&[0xff; 1023]).expect("an id");
    for record in [record(1), record(64), odd] {
        let read = Record::parse(record.to_toml().as_bytes()).expect("our own text");
        assert_same(&read, &record);
        assert_eq!(read.to_toml(), record.to_toml());
    }
}

#[test]
fn the_layout_is_the_one_of_the_manual() {
    let text = record(1).to_toml();
    let keys: Vec<&str> =
        text.lines().map(|line| line.split(" =").next().unwrap_or_default()).collect();
    assert_eq!(
        keys.join(" "),
        "schema user uid  [[credential]] name protocol algorithm rp_id id public_key \
         verification user_handle backup_eligible counter aaguid added added_by"
    );
    assert!(text.contains("\naaguid = \"01010101-0101-0101-0101-010101010101\"\n"));
    assert!(text.contains("\nadded = 2026-11-23T10:00:00Z\n"));
}

// F15
#[test]
fn a_record_belongs_to_the_account_whose_number_and_name_it_has() {
    let account = |uid, name| Account { uid, name: AccountName::new(name).expect("a name") };
    assert!(record(1).belongs_to(&account(1000, "alice")));
    assert!(!record(1).belongs_to(&account(1001, "alice")));
    assert!(!record(1).belongs_to(&account(1000, "bob")));
    assert!(!record(1).belongs_to(&account(1000, "Alice")));
}

// K1
#[test]
fn given_an_unknown_key_then_the_record_is_refused_with_its_place_and_name() {
    let misfit = refused(&with("verification = ", "verfication = "));
    assert_eq!(misfit.to_string(), "line 12, column 1: unknown field \"verfication\"");
    assert_eq!(misfit.key.as_deref(), Some("verfication"));
    assert_eq!(refused(&with("uid = ", "gid = 5\nuid = ")).line, 3);
    let long = "x".repeat(100);
    assert_eq!(refused(&with("uid = ", &format!("{long} = 5\nuid = "))).key, Some("x".repeat(64)));
    let misfit = refused(&with("uid = ", "\"\\u001b[31m\\\"\" = 5\nuid = "));
    assert_eq!(misfit.key.as_deref(), Some("?[31m?"));
}

// K1
#[test]
fn the_lists_of_keys_are_what_is_read() {
    let names = |keys: &[Key]| keys.iter().map(|key| key.name).collect::<Vec<_>>();
    assert_eq!(names(&RECORD), fields::<RawRecord>());
    assert_eq!(names(&CREDENTIAL), fields::<RawCredential>());
}

// K4
#[test]
fn given_a_record_without_a_required_key_then_it_is_refused_and_never_the_weaker_default() {
    let text = record(1).to_toml();
    for Key { name: key, required } in RECORD.into_iter().chain(CREDENTIAL) {
        if key == "credential" {
            continue;
        }
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{key} =")))
            .expect("a line for every key");
        let without = text.replacen(&format!("{line}\n"), "", 1);
        match required {
            true => assert_eq!(refused(&without).message, format!("missing field \"{key}\"")),
            false => assert_eq!(Record::parse(without.as_bytes()).expect(key).to_toml(), without),
        }
        let twice = text.replacen(line, &format!("{line}\nx{line}"), 1);
        assert_eq!(refused(&twice).message, format!("unknown field \"x{key}\""));
    }
    assert_eq!(
        refused("schema = 1\nuser = \"a\"\nuid = 1\n").message,
        "missing field \"credential\""
    );
    // An absent counter is the stricter of the two.
    let read = Record::parse(with("counter = \"deny\"\n", "").as_bytes()).expect("optional");
    assert_eq!(read.credentials[0].counter, None);
}

// K3, C14, C15; I10: a newer schema by its name, whatever else it has
#[test]
fn given_a_value_in_doubt_then_it_is_refused_at_its_place() {
    let text = record(2).to_toml();
    let id = base64url::encode(&[1; 48]);
    let key = base64url::encode(&public_key(1).to_bytes());
    let off_curve = base64url::encode(&[[4].as_slice(), &[1; 64]].concat());
    let trailing = base64url::encode(&[public_key(1).to_bytes().as_slice(), &[0]].concat());
    for (part, replacement, key, line) in [
        ("schema = 1", "schema = 2", "schema", 1),
        ("schema = 1", "schema = 2\nfrom_the_future = 1", "schema", 1),
        ("schema = 1", "schema = \"1\"", "schema", 1),
        ("uid = 1000", "uid = -1", "uid", 3),
        ("uid = 1000", "uid = 4294967296", "uid", 3),
        ("uid = 1000", "uid = 1000.0", "uid", 3),
        ("uid = 1000", "uid = \"1000\"", "uid", 3),
        ("\"alice\"", "\"\"", "user", 2),
        ("\"alice\"", "\"../alice\"", "user", 2),
        ("\"alice\"", "\"al\\u0000ice\"", "user", 2),
        ("\"alice\"", "[\"alice\"]", "user", 2),
        ("\"Key 1\"", "\"Key\\u001b 1\"", "name", 6),
        ("\"Key 1\"", "\"Key \\u202e 1\"", "name", 6),
        ("\"fido2\"", "\"ctap9\"", "protocol", 7),
        ("\"es256\"", "\"ES256\"", "algorithm", 8),
        ("\"pam://fidokey\"", "\"pam://fido key\"", "rp_id", 9),
        (&id, "", "id", 10),
        (&id, &format!("{id}="), "id", 10),
        (&id, &base64url::encode(&[1; 1024]), "id", 10),
        (&key, &off_curve, "public_key", 11),
        (&key, &trailing, "public_key", 11),
        (&key, "AA", "public_key", 11),
        ("\"required\"", "\"Required\"", "verification", 12),
        ("\"required\"", "true", "verification", 12),
        ("user_handle = \"", "user_handle = \"\" #", "user_handle", 13),
        ("user_handle = \"", &format!("user_handle = \"{}", "A".repeat(64)), "user_handle", 13),
        ("= false", "= 0", "backup_eligible", 14),
        ("\"deny\"", "\"off\"", "counter", 15),
        ("01010101-", "0101010-1", "aaguid", 16),
        ("01010101-", "+1010101-", "aaguid", 16),
        ("\"01010101-", "\"0A010101-", "aaguid", 16),
        ("= 2026-11-23T10:00:00Z", "= 2026-11-23", "added", 17),
        ("= 2026-11-23T10:00:00Z", "= 2026-11-23T10:00:00", "added", 17),
        ("= 2026-11-23T10:00:00Z", "= \"2026-11-23T10:00:00Z\"", "added", 17),
        ("\"root\"", "\"ro\\not\"", "added_by", 18),
        ("\"root\"", &format!("\"{}\"", "x".repeat(257)), "added_by", 18),
    ] {
        assert!(text.contains(part));
        let misfit = refused(&text.replacen(part, replacement, 1));
        assert_eq!((misfit.key.as_deref(), misfit.line), (Some(key), line), "{misfit}");
    }
}

// K3
#[test]
fn given_text_that_is_not_plain_toml_then_the_result_is_defined() {
    let text = record(2).to_toml();
    let twice = refused(&with("uid = 1000", "uid = 1000\nuid = 1000"));
    assert_eq!(twice.to_string(), "line 4, column 1: duplicate key \"uid\"");
    assert_eq!(refused(&with("uid = 1000", "uid = 10\u{0}00")).line, 3);
    let mut not_utf8 = text.clone().into_bytes();
    not_utf8[11] = 0xff;
    let misfit = Record::parse(&not_utf8).expect_err("not UTF-8");
    assert_eq!(misfit.to_string(), "line 2, column 1: not UTF-8");
    assert!(Record::parse(b"").is_err());
    assert!(Record::parse(b"\xff").is_err());
    // The byte order mark and the line ends of other systems mean nothing in TOML.
    let original = record(2);
    for same in [format!("\u{feff}{text}"), text.replace('\n', "\r\n")] {
        assert_same(&Record::parse(same.as_bytes()).expect("the same"), &original);
    }
}

// K6
#[test]
fn given_65_credentials_then_the_record_is_refused_with_the_count() {
    let misfit = refused(&record(65).to_toml());
    assert_eq!(misfit.message, "65 credentials, at most 64 are allowed");
    assert_ne!(misfit.line, 0);
    assert_eq!(
        refused("schema = 1\nuser = \"a\"\nuid = 1\ncredential = []\n").message,
        "no credential"
    );
    assert!(Record::parse(&vec![b'\n'; 64 * 1024 + 1]).is_err());
}

// K7
#[test]
fn given_two_credentials_of_one_name_or_one_id_then_the_record_is_refused_at_the_second() {
    let misfit = refused(&with("\"Key 2\"", "\"Key 1\""));
    assert_eq!((misfit.line, misfit.key.as_deref()), (21, Some("name")));
    let misfit = refused(&with(&base64url::encode(&[2; 48]), &base64url::encode(&[1; 48])));
    assert_eq!((misfit.line, misfit.key.as_deref()), (25, Some("id")));
}

// K10
#[test]
fn given_a_later_credential_in_doubt_then_the_earlier_ones_do_not_count_either() {
    let text = record(2).to_toml();
    let second = text.rfind("[[credential]]").expect("two credentials");
    for word in ["\"es256\"", "\"required\"", "\"root\"", "false"] {
        let at = second + text[second..].find(word).expect("in the second one");
        let bad = format!("{}nonsense{}", &text[..at], &text[at + word.len()..]);
        refused(&bad);
    }
}

// K10, F13: a credential that is cut is found out, since its last key must be there. A text that is cut
// between two credentials is a shorter record of whole ones.
#[test]
fn given_a_text_that_is_cut_anywhere_then_no_credential_of_it_is_weaker() {
    let whole = record(3);
    let text = whole.to_toml();
    let mut lengths = [0; 4];
    for end in 0..=text.len() {
        let Ok(read) = Record::parse(&text.as_bytes()[..end]) else { continue };
        let mut expected = whole.clone();
        expected.credentials.truncate(read.credentials.len());
        assert_same(&read, &expected);
        lengths[read.credentials.len()] += 1;
    }
    // Before and after the line end that ends a credential, and the empty line after it.
    assert_eq!(lengths, [0, 3, 3, 2]);
}

// K3, K10
#[test]
fn given_any_byte_changed_then_the_record_is_refused_or_a_whole_one_and_nothing_panics() {
    let text = record(2).to_toml().into_bytes();
    for at in 0..text.len() {
        for change in [0x01, 0x20, 0x80, 0xff] {
            let mut changed = text.clone();
            changed[at] ^= change;
            if let Ok(read) = Record::parse(&changed) {
                assert_eq!(read.credentials.len(), 2);
                assert_same(&Record::parse(read.to_toml().as_bytes()).expect("ours"), &read);
            }
        }
    }
}

// G2, G9
#[test]
fn given_a_secret_as_any_value_of_a_malformed_record_then_no_message_shows_it() {
    let text = record(2).to_toml();
    let forms = [
        format!("\"{SECRET}\""),
        format!("\"\\u0000{SECRET}\""),
        format!("\"`, expected {SECRET}\""),
        format!("'{SECRET}"),
        format!("\"\"\"\n{SECRET}"),
        SECRET.to_owned(),
        format!("[\"{SECRET}\"]"),
        format!("[\"a\",\n  {{ b = \"{SECRET}\" }}]"),
        format!("{{ a = \"{SECRET}\" }}"),
        format!("1 {SECRET}"),
        format!("\"\" {SECRET}"),
        format!("2026-11-23T{SECRET}"),
        format!("\"{SECRET}\" = 5"),
        format!("= \"{SECRET}\""),
    ];
    for (number, line) in text.lines().enumerate() {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        for form in &forms {
            let bad: Vec<String> = text
                .lines()
                .enumerate()
                .map(|(at, line)| match at == number {
                    true => format!("{key} = {form}"),
                    false => line.to_owned(),
                })
                .collect();
            // A name or a note may well be any word; then it is another key that is wrong.
            for tail in ["", "\nuid = 1\n", "\n[[credential]]\nname = 1\n"] {
                if let Err(misfit) = Record::parse(format!("{}{tail}", bad.join("\n")).as_bytes()) {
                    assert!(!format!("{misfit} {misfit:?}").contains(SECRET), "{misfit:?}");
                }
            }
        }
    }
    for bad in [
        format!("credential = [\"{SECRET}\"]\n"),
        format!("credential = [{{ name = \"{SECRET}\", id = 5 }}]\n"),
        format!("credential = \"{SECRET}\"\n"),
    ] {
        let misfit = refused(&format!("schema = 1\nuser = \"a\"\nuid = 1\n{bad}"));
        assert!(!format!("{misfit} {misfit:?}").contains(SECRET), "{misfit:?}");
    }
}

#[test]
fn given_a_date_that_is_none_then_it_cannot_become_a_line_of_its_own() {
    let mut record = record(1);
    record.credentials[0].added = "2026-11-23T10:00:00Z\nverification = \"none\"".to_owned();
    assert_eq!(refused(&record.to_toml()).key.as_deref(), Some("added"));
}
