//! Whether somebody would be locked out: the one who enables, without another key; root; those without a key.

use fidokey_core::config::{ConfigFile, Settings};
use fidokey_core::credential::{AccountName, Uid};
use fidokey_core::policy::{Remote, Unenrolled};
use fidokey_core::ports::Account;
use fidokey_system::accounts;
use fidokey_system::files::Places;

use crate::outcome::{Exit, Failure};
use crate::{account, record};

/// Who proves the new stack: the one that was named, or who has logged in to get here, or root where it has keys.
///
/// # Errors
/// [`Failure`] where that is nobody.
pub(super) fn acting(named: Option<&AccountName>, places: &Places) -> Result<Account, Failure> {
    if let Some(name) = named {
        return account::named(name);
    }
    let logged_in = accounts::login_uid().map_or(Ok(None), account::look_up_number)?;
    if let Some(account) = logged_in {
        return Ok(account);
    }
    let root = account::own()?;
    match keys(&root, places)? {
        0 => Err(Failure::new(
            Exit::Usage,
            "Who is to log in by the new stack was not said.",
            "Say it: --user USER, an account with a key that is here.",
        )),
        _ => Ok(root),
    }
}

/// Refuses what would lock out the acting account, or root.
///
/// # Errors
/// [`Failure`], which says what `--force` would do.
pub(super) fn check(
    acting: &Account,
    service: &str,
    settings: &Settings,
    policy: &ConfigFile,
    places: &Places,
) -> Result<(), Failure> {
    let user = &acting.name;
    match (keys(acting, places)?, &policy.way_back) {
        (0, _) => {
            return Err(Failure::new(
                Exit::No,
                format!("{service} was not changed: {user} has no key."),
                format!(
                    "Register one: `fidokey enroll --user {user}`, or say with --user who has one."
                ),
            ));
        }
        (1, None) => {
            return Err(Failure::new(
                Exit::No,
                format!(
                    "{service} was not changed: {user} has one key only, and no way back in is declared."
                ),
                format!(
                    "Register a second one: `fidokey enroll --user {user}`; or write way_back = \"…\" into {}.",
                    places.config.display()
                ),
            ));
        }
        _ => {}
    }
    if REMOTE.contains(&service) && settings.rules.remote == Remote::Deny {
        return Err(Failure::new(
            Exit::No,
            format!(
                "{service} was not changed: logins from elsewhere are denied there to everybody with a key."
            ),
            format!(
                "Write remote = \"verify\" or \"skip\" into [service.{service}] of {}, or say --force.",
                places.config.display()
            ),
        ));
    }
    // Who has logged in here must not be shut out by another one's key.
    if settings.rules.unenrolled == Unenrolled::Deny
        && let Some(uid) = accounts::login_uid().filter(|uid| *uid != acting.uid)
        && let Some(account) = account::look_up_number(uid)?
        && keys(&account, places)? == 0
    {
        return Err(Failure::new(
            Exit::No,
            format!(
                "{service} was not changed: accounts without a key are denied there, and {} has none.",
                account.name
            ),
            format!("Register one: `fidokey enroll --user {}`.", account.name),
        ));
    }
    if settings.rules.unenrolled == Unenrolled::Deny
        && let Some(root) = account::look_up_number(ROOT)?
        && keys(&root, places)? == 0
        && policy.way_back.is_none()
    {
        return Err(Failure::new(
            Exit::No,
            format!(
                "{service} was not changed: accounts without a key are denied there, and {} has none.",
                root.name
            ),
            "Register a key for it, or write way_back = \"…\" into the policy.",
        ));
    }
    Ok(())
}

const ROOT: Uid = 0;
/// Services of programs that let in from elsewhere.
const REMOTE: [&str; 7] =
    ["cockpit", "dropbear", "remote", "rlogin", "sshd", "vsftpd", "xrdp-sesman"];

fn keys(account: &Account, places: &Places) -> Result<usize, Failure> {
    let record = record::of(account, places.read_record(account.uid))?;
    Ok(record.map_or(0, |record| record.credentials.len()))
}
