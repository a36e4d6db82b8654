//! Logins through libpam with a key that others have written.

use std::time::{Duration, Instant};

use fidokey_core::credential::Algorithm;
use fidokey_tests::key::{EmulatedKey, Touch, What};
use fidokey_tests::sim::softkey::Secret;

use crate::stage::{Stage, commands, shipped_module};

#[test]
fn given_a_registered_key_and_a_touch_then_granted_with_two_commands() {
    let key = EmulatedKey::new(1).touch(Touch::After(Duration::from_millis(150)));
    let (stage, handle) = Stage::enrolled(&key);
    let outcome = stage.run(&["authenticate", "setcred:2"]);
    assert_eq!((outcome.code("authenticate"), outcome.code("setcred")), (0, 0));
    assert_eq!(outcome.shown(), ["Touch your security key (fidokey-test)."]);
    // Nothing after the touch.
    assert_eq!(commands(&handle), ["INIT", "getAssertion", "touch"]);
}

/// As many credentials as 1024 bytes allow (3 with ids of this key's 241 bytes), its own the last of them;
/// and as many as 8 with shorter ids before it.
#[test]
fn given_a_short_list_then_still_two_commands() {
    for (number, (count, id_len)) in [(2, 241), (7, 64)].into_iter().enumerate() {
        let others = (1..=count).map(|other| Secret::new(other, id_len).credential()).collect();
        let key = EmulatedKey::new(10 + number as u64);
        let (stage, handle) = Stage::enrolled_after(&key, others);
        assert_eq!(stage.run(&["authenticate"]).code("authenticate"), 0);
        assert_eq!(commands(&handle), ["INIT", "getAssertion", "touch"]);
    }
}

/// More than that: what the key takes, then a silent question, then the assertion.
#[test]
fn given_a_long_list_then_four_commands_and_one_touch() {
    for (number, (count, id_len)) in
        [(3, 241), (8, 64), (27, 241), (63, 64)].into_iter().enumerate()
    {
        let others = (1..=count).map(|other| Secret::new(other, id_len).credential()).collect();
        let key = EmulatedKey::new(20 + number as u64);
        let (stage, handle) = Stage::enrolled_after(&key, others);
        assert_eq!(stage.run(&["authenticate"]).code("authenticate"), 0);
        assert_eq!(
            commands(&handle),
            ["INIT", "getInfo", "getAssertion", "getAssertion", "touch"],
            "{count} {id_len}"
        );
    }
}

/// A registration is INIT, getInfo, makeCredential and the login that proves it.
#[test]
fn given_a_registration_then_its_commands_are_four_and_its_touches_two() {
    let key = EmulatedKey::new(2);
    let (_stage, handle) = Stage::enrolled(&key);
    // The transcript was cleared at the end of it; the touches were counted.
    assert_eq!(handle.touches(), 2);
}

#[test]
fn given_another_key_then_denied_and_said() {
    let (mut stage, own) = Stage::enrolled(&EmulatedKey::new(3));
    own.unplug();
    let (client, handle) = EmulatedKey::new(4).plug().unwrap();
    stage.replace_key(client);
    let outcome = stage.run(&["authenticate"]);
    assert_eq!(outcome.code("authenticate"), 7);
    assert_eq!(
        outcome.shown(),
        [
            "Touch your security key (fidokey-test).",
            "This key is not registered for nobody.",
            "Timed out waiting for the security key."
        ]
    );
    assert_eq!(handle.touches(), 0);
}

/// The key stops blinking, and the next login finds it idle.
#[test]
fn given_no_touch_then_denied_within_the_bound_and_the_key_is_usable_at_once() {
    let (stage, handle) = Stage::enrolled(&EmulatedKey::new(5));
    handle.set_touch(Touch::Never);
    let start = Instant::now();
    let outcome = stage.run(&["authenticate"]);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(outcome.code("authenticate"), 7);
    assert_eq!(outcome.shown()[1..], ["Timed out waiting for the security key."]);
    assert_eq!(commands(&handle), ["INIT", "getAssertion", "CANCEL"]);
    assert!(!handle.is_asking());
    handle.set_touch(Touch::AtOnce);
    let outcome = stage.run(&["authenticate"]);
    assert_eq!(outcome.code("authenticate"), 0, "{:?}", outcome.report);
}

