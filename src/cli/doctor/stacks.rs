//! The stacks: of each service that asks for a key, whether the module is in force there, and whether its line says
//! what the module takes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fidokey_core::config::{ConfigError, ConfigFile, Settings};
use fidokey_core::credential::Verification;
use fidokey_core::findings::Kind;
use fidokey_core::policy::Mode;
use fidokey_core::stack::Place as Line;
use fidokey_core::stack::{
    Call, Chain, Files, Handler, Problem, Trouble, asks_a_key, is_ours, judge,
};
use fidokey_system::stacks::Stacks;

use super::report::{Place, Report, word};
use super::world::World;
use crate::stack::BESIDE;

pub(crate) mod services;

use services::{Reader, odd_files, services};

/// How many services are named in a sentence.
const NAMED_MAX: usize = 4;

/// A service that asks for a key.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) name: String,
    /// The line of the module.
    pub(crate) place: Place,
    /// How it names the module.
    pub(crate) module: Vec<u8>,
    /// What is in force, where anything is.
    pub(crate) settings: Option<Settings>,
}

/// Looks at every service; those that ask for a key.
pub(crate) fn examine(
    world: &World,
    policy: Option<&ConfigFile>,
    report: &mut Report,
) -> Vec<Asking> {
    let stacks = Stacks::new(world.places.clone());
    let (services, there_are_more) = services(&stacks);
    odd_files(world, &stacks, report);
    if there_are_more {
        let wrong = "There are more services than are gone through; the rest was left out.";
        let place = Place::file(&world.place("/etc/pam.d"));
        report.found(
            Kind::StackUnclear,
            place,
            wrong,
            "See what they are: `ls -f /etc/pam.d | less`.",
        );
    }
    let mut examiner =
        Examiner { world, policy, stacks: &stacks, found: BTreeMap::new(), asking: Vec::new() };
    let (mut silent, mut named) = (Vec::new(), false);
    for service in &services {
        report.looked_at.services = report.looked_at.services.saturating_add(1);
        match examiner.service(service) {
            true => named = true,
            false => silent.push(service.as_str()),
        }
    }
    examiner.siblings(&silent);
    examiner.tables();
    let Examiner { found, asking, .. } = examiner;
    for ((kind, place), Said { services, wrong, remedy }) in found {
        report.found(kind, place, format!("{}: {wrong}", listed(&services)), remedy);
    }
    report.looked_at.asking = asking.len();
    if !named {
        let wrong = "No stack names the module: nobody is asked for a key.";
        let place = Place::file(&world.place("/etc/pam.d"));
        report.found(Kind::NobodyAsked, place, wrong, "`fidokey enable sudo`, for example.");
    }
    asking
}

/// What is said of a line, and of which services.
struct Said {
    services: Vec<String>,
    wrong: String,
    remedy: String,
}

struct Examiner<'a> {
    world: &'a World,
    policy: Option<&'a ConfigFile>,
    stacks: &'a Stacks,
    /// A line that many services include is told of once.
    found: BTreeMap<(Kind, Place), Said>,
    asking: Vec<Asking>,
}

