//! `fidokey enable`: a line into the stack of a service, after somebody has logged in by it.

use std::time::Duration;

use fidokey_core::config::{ConfigError, ConfigFile, Settings};
use fidokey_core::pending::{self, Pending};
use fidokey_core::policy::Mode;
use fidokey_core::ports::Account;
use fidokey_core::stack::{self, Call, Chain, Edited, Judgement, Problem};
use fidokey_core::state::State;
use fidokey_system::clock;
use fidokey_system::files::Places;
use fidokey_system::pending::Kept;
use fidokey_system::stacks::Stacks;

use super::{
    After, BESIDE, Edit, is_service, kept, lockout, logged, meant, only_root, proof, refused,
    service, timer, write,
};
use crate::arguments::Enable;
use crate::enroll::policy;
use crate::outcome::{Exit, Failure, Outcome};
use crate::terminal::{note, print, printable, say};

/// Enables the module for each of the services, or for none.
pub(crate) fn run(asked: &Enable) -> Outcome {
    only_root("enable")?;
    let places = Places::system();
    let stacks = Stacks::new(places.clone());
    let policy = policy(&places)?;
    let mut wanted: Vec<Wanted> = Vec::new();
    for name in &meant(&asked.services, &stacks) {
        let one = one(&after(&stacks, &wanted), &policy, asked.mode, name)?;
        wanted.extend(one);
    }
    if asked.dry_run {
        return shown(&wanted);
    }
    if wanted.is_empty() {
        return Ok(Exit::Done);
    }
    let by = match asked.force {
        true => None,
        false => Some(lockout::acting(asked.user.as_ref(), &places)?),
    };
    if let Some(account) = &by {
        for Wanted { edit, settings, .. } in &wanted {
            lockout::check(account, &edit.service, settings, &policy, &places)?;
        }
        prove(&stacks, &wanted, asked.mode, account)?;
    }
    let edits: Vec<Edit> = wanted.into_iter().map(|wanted| wanted.edit).collect();
    if let (Some(account), Some(_)) = (&by, asked.trial) {
        set_aside(&places, account, &edits)?;
    }
    commit(&places, &stacks, &edits, asked.trial)?;
    report(&edits, asked, by.as_ref())
}

/// The stacks with what is wanted so far.
fn after<'a>(stacks: &'a Stacks, wanted: &'a [Wanted]) -> After<'a> {
    let edit = |Wanted { edit, .. }: &'a Wanted| (edit.service.as_str(), edit.after.as_slice());
    After { stacks, edits: wanted.iter().map(edit).collect() }
}

/// Has `account` log in by each of the new stacks; by those that call the same and are under the same rules once.
fn prove(stacks: &Stacks, wanted: &[Wanted], mode: Mode, account: &Account) -> Result<(), Failure> {
    let after = after(stacks, wanted);
    let mut proven: Vec<(Chain, &Settings)> = Vec::new();
    for Wanted { edit, arguments, settings } in wanted {
        let service = edit.service.as_str();
        let chain = Chain::read(service.as_bytes(), &after);
        let chain = chain.map_err(|trouble| refused(service, &trouble.into()))?;
        if proven.iter().any(|(known, rules)| known.calls_as(&chain) && *rules == settings) {
            continue;
        }
        let strict = stack::stricter(&edit.after, mode, arguments).ok_or_else(no_line)?;
        let mut texts = stacks.texts();
        texts.extend(after.edits.iter().map(|(name, text)| ((*name).to_owned(), text.to_vec())));
        texts.push((service.to_owned(), strict));
        proof::prove(&texts, service, account)?;
        proven.push((chain, settings));
    }
    Ok(())
}

/// What is to be changed, and what is in force then.
struct Wanted {
    edit: Edit,
    arguments: Vec<String>,
    settings: Settings,
}

