//! pam-u2f's mapping of accounts to credentials, in both of its forms.
//!
//! A line is `USER:CREDENTIAL:CREDENTIAL…`. A credential is `KEYHANDLE,PUBLICKEY,ALGORITHM,OPTIONS` in base64, as pamu2fcfg
//! has written it since 1.1.0, or `KEYHANDLE,PUBLICKEY` with the key in hexadecimal, before that and of U2F. Of several lines
//! of an account pam-u2f uses the last one alone, and of that line the first [`DEVICES_MAX`] credentials, unless its
//! `max_devices` says how many.

use std::collections::HashMap;

use crate::assertion::PublicKey;
use crate::credential::{AccountName, Algorithm, CredentialId, Protocol, Verification};

use super::{Unfit, base64, id, line_of};

/// So many credentials of a line count where pam-u2f is not told another number.
pub const DEVICES_MAX: usize = 24;

/// The line of an account.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// Whose it is.
    pub user: AccountName,
    /// The line that pam-u2f uses instead of it, where there is one.
    pub superseded_by: Option<usize>,
    /// Its credentials in their order, as many as count.
    pub entries: Vec<Result<Entry, Unfit>>,
    /// How many more there are, which do not.
    pub beyond: usize,
}

/// One credential of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: CredentialId,
    /// Its public key.
    pub public_key: PublicKey,
    /// What pam-u2f asks for it as: in the old form it is bound to `appid`, in the new one to `origin`.
    pub form: Protocol,
    /// What it must prove beyond a touch: where it asks for a PIN or for the key's own verification, that.
    pub verification: Verification,
}

/// The lines of a mapping, of which the first `devices_max` credentials count each; or the number of a line of nobody, and
/// what is wrong with it. Empty lines are none.
#[must_use]
pub fn read(text: &[u8], devices_max: usize) -> Vec<Result<Line, (usize, Unfit)>> {
    let mut read: Vec<Result<Line, (usize, Unfit)>> = Vec::new();
    // pam-u2f goes on to the end of the file, and the last line that it sees is the one, whatever is in it.
    let mut last: HashMap<&[u8], usize> = HashMap::new();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        last.insert(whose(line), number);
        let parsed = line_of(line).and_then(|line| parse(number, line, devices_max));
        read.push(parsed.map_err(|unfit| (number, unfit)));
    }
    for line in read.iter_mut().flatten() {
        let last = last.get(line.user.as_str().as_bytes()).copied();
        line.superseded_by = last.filter(|last| *last != line.number);
    }
    read
}

/// Whose a line is for pam-u2f, which takes what is before the first colon that is not at its begin, also where nothing else is.
fn whose(line: &[u8]) -> &[u8] {
    let begins = line.iter().position(|byte| *byte != b':').unwrap_or(line.len());
    let line = line.get(begins..).unwrap_or_default();
    line.split(|byte| matches!(byte, b':' | 0)).next().unwrap_or_default()
}

fn parse(number: usize, line: &str, devices_max: usize) -> Result<Line, Unfit> {
    let (user, credentials) = line.split_once(':').ok_or(Unfit::Malformed)?;
    let user = AccountName::new(user).map_err(|_| Unfit::Malformed)?;
    // What is between two colons that follow each other is none for pam-u2f either; `pamu2fcfg -n` begins with one.
    let mut texts = credentials.split(':').filter(|text| !text.is_empty());
    let mut entries: Vec<_> = texts.by_ref().take(devices_max).map(entry).collect();
    // pam-u2f then lets in by none of them.
    if entries.iter().any(|entry| matches!(entry, Err(Unfit::Malformed))) {
        for entry in entries.iter_mut().filter(|entry| entry.is_ok()) {
            *entry = Err(Unfit::Neighbour);
        }
    }
    Ok(Line { number, user, superseded_by: None, entries, beyond: texts.count() })
}

fn entry(text: &str) -> Result<Entry, Unfit> {
    let mut parts = text.split(',');
    let (handle, key) = (parts.next().unwrap_or_default(), parts.next());
    let key = key.ok_or(Unfit::Malformed)?;
    let (algorithm, options) = (parts.next(), parts.next().unwrap_or_default());
    if parts.next().is_some() {
        return Err(Unfit::Malformed);
    }
    if handle == "*" {
        return Err(Unfit::Resident);
    }
    let id = id(handle)?;
    let Some(algorithm) = algorithm else {
        let point = hexadecimal(key).ok_or(Unfit::PublicKey)?;
        let public_key = PublicKey::new(Algorithm::Es256, &point).ok_or(Unfit::PublicKey)?;
        let verification = Verification::None;
        return Ok(Entry { id, public_key, form: Protocol::U2f, verification });
    };
    let algorithm = Algorithm::ALL
        .into_iter()
        .find(|known| known.word().eq_ignore_ascii_case(algorithm))
        .ok_or(Unfit::Algorithm)?;
    let bytes = base64(key).ok_or(Unfit::PublicKey)?;
    let bytes = match (algorithm, bytes.len()) {
        // The coordinates alone, without the byte that says so.
        (Algorithm::Es256, 64) => [&[0x04], &bytes[..]].concat(),
        _ => bytes,
    };
    let public_key = PublicKey::new(algorithm, &bytes).ok_or(Unfit::PublicKey)?;
    let verification = verification(options)?;
    Ok(Entry { id, public_key, form: Protocol::Fido2, verification })
}

/// What the options ask for beyond a touch. Without `+presence` pam-u2f lets the key decide if it wants one; here it always
/// has to be touched.
fn verification(options: &str) -> Result<Verification, Unfit> {
    let mut asked = Verification::None;
    let mut words = options.split('+');
    if words.next() != Some("") {
        return Err(Unfit::Option);
    }
    for word in words {
        asked = asked.max(match word {
            "presence" => Verification::None,
            "pin" | "verification" => Verification::Required,
            _ => return Err(Unfit::Option),
        });
    }
    Ok(asked)
}

/// The bytes of an even number of hexadecimal digits.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = text.as_bytes().chunks(2).map(|pair| match *pair {
        [high, low] => Some((digit(high)? << 4) | digit(low)?),
        _ => None,
    });
    bytes.collect()
}
