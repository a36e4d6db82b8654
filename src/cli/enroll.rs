//! `fidokey enroll`: registers a key for an account, proves it, and only then writes it down.

use std::slice;
use std::time::Duration;

use fidokey_core::audit::Line;
use fidokey_core::config::ConfigFile;
use fidokey_core::credential::{Algorithm, Credential, KeyName};
use fidokey_core::date::rfc3339;
use fidokey_core::enroll::{EnrollError, Enrollment, enroll};
use fidokey_core::ports::{Account, Keys, Machine, TextFile};
use fidokey_core::record::{CREDENTIALS_MAX, Record};
use fidokey_system::accounts::{effective_uid, real_uid};
use fidokey_system::clock;
use fidokey_system::files::Places;
use fidokey_system::hidraw::Hidraw;
use fidokey_system::machine::System;
use fidokey_system::records::LockedRecords;

use crate::arguments::Enroll;
use crate::outcome::{Exit, Failure, Outcome};
use crate::terminal::{TerminalHost, print, say};
use crate::{account, log, record};

/// How long to wait for the key, and for each touch.
const PATIENCE: Duration = Duration::from_secs(30);

/// Registers one key. After Ctrl-C the key is cancelled and nothing is written.
pub(crate) fn run(asked: &Enroll) -> Outcome {
    only_root()?;
    let account = account::named(asked.user.as_ref().ok_or_else(whom)?)?;
    let added_by = account::own()?.name;
    let places = Places::system();
    let mut machine = System::new(places.clone());
    let policy = policy(&places)?;
    let existing = credentials(record::of(&account, machine.record(account.uid))?);
    let name = asked.name.clone().map_or_else(|| free_name(&existing), Ok)?;
    let mut keys = Hidraw::new().keeping_signals();
    let made = enroll(
        &mut machine,
        &mut TerminalHost::new("fidokey-enroll", account.name.as_str()),
        &mut keys,
        &Enrollment {
            account: &account,
            existing: &existing,
            name: &name,
            algorithms: asked.algorithm.as_ref().map_or(&Algorithm::ALL, slice::from_ref),
            rp_id: &policy.rp_id,
            verification: asked.verification.unwrap_or_default(),
            policy: policy.verification(),
            pin_guard: policy.pin_guard(),
            patience: PATIENCE,
            added: &rfc3339(clock::since_1970().unwrap_or_default()),
            added_by: added_by.as_str(),
        },
    );
    let credential = match keys.pending_signal() {
        Some(_) => Err(EnrollError::Cancelled),
        None => made,
    };
    // What it was for has ended; SIGTERM ends the command here.
    keys.take_interrupt();
    drop(keys);
    let credential = credential?;
    let written = write(&places, &account, credential, asked.name.is_none())?;
    report(&account, &written, added_by.as_str())
}

/// Root for whoever started this as well: a setuid bit on the command must not let everybody register.
fn only_root() -> Result<(), Failure> {
    if real_uid() == 0 && effective_uid() == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::NotPermitted,
        "Only root registers keys.",
        "Run `sudo fidokey enroll --user USER`, or ask your administrator.",
    ))
}

/// Under sudo one's own account is root, which is hardly ever meant.
fn whom() -> Failure {
    let remedy = "Say it: `fidokey enroll --user USER`, also when USER is root.";
    Failure::new(Exit::Usage, "For whom the key is was not said.", remedy)
}

/// The policy: what new credentials are bound to, what logins will have to prove.
pub(crate) fn policy(places: &Places) -> Result<ConfigFile, Failure> {
    let Some(TextFile { path, text }) = places.read_config()? else {
        return Ok(ConfigFile::default());
    };
    ConfigFile::parse(&text).map_err(|misfit| {
        Failure::new(
            Exit::Unreadable,
            format!("{path}: {misfit}."),
            "Mend the file; until then logins are denied as well.",
        )
    })
}

fn credentials(record: Option<Record>) -> Vec<Credential> {
    record.map(|record| record.credentials).unwrap_or_default()
}

/// The first of "Key 1", "Key 2", … that none of `existing` has.
fn free_name(existing: &[Credential]) -> Result<KeyName, EnrollError> {
    // One more than there can be credentials: one of them is free.
    (1..=CREDENTIALS_MAX.saturating_add(1))
        .filter_map(|number| KeyName::new(&format!("Key {number}")).ok())
        .find(|name| existing.iter().all(|known| known.name != *name))
        .ok_or(EnrollError::Full)
}

/// Adds `credential` to what the record is now: another registration may have been quicker. The lock is held
/// for this alone, and not while somebody looks for their key.
fn write(
    places: &Places,
    account: &Account,
    credential: Credential,
    rename: bool,
) -> Result<Record, Failure> {
    let records = places.lock_records()?;
    let existing = credentials(record::of(account, records.read(account.uid))?);
    nobody_elses(&records, account, &credential)?;
    let credentials = joined(existing, credential, rename)?;
    let record = Record { user: account.name.clone(), uid: account.uid, credentials };
    records.write(&record)?;
    Ok(record)
}

