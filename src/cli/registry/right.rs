//! By what right somebody changes a record, and how long they have it.

use std::time::Duration;

use fidokey_core::credential::Credential;
use fidokey_system::clock;
use fidokey_system::files::Places;

use crate::enroll::policy;
use crate::notice::{self, Change, Telling};
use crate::outcome::{Exit, Failure};

/// By what right a record is changed. It is asked of what the record is under the lock: what somebody has proven may have
/// been a while ago.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Right<'a> {
    /// Root's, who asks nobody.
    Root,
    /// Of a user who has given their password: enough as long as the account has no key.
    FirstKey(Authorised<'a>),
    /// Of a user who has given their password and just logged in with this key of the account.
    Key(Authorised<'a>, &'a Credential),
}

/// How long it holds what polkit has let a user do: as long as polkit itself remembers a password. A process that is stopped
/// meanwhile, or waits for a key, is not a password for whoever comes by later.
const LASTS: Duration = Duration::from_secs(5 * 60);

/// What polkit has let a user do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authorised<'a> {
    /// Who that is, as logs say who did something.
    pub(crate) by: &'a str,
    /// When that was, in nanoseconds since boot.
    pub(crate) since: u64,
}

impl Authorised<'_> {
    /// Whether it is too long ago at `now`. The clock does not go back: a moment to come is none that can be believed.
    pub(super) fn is_over(self, now: u64) -> bool {
        now.checked_sub(self.since).is_none_or(|age| Duration::from_nanos(age) > LASTS)
    }
}

impl<'a> Right<'a> {
    /// What polkit has let a user do, where it is not root's.
    pub(super) const fn authorised(self) -> Option<Authorised<'a>> {
        match self {
            Self::Root => None,
            Self::FirstKey(authorised) | Self::Key(authorised, _) => Some(authorised),
        }
    }

    /// Tells of `change`, which was made by it.
    pub(crate) fn tell(self, change: &Change<'_>) -> Telling {
        match self {
            Self::Root => notice::tell(change),
            Self::FirstKey(_) | Self::Key(..) => notice::tell_aside(change),
        }
    }

    /// Whether it reaches to an account with these credentials, under the policy as it is now.
    pub(super) fn holds(self, places: &Places, credentials: &[Credential]) -> Result<(), Failure> {
        if let Some(authorised) = self.authorised()
            && authorised.is_over(clock::boottime_ns()?)
        {
            return Err(Failure::new(
                Exit::NotPermitted,
                "Nothing was changed: it is more than five minutes ago that your password was asked for.",
                "Run the command again.",
            ));
        }
        let same = |known: &Credential, proven: &Credential| {
            known.id == proven.id && known.public_key == proven.public_key
        };
        let holds = match self {
            Self::Root => return Ok(()),
            Self::FirstKey(_) => credentials.is_empty(),
            Self::Key(_, proven) => credentials.iter().any(|known| same(known, proven)),
        };
        if holds && policy(places)?.self_service {
            return Ok(());
        }
        Err(Failure::new(
            Exit::NotPermitted,
            "Nothing was changed: the keys of the account, or the policy, have changed meanwhile.",
            "See `fidokey list`, then run the command again.",
        ))
    }
}
