//! Logins that are decided before any key is looked at, and what the log says of them.

use std::collections::BTreeMap;

use fidokey_core::config::keys::{KEYS, Key};
use fidokey_core::credential::Verification;
use fidokey_core::login::login;
use fidokey_core::policy::{Decision, Facts, Remote, Rules, Unenrolled, decide};
use fidokey_core::ports::{FileError, Severity};
use fidokey_core::verdict::Reason;
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::softkey::{Behaviour, Secret, soft_key};
use fidokey_tests::sim::world::{SECOND_FACTOR, SimHost, SimMachine, world};

/// A login with a key that would be right; what was asked of it must be nothing.
fn decided(
    arrange: impl FnOnce(&mut SimMachine, &mut SimHost),
    arguments: &[&[u8]],
) -> (i32, SimHost) {
    let secret = Secret::new(1, 64);
    let (mut machine, mut host) = world(&[secret.credential()], SECOND_FACTOR);
    arrange(&mut machine, &mut host);
    let mut keys = SimKeys::with(soft_key(&[secret], Behaviour::default()).0);
    let answer = login(&mut machine, &mut host, &mut keys, arguments);
    assert_eq!(keys.trace, [], "a key was touched");
    (answer.number(), host)
}

fn config(text: &'static str) -> impl FnOnce(&mut SimMachine, &mut SimHost) {
    move |machine, _| machine.config = Ok(Some(text.as_bytes().to_vec()))
}

#[track_caller]
fn log_has(host: &SimHost, parts: &[&str]) {
    let [(_, line)] = host.logged.as_slice() else { panic!("not one line: {:?}", host.logged) };
    for part in parts {
        assert!(line.contains(part), "{part} not in {line}");
    }
}

/// BAR K1: the log has line, column and key.
#[test]
fn given_an_unknown_key_in_the_policy_then_service_err_and_the_log_has_the_place() {
    let text = "schema = 1\n[default]\nmode = \"second-factor\"\nnouserok = true\n";
    let (code, host) = decided(config(text), &[]);
    assert_eq!(code, 3);
    log_has(
        &host,
        &["reason=config", "file=/etc/fidokey/config.toml line=4 column=1 setting=nouserok"],
    );
    assert_eq!(host.logged[0].0, Severity::Error);
}

/// BAR K1: the same in a record; it is denied, never "not enrolled".
#[test]
fn given_an_unknown_key_in_the_record_then_denied_and_the_log_has_the_place() {
    let (code, host) = decided(
        |machine, _| {
            let record =
                machine.records.get_mut(&1000).unwrap().as_mut().unwrap().as_mut().unwrap();
            record.extend_from_slice(b"uv = false\n");
        },
        &[],
    );
    assert_eq!(code, 7);
    log_has(&host, &["reason=record", "file=/etc/fidokey/users/1000.toml line=", " setting=uv "]);
}

/// BAR K2.
#[test]
fn given_an_unknown_argument_then_service_err_and_the_log_names_it() {
    let (code, host) = decided(|_, _| {}, &[b"touch=5s", b"nouserokk"]);
    assert_eq!(code, 3);
    log_has(&host, &["reason=config", "argument=2 setting=nouserokk detail=\"unknown argument\""]);
    for argument in
        [&b"debug=1"[..], b"touch=forever", b"mode=\xff", b"=", b"", b"mode=alternative"]
    {
        assert_eq!(decided(|_, _| {}, &[argument]).0, 3, "{argument:?}");
    }
}

#[test]
fn given_files_that_cannot_be_trusted_then_denied_and_the_log_says_why() {
    let error = || FileError { path: "/etc/fidokey/x".to_owned(), reason: "symlink", errno: 40 };
    let (code, host) = decided(|machine, _| machine.config = Err(error()), &[]);
    assert_eq!(code, 3);
    log_has(&host, &["reason=config", "file=/etc/fidokey/x problem=symlink errno=40"]);
    let (code, host) =
        decided(|machine, _| machine.records = BTreeMap::from([(1000, Err(error()))]), &[]);
    assert_eq!(code, 7);
    log_has(&host, &["reason=record", "problem=symlink"]);
}

