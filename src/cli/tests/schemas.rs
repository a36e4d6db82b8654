//! What the built command shows to programs, held against the schemas in `docs/schemas`: a file for each verb that has
//! `--json`. A verb that gets it is added to [`VERBS`] and has its cases below.

#![expect(clippy::expect_used, reason = "a test says what went wrong by failing")]

mod schema;
mod system;

use std::fs;
use std::process::Output;

use serde_json::Value;

use schema::{assert_of_schema, directory, misfit};
use system::{LINE, System, record};

/// The verbs that have a schema. What needs a key is held against it where it is made: `src/cli/key`.
const VERBS: [&str; 7] = [
    "doctor",
    "key credentials list",
    "key fingerprint list",
    "key info",
    "list",
    "status",
    "test",
];

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// What the verb that `output` is of has shown: an object of its schema.
#[track_caller]
fn object(verb: &str, code: i32, output: &Output) -> Value {
    let (shown, told) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{shown}{told}");
    assert_of_schema(verb, shown);
    let value: Value = serde_json::from_str(shown).expect("an object");
    assert!(shown.ends_with('\n') && value.get("schema").and_then(Value::as_i64) == Some(1));
    value
}

/// An error of two lines, and nothing for programs.
#[track_caller]
fn assert_nothing(code: i32, output: &Output) {
    let told = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(code), ""), "{told}");
    assert_eq!(told.lines().count(), 2, "{told}");
}

/// The verbs that have `--json`, of those that begin with `words`.
fn speaking(system: &System, words: &str) -> Vec<String> {
    let arguments: Vec<&str> = words.split_whitespace().chain(["--help"]).collect();
    let help = text(&system.run(&arguments).stdout).to_owned();
    let Some(verbs) = help.split("Commands:\n").nth(1) else {
        return help.contains("--json").then(|| words.trim().to_owned()).into_iter().collect();
    };
    let verbs = verbs.lines().take_while(|line| !line.is_empty());
    let verbs: Vec<&str> = verbs.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(verbs.len() > 1, "{help}");
    let verbs = verbs.into_iter().filter(|verb| *verb != "help");
    verbs.flat_map(|verb| speaking(system, &format!("{words} {verb}"))).collect()
}

// E15: each verb that has --json has a schema, and no schema is of none.
#[test]
fn given_the_verbs_then_those_that_speak_to_programs_have_a_schema() {
    let system = System::new("schemas-verbs");
    let mut verbs = speaking(&system, "");
    verbs.sort();
    assert_eq!(verbs, VERBS);
    let mut files: Vec<String> = fs::read_dir(directory())
        .expect("a directory")
        .map(|entry| entry.expect("a file").file_name().into_string().expect("UTF-8"))
        .collect();
    files.sort();
    assert_eq!(files, VERBS.map(|verb| format!("{}.json", verb.replace(' ', "-"))));
}

// E15.
#[test]
fn given_list_then_its_object_is_of_its_schema() {
    let system = System::new("schemas-list");
    let list = |user: &str| system.run(&["list", "--json", "--user", user]);
    let shown = object("list", 0, &list("alice"));
    assert_eq!(shown["keys"].as_array().map(Vec::len), Some(2));
    assert_eq!((&shown["uses_known"], &shown["user"]), (&true.into(), &"alice".into()));
    let [one, other] = [0, 1].map(|at| &shown["keys"][at]);
    assert_eq!(
        (&one["last_used"], &one["last_service"]),
        (&"2026-11-26T09:12:00Z".into(), &"sudo".into())
    );
    assert_eq!((&other["last_used"], &other["last_service"]), (&Value::Null, &Value::Null));
    // No keys is no, and an object all the same.
    let shown = object("list", 1, &list("bob"));
    assert_eq!(shown["keys"].as_array().map(Vec::len), Some(0));
    assert_nothing(1, &list("carol"));
    assert_nothing(2, &system.run(&["list", "--json", "--user", "../x"]));
    system.write("etc/fidokey/users/1000.toml", "nonsense");
    assert_nothing(5, &list("alice"));
}

// E15: what somebody sees who is not root. Only root can become somebody else here; elsewhere it is the same code that
// `list.rs` has a test for.
#[test]
fn given_somebody_who_is_not_root_then_the_last_use_is_not_known_and_said_to_be_roots() {
    let system = System::new("schemas-unprivileged");
    let alice = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];
    let before: &[&str] = match fidokey_system::accounts::effective_uid() {
        0 => &alice,
        _ => &[],
    };
    let shown = object("list", 0, &system.run_as(before, &["list", "--json", "--user", "alice"]));
    assert_eq!(shown["uses_known"], before.is_empty());
    let shown =
        object("status", 0, &system.run_as(before, &["status", "--json", "--user", "alice"]));
    assert_eq!(shown["local"]["answer"], "key");
}

