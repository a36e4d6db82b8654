//! `fidokey status`: what a service asks of an account, and why: the module's line, what is in force by it, and where each
//! setting comes from. Everything that is looked at is readable by all, so nobody has to be root.

use std::path::PathBuf;

use fidokey_core::config::explain::{Explained, SaidBy};
use fidokey_core::config::{ConfigFile, Settings};
use fidokey_core::credential::{Credential, Verification};
use fidokey_core::policy::{Decision, Facts, Mode, decide};
use fidokey_core::ports::Account;
use fidokey_core::stack::{Call, Chain, Files as _, Handler, Problem, Trouble, is_ours, judge};
use fidokey_system::files::Places;
use fidokey_system::stacks::Stacks;

use crate::arguments;
use crate::enroll::policy;
use crate::outcome::{Exit, Failure, Outcome};
use crate::table::aligned;
use crate::terminal::{note, print, printable};
use crate::{account, json, record};

/// Shows it.
pub(crate) fn run(asked: &arguments::Status) -> Outcome {
    let account = account::named_or_own(asked.user.as_ref())?;
    let places = Places::system();
    let status = Status::of(&account, &asked.service, &places)?;
    print(&if asked.json { status.json() } else { status.text(&places) })?;
    if status.line.is_none() && !asked.json {
        note(&format!("Have it ask: `sudo fidokey enable {}`.", asked.service));
    }
    Ok(if status.in_force() { Exit::Done } else { Exit::No })
}

/// What a service asks of an account.
struct Status {
    service: String,
    account: Account,
    keys: usize,
    /// Where the module's line is, and what comes of it.
    line: Option<Line>,
    settings: Vec<Explained>,
}

/// The line of the module.
struct Line {
    file: PathBuf,
    number: usize,
    mode: Mode,
    /// What is wrong with the stack: it is in force where nothing is.
    problems: Vec<String>,
    /// What would bring somebody past it, or lets nobody in.
    is_in_force: bool,
    /// The key is asked for before the password.
    is_first: bool,
    here: Asks,
    from_elsewhere: Asks,
}

/// What a login gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asks {
    /// A key, with that proof.
    Key(Verification),
    /// It is denied.
    Denied,
    /// What the rest of the stack decides.
    Exempt,
}

impl Asks {
    fn of(decision: Decision, credentials: &[Credential]) -> Self {
        match decision {
            // What every key of the account that can be enough has to prove by itself; where none can, none is asked for.
            Decision::Ask(required) => {
                let usable = credentials.iter().filter(|credential| credential.can_prove(required));
                match usable.map(|credential| credential.verification).min() {
                    Some(own) => Self::Key(required.max(own)),
                    None => Self::Denied,
                }
            }
            Decision::Deny(_) => Self::Denied,
            Decision::Exempt(_) => Self::Exempt,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Exempt => "exempt",
            Self::Key(_) => "key",
        }
    }
}

impl Status {
    fn of(account: &Account, service: &str, places: &Places) -> Result<Self, Failure> {
        let policy = policy(places)?;
        let record = record::of(account, places.read_record(account.uid))?;
        let credentials = record.map(|record| record.credentials).unwrap_or_default();
        let stacks = Stacks::new(places.clone());
        let chain = chain(service, &stacks)?;
        let ours = |handler: &&Handler| handler.module().is_some_and(is_ours);
        let ours = chain.handlers().iter().find(ours);
        let arguments: Vec<&[u8]> = match ours.map(|handler| &handler.call) {
            Some(Call::Module { arguments, .. }) => arguments.iter().map(Vec::as_slice).collect(),
            _ => Vec::new(),
        };
        let line = match ours {
            None => None,
            Some(handler) => {
                let settings = policy.clone().settings(service, &arguments);
                let settings = settings.map_err(|error| {
                    Failure::new(
                        Exit::Unreadable,
                        format!("{} denies every login: {error}.", handler.place),
                        "Mend it: pam_fidokey(8) has the arguments, fidokey.config(5) the policy.",
                    )
                })?;
                Some(line(service, handler, &settings, &credentials, &stacks)?)
            }
        };
        Ok(Self {
            service: service.to_owned(),
            account: account.clone(),
            keys: credentials.len(),
            line,
            settings: explained(&policy, service, &arguments)?,
        })
    }

