//! The proof that somebody has a key of the account, and not its password alone: a login with it, verification included.

use fidokey_core::credential::Credential;
use fidokey_core::login::{Decided, Notices};
use fidokey_core::ports::{Account, Machine};
use fidokey_core::record::Record;
use fidokey_core::verdict::{Reason, Verdict};
use fidokey_system::files::Places;
use fidokey_system::machine::System;

use super::privileged::Refused;
use crate::outcome::{Exit, Failure};
use crate::terminal::{TerminalHost, say};
use crate::{record, test};

/// The service in whose name the key is asked for.
const SERVICE: &str = "fidokey-manage";
/// The strictest rules there are, whatever the policy says of that service.
const RULES: [&[u8]; 4] =
    [b"mode=second-factor", b"verification=required", b"unenrolled=deny", b"remote=deny"];

/// Has the user log in with a key of `account`: the credential that signed.
///
/// # Errors
/// [`Refused`] where nobody was let in.
pub(super) fn with_a_key(places: &Places, account: &Account) -> Result<Credential, Refused> {
    say("First a key that is registered already, with its PIN or your fingerprint:");
    // Not read-only: it is a login, and its counter is one.
    let mut machine = System::new(places.clone());
    let mut host = TerminalHost::new(SERVICE, account.name.as_str());
    // What it takes from the state it tells.
    let Decided { verdict, cause, .. } =
        test::decide(&mut machine, &mut host, &RULES, Notices::Told);
    let verified = match verdict {
        Verdict::Allow(verified) => verified,
        Verdict::Deny(Reason::VerificationUnavailable) => {
            let failure = Failure::new(
                Exit::NotPermitted,
                "No key of yours here proves more than a touch, which is too little for this.",
                "Give it a PIN with `fidokey key pin set`, if it can have one; or ask your administrator.",
            );
            return Err(Refused::new(Reason::VerificationUnavailable.word(), failure));
        }
        Verdict::Deny(reason) => {
            let failure = test::denied(reason, cause.as_ref(), SERVICE, account.name.as_str());
            return Err(Refused::new(reason.word(), failure));
        }
        // None of the rules above exempts anybody.
        Verdict::Skip(exempt) => return Err(Refused::new(exempt.word(), changed())),
    };
    let record = record::of(account, machine.record(account.uid))?;
    let signed = |record: Record| {
        record.credentials.into_iter().find(|credential| verified.is_by(credential))
    };
    record.and_then(signed).ok_or_else(|| Refused::new("changed", changed()))
}

/// The keys of the account are no longer those that the user has proven to have one of.
pub(super) fn changed() -> Failure {
    Failure::new(
        Exit::No,
        "Nothing was changed: the keys of the account have changed meanwhile.",
        "See `fidokey list`, then run the command again.",
    )
}
