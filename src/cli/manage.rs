//! `fidokey rename`, `remove` and `reset`: what is done to keys that are registered. None of it needs the key.

use fidokey_core::credential::{Credential, KeyName};
use fidokey_core::date::rfc3339;
use fidokey_core::enroll::EnrollError;
use fidokey_core::ports::Account;
use fidokey_core::record::Record;
use fidokey_system::clock;
use fidokey_system::files::Places;
use fidokey_system::records::LockedRecords;
use fidokey_system::signals::Undisturbed;

use crate::arguments::{Remove, Rename, Reset};
use crate::needed::{Demands, Needed};
use crate::notice::{Change, Telling, What};
use crate::outcome::{Exit, Failure, Outcome};
use crate::registry::{Right, change, credentials, is_called, locked, only_root};
use crate::self_service::{self, Asked, Words};
use crate::terminal::{note, print};
use crate::{account, record};

/// Gives a key another name.
pub(crate) fn rename(asked: &Rename) -> Outcome {
    let own = Asked {
        does: "renames",
        verb: "rename --user USER KEY NAME",
        user: asked.user.as_ref(),
        roots_option: None,
        words: Words::Rename(&asked.key, asked.name.as_str()),
    };
    if let Some(exit) = self_service::instead(&own)? {
        return Ok(exit);
    }
    let account = account::of_others(asked.user.as_ref(), "rename --user USER KEY NAME")?;
    let by = account::own()?.name;
    let places = Places::system();
    rename_one(&places, &account, &asked.key, &asked.name, by.as_str(), Right::Root)?;
    Ok(Exit::Done)
}

/// Renames the key `known` of `account`, and says so.
///
/// # Errors
/// [`Failure`]; the record is what it was.
pub(crate) fn rename_one(
    places: &Places,
    account: &Account,
    known: &str,
    name: &KeyName,
    by: &str,
    right: Right<'_>,
) -> Result<(), Failure> {
    // Whoever has this done must not end it before it is told.
    let undisturbed = Undisturbed::begin();
    let (before, credential, keys) = renamed(places, account, right, known, name)?;
    let cred = record::tag(&credential);
    let what = What::Renamed(before.as_str());
    let _telling = tell(right, account, what, name.as_str(), &cred, by, keys);
    drop(undisturbed);
    print(&format!("Renamed \"{before}\" of {} to \"{name}\".", account.name))
        .map_err(Failure::though_done)
}

/// Removes a key.
pub(crate) fn remove(asked: &Remove) -> Outcome {
    let own = Asked {
        does: "removes",
        verb: "remove --user USER KEY",
        user: asked.user.as_ref(),
        roots_option: asked.force.then_some("--force"),
        words: Words::Remove(&asked.key),
    };
    if let Some(exit) = self_service::instead(&own)? {
        return Ok(exit);
    }
    let account = account::of_others(asked.user.as_ref(), "remove --user USER KEY")?;
    let by = account::own()?.name;
    let places = Places::system();
    let needed = |before: &[Credential], left: &[Credential]| match asked.force {
        true => Ok(Needed::Nowhere),
        false => needed(&places, before, left),
    };
    remove_one(&places, &account, &asked.key, by.as_str(), Right::Root, needed)?;
    Ok(Exit::Done)
}

/// Removes the key `known` of `account`, and says so; `needed` as for [`removed`].
///
/// # Errors
/// [`Failure`]; the record is what it was.
pub(crate) fn remove_one(
    places: &Places,
    account: &Account,
    known: &str,
    by: &str,
    right: Right<'_>,
    needed: impl FnOnce(&[Credential], &[Credential]) -> Result<Needed, Failure>,
) -> Result<(), Failure> {
    let undisturbed = Undisturbed::begin();
    let (gone, left) = removed(places, account, right, known, needed)?;
    let cred = record::tag(&gone);
    let _telling = tell(right, account, What::Removed, gone.name.as_str(), &cred, by, left);
    drop(undisturbed);
    print(&format!("Removed \"{}\" of {} (cred {cred}).", gone.name, account.name))
        .map_err(Failure::though_done)?;
    match left {
        0 => note(&format!("{} has no key any more.", account.name)),
        1 => note(&format!("{} has 1 key: register a second one.", account.name)),
        _ => {}
    }
    Ok(())
}

/// Removes all keys.
pub(crate) fn reset(asked: &Reset) -> Outcome {
    only_root("removes", "reset USER")?;
    let account = account::named(&asked.user)?;
    let by = account::own()?.name;
    let places = Places::system();
    if !asked.force {
        let user = account.name.as_str();
        needed(&places, &[], &[])?
            .refuse(user, format!("If it is meant: `fidokey reset --force {user}`."))?;
    }
    // Whoever has this done must not end it before it is told.
    let undisturbed = Undisturbed::begin();
    let Some(gone) = emptied(&places, &account)? else {
        return Err(Failure::new(
            Exit::No,
            format!("No keys are registered for {}.", account.name),
            format!("See `fidokey list --user {}`.", account.name),
        ));
    };
    let keys = gone.len();
    let (key, cred) = gone
        .last()
        .map_or_else(Default::default, |last| (last.name.to_string(), record::tag(last)));
    let _telling = tell(Right::Root, &account, What::Reset(keys), &key, &cred, by.as_str(), 0);
    drop(undisturbed);
    print(&format!("Removed all keys of {} ({keys}).", account.name))
        .map_err(Failure::though_done)?;
    note(&format!("Register new ones: `fidokey enroll --user {}`.", account.name));
    Ok(Exit::Done)
}