// E15.
#[test]
fn given_status_then_its_object_is_of_its_schema() {
    let system = System::new("schemas-status");
    let status =
        |more: &[&str]| system.run(&[&["status", "--json", "--user", "alice"], more].concat());
    let shown = object("status", 0, &status(&[]));
    assert_eq!((&shown["in_force"], &shown["keys"]), (&true.into(), &2.into()));
    assert_eq!(shown["line"]["file"], "/etc/pam.d/sudo");
    assert_eq!(shown["settings"][0]["from"], "line");
    let shown = object("status", 1, &status(&["--service", "su"]));
    assert_eq!((&shown["line"], &shown["local"]["answer"]), (&Value::Null, &"not_asked".into()));
    assert_nothing(1, &status(&["--service", "absent"]));
    system.write(
        "etc/pam.d/sudo",
        &format!("auth sufficient /etc/modules/pam_unix.so\n{LINE} mode=second-factor\n"),
    );
    let shown = object("status", 1, &status(&[]));
    let problems = shown["problems"].as_array().expect("problems");
    let passed =
        |problem: &Value| problem.as_str().is_some_and(|it| it.contains("without the key"));
    assert!(problems.iter().any(passed), "{problems:?}");
    system.write("etc/pam.d/sudo", &format!("{LINE} mode=third-factor\n"));
    assert_nothing(5, &status(&[]));
    system.write("etc/fidokey/config.toml", "schema = 7\n");
    assert_nothing(5, &status(&[]));
}

// E15: what takes no key; the others are in the virtual machine.
#[test]
fn given_test_then_its_object_is_of_its_schema() {
    let system = System::new("schemas-test");
    let test = |user: &str, argument: &str| {
        system.run(&["test", "--json", "--timeout", "1s", "--user", user, "--", argument])
    };
    let shown = object("test", 1, &test("bob", "mode=second-factor"));
    assert_eq!((&shown["result"], &shown["reason"]), (&"exempt".into(), &"not_enrolled".into()));
    let shown = object("test", 5, &test("bob", "mode=third-factor"));
    assert_eq!((&shown["result"], &shown["reason"]), (&"denied".into(), &"config".into()));
    let shown = object("test", 1, &test("carol", "mode=second-factor"));
    assert_eq!((&shown["result"], &shown["reason"]), (&"denied".into(), &"user_unknown".into()));
    system.write("etc/fidokey/users/1000.toml", &record("mallory", 1000, &["AAAA"]));
    let shown = object("test", 5, &test("alice", "mode=second-factor"));
    assert_eq!((&shown["result"], &shown["reason"]), (&"denied".into(), &"record".into()));
    assert_nothing(2, &system.run(&["test", "--json", "--timeout", "1h"]));
}

// E15.
#[test]
fn given_doctor_then_its_object_is_of_its_schema() {
    let system = System::new("schemas-doctor");
    // Of what there is on the machine of whoever runs the tests nothing is known.
    let output = system.run(&["doctor", "--json"]);
    let code = output.status.code().expect("a code");
    assert!(code == 0 || code == 1, "{}", text(&output.stderr));
    let shown = object("doctor", code, &output);
    assert_eq!(shown["looked_at"]["accounts"], 1);
    system.remove("etc/fidokey/users/1000.toml");
    system.write("etc/fidokey/users/1000.toml", "nonsense");
    let shown = object("doctor", 1, &system.run(&["doctor", "--json"]));
    let wrong = |finding: &&Value| finding["id"] == "record-wrong";
    let findings = shown["findings"].as_array().expect("findings");
    assert_eq!(findings.iter().find(wrong).expect("it")["line"], 1);
    assert_nothing(5, &system.run(&["doctor", "--json", "--root", "/absent"]));
}

/// A schema that takes anything would hold nothing.
#[test]
fn given_what_the_schemas_do_not_allow_then_it_is_refused() {
    let system = System::new("schemas-refused");
    let list = object("list", 0, &system.run(&["list", "--json", "--user", "alice"]));
    for (pointer, value) in [
        ("/schema", Value::from(2)),
        ("/uid", Value::from("1000")),
        ("/keys/0/cred", Value::from("709E80C8")),
        ("/keys/1/protocol", Value::from("fido3")),
        ("/keys/0/last_used", Value::from(7)),
    ] {
        let mut other = list.clone();
        *other.pointer_mut(pointer).expect("a value") = value;
        assert!(misfit("list", &other).is_some(), "{pointer}");
    }
    let mut less = list.clone();
    less["keys"][0].as_object_mut().expect("a key").remove("id");
    assert!(misfit("list", &less).is_some());
    // More is what later versions have.
    let mut more = list;
    more["keys"][0]["new"] = Value::from(1);
    assert_eq!(misfit("list", &more), None);
    for verb in VERBS {
        assert!(
            misfit(&verb.replace(' ', "-"), &serde_json::json!({"schema": 1})).is_some(),
            "{verb}"
        );
    }
}
