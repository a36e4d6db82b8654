//! Conversations that misbehave.

use fidokey_tests::key::EmulatedKey;

use crate::stage::{Stage, commands};

/// BAR X13, P15, Q9: whatever an application does with a message, the login is decided or ends with CONV_ERR, and
/// nothing blinks behind a user's back.
#[test]
fn given_an_odd_conversation_then_it_is_handled_or_the_login_ends() {
    let (stage, handle) = Stage::enrolled(&EmulatedKey::new(21));
    for (kind, code) in [
        ("good", 0),
        ("null-array", 0),
        ("null-reply", 0),
        ("huge", 0),
        ("binary", 0),
        ("none", 19),
        ("error", 19),
        ("again", 19),
    ] {
        handle.clear_transcript();
        let outcome = stage.run(&[&format!("conv:{kind}"), "authenticate"]);
        assert_eq!(outcome.code("authenticate"), code, "{kind}");
        let armed = commands(&handle).iter().any(|command| command == "getAssertion");
        assert_eq!(armed, code == 0, "{kind}");
    }
}

/// One message a call, in one line: what gdm, sddm and sshd can show.
#[test]
fn given_any_login_then_every_call_has_one_message_of_the_info_style() {
    let (stage, _handle) = Stage::enrolled(&EmulatedKey::new(22));
    let outcome = stage.run(&["authenticate"]);
    let messages: Vec<_> =
        outcome.report.iter().filter(|line| line.starts_with("message")).collect();
    assert!(!messages.is_empty());
    for message in messages {
        assert!(message.starts_with("message count=1 style=4 text="), "{message}");
        assert!(message.len() < 512 && !message.to_lowercase().contains("password"));
    }
}

/// BAR P16: PAM_SILENT, which sudo always sets, does not silence the cue.
#[test]
fn given_pam_silent_then_the_cue_is_shown_all_the_same() {
    let (stage, _handle) = Stage::enrolled(&EmulatedKey::new(23));
    let outcome = stage.run(&["authenticate:32768"]);
    assert_eq!(outcome.code("authenticate"), 0);
    assert_eq!(outcome.shown(), ["Touch your security key (fidokey-test)."]);
}
