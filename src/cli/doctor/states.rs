//! The states: whether signature counters are compared, and for whom.

use std::path::Path;

use fidokey_core::credential::Uid;
use fidokey_core::findings::Kind;
use fidokey_core::ports::FileError;
use fidokey_core::state::State;

use fidokey_system::files::{account_file, account_in};
use fidokey_system::pending::JOURNAL;

use super::files;
use super::records::{is_leftover, left_over};
use super::report::{Place, Report, word};
use super::world::World;

/// Looks at every state.
pub(crate) fn examine(world: &World, report: &mut Report) {
    // What a login would say of any account's; that there is none for this one is no matter.
    if let Err(error) = world.places.read_state(Uid::MAX) {
        uncompared(
            report,
            &error,
            "Signature counters are not compared, so a copy of a key is not noticed",
        );
        return;
    }
    pending(world, report);
    let directory = &world.places.state;
    let names = match world.tree.names(directory) {
        Ok(names) => names.unwrap_or_default(),
        Err(error) => return uncompared(report, &error, "The states cannot be listed"),
    };
    for name in names.names {
        let path = world.place(directory).join(&name);
        match name.to_str() {
            Some(name) if is_leftover(name) => left_over(report, &path),
            // Locks, and what is nobody's business here.
            _ => {
                if let Some(uid) = account_in(&name) {
                    state(world, uid, &path, report);
                }
            }
        }
    }
}

/// A change of a stack that waits to be confirmed.
fn pending(world: &World, report: &mut Report) {
    let journal = world.places.stacks.join(JOURNAL);
    if !matches!(world.tree.look(&journal), Ok(None)) {
        let path = world.place(&journal);
        let wrong = "A change of a stack is being tried; it is taken back unless it is confirmed.";
        let remedy = format!("See what it is: `cat {}`.", word(&path));
        report.found(Kind::PendingChange, Place::file(&path), wrong, remedy);
    }
}

fn uncompared(report: &mut Report, error: &FileError, what: &str) {
    let (wrong, remedy) = files::told(error, true);
    let place = Place::file(error.path.as_ref());
    report.found(Kind::StateUnsafe, place, format!("{what}: {wrong}."), remedy);
}

fn state(world: &World, uid: Uid, path: &Path, report: &mut Report) {
    let place = Place::file(path);
    let remove = format!("`rm {}`", word(path));
    let account = world.accounts.of_uid(uid).ok().flatten();
    let who = account.as_ref().map_or_else(|| format!("Account {uid}"), |one| one.name.to_string());
    let text = match world.places.read_state(uid) {
        Ok(None) => return,
        Ok(Some(file)) => file.text,
        // As a login has it: what is no state is replaced, what others could have written is left alone.
        Err(error) if matches!(error.reason, "changed" | "empty" | "too_large") => {
            let (wrong, _) = files::told(&error, true);
            let wrong = format!("What was known of {who}'s counters is forgotten: {wrong}.");
            report.found(Kind::StateWrong, place, wrong, replaced(&remove));
            return;
        }
        Err(error) => {
            uncompared(report, &error, &format!("{who}'s signature counters are not compared"));
            return;
        }
    };
    let record = world.tree.look(&world.places.users.join(account_file(uid)));
    if matches!(record, Ok(None)) {
        let wrong = format!("{who} has no record any more.");
        report.found(Kind::StateOrphaned, place, wrong, remove);
        return;
    }
    match State::parse(&text) {
        Err(misfit) => {
            let wrong =
                format!("What was known of {who}'s counters is forgotten: {}.", misfit.message);
            report.found(Kind::StateWrong, place.misfit(&misfit), wrong, replaced(&remove));
        }
        Ok(state) => {
            if let Some(account) = account
                && !state.belongs_to(&account.name)
            {
                let wrong = format!("It is that of {}, and {who} begins anew.", state.user());
                report.found(Kind::StateStale, place, wrong, replaced(&remove));
            }
        }
    }
}

/// The next login mends it by itself.
fn replaced(remove: &str) -> String {
    format!("The next login writes it anew; until then {remove} is as good.")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use crate::doctor::scratch::{Scratch, record};

    const STATE: &str = "schema = 1\nuser = \"alice\"\n";

    fn tree(name: &str) -> Scratch {
        let tree = Scratch::new(name);
        tree.write("etc/fidokey/users/1000.toml", record("alice", 1000, &["a", "b"]));
        tree.write("var/lib/fidokey/1000.toml", STATE);
        tree.mode("var/lib/fidokey/1000.toml", 0o600);
        tree
    }

    // S8, I8.
    #[test]
    fn given_states_that_others_may_see_or_write_then_logins_are_weaker() {
        let tree = tree("states-unsafe");
        tree.write("var/lib/fidokey/.1000.lock", "");
        assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
        tree.mode("var/lib/fidokey/1000.toml", 0o640);
        assert_eq!(tree.found(), ["state-unsafe /var/lib/fidokey/1000.toml"]);
        assert_eq!(tree.exit(), 1);
        assert!(tree.text().contains("alice's signature counters are not compared"));
        tree.remove("var/lib/fidokey/1000.toml");
        symlink("/dev/zero", tree.path("var/lib/fidokey/1000.toml")).unwrap();
        assert_eq!(tree.found(), ["state-unsafe /var/lib/fidokey/1000.toml"]);
        tree.mode("var/lib/fidokey", 0o755);
        assert_eq!(tree.found(), ["state-unsafe /var/lib/fidokey"]);
        assert!(tree.text().contains("chmod go-rwx "), "{}", tree.text());
        std::fs::remove_dir_all(tree.path("var/lib/fidokey")).unwrap();
        assert_eq!(tree.found(), ["state-unsafe /var/lib/fidokey"]);
        assert!(tree.text().contains("install -d -m 0700 "), "{}", tree.text());
    }

    #[test]
    fn given_states_that_are_of_no_use_then_it_is_said_and_not_bad() {
        let tree = tree("states-useless");
        for (name, text, found) in [
            (
                "1000.toml",
                "schema = 1\nuser = \"mallory\"\n",
                "state-stale /var/lib/fidokey/1000.toml",
            ),
            ("1000.toml", "schema = 1\nusr = 1\n", "state-wrong /var/lib/fidokey/1000.toml:2:1"),
            ("1000.toml", "", "state-wrong /var/lib/fidokey/1000.toml"),
            ("1001.toml", STATE, "state-orphaned /var/lib/fidokey/1001.toml"),
            (".1000.new", "schema", "leftover /var/lib/fidokey/.1000.new"),
            (
                "../fidokey-stacks/pending.toml",
                "schema = 1\n",
                "pending-change /var/lib/fidokey-stacks/pending.toml",
            ),
        ] {
            let path = match name.strip_prefix("../") {
                Some(beside) => format!("var/lib/{beside}"),
                None => format!("var/lib/fidokey/{name}"),
            };
            tree.write(&path, text);
            tree.mode(&path, 0o600);
            assert_eq!((tree.found(), tree.exit()), (vec![found.to_owned()], 0));
            tree.remove(&path);
        }
    }
}
