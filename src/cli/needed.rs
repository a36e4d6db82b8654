//! Who asks for a key, so that the last one is not removed by the way.

use fidokey_core::config::{ConfigFile, Settings};
use fidokey_core::policy::Unenrolled;
use fidokey_core::stack::{Call, Chain, is_ours};
use fidokey_system::files::Places;
use fidokey_system::stacks::Stacks;

use crate::outcome::{Exit, Failure};

/// What becomes of an account that has no key any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Needed {
    /// That service denies it.
    Denied(String),
    /// No service asks for a key.
    Nowhere,
    /// That service asks it for no key any more, and lets it in by what else there is.
    Weaker(String),
}

impl Needed {
    /// Refuses where somebody asks for a key; `done` is what was not, `retry` what does it all the same.
    ///
    /// # Errors
    /// [`Failure`], which says who asks.
    pub(crate) fn refuse(self, user: &str, retry: &str) -> Result<(), Failure> {
        let happened = match self {
            Self::Nowhere => return Ok(()),
            Self::Denied(service) => {
                format!("Nothing was removed: without a key {user} is not let in by {service}.")
            }
            Self::Weaker(service) => format!(
                "Nothing was removed: it is the last key of {user}, and {service} would ask for none any more."
            ),
        };
        let remedy = format!(
            "Register another key first: `fidokey enroll --user {user}`; or say --force: `{retry}`."
        );
        Err(Failure::new(Exit::No, happened, remedy))
    }
}

/// The service that has most against an account without a key. What cannot be read of a service's stack or settings is
/// taken for one that denies.
pub(crate) fn by(places: &Places, policy: &ConfigFile) -> Needed {
    let stacks = Stacks::new(places.clone());
    let mut needed = Needed::Nowhere;
    for service in stacks.services() {
        let Ok(chain) = Chain::read(service.as_bytes(), &stacks) else { continue };
        for handler in chain.handlers() {
            let Call::Module { name, arguments } = &handler.call else { continue };
            if !is_ours(name) {
                continue;
            }
            let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
            let settings = policy.clone().settings(&service, &arguments);
            let skips = |settings: Settings| settings.rules.unenrolled == Unenrolled::Skip;
            match settings.is_ok_and(skips) {
                true if needed == Needed::Nowhere => needed = Needed::Weaker(service.clone()),
                true => {}
                false => return Needed::Denied(service),
            }
        }
    }
    needed
}
