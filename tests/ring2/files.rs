//! Files that are not what they should be, under libpam. The rest of their tests is beside the reader.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use fidokey_tests::key::EmulatedKey;

use crate::stage::Stage;

/// A stack in which IGNORE would let in, with the module's answer to be seen in it.
fn code(stage: &Stage) -> i32 {
    let permit = "auth required pam_permit.so".to_owned();
    let lines = [stage.line("[success=ok ignore=ignore default=die]"), permit];
    stage.run_stack(&lines, &["authenticate"]).code("authenticate")
}

/// BAR F10: "not enrolled" is ENOENT in a directory that is there and safe.
#[test]
fn given_no_directory_of_records_then_denied_and_not_skipped() {
    let stage = Stage::bare();
    assert_eq!(code(&stage), 0);
    let users = stage.directory.join("etc/fidokey/users");
    fs::set_permissions(&users, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(code(&stage), 7);
    fs::remove_dir(&users).unwrap();
    assert_eq!(code(&stage), 7);
    fs::write(&users, "x").unwrap();
    assert_eq!(code(&stage), 7);
}

/// BAR F16.
#[test]
fn given_an_empty_record_then_denied_and_not_skipped() {
    let stage = Stage::bare();
    stage.record("");
    assert_eq!(code(&stage), 7);
}

/// BAR K1: an unknown key in the record or in the policy, in any table.
#[test]
fn given_an_unknown_key_then_denied() {
    let (stage, _handle) = Stage::enrolled(&EmulatedKey::new(51));
    assert_eq!(code(&stage), 0);
    let good = fs::read_to_string(stage.record_path()).unwrap();
    for text in [
        format!("nouserok = true\n{good}"),
        format!("{good}alwaysok = true\n"),
        good.replace("schema = 1", "schema = 2"),
        good.replace("verification = \"none\"\n", ""),
        good.replace(&format!("uid = {}", crate::stage::account().uid), "uid = 0"),
    ] {
        assert_ne!(text, good);
        stage.record(&text);
        assert_eq!(code(&stage), 7, "{text}");
    }
    stage.record(&good);
    for text in [
        "schema = 1\nmode = \"second-factor\"\n",
        "schema = 1\n[default]\nmode = \"second-factor\"\nnouserok = true\n",
        "schema = 1\n[default]\nmode = \"second-factor\"\n[service.gdm]\nmodus = 1\n",
        "schema = 1\n[default]\nmode = \"second-factor\"\ntouch = 30\n",
        "schema = 1\n",
        "[default]\nmode = \"second-factor\"\n",
        "schema = 1\n[default]\nmode = \"alternative\"\n",
    ] {
        stage.config(text);
        assert_eq!(code(&stage), 3, "{text}");
    }
}

/// BAR K2.
#[test]
fn given_an_unknown_argument_then_service_err() {
    let (mut stage, _handle) = Stage::enrolled(&EmulatedKey::new(52));
    for argument in
        ["nouserokk", "timeout=10", "debug", "mode", "mode=", "touch=30", "Mode=alternative"]
    {
        stage.arguments(&[argument]);
        assert_eq!(code(&stage), 3, "{argument}");
    }
    stage.arguments(&["touch=5s", "touch=5s"]);
    assert_eq!(code(&stage), 3);
    stage.arguments(&["touch=5s", "mode=second-factor"]);
    assert_eq!(code(&stage), 0);
}
