//! A login: who, under which policy, with which credentials, by which key; then the verdict, once.

use crate::ask::{Answered, Question, ask};
use crate::assertion::{Rejected, Subject};
use crate::audit::Line;
use crate::config::Settings;
use crate::credential::{AccountName, Credential, Verification};
use crate::policy::{Decision, Facts, Mode, decide};
use crate::ports::{Account, Host, Keys, Machine, Origin, Severity, UserError};
use crate::record::Record;
use crate::verdict::{Answer, Reason, Verdict};

/// Decides one login and says it: to the log in one line, to the user where it helps, to the host as the
/// PAM code. `arguments` are those of the module's line, `key=value`.
pub fn login<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    arguments: &[&[u8]],
) -> Answer {
    let (verdict, mode) = decide_login(machine, host, keys, arguments);
    if let Verdict::Deny(reason) = &verdict
        && let Some(text) = reason.text()
    {
        // The verdict stands whether or not this is read.
        let _ = host.show(text);
    }
    verdict.answer(mode)
}

/// The same without the number: for the command, which has exit codes instead.
pub fn decide_login<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    arguments: &[&[u8]],
) -> (Verdict, Mode) {
    let origin = host.origin();
    let mut trail = Trail::default();
    // Where the mode itself is in doubt the codes do not depend on it.
    let mut mode = Mode::SecondFactor;
    let verdict = match settings(machine, &origin, arguments, &mut trail) {
        Ok(settings) => {
            mode = settings.mode;
            ceremony(machine, host, keys, &origin, &settings, &mut trail)
                .unwrap_or_else(Verdict::Deny)
        }
        Err(reason) => Verdict::Deny(reason),
    };
    let (severity, line) = trail.line(&origin, &verdict, mode);
    host.log(severity, line.as_str());
    (verdict, mode)
}

fn settings<M: Machine>(
    machine: &mut M,
    origin: &Origin,
    arguments: &[&[u8]],
    trail: &mut Trail,
) -> Result<Settings, Reason> {
    let text = machine.config().map_err(|error| {
        trail.detail = error.to_string();
        Reason::Config
    })?;
    Settings::for_service(text.as_deref(), &origin.service, arguments).map_err(|error| {
        trail.detail = error.to_string();
        Reason::Config
    })
}

/// The steps of a login, each of which may end it.
fn ceremony<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    origin: &Origin,
    settings: &Settings,
    trail: &mut Trail,
) -> Result<Verdict, Reason> {
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
        Decision::Exempt(exempt) => return Ok(Verdict::Skip(exempt)),
    };
    // No record and still to be asked: the table has no such line, and this is not the place to guess.
    let record = record.ok_or(Reason::NotEnrolled)?;
    // Asking a key for verification takes a PIN exchange that this version does not have: neither is a
    // touch passed off for it, nor is anybody asked for a touch that could not be enough.
    let usable: Vec<&Credential> = record
        .credentials
        .iter()
        .filter(|credential| credential.verification.max(required) == Verification::None)
        .collect();
    if usable.is_empty() {
        return Err(Reason::VerificationUnavailable);
    }

    let question = Question {
        credentials: &usable,
        required,
        who: Subject { uid: account.uid, user: account.name.as_str(), origin },
        wait_for_key: settings.wait_for_key,
        touch: settings.touch,
    };
    let Answered { verified, canonical } = ask(machine, host, keys, &question)?;
    if !canonical {
        trail.detail = "the key's CBOR is not canonical".to_owned();
    }
    trail.key = Some((verified.key_name().to_string(), verified.credential_tag()));

    if !host.still_means(&typed) {
        return Err(Reason::UserChanged);
    }
    if !verified.satisfies(required) {
        return Err(Reason::Rejected(Rejected::UserVerification));
    }
    Ok(Verdict::Allow(verified))
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
    let text = machine.record(account.uid).map_err(|error| {
        trail.detail = error.to_string();
        Reason::Record
    })?;
    let Some(text) = text else { return Ok(None) };
    let record = Record::parse(&text).map_err(|misfit| {
        trail.detail = format!("record of uid {}: {misfit}", account.uid);
        Reason::Record
    })?;
    if !record.belongs_to(account) {
        trail.detail = format!("record of uid {}: it is another account's", account.uid);
        return Err(Reason::Record);
    }
    Ok(Some(record))
}

/// What the log line says besides the verdict.
#[derive(Debug, Default)]
struct Trail {
    user: String,
    uid: Option<u32>,
    key: Option<(String, [u8; 4])>,
    detail: String,
}

impl Trail {
    fn line(&self, origin: &Origin, verdict: &Verdict, mode: Mode) -> (Severity, Line) {
        let (severity, result, reason) = match verdict {
            Verdict::Allow(_) => (Severity::Info, "granted", "verified"),
            Verdict::Deny(reason) => (severity(*reason), "denied", reason.word()),
            Verdict::Skip(exempt) => (Severity::Info, "exempt", exempt.word()),
        };
        let mut line = Line::default();
        line.field("result", result)
            .field("code", &verdict.number(mode).to_string())
            .field("reason", reason)
            .field("user", &self.user)
            .field("uid", &self.uid.map(|uid| uid.to_string()).unwrap_or_default())
            .field("ruser", &origin.ruser)
            .field("rhost", &origin.rhost)
            .field("tty", &origin.tty)
            .field("service", &origin.service);
        if let Some((name, [a, b, c, d])) = &self.key {
            line.field("cred", &format!("{a:02x}{b:02x}{c:02x}{d:02x}")).field("key", name);
        }
        if let Verdict::Deny(Reason::Fault(fault)) = verdict {
            line.field("call", fault.call).field("errno", &fault.errno.to_string());
        }
        if !self.detail.is_empty() {
            line.field("detail", &self.detail);
        }
        (severity, line)
    }
}

fn severity(reason: Reason) -> Severity {
    match reason {
        Reason::Rejected(_) | Reason::UserChanged => Severity::Alert,
        Reason::Config | Reason::Fault(_) | Reason::KeyInaccessible | Reason::Record => {
            Severity::Error
        }
        _ => Severity::Notice,
    }
}
