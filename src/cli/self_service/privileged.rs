//! The process that pkexec has started as root: whoever it is for, what is wished, whether the policy still lets them, and
//! whether they have a key where the account has one. Every refusal is a line in the log.

use std::ffi::OsString;

use fidokey_core::audit::Line;
use fidokey_core::credential::{Credential, KeyName};
use fidokey_core::date::rfc3339;
use fidokey_core::ports::Account;
use fidokey_system::files::Places;
use fidokey_system::signals::Signals;
use fidokey_system::{bequest, clock};

use super::caller::Caller;
use super::proof;
use super::words::{self, Wish};
use crate::arguments::Enroll;
use crate::enroll::{ANOTHER, Registered, policy, register};
use crate::manage::{needed, remove_one, rename_one};
use crate::outcome::{Exit, Failure, Outcome};
use crate::registry::{Authorised, Right, roots};
use crate::terminal::{can_ask, confirm, note, pause, say};
use crate::{account, log, record};

/// Whether this process was started by pkexec for a user, or may not be at all. `typed` begins with the name of the program,
/// which is the caller's to choose and nothing is made of.
pub(crate) fn is_for(typed: &[OsString]) -> bool {
    typed.get(1).is_some_and(|verb| words::is_ours(verb))
        || Caller::of_this_process().is_made_another()
}

/// Does what is wished, where [`is_for`] says that this is for it.
pub(crate) fn run(typed: &[OsString]) -> Outcome {
    let caller = Caller::of_this_process();
    let verb = typed.get(1).map(OsString::as_os_str).unwrap_or_default();
    let mut attempt = Attempt { caller, verb: verb.to_string_lossy().into_owned(), account: None };
    let done = match attempt.caller.is_made_another() {
        false => attempt.perform(words::parse(verb, typed.get(2..).unwrap_or_default())),
        true => Err(Refused::new(
            "not_root",
            Failure::new(
                Exit::NotPermitted,
                "pkexec runs this as root, or not at all.",
                "Run it without pkexec; see fidokey(1) for what that can do.",
            ),
        )),
    };
    done.map_err(|Refused { reason, failure, unheard }| {
        // What is done was told when it was.
        if !failure.is_done() {
            log::changed(&attempt.refusal(reason));
        }
        drop(unheard);
        failure
    })
}

/// Why something was not done: a word for the log, and two lines for the user.
#[derive(Debug)]
pub(super) struct Refused {
    reason: &'static str,
    failure: Failure,
    /// What ends the process waits until this is in the log.
    unheard: Option<Box<Signals>>,
}

impl Refused {
    pub(super) const fn new(reason: &'static str, failure: Failure) -> Self {
        Self { reason, failure, unheard: None }
    }
}

impl<E: Into<Failure>> From<E> for Refused {
    fn from(error: E) -> Self {
        let failure = error.into();
        Self::new(failure.exit().word(), failure)
    }
}

/// What is tried, and what is known of whoever tries.
struct Attempt {
    caller: Caller,
    verb: String,
    account: Option<Account>,
}

impl Attempt {
    fn perform(&mut self, wish: Option<Wish>) -> Result<Exit, Refused> {
        // First of all: what is taken from the time that there is, is taken by the caller.
        let since = clock::boottime_ns().map_err(Failure::from)?;
        let account = self.whose()?;
        self.account = Some(account.clone());
        let wish = wish.ok_or_else(|| {
            let happened = "That is not what pkexec can have this command do.";
            let remedy = "See `fidokey --help`; a name that begins with \"-\" only root can use.";
            Refused::new("arguments", Failure::new(Exit::Usage, happened, remedy))
        })?;
        // Before anything is opened: how it was started is the caller's to choose.
        bequest::shed().map_err(Failure::from)?;
        let places = Places::system();
        permitted(&places, &account)?;
        grant(&places, &account, since, wish)
    }

    /// The account that this is for.
    fn whose(&self) -> Result<Account, Refused> {
        let refused = |reason| {
            let happened = "This is for pkexec to start, for a user who is not root.";
            let remedy =
                "Run `fidokey enroll` as the user, or `fidokey enroll --user USER` as root.";
            Refused::new(reason, Failure::new(Exit::NotPermitted, happened, remedy))
        };
        let uid = self.caller.user().map_err(refused)?;
        account::look_up_number(uid).map_err(Failure::from)?.ok_or_else(|| refused("no_account"))
    }

