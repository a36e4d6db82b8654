//! The records: whether each of them can be used, by the account that it is meant for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use fidokey_core::config::ConfigFile;
use fidokey_core::credential::{Protocol, Uid, Verification};
use fidokey_core::findings::Kind;
use fidokey_core::ports::{Account, Fault};
use fidokey_core::record::{Misfit, Record, SAME_ID};

use fidokey_system::files::{account_file, account_in};

use super::files;
use super::report::{Place, Report, word};
use super::world::World;

/// What the verbs that write records have beside them.
const LOCK: &str = ".lock";

/// An account whose record can be used.
#[derive(Debug)]
pub(crate) struct Enrolled {
    /// Its record, as it is named here.
    pub(crate) record: PathBuf,
    pub(crate) account: Account,
    /// How many credentials it has.
    pub(crate) keys: usize,
    /// Whether one of them can prove more than a touch.
    pub(crate) can_verify: bool,
}

/// Looks at every record; the accounts that can use theirs.
pub(crate) fn examine(
    world: &World,
    policy: Option<&ConfigFile>,
    report: &mut Report,
) -> Vec<Enrolled> {
    if let Err(error) = world.places.check_records() {
        let (wrong, remedy) = files::told(&error, false);
        let wrong = format!("No login with a key works: {wrong}.");
        report.found(Kind::RecordsUnsafe, Place::file(error.path.as_ref()), wrong, remedy);
        return Vec::new();
    }
    let directory = &world.places.users;
    let names = match world.tree.names(directory) {
        Ok(names) => names.unwrap_or_default(),
        Err(error) => {
            let (wrong, remedy) = files::told(&error, false);
            let wrong = format!("The records cannot be listed: {wrong}.");
            report.found(Kind::RecordsUnsafe, Place::file(error.path.as_ref()), wrong, remedy);
            return Vec::new();
        }
    };
    if names.more {
        let wrong = "There are more files than are looked at; the rest was left out.";
        let remedy = format!("See what they are: `ls -f {} | less`.", word(world.place(directory)));
        report.found(Kind::RecordName, Place::file(&world.place(directory)), wrong, remedy);
    }
    let mut records = Records { world, policy, report, holders: HashMap::new() };
    let mut enrolled = Vec::new();
    for name in names.names {
        let path = world.place(directory).join(&name);
        match (name.to_str(), account_in(&name)) {
            (Some(LOCK), _) => {}
            (Some(name), _) if is_leftover(name) => left_over(records.report, &path),
            (_, Some(uid)) => enrolled.extend(records.record(uid, path)),
            (_, None) => misnamed(records.report, &path),
        }
    }
    enrolled
}

/// Whether it is the name that a file has until it is whole.
pub(crate) fn is_leftover(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".new")
}

/// Says what a writer has left behind.
pub(crate) fn left_over(report: &mut Report, path: &Path) {
    let wrong = "A writer was stopped before its file was whole; nobody reads it.";
    report.found(Kind::Leftover, Place::file(path), wrong, format!("`rm {}`", word(path)));
}

fn misnamed(report: &mut Report, path: &Path) {
    let wrong = "Nobody reads it: a record is called by the number of its account, as 1000.toml.";
    let remedy = match path.to_str() {
        Some(_) => format!(
            "Move it elsewhere, or register the keys with `fidokey enroll`; see `ls -l {}`.",
            word(path)
        ),
        None => "Its name is not UTF-8: find it with `ls -lb` and move it elsewhere.".to_owned(),
    };
    report.found(Kind::RecordName, Place::file(path), wrong, remedy);
}

/// The records, while one after the other is looked at. Of those before, what can be twice is kept and no more.
struct Records<'a> {
    world: &'a World,
    policy: Option<&'a ConfigFile>,
    report: &'a mut Report,
    /// Whose a credential is, by the hash of its id.
    holders: HashMap<[u8; 32], Uid>,
}

