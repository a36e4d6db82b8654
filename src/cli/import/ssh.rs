//! OpenSSH's files: the private ones have what is needed, the public ones say which of them are meant.

use fidokey_core::credential::{Protocol, Verification};
use fidokey_core::import::Bound;
use fidokey_core::import::ssh::{PrivateKey, Refused, is_private, private_key, public_keys};
use fidokey_core::ports::Account;
use fidokey_system::files::Places;

use super::{File, Found, Imported};
use crate::account;
use crate::arguments::{Common, Ssh};
use crate::outcome::{Failure, Outcome};

pub(super) fn run(asked: &Ssh) -> Outcome {
    let account = account::of_others(asked.user.as_ref(), "import ssh --user USER FILE")?;
    let files = asked.files.iter().map(|path| File::read(path));
    let files: Vec<File> = files.collect::<Result<_, Failure>>()?;
    let imported = gather(&asked.common, &files, &account);
    imported.finish(&Places::system(), "ssh", asked.common.dry_run)
}

/// What the files come to.
pub(super) fn gather(common: &Common, files: &[File], account: &Account) -> Imported {
    let mut imported = Imported::default();
    let mut keys = Vec::new();
    let mut meant: Option<Vec<Meant>> = None;
    for file in files {
        let text = &file.read.bytes;
        if !file.may_speak_of(account) {
            imported.leave(&file.shown, file.silenced());
            // What it would have limited is not let in without it.
            if !is_private(text) {
                meant.get_or_insert_default();
            }
        } else if is_private(text) {
            match private_key(text) {
                Ok(key) => keys.push((file.shown.clone(), key)),
                Err(unfit) => imported.leave(&file.shown, unfit),
            }
        } else {
            let lines = public_keys(text).map(|(number, line)| Meant {
                place: format!("{}: line {number}", file.shown),
                line,
            });
            meant.get_or_insert_default().extend(lines);
        }
    }
    if let Some(meant) = meant {
        keys = chosen(&mut imported, keys, meant);
    }
    for (place, key) in keys {
        imported.find(common, found(place, key, account));
    }
    imported
}

/// A line of a public key file.
struct Meant {
    place: String,
    line: Result<Bound, Refused>,
}

/// Of `keys` those that are meant, and what is said of the others and of lines without a key.
fn chosen(
    imported: &mut Imported,
    keys: Vec<(String, PrivateKey)>,
    meant: Vec<Meant>,
) -> Vec<(String, PrivateKey)> {
    let mut listed = Vec::new();
    let mut limited = Vec::new();
    for Meant { place, line } in meant {
        match line {
            Err(refused) => {
                imported.leave(&place, refused.why);
                limited.extend(refused.limits.map(|bound| (place, *bound)));
            }
            Ok(bound) if keys.iter().all(|(_, key)| key.bound != bound) => {
                imported.leave(&place, "its private key file is not among those that were named, and only that has the key handle");
            }
            Ok(bound) => listed.push(bound),
        }
    }
    let mut chosen = Vec::new();
    for (place, key) in keys {
        // Also where another line lets it in without that: sshd takes the first of them, and only that of the account's file.
        let limit = limited.iter().find(|(_, bound)| *bound == key.bound);
        match limit {
            Some((line, _)) => {
                imported.leave(&place, format_args!("{line} does not let it in everywhere"))
            }
            None if listed.contains(&key.bound) => chosen.push((place, key)),
            None => imported.leave(&place, "no line of the public keys that were named lets it in"),
        }
    }
    chosen
}

fn found(place: String, key: PrivateKey, account: &Account) -> Found {
    let nameless = key.comment.trim().is_empty();
    Found {
        place,
        account: account.clone(),
        name: if nameless { "ssh".to_owned() } else { key.comment },
        numbered: nameless,
        id: key.id,
        public_key: key.bound.public_key,
        rp_id: key.bound.rp_id,
        protocol: Protocol::Fido2,
        verification: Verification::None,
    }
}
