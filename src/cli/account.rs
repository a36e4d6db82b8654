//! Whom a verb is about.

use fidokey_core::credential::AccountName;
use fidokey_core::ports::Account;
use fidokey_system::accounts;

use crate::outcome::{Exit, Failure};

/// The account of that name, under the name that the name service gives it.
///
/// # Errors
/// [`Failure`] when there is none.
pub(crate) fn named(name: &AccountName) -> Result<Account, Failure> {
    accounts::account(name)?.ok_or_else(|| {
        Failure::new(
            Exit::No,
            format!("There is no account {name}."),
            "See `getent passwd` for those that there are.",
        )
    })
}

/// The account of whoever started the command. Not from the environment, which anybody can set: under sudo
/// this is root.
///
/// # Errors
/// [`Failure`] when the number has no account.
pub(crate) fn own() -> Result<Account, Failure> {
    let uid = accounts::real_uid();
    accounts::account_of(uid)?.ok_or_else(|| {
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