/// No key gives an id twice: one that another account has is a copy of that account's, and whoever holds it would be let
/// in as either. A record that cannot be read is of no use to anybody, and in nobody else's way.
fn nobody_elses(
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

/// `existing` and the new one, which gets another name where it is taken and `rename` allows it.
fn joined(
    mut existing: Vec<Credential>,
    mut new: Credential,
    rename: bool,
) -> Result<Vec<Credential>, EnrollError> {
    if existing.len() >= CREDENTIALS_MAX {
        return Err(EnrollError::Full);
    }
    if existing.iter().any(|known| known.id == new.id) {
        return Err(EnrollError::AlreadyRegistered);
    }
    if existing.iter().any(|known| known.name == new.name) {
        if !rename {
            return Err(EnrollError::NameTaken);
        }
        new.name = free_name(&existing)?;
    }
    existing.push(new);
    Ok(existing)
}

/// Says what was done: to the log, to the user, and that one key is one too few.
fn report(account: &Account, record: &Record, by: &str) -> Outcome {
    let Some(new) = record.credentials.last() else { return Ok(Exit::Bug) };
    log::changed(&line(account, new, by));
    let user = &account.name;
    let printed =
        print(&format!("Registered \"{}\" for {user} (cred {}).", new.name, record::tag(new)));
    if record.credentials.len() == 1 {
        say(&format!("{user} has 1 key: register a second one, so that one can be lost."));
    }
    printed.map(|()| Exit::Done)
}

fn line(account: &Account, new: &Credential, by: &str) -> Line {
    let mut line = Line::default();
    line.field("registered", &new.added)
        .field("user", account.name.as_str())
        .field("uid", &account.uid.to_string())
        .field("key", new.name.as_str())
        .field("cred", &record::tag(new))
        .field("by", by);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"
schema = 1
user = "alice"
uid = 1000

[[credential]]
name = "Key 1"
protocol = "fido2"
algorithm = "es256"
rp_id = "pam://fidokey"
id = "AAAA"
public_key = "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
verification = "none"
added = 2026-11-23T10:00:00Z
added_by = "root"
"#;

    fn credential(name: &str) -> Credential {
        let id = fidokey_core::credential::CredentialId::new(name.as_bytes()).unwrap();
        let record = Record::parse(RECORD.as_bytes()).unwrap();
        let one = record.credentials.into_iter().next().unwrap();
        Credential { name: KeyName::new(name).unwrap(), id, ..one }
    }

    fn names(credentials: &[Credential]) -> Vec<&str> {
        credentials.iter().map(|credential| credential.name.as_str()).collect()
    }

    #[test]
    fn the_first_free_number_is_the_name() {
        let name = |taken: &[&str]| {
            let existing: Vec<Credential> = taken.iter().map(|name| credential(name)).collect();
            free_name(&existing).unwrap().to_string()
        };
        assert_eq!(name(&[]), "Key 1");
        assert_eq!(name(&["Key 1", "Blue", "Key 2"]), "Key 3");
        assert_eq!(name(&["Key 2"]), "Key 1");
    }

    // E8.
    #[test]
    fn given_a_quicker_registration_then_a_chosen_name_is_refused_and_a_default_moves_on() {
        let quicker = vec![credential("Key 1")];
        let new = Credential { name: KeyName::new("Key 1").unwrap(), ..credential("other id") };
        let refused = joined(quicker.clone(), new.clone(), false);
        assert_eq!(refused.unwrap_err(), EnrollError::NameTaken);
        assert_eq!(names(&joined(quicker.clone(), new, true).unwrap()), ["Key 1", "Key 2"]);
        let same_id = Credential { name: KeyName::new("Blue").unwrap(), ..credential("Key 1") };
        let refused = joined(quicker, same_id, true);
        assert_eq!(refused.unwrap_err(), EnrollError::AlreadyRegistered);
        let many: Vec<Credential> =
            (0..CREDENTIALS_MAX).map(|number| credential(&format!("a{number}"))).collect();
        assert_eq!(joined(many, credential("b"), true).unwrap_err(), EnrollError::Full);
    }

    // E5; F12: a record that is none is in nobody's way.
    #[test]
    fn given_an_id_that_another_account_has_then_nothing_is_written() {
        let tree = crate::doctor::scratch::Scratch::new("enroll-another");
        let account = |uid, name: &str| Account {
            uid,
            name: fidokey_core::credential::AccountName::new(name).unwrap(),
        };
        tree.write("etc/fidokey/users/1.toml", "broken");
        tree.write("etc/fidokey/users/2.toml", "");
        let places = tree.places();
        let write = |uid, name, key| {
            write(&places, &account(uid, name), credential(key), false).map(|_written| ())
        };
        write(1001, "bob", "a").unwrap();
        write(1000, "alice", "b").unwrap();
        let before = std::fs::read(tree.path("etc/fidokey/users/1000.toml")).unwrap();
        let refused = write(1000, "alice", "a").unwrap_err();
        assert_eq!(refused.exit(), Exit::No);
        assert!(format!("{refused:?}").contains("bob has the very same credential"), "{refused:?}");
        assert!(
            write(1002, "carol", "b").is_err()
                && !tree.path("etc/fidokey/users/1002.toml").exists()
        );
        assert_eq!(std::fs::read(tree.path("etc/fidokey/users/1000.toml")).unwrap(), before);
        write(1000, "alice", "c").unwrap();
    }

    #[test]
    fn the_log_has_one_line_that_no_name_can_break() {
        let account = Account {
            uid: 1000,
            name: fidokey_core::credential::AccountName::new("alice").unwrap(),
        };
        assert_eq!(
            line(&account, &credential("Blue by=mallory"), "root").as_str(),
            "registered=2026-11-23T10:00:00Z user=alice uid=1000 key=\"Blue by=mallory\" \
             cred=5ef7bd01 by=root"
        );
    }
}