/// Another account's record under this number: after a user was deleted and the number given away.
#[test]
fn given_a_record_of_another_name_then_denied_and_not_skipped() {
    let (code, host) = decided(
        |machine, host| {
            let record = machine.records[&1000].clone();
            machine.records.insert(1001, record);
            host.user = Ok("bob".to_owned());
        },
        &[],
    );
    assert_eq!(code, 7);
    log_has(&host, &["reason=record", "user=bob", "users/1001.toml problem=other_account"]);
}

#[test]
fn given_no_record_then_the_policy_decides() {
    let bob = |_: &mut SimMachine, host: &mut SimHost| host.user = Ok("bob".to_owned());
    let (code, host) = decided(bob, &[]);
    assert_eq!(code, 25);
    log_has(&host, &["result=exempt code=25 reason=not_enrolled user=bob uid=1001"]);
    assert_eq!(decided(bob, &[b"unenrolled=deny"]).0, 7);
}

/// BAR U7, P14: any remote host whatever it says, before any prompt and any key.
#[test]
fn given_a_remote_login_then_the_policy_decides_before_anything_is_shown_but_the_refusal() {
    for rhost in ["::1", "127.0.0.1", "fe80::1%eth0", "0", " ", "-", "?", "\n", "\u{0}"] {
        let there = |_: &mut SimMachine, host: &mut SimHost| host.origin.rhost = rhost.to_owned();
        for (rule, code) in [(&b"remote=deny"[..], 6), (b"remote=skip", 25)] {
            let (answered, host) = decided(there, &[rule]);
            assert_eq!(answered, code, "{rhost:?}");
            assert!(host.shown.len() <= 1, "{:?}", host.shown);
        }
    }
    let remote =
        |_: &mut SimMachine, host: &mut SimHost| host.origin.rhost = "localhost".to_owned();
    let (code, host) = decided(remote, &[]);
    assert_eq!(code, 6);
    assert_eq!(host.shown, ["Security key login is not allowed from a remote session."]);
    log_has(&host, &["rhost=localhost"]);
    assert_eq!(decided(remote, &[b"remote=skip"]).0, 25);
}

/// BAR U2, U3.
#[test]
fn given_names_that_are_none_then_unknown_and_no_file_is_read() {
    for name in ["", ".", "..", "-r", "a/b", "a\nb", "a b", "a:b", "a\u{1b}[m", "nobodyknows"] {
        let (code, _) = decided(
            |machine, host| {
                host.user = Ok(name.to_owned());
                machine.records.clear();
            },
            &[],
        );
        assert_eq!(code, 10, "{name:?}");
    }
    let long = "x".repeat(257);
    assert_eq!(decided(|_, host| host.user = Ok(long), &[]).0, 10);
}

/// One decision is one line, whatever the terminal or the remote host is called.
#[test]
fn given_names_that_would_break_the_log_then_it_stays_one_line() {
    let (_, host) = decided(
        |_, host| {
            host.origin.tty = "pts\nresult=granted code=0".to_owned();
            host.origin.rhost = "\u{1b}[2J\" result=granted".to_owned();
        },
        &[],
    );
    let line = &host.logged[0].1;
    assert!(!line.contains('\n') && !line.contains('\u{1b}'));
    // Outside of quotes there is one result, and it is the true one.
    let outside: Vec<&str> = line.split('"').step_by(2).collect();
    assert_eq!(outside.concat().matches("result=").count(), 1);
    assert!(line.starts_with("result=denied code=6 reason=remote "));
}

/// What the policy's table has to come to: every combination of facts and rules.
#[test]
fn given_all_facts_and_rules_then_the_decision_is_the_tables() {
    for unenrolled in [Unenrolled::Skip, Unenrolled::Deny] {
        for remote_rule in [Remote::Deny, Remote::Skip, Remote::Verify] {
            for verification in [Verification::None, Verification::Required] {
                let rules = Rules { remote: remote_rule, unenrolled, verification };
                for remote in [false, true] {
                    let of = |enrolled| decide(Facts { enrolled, remote }, &rules);
                    match unenrolled {
                        Unenrolled::Skip => assert!(exempt(of(false), "not_enrolled")),
                        Unenrolled::Deny => {
                            assert_eq!(of(false), Decision::Deny(Reason::NotEnrolled));
                        }
                    }
                    match (remote, remote_rule) {
                        (false, _) => assert_eq!(of(true), Decision::Ask(verification)),
                        (true, Remote::Deny) => {
                            assert_eq!(of(true), Decision::Deny(Reason::Remote));
                        }
                        (true, Remote::Skip) => assert!(exempt(of(true), "remote")),
                        (true, Remote::Verify) => {
                            assert_eq!(of(true), Decision::Ask(Verification::Required));
                        }
                    }
                }
            }
        }
    }
}

