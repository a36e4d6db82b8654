//! What pamu2fcfg and ssh-keygen have written, read, and what is refused. The files of `tests/golden` were made by both
//! programs of Debian 12 with the emulated key; the old form of a mapping by hand, of a U2F credential.

use std::collections::HashSet;

use super::pam_u2f::{DEVICES_MAX, Entry, Line};
use super::*;
use crate::credential::{Algorithm, Protocol, Verification, is_unprintable};

const CENTRAL: &str = include_str!("../../../tests/golden/pam-u2f/central");
const OLD: &str = include_str!("../../../tests/golden/pam-u2f/old");
const FIRST_GENERATION: &str = include_str!("../../../tests/golden/pam-u2f/first-generation");
const BROKEN: &str = include_str!("../../../tests/golden/pam-u2f/broken");

/// The base point, which is a public key like any other.
const ED25519: &str = "WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=";

macro_rules! ssh {
    ($name:literal) => {
        include_str!(concat!("../../../tests/golden/ssh/", $name))
    };
}

fn mapping(text: &str) -> Vec<Result<Line, (usize, Unfit)>> {
    pam_u2f::read(text.as_bytes(), DEVICES_MAX)
}

/// The credentials of the only line of a text.
fn entries(text: &str) -> Vec<Result<Entry, Unfit>> {
    let [Ok(line)] = &mapping(text)[..] else { panic!("not one line: {text}") };
    line.entries.clone()
}

/// Why the only credential of the only line is none.
fn unfit(text: &str) -> Unfit {
    match &entries(text)[..] {
        [Err(unfit)] => *unfit,
        other => panic!("{other:?}"),
    }
}

fn what(entry: &Result<Entry, Unfit>) -> (Algorithm, Protocol, Verification) {
    let entry = entry.as_ref().unwrap_or_else(|unfit| panic!("{unfit:?}"));
    (entry.public_key.algorithm(), entry.form, entry.verification)
}

// I11: +pin and +verification both become what nothing weaker gets by, and no touch is no reason for none.
#[test]
fn given_what_pamu2fcfg_writes_then_ids_keys_and_options_are_kept() {
    let lines: Vec<Line> = mapping(CENTRAL).into_iter().map(Result::unwrap).collect();
    let users: Vec<&str> = lines.iter().map(|line| line.user.as_str()).collect();
    assert_eq!(users, ["alice", "bob", "carol"]);
    assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 2, 3]);
    let touch = (Algorithm::Es256, Protocol::Fido2, Verification::None);
    let verified = (Algorithm::Es256, Protocol::Fido2, Verification::Required);
    assert_eq!(lines[0].entries.iter().map(what).collect::<Vec<_>>(), [touch, touch]);
    assert_eq!(lines[1].entries.iter().map(what).collect::<Vec<_>>(), [verified, verified]);
    assert!(matches!(lines[2].entries[..], [Err(Unfit::Resident)]));
    let first = lines[0].entries[0].as_ref().unwrap();
    let text = CENTRAL.split([':', ',']).nth(1).unwrap();
    assert_eq!(
        base64url::encode(first.id.as_bytes()).replace('-', "+").replace('_', "/"),
        text.trim_end_matches('=')
    );
    assert_eq!(first.public_key.to_bytes()[..3], [0x04, 0x4e, 0x62]);
    assert_eq!(entries(FIRST_GENERATION).iter().map(what).collect::<Vec<_>>(), [touch]);
}

// I11: of the same credential in both forms id and key are the same.
#[test]
fn given_the_form_before_1_1_0_then_it_is_a_u2f_credential() {
    let (old, new) = (entries(OLD), entries(FIRST_GENERATION));
    assert_eq!(what(&old[0]), (Algorithm::Es256, Protocol::U2f, Verification::None));
    let (old, new) = (old[0].as_ref().unwrap(), new[0].as_ref().unwrap());
    assert_eq!((&old.id, old.public_key.to_bytes()), (&new.id, new.public_key.to_bytes()));
}

// I11.
#[test]
fn given_an_eddsa_credential_then_it_is_read_in_any_case_and_without_options() {
    for text in [
        format!("a:AAAA,{ED25519},eddsa,+presence"),
        format!("a:AAAA,{ED25519},EdDSA,"),
        format!("a::AAAA,{ED25519},EDDSA\r\n"),
    ] {
        let expected = (Algorithm::EdDsa, Protocol::Fido2, Verification::None);
        assert_eq!(entries(&text).iter().map(what).collect::<Vec<_>>(), [expected], "{text}");
    }
}

