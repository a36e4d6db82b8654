//! What others wrote and we ship: each crate is known, comes from one place, and may be used.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fidokey_tests::sbom::{INSTALLED, bill, checksums, uses};

/// What `deny.toml` allows.
const LICENCES: [&str; 5] = ["MIT", "Apache-2.0", "BSD-3-Clause", "ISC", "Unicode-3.0"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where this fails, somebody adds a crate to what login loads, or another version of one: look at it, then
/// `make sbom`.
#[test]
fn given_what_is_compiled_then_the_bills_of_materials_list_it() {
    for package in INSTALLED {
        let path = workspace().join(format!("packaging/sbom/{package}.cdx.json"));
        let text = fs::read_to_string(path).unwrap();
        assert!(text == bill(&workspace(), package), "{package}: the bill of materials is another");
    }
}

/// One place: whoever builds asks nobody else.
#[test]
fn given_the_lock_then_all_of_others_comes_from_crates_io() {
    let lock = fs::read_to_string(workspace().join("Cargo.lock")).unwrap();
    let sources: Vec<&str> =
        lock.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
    assert!(sources.len() > 100, "{}", sources.len());
    let crates_io = "\"registry+https://github.com/rust-lang/crates.io-index\"";
    assert!(sources.iter().all(|source| *source == crates_io), "{sources:?}");
}

#[test]
fn given_each_crate_then_it_has_a_checksum_a_licence_and_one_version() {
    let checksums = checksums(&workspace());
    for package in INSTALLED {
        let uses = uses(&workspace(), package);
        assert!(uses.len() > 40, "{}", uses.len());
        let mut versions = BTreeMap::new();
        for it in uses.keys() {
            // Of several that may be chosen from, one is enough; of several that all count, each must be known.
            let known = |one: &str| LICENCES.contains(&one.trim_matches(['(', ')', ' ']));
            let known = |all: &str| all.split(" OR ").any(known);
            assert!(it.licence.split(" AND ").all(known), "{it:?}");
            let locked = checksums.contains_key(&(it.name.clone(), it.version.clone()));
            assert_eq!(locked, !it.ours, "{it:?}");
            let other = versions.insert(&it.name, &it.version);
            assert_eq!(other, None, "{it:?} twice");
        }
    }
}
