//! What `make demo` shows where there can be no virtual machine.

use std::time::Duration;

use fidokey_tests::key::{EmulatedKey, Touch};

use crate::run::Outcome;
use crate::stage::{Stage, commands};

fn show(what: &str, outcome: &Outcome) {
    println!("\n{what}:");
    for text in outcome.shown() {
        println!("    {text}");
    }
    println!("    pam_authenticate answers {}", outcome.code("authenticate"));
}

#[test]
fn given_a_key_then_register_and_log_in() {
    let key = EmulatedKey::new(61).touch(Touch::After(Duration::from_millis(300)));
    let (mut stage, handle) = Stage::enrolled(&key);
    println!("\nA FIDO2 key was registered for nobody, with two touches. The record:");
    for line in std::fs::read_to_string(stage.record_path()).unwrap().lines() {
        println!("    {line}");
    }
    let outcome = stage.run(&["authenticate"]);
    show("A login with the key and a touch (0 is PAM_SUCCESS)", &outcome);
    println!("    the key heard: {}", commands(&handle).join(", "));
    assert_eq!(outcome.code("authenticate"), 0);

    handle.set_touch(Touch::Never);
    let outcome = stage.run(&["authenticate"]);
    show("The same without a touch (7 is PAM_AUTH_ERR)", &outcome);
    assert_eq!(outcome.code("authenticate"), 7);

    handle.unplug();
    let (client, _foreign) = EmulatedKey::new(62).plug().unwrap();
    stage.replace_key(client);
    let outcome = stage.run(&["authenticate"]);
    show("The same with somebody else's key", &outcome);
    assert_eq!(outcome.code("authenticate"), 7);

    stage.forget_key();
    let outcome = stage.run(&["authenticate"]);
    show("The same without a key", &outcome);
    assert_eq!(outcome.code("authenticate"), 7);
}
