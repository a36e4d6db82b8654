//! `pam_sm_setcred`, which must never turn a granted login into a failed one.

use fidokey_tests::key::EmulatedKey;

use crate::stage::{Stage, commands};

/// BAR X16: three control words, alone and followed by another module, after a login and without one.
#[test]
fn given_any_stack_then_setcred_succeeds() {
    let (stage, _handle) = Stage::enrolled(&EmulatedKey::new(31));
    let permit = "auth required pam_permit.so".to_owned();
    for control in ["required", "sufficient", "[success=ok ignore=ignore default=die]"] {
        let line = stage.line(control);
        for stack in [vec![line.clone()], vec![line.clone(), permit.clone()]] {
            for words in [&["authenticate", "setcred:2"][..], &["setcred:2"]] {
                let outcome = stage.run_stack(&stack, words);
                assert_eq!(outcome.code("setcred"), 0, "{control} {stack:?} {words:?}");
            }
        }
    }
}

/// BAR X17: what sudo does: PAM_USER is the target now. Nothing is asked of any key.
#[test]
fn given_another_user_and_every_flag_then_setcred_succeeds_and_touches_nothing() {
    let (stage, handle) = Stage::enrolled(&EmulatedKey::new(32));
    for flags in ["2", "4", "8", "16", "32776"] {
        let outcome = stage.run(&["item:2=root", &format!("setcred:{flags}")]);
        assert_eq!(outcome.code("setcred"), 0, "{flags}");
    }
    assert!(commands(&handle).is_empty());
    // No file of ours is opened by it.
    let trace = stage.trace_file();
    let before = ["strace", "-f", "-e", "trace=%file", "-o", &trace];
    let line = stage.line("required");
    let outcome = stage.run_under(&before, &[line], &["item:2=root", "setcred:8"]);
    assert_eq!(outcome.code("setcred"), 0);
    let calls = std::fs::read_to_string(&trace).unwrap();
    assert!(calls.contains("libfidokey_virtual.so"));
    for place in ["etc/fidokey", "hidraw", "/dev/"] {
        assert!(!calls.contains(place), "{place} in {calls}");
    }
}

/// The other uses of the module are refused by libpam itself: there is no such symbol.
#[test]
fn given_an_account_line_then_libpam_refuses_it() {
    let stage = Stage::bare();
    let line = stage.line("required").replacen("auth", "account", 1);
    assert_eq!(stage.run_stack(&[line], &["acct_mgmt"]).code("acct_mgmt"), 28);
}