// I11: what is broken is told where it is, and nothing of it comes along.
#[test]
fn given_broken_lines_then_each_is_told_with_its_number_and_the_rest_is_read() {
    let mut lines = mapping(BROKEN).into_iter();
    assert!(matches!(lines.next(), Some(Err((1, Unfit::Malformed)))));
    let expected: [(usize, &[Unfit]); 4] = [
        (2, &[Unfit::PublicKey]),
        (3, &[Unfit::Algorithm, Unfit::Option]),
        (4, &[Unfit::Malformed, Unfit::Malformed, Unfit::Id, Unfit::PublicKey]),
        (5, &[]),
    ];
    for (number, reasons) in expected {
        let line = lines.next().unwrap().unwrap();
        assert_eq!(line.number, number);
        let told: Vec<_> = line.entries.iter().map(|entry| entry.as_ref().err().copied()).collect();
        let reasons: Vec<_> = reasons.iter().copied().map(Some).collect();
        assert_eq!(told, reasons, "line {number}");
    }
    assert!(lines.next().is_none());
}

// I11: every other way to spell a credential is refused, none is guessed at.
#[test]
fn given_a_part_in_doubt_then_the_credential_is_refused() {
    let old_key = OLD.trim().split(',').nth(1).unwrap();
    for (credential, reason) in [
        ("AAAA".to_owned(), Unfit::Malformed),
        (format!("A,{ED25519},eddsa"), Unfit::Id),
        (format!(",{ED25519},eddsa"), Unfit::Id),
        (format!("AAAA=,{ED25519},eddsa"), Unfit::Id),
        (format!("AB==,{ED25519},eddsa"), Unfit::Id),
        (format!("AAA A,{ED25519},eddsa"), Unfit::Id),
        (format!("{},{ED25519},eddsa", "A".repeat(1366)), Unfit::Id),
        (format!("AAAA,{ED25519},es256"), Unfit::PublicKey),
        (format!("AAAA,{},eddsa", &ED25519[1..]), Unfit::PublicKey),
        (format!("AAAA,{old_key},es256"), Unfit::PublicKey),
        (format!("AAAA,{}", &old_key[1..]), Unfit::PublicKey),
        (format!("AAAA,{}", &old_key[2..]), Unfit::PublicKey),
        (format!("AAAA,{old_key}00"), Unfit::PublicKey),
        (format!("AAAA,+{}", &old_key[1..]), Unfit::PublicKey),
        (format!("AAAA,{ED25519},rs256"), Unfit::Algorithm),
        (format!("AAAA,{ED25519},"), Unfit::Algorithm),
        (format!("AAAA,{ED25519},eddsa,presence"), Unfit::Option),
        (format!("AAAA,{ED25519},eddsa,+presence+"), Unfit::Option),
        (format!("AAAA,{ED25519},eddsa,+Pin"), Unfit::Option),
        (format!("AAAA,{ED25519},eddsa,+pin "), Unfit::Option),
        (format!("AAAA,{ED25519},eddsa,+pin,"), Unfit::Malformed),
        (format!("*,{ED25519},eddsa,+pin"), Unfit::Resident),
    ] {
        assert_eq!(unfit(&format!("a:{credential}")), reason, "{credential}");
    }
    // One that is no credential at all takes those beside it along, as with pam-u2f.
    let beside = entries(&format!("a:AAAA,{ED25519},eddsa:AAAB:AAAC,{ED25519},rs256"));
    let beside: Vec<_> = beside.iter().map(|entry| entry.as_ref().err().copied()).collect();
    let reasons = [Unfit::Neighbour, Unfit::Malformed, Unfit::Algorithm].map(Some);
    assert_eq!(beside, reasons);
    for user in ["", "-a", "a b", "a/b", ".."] {
        let lines = mapping(&format!("{user}:AAAA,{ED25519},eddsa"));
        assert!(matches!(lines[..], [Err((1, Unfit::Malformed))]), "{user}");
    }
}

