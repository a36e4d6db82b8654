//! What is compiled into each of the programs that are installed, as a bill of materials in the form of CycloneDX 1.5:
//! every crate with its version, licence, and the checksum of its source. `make sbom` writes them; a test holds them
//! against what cargo would build.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// The packages whose output is installed.
pub const INSTALLED: [&str; 2] = ["pam_fidokey", "fidokey"];

/// A crate as cargo's tree has it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Crate {
    /// Its name on crates.io, or ours.
    pub name: String,
    /// The version that is locked.
    pub version: String,
    /// An SPDX expression.
    pub licence: String,
    /// Whether it is a member of this workspace.
    pub ours: bool,
}

impl Crate {
    fn reference(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }
}

/// Which crate uses which, from the package down; those that only run while it is built are not among them.
///
/// # Panics
/// cargo does not say.
#[must_use]
pub fn uses(workspace: &Path, package: &str) -> BTreeMap<Crate, BTreeSet<Crate>> {
    let arguments =
        ["tree", "--locked", "--no-dedupe", "--prefix", "depth", "--edges", "normal,no-proc-macro"];
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args([
            "--target",
            "x86_64-unknown-linux-gnu",
            "--format",
            "|{p}|{l}",
            "--package",
            package,
        ])
        .current_dir(workspace)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut uses: BTreeMap<Crate, BTreeSet<Crate>> = BTreeMap::new();
    let mut above: Vec<Crate> = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.is_empty()) {
        let [depth, package, licence] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("not a line of the tree: {line}")
        };
        let mut words = package.split(' ');
        let mut word = || words.next().expect("a name, a version").to_owned();
        let it = Crate {
            name: word(),
            version: word().trim_start_matches('v').to_owned(),
            licence: licence.replace('/', " OR "),
            ours: package.contains(" (/"),
        };
        above.truncate(depth.parse().expect("a depth"));
        if let Some(user) = above.last() {
            uses.entry(user.clone()).or_default().insert(it.clone());
        }
        uses.entry(it.clone()).or_default();
        above.push(it);
    }
    uses
}

/// The checksums of `Cargo.lock`, SHA-256 in hexadecimal, by name and version.
///
/// # Panics
/// There is no such file.
#[must_use]
pub fn checksums(workspace: &Path) -> BTreeMap<(String, String), String> {
    let lock = fs::read_to_string(workspace.join("Cargo.lock")).expect("Cargo.lock");
    let value = |part: &str, key: &str| {
        let line = part.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let of = |part: &str| {
        Some(((value(part, "name")?, value(part, "version")?), value(part, "checksum")?))
    };
    lock.split("[[package]]").filter_map(of).collect()
}

/// The bill of materials of a package, as it is installed.
///
/// # Panics
/// As [`uses`] and [`checksums`].
#[must_use]
pub fn bill(workspace: &Path, package: &str) -> String {
    let uses = uses(workspace, package);
    let checksums = checksums(workspace);
    let (top, components): (Vec<&Crate>, Vec<&Crate>) =
        uses.keys().partition(|it| it.name == package);
    let component = |it: &Crate| {
        let mut component = json!({
            "type": if it.name == package { "application" } else { "library" },
            "bom-ref": it.reference(),
            "name": it.name,
            "version": it.version,
            "licenses": [{ "expression": it.licence }],
            "purl": it.reference(),
        });
        if let Some(checksum) = checksums.get(&(it.name.clone(), it.version.clone())) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        component
    };
    let dependencies: Vec<Value> = uses
        .iter()
        .map(|(user, used)| {
            let used: Vec<String> = used.iter().map(Crate::reference).collect();
            json!({ "ref": user.reference(), "dependsOn": used })
        })
        .collect();
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": component(top.first().expect("the package itself")) },
        "components": components.into_iter().map(component).collect::<Vec<_>>(),
        "dependencies": dependencies,
    });
    let mut text = serde_json::to_string_pretty(&bill).expect("it is a tree");
    text.push('\n');
    text
}
