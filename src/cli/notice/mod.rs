//! What is told of a change to the keys of an account, and to whom: whoever did it is not always whose account it is.

mod mail;
mod sendmail;

use std::sync::atomic::{AtomicBool, Ordering};

use fidokey_core::audit::Line;
use fidokey_core::date::rfc3339;
use fidokey_core::notice::{self, Changed};
use fidokey_core::ports::{Account, FileError};
use fidokey_system::clock;
use fidokey_system::files::Places;
use nix::unistd::gethostname;

use crate::log;
use crate::terminal::{note, say, waiting_aside, waiting_for};
use sendmail::{MailSystem, NotSent, Sending};

/// A change that was made and is on the disk, or is about to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'a> {
    /// What was done.
    pub(crate) what: What<'a>,
    /// Whose keys they are.
    pub(crate) account: &'a Account,
    /// The name of the key; of the last one where there were several.
    pub(crate) key: &'a str,
    /// How lists and logs name its credential.
    pub(crate) cred: &'a str,
    /// When, as RFC 3339 in UTC.
    pub(crate) when: &'a str,
    /// Who did it, as records say it.
    pub(crate) by: &'a str,
    /// How many keys the account has now.
    pub(crate) keys: usize,
}

/// What was done to a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum What<'a> {
    /// It was registered.
    Registered,
    /// It was removed.
    Removed,
    /// It had this name before.
    Renamed(&'a str),
    /// All keys of the account were removed, so many.
    Reset(usize),
}

impl What<'_> {
    /// The key of the log's line.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Removed => "removed",
            Self::Renamed(_) => "renamed",
            Self::Reset(_) => "reset",
        }
    }

    /// The key of the log's line that comes before it is done.
    const fn intention(self) -> &'static str {
        match self {
            Self::Registered => "registering",
            Self::Removed => "removing",
            Self::Renamed(_) => "renaming",
            Self::Reset(_) => "resetting",
        }
    }

    /// The same as the account's next login tells it.
    const fn changed(self) -> Changed {
        match self {
            Self::Registered => Changed::Registered,
            Self::Removed => Changed::Removed,
            Self::Renamed(_) => Changed::Renamed,
            Self::Reset(_) => Changed::Reset,
        }
    }
}

/// A mail that is on its way. When this goes, it has arrived at the mail system, or it is said why not: what there is to say
/// of the change itself should be said before.
#[derive(Debug)]
pub(crate) struct Telling {
    /// Nothing where no mail was tried.
    mail: Option<Result<Sending, NotSent>>,
    /// Why the next login does not tell of it.
    untold: Option<FileError>,
    account: Account,
}

/// Whether a mail system that cannot be used was told of: those that follow would not be sent either, nor would anybody want to
/// wait for each.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Has the log know of `change` before it is made: whoever makes it may be ended before it is told.
pub(crate) fn intend(change: &Change<'_>) {
    log::changed(&line(change.what.intention(), change));
}

/// Tells of `change`: the log, and the account at its next login and by mail. Nothing that goes wrong with that undoes the change, or has the
/// verb end otherwise.
pub(crate) fn tell(change: &Change<'_>) -> Telling {
    begin(change, |announced| waiting_for(LOGINS, announced))
}

/// The same where the terminal may be another's, who lets it take no more: until the [`Telling`] goes nothing waits for what is
/// written to it.
pub(crate) fn tell_aside(change: &Change<'_>) -> Telling {
    begin(change, |announced| waiting_aside(LOGINS, announced))
}

/// What is said where the account's state is a login's.
const LOGINS: &str = "Waiting for logins of the account.";

type Announced = Result<(), FileError>;

fn begin(
    change: &Change<'_>,
    waiting: impl FnOnce(&mut dyn FnMut() -> Announced) -> Announced,
) -> Telling {
    log::changed(&line(change.what.word(), change));
    // The mail first: it is on its way while logins of the account are waited for.
    let mail = write(change);
    let untold = waiting(&mut || announce(change)).err();
    Telling { mail, untold, account: change.account.clone() }
}