#[test]
fn given_a_key_that_is_unplugged_during_the_wait_then_denied_within_the_bound() {
    let (stage, handle) = Stage::enrolled(&EmulatedKey::new(6));
    handle.set_touch(Touch::Never);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !handle.is_asking() {
                std::thread::sleep(Duration::from_millis(5));
            }
            handle.unplug();
        });
        stage.run(&["authenticate"])
    });
    assert_eq!(outcome.code("authenticate"), 7);
    assert_eq!(
        outcome.shown(),
        [
            "Touch your security key (fidokey-test).",
            "Insert your security key.",
            "Timed out waiting for the security key."
        ]
    );
}

#[test]
fn given_no_key_then_denied() {
    let (mut stage, handle) = Stage::enrolled(&EmulatedKey::new(7));
    handle.unplug();
    stage.forget_key();
    let outcome = stage.run(&["authenticate"]);
    assert_eq!(outcome.code("authenticate"), 7);
    assert_eq!(
        outcome.shown(),
        ["Insert your security key.", "Timed out waiting for the security key."]
    );
}

/// Policy: an account without a record is left to the rest of the stack, and only where that is said.
#[test]
fn given_no_record_then_the_policy_decides() {
    let stage = Stage::bare();
    let permit = "auth required pam_permit.so".to_owned();
    let lines = [stage.line("[success=ok ignore=ignore default=die]"), permit];
    assert_eq!(stage.run_stack(&lines, &["authenticate"]).code("authenticate"), 0);
    // Alone there is nothing to leave it to.
    assert_eq!(stage.run(&["authenticate"]).code("authenticate"), 6);
    stage.config("schema = 1\n[default]\nmode = \"second-factor\"\nunenrolled = \"deny\"\n");
    assert_eq!(stage.run_stack(&lines, &["authenticate"]).code("authenticate"), 7);
}

#[test]
fn given_a_remote_host_then_denied_before_anything_blinks() {
    let (stage, handle) = Stage::enrolled(&EmulatedKey::new(8));
    for host in ["10.0.0.1", "localhost", "::1", " ", "0"] {
        let outcome = stage.run(&[&format!("item:4={host}"), "authenticate"]);
        assert_eq!(outcome.code("authenticate"), 6);
        assert_eq!(outcome.shown(), ["Security key login is not allowed from a remote session."]);
    }
    assert!(commands(&handle).is_empty());
}

/// BAR G1: the fields of a granted login, what comes from outside escaped; every other run of this ring has its
/// line read, too.
#[test]
fn given_a_granted_login_then_the_log_says_who_and_with_which_key() {
    let (stage, _handle) = Stage::enrolled(&EmulatedKey::new(77));
    let outcome = stage.run(&["item:3=pts/3\n x=\"y\"", "item:8=mallory", "authenticate"]);
    let line = outcome.log();
    for (key, value) in [
        ("result", "granted"),
        ("code", "0"),
        ("reason", "verified"),
        ("user", "nobody"),
        ("ruser", "mallory"),
        ("rhost", ""),
        ("tty", "pts/3\n x=\"y\""),
        ("service", "fidokey-test"),
        ("key", "Blue key"),
    ] {
        assert_eq!(line.get(key), Some(value));
    }
    assert!(
        outcome.report.iter().any(|line| line.starts_with("log 86 ")),
        "LOG_AUTHPRIV, LOG_INFO"
    );
}

/// The host means another user at the end than at the beginning.
#[test]
fn given_a_user_that_changes_during_the_conversation_then_denied() {
    let (stage, _handle) = Stage::enrolled(&EmulatedKey::new(9));
    let outcome = stage.run(&["conv:traitor", "authenticate"]);
    assert_eq!(outcome.code("authenticate"), 7);
}

/// The module that is shipped, loaded as an ordinary user: there is no record directory and no key here.
#[test]
fn given_the_shipped_module_on_a_machine_without_records_then_denied() {
    let stage = Stage::bare();
    for mode in ["second-factor", "alternative touch_only_alternative=true"] {
        let line = format!("auth required {} mode={mode}", shipped_module().display());
        let outcome = stage.run_stack(&[line], &["authenticate"]);
        let code = outcome.code("authenticate");
        assert!([7, 9].contains(&code), "{code}");
    }
    // Its own and the virtual one beside each other in one process.
    let lines = [
        format!("auth optional {} mode=second-factor", shipped_module().display()),
        stage.line("optional"),
        "auth required pam_permit.so".to_owned(),
    ];
    assert_eq!(stage.run_stack(&lines, &["authenticate", "authenticate"]).code("authenticate"), 0);
}

