//! `fidokey import`: keys that another program has registered become keys of their accounts, and what cannot is said line by
//! line. The two programs' own files are in the modules below.

use std::path::Path;

use fidokey_core::assertion::PublicKey;
use fidokey_core::credential::{Algorithm, KEY_NAME_MAX, is_unprintable};
use fidokey_core::credential::{Credential, CredentialId, KeyName, Protocol, RpId, Verification};
use fidokey_core::date::rfc3339;
use fidokey_core::import::FILE_MAX;
use fidokey_core::ports::{Account, FileError};
use fidokey_core::record::{CREDENTIALS_MAX, Record};
use fidokey_system::clock;
use fidokey_system::files::Places;
use fidokey_system::foreign::{self, Foreign};
use fidokey_system::signals::Undisturbed;

use crate::arguments::{Common, Import};
use crate::needed::{Demands, Needed};
use crate::notice::{self, Change, What};
use crate::outcome::{Exit, Failure, Outcome};
use crate::registry::{credentials, join, locked, only_root};
use crate::terminal::{note, print, printable, say};
use crate::{account, record};
use known::Known;

mod known;
mod module;
mod pam_u2f;
mod ssh;

/// The most mails that are on their way at once.
const MAILS_MAX: usize = 16;

/// Takes over what the files have, as far as that goes.
pub(crate) fn run(asked: &Import) -> Outcome {
    only_root("imports", "import pam-u2f FILE")?;
    match asked {
        Import::PamU2f(asked) => pam_u2f::run(asked),
        Import::Ssh(asked) => ssh::run(asked),
    }
}

/// A credential that could be carried over.
#[derive(Clone, Debug)]
struct Found {
    /// Where it was found, as it is shown.
    place: String,
    account: Account,
    /// What it is called where nothing else is.
    name: String,
    /// Whether that is a word for all of them, which a number follows.
    numbered: bool,
    id: CredentialId,
    public_key: PublicKey,
    rp_id: RpId,
    protocol: Protocol,
    verification: Verification,
}

/// What the files come to, and how it is going.
#[derive(Debug, Default)]
struct Imported {
    found: Vec<Found>,
    /// What was not carried over, each a line.
    left: Vec<String>,
}

impl Imported {
    fn leave(&mut self, place: &str, why: impl std::fmt::Display) {
        self.left.push(format!("{place}: {why}."));
    }

    /// Takes `found` as a credential of the generation and with the verification that were asked for, unless it would prove
    /// less than it is to.
    fn find(&mut self, common: &Common, mut found: Found) {
        found.protocol = common.protocol.unwrap_or(found.protocol);
        found.verification = found.verification.max(common.verification.unwrap_or_default());
        if found.protocol == Protocol::U2f && found.verification == Verification::Required {
            return self.leave(&found.place, "a u2f credential proves neither PIN nor fingerprint, which it would have to: register the key anew with --verification required");
        }
        if found.protocol == Protocol::U2f && found.public_key.algorithm() != Algorithm::Es256 {
            return self
                .leave(&found.place, "a key that speaks u2f has no other algorithm than es256");
        }
        self.found.push(found);
    }

    /// Writes down what was found, tells of it, and says what was done and what was not.
    fn finish(mut self, places: &Places, from: &str, dry_run: bool) -> Outcome {
        let by = format!("{}, from {from}", account::own()?.name);
        let when = rfc3339(clock::since_1970().unwrap_or_default());
        // Waited for when all is said, but for those that would be too many at once.
        let mut telling = Vec::new();
        let mut tell = |account: &Account, credential: &Credential, keys: usize| {
            let (what, key) = (What::Registered, credential.name.as_str());
            let (cred, when, by) = (&record::tag(credential), when.as_str(), by.as_str());
            if telling.len() >= MAILS_MAX {
                telling.clear();
            }
            telling.push(notice::tell(&Change { what, account, key, cred, when, by, keys }));
        };
        let carried = match dry_run {
            true => self.carry(places, &by, &when, None)?,
            false => self.carry(places, &by, &when, Some(&mut tell))?,
        };
        for line in &carried.there {
            note(&printable(line));
        }
        for line in &self.left {
            say(&printable(line));
        }
        let done = if dry_run { "Would register" } else { "Registered" };
        for (account, credential) in &carried.over {
            print(&format!(
                "{done} \"{}\" for {} (cred {}): {}, {}, bound to {}, verification {}.",
                credential.name,
                account.name,
                record::tag(credential),
                credential.protocol.word(),
                credential.public_key.algorithm().word(),
                credential.rp_id,
                credential.verification.word(),
            ))?;
        }
        if dry_run {
            note("Nothing was written.");
        } else if let [(first, _), ..] = carried.over.as_slice() {
            note(&format!(
                "Nothing shows yet that these keys let in. Try each: `fidokey test --user {}`.",
                first.name
            ));
        }
        if self.left.is_empty() && carried.over.is_empty() && carried.there.is_empty() {
            return Err(Failure::new(
                Exit::No,
                "There is nothing to carry over.",
                "Look whether this is the file that is meant; fidokey(1) says which can be.",
            ));
        }
        if self.left.is_empty() {
            return Ok(Exit::Done);
        }
        Err(Failure::new(
            Exit::No,
            format!("Not carried over, for the reasons above: {}.", self.left.len()),
            "Register these keys with `fidokey enroll`, or mend what is in the way and run it again.",
        ))
    }