// I11: what pam-u2f does not use would be a key that lets in and did not before.
#[test]
fn given_several_lines_or_too_many_credentials_then_those_that_count_are_pam_u2fs() {
    let text =
        format!("a:AAAA,{ED25519},eddsa\nb:AAAA,{ED25519},eddsa\n\na:AAAB,{ED25519},eddsa\na:");
    let lines: Vec<_> = mapping(&text).into_iter().map(Result::unwrap).collect();
    let used: Vec<_> = lines.iter().map(|line| (line.number, line.superseded_by)).collect();
    assert_eq!(used, [(1, Some(5)), (2, None), (4, Some(5)), (5, None)]);
    // Whatever the last one is.
    for bad in ["a", ":a:AAAB", "a:\u{0}", &format!("a:{}", "x".repeat(LINE_MAX)), "a\0:AAAB"] {
        let lines = mapping(&format!("a:AAAA,{ED25519},eddsa\n{bad}\nb:"));
        assert_eq!(lines[0].as_ref().unwrap().superseded_by, Some(2), "{bad}");
    }
    let lines = pam_u2f::read(&[b"a:AAAA\n", &b"a:\xff"[..]].concat(), DEVICES_MAX);
    assert_eq!(lines[0].as_ref().unwrap().superseded_by, Some(2));
    let many = format!("a{}", format!(":AAAA,{ED25519},eddsa").repeat(26));
    for (most, beyond) in [(24, 2), (26, 0), (1, 25), (0, 26)] {
        let [Ok(line)] = &pam_u2f::read(many.as_bytes(), most)[..] else { panic!("{most}") };
        assert_eq!((line.entries.len(), line.beyond), (26 - beyond, beyond));
    }
}

// I11.
#[test]
fn given_a_line_without_end_or_of_bytes_then_only_it_is_refused() {
    let text = [b"a:", "x".repeat(LINE_MAX).as_bytes(), b"\nb:\xff\nc:"].concat();
    let read = pam_u2f::read(&text, DEVICES_MAX);
    assert!(matches!(read[..2], [Err((1, Unfit::Long)), Err((2, Unfit::Malformed))]));
    assert!(read[2].as_ref().is_ok_and(|line| line.number == 3));
}

// I11: id, key and what it is bound to are those of ssh-keygen.
#[test]
fn given_private_keys_of_ssh_keygen_then_they_are_their_public_keys() {
    for (private, public, bound_to, comment) in [
        (ssh!("ecdsa"), ssh!("ecdsa.pub"), "ssh:work", "work key"),
        (ssh!("notouch"), ssh!("notouch.pub"), "ssh:", "no touch"),
        (ssh!("resident"), ssh!("resident.pub"), "ssh:", "resident"),
        (ssh!("u2f"), ssh!("u2f.pub"), "ssh:", "u2f key"),
    ] {
        assert!(ssh::is_private(private.as_bytes()) && !ssh::is_private(public.as_bytes()));
        let key = ssh::private_key(private.as_bytes()).unwrap();
        assert_eq!((key.bound.rp_id.as_str(), key.comment.as_str()), (bound_to, comment));
        let public: Vec<_> = ssh::public_keys(public.as_bytes()).collect();
        assert_eq!(public, [(1, Ok(key.bound))]);
        let crlf = private.replace('\n', "\r\n");
        assert_eq!(ssh::private_key(crlf.as_bytes()).unwrap().id, key.id);
    }
}

#[test]
fn given_private_keys_that_cannot_serve_then_the_reason_is_theirs() {
    for (text, reason) in [
        (ssh!("verify-required"), Unfit::VerifyRequired),
        (ssh!("encrypted"), Unfit::Encrypted),
        (ssh!("ecdsa.pub"), Unfit::Malformed),
        ("", Unfit::Malformed),
        ("-----BEGIN RSA PRIVATE KEY-----\n", Unfit::Malformed),
    ] {
        assert_eq!(ssh::private_key(text.as_bytes()).unwrap_err(), reason, "{text}");
    }
}

/// A private key file, put together here from what PROTOCOL.key says.
struct Made {
    kind: &'static str,
    application: &'static str,
    flags: u8,
    id: Vec<u8>,
    checks: [u32; 2],
    inner_application: &'static str,
    end: Vec<u8>,
    keys: u32,
}

const MADE: Made = Made {
    kind: "sk-ssh-ed25519@openssh.com",
    application: "ssh:",
    flags: 1,
    id: Vec::new(),
    checks: [7, 7],
    inner_application: "ssh:",
    end: Vec::new(),
    keys: 1,
};

impl Made {
    fn text(self) -> String {
        fn string(bytes: &[u8]) -> Vec<u8> {
            [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
        }
        let public = |application: &str| {
            let key = base64(ED25519).unwrap();
            [string(self.kind.as_bytes()), string(&key), string(application.as_bytes())].concat()
        };
        let id = if self.id.is_empty() { vec![9; 64] } else { self.id.clone() };
        let inner = [
            self.checks.map(u32::to_be_bytes).concat(),
            public(self.inner_application),
            vec![self.flags],
            string(&id),
            string(b""),
            string("a\u{1b}[2Jb".as_bytes()),
            self.end.clone(),
        ];
        let outer = [
            b"openssh-key-v1\0".to_vec(),
            string(b"none"),
            string(b"none"),
            string(b""),
            self.keys.to_be_bytes().to_vec(),
            string(&public(self.application)),
            string(&inner.concat()),
        ];
        let digits = base64url::encode(&outer.concat()).replace('-', "+").replace('_', "/");
        format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{digits}\n-----END OPENSSH PRIVATE KEY-----\n"
        )
    }
}

