//! What the manuals and the README say, held against the code.

use std::fs;
use std::path::{Path, PathBuf};

use fidokey_core::config::keys::KEYS;
use fidokey_core::config::{ConfigError, ConfigFile, Settings};
use fidokey_core::record::Record;
use fidokey_core::state::State;
use fidokey_core::verdict::Reason;
use fidokey_tests::manuals::{REASONS, manuals, place, sections};

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The policy's table, the codes of all denials and the arguments. Where this fails, `make manuals` mends it.
#[test]
fn given_the_manuals_then_their_tables_are_the_codes() {
    assert!(REASONS.into_iter().map(place).eq(0..REASONS.len()));
    for manual in manuals() {
        let text = read(&format!("packaging/man/{}", manual.file));
        let corrected = manual.corrected(&text);
        assert_eq!(text, corrected, "{}", manual.file);
        for (name, part) in &manual.parts {
            assert!(part.lines().count() > 0, "{name}");
        }
    }
}

/// The text of a section.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let (_, section) = text.split_once(&format!("\n.Sh {heading}\n")).unwrap();
    section.split("\n.Sh ").next().unwrap()
}

/// The lists of a section, with what is in them; none of them is in another one.
fn lists(section: &str) -> Vec<&str> {
    let list = |rest: &str| rest.find("\n.El");
    section.split("\n.Bl ").skip(1).map(|rest| &rest[..list(rest).unwrap()]).collect()
}

/// What is between the displays of a manual.
fn displays(text: &str) -> Vec<&str> {
    text.split("\n.Bd -literal\n")
        .skip(1)
        .map(|rest| rest.split("\n.Ed\n").next().unwrap())
        .collect()
}

// K1
/// Each key of policy, record and state has an item in its manual, in the order of the list, with what is built in or whether
/// it may be absent; and there is no other item.
#[test]
fn given_the_manuals_of_the_files_then_their_keys_are_the_codes() {
    for expected in sections() {
        let text = read(&format!("packaging/man/{}", expected.file));
        let lists = lists(section(&text, expected.heading));
        let items = |list: &&str| -> Vec<String> {
            list.lines().filter(|line| line.starts_with(".It ")).map(str::to_owned).collect()
        };
        let found: Vec<Vec<String>> = lists.iter().map(items).collect();
        assert_eq!(found, expected.lists, "{}: {}", expected.file, expected.heading);
    }
}

/// Each word that a rule of the policy can have stands with its key, and so do the least and the greatest number.
#[test]
fn given_the_manual_of_the_policy_then_it_has_every_value() {
    let text = read("packaging/man/fidokey.config.5");
    let list = lists(section(&text, "THE POLICY"))[1];
    for key in KEYS {
        let (_, item) = list.split_once(&format!("\n.It Cm {}", key.name)).unwrap();
        let item = item.split("\n.It ").next().unwrap();
        for value in key.values.iter().filter(|value| !matches!(**value, "true" | "false")) {
            let words = match value.strip_prefix('"') {
                Some(word) => format!("Dq {}", word.trim_end_matches('"')),
                None => format!("{value} "),
            };
            let said = item.replace(['.', ';', '\n'], " ").contains(&words);
            assert!(said, "{} has no {value}", key.name);
        }
    }
}

/// What is shown as a record, a state and a policy is one.
#[test]
fn given_the_examples_of_the_manuals_then_they_are_read() {
    let text = read("packaging/man/fidokey.record.5");
    let [record, state] = displays(&text)[..] else { panic!("two examples") };
    let record = Record::parse(format!("{record}\n").as_bytes()).unwrap();
    let mut state = State::parse(format!("{state}\n").as_bytes()).unwrap();
    assert!(state.belongs_to(&record.user));
    // Of this very credential: what it had seen is still known.
    assert!(state.went_back(&record.credentials[0], 7));
    state.set_aside("sudo", "su");
    assert_eq!(state.marks("su").len(), 1);
    let text = read("packaging/man/fidokey.config.5");
    let examples = displays(&text);
    assert_eq!(examples.len(), 1);
    ConfigFile::parse(examples[0].as_bytes()).unwrap();
    for document in ["README.md", "GUIDE.md"] {
        let text = read(document);
        let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let read =
            blocks.inspect(|block| drop(ConfigFile::parse(block.as_bytes()).unwrap())).count();
        assert!(read > 0, "{document}");
    }
}