/// The edit of one service; none where it is enabled already.
fn one(
    stacks: &After<'_>,
    policy: &ConfigFile,
    mode: Mode,
    name: &str,
) -> Result<Option<Wanted>, Failure> {
    let before = service(stacks.stacks, name)?;
    is_service(stacks.stacks, name)?;
    let (arguments, settings) = arguments(policy, mode, name)?;
    match stack::enable(name.as_bytes(), mode, &arguments, stacks) {
        Err(refusal) => Err(refused(name, &refusal)),
        Ok(Edited::Unchanged(Judgement { ours, .. })) => {
            let place = ours.first().map_or_else(String::new, |place| format!(" ({place})"));
            settled(stacks, policy, name)?;
            note(&printable(&format!("{name} is enabled already{place}.")));
            Ok(None)
        }
        Ok(Edited::Changed { text, line, judgement }) => {
            if judgement.problems.contains(&Problem::First) {
                say(&format!(
                    "{name}: the key will be asked for before the password, for behind it a login could succeed without the key."
                ));
            }
            let edit = Edit { service: name.to_owned(), before, after: text, line };
            Ok(Some(Wanted { edit, arguments, settings }))
        }
    }
}

/// A line that is there already must be one that the policy takes: otherwise every login by it is denied.
fn settled(stacks: &After<'_>, policy: &ConfigFile, service: &str) -> Result<(), Failure> {
    let chain = Chain::read(service.as_bytes(), stacks);
    let chain = chain.map_err(|trouble| refused(service, &trouble.into()))?;
    for handler in chain.handlers() {
        let Call::Module { name, arguments } = &handler.call else { continue };
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        if !stack::is_ours(name) {
            continue;
        }
        if let Err(error) = policy.clone().settings(service, &arguments) {
            return Err(Failure::new(
                Exit::Unreadable,
                format!("{} denies every login: {error}.", handler.place),
                format!(
                    "Let it be written anew: `fidokey disable {service} && fidokey enable {service}`."
                ),
            ));
        }
    }
    Ok(())
}

/// What the line must say beyond its mode, so that the policy takes it, and what is in force then.
fn arguments(
    policy: &ConfigFile,
    mode: Mode,
    service: &str,
) -> Result<(Vec<String>, Settings), Failure> {
    let settings = |arguments: &[String]| {
        let mode = format!("mode={}", mode.word());
        let all: Vec<&[u8]> = [mode.as_bytes()]
            .into_iter()
            .chain(arguments.iter().map(|one| one.as_bytes()))
            .collect();
        policy.clone().settings(service, &all)
    };
    let none = Vec::new();
    let settings = match settings(&none) {
        Ok(settings) => return Ok((none, settings)),
        // The key instead of the password: unless the policy says that a touch is enough there.
        Err(ConfigError::Incomplete { key: "touch_only_alternative", .. }) => {
            let arguments = vec!["verification=required".to_owned()];
            settings(&arguments).map(|settings| (arguments, settings))
        }
        Err(error) => Err(error),
    };
    settings.map_err(|error| {
        Failure::new(
            Exit::Unreadable,
            format!("{service} was not changed: the policy cannot be used: {error}."),
            "Mend /etc/fidokey/config.toml.",
        )
    })
}

fn shown(wanted: &[Wanted]) -> Outcome {
    for Wanted { edit, .. } in wanted {
        let text = String::from_utf8_lossy(&edit.after);
        let line = text.lines().nth(edit.line.saturating_sub(1)).unwrap_or_default();
        print(&printable(&format!("/etc/pam.d/{}:{}: + {line}", edit.service, edit.line)))?;
    }
    note("Nothing was changed (--dry-run).");
    Ok(Exit::Done)
}

/// The login that has just proven the stack is not the one that confirms it. A key that counts nothing would leave no trace of
/// another one in the same minute.
fn set_aside(places: &Places, account: &Account, edits: &[Edit]) -> Result<(), Failure> {
    places.change_state(account.uid, |text| {
        let mut state = State::parse(text).ok()?;
        edits.iter().for_each(|edit| state.set_aside(&edit.service, "fidokey-enable"));
        Some(state.to_toml())
    })?;
    Ok(())
}

