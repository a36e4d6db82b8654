//! Attestations that are right, and every way to be wrong: refused, never a panic.
//!
//! The chain in `tests/` was made once with openssl: an RSA root (signed with SHA-512), an intermediate of P-384 (RSA with
//! SHA-256), the certificate of a key (ECDSA with SHA-384), and its signature over a sentence. No secret is in it.

use fidokey_core::attestation::{Attestation, Form, Judge, NotAdmitted};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};

use super::*;

const ROOT: &[u8] = include_bytes!("tests/root.pem");
const CHAIN: [&[u8]; 2] =
    [include_bytes!("tests/leaf.der"), include_bytes!("tests/intermediate.der")];
const SIGNATURE: &[u8] = include_bytes!("tests/signature.der");
const SIGNED: &[u8] = b"signed by the key";

/// A DER value of any tag.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = match content.len() {
        short @ 0..=0x7f => vec![short as u8],
        long => vec![0x82, (long >> 8) as u8, long as u8],
    };
    // 0x81, where one byte is enough: DER knows one length alone.
    let length = match content.len() {
        middle @ 0x80..=0xff => vec![0x81, middle as u8],
        _ => length,
    };
    [&[tag][..], &length, &content].concat()
}

const ES256: &[u8] = &[0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const EC_P256: &[u8] = &[
    0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1,
    7,
];

fn secret(number: u8) -> SigningKey {
    SigningKey::from_slice(&[number; 32]).unwrap()
}

fn name(unit: Option<&str>, common: &str) -> Vec<u8> {
    let part = |kind: u8, tag: u8, text: &str| {
        let pair = [der(6, &[&[0x55, 4, kind]]), der(tag, &[text.as_bytes()])].concat();
        der(0x31, &[&der(0x30, &[&pair])])
    };
    let unit = unit.map(|unit| part(11, 12, unit)).unwrap_or_default();
    der(0x30, &[&part(6, 19, "ZZ"), &part(10, 12, "tests"), &unit, &part(3, 12, common)])
}

fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    der(0x30, &[&der(6, &[oid]), critical, &der(4, &[value])])
}

fn constraints(authority: bool, length: Option<u8>) -> Vec<u8> {
    let authority: &[u8] = if authority { &[1, 1, 0xff] } else { &[] };
    let length = length.map(|length| vec![2, 1, length]).unwrap_or_default();
    extension(&[0x55, 0x1d, 0x13], true, &der(0x30, &[authority, &length]))
}

fn for_model(critical: bool, value: &[u8]) -> Vec<u8> {
    let oid = [0x2b, 6, 1, 4, 1, 0x82, 0xe5, 0x1c, 1, 1, 4];
    extension(&oid, critical, &der(4, &[value]))
}

/// A certificate about to be made: right until a test bends it.
struct Draft {
    version: u8,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    key: SigningKey,
    signer: SigningKey,
    extensions: Vec<Vec<u8>>,
}

impl Draft {
    fn leaf() -> Self {
        Self {
            version: 2,
            subject: name(Some("Authenticator Attestation"), "Leaf"),
            issuer: name(None, "Root"),
            key: secret(3),
            signer: secret(1),
            extensions: vec![constraints(false, None), for_model(false, &[7; 16])],
        }
    }

    fn authority(subject: &str, number: u8, issuer: &str, signer: u8) -> Self {
        Self {
            version: 2,
            subject: name(None, subject),
            issuer: name(None, issuer),
            key: secret(number),
            signer: secret(signer),
            extensions: vec![constraints(true, None)],
        }
    }

    fn make(&self) -> Vec<u8> {
        let version = der(0xa0, &[&[2, 1, self.version]]);
        let date = der(0x17, &[b"200101000000Z"]);
        let dates = der(0x30, &[&date, &date]);
        let point = self.key.verifying_key().to_sec1_point(false);
        let key = der(0x30, &[EC_P256, &der(3, &[&[0], point.as_bytes()])]);
        let extensions = der(0xa3, &[&der(0x30, &[&self.extensions.concat()])]);
        let extensions = if self.extensions.is_empty() { Vec::new() } else { extensions };
        let version = if self.version == 0 { Vec::new() } else { version };
        let parts: [&[u8]; 8] =
            [&version, &[2, 1, 1], ES256, &self.issuer, &dates, &self.subject, &key, &extensions];
        let tbs = der(0x30, &parts);
        let signature: Signature = self.signer.sign(&tbs);
        der(0x30, &[&tbs, ES256, &der(3, &[&[0], signature.to_der().as_bytes()])])
    }
}