    /// Adds what was found to the records, each of which is written once and whole, and has `tell` tell of each key then
    /// and there: what is written is told, whatever comes next. Without `tell` nothing is written. All of it under one
    /// lock: what is said is what is there.
    fn carry(
        &mut self,
        places: &Places,
        by: &str,
        when: &str,
        mut tell: Option<&mut Tell<'_>>,
    ) -> Result<Carried, Failure> {
        // Before anything is written; what cannot be read is not held against anybody.
        let demands = Demands::read(places).ok();
        let records = locked(places)?;
        let mut known = Known::read(&records)?;
        let mut carried = Carried::default();
        let mut found = std::mem::take(&mut self.found);
        while let Some(first) = found.first() {
            let account = first.account.clone();
            let own: Vec<Found> = found.extract_if(.., |one| one.account == account).collect();
            let mut credentials = match record::of(&account, records.read(account.uid)) {
                Ok(record) => credentials(record),
                Err(failure) => {
                    self.leave_all(own.iter().map(|one| &one.place), &failure);
                    continue;
                }
            };
            let had_none = credentials.is_empty();
            let mut added: Vec<(String, Credential)> = Vec::new();
            for one in own {
                let place = one.place.clone();
                let there = &mut carried.there;
                let new = self.add(&known, &mut credentials, one, (by, when), there);
                added.extend(new.map(|new| (place, new)));
            }
            // With a key that is not enough there it would no longer be left to its password, but denied.
            if had_none
                && !added.is_empty()
                && let Some(demands) = &demands
                && let Needed::More(service) = demands.on(&[], &credentials)
            {
                let why = format!(
                    "{service} asks for a PIN or a fingerprint, and denies accounts whose keys prove a touch alone: register one that proves more first"
                );
                added.iter().for_each(|(place, _)| self.leave(place, &why));
                continue;
            }
            if let (Some(tell), [_, ..]) = (&mut tell, added.as_slice()) {
                let keys = credentials.len();
                let record = Record { user: account.name.clone(), uid: account.uid, credentials };
                // Whoever has this done must not end it before it is told.
                let _undisturbed = Undisturbed::begin();
                if let Err(error) = records.write(&record) {
                    self.leave_all(added.iter().map(|(place, _)| place), &error.into());
                    continue;
                }
                for (_, credential) in &added {
                    tell(&account, credential, keys);
                }
            }
            for (_, credential) in added {
                known.is_of(&account, &credential.id);
                carried.over.push((account.clone(), credential));
            }
        }
        Ok(carried)
    }

    /// None of these was carried over, for the same reason.
    fn leave_all<'a>(&mut self, places: impl Iterator<Item = &'a String>, failure: &Failure) {
        for place in places {
            self.leave(place, reason(failure));
        }
    }

    /// Adds one credential to the `existing` ones of its account: as it is then.
    fn add(
        &mut self,
        known: &Known,
        existing: &mut Vec<Credential>,
        found: Found,
        (by, when): (&str, &str),
        there: &mut Vec<String>,
    ) -> Option<Credential> {
        let place = found.place.clone();
        if let Some(same) = existing.iter().find(|one| one.id == found.id) {
            match same.verification < found.verification {
                true => self.leave(&place, format_args!("\"{}\" is this credential and does not have to prove what it should; remove it first", same.name)),
                false => there.push(format!("{place}: it is registered already, as \"{}\".", same.name)),
            }
            return None;
        }
        if let Some(other) = known.other(&found) {
            self.leave(&place, format_args!("{other} has the very same credential"));
            return None;
        }
        let Some(name) = found.name(existing) else {
            self.leave(&place, "no name is free");
            return None;
        };
        let credential = Credential {
            name,
            protocol: found.protocol,
            rp_id: found.rp_id,
            id: found.id,
            public_key: found.public_key,
            verification: found.verification,
            user_handle: None,
            backup_eligible: None,
            counter: None,
            aaguid: None,
            added: when.to_owned(),
            added_by: by.to_owned(),
        };
        match join(existing, credential, None).map_err(Failure::from) {
            Ok(credential) => Some(credential),
            Err(failure) => {
                self.leave(&place, reason(&failure));
                None
            }
        }
    }
}