    /// One line, with whatever is known.
    fn refusal(&self, reason: &str) -> Line {
        let number = |uid: u32| uid.to_string();
        let mut line = Line::default();
        line.field("refused", &rfc3339(clock::since_1970().unwrap_or_default()))
            .field("verb", &self.verb)
            .field("reason", reason)
            .field("user", self.account.as_ref().map_or("", |account| account.name.as_str()))
            .field(
                "uid",
                &self.account.as_ref().map(|account| number(account.uid)).unwrap_or_default(),
            )
            .field("euid", &number(self.caller.effective))
            .field("ruid", &number(self.caller.real))
            .field(
                "pkexec_uid",
                &self.caller.said.as_deref().unwrap_or_default().to_string_lossy(),
            );
        line
    }
}

/// The policy once more: whoever started pkexec may have done so without asking it.
fn permitted(places: &Places, account: &Account) -> Result<(), Refused> {
    match policy(places)?.self_service {
        true => Ok(()),
        false => {
            let verb = format!("enroll --user {}", account.name);
            Err(Refused::new("self_service_off", roots("changes", &verb)))
        }
    }
}

/// Does it, by a password that was given at `since`. Of an account that has a key its password is not enough: whoever knows
/// that has no key yet, and wants one.
fn grant(places: &Places, account: &Account, since: u64, wish: Wish) -> Result<Exit, Refused> {
    let by = format!("{} via polkit", account.name);
    let enrolled = record::of(account, places.read_record(account.uid))?.is_some();
    if !enrolled && !matches!(wish, Wish::Enroll(_)) {
        return Err(Failure::new(
            Exit::No,
            format!("No keys are registered for {}.", account.name),
            "Register one with `fidokey enroll`.",
        )
        .into());
    }
    let proven = enrolled.then(|| proven(places, account)).transpose()?;
    let authorised = Authorised { by: &by, since };
    let right = proven
        .as_ref()
        .map_or(Right::FirstKey(authorised), |proven| Right::Key(authorised, proven));
    match wish {
        Wish::Enroll(name) => {
            let Registered { keys, verifies } = enroll(places, account, name, &by, right)?;
            if keys == 1 && second_is_wanted(verifies)? {
                permitted(places, account)?;
                let first = self::proven(places, account)?;
                enroll(places, account, None, &by, Right::Key(authorised, &first))?;
            }
        }
        Wish::Remove(key) => {
            let needed = |before: &[Credential], left: &[Credential]| needed(places, before, left);
            waited(|| remove_one(places, account, key.as_str(), &by, right, needed))?;
        }
        Wish::Rename(key, name) => {
            waited(|| rename_one(places, account, key.as_str(), &name, &by, right))?;
        }
    }
    Ok(Exit::Done)
}

/// Does what may wait, for a key or for whoever has the lock. A signal that has ended that wait has its effect once the
/// refusal is in the log: pkexec sends one when the process of the user is gone.
fn waited<T, E: Into<Refused>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, Refused> {
    let unheard = Signals::begin().map(Box::new);
    work().map_err(|error| Refused { unheard, ..error.into() })
}

/// The credential that the user has logged in with.
fn proven(places: &Places, account: &Account) -> Result<Credential, Refused> {
    waited(|| proof::with_a_key(places, account))
}

/// Registers a key.
fn enroll(
    places: &Places,
    account: &Account,
    name: Option<KeyName>,
    by: &str,
    right: Right<'_>,
) -> Result<Registered, Refused> {
    if matches!(right, Right::Key(..)) {
        pause(ANOTHER);
    }
    let asked = Enroll { user: None, name, algorithm: None, verification: None };
    waited(|| register(places, account, &asked, by, right))
}

/// Whether the user wants the second key there and then. It takes the first one, as it would later, and not the password
/// again; where that one proves no more than a touch, it is not enough.
fn second_is_wanted(verifies: bool) -> Result<bool, Failure> {
    let one = "You have 1 key: register a second one, so that one can be lost.";
    if !verifies {
        note(one);
        note(
            "That takes a PIN on this one (`fidokey key pin set`, if it can have one), or your administrator.",
        );
        return Ok(false);
    }
    if can_ask() {
        say(one);
        return confirm("Register the second key now?", "--name NAME");
    }
    note(&format!("{one} It is `fidokey enroll` again."));
    Ok(false)
}
