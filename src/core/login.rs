//! A login: who, under which policy, with which credentials, by which key; then the verdict, once.

use due::Due;
use trail::Trail;
use waited::Waited;

use crate::ask::{Answered, Question, ask};
use crate::assertion::{Rejected, Subject, Verified};
use crate::cause::Cause;
use crate::config::Settings;
use crate::credential::{AccountName, Credential, Verification};
use crate::policy::{Decision, Facts, Mode, decide};
use crate::ports::{Account, Host, Keys, Machine, Origin, UserError};
use crate::record::Record;
use crate::verdict::{Answer, Reason, Verdict};

mod due;
mod settle;
mod trail;
mod waited;

pub use trail::aborted;

/// What a login came to, before it is a number.
#[derive(Debug)]
#[must_use]
pub struct Decided {
    /// The verdict.
    pub verdict: Verdict,
    /// How the module's line is meant; a second factor where that is in doubt itself.
    pub mode: Mode,
    /// What somebody has to mend, where that is behind it.
    pub cause: Option<Cause>,
}

/// What becomes of a notice that waits for the owner of the account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Notices {
    /// It stays for the next login: nobody logs in here.
    Left,
    /// It is told. Whoever is let in is its owner.
    Told,
}

/// Decides one login and says it: to the log in one line, to the user where it helps, to the host as the
/// PAM code. `arguments` are those of the module's line, `key=value`.
pub fn login<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    arguments: &[&[u8]],
) -> Answer {
    let Decided { verdict, mode, .. } = decide_login(machine, host, keys, arguments, Notices::Told);
    if let Verdict::Deny(reason) = &verdict {
        // The password comes next: an interrupt that is still there when it was right would end the program then. After
        // a second factor nothing comes next, and the interrupt is the program's to act on.
        if mode == Mode::Alternative && *reason != Reason::Terminated {
            keys.take_interrupt();
        }
        if let Some(text) = reason.text() {
            // The verdict stands whether or not this is read.
            let _ = host.show(&text);
        }
        if reason.may_be_a_guess() {
            host.delay_failure();
        }
    }
    verdict.answer(mode)
}

/// The same without the number: for the command, which has exit codes instead.
pub fn decide_login<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    arguments: &[&[u8]],
    notices: Notices,
) -> Decided {
    let origin = host.origin();
    let mut trail = Trail::default();
    // Where the mode itself is in doubt the codes do not depend on it.
    let mut mode = Mode::SecondFactor;
    let verdict = match settings(machine, &origin, arguments, &mut trail) {
        Ok(settings) => {
            mode = settings.mode;
            let line = Line { origin: &origin, arguments, settings: &settings, notices };
            ceremony(machine, host, keys, &line, &mut trail)
                .and_then(|verdict| unless_signalled(verdict, keys))
                .unwrap_or_else(Verdict::Deny)
        }
        Err(reason) => Verdict::Deny(reason),
    };
    let (severity, line) = trail.line(&origin, &verdict, mode);
    host.log(severity, line.as_str());
    if let Some(due) = trail.due {
        due.tell(machine, host, &verdict);
    }
    Decided { verdict, mode, cause: trail.cause }
}

/// Nobody is let in who has just given up: the program would die of the signal in the midst of what comes next.
fn unless_signalled<K: Keys>(verdict: Verdict, keys: &mut K) -> Result<Verdict, Reason> {
    match (&verdict, keys.pending_signal()) {
        (Verdict::Allow(_), Some(signal)) => Err(signal.into()),
        _ => Ok(verdict),
    }
}

fn settings<M: Machine>(
    machine: &mut M,
    origin: &Origin,
    arguments: &[&[u8]],
    trail: &mut Trail,
) -> Result<Settings, Reason> {
    let file = machine.config().map_err(|error| {
        trail.cause = Some(Cause::File(error));
        Reason::Config
    })?;
    let text = file.as_ref().map(|file| file.text.as_slice());
    Settings::for_service(text, &origin.service, arguments).map_err(|error| {
        trail.cause = Some(Cause::of_config(error, file.as_ref().map(|file| file.path.as_str())));
        Reason::Config
    })
}

/// The module's line that is at work, for whom it is.
#[derive(Clone, Copy)]
struct Line<'a> {
    origin: &'a Origin,
    arguments: &'a [&'a [u8]],
    settings: &'a Settings,
    notices: Notices,
}

