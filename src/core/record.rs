//! The record of an account: TOML text to credentials and back. How the file is found and whether it can
//! be trusted is decided elsewhere.
//!
//! A record is whole or it is nothing: one key too many, one value in doubt, and none of its credentials
//! counts. A credential that was dropped silently would be a policy that was dropped silently.

use std::fmt::Write as _;

use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use crate::assertion::PublicKey;
use crate::base64url;
use crate::credential::{
    AccountName, Algorithm, Credential, CredentialId, KeyName, Protocol, RpId, Uid, is_unprintable,
};
use crate::ports::Account;
use crate::text::{self, Source, quoted};

pub use crate::text::Misfit;

pub mod keys;

/// The most credentials that a record may hold.
pub const CREDENTIALS_MAX: usize = 64;
/// The longest user handle, in bytes (WebAuthn section 5.4.3).
pub const USER_HANDLE_MAX: usize = 64;
/// The longest note on who registered a credential, in characters.
pub const ADDED_BY_MAX: usize = 256;

/// What is said of a credential id that is in a record twice.
pub const SAME_ID: &str = "another credential of this record has that id";

/// The credentials of one account.
#[derive(Clone, Debug)]
pub struct Record {
    /// The name that the name service gave for `uid` when the record was made.
    pub user: AccountName,
    /// The number of the account, which also names the file.
    pub uid: Uid,
    /// 1 to 64 credentials, no two with the same name or the same id.
    pub credentials: Vec<Credential>,
}

impl Record {
    /// Reads the text of a record, at most 64 KiB of UTF-8.
    ///
    /// # Errors
    /// The first [`Misfit`]; nothing of the record counts then.
    pub fn parse(text: &[u8]) -> Result<Self, Misfit> {
        let source = Source::new(text)?;
        let raw: RawRecord = source.parse()?;
        let RawRecord { schema: _, user, uid, credential } = raw;
        check_count(source, &credential)?;
        for (index, one) in credential.iter().enumerate() {
            let (before, _) = credential.split_at_checked(index).unwrap_or_default();
            source.value("name", &one.name, |name| {
                match before.iter().any(|other| other.name.get_ref() == name) {
                    true => Err("another credential of this record has that name"),
                    false => Ok(()),
                }
            })?;
            source.value("id", &one.id, |id| {
                match before.iter().any(|other| other.id.get_ref() == id) {
                    true => Err(SAME_ID),
                    false => Ok(()),
                }
            })?;
        }
        Ok(Self {
            user: source
                .value("user", &user, |user| AccountName::new(user).map_err(|bad| bad.0))?,
            uid: source.value("uid", &uid, |&uid| {
                Uid::try_from(uid).map_err(|_| "must be a user number, 0 to 4294967295")
            })?,
            credentials: credential
                .iter()
                .map(|raw| parse_credential(source, raw))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The text of the record, which [`Record::parse`] reads again to the same record. Whoever writes it to
    /// a file reads it so first: more than 64 credentials, or more than 64 KiB, are refused there.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text =
            format!("schema = 1\nuser = {}\nuid = {}\n", quoted(self.user.as_str()), self.uid);
        for credential in &self.credentials {
            write_credential(&mut text, credential);
        }
        text
    }

    /// Whether this is the record of `account`: by number and by name, so that neither an account that got
    /// the number of a deleted one nor a renamed one is let in by its keys.
    #[must_use]
    pub fn belongs_to(&self, account: &Account) -> bool {
        self.uid == account.uid && self.user == account.name
    }
}

/// The file as TOML has it; `deny_unknown_fields` is what makes a misspelt key an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecord {
    // Checked when the text is read; named here so that it must be there.
    #[expect(dead_code, reason = "its presence is all that is asked of it here")]
    schema: i64,
    user: Spanned<String>,
    uid: Spanned<i64>,
    credential: Vec<RawCredential>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCredential {
    name: Spanned<String>,
    protocol: Spanned<String>,
    algorithm: Spanned<String>,
    rp_id: Spanned<String>,
    id: Spanned<String>,
    public_key: Spanned<String>,
    verification: Spanned<String>,
    user_handle: Option<Spanned<String>>,
    backup_eligible: Option<bool>,
    counter: Option<Spanned<String>>,
    aaguid: Option<Spanned<String>>,
    added: Spanned<Datetime>,
    added_by: Spanned<String>,
}

fn check_count(source: Source<'_>, credentials: &[RawCredential]) -> Result<(), Misfit> {
    if credentials.is_empty() {
        return Err(text::nowhere("no credential"));
    }
    match credentials.get(CREDENTIALS_MAX) {
        None => Ok(()),
        Some(first_too_many) => Err(Misfit {
            key: None,
            message: format!(
                "{} credentials, at most {CREDENTIALS_MAX} are allowed",
                credentials.len()
            ),
            ..source.wrong("name", first_too_many.name.span(), "")
        }),
    }
}

fn parse_credential(source: Source<'_>, raw: &RawCredential) -> Result<Credential, Misfit> {
    let algorithm = source.value("algorithm", &raw.algorithm, |word| {
        let known = Algorithm::ALL.into_iter().find(|algorithm| algorithm.word() == word);
        known.ok_or("must be \"es256\" or \"eddsa\"")
    })?;
    Ok(Credential {
        name: source.value("name", &raw.name, |name| KeyName::new(name).map_err(|bad| bad.0))?,
        protocol: source.value("protocol", &raw.protocol, |word| {
            let known = Protocol::ALL.into_iter().find(|protocol| protocol.word() == word);
            known.ok_or("must be \"fido2\" or \"u2f\"")
        })?,
        rp_id: source.value("rp_id", &raw.rp_id, |rp_id| RpId::new(rp_id).map_err(|bad| bad.0))?,
        id: source
            .value("id", &raw.id, |id| CredentialId::new(&bytes(id)?).map_err(|bad| bad.0))?,
        public_key: source.value("public_key", &raw.public_key, |key| {
            PublicKey::new(algorithm, &bytes(key)?).ok_or("not a public key of that algorithm")
        })?,
        verification: source
            .value("verification", &raw.verification, |word| text::verification(word))?,
        user_handle: source.optional("user_handle", raw.user_handle.as_ref(), |handle| {
            let handle = bytes(handle)?;
            match handle.len() {
                1..=USER_HANDLE_MAX => Ok(handle),
                _ => Err("a user handle has 1 to 64 bytes"),
            }
        })?,
        backup_eligible: raw.backup_eligible,
        counter: source.optional("counter", raw.counter.as_ref(), |word| text::counter(word))?,
        aaguid: source.optional("aaguid", raw.aaguid.as_ref(), |aaguid| {
            parse_uuid(aaguid).ok_or("must be 16 bytes in the form of a lower-case UUID")
        })?,
        added: source.value("added", &raw.added, |added| match added {
            Datetime { date: Some(_), time: Some(_), offset: Some(_) } => Ok(added.to_string()),
            _ => Err("must have date, time and offset from UTC"),
        })?,
        added_by: source.value("added_by", &raw.added_by, |by| {
            match by.chars().any(is_unprintable) || by.chars().count() > ADDED_BY_MAX {
                true => Err("must be at most 256 printable characters"),
                false => Ok(by.clone()),
            }
        })?,
    })
}

fn bytes(text: &str) -> Result<Vec<u8>, &'static str> {
    base64url::decode(text).ok_or("must be base64url without padding")
}

/// The 16 bytes of a UUID in its one text: lower case, 8-4-4-4-12 (RFC 9562 section 4).
pub(crate) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|&c| c != '-').collect();
    let mut uuid = [0; 16];
    for (index, byte) in uuid.iter_mut().enumerate() {
        let at = index.checked_mul(2)?;
        *byte = u8::from_str_radix(digits.get(at..at.checked_add(2)?)?, 16).ok()?;
    }
    // One value, one text: whatever else would have been read as these bytes is refused here.
    (uuid_text(uuid) == text).then_some(uuid)
}

