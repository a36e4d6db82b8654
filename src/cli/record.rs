//! The record of an account as the verbs need it: read, and the account's own.

use fidokey_core::credential::Credential;
use fidokey_core::ports::{Account, FileError, TextFile};
use fidokey_core::record::Record;

use crate::outcome::{Exit, Failure};

/// The record of `account` in what was read for it; none where there is no file.
///
/// # Errors
/// [`Failure`] when it could not be read, is not a record, or is another account's.
pub(crate) fn of(
    account: &Account,
    file: Result<Option<TextFile>, FileError>,
) -> Result<Option<Record>, Failure> {
    let Some(TextFile { path, text }) = file? else { return Ok(None) };
    let record = Record::parse(&text).map_err(|misfit| {
        Failure::new(
            Exit::Unreadable,
            format!("{path}: {misfit}."),
            "Mend the file as root, or remove it and register the keys again.",
        )
    })?;
    if !record.belongs_to(account) {
        return Err(Failure::new(
            Exit::Unreadable,
            format!(
                "{path} is the record of {} ({}), not of {} ({}).",
                record.user, record.uid, account.name, account.uid
            ),
            "Where the account was renamed, correct `user` in it as root; else remove the file.",
        ));
    }
    Ok(Some(record))
}

/// How lists and logs name a credential.
pub(crate) fn tag(credential: &Credential) -> String {
    hex(credential.id.tag())
}

/// A tag as it is shown.
pub(crate) fn hex([a, b, c, d]: [u8; 4]) -> String {
    format!("{a:02x}{b:02x}{c:02x}{d:02x}")
}
