//! Files of other programs: what is read of them is within the limits, the same each time, and a record holds it; nothing that
//! counts nowhere else begins to count.

use std::collections::HashSet;

use fidokey_core::assertion::PublicKey;
use fidokey_core::base64url;
use fidokey_core::credential::Protocol;
use fidokey_core::import::pam_u2f::{DEVICES_MAX, read};
use fidokey_core::import::ssh::{is_private, private_key, public_keys};
use fidokey_core::import::{Bound, LINE_MAX};

/// The first byte says of which kind the file is that follows: a mapping (0), a private key (1), that of which the bytes follow
/// without the text around them (2), public keys (3).
pub fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind {
        0 => mapping(bytes),
        1 => private(bytes),
        2 => {
            let begin = "-----BEGIN OPENSSH PRIVATE KEY-----";
            let end = "-----END OPENSSH PRIVATE KEY-----";
            private(format!("{begin}\n{}\n{end}\n", base64url::encode(bytes)).as_bytes());
        }
        _ => public(bytes),
    }
}

fn mapping(bytes: &[u8]) {
    let lines = read(bytes, DEVICES_MAX);
    assert_eq!(format!("{lines:?}"), format!("{:?}", read(bytes, DEVICES_MAX)));
    let mut numbers = Vec::new();
    let mut used = HashSet::new();
    for line in &lines {
        numbers.push(line.as_ref().map_or_else(|(number, _)| *number, |line| line.number));
        let Ok(line) = line else { continue };
        assert!(line.entries.len() <= DEVICES_MAX && line.entries.len() + line.beyond <= LINE_MAX);
        // One line of each account, and no other after it.
        match line.superseded_by {
            None => assert!(used.insert(&line.user)),
            Some(by) => assert!(by > line.number && !used.contains(&line.user)),
        }
        for entry in line.entries.iter().flatten() {
            is_key(&entry.public_key);
            assert!((1..=1023).contains(&entry.id.as_bytes().len()));
            let proves = entry.verification.word() == "required";
            assert!(!(proves && entry.form == Protocol::U2f));
        }
    }
    assert!(numbers.is_sorted_by(|one, other| one < other));
    let newlines = bytes.iter().filter(|byte| **byte == b'\n').count();
    assert!(numbers.iter().all(|number| (1..=newlines + 1).contains(number)));
    // A text with another line at its end is read as before, but that this line counts.
    let more = read(&[bytes, b"\nzz:AAAA"].concat(), DEVICES_MAX);
    assert_eq!(more.len(), lines.len() + 1);
}

fn private(text: &[u8]) {
    let key = private_key(text);
    let again = private_key(text);
    assert_eq!(format!("{key:?}"), format!("{again:?}"));
    let Ok(key) = key else { return };
    assert!(is_private(text));
    is_bound(&key.bound);
    assert!((1..=1023).contains(&key.id.as_bytes().len()));
    // Of what somebody has cut off nothing is left.
    assert!(private_key(&text[..text.trim_ascii_end().len() - 1]).is_err());
}

fn public(text: &[u8]) {
    let keys: Vec<_> = public_keys(text).collect();
    assert!(keys.is_sorted_by(|(one, _), (other, _)| one < other));
    for (number, bound) in keys {
        let Ok(bound) = bound else { continue };
        is_bound(&bound);
        // What limits it takes it away.
        let line = text.split(|byte| *byte == b'\n').nth(number - 1).unwrap().trim_ascii();
        let limited = [b"restrict,", line].concat();
        assert!(public_keys(&limited).all(|(_, bound)| bound.is_err()));
    }
}

fn is_bound(bound: &Bound) {
    assert!(bound.rp_id.as_str().starts_with("ssh:"));
    is_key(&bound.public_key);
}

fn is_key(key: &PublicKey) {
    let again = PublicKey::new(key.algorithm(), &key.to_bytes()).unwrap();
    assert_eq!(again.to_bytes(), key.to_bytes());
}