    fn in_force(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.is_in_force)
    }

    /// For people.
    fn text(&self, places: &Places) -> String {
        let service = &self.service;
        let mut lines = vec![match &self.line {
            None => format!("{service} asks for no key: its stack does not name the module."),
            Some(line) => {
                let place = format!("{}:{}", line.file.display(), line.number);
                match line.is_in_force {
                    true => format!("{service} asks for a key: {place}."),
                    false => {
                        format!("{service} names the module, and it is not in force: {place}.")
                    }
                }
            }
        }];
        let problems = self.line.iter().flat_map(|line| &line.problems);
        lines.extend(problems.map(|problem| format!("But {problem}; see `fidokey doctor`.")));
        lines.push(String::new());
        let rows: Vec<Vec<String>> =
            self.settings.iter().map(|one| self.row(one, places)).collect();
        let mut text: Vec<String> = lines.iter().map(|line| printable(line)).collect();
        text.push(aligned(&["SETTING", "VALUE", "FROM"], &rows));
        text.push(String::new());
        text.push(self.sentence());
        text.join("\n")
    }

    fn row(&self, one: &Explained, places: &Places) -> Vec<String> {
        let config = places.beneath(&places.config);
        let config = config.display();
        let from = match (one.from, &self.line) {
            (SaidBy::Line, Some(line)) => format!("{}:{}", line.file.display(), line.number),
            (SaidBy::Line, None) => "the module's line".to_owned(),
            (SaidBy::Service, _) => format!("[service.{}] in {config}", self.service),
            (SaidBy::Default, _) => format!("[default] in {config}"),
            (SaidBy::File, _) => config.to_string(),
            (SaidBy::BuiltIn, _) if one.value.is_none() => {
                "the module's line has to say it".to_owned()
            }
            (SaidBy::BuiltIn, _) => "built in".to_owned(),
        };
        let value = one.value.as_deref().unwrap_or("-").trim_matches('"');
        vec![one.key.to_owned(), printable(value), printable(&from)]
    }

    /// What it comes to.
    fn sentence(&self) -> String {
        let (service, user) = (&self.service, &self.account.name);
        let has = match self.keys {
            0 => format!("{user} has no key"),
            1 => format!("{user} has 1 key"),
            keys => format!("{user} has {keys} keys"),
        };
        let Some(line) = &self.line else { return format!("{has}; {service} asks for none.") };
        let here = match (line.here, line.mode) {
            (Asks::Denied, Mode::Alternative) => {
                "takes no key, and the password decides".to_owned()
            }
            (Asks::Denied, Mode::SecondFactor) => "denies the login".to_owned(),
            (Asks::Exempt, _) => "asks for none, and the rest of its stack decides".to_owned(),
            (Asks::Key(proof), Mode::Alternative) => {
                format!("asks for {}; without it, for the password", a_key(proof))
            }
            (Asks::Key(proof), Mode::SecondFactor) if line.is_first => {
                format!("asks for {}, then for the password", a_key(proof))
            }
            (Asks::Key(proof), Mode::SecondFactor) => {
                format!("asks for the password, then for {}", a_key(proof))
            }
        };
        let elsewhere = match line.from_elsewhere {
            same if same == line.here => String::new(),
            Asks::Denied if line.mode == Mode::Alternative => {
                " From another machine it takes none.".to_owned()
            }
            Asks::Denied => " From another machine the login is denied.".to_owned(),
            Asks::Exempt => " From another machine the rest of its stack decides.".to_owned(),
            Asks::Key(proof) => format!(" From another machine it takes {}.", a_key(proof)),
        };
        format!("{has}: {service} {here}.{elsewhere}")
    }

    /// For programs. Keys of the objects may be added, never renamed or removed.
    fn json(&self) -> String {
        let setting = |one: &Explained| {
            json::fields(&[
                ("key", json::string(one.key)),
                ("value", one.value.as_deref().map_or_else(|| "null".to_owned(), value)),
                ("from", json::string(one.from.word())),
            ])
        };
        let settings: Vec<String> = self.settings.iter().map(setting).collect();
        let line = self.line.as_ref();
        let place = |line: &Line| {
            json::fields(&[
                ("file", json::string(&line.file.to_string_lossy())),
                ("line", line.number.to_string()),
            ])
        };
        let problems: Vec<String> = line
            .map(|line| line.problems.iter().map(|problem| json::string(problem)).collect())
            .unwrap_or_default();
        let login = |asks: Option<Asks>| {
            let proof = match asks {
                Some(Asks::Key(proof)) => Some(proof.word()),
                _ => None,
            };
            json::fields(&[
                ("answer", json::string(asks.map_or("not_asked", Asks::word))),
                ("verification", json::optional(proof)),
            ])
        };
        json::fields(&[
            ("schema", "1".to_owned()),
            ("service", json::string(&self.service)),
            ("in_force", self.in_force().to_string()),
            ("line", line.map_or_else(|| "null".to_owned(), place)),
            ("problems", json::array(&problems)),
            ("settings", json::array(&settings)),
            ("user", json::string(self.account.name.as_str())),
            ("uid", self.account.uid.to_string()),
            ("keys", self.keys.to_string()),
            ("local", login(line.map(|line| line.here))),
            ("remote", login(line.map(|line| line.from_elsewhere))),
        ])
    }
}

