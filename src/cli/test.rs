//! `fidokey test`: a login without anybody logging in, and what it came to.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use fidokey_core::cause::Cause;
use fidokey_core::login::{Decided, Notices, decide_login};
use fidokey_core::ports::{Keys, Machine};
use fidokey_core::verdict::{Reason, Verdict};
use fidokey_system::files::Places;
use fidokey_system::hidraw::Hidraw;
use fidokey_system::machine::System;

use crate::arguments::Test;
use crate::outcome::{Exit, Failure, Outcome};
use crate::terminal::{Counting, TerminalHost, chosen_patience, note, print, printable};
use crate::{account, json, record};

/// Decides as the module would, here and now.
pub(crate) fn run(asked: &Test) -> Outcome {
    let user = match &asked.user {
        // As it was typed: to find out who is meant is part of the decision.
        Some(user) => user.clone(),
        None => account::own()?.name,
    };
    let said: Vec<&[u8]> =
        asked.module_arguments.iter().map(|argument| argument.as_bytes()).collect();
    // The policy says how long is waited, unless it was said just now.
    let waits = chosen_patience().map(|time| waits(&said, time)).unwrap_or_default();
    let arguments: Vec<&[u8]> =
        said.iter().copied().chain(waits.iter().map(|wait| wait.as_bytes())).collect();
    let mut host = TerminalHost::new(&asked.service, user.as_str());
    // Nobody logs in: the state of the account stays as it is.
    let mut machine = System::read_only(Places::system());
    let Decided { verdict, cause, .. } = decide(&mut machine, &mut host, &arguments, Notices::Left);
    let came = Came::of(&verdict);
    print(&if asked.json { came.json(user.as_str(), &asked.service) } else { came.text() })?;
    match verdict {
        Verdict::Allow(_verified) => Ok(Exit::Done),
        Verdict::Skip(_exempt) => {
            note("No key would be asked for; what else is required decides.");
            Ok(Exit::No)
        }
        Verdict::Deny(reason) => {
            host.was_needed()?;
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

/// What a login comes to, by the keys that are plugged in here. Ctrl-C is a reason to deny.
pub(crate) fn decide(
    machine: &mut System,
    host: &mut TerminalHost,
    arguments: &[&[u8]],
    notices: Notices,
) -> Decided {
    let mut keys = Counting::new(Hidraw::new().keeping_signals());
    let mut decided = decide_login(machine, host, &mut keys, arguments, notices);
    if let (Verdict::Deny(Reason::Conversation), Some(signal)) =
        (&decided.verdict, keys.pending_signal())
    {
        decided.verdict = Verdict::Deny(signal.into());
    }
    // What it was for has ended; SIGTERM ends the command here.
    keys.take_interrupt();
    drop(keys);
    decided
}

/// The arguments that have it wait for `time`, but for what is `said` already.
fn waits(said: &[&[u8]], time: Duration) -> Vec<String> {
    let absent = |key: &&str| {
        let key = format!("{key}=");
        !said.iter().any(|argument| argument.starts_with(key.as_bytes()))
    };
    ["wait_for_key", "touch"]
        .into_iter()
        .filter(absent)
        .map(|key| format!("{key}={}s", time.as_secs()))
        .collect()
}

/// What a verdict is in words.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Came {
    result: &'static str,
    /// Why, where it is no grant.
    reason: Option<&'static str>,
    /// The name of the key and what lists and logs call its credential, where it is a grant.
    key: Option<(String, String)>,
}

impl Came {
    fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Allow(verified) => {
                let cred = record::hex(verified.credential_tag());
                let key = Some((verified.key_name().to_string(), cred));
                Self { result: "granted", key, reason: None }
            }
            Verdict::Deny(reason) => {
                Self { result: "denied", reason: Some(reason.word()), key: None }
            }
            Verdict::Skip(exempt) => {
                Self { result: "exempt", reason: Some(exempt.word()), key: None }
            }
        }
    }

    /// For people, and for scripts that go by words.
    fn text(&self) -> String {
        let why = match &self.key {
            Some((key, cred)) => format!("{} (cred {cred})", printable(key)),
            None => self.reason.unwrap_or_default().to_owned(),
        };
        format!("{}: {why}", self.result)
    }

    /// For programs. Keys of the object may be added, never renamed or removed.
    fn json(&self, user: &str, service: &str) -> String {
        let key = self.key.as_ref();
        json::fields(&[
            ("schema", "1".to_owned()),
            ("user", json::string(user)),
            ("service", json::string(service)),
            ("result", json::string(self.result)),
            ("reason", json::optional(self.reason)),
            ("key", json::optional(key.map(|(key, _)| key.as_str()))),
            ("cred", json::optional(key.map(|(_, cred)| cred.as_str()))),
        ])
    }
}

/// A denial in two lines: what happened, or what is behind it where somebody has to mend something.
pub(crate) fn denied(reason: Reason, cause: Option<&Cause>, service: &str, user: &str) -> Failure {
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
        | Reason::KeyFailed(_)
        | Reason::NoKey
        | Reason::NotEnrolled
        | Reason::PinBlocked
        | Reason::PinChangeRequired
        | Reason::PinReplug
        | Reason::PinUnfit
        | Reason::PinWrong(_)
        | Reason::RecordChanged
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
        Reason::KeyFailed(_) => "If it goes on, try another key.",
        Reason::KeyInaccessible => "Run the command as root: so does what asks for logins.",
        Reason::NoKey => "Plug in the key and leave it in.",
        Reason::NotEnrolled => "Register a key with `fidokey enroll`.",
        Reason::NotRegistered | Reason::RecordChanged => {
            "See `fidokey list` for the keys of the account."
        }
        Reason::PinBlocked => "Reset it with `fidokey key reset`; what it holds is lost then.",
        Reason::PinChangeRequired => "Change it with `fidokey key pin change`.",
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

    // E15.
    #[test]
    fn given_what_a_login_came_to_then_the_line_and_the_object_say_the_same() {
        let key = ("Blue \"key\"".to_owned(), "709e80c8".to_owned());
        let granted = Came { result: "granted", reason: None, key: Some(key) };
        assert_eq!(granted.text(), "granted: Blue \"key\" (cred 709e80c8)");
        assert_eq!(
            granted.json("alice", "sudo"),
            "{\"schema\": 1, \"user\": \"alice\", \"service\": \"sudo\", \"result\": \"granted\", \
             \"reason\": null, \"key\": \"Blue \\\"key\\\"\", \"cred\": \"709e80c8\"}"
        );
        let denied = Came::of(&Verdict::Deny(Reason::NoKey));
        assert_eq!(denied.text(), "denied: no_key");
        assert!(denied.json("alice", "sudo").contains(
            "\"result\": \"denied\", \"reason\": \"no_key\", \"key\": null, \"cred\": null"
        ));
    }

    #[test]
    fn given_a_time_to_wait_then_it_counts_unless_the_line_says_another() {
        let time = Duration::from_secs(7);
        assert_eq!(waits(&[b"mode=second-factor"], time), ["wait_for_key=7s", "touch=7s"]);
        assert_eq!(waits(&[b"touch=1s"], time), ["wait_for_key=7s"]);
        assert_eq!(waits(&[b"touch"], time).len(), 2);
    }
}