/// Leaves it to the account's next login to tell it.
fn announce(change: &Change<'_>) -> Announced {
    let Change { what, account, key, when, by, .. } = *change;
    let later = notice::Change { what: what.changed(), key, when, by };
    Places::system().announce(account, &later)
}

/// Starts the mail to the account.
fn write(change: &Change<'_>) -> Option<Result<Sending, NotSent>> {
    if GIVEN_UP.load(Ordering::Relaxed) {
        return None;
    }
    let Some(address) = mail::address(change.account.name.as_str()) else {
        return Some(Err(NotSent::Unaddressed));
    };
    let host = gethostname().unwrap_or_default();
    let now = clock::since_1970().unwrap_or_default();
    let message = mail::message(change, address, &host.to_string_lossy(), now);
    Some(MailSystem::of_this_machine().send(address, &message))
}

impl Drop for Telling {
    fn drop(&mut self) {
        let user = &self.account.name;
        if let Some(error) = &self.untold {
            log::changed(&untold(&self.account, error));
            say(&format!("The next login of {user} does not tell of it: {error}."));
        }
        let Some(mail) = self.mail.take() else { return };
        let sent = waiting_for("Waiting for the mail system.", || mail.and_then(Sending::wait));
        if let Err(reason) = sent {
            if reason.is_lasting() {
                GIVEN_UP.store(true, Ordering::Relaxed);
            }
            let said = format!("No mail was sent to {user}: {reason}.");
            // That there is no mail system is nothing wrong.
            if reason == NotSent::Absent {
                note(&said);
            } else {
                log::changed(&unsent(&self.account, &reason));
                say(&said);
            }
        }
    }
}

/// What the log has of a mail that was not sent: what is said of it goes to a terminal that may be the wrong one's.
fn unsent(account: &Account, reason: &NotSent) -> Line {
    missed("unsent", account, reason)
}

/// The same of what the next login does not tell.
fn untold(account: &Account, error: &FileError) -> Line {
    missed("untold", account, error)
}

fn missed(what: &str, account: &Account, why: &dyn std::fmt::Display) -> Line {
    let when = rfc3339(clock::since_1970().unwrap_or_default());
    let mut line = Line::default();
    line.field(what, &when)
        .field("user", account.name.as_str())
        .field("uid", &account.uid.to_string())
        .sentence("because", &why.to_string());
    line
}

fn line(word: &str, change: &Change<'_>) -> Line {
    let mut line = Line::default();
    line.field(word, change.when)
        .field("user", change.account.name.as_str())
        .field("uid", &change.account.uid.to_string())
        .field("key", change.key)
        .field("cred", change.cred);
    match change.what {
        What::Renamed(from) => line.field("from", from),
        What::Reset(keys) => line.field("keys", &keys.to_string()),
        What::Registered | What::Removed => &mut line,
    }
    .field("by", change.by);
    line
}

#[cfg(test)]
mod tests {
    use fidokey_core::credential::AccountName;

    use super::*;

    #[test]
    fn the_log_has_one_line_that_no_name_can_break() {
        let account = Account { uid: 1000, name: AccountName::new("alice").unwrap() };
        let told = |what| {
            let change = Change {
                what,
                account: &account,
                key: "Blue by=mallory",
                cred: "5ef7bd01",
                when: "2026-11-23T10:00:00Z",
                by: "root",
                keys: 2,
            };
            line(change.what.word(), &change).as_str().to_owned()
        };
        assert_eq!(
            told(What::Registered),
            "registered=2026-11-23T10:00:00Z user=alice uid=1000 key=\"Blue by=mallory\" \
             cred=5ef7bd01 by=root"
        );
        assert!(told(What::Renamed("a b")).ends_with(" cred=5ef7bd01 from=\"a b\" by=root"));
        assert!(told(What::Reset(2)).starts_with("reset=2026-11-23T10:00:00Z user=alice"));
        let unsent = unsent(&account, &NotSent::Unread).as_str().to_owned();
        let because = " user=alice uid=1000 because=\"sendmail did not read it\"";
        assert!(unsent.starts_with("unsent=") && unsent.ends_with(because), "{unsent}");
    }
}