fn uuid_text(uuid: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in uuid.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn write_credential(text: &mut String, credential: &Credential) {
    let lines = [
        ("name", Some(quoted(credential.name.as_str()))),
        ("protocol", Some(quoted(credential.protocol.word()))),
        ("algorithm", Some(quoted(credential.public_key.algorithm().word()))),
        ("rp_id", Some(quoted(credential.rp_id.as_str()))),
        ("id", Some(quoted(&base64url::encode(credential.id.as_bytes())))),
        ("public_key", Some(quoted(&base64url::encode(&credential.public_key.to_bytes())))),
        ("verification", Some(quoted(credential.verification.word()))),
        (
            "user_handle",
            credential.user_handle.as_deref().map(|handle| quoted(&base64url::encode(handle))),
        ),
        ("backup_eligible", credential.backup_eligible.map(|eligible| eligible.to_string())),
        ("counter", credential.counter.map(|counter| quoted(counter.word()))),
        ("aaguid", credential.aaguid.map(|aaguid| quoted(&uuid_text(aaguid)))),
        // What is not a date would be a line of its own making here: as a string it is refused when read.
        (
            "added",
            Some(match credential.added.parse::<Datetime>() {
                Ok(added) => added.to_string(),
                Err(_) => quoted(&credential.added),
            }),
        ),
        // Last, and never absent: a text that was cut off within a credential is always found out.
        ("added_by", Some(quoted(&credential.added_by))),
    ];
    text.push_str("\n[[credential]]\n");
    for (key, value) in lines {
        if let Some(value) = value {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)]
mod tests;
