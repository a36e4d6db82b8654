//! Who asks for a key, so that the last one that is enough is not removed by the way.

use fidokey_core::config::{ConfigFile, Settings};
use fidokey_core::credential::{Credential, Verification};
use fidokey_core::policy::{Mode, Remote, Unenrolled};
use fidokey_core::stack::{Call, Chain, is_ours};
use fidokey_system::files::Places;
use fidokey_system::stacks::Stacks;

use crate::doctor::stacks::services::{Reader, services};
use crate::enroll::policy;
use crate::outcome::{Exit, Failure};

/// What becomes of an account that has fewer keys than before, or none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Needed {
    /// That service denies it.
    Denied(String),
    /// That service wants more than a touch, and none of the keys that are left proves it: it denies.
    More(String),
    /// No service asks for a key.
    Nowhere,
    /// That service asks it for no key any more, and lets it in by what else there is.
    Weaker(String),
}

impl Needed {
    /// Refuses where somebody asks for a key.
    ///
    /// # Errors
    /// [`Failure`], which says who asks, and what to do.
    pub(crate) fn refuse(self, user: &str, remedy: String) -> Result<(), Failure> {
        let happened = match self {
            Self::Nowhere => return Ok(()),
            Self::Denied(service) => {
                format!("Nothing was removed: without a key {user} is not let in by {service}.")
            }
            Self::More(service) => format!(
                "Nothing was removed: {service} asks for a PIN or a fingerprint, which no other key of {user} proves."
            ),
            Self::Weaker(service) => format!(
                "Nothing was removed: {user} would have no key, and {service} ask for none any more."
            ),
        };
        Err(Failure::new(Exit::No, happened, remedy))
    }
}

/// What the services of this machine ask of an account.
#[derive(Debug)]
pub(crate) struct Demands(Vec<(String, Demand)>);

/// What one of them does where its line is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Demand {
    /// It denies whoever has no key, and perhaps all others: it cannot be read, or says something wrong.
    Doubtful,
    /// It asks for a key that proves so much, of whoever has one.
    Key(Unenrolled, Verification),
}

impl Demands {
    /// Those of the stacks of `places`.
    ///
    /// # Errors
    /// [`Failure`] where the policy cannot be read.
    pub(crate) fn read(places: &Places) -> Result<Self, Failure> {
        let policy = policy(places)?;
        let stacks = Stacks::new(places.clone());
        let mut demands = Vec::new();
        for service in &services(&stacks).0 {
            let reader = Reader::new(&stacks);
            let Ok(chain) = Chain::read(service.as_bytes(), &reader) else {
                // Another release of libpam may read it.
                if reader.names_us() {
                    demands.push((service.clone(), Demand::Doubtful));
                }
                continue;
            };
            demands.extend(lines(service, &chain, &policy).map(|demand| (service.clone(), demand)));
        }
        Ok(Self(demands))
    }

    /// What has most against an account that had the credentials `before`, or none, and has those that are `left`.
    pub(crate) fn on(&self, before: &[Credential], left: &[Credential]) -> Needed {
        let prove = |credentials: &[Credential], verification: Verification| {
            credentials.iter().any(|credential| credential.can_prove(verification))
        };
        let mut needed = Needed::Nowhere;
        for (service, demand) in &self.0 {
            match *demand {
                Demand::Key(Unenrolled::Skip, _) if left.is_empty() => {
                    needed = match needed {
                        Needed::Nowhere => Needed::Weaker(service.clone()),
                        other => other,
                    };
                }
                _ if left.is_empty() => return Needed::Denied(service.clone()),
                // What none of them has proved before is nothing that gets lost.
                Demand::Key(_, verification)
                    if !prove(left, verification)
                        && (before.is_empty() || prove(before, verification)) =>
                {
                    return Needed::More(service.clone());
                }
                _ => {}
            }
        }
        needed
    }
}

/// What our lines in the stack of `service` ask for.
fn lines(service: &str, chain: &Chain, policy: &ConfigFile) -> impl Iterator<Item = Demand> {
    chain.handlers().iter().filter_map(move |handler| match &handler.call {
        Call::Module { name, arguments } if is_ours(name) => {
            let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
            Some(match policy.clone().settings(service, &arguments) {
                Ok(settings) => demand(&settings),
                Err(_) => Demand::Doubtful,
            })
        }
        _ => None,
    })
}

fn demand(settings: &Settings) -> Demand {
    let rules = settings.rules;
    let verification = match (settings.mode, rules.remote) {
        // The password follows where the key is not enough.
        (Mode::Alternative, _) => Verification::None,
        (Mode::SecondFactor, Remote::Verify) => Verification::Required,
        (Mode::SecondFactor, Remote::Deny | Remote::Skip) => rules.verification,
    };
    Demand::Key(rules.unenrolled, verification)
}
