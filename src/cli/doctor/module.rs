//! The module itself: whether it is a library, whether it is the only one, and who could replace it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fidokey_core::findings::Kind;
use fidokey_core::stack::MODULE;
use fidokey_system::stacks::Stacks;

use super::report::{Place, Report, word};
use super::stacks::Asking;
use super::world::World;

/// The largest module that is compared with another one, in bytes. Ours has a fiftieth.
const MODULE_MAX: usize = 32 * 1024 * 1024;
/// What an ELF file says first (elf(5)): magic, and up to the machine that it is for.
const HEAD: usize = 20;

/// Looks at the modules that stacks name, and at the one that is installed.
pub(crate) fn examine(world: &World, asking: &[Asking], report: &mut Report) {
    let stacks = Stacks::new(world.places.clone());
    let names: BTreeSet<&[u8]> = asking.iter().map(|service| service.module.as_slice()).collect();
    let names = names.into_iter().chain([MODULE.as_bytes()]);
    let paths: BTreeSet<PathBuf> = names.flat_map(|name| stacks.modules(name)).collect();
    // By the machine that they are for: there may be one for programs of 32 bits beside that of 64.
    let mut machines: BTreeMap<Vec<u8>, (PathBuf, Vec<u8>)> = BTreeMap::new();
    for path in paths {
        let place = world.place(&path);
        unsafe_module(world, &path, report);
        match text(world, &path) {
            Some(text) if is_library(&text) => {
                let machine = text.get(..HEAD).unwrap_or_default().to_vec();
                match machines.get(&machine) {
                    Some((first, other)) if *other != text => {
                        let wrong = format!("It is another module than {}.", first.display());
                        let remedy = format!(
                            "See which one is of the package (`ls -l {} {}`) and remove the other.",
                            word(first),
                            word(&place)
                        );
                        report.found(Kind::ModuleCopies, Place::file(&place), wrong, remedy);
                    }
                    Some(_) => {}
                    None => {
                        machines.insert(machine, (place, text));
                    }
                }
            }
            _ => {
                let wrong = "It is no library, so every login by it is denied.";
                let remedy = format!("Install fidokey again; see `file {}`.", word(&place));
                report.found(Kind::ModuleUnusable, Place::file(&place), wrong, remedy);
            }
        }
    }
}

fn text(world: &World, path: &Path) -> Option<Vec<u8>> {
    match world.tree.read(path, MODULE_MAX) {
        Ok(Some((text, true))) => Some(text),
        _ => None,
    }
}

/// Whether it is an ELF file at all. Whether it can be loaded, `fidokey test` and a login tell.
fn is_library(text: &[u8]) -> bool {
    text.starts_with(b"\x7fELF") && text.len() > HEAD
}

fn unsafe_module(world: &World, path: &Path, report: &mut Report) {
    let Err(error) = world.tree.check(path, world.places.owner) else { return };
    let at = word(&error.path);
    let (wrong, remedy) = match error.reason {
        "owner" => ("it does not belong to root", format!("`chown root:root {at}`")),
        "mode" => ("others than root may write to it", format!("`chmod go-w {at}`")),
        other => (other, format!("See `ls -ld {at}`.")),
    };
    let wrong = format!("The module {} could be replaced: {wrong}.", path.display());
    let remedy =
        format!("See that nobody has tampered with it, then {}.", remedy.trim_end_matches('.'));
    report.found(Kind::ModuleUnsafe, Place::file(error.path.as_ref()), wrong, remedy);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::chown;

    use crate::doctor::scratch::Scratch;

    const LIBRARY: &str = "usr/lib/x86_64-linux-gnu/security";

    // I8.
    #[test]
    fn given_a_module_that_others_could_replace_then_every_login_is_weaker() {
        let tree = Scratch::enabled("module-unsafe");
        assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
        for level in [format!("{LIBRARY}/pam_fidokey.so"), LIBRARY.to_owned(), "usr".to_owned()] {
            tree.mode(&level, 0o775);
            assert_eq!((tree.found(), tree.exit()), (vec![format!("module-unsafe /{level}")], 1));
            assert!(tree.text().contains("`chmod go-w "), "{}", tree.text());
            tree.mode(&level, 0o755);
        }
        if chown(tree.path(LIBRARY), Some(4711), None).is_ok() {
            assert_eq!(tree.found(), [format!("module-unsafe /{LIBRARY}")]);
        }
    }

    // I8.
    #[test]
    fn given_another_module_or_none_then_it_is_said() {
        let tree = Scratch::enabled("module-copies");
        let module = fs::read(tree.path(&format!("{LIBRARY}/pam_fidokey.so"))).unwrap();
        // libpam looks there too; the same one is no matter.
        tree.write("usr/lib/security/pam_permit.so", "");
        tree.write("usr/lib/security/pam_fidokey.so", &module);
        assert_eq!(tree.found(), [""; 0]);
        let mut other = module.clone();
        other.push(0);
        tree.write("usr/lib/security/pam_fidokey.so", &other);
        assert_eq!(tree.found(), [format!("module-copies /{LIBRARY}/pam_fidokey.so")]);
        // For another machine.
        other[18] ^= 1;
        tree.write("usr/lib/security/pam_fidokey.so", &other);
        assert_eq!(tree.found(), [""; 0]);
        for broken in ["", "#!/bin/sh\necho this is no library at all\n"] {
            tree.write("usr/lib/security/pam_fidokey.so", broken);
            assert_eq!(tree.found(), ["module-unusable /usr/lib/security/pam_fidokey.so"]);
            assert_eq!(tree.exit(), 1);
        }
    }
}