impl Examiner<'_> {
    fn found(
        &mut self,
        service: &str,
        kind: Kind,
        place: Place,
        wrong: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let said = self.found.entry((kind, place)).or_insert_with(|| Said {
            services: Vec::new(),
            wrong: wrong.into(),
            remedy: remedy.into(),
        });
        if !said.services.iter().any(|known| known == service) {
            said.services.push(service.to_owned());
        }
    }

    /// A line as it is named here.
    fn place(&self, Line { file, line }: &Line) -> Place {
        Place::file(&self.path(file)).line(*line)
    }

    fn path(&self, file: &[u8]) -> PathBuf {
        let absent = || Path::new("/etc/pam.d").join(&*String::from_utf8_lossy(file));
        self.world.place(self.stacks.path(file).unwrap_or_else(absent))
    }

    /// Looks at a service; whether its stack names the module.
    fn service(&mut self, service: &str) -> bool {
        let reader = Reader::new(self.stacks);
        let chain = match Chain::read(service.as_bytes(), &reader) {
            Ok(chain) => chain,
            Err(trouble) => {
                // What has nothing to do with the module is somebody else's trouble.
                if reader.names_us() {
                    self.trouble(service, &trouble);
                }
                return reader.names_us();
            }
        };
        let ours = |handler: &&Handler| handler.module().is_some_and(is_ours);
        let lines: Vec<&Handler> = chain.handlers().iter().filter(ours).collect();
        let Some(first) = lines.first() else { return false };
        let settings: Vec<Option<Settings>> =
            lines.iter().map(|line| self.settings(service, line)).collect();
        let settings = settings.into_iter().next().flatten();
        let missing = self.missing(service, &lines);
        if let Some(settings) = &settings {
            self.judge(service, settings.mode, missing, &reader);
        }
        for handler in chain.handlers() {
            if let Some(name) = handler.module().filter(|name| asks_a_key(name)) {
                let name = String::from_utf8_lossy(name);
                let wrong = format!("{name} asks for a key as well, and both want a touch.");
                let remedy = "Take one of the two lines out.";
                self.found(service, Kind::AnotherModule, self.place(&handler.place), wrong, remedy);
            }
        }
        self.asking.push(Asking {
            name: service.to_owned(),
            place: self.place(&first.place),
            module: first.module().unwrap_or_default().to_vec(),
            settings,
        });
        true
    }

    fn trouble(&mut self, service: &str, trouble: &Trouble) {
        let (kind, place, what, who) = match trouble {
            Trouble::NoService => return,
            Trouble::Unreadable { place, what } => {
                (Kind::StackUnreadable, place, what, "libpam gives up here and denies every login")
            }
            Trouble::Doubtful { place, what } => {
                (Kind::StackUnclear, place, what, "releases of libpam read this differently")
            }
        };
        let place = self.place(place);
        let remedy = format!("Mend the line {place}; keep a root shell open meanwhile.");
        self.found(service, kind, place, format!("{who}: {what}."), remedy);
    }

    /// What is in force at a line of the module.
    fn settings(&mut self, service: &str, line: &Handler) -> Option<Settings> {
        let Call::Module { arguments, .. } = &line.call else { return None };
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        // Without a policy that can be used the module denies, which is said already.
        let error = match self.policy?.clone().settings(service, &arguments) {
            Ok(settings) => {
                self.touch_only(service, line, &settings);
                return Some(settings);
            }
            Err(error) => error,
        };
        let place = self.place(&line.place);
        let what = match &error {
            // The whole sentence has the remedy as well.
            ConfigError::Incomplete { key: "mode", .. } => {
                "mode is said neither on the line nor in the policy".to_owned()
            }
            error => error.to_string(),
        };
        let wrong = format!("every login is denied: {what}.");
        let (kind, remedy) = match error {
            ConfigError::Incomplete { key: "mode", .. } => (
                Kind::ModeMissing,
                "Write `mode=second-factor` at the end of the line, or `mode=alternative` where the key stands for \
                 the password."
                    .to_owned(),
            ),
            ConfigError::Incomplete { .. } => (
                Kind::AlternativeUnverified,
                "Write `verification=required` at the end of the line.".to_owned(),
            ),
            ConfigError::Argument { .. } | ConfigError::File(_) => (
                Kind::ArgumentWrong,
                format!("Mend the line {place}; pam_fidokey(8) has the arguments."),
            ),
        };
        self.found(service, kind, place, wrong, remedy);
        None
    }

    fn touch_only(&mut self, service: &str, line: &Handler, settings: &Settings) {
        if settings.mode == Mode::Alternative && settings.rules.verification == Verification::None {
            let wrong = "a touch alone lets in, without a password: so does whoever finds the key.";
            let remedy = "`verification=required` in place of touch_only_alternative asks for PIN or fingerprint.";
            self.found(service, Kind::TouchOnly, self.place(&line.place), wrong, remedy);
        }
    }

    /// Whether a line names a module that there is not.
    fn missing(&mut self, service: &str, lines: &[&Handler]) -> bool {
        let mut any = false;
        for line in lines {
            let Some(name) = line.module().filter(|name| !self.stacks.has_module(name)) else {
                continue;
            };
            any = true;
            let strays = self.stacks.strays(name);
            let elsewhere = match strays.first() {
                Some(stray) => {
                    format!("; there is {}, where libpam does not look", stray.display())
                }
                None => String::new(),
            };
            let wrong = format!(
                "every login is denied: there is no {}{elsewhere}.",
                String::from_utf8_lossy(name)
            );
            let remedy = "Install fidokey again, or take the line out.";
            self.found(service, Kind::ModuleMissing, self.place(&line.place), wrong, remedy);
        }
        any
    }

    fn judge(&mut self, service: &str, mode: Mode, missing: bool, files: &dyn Files) {
        let Ok(judgement) = judge(service.as_bytes(), mode, files) else { return };
        let Some(ours) = judgement.ours.first() else { return };
        let ours = self.place(ours);
        let mut bypassed = false;
        for problem in judgement.problems {
            bypassed |= matches!(problem, Problem::Bypassed { .. });
            // What comes of something worse that is said already.
            let follows = match problem {
                Problem::Locked => missing,
                Problem::First | Problem::AfterWrongPassword => bypassed,
                Problem::KeyAlone => bypassed || missing,
                _ => false,
            };
            if !follows {
                self.problem(service, mode, &ours, problem);
            }
        }
    }

    fn problem(&mut self, service: &str, mode: Mode, ours: &Place, problem: Problem) {
        let anew = format!("`fidokey disable {0} && fidokey enable {0}`", word(service));
        let (kind, place, wrong, remedy) = match problem {
            Problem::Bypassed { by: Some(by) } => (
                Kind::StackBypassed,
                self.place(&by),
                format!("a login can succeed without the key: this line lets it pass the module at {ours}."),
                format!("Move the module's line before what lets pass, or let {anew} find its place."),
            ),
            Problem::Bypassed { by: None } => (
                Kind::ControlLax,
                ours.clone(),
                "a login can succeed without the key: the control word lets in whom the module denies.".to_owned(),
                match mode {
                    Mode::SecondFactor => {
                        "Write `[success=ok ignore=ignore default=die]` in its place.".to_owned()
                    }
                    Mode::Alternative => format!("See pam_fidokey(8), or let {anew} write the line."),
                },
            ),
            Problem::Locked => (
                Kind::StackLocked,
                ours.clone(),
                "no login can succeed, whatever is proven.".to_owned(),
                format!("See what comes after this line, or {anew}."),
            ),
            Problem::First => (
                Kind::KeyFirst,
                ours.clone(),
                "the key is asked for before the password, which tells whoever tries that there is one.".to_owned(),
                "Nothing, where the stack ends at the right password: `fidokey enable` finds the better place where there is one.".to_owned(),
            ),
            Problem::AfterWrongPassword => (
                Kind::KeyAfterWrongPassword,
                ours.clone(),
                "after a wrong password the key is asked for all the same.".to_owned(),
                "Write `requisite` in place of the password line's `required`.".to_owned(),
            ),
            Problem::KeyAlone => (
                Kind::KeyAlone,
                ours.clone(),
                "the key lets in without the password, though the line says second-factor.".to_owned(),
                format!("Let {anew} write the line, or see mode alternative in pam_fidokey(8)."),
            ),
            Problem::NotEnough => (
                Kind::KeyNotEnough,
                ours.clone(),
                "mode alternative, and the key alone does not let in.".to_owned(),
                "Move the line before the password and write `sufficient`, or mode=second-factor.".to_owned(),
            ),
            Problem::NoPassword => (
                Kind::PasswordRefused,
                ours.clone(),
                "mode alternative, and without the key the password does not let in either.".to_owned(),
                "Write `sufficient` in place of the line's control word, or mode=second-factor.".to_owned(),
            ),
            Problem::Intricate => (
                Kind::StackUnclear,
                ours.clone(),
                "the stack is too intricate to be gone through.".to_owned(),
                format!("Try it: `fidokey test --service {}`.", word(service)),
            ),
        };
        self.found(service, kind, place, wrong, remedy);
    }

    /// Of two services that come to the same, the one that was left out.
    fn siblings(&mut self, silent: &[&str]) {
        for (one, other) in BESIDE.into_iter().flat_map(|(one, other)| [(one, other), (other, one)])
        {
            let asks = self.asking.iter().any(|asking| asking.name == one);
            if asks && silent.contains(&other) {
                let place = Place::file(&self.path(other.as_bytes()));
                let wrong = format!(
                    "no key is asked for, though {one} comes to the same and asks for one."
                );
                let remedy = format!("`fidokey enable {other}`");
                self.found(other, Kind::SiblingMissing, place, wrong, remedy);
            }
        }
    }

    /// The tables of the policy that no login goes by.
    fn tables(&mut self) {
        let Some(policy) = self.policy else { return };
        for service in policy.services() {
            let place = Place::file(&self.world.place(&self.world.places.config));
            if self.stacks.path(service.as_bytes()).is_none() {
                let wrong = "the policy has a table for it, and PAM has no file for it.";
                let remedy = format!(
                    "See `ls /etc/pam.d` for what it is called, and mend [service.{service}]."
                );
                self.found(service, Kind::ServiceAbsent, place, wrong, remedy);
            } else if !self.asking.iter().any(|asking| asking.name == service) {
                let wrong =
                    "the policy has a table for it, and its stack does not name the module.";
                let remedy =
                    format!("`fidokey enable {service}`, or take [service.{service}] out.");
                self.found(service, Kind::ServiceUnasked, place, wrong, remedy);
            }
        }
    }
}

/// `sudo`, `sudo and su`, `sudo, su, login, sshd and 3 more`.
pub(crate) fn listed(services: &[String]) -> String {
    match services {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] if services.len() <= NAMED_MAX => {
            format!("{} and {last}", most.join(", "))
        }
        _ => {
            let named: Vec<&str> = services.iter().take(NAMED_MAX).map(String::as_str).collect();
            let more = services.len().saturating_sub(NAMED_MAX);
            format!("{} and {more} more", named.join(", "))
        }
    }
}

#[cfg(test)]
mod tests;