/// The steps of a login, each of which may end it.
fn ceremony<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    line: &Line<'_>,
    trail: &mut Trail,
) -> Result<Verdict, Reason> {
    let Line { origin, settings, arguments, notices } = *line;
    let names = host.asks_for_names();
    let typed = host.user().map_err(|error| match error {
        UserError::Conversation => Reason::Conversation,
        UserError::Unknown => Reason::UserUnknown,
    })?;
    // A name that is no account's may be a password typed at the wrong prompt: it is not logged.
    let account = account(machine, &typed)?;
    trail.user.clone_from(&typed);
    trail.uid = Some(account.uid);

    let record = record(machine, &account, trail)?;
    let facts = Facts { enrolled: record.is_some(), remote: !origin.rhost.is_empty() };
    let required = match decide(facts, &settings.rules) {
        Decision::Ask(required) => required,
        Decision::Deny(reason) => return Err(reason),
        Decision::Exempt(exempt) => {
            let told = notices == Notices::Told && !facts.enrolled;
            if told && due::is_owner(settings.mode, origin, &typed) {
                trail.due = Due::without_a_key(machine, &account, trail);
            }
            return Ok(Verdict::Skip(exempt));
        }
    };
    // No record and still to be asked: the table has no such line, and this is not the place to guess.
    let record = record.ok_or(Reason::NotEnrolled)?;
    trail.only_key = record.credentials.len() == 1;
    // Nobody is asked for one that could not be enough.
    let usable: Vec<&Credential> =
        record.credentials.iter().filter(|credential| credential.can_prove(required)).collect();
    if usable.is_empty() {
        return Err(Reason::VerificationUnavailable);
    }

    let waited = Waited::of(account.uid, origin, arguments);
    if !names && let Some(reason) = waited.in_vain(machine, host, keys) {
        return Err(reason);
    }
    let question = Question {
        credentials: &usable,
        required,
        who: Subject { uid: account.uid, user: account.name.as_str(), origin },
        wait_for_key: settings.wait_for_key,
        touch: settings.touch,
        pin_guard: settings.pin_guard,
    };
    let case = settle::Case { account: &account, record: &record, settings, origin, notices };
    let answered = ask(machine, host, keys, &question, &mut |machine, host, answered| {
        conclude(machine, host, answered, &typed, required, &case, trail)
    });
    if let Err(reason) = answered {
        waited.note(machine, host, keys, reason);
    }
    answered.map(Verdict::Allow)
}

/// What is left to do after an assertion was verified, while its key is still ours: another login by the same key
/// must find the counter of this one.
fn conclude<M: Machine, H: Host>(
    machine: &mut M,
    host: &mut H,
    answered: Answered,
    typed: &str,
    required: Verification,
    case: &settle::Case<'_>,
    trail: &mut Trail,
) -> Result<Verified, Reason> {
    let Answered { verified, canonical } = answered;
    trail.canonical = canonical;
    trail.key = Some((verified.key_name().to_string(), verified.credential_tag()));
    if !host.still_means(typed) {
        return Err(Reason::UserChanged);
    }
    if !verified.satisfies(required) {
        return Err(Reason::Rejected(Rejected::UserVerification));
    }
    still_registered(machine, case, &verified, trail)?;
    settle::settle(machine, case, &verified, trail)?;
    Ok(verified)
}

/// The record was read before somebody looked for the key, and a prompt for the PIN can stand for days: a key that was removed
/// since, or that has to prove more now, lets nobody in.
fn still_registered<M: Machine>(
    machine: &mut M,
    case: &settle::Case<'_>,
    verified: &Verified,
    trail: &mut Trail,
) -> Result<(), Reason> {
    let by = |record: &Record| {
        record.credentials.iter().find(|credential| verified.is_by(credential)).cloned()
    };
    let then = by(case.record);
    let now = record(machine, case.account, trail)?.as_ref().and_then(by);
    match (then, now) {
        (Some(then), Some(now))
            if then.public_key == now.public_key && verified.satisfies(now.verification) =>
        {
            Ok(())
        }
        _ => Err(Reason::RecordChanged),
    }
}

fn account<M: Machine>(machine: &mut M, typed: &str) -> Result<Account, Reason> {
    let name = AccountName::new(typed).map_err(|_| Reason::UserUnknown)?;
    machine.account(&name).map_err(Reason::Fault)?.ok_or(Reason::UserUnknown)
}

/// The account's record, or none when its absence is proven.
fn record<M: Machine>(
    machine: &mut M,
    account: &Account,
    trail: &mut Trail,
) -> Result<Option<Record>, Reason> {
    let mut refused = |cause| {
        trail.cause = Some(cause);
        Reason::Record
    };
    let file = machine.record(account.uid).map_err(|error| refused(Cause::File(error)))?;
    let Some(file) = file else { return Ok(None) };
    let record =
        Record::parse(&file.text).map_err(|misfit| refused(Cause::malformed(&file, misfit)))?;
    if !record.belongs_to(account) {
        return Err(refused(Cause::OtherAccount { path: file.path }));
    }
    Ok(Some(record))
}