/// A value as TOML has it, as JSON.
fn value(toml: &str) -> String {
    match toml.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(text) => json::string(text),
        // Numbers, true and false are the same in both.
        None => toml.to_owned(),
    }
}

fn a_key(proof: Verification) -> &'static str {
    match proof {
        Verification::None => "a key",
        Verification::Required => "a key and its PIN or a fingerprint",
    }
}

/// The calls of the service.
fn chain(service: &str, stacks: &Stacks) -> Result<Chain, Failure> {
    let absent = || match stacks.path(service.as_bytes()) {
        Some(path) => Failure::new(
            Exit::Unreadable,
            format!("{} cannot be read.", path.display()),
            "Run the command as root.",
        ),
        None => Failure::new(
            Exit::No,
            format!("There is no service {service}."),
            "See `ls /etc/pam.d` for those that there are.",
        ),
    };
    Chain::read(service.as_bytes(), stacks).map_err(|trouble| match trouble {
        Trouble::NoService => absent(),
        trouble => Failure::new(
            Exit::Unreadable,
            format!("Nothing can be said of {service}: {trouble}."),
            "Mend that line, then run the command again.",
        ),
    })
}

fn explained(
    policy: &ConfigFile,
    service: &str,
    arguments: &[&[u8]],
) -> Result<Vec<Explained>, Failure> {
    policy.explain(service, arguments).map_err(|error| {
        Failure::new(
            Exit::Unreadable,
            format!("The module's line cannot be used: {error}."),
            "Mend it: pam_fidokey(8) has the arguments.",
        )
    })
}

/// What the line of the module at `handler` comes to.
fn line(
    service: &str,
    handler: &Handler,
    settings: &Settings,
    credentials: &[Credential],
    stacks: &Stacks,
) -> Result<Line, Failure> {
    let judgement = judge(service.as_bytes(), settings.mode, stacks).map_err(|trouble| {
        let happened = format!("Nothing can be said of {service}: {trouble}.");
        Failure::new(Exit::Unreadable, happened, "Mend that line, then run the command again.")
    })?;
    let name = handler.module().unwrap_or_default();
    let is_there = stacks.has_module(name);
    let is_locked = judgement.problems.contains(&Problem::Locked);
    let mut problems: Vec<String> = judgement.problems.iter().map(Problem::to_string).collect();
    if !is_there {
        let name = String::from_utf8_lossy(name);
        problems.insert(0, format!("there is no {name}, so every login is denied"));
    }
    let asks = |remote| {
        let facts = Facts { enrolled: !credentials.is_empty(), remote };
        Asks::of(decide(facts, &settings.rules), credentials)
    };
    let absent = || PathBuf::from(String::from_utf8_lossy(&handler.place.file).into_owned());
    Ok(Line {
        file: stacks.path(&handler.place.file).unwrap_or_else(absent),
        number: handler.place.line,
        mode: settings.mode,
        is_in_force: judgement.effective() && is_there && !is_locked,
        is_first: judgement.problems.contains(&Problem::First),
        problems,
        here: asks(false),
        from_elsewhere: asks(true),
    })
}

#[cfg(test)]
mod tests;
