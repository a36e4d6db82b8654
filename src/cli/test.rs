//! `fidokey test`: a login without anybody logging in, and what it came to.

use std::os::unix::ffi::OsStrExt;

use fidokey_core::cause::Cause;
use fidokey_core::login::{Decided, decide_login};
use fidokey_core::ports::{Keys, Machine};
use fidokey_core::verdict::{Reason, Verdict};
use fidokey_system::files::Places;
use fidokey_system::hidraw::Hidraw;
use fidokey_system::machine::System;

use crate::arguments::Test;
use crate::outcome::{Exit, Failure, Outcome};
use crate::terminal::{TerminalHost, print, printable, say};
use crate::{account, record};

/// Decides as the module would, here and now.
pub(crate) fn run(asked: &Test) -> Outcome {
    let user = match &asked.user {
        // As it was typed: to find out who is meant is part of the decision.
        Some(user) => user.clone(),
        None => account::own()?.name,
    };
    let arguments: Vec<&[u8]> =
        asked.module_arguments.iter().map(|argument| argument.as_bytes()).collect();
    let mut host = TerminalHost::new(&asked.service, user.as_str());
    // Nobody logs in: the state of the account stays as it is.
    let mut machine = System::read_only(Places::system());
    let mut keys = Hidraw::new().keeping_signals();
    let Decided { verdict, cause, .. } =
        decide_login(&mut machine, &mut host, &mut keys, &arguments);
    let verdict = match (verdict, keys.pending_signal()) {
        (Verdict::Deny(Reason::Conversation), Some(signal)) => Verdict::Deny(signal.into()),
        (verdict, _) => verdict,
    };
    // What it was for has ended; SIGTERM ends the command here.
    keys.take_interrupt();
    drop(keys);
    match verdict {
        Verdict::Allow(verified) => {
            let key = printable(verified.key_name().as_str());
            print(&format!("granted: {key} (cred {})", record::hex(verified.credential_tag())))?;
            Ok(Exit::Done)
        }
        Verdict::Skip(exempt) => {
            print(&format!("exempt: {}", exempt.word()))?;
            say("No key would be asked for; what else is required decides.");
            Ok(Exit::No)
        }
        Verdict::Deny(reason) => {
            print(&format!("denied: {}", reason.word()))?;
            if reason == Reason::Record {
                // What `list` says about the same record is better than one sentence for all that can be
                // wrong with it.
                let account = account::named(&user)?;
                record::of(&account, machine.record(account.uid))?;
            }
            Err(denied(reason, cause.as_ref(), &asked.service, user.as_str()))
        }
    }
}

/// A denial in two lines: what happened, or what is behind it where somebody has to mend something.
fn denied(reason: Reason, cause: Option<&Cause>, service: &str, user: &str) -> Failure {
    let because = |what: &str| match cause {
        Some(cause) => format!("{what}: {cause}."),
        None => format!("{what}."),
    };
    let happened = match reason {
        Reason::Fault(fault) => return fault.into(),
        Reason::Config => because("The policy or the arguments cannot be used"),
        Reason::Declined => "The login was declined on the key.".to_owned(),
        Reason::Conversation => "Nobody could be asked, or told.".to_owned(),
        Reason::Interrupted | Reason::Terminated => "Cancelled.".to_owned(),
        Reason::KeyInaccessible => "The key's device cannot be opened.".to_owned(),
        Reason::NotRegistered => "No key of the account was plugged in in time.".to_owned(),
        Reason::Record => because("The record of the keys cannot be used"),
        Reason::UserUnknown => format!("There is no account {user}."),
        Reason::VerificationUnavailable => {
            format!("PIN or fingerprint is required for {service}, and no key here has either.")
        }
        Reason::CounterRegression => {
            "The signature counter of the key went back: there may be a copy of it.".to_owned()
        }
        Reason::KeyBusy
        | Reason::KeyFailed
        | Reason::NoKey
        | Reason::NotEnrolled
        | Reason::PinBlocked
        | Reason::PinChangeRequired
        | Reason::PinReplug
        | Reason::PinUnfit
        | Reason::PinWrong(_)
        | Reason::Rejected(_)
        | Reason::Remote
        | Reason::TouchTimeout
        | Reason::UserChanged => {
            reason.text().unwrap_or("The login would be denied.".into()).into_owned()
        }
        Reason::PinDeclined => "No PIN was typed.".to_owned(),
        Reason::PinGuarded => "Too few tries of the PIN are left.".to_owned(),
        Reason::VerificationFailed => "The key did not recognise you.".to_owned(),
    };
    let remedy = match reason {
        Reason::Config => {
            "Mend /etc/fidokey/config.toml, or give the arguments of the module's line after `--`."
        }
        Reason::CounterRegression => "Find out why; a key that was copied must be replaced.",
        Reason::Conversation | Reason::Remote => "Run the command in a terminal of this machine.",
        Reason::Declined => "Confirm on the key the next time.",
        Reason::Interrupted | Reason::Terminated => "Nobody was let in; run the command again.",
        Reason::KeyBusy => "Close the program that uses the key.",
        Reason::KeyFailed => "If it goes on, try another key.",
        Reason::KeyInaccessible => "Run the command as root: so does what asks for logins.",
        Reason::NoKey => "Plug in the key and leave it in.",
        Reason::NotEnrolled => "Register a key with `fidokey enroll`.",
        Reason::NotRegistered => "See `fidokey list` for the keys of the account.",
        Reason::PinBlocked => "Reset the key with its own tool; what it holds is lost then.",
        Reason::PinChangeRequired => "Change it, for example with `fido2-token -C DEVICE`.",
        Reason::PinDeclined | Reason::PinUnfit | Reason::PinWrong(_) => {
            "Run the command again and type it."
        }
        Reason::PinGuarded => "Restore them with `fidokey key pin check`, if you know the PIN.",
        Reason::PinReplug => "The right PIN will do then.",
        Reason::VerificationFailed => "Run the command again.",
        Reason::Record => "Mend it as root, or remove it and register the keys again.",
        Reason::Rejected(_) => "Do not use this key for logins.",
        Reason::TouchTimeout => "Touch the key when it blinks.",
        Reason::UserUnknown => "See `getent passwd` for those that there are.",
        Reason::VerificationUnavailable => {
            "Set a PIN on the key and register it, or verification = \"none\" where that is enough."
        }
        Reason::Fault(_) | Reason::UserChanged => "Please report it: this should not happen.",
    };
    Failure::new(Exit::of_code(reason.exit_code()), happened, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_ends_with_the_exit_code_of_its_reason() {
        for reason in [
            Reason::Config,
            Reason::NoKey,
            Reason::NotEnrolled,
            Reason::Record,
            Reason::UserUnknown,
            Reason::Fault(fidokey_core::ports::Fault { call: "test", errno: 5 }),
        ] {
            let failure = denied(reason, None, "sudo", "alice");
            assert_eq!(failure.exit().code(), reason.exit_code(), "{reason:?}");
        }
    }

    #[test]
    fn given_a_policy_in_doubt_then_its_cause_is_named() {
        let cause = Cause::Incomplete { key: "mode", message: "mode is not set" };
        let failure = denied(Reason::Config, Some(&cause), "sudo", "alice");
        let remedy =
            "Mend /etc/fidokey/config.toml, or give the arguments of the module's line after `--`.";
        let happened = "The policy or the arguments cannot be used: mode is not set.";
        assert_eq!(failure, Failure::new(Exit::Unreadable, happened, remedy));
    }
}
