//! Which services there are: what is in the directories of the stacks, less what others include.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use fidokey_core::findings::Kind;
use fidokey_core::stack::{Chain, Files, MODULE};
use fidokey_system::stacks::{STACK_MAX, Stacks};
use fidokey_system::tree::{Seen, SeenKind};

use crate::doctor::report::{Place, Report, word};
use crate::doctor::world::World;
use crate::stack::INCLUDED;

/// What package managers and editors leave beside a file.
const LEFT_BEHIND: [&str; 9] = [
    "~",
    ".bak",
    ".dpkg-dist",
    ".dpkg-new",
    ".dpkg-old",
    ".orig",
    ".pam-old",
    ".rpmnew",
    ".rpmsave",
];
/// The most services that are gone through. There are some dozens.
const SERVICES_MAX: usize = 10_000;

/// What stands where a stack should and is none that could be gone through.
pub(super) fn odd_files(world: &World, stacks: &Stacks, report: &mut Report) {
    for name in stacks.services() {
        let path = Path::new("/etc/pam.d").join(&name);
        let place = Place::file(&world.place(&path));
        let remedy = format!("See what it is: `ls -l {}`.", word(world.place(&path)));
        match world.tree.look(&path) {
            Ok(Some(Seen { kind: SeenKind::Other, .. })) => {
                let wrong =
                    format!("{name}: it is no file, and libpam waits for what it would say.");
                report.found(Kind::StackUnreadable, place, wrong, remedy);
            }
            Ok(Some(Seen { kind: SeenKind::File, size, .. })) if size > STACK_MAX as u64 => {
                let wrong = format!("{name}: it is larger than 256 KiB, and is not gone through.");
                report.found(Kind::StackUnclear, place, wrong, remedy);
            }
            _ => {}
        }
    }
}

/// The services, and whether there are more than are gone through. A fragment is none: what it is worth shows in those that
/// include it.
pub(crate) fn services(stacks: &Stacks) -> (BTreeSet<String>, bool) {
    let mut services = BTreeSet::new();
    for name in stacks.services() {
        // libpam puts the name of a service into lower case: it never comes to others.
        let comes = name.to_ascii_lowercase() == name;
        let left_behind = LEFT_BEHIND.iter().any(|end| name.ends_with(end));
        if comes
            && !left_behind
            && services.len() < SERVICES_MAX
            && stacks.path(name.as_bytes()).is_some()
        {
            services.insert(name);
        }
    }
    let mut included = BTreeSet::new();
    for service in &services {
        let reader = Reader::new(stacks);
        let _ = Chain::read(service.as_bytes(), &reader);
        included
            .extend(reader.names().into_iter().filter(|name| name != service && name != "other"));
    }
    let there_are_more = services.len() >= SERVICES_MAX;
    services.retain(|name| !included.contains(name) || INCLUDED.contains(&name.as_str()));
    (services, there_are_more)
}

/// [`Files`] that keep in mind what was asked for.
pub(crate) struct Reader<'s> {
    stacks: &'s Stacks,
    read: RefCell<BTreeSet<Vec<u8>>>,
}

impl<'s> Reader<'s> {
    pub(crate) const fn new(stacks: &'s Stacks) -> Self {
        Self { stacks, read: RefCell::new(BTreeSet::new()) }
    }

    /// The names that were asked for, by which services go.
    fn names(&self) -> Vec<String> {
        let name = |name: &Vec<u8>| String::from_utf8(name.clone()).ok();
        self.read.borrow().iter().filter_map(name).collect()
    }

    /// Whether one of the texts names the module, in whatever way.
    pub(crate) fn names_us(&self) -> bool {
        let text = |name: &Vec<u8>| self.stacks.stack(name);
        self.read.borrow().iter().filter_map(text).any(|text| names_us(&text))
    }
}

impl Files for Reader<'_> {
    fn stack(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.read.borrow_mut().insert(name.to_vec());
        self.stacks.stack(name)
    }

    fn has_module(&self, name: &[u8]) -> bool {
        self.stacks.has_module(name)
    }
}

fn names_us(text: &[u8]) -> bool {
    let module = MODULE.as_bytes();
    text.split(|&byte| byte == b'\n').any(|line| {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
        line.windows(module.len()).any(|part| part == module)
    })
}
