//! What the verbs about stacks have in common: whose stacks, what was changed, and how a file is put back.

use std::time::Duration;

use fidokey_core::audit::Line;
use fidokey_core::stack::{Chain, Files, Handler, Refusal, Trouble};
use fidokey_system::accounts::{effective_uid, real_uid};
use fidokey_system::files::Places;
use fidokey_system::pending::Kept;
use fidokey_system::stacks::{Service, Stacks};

use crate::log;
use crate::outcome::{Exit, Failure};
use crate::terminal::waiting_for;

pub(crate) mod disable;
pub(crate) mod enable;
mod lockout;
mod proof;
pub(crate) mod revert;
mod timer;

/// How long to wait for somebody else who edits stacks.
const PATIENCE: Duration = Duration::from_secs(2);
const EDITED: &str = "Waiting for somebody else who edits the stacks.";

/// A stack that is to be replaced.
struct Edit {
    service: String,
    before: Service,
    after: Vec<u8>,
    /// The line that came or went, from 1.
    line: usize,
}

/// Services that others include, and that are no fragments all the same.
pub(crate) const INCLUDED: [&str; 4] = ["login", "su", "sudo", "sshd"];
/// A service that a program asks for instead of another one where it starts a login shell (`sudo -i`, `su -`): whoever is asked
/// for a key by the one would go by the other.
pub(crate) const BESIDE: [(&str, &str); 2] = [("sudo", "sudo-i"), ("su", "su-l")];

/// The services that are meant, each once: those that are named, and those beside them that there are.
fn meant(named: &[String], stacks: &Stacks) -> Vec<String> {
    let mut meant: Vec<String> = Vec::new();
    for name in named {
        let beside = BESIDE.into_iter().filter(|(of, _)| of == name).map(|(_, beside)| beside);
        let beside = beside.filter(|beside| stacks.stack(beside.as_bytes()).is_some());
        for one in [name.as_str()].into_iter().chain(beside) {
            if !meant.iter().any(|known| known == one) {
                meant.push(one.to_owned());
            }
        }
    }
    meant
}

/// The stacks as they will be.
struct After<'a> {
    stacks: &'a Stacks,
    edits: Vec<(&'a str, &'a [u8])>,
}

impl Files for After<'_> {
    fn stack(&self, name: &[u8]) -> Option<Vec<u8>> {
        let edited = self.edits.iter().find(|(service, _)| service.as_bytes() == name);
        edited.map_or_else(|| self.stacks.stack(name), |(_, text)| Some(text.to_vec()))
    }

    fn has_module(&self, name: &[u8]) -> bool {
        self.stacks.has_module(name)
    }
}

/// Root, and by nobody's setuid bit.
fn only_root(verb: &str) -> Result<(), Failure> {
    if real_uid() == 0 && effective_uid() == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::NotPermitted,
        "Only root edits the stacks in /etc/pam.d.",
        format!("Run `sudo fidokey {verb}`, or ask your administrator."),
    ))
}

/// Not what other services include, as `common-auth`: a line in there would be in all of them, and was judged in none.
fn is_service(stacks: &Stacks, name: &str) -> Result<(), Failure> {
    let beside = BESIDE.into_iter().find(|(of, _)| *of == name).map(|(_, beside)| beside);
    let without = Without { stacks, name };
    let depends = |other: &String| {
        let chain = |files: &dyn Files| Chain::read(other.as_bytes(), files).ok();
        chain(stacks).is_some_and(|chain| {
            let names = |handler: &Handler| handler.place.file == name.as_bytes();
            chain.handlers().iter().any(names)
        }) && chain(&without) != chain(stacks)
    };
    let others = stacks
        .services()
        .into_iter()
        .filter(|other| other != name && Some(other.as_str()) != beside);
    if INCLUDED.contains(&name) {
        return Ok(());
    }
    let users: Vec<String> = others.filter(depends).collect();
    let Some(first) = users.first() else { return Ok(()) };
    Err(Failure::new(
        Exit::No,
        format!(
            "{name} was not changed: it is a part of {} other services, {first} among them.",
            users.len()
        ),
        "Enable those; for all at once there are `pam-auth-update --enable fidokey` and authselect's profile.",
    ))
}

