//! What the policy file and the arguments must be, and what is refused.

use super::keys::{KEYS, Key, TABLES, TOP};
use super::*;
use crate::text::fields::fields;

/// What no message may ever contain.
const SECRET: &str = "hunter2";

/// Every key that there is.
const WHOLE: &str = "\
schema = 1
rp_id = \"pam://example\"
self_service = true
way_back = \"Rescue system; the password is in the safe.\"

[registration]
aaguids = [\"2fc0579f-8113-47ea-b116-bb5a8db9202a\", \"a25342c0-3cdc-4414-8e46-f4807fca511c\"]
attestation_roots = \"/etc/fidokey/attestation-roots.pem\"

[default]
mode = \"second-factor\"
verification = \"none\"
unenrolled = \"deny\"
remote = \"skip\"
counter = \"warn\"
wait_for_key = \"0s\"
touch = \"45s\"
pin_guard = 7

[service.sudo]
mode = \"alternative\"
verification = \"required\"
touch_only_alternative = false
remote = \"verify\"
touch = \"1s\"
pin_guard = 1
";

fn settings(
    text: Option<&str>,
    service: &str,
    arguments: &[&str],
) -> Result<Settings, ConfigError> {
    let arguments: Vec<&[u8]> = arguments.iter().map(|argument| argument.as_bytes()).collect();
    Settings::for_service(text.map(str::as_bytes), service, &arguments)
}

fn in_force(text: Option<&str>, service: &str, arguments: &[&str]) -> Settings {
    settings(text, service, arguments).expect("settings")
}

fn refused(text: &str) -> Misfit {
    ConfigFile::parse(text.as_bytes()).expect_err(text)
}

// K11
#[test]
fn given_no_file_then_what_is_built_in_is_strict() {
    let built_in = in_force(None, "sudo", &["mode=second-factor"]);
    let expected = Settings {
        mode: Mode::SecondFactor,
        rules: Rules {
            remote: Remote::Deny,
            unenrolled: Unenrolled::Skip,
            verification: Verification::None,
        },
        rp_id: RpId::default(),
        counter: CounterPolicy::Deny,
        wait_for_key: Duration::from_secs(30),
        touch: Duration::from_secs(30),
        pin_guard: 3,
    };
    assert_eq!(built_in, expected);
    assert_eq!(in_force(Some("schema = 1"), "sudo", &["mode=second-factor"]), expected);
}

/// A policy that says every key: as it is built in, but for `name`, which is `value`.
fn with_value(name: &str, value: &str) -> String {
    let mut text = "schema = 1\n[service.sudo]\n".to_owned();
    for key in KEYS {
        let built_in = key.built_in.unwrap_or("\"second-factor\"");
        text += &format!("{} = {}\n", key.name, if key.name == name { value } else { built_in });
    }
    text
}

// K1; and what is the whole file's is no argument.
#[test]
fn the_lists_of_keys_are_what_is_read() {
    let top: Vec<&str> = TOP.iter().map(|key| key.name).collect();
    assert_eq!([top.as_slice(), &TABLES].concat(), fields::<RawConfig>());
    assert_eq!(KEYS.map(|key| key.name).as_slice(), fields::<RawLayer>());
    for key in top {
        let refused = settings(None, "sudo", &[&format!("{key}=1")]).expect_err(key);
        assert!(refused.to_string().ends_with("belongs in the policy file"), "{refused}");
    }
}

// K5: at the top, what is built in and every value.
#[test]
fn given_what_is_built_in_at_the_top_then_to_say_it_changes_nothing() {
    let said = |except: &str, value: &str| {
        let line = |key: &Key| match (key.name == except, key.built_in) {
            (true, _) => Some(format!("{} = {value}\n", key.name)),
            (false, built_in) => built_in.map(|built_in| format!("{} = {built_in}\n", key.name)),
        };
        TOP.iter().filter_map(line).collect::<String>()
    };
    let nothing = ConfigFile::parse(b"schema = 1\n").expect("the least that there is");
    let all = ConfigFile::parse(said("", "").as_bytes()).expect("what is built in");
    // But for where it comes from, which is only shown.
    assert_eq!(ConfigFile { names_rp_id: false, ..all }, nothing);
    for Key { name, values, .. } in TOP {
        for value in values {
            assert!(ConfigFile::parse(said(name, value).as_bytes()).is_ok(), "{name} = {value}");
        }
        assert!(ConfigFile::parse(said(name, "[1]").as_bytes()).is_err(), "{name}");
    }
}

// K5: this list is all that there is, and no word of it is "always", "off" or the like.
#[test]
fn the_list_of_keys_has_what_is_built_in_and_every_value() {
    let built_in = in_force(None, "sudo", &["mode=second-factor"]);
    assert_eq!(in_force(Some(&with_value("", "")), "sudo", &[]), built_in);
    for Key { name, values, .. } in KEYS {
        for value in values {
            let file = settings(Some(&with_value(name, value)), "sudo", &[]);
            let argument = format!("{name}={}", value.trim_matches('"'));
            let arguments = [argument.as_str(), "mode=second-factor"];
            let said =
                settings(None, "sudo", if name == "mode" { &arguments[..1] } else { &arguments });
            // Without a password and without verification: refused as a whole, not for its word.
            let alone = argument == "mode=alternative";
            assert_eq!(matches!(file, Err(ConfigError::Incomplete { .. })), alone, "{file:?}");
            assert_eq!(file.is_ok(), !alone, "{argument}");
            assert_eq!(said, file, "{argument}");
        }
        for value in ["\"\"", "\"maybe\"", "\"off\"", "\"121s\"", "\"-1s\"", "-1", "9", "[]", "{}"]
        {
            refused(&with_value(name, value));
        }
    }
    // Nothing is read that is not in the list.
    let misfit = refused("schema = 1\n[default]\nalways_ok = true\n");
    assert_eq!(misfit.message, "unknown field \"always_ok\"");
}

#[test]
fn an_argument_wins_over_the_service_and_that_over_the_default() {
    let other = in_force(Some(WHOLE), "su", &[]);
    assert_eq!((other.mode, other.pin_guard), (Mode::SecondFactor, 7));
    assert_eq!((other.wait_for_key, other.touch), (Duration::ZERO, Duration::from_secs(45)));
    let sudo = in_force(Some(WHOLE), "sudo", &[]);
    assert_eq!((sudo.mode, sudo.rules.remote), (Mode::Alternative, Remote::Verify));
    assert_eq!((sudo.touch, sudo.rules.unenrolled), (Duration::from_secs(1), Unenrolled::Deny));
    assert_eq!((sudo.counter, sudo.rp_id.as_str()), (CounterPolicy::Warn, "pam://example"));
    let said = ["mode=second-factor", "remote=deny", "touch=7s", "pin_guard=2", "counter=deny"];
    let said = in_force(Some(WHOLE), "sudo", &said);
    assert_eq!((said.mode, said.rules.remote), (Mode::SecondFactor, Remote::Deny));
    assert_eq!((said.touch, said.pin_guard), (Duration::from_secs(7), 2));
    assert_eq!(said.counter, CounterPolicy::Deny);
    assert_eq!(said.rules.verification, Verification::Required);
    let whole = ConfigFile::parse(WHOLE.as_bytes()).expect("a file");
    assert!(whole.self_service);
    assert_eq!(whole.way_back.as_deref(), Some("Rescue system; the password is in the safe."));
}

#[test]
fn given_a_way_back_that_says_nothing_then_it_is_an_error() {
    for text in ["\"\"", "\"  \"", "\"a\\nb\"", &format!("\"{}\"", "x".repeat(201))] {
        let file = format!("schema = 1\nway_back = {text}\n");
        assert!(ConfigFile::parse(file.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn given_no_mode_anywhere_then_there_are_no_settings() {
    for (text, service) in [
        (None, "sudo"),
        (Some("schema = 1"), "sudo"),
        (Some("schema = 1\n[service.su]\nmode = \"second-factor\""), "sudo"),
    ] {
        assert!(matches!(settings(text, service, &[]), Err(ConfigError::Incomplete { .. })));
    }
}

#[test]
fn given_an_alternative_to_the_password_by_touch_alone_then_it_must_be_said_for_that_service() {
    let alternative = "schema = 1\n[service.sudo]\nmode = \"alternative\"\n";
    assert!(matches!(
        settings(Some(alternative), "sudo", &[]),
        Err(ConfigError::Incomplete { .. })
    ));
    assert!(settings(None, "sudo", &["mode=alternative"]).is_err());
    assert!(settings(None, "sudo", &["mode=alternative", "touch_only_alternative=false"]).is_err());
    // Said for su is not said for sudo.
    let other = format!("{alternative}[service.su]\ntouch_only_alternative = true");
    assert!(settings(Some(&other), "sudo", &[]).is_err());
    let said = format!("{alternative}touch_only_alternative = true");
    assert_eq!(in_force(Some(&said), "sudo", &[]).rules.verification, Verification::None);
    assert!(settings(None, "sudo", &["mode=alternative", "touch_only_alternative=true"]).is_ok());
    assert!(settings(None, "sudo", &["mode=alternative", "verification=required"]).is_ok());
    let misfit = refused("schema = 1\n[default]\ntouch_only_alternative = true");
    assert_eq!((misfit.line, misfit.key.as_deref()), (3, Some("touch_only_alternative")));
}

// K1
#[test]
fn given_an_unknown_key_anywhere_then_the_file_is_refused_whichever_service_asks() {
    for (text, shown) in [
        ("schema = 1\nselfservice = true", "line 2, column 1: unknown field \"selfservice\""),
        ("schema = 1\n[defaults]", "line 2, column 2: unknown field \"defaults\""),
        ("schema = 1\n[default]\nmod = 1", "line 3, column 1: unknown field \"mod\""),
        (
            "schema = 1\n[service.other]\n  verfication = \"required\"",
            "line 3, column 3: unknown field \"verfication\"",
        ),
    ] {
        let refused = settings(Some(text), "sudo", &["mode=second-factor"]).expect_err(text);
        assert_eq!(refused.to_string(), shown);
    }
}

// K3
#[test]
fn given_a_value_in_doubt_then_the_file_is_refused_at_its_place() {
    for (line, key) in [
        ("mode = \"second_factor\"", "mode"),
        ("mode = \"\"", "mode"),
        ("mode = 1", "mode"),
        ("verification = \"preferred\"", "verification"),
        ("verification = true", "verification"),
        ("unenrolled = \"ignore\"", "unenrolled"),
        ("remote = \"allow\"", "remote"),
        ("counter = \"off\"", "counter"),
        ("wait_for_key = \"301s\"", "wait_for_key"),
        ("wait_for_key = \"500ms\"", "wait_for_key"),
        ("wait_for_key = 30", "wait_for_key"),
        ("touch = \"0s\"", "touch"),
        ("touch = \"030s\"", "touch"),
        ("touch = \"+30s\"", "touch"),
        ("touch = \"-1s\"", "touch"),
        ("touch = \"30\"", "touch"),
        ("touch = \"99999999999999999999s\"", "touch"),
        ("pin_guard = 0", "pin_guard"),
        ("pin_guard = 9", "pin_guard"),
        ("pin_guard = 259", "pin_guard"),
        ("pin_guard = -1", "pin_guard"),
        ("pin_guard = 3.0", "pin_guard"),
        ("touch_only_alternative = \"true\"", "touch_only_alternative"),
    ] {
        for table in ["default", "service.sudo", "service.other"] {
            let misfit = refused(&format!("schema = 1\n[{table}]\n{line}\n"));
            assert_eq!((misfit.line, misfit.key.as_deref()), (3, Some(key)), "{misfit}");
        }
    }
    for text in [
        "",
        "mode = \"second-factor\"",
        "schema = 0",
        "schema = 2\n[a.b]",
        "schema = true",
        "schema = 1\nrp_id = \"\"",
        "schema = 1\nself_service = 1",
        "schema = 1\nschema = 1",
        "schema = 1\n[default]\n[default]",
        "schema = 1\n[service.sudo]\ntouch = \"1s\"\ntouch = \"1s\"",
        "schema = 1\nservice = 1",
        "schema = 1\n[service]\nsudo = \"second-factor\"",
        "schema = 1\n[service.Sudo]",
        "schema = 1\n[service.\"\"]",
        "schema = 1\n[service.\"a/b\"]",
        "schema = 1\n\u{0}",
    ] {
        refused(text);
    }
    assert_eq!(refused("schema = 2\nnew = 1").message, "schema: this version reads schema 1 only");
}

// K2, K3
#[test]
fn given_an_argument_in_doubt_then_it_is_refused_by_number_and_key() {
    for (arguments, shown) in [
        (&["debug"][..], "argument 1: debug: unknown argument"),
        (&["mode=second-factor", "nouserokk"], "argument 2: nouserokk: unknown argument"),
        (&["timeout=10"], "argument 1: timeout: unknown argument"),
        (&["mode"], "argument 1: mode: must be written as key=value"),
        (&["mode =alternative"], "argument 1: mode : unknown argument"),
        (&["=x"], "argument 1: : unknown argument"),
        (&[""], "argument 1: : unknown argument"),
        (&["mode=alternative", "mode=alternative"], "argument 2: mode: given twice"),
        (&["rp_id=pam://x"], "argument 1: rp_id: belongs in the policy file"),
        (&["self_service=true"], "argument 1: self_service: belongs in the policy file"),
        (&["way_back=x"], "argument 1: way_back: belongs in the policy file"),
        (&["pin_guard=8"], "argument 1: pin_guard: must be 1 to 7"),
        (&["pin_guard=+3"], "argument 1: pin_guard: must be a whole number"),
        (&["pin_guard=03"], "argument 1: pin_guard: must be a whole number"),
        (
            &["touch_only_alternative=1"],
            "argument 1: touch_only_alternative: must be true or false",
        ),
        (&["touch==1s"], "argument 1: touch: must be whole seconds, \"1s\" to \"120s\""),
        (
            &["mode=\"alternative\""],
            "argument 1: mode: must be \"alternative\" or \"second-factor\"",
        ),
        (&["a\u{1b}[31m\"=1"], "argument 1: a?[31m?: unknown argument"),
    ] {
        assert_eq!(settings(None, "sudo", arguments).expect_err("doubt").to_string(), shown);
    }
    let not_utf8 = Settings::for_service(None, "sudo", &[b"mode=\xff"]).expect_err("doubt");
    assert_eq!(not_utf8.to_string(), "argument 1: mode: not UTF-8");
    assert!(Settings::for_service(None, "sudo", &[b"\xff=1"]).is_err());
    let long = format!("{}=1", "x".repeat(1000));
    let long = settings(None, "sudo", &[&long]).expect_err("doubt");
    assert_eq!(long.to_string().len(), "argument 1: : unknown argument".len() + 64);
}

// K5: the whole list of what can be set, so that a new one is seen here.
#[test]
fn there_is_no_option_that_lets_in_without_a_key() {
    let mut taken: Vec<&str> = Vec::new();
    for key in [
        "alwaysok",
        "counter",
        "debug",
        "debug_file",
        "manual",
        "mode",
        "nouserok",
        "pin_guard",
        "remote",
        "touch",
        "touch_only_alternative",
        "unenrolled",
        "userpresence",
        "verification",
        "wait_for_key",
    ] {
        let unknown =
            ConfigError::Argument { number: 1, key: key.to_owned(), message: "unknown argument" };
        if settings(None, "sudo", &[&format!("{key}=0")]) != Err(unknown) {
            taken.push(key);
        }
    }
    assert_eq!(
        taken.join(" "),
        "counter mode pin_guard remote touch touch_only_alternative unenrolled verification \
         wait_for_key"
    );
}

// K12
#[test]
fn given_a_huge_or_deeply_nested_file_then_it_is_refused() {
    let padding = "\n".repeat(64 * 1024 - 10);
    assert!(ConfigFile::parse(format!("schema = 1{padding}").as_bytes()).is_ok());
    assert!(ConfigFile::parse(format!("schema = 1{padding}\n").as_bytes()).is_err());
    for depth in [1, 9, 100, 10_000] {
        refused(&format!("schema = 1\nx = {}{}", "[".repeat(depth), "]".repeat(depth)));
        refused(&format!("schema = 1\nx = {}1{}", "{a=".repeat(depth), "}".repeat(depth)));
        refused(&format!("schema = 1\ndefault.mode{} = 1", ".a".repeat(depth)));
        refused(&format!("schema = 1\n[service{}.a]", ".a".repeat(depth)));
    }
}

// K3
#[test]
fn given_any_byte_changed_or_cut_off_then_nothing_panics() {
    for end in 0..WHOLE.len() {
        let _ = Settings::for_service(Some(&WHOLE.as_bytes()[..end]), "sudo", &[]);
    }
    for at in 0..WHOLE.len() {
        for change in [0x01, 0x20, 0x80, 0xff] {
            let mut changed = WHOLE.as_bytes().to_vec();
            changed[at] ^= change;
            let _ = Settings::for_service(Some(&changed), "sudo", &[]);
        }
    }
}

// G2, G9
#[test]
fn given_a_secret_as_any_value_of_a_malformed_file_then_no_message_shows_it() {
    for (number, line) in WHOLE.lines().enumerate() {
        let Some((key, _)) = line.split_once(" = ") else { continue };
        for form in [
            format!("\"{SECRET}\""),
            format!("'{SECRET}"),
            SECRET.to_owned(),
            format!("[\"{SECRET}\"]"),
            format!("{{ a = \"{SECRET}\" }}"),
            format!("\"\" {SECRET}"),
            format!("\"\"\"\n{SECRET} = "),
        ] {
            let bad: Vec<String> = WHOLE
                .lines()
                .enumerate()
                .map(|(at, line)| match at == number {
                    true => format!("{key} = {form}"),
                    false => line.to_owned(),
                })
                .collect();
            if let Err(shown) = settings(Some(&bad.join("\n")), "sudo", &[]) {
                assert!(!format!("{shown} {shown:?}").contains(SECRET), "{shown:?}");
            }
            let shown = settings(None, "sudo", &[&format!("{key}={form}")]).expect_err(&form);
            assert!(!format!("{shown} {shown:?}").contains(SECRET), "{shown:?}");
        }
    }
}

// E14.
#[test]
fn given_a_table_of_registration_then_it_is_read_as_strictly_and_no_login_depends_on_it() {
    let registration = |text: &str| {
        let text = format!("schema = 1\n[registration]\n{text}\n");
        ConfigFile::parse(text.as_bytes()).map(|file| file.registration)
    };
    assert_eq!(registration("").expect("empty"), Registration::default());
    let whole = ConfigFile::parse(WHOLE.as_bytes()).expect("whole").registration;
    let aaguids = whole.aaguids.expect("models");
    assert_eq!((aaguids.len(), aaguids[0][0], aaguids[1][15]), (2, 0x2f, 0x1c));
    let roots = whole.attestation_roots.expect("roots");
    assert_eq!(roots, "/etc/fidokey/attestation-roots.pem");

    let one = "\"2fc0579f-8113-47ea-b116-bb5a8db9202a\"";
    for wrong in [
        "aaguids = []".to_owned(),
        "aaguids = [\"2FC0579F-8113-47ea-b116-bb5a8db9202a\"]".to_owned(),
        "aaguids = [\"2fc0579f8113-47ea-b116-bb5a8db9202a\"]".to_owned(),
        "aaguids = [\"00000000-0000-0000-0000-000000000000\"]".to_owned(),
        "aaguids = [1]".to_owned(),
        format!("aaguids = {one}"),
        format!("aaguids = [{one}, {one}]"),
        format!("aaguid = [{one}]"),
        "attestation_roots = \"roots.pem\"".to_owned(),
        "attestation_roots = \"/etc/../roots.pem\"".to_owned(),
        "attestation_roots = \"/etc//roots.pem\"".to_owned(),
        "attestation_roots = \"/\"".to_owned(),
        "attestation_roots = \"/a\\u0000\"".to_owned(),
        format!("attestation_roots = \"/{}\"", "a".repeat(4095)),
        "attestation_roots = [\"/a\"]".to_owned(),
        "verification = \"none\"".to_owned(),
    ] {
        let misfit = registration(&wrong).expect_err(&wrong);
        assert_eq!(misfit.line, 3, "{wrong}");
    }
    // A login under it is what it would be, a wrong one denies it, and the module's line has nothing of it.
    let line = &["mode=second-factor"];
    let table = format!("schema = 1\n[registration]\naaguids = [{one}]\n");
    assert_eq!(in_force(Some(&table), "sudo", line), in_force(None, "sudo", line));
    assert!(settings(Some("schema = 1\n[registration]\naaguids = []\n"), "sudo", line).is_err());
    for argument in ["aaguids=x", "attestation_roots=/x"] {
        let refused =
            settings(None, "sudo", &["mode=second-factor", argument]).expect_err(argument);
        assert!(refused.to_string().contains("belongs in the policy file"), "{refused}");
    }
}