impl Records<'_> {
    fn record(&mut self, uid: Uid, path: PathBuf) -> Option<Enrolled> {
        let file = match self.world.places.read_record(uid) {
            Ok(file) => file?,
            Err(error) => {
                let (wrong, remedy) = files::told(&error, false);
                if self.is_nobodys(uid, &path, &wrong) {
                    return None;
                }
                let wrong = format!("{} is denied: {wrong}.", self.who(uid));
                let place = Place::file(error.path.as_ref());
                self.report.found(Kind::RecordUnsafe, place, wrong, remedy);
                return None;
            }
        };
        let record = match Record::parse(&file.text) {
            Ok(record) => record,
            Err(misfit) => {
                self.malformed(uid, &path, &misfit);
                return None;
            }
        };
        let account = self.account(uid, &path, &record)?;
        self.credentials(uid, &path, &record);
        let can_verify = |protocol| protocol == Protocol::Fido2;
        Some(Enrolled {
            record: path,
            account,
            keys: record.credentials.len(),
            can_verify: record.credentials.iter().any(|one| can_verify(one.protocol)),
        })
    }

    /// How the account of that number is called in a sentence.
    fn who(&self, uid: Uid) -> String {
        match self.world.accounts.of_uid(uid) {
            Ok(Some(account)) => account.name.to_string(),
            _ => format!("Account {uid}"),
        }
    }

    /// Says of a record that cannot be used that it is nobody's, where that is so: then it denies nobody.
    fn is_nobodys(&mut self, uid: Uid, path: &Path, wrong: &str) -> bool {
        let nobodys = matches!(self.world.accounts.of_uid(uid), Ok(None));
        if nobodys {
            let wrong = format!("There is no account {uid}, and it could not be used: {wrong}.");
            let remedy = format!("`rm {}`", word(path));
            self.report.found(Kind::RecordOrphaned, Place::file(path), wrong, remedy);
        }
        nobodys
    }

    fn malformed(&mut self, uid: Uid, path: &Path, misfit: &Misfit) {
        if self.is_nobodys(uid, path, &misfit.message) {
            return;
        }
        let place = Place::file(path).misfit(misfit);
        let wrong = format!("{} is denied: {}.", self.who(uid), misfit.message);
        let path = word(path);
        let (kind, remedy) = if misfit.is_other_schema() {
            (Kind::RecordNewer, format!("Install the fidokey that wrote {path}."))
        } else if misfit.message.ends_with(SAME_ID) {
            (
                Kind::CredentialDuplicate,
                format!("Take one of the two [[credential]] tables out of {path}."),
            )
        } else {
            (
                Kind::RecordWrong,
                format!(
                    "Mend it by fidokey.record(5), or `rm {path}` and register the keys again."
                ),
            )
        };
        self.report.found(kind, place, wrong, remedy);
    }

    /// The account that `record` is used by. As [`Record::belongs_to`] has it, and where it does not, why.
    fn account(&mut self, uid: Uid, path: &Path, record: &Record) -> Option<Account> {
        let place = Place::file(path);
        let file = word(path);
        if record.uid != uid {
            let who = self.who(uid);
            let wrong =
                format!("{who} is denied: the record says that it is that of {}.", record.uid);
            let remedy =
                format!("Write `uid = {uid}` into {file}, where it is {who}'s; else `rm {file}`.");
            self.report.found(Kind::RecordWrong, place, wrong, remedy);
            return None;
        }
        let user = &record.user;
        let found = self.world.accounts.of_uid(uid);
        let found = found.and_then(|now| Ok((now, self.world.accounts.of_name(user)?)));
        let (now, named) = match found {
            Ok(found) => found,
            Err(Fault { call, errno }) => {
                let wrong = format!("Nobody can tell whose it is: {call} failed (error {errno}).");
                let remedy = format!("Mend the name service: `getent passwd {uid}` must answer.");
                self.report.found(Kind::AccountLookup, place, wrong, remedy);
                return None;
            }
        };
        match (now, named) {
            (Some(now), _) if record.belongs_to(&now) => Some(now),
            (Some(Account { name, .. }), None) => {
                let wrong = format!("{name} is denied: the record is that of {user}.");
                let remedy = format!(
                    "Where {user} was renamed, write `user = \"{name}\"` into {file}; else `rm {file}`."
                );
                self.report.found(Kind::RecordRenamed, place, wrong, remedy);
                None
            }
            (Some(Account { name, .. }), Some(Account { uid: moved, .. })) => {
                let wrong = format!(
                    "{name} is denied: the record is that of {user}, whose number is {moved} now."
                );
                let remedy = format!(
                    "`rm {file}`, then `fidokey enroll --user {user}` where keys are missing."
                );
                self.report.found(Kind::RecordRenamed, place, wrong, remedy);
                None
            }
            (None, Some(Account { uid: moved, .. })) if !self.has_record(moved) => {
                let wrong = format!(
                    "{user} has the number {moved} now, which no key is registered for: the policy for \
                     accounts without one is in force."
                );
                let remedy = format!("`rm {file} && fidokey enroll --user {user}`");
                self.report.found(Kind::RecordMoved, place, wrong, remedy);
                None
            }
            (None, _) => {
                let wrong = format!("There is no account {uid} any more; it was {user}'s.");
                self.report.found(Kind::RecordOrphaned, place, wrong, format!("`rm {file}`"));
                None
            }
        }
    }

    fn has_record(&self, uid: Uid) -> bool {
        let found = self.world.tree.look(&self.world.places.users.join(account_file(uid)));
        !matches!(found, Ok(None))
    }

    fn credentials(&mut self, uid: Uid, path: &Path, record: &Record) {
        let (place, user) = (Place::file(path), &record.user);
        if record.credentials.len() == 1 {
            let then = match self.policy.and_then(|policy| policy.way_back.as_deref()) {
                Some(way_back) => format!("the way back is \"{way_back}\""),
                None => "the policy says no way back".to_owned(),
            };
            let wrong = format!("{user} has 1 key; when it is lost or breaks, {then}.");
            let remedy = format!("Plug in a second one and run `fidokey enroll --user {user}`.");
            self.report.found(Kind::OneKey, place.clone(), wrong, remedy);
        }
        let hopeless = record
            .credentials
            .iter()
            .all(|one| one.protocol == Protocol::U2f && one.verification == Verification::Required);
        if hopeless {
            let wrong = format!(
                "{user} is denied: the record wants PIN or fingerprint of keys that have neither (u2f)."
            );
            let remedy =
                "Register a FIDO2 key, or write `verification = \"none\"` where a touch is enough.";
            self.report.found(Kind::VerificationImpossible, place.clone(), wrong, remedy);
        }
        if let Some(policy) = self.policy
            && let Some(other) = record.credentials.iter().find(|one| one.rp_id != policy.rp_id)
        {
            let wrong = format!(
                "\"{}\" of {user} is bound to {}, not to the policy's {}.",
                other.name, other.rp_id, policy.rp_id
            );
            let remedy = "Nothing has to be done: each credential keeps its own.";
            self.report.found(Kind::RpId, place.clone(), wrong, remedy);
        }
        for credential in &record.credentials {
            match self.holders.insert(credential.id.digest(), uid) {
                Some(other) if other != uid => {
                    let wrong = format!(
                        "\"{}\" of {user} is the same credential as one of {}: that key lets in as either.",
                        credential.name,
                        self.who(other),
                    );
                    let remedy = format!(
                        "Take it out of the record that it was not registered for, and register the key \
                         there with `fidokey enroll`; the other one is {}.",
                        word(path.with_file_name(account_file(other)))
                    );
                    self.report.found(Kind::CredentialShared, place.clone(), wrong, remedy);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
