//! Whom a verb is about.

use fidokey_core::credential::{AccountName, Uid};
use fidokey_core::ports::{Account, Fault};
use fidokey_system::accounts;

use crate::outcome::{Exit, Failure};
use crate::terminal::waiting_for;

/// A directory service may be far away.
const NAME_SERVICE: &str = "Waiting for the name service.";

/// The account of that name, under the name that the name service gives it, if there is one.
///
/// # Errors
/// [`Fault`] of the name service.
pub(crate) fn look_up(name: &AccountName) -> Result<Option<Account>, Fault> {
    waiting_for(NAME_SERVICE, || accounts::account(name))
}

/// The account of that number, if there is one.
///
/// # Errors
/// [`Fault`] of the name service.
pub(crate) fn look_up_number(uid: Uid) -> Result<Option<Account>, Fault> {
    waiting_for(NAME_SERVICE, || accounts::account_of(uid))
}

/// The account of that name, as [`look_up`] has it.
///
/// # Errors
/// [`Failure`] when there is none.
pub(crate) fn named(name: &AccountName) -> Result<Account, Failure> {
    look_up(name)?.ok_or_else(|| {
        Failure::new(
            Exit::No,
            format!("There is no account {name}."),
            "See `getent passwd` for those that there are.",
        )
    })
}

/// The account that was named, which cannot be left out: under sudo one's own is root, which is hardly ever meant.
///
/// # Errors
/// [`Failure`], with what to type after `fidokey`; or as [`named`].
pub(crate) fn of_others(name: Option<&AccountName>, verb: &str) -> Result<Account, Failure> {
    let whom = || {
        let remedy = format!("Say it: `fidokey {verb}`, also when USER is root.");
        Failure::new(Exit::Usage, "Whose key is meant was not said.", remedy)
    };
    named(name.ok_or_else(whom)?)
}

/// The account of whoever started the command. Not from the environment, which anybody can set: under sudo
/// this is root.
///
/// # Errors
/// [`Failure`] when the number has no account.
pub(crate) fn own() -> Result<Account, Failure> {
    let uid = accounts::real_uid();
    look_up_number(uid)?.ok_or_else(|| {
        Failure::new(
            Exit::No,
            format!("There is no account of the number {uid}, which runs this."),
            "Say whom you mean with --user.",
        )
    })
}

/// The account `name`, or one's own.
///
/// # Errors
/// As [`named`] and [`own`].
pub(crate) fn named_or_own(name: Option<&AccountName>) -> Result<Account, Failure> {
    name.map_or_else(own, named)
}
