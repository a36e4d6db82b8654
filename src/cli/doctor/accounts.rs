//! The accounts and the services together: who cannot get in where a service wants what their keys cannot prove.

use fidokey_core::credential::Verification;
use fidokey_core::findings::Kind;
use fidokey_core::policy::Unenrolled;

use super::records::Enrolled;
use super::report::{Place, Report};
use super::stacks::{Asking, listed};
use super::world::World;

/// Looks at who has a key, and at what is wanted of them.
pub(crate) fn examine(
    world: &World,
    enrolled: &[Enrolled],
    asking: &[Asking],
    report: &mut Report,
) {
    let rules = |service: &Asking| service.settings.as_ref().map(|settings| settings.rules);
    let verifying: Vec<String> = asking
        .iter()
        .filter(|service| {
            rules(service).is_some_and(|rules| rules.verification == Verification::Required)
        })
        .map(|service| service.name.clone())
        .collect();
    if !verifying.is_empty() {
        for account in enrolled.iter().filter(|account| !account.can_verify) {
            let user = &account.account.name;
            let wrong = format!(
                "{user} cannot use {}: PIN or fingerprint is required, and all keys are u2f, which have neither.",
                listed(&verifying)
            );
            let remedy = format!("Register a FIDO2 key: `fidokey enroll --user {user}`.");
            report.found(Kind::VerificationImpossible, Place::file(&account.record), wrong, remedy);
        }
    }
    if enrolled.is_empty() {
        for service in asking {
            if rules(service).is_some_and(|rules| rules.unenrolled == Unenrolled::Deny) {
                let wrong = format!(
                    "{} lets nobody in: it denies accounts without a key, and no account has one that can be used.",
                    service.name
                );
                let users = super::report::word(world.place(&world.places.users));
                let remedy = format!(
                    "Register keys with `fidokey enroll`; see also the findings about {users}."
                );
                report.found(Kind::NobodyEnrolled, service.place.clone(), wrong, remedy);
            }
        }
    }
}