/// Who asks for more than the keys that are `left` of those `before`.
///
/// # Errors
/// [`Failure`] where the policy cannot be read, and none is left: nobody is let in by any then.
pub(crate) fn needed(
    places: &Places,
    before: &[Credential],
    left: &[Credential],
) -> Result<Needed, Failure> {
    match Demands::read(places) {
        Ok(demands) => Ok(demands.on(before, left)),
        Err(_) if !left.is_empty() => Ok(Needed::Nowhere),
        Err(failure) => Err(failure),
    }
}

/// Renames the key `known` of `account`: the name that it had, what it is now, and how many keys there are.
///
/// # Errors
/// [`Failure`]; the record is what it was.
pub(crate) fn renamed(
    places: &Places,
    account: &Account,
    right: Right<'_>,
    known: &str,
    name: &KeyName,
) -> Result<(KeyName, Credential, usize), Failure> {
    let alter = |credentials: &mut Vec<Credential>, _: &LockedRecords<'_>| {
        let at = place(credentials, account, known)?;
        let others = credentials.iter().enumerate().filter(|(other, _)| *other != at);
        if others.into_iter().any(|(_, other)| is_called(other, name)) {
            return Err(EnrollError::NameTaken.into());
        }
        let Some(credential) = credentials.get_mut(at) else { return Err(missing(account, known)) };
        let before = std::mem::replace(&mut credential.name, name.clone());
        let credential = credential.clone();
        Ok((before, credential, credentials.len()))
    };
    change(places, account, right, alter, |(before, credential, _)| {
        (What::Renamed(before.as_str()), credential)
    })
}

/// Removes the key `known` of `account`: what it was, and how many are left. `needed` says who asks for more than those.
///
/// # Errors
/// [`Failure`]; the record is what it was.
pub(crate) fn removed(
    places: &Places,
    account: &Account,
    right: Right<'_>,
    known: &str,
    needed: impl FnOnce(&[Credential], &[Credential]) -> Result<Needed, Failure>,
) -> Result<(Credential, usize), Failure> {
    let alter = |credentials: &mut Vec<Credential>, _: &LockedRecords<'_>| {
        let before = credentials.clone();
        let gone = credentials.remove(place(credentials, account, known)?);
        let user = account.name.as_str();
        let remedy = match right {
            Right::Root => format!(
                "Register another key first: `fidokey enroll --user {user}`; or say `fidokey remove --user {user} --force {}`.",
                record::tag(&gone)
            ),
            // None of it is anybody's but root's.
            _ => "Register another key first: `fidokey enroll`.".to_owned(),
        };
        needed(&before, credentials)?.refuse(user, remedy)?;
        Ok((gone, credentials.len()))
    };
    change(places, account, right, alter, |(gone, _)| (What::Removed, gone))
}

/// Removes the record of `account`, whatever is in it: the keys that it had, where it was a record. `None` where there was
/// none.
///
/// # Errors
/// [`Failure`]; the record is what it was.
pub(crate) fn emptied(
    places: &Places,
    account: &Account,
) -> Result<Option<Vec<Credential>>, Failure> {
    let records = locked(places)?;
    let read = records.read(account.uid).ok().flatten();
    let record = read.and_then(|file| Record::parse(&file.text).ok());
    let there_was_one = records.remove(account.uid)?;
    Ok(there_was_one.then(|| credentials(record)))
}

/// Where the only key is that has that name, or that tag. A name can be another key's tag, and not by chance.
fn place(credentials: &[Credential], account: &Account, known: &str) -> Result<usize, Failure> {
    let is_known = |(_, credential): &(usize, &Credential)| {
        credential.name.as_str() == known || record::tag(credential) == known
    };
    let mut known_so = credentials.iter().enumerate().filter(is_known);
    match (known_so.next(), known_so.next()) {
        (Some((at, _)), None) => Ok(at),
        (None, _) => Err(missing(account, known)),
        (Some(_), Some(_)) => Err(Failure::new(
            Exit::No,
            format!(
                "\"{known}\" is the name of one key of {} and the CRED of another.",
                account.name
            ),
            "To mean the key of that name say its CRED, to mean the other one say its name.",
        )),
    }
}

fn missing(account: &Account, known: &str) -> Failure {
    Failure::new(
        Exit::No,
        format!("{} has no key \"{known}\".", account.name),
        format!("See `fidokey list --user {}`.", account.name),
    )
}

/// Tells of a change that was made just now by `right`, after which the account has so many keys.
fn tell(
    right: Right<'_>,
    account: &Account,
    what: What<'_>,
    key: &str,
    cred: &str,
    by: &str,
    keys: usize,
) -> Telling {
    let when = rfc3339(clock::since_1970().unwrap_or_default());
    right.tell(&Change { what, account, key, cred, when: &when, by, keys })
}

#[cfg(test)]
#[path = "manage/tests.rs"]
mod tests;
