//! The system that is looked at: the running one, or one that is mounted somewhere and whose accounts are those of its
//! `/etc/passwd`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use fidokey_core::credential::{AccountName, Uid};
use fidokey_core::ports::{Account, Fault};
use fidokey_system::files::Places;
use fidokey_system::tree::Tree;

use super::files;
use crate::account;
use crate::outcome::{Exit, Failure};

/// The largest `/etc/passwd` of a system that does not run.
const PASSWD_MAX: usize = 16 * 1024 * 1024;

/// A system.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) places: Places,
    pub(crate) tree: Tree,
    pub(crate) accounts: Accounts,
    /// Whether it is the running one, which has devices.
    pub(crate) running: bool,
}

/// The accounts of a system.
#[derive(Debug)]
pub(crate) enum Accounts {
    /// What the name service says.
    Service,
    /// What is in a file.
    File { by_name: HashMap<AccountName, Uid>, by_uid: HashMap<Uid, AccountName> },
    /// Nothing can be said.
    #[cfg(test)]
    Fails,
}

impl World {
    /// The system beneath `root`, or the running one.
    ///
    /// # Errors
    /// [`Failure`] where it may not or cannot be looked at.
    pub(crate) fn new(root: Option<&Path>) -> Result<Self, Failure> {
        let root = root.unwrap_or(Path::new("/"));
        let tree = Tree::at(root).map_err(|error| {
            let (wrong, _) = files::told(&error, false);
            Failure::new(
                Exit::Unreadable,
                format!("{} cannot be looked into: {wrong}.", error.path),
                "Say with --root where the system is mounted, or leave it out for this one.",
            )
        })?;
        let running = tree.is_running();
        let euid = fidokey_system::accounts::effective_uid();
        if running && euid != 0 {
            return Err(Failure::new(
                Exit::NotPermitted,
                "Only root sees all that has to be looked at: states, and whether keys can be opened.",
                "Run `sudo fidokey doctor`.",
            ));
        }
        // The walk follows no link, and above the root nothing is of that system.
        let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        // Whoever is not root looks at a system of their own making, whose files are theirs.
        let places = Places { root: real, owner: euid, ..Places::system() };
        let accounts = if running { Accounts::Service } else { Accounts::of_file(&tree)? };
        Ok(Self { places, tree, accounts, running })
    }

    /// `path` of that system as it is named here.
    pub(crate) fn place(&self, path: impl AsRef<Path>) -> PathBuf {
        self.places.beneath(path.as_ref())
    }
}

impl Accounts {
    fn of_file(tree: &Tree) -> Result<Self, Failure> {
        let text = tree.read(Path::new("/etc/passwd"), PASSWD_MAX).map_err(|error| {
            let (wrong, remedy) = files::told(&error, false);
            let happened = format!("{} has the accounts, and cannot be read: {wrong}.", error.path);
            Failure::new(Exit::Unreadable, happened, remedy)
        })?;
        Ok(Self::parse(&text.map(|(text, _whole)| text).unwrap_or_default()))
    }

    /// The accounts of a text like passwd(5): the first line of a name and the first of a number count.
    fn parse(text: &[u8]) -> Self {
        let (mut by_name, mut by_uid) = (HashMap::new(), HashMap::new());
        for line in String::from_utf8_lossy(text).lines() {
            let mut fields = line.split(':');
            let (Some(name), Some(_), Some(uid)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let (Ok(name), Ok(uid)) = (AccountName::new(name), uid.parse::<Uid>()) else {
                continue;
            };
            by_name.entry(name.clone()).or_insert(uid);
            by_uid.entry(uid).or_insert(name);
        }
        Self::File { by_name, by_uid }
    }

    /// The account of that number.
    ///
    /// # Errors
    /// [`Fault`] of the name service.
    pub(crate) fn of_uid(&self, uid: Uid) -> Result<Option<Account>, Fault> {
        match self {
            Self::Service => account::look_up_number(uid),
            Self::File { by_uid, .. } => {
                Ok(by_uid.get(&uid).map(|name| Account { uid, name: name.clone() }))
            }
            #[cfg(test)]
            Self::Fails => Err(Fault { call: "getpwuid_r", errno: 5 }),
        }
    }

    /// The account of that name.
    ///
    /// # Errors
    /// [`Fault`] of the name service.
    pub(crate) fn of_name(&self, name: &AccountName) -> Result<Option<Account>, Fault> {
        match self {
            Self::Service => account::look_up(name),
            Self::File { by_name, .. } => {
                by_name.get(name).map_or(Ok(None), |uid| self.of_uid(*uid))
            }
            #[cfg(test)]
            Self::Fails => Err(Fault { call: "getpwnam_r", errno: 5 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_text_of_accounts_then_the_first_lines_count_and_what_is_none_does_not() {
        let accounts = Accounts::parse(
            b"root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\n\nalice:x:1000:1000\nalice:x:1001\n\
              +::::::\nbad\xff name:x:7:7\nbob:x:-1:\neve:x",
        );
        let name = |uid| accounts.of_uid(uid).unwrap().map(|account| account.name.to_string());
        assert_eq!((name(0), name(1000)), (Some("root".to_owned()), Some("alice".to_owned())));
        assert_eq!((name(7), name(1)), (None, None));
        let uid = |name| {
            let account = accounts.of_name(&AccountName::new(name).unwrap()).unwrap()?;
            Some((account.uid, account.name.to_string()))
        };
        assert_eq!(uid("alice"), Some((1000, "alice".to_owned())));
        // Another name of the same account.
        assert_eq!(uid("toor"), Some((0, "root".to_owned())));
        assert_eq!((uid("bob"), uid("eve")), (None, None));
    }
}