/// The stacks, but for one file.
struct Without<'a> {
    stacks: &'a Stacks,
    name: &'a str,
}

impl Files for Without<'_> {
    fn stack(&self, name: &[u8]) -> Option<Vec<u8>> {
        (name != self.name.as_bytes()).then(|| self.stacks.stack(name)).flatten()
    }

    fn has_module(&self, name: &[u8]) -> bool {
        self.stacks.has_module(name)
    }
}

/// The service as it is now.
fn service(stacks: &Stacks, name: &str) -> Result<Service, Failure> {
    stacks.service(name)?.ok_or_else(|| {
        Failure::new(
            Exit::No,
            format!("There is no service {name}."),
            "See `ls /etc/pam.d` for those that there are.",
        )
    })
}

/// What is kept of edits, locked against others who edit.
fn kept(places: &Places) -> Result<Kept<'_>, Failure> {
    waiting_for(EDITED, || places.kept(PATIENCE))?.ok_or_else(|| {
        Failure::new(
            Exit::No,
            "Nothing was changed: somebody else is editing the stacks.",
            "Run the command again when that is done.",
        )
    })
}

/// Replaces each stack, after the text before was kept; all of them, or none.
fn write(stacks: &Stacks, edits: &[Edit]) -> Result<(), Failure> {
    for (done, edit) in edits.iter().enumerate() {
        if let Err(error) = put(stacks, &edit.service, &edit.after) {
            for undone in edits.iter().take(done.saturating_add(1)) {
                // What cannot be put back either is what it was, or whole and new: one file is never half of each.
                let _ = back(stacks, undone);
            }
            return Err(error.into());
        }
    }
    Ok(())
}

/// The text, or none where the vendor's is the same: then the administrator's file is not needed.
fn put(stacks: &Stacks, service: &str, text: &[u8]) -> Result<(), fidokey_core::ports::FileError> {
    match stacks.vendors(service)? {
        Some(vendors) if vendors == text => stacks.remove(service),
        _ => stacks.replace(service, text),
    }
}

fn back(stacks: &Stacks, edit: &Edit) -> Result<(), fidokey_core::ports::FileError> {
    match edit.before.vendor {
        true => stacks.remove(&edit.service),
        false => stacks.replace(&edit.service, &edit.before.text),
    }
}

/// Into the log: what became of which stack.
fn logged(change: &str, service: &str, by: &str) {
    let mut line = Line::default();
    line.field("stack", change).field("service", service).field("by", by);
    log::changed(&line);
}

/// Why a stack is not edited, in two lines.
fn refused(service: &str, refusal: &Refusal) -> Failure {
    let remedy = match refusal {
        Refusal::Trouble(Trouble::NoService) => {
            "See `ls /etc/pam.d` for those that there are.".to_owned()
        }
        Refusal::Trouble(_) => "Mend that line, then run the command again.".to_owned(),
        Refusal::Present(_) => format!("Take that line out first: `fidokey disable {service}`."),
        Refusal::NoPlace(_) => {
            "Mend the stack; pam_fidokey(8) has what a line needs before it and after it."
                .to_owned()
        }
        Refusal::Elsewhere(place) => format!(
            "Run `fidokey disable {}`, for all that use it, or what has put it there: pam-auth-update or authselect.",
            String::from_utf8_lossy(&place.file)
        ),
        Refusal::Entangled(_) => {
            "Mend what jumps over that line first, or say --force and mend it afterwards."
                .to_owned()
        }
    };
    Failure::new(Exit::No, format!("{service} was not changed: {refusal}."), remedy)
}