// K2
/// Every argument that the module's manual has is one. That it has all of them is `make manuals`.
#[test]
fn given_the_manual_of_the_module_then_each_argument_in_it_is_taken() {
    let text = read("packaging/man/pam_fidokey.8");
    let arguments = section(&text, "ARGUMENTS");
    let marked = arguments
        .lines()
        .filter_map(|line| line.strip_prefix(".Cm ").or_else(|| line.strip_prefix(".It Cm ")));
    let lines = arguments.lines().filter_map(|line| Some(line.split_once("pam_fidokey.so ")?.1));
    let mut values = 0;
    for word in marked.chain(lines).flat_map(str::split_whitespace) {
        let known = KEYS.iter().any(|key| key.name == word);
        // What stands in the line before the module's name is PAM's.
        if known || matches!(word, "," | "." | "required") {
            continue;
        }
        let taken = Settings::for_service(None, "sudo", &[word.as_bytes()]);
        assert!(!matches!(taken, Err(ConfigError::Argument { .. })), "{word}: {taken:?}");
        values += 1;
    }
    assert!(values >= 4);
    for key in KEYS {
        assert!(arguments.contains(key.name), "{}", key.name);
    }
}

/// The commands that `guide.sh` has, with why where it does not run them.
fn of_the_scenario() -> Vec<(String, bool)> {
    let text = read("tests/vm/guest/guide.sh");
    let line = |line: &str| {
        let line = line.trim_start();
        let (word, rest) = line.split_once(' ')?;
        let quote = rest.chars().find(|c| matches!(c, '"' | '\''))?;
        let (who, rest) = rest.split_once(quote)?;
        let (command, reason) = rest.split_once(quote)?;
        let reason = reason.trim().trim_matches('\'');
        match word {
            "guided" if matches!(who, "alice " | "root ") => Some((command.to_owned(), true)),
            "named" if who.is_empty() => Some((command.to_owned(), true)),
            "elsewhere" if who.is_empty() => Some((command.to_owned(), reason.len() > 10)),
            _ => None,
        }
    };
    text.lines().filter_map(line).collect()
}

/// Every command of the guide and of the README is run in ring 3, or it is said there what runs it instead; and no other is
/// there.
#[test]
fn given_the_guide_then_each_command_in_it_is_run_by_a_scenario() {
    let output = std::process::Command::new("awk")
        .arg("-f")
        .arg(root().join("tests/vm/guest/commands.awk"))
        .args(["GUIDE.md", "README.md"].map(|document| root().join(document)))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let shown: Vec<&str> = text.lines().collect();
    assert!(shown.len() > 20, "{shown:?}");
    let known = of_the_scenario();
    assert!(known.iter().all(|(_, reason)| *reason), "{known:?}");
    for command in &shown {
        let run = known.iter().any(|(known, _)| known == command);
        assert!(run, "tests/vm/guest/guide.sh has no line for: {command}");
    }
    for (command, _) in &known {
        assert!(shown.contains(&command.as_str()), "neither GUIDE.md nor README.md has: {command}");
    }
}

/// What the README shows as built in is.
#[test]
fn given_the_readme_then_its_defaults_are_the_codes() {
    let text = read("README.md");
    let (_, example) = text.split_once("[default]\n").unwrap();
    let (example, _) = example.split_once("\n\n").unwrap();
    let mut shown = 0;
    for line in example.lines() {
        let setting = line.split('#').next().unwrap().trim();
        let (name, value) = setting.split_once(" = ").unwrap();
        let key = KEYS.iter().find(|key| key.name == name).unwrap_or_else(|| panic!("{name}?"));
        assert_eq!(key.built_in, Some(value), "{name}");
        shown += 1;
    }
    assert!(shown >= 4);
}

/// Every word that a log line can have as its reason is one of the manual's, and none is there twice.
#[test]
fn given_the_reasons_then_their_words_are_all_different() {
    let words: Vec<&str> = REASONS.into_iter().map(Reason::word).collect();
    for (index, word) in words.iter().enumerate() {
        assert!(!words[..index].contains(word), "{word}");
    }
}