fn pem(certificates: &[&[u8]]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for certificate in certificates {
        let mut digits = Vec::new();
        for chunk in certificate.chunks(3) {
            let mut three = [0_u8; 3];
            three[..chunk.len()].copy_from_slice(chunk);
            let [a, b, c] = three;
            let sixes = [a >> 2, (a << 4 | b >> 4) & 63, (b << 2 | c >> 6) & 63, c & 63];
            for (digit, six) in sixes.into_iter().enumerate() {
                let known = digit <= chunk.len();
                let value = usize::from(six);
                digits.push(if known { DIGITS[value] } else { b'=' });
            }
        }
        text.extend_from_slice(b"-----BEGIN CERTIFICATE-----\n");
        for line in digits.chunks(64) {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        text.extend_from_slice(b"-----END CERTIFICATE-----\n");
    }
    text
}

fn roots() -> Roots {
    Roots::from_pem(&pem(&[&Draft::authority("Root", 1, "Root", 1).make()])).unwrap()
}

fn shown(certificates: &[&[u8]]) -> Attestation {
    let signature: Signature = secret(3).sign(SIGNED);
    Attestation {
        algorithm: Some(-7),
        signature: signature.to_der().as_bytes().to_vec(),
        signed: SIGNED.to_vec(),
        certificates: certificates.iter().map(|one| one.to_vec()).collect(),
        aaguid: Some([7; 16]),
        form: Form::Packed,
    }
}

fn judged(bend: impl Fn(&mut Draft)) -> Result<(), NotAdmitted> {
    let mut leaf = Draft::leaf();
    bend(&mut leaf);
    roots().judge(&shown(&[&leaf.make()]))
}

// E14.
#[test]
fn given_an_attestation_that_chains_to_a_given_root_then_it_is_admitted() {
    assert_eq!(judged(|_| {}), Ok(()));
    // Without a model number in the certificate: what was signed has one.
    assert_eq!(judged(|leaf| leaf.extensions.truncate(1)), Ok(()));
    // By RSA and the other curve, as makers' own chains are; the root may be shown as well, or what is below it trusted.
    let real = |certificates: &[&[u8]]| Attestation {
        signature: SIGNATURE.to_vec(),
        ..shown(certificates)
    };
    let root = Roots::from_pem(ROOT).unwrap();
    assert_eq!(root.judge(&real(&CHAIN)), Ok(()));
    assert_eq!(root.judge(&real(&[CHAIN[0], CHAIN[1], &root.0[0].der])), Ok(()));
    assert_eq!(root.judge(&real(&CHAIN[..1])), Err(NotAdmitted::Chain));
    for trusted in CHAIN {
        let trusted = Roots::from_pem(&pem(&[trusted])).unwrap();
        assert_eq!(trusted.judge(&real(&CHAIN[..1])), Ok(()));
    }
    // Of the first generation: another subject will do, and an old root that says nothing of itself.
    let mut leaf = Draft::leaf();
    leaf.subject = name(None, "U2F");
    leaf.extensions.clear();
    let mut old = Draft::authority("Root", 1, "Root", 1);
    old.extensions.clear();
    let old = Roots::from_pem(&pem(&[&old.make()])).unwrap();
    let u2f = Attestation { aaguid: None, form: Form::U2f, ..shown(&[&leaf.make()]) };
    assert_eq!(old.judge(&u2f), Ok(()));
    assert_eq!(old.judge(&Attestation { aaguid: Some([0; 16]), ..u2f.clone() }), Ok(()));
    // A model number that nobody has signed.
    let claimed = Attestation { aaguid: Some([7; 16]), ..u2f };
    assert_eq!(old.judge(&claimed), Err(NotAdmitted::OtherModel));
}

// E14.
#[test]
fn given_a_certificate_that_is_not_as_it_must_be_then_it_is_refused() {
    type Bend = fn(&mut Draft);
    let bends: [(NotAdmitted, Bend); 17] = [
        (NotAdmitted::Chain, |leaf| leaf.signer = secret(2)),
        (NotAdmitted::Chain, |leaf| leaf.issuer = name(None, "Rood")),
        (NotAdmitted::Signature, |leaf| leaf.key = secret(4)),
        (NotAdmitted::OtherModel, |leaf| leaf.extensions[1] = for_model(false, &[8; 16])),
        (NotAdmitted::OtherModel, |leaf| leaf.extensions[1] = for_model(true, &[7; 16])),
        (NotAdmitted::OtherModel, |leaf| leaf.extensions[1] = for_model(false, &[7; 15])),
        (NotAdmitted::Certificate, |leaf| leaf.extensions[0] = constraints(true, None)),
        (NotAdmitted::Certificate, |leaf| drop(leaf.extensions.remove(0))),
        (NotAdmitted::Certificate, |leaf| leaf.extensions.clear()),
        (NotAdmitted::Certificate, |leaf| leaf.extensions.push(constraints(false, None))),
        (NotAdmitted::Certificate, |leaf| leaf.extensions.push(extension(&[0x2a, 3], true, b""))),
        (NotAdmitted::Certificate, |leaf| leaf.subject = name(None, "Leaf")),
        (NotAdmitted::Certificate, |leaf| leaf.subject = name(Some("Authenticator"), "Leaf")),
        (NotAdmitted::Certificate, |leaf| {
            leaf.subject = name(Some("Authenticator Attestation"), "");
        }),
        (NotAdmitted::Certificate, |leaf| leaf.subject = vec![0x30, 0]),
        (NotAdmitted::Certificate, |leaf| leaf.version = 1),
        (NotAdmitted::Certificate, |leaf| leaf.version = 0),
    ];
    for (number, (why, bend)) in bends.into_iter().enumerate() {
        assert_eq!(judged(bend), Err(why), "{number}");
    }
    let leaf = Draft::leaf().make();
    let good = || shown(&[&leaf]);
    for (why, attestation) in [
        (NotAdmitted::Unattested, Attestation { certificates: Vec::new(), ..good() }),
        (NotAdmitted::Unattested, Attestation::default()),
        (NotAdmitted::Certificate, Attestation { algorithm: None, ..good() }),
        (NotAdmitted::Certificate, Attestation { algorithm: Some(-8), ..good() }),
        (NotAdmitted::OtherModel, Attestation { aaguid: Some([8; 16]), ..good() }),
        (NotAdmitted::Signature, Attestation { signed: b"other".to_vec(), ..good() }),
        (NotAdmitted::Signature, Attestation { signature: Vec::new(), ..good() }),
        (NotAdmitted::Signature, Attestation { signature: vec![0; 64], ..good() }),
        (NotAdmitted::Certificate, shown(&[&[&leaf[..], &[0]].concat()])),
        (NotAdmitted::Certificate, shown(&[&[0x30; 4097]])),
        (NotAdmitted::Certificate, shown(&[&leaf, b"garbage"])),
        (NotAdmitted::Certificate, shown(&[&leaf, &leaf, &leaf, &leaf, &leaf])),
    ] {
        assert_eq!(roots().judge(&attestation), Err(why), "{attestation:?}");
    }
}

// E14.
#[test]
fn given_a_chain_then_each_of_its_authorities_must_be_one() {
    let chain = |bend: fn(&mut Draft)| {
        let mut middle = Draft::authority("Middle", 5, "Root", 1);
        bend(&mut middle);
        let leaf = Draft { issuer: name(None, "Middle"), signer: secret(5), ..Draft::leaf() };
        roots().judge(&shown(&[&leaf.make(), &middle.make()]))
    };
    assert_eq!(chain(|_| {}), Ok(()));
    type Bend = fn(&mut Draft);
    let bends: [(NotAdmitted, Bend); 7] = [
        (NotAdmitted::Certificate, |middle| middle.extensions[0] = constraints(false, None)),
        (NotAdmitted::Certificate, |middle| middle.extensions.clear()),
        (NotAdmitted::Certificate, |middle| {
            middle.extensions.push(extension(&[0x2a, 3], true, b""))
        }),
        (NotAdmitted::Certificate, |middle| {
            // digitalSignature alone.
            middle.extensions.push(extension(&[0x55, 0x1d, 0x0f], true, &[3, 2, 7, 0x80]));
        }),
        (NotAdmitted::Chain, |middle| middle.key = secret(6)),
        (NotAdmitted::Chain, |middle| middle.signer = secret(6)),
        (NotAdmitted::Chain, |middle| middle.subject = name(None, "Muddle")),
    ];
    for (number, (why, bend)) in bends.into_iter().enumerate() {
        assert_eq!(chain(bend), Err(why), "{number}");
    }
    assert_eq!(chain(|middle| middle.extensions[0] = constraints(true, Some(0))), Ok(()));

    // A root that has no authority below it, and two of them.
    let leaf = Draft { issuer: name(None, "A"), signer: secret(5), ..Draft::leaf() }.make();
    let a = Draft::authority("A", 5, "B", 6).make();
    let b = Draft::authority("B", 6, "Root", 1).make();
    for (length, admitted) in [(None, true), (Some(2), true), (Some(1), false), (Some(0), false)] {
        let root = Draft {
            extensions: vec![constraints(true, length)],
            ..Draft::authority("Root", 1, "Root", 1)
        };
        let roots = Roots::from_pem(&pem(&[&root.make()])).unwrap();
        assert_eq!(roots.judge(&shown(&[&leaf, &a, &b])).is_ok(), admitted, "{length:?}");
    }
    assert_eq!(roots().judge(&shown(&[&leaf, &b, &a])), Err(NotAdmitted::Chain));
}

// E14.
#[test]
fn given_a_list_of_the_trusted_in_doubt_then_none_of_it_counts() {
    let root = Draft::authority("Root", 1, "Root", 1).make();
    let one = pem(&[&root]);
    assert_eq!(Roots::from_pem(&pem(&[&root, &root])).unwrap().0.len(), 2);
    assert_eq!(Roots::from_pem(b"").unwrap_err(), BadRoots::Empty);
    assert_eq!(Roots::from_pem(b" \n").unwrap_err(), BadRoots::Empty);
    assert_eq!(Roots::from_pem(&one.repeat(65)).unwrap_err(), BadRoots::Many);
    for bad in [
        b"roots".to_vec(),
        root.clone(),
        [&one[..], b"more"].concat(),
        [&one[..], &one[..40]].concat(),
        [&one[..], &one[..one.len() - 40]].concat(),
        one[..one.len() - 30].to_vec(),
        pem(&[&root, b"garbage"]),
        pem(&[&[&root[..], &[0]].concat()]),
    ] {
        assert_eq!(Roots::from_pem(&bad).unwrap_err(), BadRoots::Malformed, "{bad:?}");
    }
    let mut odd = Draft::authority("Root", 1, "Root", 1);
    odd.extensions.push(extension(&[0x2a, 3], true, b""));
    assert_eq!(Roots::from_pem(&pem(&[&odd.make()])).unwrap_err(), BadRoots::Unusable);
}

// E14: certificates are a stranger's bytes.
#[test]
fn given_a_thousand_mutations_then_none_is_admitted_and_none_panics() {
    let mut state = 1_u32;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let real = Roots::from_pem(ROOT).unwrap();
    for round in 0..2000 {
        let mut chain = CHAIN.map(<[u8]>::to_vec);
        let at = random(2);
        let bent = &mut chain[at];
        for _ in 0..=random(3) {
            let place = random(bent.len());
            match random(4) {
                0 => bent.truncate(place.max(1)),
                1 => bent[place] ^= 1 << random(8),
                2 => bent.insert(place, random(256) as u8),
                _ => drop(bent.remove(place)),
            }
        }
        if chain.iter().zip(CHAIN).all(|(bent, whole)| bent == whole) {
            continue;
        }
        let certificates: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        let shown = Attestation { signature: SIGNATURE.to_vec(), ..shown(&certificates) };
        assert!(real.judge(&shown).is_err(), "{round}");
    }
}
