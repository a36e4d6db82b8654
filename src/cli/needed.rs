//! Who asks for a key, so that the last one that is enough is not removed by the way.

use fidokey_core::config::ConfigFile;
use fidokey_core::credential::Credential;
use fidokey_core::policy::{Rules, Unenrolled};
use fidokey_core::stack::{Call, Chain, Files as _, is_ours};
use fidokey_system::files::Places;
use fidokey_system::stacks::Stacks;

use crate::outcome::{Exit, Failure};

/// What a text has in it that names the module.
const OURS: &[u8] = b"pam_fidokey";

/// What becomes of an account that has less keys than before, or none.
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

/// The service that has most against an account with the credentials that are `left`. What cannot be read of a service's stack
/// or settings is taken for one that denies an account without a key.
pub(crate) fn by(places: &Places, policy: &ConfigFile, left: &[Credential]) -> Needed {
    let stacks = Stacks::new(places.clone());
    let mut needed = Needed::Nowhere;
    for service in stacks.services() {
        let Ok(chain) = Chain::read(service.as_bytes(), &stacks) else {
            // Another release of libpam may read it, and the module may be in it.
            let text = stacks.stack(service.as_bytes()).unwrap_or_default();
            if left.is_empty() && text.windows(OURS.len()).any(|part| part == OURS) {
                return Needed::Denied(service);
            }
            continue;
        };
        for handler in chain.handlers() {
            let Call::Module { name, arguments } = &handler.call else { continue };
            if !is_ours(name) {
                continue;
            }
            let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
            let rules = policy.clone().settings(&service, &arguments).map(|set| set.rules);
            match (rules, left) {
                (Ok(Rules { unenrolled: Unenrolled::Skip, .. }), []) => {
                    needed = match needed {
                        Needed::Nowhere => Needed::Weaker(service.clone()),
                        other => other,
                    };
                }
                (_, []) => return Needed::Denied(service),
                (Ok(Rules { verification, .. }), left)
                    if !left.iter().any(|credential| credential.can_prove(verification)) =>
                {
                    return Needed::More(service);
                }
                // With settings that are wrong nobody is let in, whatever keys there are.
                _ => {}
            }
        }
    }
    needed
}