fn exempt(decision: Decision, word: &str) -> bool {
    matches!(decision, Decision::Exempt(exempt) if exempt.word() == word)
}

/// The key instead of the password: what is not a verdict on the person leaves the password as the way in.
#[test]
fn given_the_alternative_then_a_missing_key_is_unavailable_and_a_wrong_one_is_an_error() {
    let secret = Secret::new(1, 64);
    let text =
        "schema = 1\n[service.sudo]\nmode = \"alternative\"\ntouch_only_alternative = true\n";
    let (mut machine, mut host) = world(&[secret.credential()], text);
    let mut keys = SimKeys::default();
    assert_eq!(login(&mut machine, &mut host, &mut keys, &[]).number(), 9);
    let bend = |draft: &mut fidokey_tests::sim::softkey::Draft| draft.auth_data[32] = 0;
    let behaviour = Behaviour { bend: std::rc::Rc::new(bend), ..Behaviour::default() };
    let mut keys = SimKeys::with(soft_key(std::slice::from_ref(&secret), behaviour).0);
    assert_eq!(login(&mut machine, &mut host, &mut keys, &[]).number(), 7);
    let mut keys = SimKeys::with(soft_key(&[secret], Behaviour::default()).0);
    assert_eq!(login(&mut machine, &mut host, &mut keys, &[]).number(), 0);
}

/// BAR K5: of all that can be said, nothing lets in a key that was not touched, one that signs for something else,
/// or one that is not the account's; and nobody gets in by touch alone without a password but where that is said.
#[test]
fn given_any_combination_of_settings_then_none_lets_in_without_a_touch() {
    fn product(keys: &[Key]) -> Vec<Vec<String>> {
        let Some((key, rest)) = keys.split_first() else { return vec![Vec::new()] };
        let said = key.values.iter().map(|value| format!("{} = {value}", key.name));
        let said: Vec<String> = std::iter::once(String::new()).chain(said).collect();
        product(rest)
            .iter()
            .flat_map(|lines| {
                said.iter().map(move |line| [&lines[..], std::slice::from_ref(line)].concat())
            })
            .collect()
    }
    // The waits and the guard are numbers that say how long and how often, not who.
    let rules: Vec<Key> = KEYS
        .into_iter()
        .filter(|key| !["wait_for_key", "touch", "pin_guard"].contains(&key.name))
        .collect();
    let mut settings_seen = 0;
    for lines in product(&rules) {
        let text = format!("schema = 1\n[service.sudo]\n{}\n", lines.join("\n"));
        let secret = Secret::new(1, 64);
        let alternative = text.contains("mode = \"alternative\"");
        let touch_only = text.contains("touch_only_alternative = true");
        let required = text.contains("verification = \"required\"");
        for flags in [0x00, 0x01, 0x04, 0x08] {
            let (mut machine, mut host) = world(&[secret.credential()], &text);
            let bend = move |draft: &mut fidokey_tests::sim::softkey::Draft| {
                draft.auth_data[32] = flags;
            };
            let behaviour = Behaviour { bend: std::rc::Rc::new(bend), ..Behaviour::default() };
            let mut keys = SimKeys::with(soft_key(std::slice::from_ref(&secret), behaviour).0);
            let code = login(&mut machine, &mut host, &mut keys, &[]).number();
            let allowed = flags == 0x01 && !required && (!alternative || touch_only);
            let has_mode = text.contains("mode = ");
            assert_eq!(code == 0, allowed && has_mode, "{code} {flags:#x} {text}");
            assert_ne!(code, 25, "{text}");
            settings_seen += 1;
        }
    }
    assert_eq!(settings_seen, 4 * 3 * 3 * 3 * 4 * 3 * 3);
}