/// A key asked for EdDSA makes such a credential, and logs in with it.
#[test]
fn given_an_eddsa_credential_then_granted_with_two_commands() {
    let (stage, handle) = Stage::enrolled_with(&EmulatedKey::new(70), &[Algorithm::EdDsa]);
    let record = std::fs::read_to_string(stage.record_path()).unwrap();
    assert!(record.contains("algorithm = \"eddsa\""), "{record}");
    assert_eq!(stage.run(&["authenticate"]).code("authenticate"), 0);
    assert_eq!(commands(&handle), ["INIT", "getAssertion", "touch"]);
}

/// A key of the first generation, registered and used: INIT and attempts to sign, nothing after the touch.
#[test]
fn given_a_first_generation_key_then_granted_by_attempts_to_sign() {
    let touch = Touch::After(Duration::from_millis(350));
    let (stage, handle) = Stage::enrolled(&EmulatedKey::new(71).u2f_only().touch(touch));
    let record = std::fs::read_to_string(stage.record_path()).unwrap();
    assert!(record.contains("protocol = \"u2f\""), "{record}");
    assert_eq!(stage.run(&["authenticate"]).code("authenticate"), 0);
    let commands = commands(&handle);
    assert_eq!(commands[0], "INIT");
    let (attempts, end) = commands[1..].split_at(commands.len() - 3);
    assert!(
        attempts.len() >= 3 && attempts.iter().all(|command| command == "sign"),
        "{commands:?}"
    );
    assert_eq!(end, ["touch", "sign"]);
}

#[test]
fn given_several_first_generation_credentials_then_the_keys_own_is_found_without_a_touch() {
    let others = (1..=3).map(|other| Secret::new(other, 64).u2f_credential()).collect();
    let (stage, handle) = Stage::enrolled_after(&EmulatedKey::new(72).u2f_only(), others);
    assert_eq!(stage.run(&["authenticate"]).code("authenticate"), 0);
    assert_eq!(
        commands(&handle)[..5],
        ["INIT", "check-only", "check-only", "check-only", "check-only"]
    );
    assert_eq!(handle.transcript().iter().filter(|entry| entry.what == What::Touch).count(), 1);
}

/// The same key by the protocol of the second generation: its U2F credential joins the list.
#[test]
fn given_a_u2f_credential_and_a_fido2_key_then_it_joins_the_allow_list() {
    let key = EmulatedKey::new(73).u2f_only();
    let others = vec![Secret::new(1, 64).credential()];
    let (mut stage, handle) = Stage::enrolled_after(&key, others);
    handle.unplug();
    let (client, handle) = key.second_generation().plug().unwrap();
    stage.replace_key(client);
    assert_eq!(stage.run(&["authenticate"]).code("authenticate"), 0);
    assert_eq!(commands(&handle), ["INIT", "getAssertion", "touch"]);
}

#[test]
fn given_a_foreign_first_generation_key_then_denied_without_a_touch() {
    let (mut stage, own) = Stage::enrolled(&EmulatedKey::new(74).u2f_only());
    own.unplug();
    let (client, handle) = EmulatedKey::new(75).u2f_only().plug().unwrap();
    stage.replace_key(client);
    let outcome = stage.run(&["authenticate"]);
    assert_eq!(outcome.code("authenticate"), 7);
    assert!(outcome.shown().contains(&"This key is not registered for nobody."));
    assert_eq!((commands(&handle), handle.touches()), (vec!["INIT".into(), "sign".into()], 0));
}

#[test]
fn given_a_first_generation_key_that_nobody_touches_then_denied_within_the_bound() {
    let (stage, handle) = Stage::enrolled(&EmulatedKey::new(76).u2f_only());
    handle.set_touch(Touch::Never);
    let outcome = stage.run(&["authenticate"]);
    assert_eq!(outcome.code("authenticate"), 7);
    let signs = commands(&handle).iter().filter(|command| *command == "sign").count();
    assert!((8..=12).contains(&signs), "{signs} attempts in a second");
}
