//! `fidokey enroll`: registers a key for an account, proves it, and only then writes it down.

use std::slice;

use fidokey_attestation::Roots;
use fidokey_core::attestation::{Admission, Judge};
use fidokey_core::config::ConfigFile;
use fidokey_core::credential::{Algorithm, KeyName};
use fidokey_core::date::rfc3339;
use fidokey_core::enroll::{EnrollError, Enrolled, Enrollment, enroll};
use fidokey_core::models::Advisory;
use fidokey_core::ports::{Account, Keys, Machine, TextFile};
use fidokey_system::clock;
use fidokey_system::files::Places;
use fidokey_system::hidraw::Hidraw;
use fidokey_system::machine::System;
use fidokey_system::signals::Undisturbed;

use crate::arguments::Enroll;
use crate::notice::{Change, What};
use crate::outcome::{Exit, Failure, Outcome};
use crate::registry::{Right, add, credentials};
use crate::self_service::{self, Asked, Words};
use crate::terminal::{
    Counting, TerminalHost, can_ask, confirm, note, patience, pause, print, say,
};
use crate::{account, record};

/// Registers one key, and where it is the first one a second, if that is wanted.
pub(crate) fn run(asked: &Enroll) -> Outcome {
    let roots_option = match asked {
        Enroll { algorithm: Some(_), .. } => Some("--algorithm"),
        Enroll { verification: Some(_), .. } => Some("--verification"),
        _ => None,
    };
    let name = asked.name.as_ref().map(KeyName::as_str);
    let user = asked.user.as_ref();
    let words = Words::Enroll(name);
    let verb = "enroll --user USER";
    let own = Asked { does: "registers", verb, user, roots_option, words };
    if let Some(exit) = self_service::instead(&own)? {
        return Ok(exit);
    }
    let account = account::of_others(asked.user.as_ref(), "enroll --user USER")?;
    let by = account::own()?.name;
    let places = Places::system();
    let mut names = asked.name.clone();
    loop {
        let one = Enroll { name: names.take(), ..asked.clone() };
        let Registered { keys, .. } = register(&places, &account, &one, by.as_str(), Right::Root)?;
        let user = &account.name;
        if keys != 1 {
            return Ok(Exit::Done);
        }
        note(&format!("{user} has 1 key: register a second one, so that one can be lost."));
        if !can_ask() || !confirm("Register the second key now?", "--name NAME")? {
            return Ok(Exit::Done);
        }
        pause(ANOTHER);
    }
}

/// What a key is changed for another one with.
pub(crate) const ANOTHER: &str = "Unplug that key and plug in the new one, then press Enter: ";

/// What came of a registration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registered {
    /// How many keys the account has now.
    pub(crate) keys: usize,
    /// Whether the new one can verify who touches it.
    pub(crate) verifies: bool,
}

/// Registers the key that is touched. After Ctrl-C the key is cancelled and nothing is written.
///
/// # Errors
/// [`Failure`]; nothing is written then, but where the last step has failed, which is to say it.
pub(crate) fn register(
    places: &Places,
    account: &Account,
    asked: &Enroll,
    by: &str,
    right: Right<'_>,
) -> Result<Registered, Failure> {
    let mut machine = System::new(places.clone());
    let policy = policy(places)?;
    let roots = roots(places, &policy)?;
    let existing = credentials(record::of(account, machine.record(account.uid))?);
    let mut keys = Counting::new(Hidraw::new().keeping_signals());
    let mut host = TerminalHost::new("fidokey-enroll", account.name.as_str());
    let made = enroll(
        &mut machine,
        &mut host,
        &mut keys,
        &Enrollment {
            account,
            existing: &existing,
            name: asked.name.as_ref(),
            algorithms: asked.algorithm.as_ref().map_or(&Algorithm::ALL, slice::from_ref),
            admission: Admission {
                models: policy.registration.aaguids.as_deref(),
                judge: roots.as_ref().map(|roots| roots as &dyn Judge),
            },
            rp_id: &policy.rp_id,
            verification: asked.verification.unwrap_or_default(),
            policy: policy.verification(),
            pin_guard: policy.pin_guard(),
            patience: patience(),
            added: &rfc3339(clock::since_1970().unwrap_or_default()),
            added_by: by,
        },
    );
    let made = match keys.pending_signal() {
        Some(_) => Err(EnrollError::Cancelled),
        None => made,
    };
    // What it was for has ended; SIGTERM ends the command here.
    keys.take_interrupt();
    drop(keys);
    host.was_needed()?;
    let Enrolled { credential, model, advisory, verifies } = made?;
    let rename = asked.name.is_none().then_some(&model);
    // Whoever has this done must not end it before it is told.
    let undisturbed = Undisturbed::begin();
    let (added, keys) = add(places, account, right, credential, rename)?;
    let cred = record::tag(&added);
    let _telling = right.tell(&Change {
        what: What::Registered,
        account,
        key: added.name.as_str(),
        cred: &cred,
        when: &added.added,
        by,
        keys,
    });
    drop(undisturbed);
    print(&format!("Registered \"{}\" for {} (cred {cred}).", added.name, account.name))
        .map_err(Failure::though_done)?;
    if let Some(advisory) = advisory {
        warn(advisory);
    }
    Ok(Registered { keys, verifies })
}

/// The policy: what new credentials are bound to, what logins will have to prove.
pub(crate) fn policy(places: &Places) -> Result<ConfigFile, Failure> {
    let Some(TextFile { path, text }) = places.read_config()? else {
        return Ok(ConfigFile::default());
    };
    ConfigFile::parse(&text).map_err(|misfit| {
        Failure::new(
            Exit::Unreadable,
            format!("{path}: {misfit}."),
            "Mend the file; until then logins are denied as well.",
        )
    })
}

/// Who has to vouch for the key, where the policy says so: one that names a list that cannot be used admits none.
fn roots(places: &Places, policy: &ConfigFile) -> Result<Option<Roots>, Failure> {
    let Some(path) = &policy.registration.attestation_roots else { return Ok(None) };
    let TextFile { path, text } = places.read_named(path.as_ref())?;
    let roots = Roots::from_pem(&text).map_err(|bad| {
        let remedy = "Mend the file; until then no key is registered. Logins do not need it.";
        Failure::new(Exit::Unreadable, format!("{path}: {bad}."), remedy)
    })?;
    Ok(Some(roots))
}

/// Says what is known against the model; whoever registers it weighs that.
fn warn(advisory: Advisory) {
    let Advisory { id, what } = advisory;
    say(&format!("There is a warning about this model of key ({id}): {what}."));
    say("It was registered all the same: replace it, or see what its maker says of it.");
}