// I11.
#[test]
fn given_an_ed25519_key_with_a_part_in_doubt_then_it_is_refused() {
    let read = |made: Made| ssh::private_key(made.text().as_bytes()).map(|key| key.id);
    assert_eq!(read(Made { end: vec![1, 2, 3], ..MADE }).unwrap().as_bytes(), [9; 64]);
    for flags in [0x00, 0x01, 0x20, 0x31] {
        assert!(read(Made { flags, ..MADE }).is_ok(), "{flags:x}");
    }
    for (made, reason) in [
        (Made { flags: 0x05, ..MADE }, Unfit::VerifyRequired),
        (Made { flags: 0x03, ..MADE }, Unfit::Option),
        (Made { flags: 0x81, ..MADE }, Unfit::Option),
        (Made { kind: "ssh-ed25519", ..MADE }, Unfit::NotSecurityKey),
        (Made { application: "example.com", ..MADE }, Unfit::Application),
        (Made { application: "ssh:a b", ..MADE }, Unfit::Application),
        (Made { inner_application: "ssh:other", ..MADE }, Unfit::Malformed),
        (Made { checks: [7, 8], ..MADE }, Unfit::Malformed),
        (Made { keys: 2, ..MADE }, Unfit::Malformed),
        (Made { id: vec![9; 1024], ..MADE }, Unfit::Id),
        (Made { end: vec![1, 3], ..MADE }, Unfit::Malformed),
        (Made { end: (1..=8).collect(), ..MADE }, Unfit::Malformed),
        (Made { end: (1..=255).chain([0, 1]).collect(), ..MADE }, Unfit::Malformed),
    ] {
        assert_eq!(read(made).unwrap_err(), reason);
    }
}

// I11: what authorized_keys takes away from a key, a login here cannot.
#[test]
fn given_lines_of_authorized_keys_then_a_limited_key_is_not_let_in_everywhere() {
    let key = ssh!("ecdsa.pub").trim();
    let plain = ssh!("plain.pub").trim();
    let certificate = key.replacen("@openssh", "-cert-v01@openssh", 1);
    let wrong = key.replacen("ecdsa-sha2-nistp256", "ssh-ed25519", 1);
    for (line, reason) in [
        (key.to_owned(), None),
        (format!("  {key}"), None),
        (format!("no-touch-required {key}"), None),
        (format!("PTY,agent-forwarding {key}"), None),
        (format!("verify-required {key}"), Some(Unfit::VerifyRequired)),
        (format!("no-touch-required,Verify-Required {key}"), Some(Unfit::VerifyRequired)),
        (format!("restrict {key}"), Some(Unfit::Restricted)),
        (format!("from=\"10.0.0.0/8,pty\" {key}"), Some(Unfit::Restricted)),
        (format!("command=\"echo \\\" sk-x, pty\",pty {key}"), Some(Unfit::Restricted)),
        (format!("pty=1 {key}"), Some(Unfit::Restricted)),
        (format!("from=\"10.0.0.0/8 {key}"), Some(Unfit::Malformed)),
        (certificate, Some(Unfit::Certificate)),
        (wrong, Some(Unfit::Malformed)),
        (plain.to_owned(), Some(Unfit::NotSecurityKey)),
        (format!("restrict {plain}"), Some(Unfit::NotSecurityKey)),
        ("sk-ssh-ed25519@openssh.com".to_owned(), Some(Unfit::Malformed)),
        ("hello".to_owned(), Some(Unfit::Malformed)),
    ] {
        let text = format!("# comment\n\n{line}\r\n");
        let read: Vec<_> = ssh::public_keys(text.as_bytes()).collect();
        let [(3, read)] = &read[..] else { panic!("{line}: {read:?}") };
        assert_eq!(read.as_ref().err().map(|refused| refused.why), reason, "{line}");
        // What is limited is known, so that no other line lets it in.
        let limits = matches!(reason, Some(Unfit::VerifyRequired | Unfit::Restricted));
        assert_eq!(read.as_ref().err().is_some_and(|refused| refused.limits.is_some()), limits);
    }
}

// G9: no sentence has anything of a file in it, and each can stand in a line.
#[test]
fn given_the_reasons_then_each_is_a_sentence_of_its_own() {
    let told: HashSet<String> = Unfit::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), Unfit::ALL.len());
    assert!(told.iter().all(|text| !text.chars().any(is_unprintable)
        && (text.starts_with("it ") || text.starts_with("its "))));
}
