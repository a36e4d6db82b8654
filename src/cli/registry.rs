//! The record of an account, changed: what it is now is read under the lock, and what it becomes is written whole.

use fidokey_core::credential::{Credential, KeyName};
use fidokey_core::date::rfc3339;
use fidokey_core::enroll::EnrollError;
use fidokey_core::key_name;
use fidokey_core::ports::Account;
use fidokey_core::record::{CREDENTIALS_MAX, Record};
use fidokey_system::accounts::{effective_uid, real_uid};
use fidokey_system::clock;
use fidokey_system::files::Places;
use fidokey_system::records::LockedRecords;

use crate::notice::{self, Change, What};
use crate::outcome::{Exit, Failure};
use crate::record;
use crate::terminal::{waiting_aside, waiting_for};

mod right;

pub(crate) use right::{Authorised, Right};

/// Root for whoever started this as well: a setuid bit on the command must not let everybody change records.
///
/// # Errors
/// [`Failure`] where it is somebody else; `verb` is what to type instead, after `sudo fidokey`.
pub(crate) fn only_root(does: &str, verb: &str) -> Result<(), Failure> {
    if real_uid() == 0 && effective_uid() == 0 {
        return Ok(());
    }
    Err(roots(does, verb))
}

/// Root does it, and nobody else; `verb` as for [`only_root`].
pub(crate) fn roots(does: &str, verb: &str) -> Failure {
    Failure::new(
        Exit::NotPermitted,
        format!("Only root {does} keys."),
        format!("Run `sudo fidokey {verb}`, or ask your administrator."),
    )
}

/// What is said where the lock is somebody else's.
const ANOTHERS: &str = "Waiting for another registration to finish.";

/// The records, locked; somebody else may be at them.
///
/// # Errors
/// [`Failure`] where the lock cannot be had.
pub(crate) fn locked(places: &Places) -> Result<LockedRecords<'_>, Failure> {
    Ok(waiting_for(ANOTHERS, || places.lock_records())?)
}

/// Changes the credentials of `account` by `alter`, which is given what they are now: another registration may have been
/// quicker. The lock is held for this alone, and not while somebody looks for their key. Without a credential left there
/// is no record. What is about to be written is, by `about`, in the log before it is, unless it is root who does it: whoever owns
/// the session can end this process at any moment.
///
/// # Errors
/// [`Failure`], also that of `alter`; the record is what it was then.
pub(crate) fn change<T>(
    places: &Places,
    account: &Account,
    right: Right<'_>,
    alter: impl FnOnce(&mut Vec<Credential>, &LockedRecords<'_>) -> Result<T, Failure>,
    about: impl for<'t> FnOnce(&'t T) -> (What<'t>, &'t Credential),
) -> Result<T, Failure> {
    let records = match right.authorised() {
        None => locked(places)?,
        Some(_) => waiting_aside(ANOTHERS, || places.lock_records())?,
    };
    let mut credentials = credentials(record::of(account, records.read(account.uid))?);
    right.holds(places, &credentials)?;
    let altered = alter(&mut credentials, &records)?;
    if let Some(Authorised { by, .. }) = right.authorised() {
        let (what, credential) = about(&altered);
        let when = rfc3339(clock::since_1970().unwrap_or_default());
        notice::intend(&Change {
            what,
            account,
            key: credential.name.as_str(),
            cred: &record::tag(credential),
            when: &when,
            by,
            keys: credentials.len(),
        });
    }
    if credentials.is_empty() {
        records.remove(account.uid)?;
    } else {
        records.write(&Record { user: account.name.clone(), uid: account.uid, credentials })?;
    }
    Ok(altered)
}

/// Adds `credential`. Where its name is taken and it was called after its model, which `rename` is then, it gets another one:
/// the credential as it is then, and how many there are.
///
/// # Errors
/// [`Failure`]; the record is what it was.
pub(crate) fn add(
    places: &Places,
    account: &Account,
    right: Right<'_>,
    credential: Credential,
    rename: Option<&KeyName>,
) -> Result<(Credential, usize), Failure> {
    let joined = |credentials: &mut Vec<Credential>, records: &LockedRecords<'_>| {
        nobody_elses(records, account, &credential)?;
        let added = join(credentials, credential, rename)?;
        Ok((added, credentials.len()))
    };
    change(places, account, right, joined, |(added, _)| (What::Registered, added))
}

/// The credentials of a record; none where there is none.
pub(crate) fn credentials(record: Option<Record>) -> Vec<Credential> {
    record.map(|record| record.credentials).unwrap_or_default()
}

/// No key gives an id twice: one that another account has is a copy of that account's, and whoever holds it would be let
/// in as either. A record that cannot be read is of no use to anybody, and in nobody else's way.
///
/// # Errors
/// [`Failure`], which says whose it is.
pub(crate) fn nobody_elses(
    records: &LockedRecords<'_>,
    account: &Account,
    new: &Credential,
) -> Result<(), Failure> {
    for uid in records.uids()?.into_iter().filter(|uid| *uid != account.uid) {
        let Ok(Some(file)) = records.read(uid) else { continue };
        let Ok(other) = Record::parse(&file.text) else { continue };
        if other.credentials.iter().any(|known| known.id == new.id) {
            return Err(Failure::new(
                Exit::No,
                format!("Nothing was written: {} has the very same credential.", other.user),
                "Do not use this key: no two credentials of a sound one are alike.",
            ));
        }
    }
    Ok(())
}

/// Whether `name` means `known` where a key is named: it is its name, or its tag.
pub(crate) fn is_called(known: &Credential, name: &KeyName) -> bool {
    known.name == *name || record::tag(known) == name.as_str()
}

/// Puts the new one behind `existing`, under another name of its model where its own is taken, see [`add`].
///
/// # Errors
/// [`EnrollError`]; `existing` is what it was.
pub(crate) fn join(
    existing: &mut Vec<Credential>,
    mut new: Credential,
    rename: Option<&KeyName>,
) -> Result<Credential, EnrollError> {
    if existing.len() >= CREDENTIALS_MAX {
        return Err(EnrollError::Full);
    }
    if existing.iter().any(|known| known.id == new.id) {
        return Err(EnrollError::AlreadyRegistered);
    }
    if existing.iter().any(|known| is_called(known, &new.name)) {
        let model = rename.ok_or(EnrollError::NameTaken)?;
        new.name = key_name::free(model, existing).ok_or(EnrollError::Full)?;
    }
    existing.push(new.clone());
    Ok(new)
}

#[cfg(test)]
#[path = "registry/tests.rs"]
mod tests;