/// Writes what was proven, if it is still what it was made from.
fn commit(
    places: &Places,
    stacks: &Stacks,
    edits: &[Edit],
    trial: Option<Duration>,
) -> Result<(), Failure> {
    let kept = kept(places)?;
    if pending(&kept)?.is_some() {
        return Err(Failure::new(
            Exit::No,
            "Nothing was changed: another edit waits to be confirmed.",
            "Log in by it to keep it, or wait until its time is over: then `fidokey revert` undoes it.",
        ));
    }
    for edit in edits {
        if service(stacks, &edit.service)? != edit.before {
            return Err(Failure::new(
                Exit::No,
                format!(
                    "Nothing was changed: somebody else has changed {} meanwhile.",
                    edit.service
                ),
                "Run the command again.",
            ));
        }
        kept.keep(&edit.service, &edit.before.text)?;
    }
    match trial {
        None => write(stacks, edits),
        Some(time) => {
            let journal = journal(places, edits, time)?.to_toml();
            let written = kept.write_journal(&journal).map_err(Failure::from);
            let written = written.and_then(|()| timer::start());
            let written = written.and_then(|()| write(stacks, edits));
            if written.is_err() {
                // What could not be put back is undone later.
                match is_back(stacks, edits) {
                    true => kept.remove_journal()?,
                    false => say("Not all of it could be undone now. It is tried again."),
                }
            }
            written
        }
    }
}

/// Whether each stack is what it was, on the disk as well.
fn is_back(stacks: &Stacks, edits: &[Edit]) -> bool {
    let mut edits = edits.iter();
    edits.all(|edit| service(stacks, &edit.service).is_ok_and(|now| now == edit.before))
        && stacks.settle().is_ok()
}

fn journal(places: &Places, edits: &[Edit], time: Duration) -> Result<Pending, Failure> {
    let now = now()?;
    let edits = edits.iter().map(|edit| {
        Ok(pending::Edit {
            service: edit.service.clone(),
            made: edit.before.vendor,
            written: pending::hash(&edit.after),
            before: pending::hash(&edit.before.text),
            known: logins(places, &edit.service)?,
        })
    });
    Ok(Pending {
        boot: clock::boot().ok_or_else(no_boot)?,
        deadline: now.saturating_add(time.as_secs()),
        edits: edits.collect::<Result<_, Failure>>()?,
    })
}

/// Seconds since the machine has started.
pub(super) fn now() -> Result<u64, Failure> {
    Ok(Duration::from_nanos(clock::boottime_ns()?).as_secs())
}

/// The logins by `service` that are known, of everybody; one by the service beside it is as good.
pub(super) fn logins(places: &Places, service: &str) -> Result<Vec<String>, Failure> {
    let pair = BESIDE.into_iter().find(|(of, beside)| [*of, *beside].contains(&service));
    let (of, beside) = pair.unwrap_or((service, service));
    let states = places.states()?;
    let states = states.iter().filter_map(|file| State::parse(&file.text).ok());
    let mut logins: Vec<String> =
        states.flat_map(|state| [state.marks(of), state.marks(beside)].concat()).collect();
    logins.dedup();
    Ok(logins)
}

fn no_boot() -> Failure {
    Failure::new(
        Exit::Bug,
        "Nothing was changed: the kernel does not say which start of the machine this is.",
        "See that /proc is mounted.",
    )
}

fn no_line() -> Failure {
    Failure::new(
        Exit::Bug,
        "The new stack has no line of ours.",
        "Please report it: this should not happen.",
    )
}

fn report(edits: &[Edit], asked: &Enable, by: Option<&Account>) -> Outcome {
    let by = by.map_or("root", |account| account.name.as_str());
    let change = if asked.trial.is_some() { "tried" } else { "enabled" };
    for Edit { service, line, .. } in edits {
        logged(change, service, by);
        print(&format!("Enabled {service}: /etc/pam.d/{service}:{line}."))?;
    }
    if let Some(time) = asked.trial {
        note(&format!(
            "Log in by it now, somewhere else: that keeps it. Otherwise it is undone in {} seconds, also by a restart.",
            time.as_secs()
        ));
    }
    Ok(Exit::Done)
}

/// The journal that is pending, or none.
pub(super) fn pending(kept: &Kept<'_>) -> Result<Option<Pending>, Failure> {
    let Some(file) = kept.journal()? else { return Ok(None) };
    Pending::parse(&file.text).map(Some).map_err(|misfit| {
        Failure::new(
            Exit::Unreadable,
            format!("{}: {misfit}.", file.path),
            "See to the stacks in /etc/pam.d by hand, then remove the file.",
        )
    })
}