/// Tells of a key that is written: whose it is, and how many the account has then.
type Tell<'a> = dyn FnMut(&Account, &Credential, usize) + 'a;

/// Why something is left, without what else is said where it is the only thing that was to be done.
fn reason(failure: &Failure) -> &str {
    let happened = failure.happened().trim_end_matches('.');
    let behind = happened.strip_prefix("Nothing was written");
    behind.map_or(happened, |behind| behind.trim_start_matches([':', ',', ' ']))
}

/// What came of it.
#[derive(Debug, Default)]
struct Carried {
    /// What is registered now, and whose.
    over: Vec<(Account, Credential)>,
    /// What was registered before, each a line.
    there: Vec<String>,
}

impl Found {
    /// Its name, or the first with a number behind it that none of `known` has. Without characters that a name must not
    /// have, and no longer than one may be.
    fn name(&self, known: &[Credential]) -> Option<KeyName> {
        let odd = |c: &char| !is_unprintable(*c) && !matches!(c, '"' | '\\');
        let text: String = self.name.chars().filter(odd).collect();
        let text = if text.trim().is_empty() { "Key" } else { text.trim() };
        let begin = if self.numbered { 1 } else { 2 };
        // One of so many is free.
        let numbers = begin..=CREDENTIALS_MAX.saturating_add(begin);
        let numbered = numbers.map(|number| (format!(" {number}"), text));
        let bare = (!self.numbered).then(|| (String::new(), text));
        let mut names = bare.into_iter().chain(numbered).filter_map(|(end, text)| {
            let room = KEY_NAME_MAX.saturating_sub(end.chars().count());
            let text: String = text.chars().take(room).collect();
            KeyName::new(&format!("{}{end}", text.trim_end())).ok()
        });
        names.find(|name| known.iter().all(|one| one.name != *name))
    }
}

/// A file, and whose it is.
struct File {
    read: Foreign,
    /// As it is shown.
    shown: String,
}

impl File {
    /// Reads the file that was named.
    fn read(path: &Path) -> Result<Self, Failure> {
        match foreign::read(path, FILE_MAX) {
            Ok(read) => Ok(Self { read, shown: path.display().to_string() }),
            Err(error) => Err(unreadable(&error)),
        }
    }

    /// Whether what it says of `account` counts: only root's files say something of others. Whoever owns a file puts into it
    /// what they like, and would let themselves in as anybody.
    fn may_speak_of(&self, account: &Account) -> bool {
        self.read.owner == 0 || self.read.owner == account.uid
    }

    /// Refuses one whose owner nobody vouches for.
    fn is_no_guests(&self) -> Result<(), Failure> {
        if !self.read.brought {
            return Ok(());
        }
        Err(Failure::new(
            Exit::No,
            format!(
                "{} may be on a disk that somebody has brought (nosuid), and be anybody's.",
                printable(&self.shown)
            ),
            "Where you know whose keys are in it, say so: --user USER.",
        ))
    }

    /// The name of its owner, or the number.
    fn owner(&self) -> String {
        let account = account::look_up_number(self.read.owner).ok().flatten();
        account.map_or_else(|| self.read.owner.to_string(), |account| account.name.to_string())
    }

    /// Why what it says of somebody does not count.
    fn silenced(&self) -> String {
        format!("the file is {}'s, who may write anything into it", self.owner())
    }
}

/// Then it is root who says what is in it.
const COPY: &str = "When you know what is in the file, copy it to where root alone may write.";

fn unreadable(error: &FileError) -> Failure {
    let path = &error.path;
    let (wrong, remedy) = match error.reason {
        "hard_link" => ("it has another name, which may be elsewhere (a hard link)", COPY),
        "missing" => ("there is no such file", "Name the file that is meant."),
        "mode" => (
            "others than its owner may write to it",
            "See that nobody has, then take that from them: `chmod go-w`.",
        ),
        "nosuid" => ("it is on a file system that others may have brought along (nosuid)", COPY),
        "not_a_file" => ("it is not a file", "Name the file that is meant."),
        "owner" => {
            ("it is neither root's nor that of whoever owns the directories on the way", COPY)
        }
        "permission" => ("permission denied", "Copy it to where root may read it."),
        "shared" => ("others than root may put files there", COPY),
        "symlink" => ("it is a symbolic link", "Name the file that it leads to."),
        "too_large" => ("it is larger than 1 MiB", "Name the file that is meant."),
        other => (other, "See to it, then run the command again."),
    };
    Failure::new(Exit::Unreadable, format!("{path}: {wrong}."), remedy)
}

#[cfg(test)]
mod tests;
