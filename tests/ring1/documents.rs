//! What the manuals and the README say, held against the code.

use std::fs;
use std::path::{Path, PathBuf};

use fidokey_core::config::keys::KEYS;
use fidokey_core::verdict::Reason;
use fidokey_tests::manuals::{REASONS, key_items, manuals, place};

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

/// Each key of the policy has an item in its manual, in the order of the list and with what is built in.
#[test]
fn given_the_manual_of_the_policy_then_its_keys_and_defaults_are_the_codes() {
    let text = read("packaging/man/fidokey.conf.5");
    let (_, table) = text.split_once("that over the built-in value").unwrap();
    let (table, _) = table.split_once("\n.El\n").unwrap();
    let items: Vec<&str> = table.lines().filter(|line| line.starts_with(".It ")).collect();
    assert_eq!(items, key_items());
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
