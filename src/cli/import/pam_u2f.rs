//! pam-u2f's file: which of its lines count, whose they are, and what the module's own line says of them.

use std::collections::HashMap;
use std::fs;

use fidokey_core::credential::{AccountName, Protocol, RpId};
use fidokey_core::import::pam_u2f::{Entry, Line, read};
use fidokey_core::ports::Account;
use fidokey_system::files::Places;
use fidokey_system::stacks::Stacks;

use super::module::Module;
use super::{File, Found, Imported};
use crate::account;
use crate::arguments::PamU2f;
use crate::outcome::{Exit, Failure, Outcome};
use crate::terminal::{note, printable};

/// Where the kernel keeps the machine's name, which pam-u2f asks gethostname(2) for.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
/// The most names of a file that is not root's that are looked up.
const NAMES_MAX: usize = 8;

pub(super) fn run(asked: &PamU2f) -> Outcome {
    let places = Places::system();
    let file = File::read(&asked.file)?;
    if asked.user.is_none() {
        file.is_no_guests()?;
    }
    let stacks = Stacks::new(places.clone());
    let line = match (&asked.service, asked.common.verification) {
        (Some(service), _) => Module::of(service, &stacks)?,
        // Whoever says all of it need not have what pam-u2f is told.
        (None, Some(_)) => match (Module::of_the_machine(&stacks), &asked.origin, &asked.appid) {
            (Err(_), Some(_), Some(_)) => Module::default(),
            (module, ..) => module?,
        },
        (None, None) => {
            let (module, services) = Module::strictest(&stacks.services(), &stacks)?;
            if !services.is_empty() {
                note(&printable(&format!(
                    "pam-u2f asks for more than a touch in {}: so does every login with these keys then. Where that is not meant: --service or --verification.",
                    services.join(", ")
                )));
            }
            module
        }
    };
    let origin = match asked.origin.clone().or(line.origin) {
        Some(origin) => origin,
        None => by_host_name()?,
    };
    let appid = asked.appid.clone().or(line.appid).unwrap_or_else(|| origin.clone());
    let line = Module { origin: Some(origin), appid: Some(appid), ..line };
    let mut who = |name: &AccountName| account::look_up(name).map_err(Failure::from);
    let imported = gather(asked, &file, &line, &mut who)?;
    imported.finish(&places, "pam-u2f", asked.common.dry_run)
}

/// What the file comes to with what pam_u2f's line says.
pub(super) fn gather(
    asked: &PamU2f,
    file: &File,
    module: &Module,
    account: &mut dyn FnMut(&AccountName) -> Result<Option<Account>, Failure>,
) -> Result<Imported, Failure> {
    let mut imported = Imported::default();
    let mut known: HashMap<AccountName, Option<Account>> = HashMap::new();
    // Of a file that is not root's one name counts, and the directory of accounts is not asked for whatever is in it.
    let names_max = if file.read.owner == 0 { usize::MAX } else { NAMES_MAX };
    for line in read(&file.read.bytes, module.devices_max) {
        let line = match line {
            Ok(line) => line,
            Err((number, unfit)) => {
                imported.leave(&format!("line {number}"), unfit);
                continue;
            }
        };
        if asked.user.as_ref().is_some_and(|user| *user != line.user) {
            continue;
        }
        let place = format!("line {}: {}", line.number, line.user);
        if let Some(number) = line.superseded_by {
            imported.leave(&place, format_args!("pam-u2f does not use it, but line {number}, the last one of the account; put its keys there where they are to count"));
            continue;
        }
        let account = match known.get(&line.user) {
            Some(account) => account.clone(),
            None if known.len() >= names_max => {
                imported.leave(&place, file.silenced());
                continue;
            }
            None => known.entry(line.user.clone()).insert_entry(account(&line.user)?).get().clone(),
        };
        match account {
            None => imported.leave(&place, "there is no such account"),
            Some(account) if !file.may_speak_of(&account) => {
                imported.leave(&place, file.silenced());
            }
            Some(account) => of_line(asked, &mut imported, module, line, &place, &account),
        }
    }
    Ok(imported)
}

fn of_line(
    asked: &PamU2f,
    imported: &mut Imported,
    module: &Module,
    line: Line,
    place: &str,
    account: &Account,
) {
    if line.entries.is_empty() {
        imported.leave(place, "it has no keys");
    }
    let several = line.entries.len() > 1;
    for (entry, number) in line.entries.into_iter().zip(1_usize..) {
        let place = if several { format!("{place}: key {number}") } else { place.to_owned() };
        match entry {
            Err(unfit) => imported.leave(&place, unfit),
            Ok(entry) => imported.find(&asked.common, found(module, entry, place, account)),
        }
    }
    if line.beyond > 0 {
        let (beyond, most) = (line.beyond, module.devices_max);
        imported.leave(
            place,
            format_args!(
                "{beyond} more, of which pam-u2f uses none: it takes {most} of an account"
            ),
        );
    }
}

fn found(module: &Module, entry: Entry, place: String, account: &Account) -> Found {
    let bound_to = match entry.form {
        Protocol::Fido2 => &module.origin,
        Protocol::U2f => &module.appid,
    };
    Found {
        place,
        account: account.clone(),
        name: "pam-u2f".to_owned(),
        numbered: true,
        id: entry.id,
        public_key: entry.public_key,
        rp_id: bound_to.clone().unwrap_or_default(),
        protocol: entry.form,
        verification: entry.verification.max(module.verification),
    }
}

/// What pam-u2f binds keys to where nothing is said.
fn by_host_name() -> Result<RpId, Failure> {
    let name = fs::read_to_string(HOST_NAME).unwrap_or_default();
    let origin =
        RpId::new(&format!("pam://{}", name.trim_end())).ok().filter(|_| !name.trim().is_empty());
    let origin = origin.ok_or_else(|| {
        Failure::new(
            Exit::No,
            "The name of this machine is nothing that keys are bound to.",
            "Say what pam_u2f's line has: --origin, --appid.",
        )
    })?;
    note(&printable(&format!(
        "Taken to be bound to {origin}, as pam-u2f does by this machine's name; where its line says otherwise: --service or --origin."
    )));
    Ok(origin)
}
