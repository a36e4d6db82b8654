//! `fidokey disable`: the line out of the stack of a service again. Needs no key: it is the way back in.

use fidokey_core::stack::{self, Edited};
use fidokey_system::files::Places;
use fidokey_system::stacks::Stacks;

use super::enable::pending;
use super::{After, Edit, kept, logged, meant, only_root, refused, service, timer, write};
use crate::arguments::Disable;
use crate::outcome::{Exit, Outcome};
use crate::terminal::{note, print, printable, say};

/// Disables the module for each of the services, or for none.
pub(crate) fn run(asked: &Disable) -> Outcome {
    only_root("disable")?;
    let mut places = Places::system();
    if let Some(root) = &asked.root {
        places.root.clone_from(root);
    }
    let stacks = Stacks::new(places.clone());
    let mut edits: Vec<Edit> = Vec::new();
    for name in &meant(&asked.services, &stacks) {
        let before = service(&stacks, name)?;
        let done = edits.iter().map(|edit| (edit.service.as_str(), edit.after.as_slice()));
        let after = After { stacks: &stacks, edits: done.collect() };
        match stack::disable(name.as_bytes(), asked.force, &after) {
            Err(refusal) => return Err(refused(name, &refusal)),
            // What is only beside one that was named need not be.
            Ok(Edited::Unchanged(_)) if !asked.services.contains(name) => {}
            Ok(Edited::Unchanged(_)) => note(&format!("{name} is not enabled.")),
            Ok(Edited::Changed { text, line, .. }) => {
                edits.push(Edit { service: name.clone(), before, after: text, line });
            }
        }
    }
    if asked.dry_run {
        for Edit { service, line, before, .. } in &edits {
            let text = String::from_utf8_lossy(&before.text);
            let gone = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
            print(&printable(&format!("/etc/pam.d/{service}:{line}: - {gone}")))?;
        }
        note("Nothing was changed (--dry-run).");
        return Ok(Exit::Done);
    }
    committed(&places, &stacks, &edits)?;
    for Edit { service, line, .. } in &edits {
        logged("disabled", service, "root");
        if stack::is_open(service.as_bytes(), &stacks) == Ok(true) {
            say(&format!("Anybody gets in by {service} now, with nothing proven."));
        }
        print(&format!("Disabled {service}: line {line} is gone from /etc/pam.d/{service}."))?;
    }
    Ok(Exit::Done)
}

/// Whoever rescues a machine must not be stopped by what is kept beside: then it is not kept.
fn committed(
    places: &Places,
    stacks: &Stacks,
    edits: &[Edit],
) -> Result<(), crate::outcome::Failure> {
    let kept = match kept(places) {
        Ok(kept) => kept,
        Err(failure) => {
            failure.say();
            say("The stack is changed all the same; its text before is not kept.");
            return write(stacks, edits);
        }
    };
    let waiting = pending(&kept);
    // What waits is undone to the text that is kept, also if the power goes before it is disabled. A journal that cannot
    // be read may wait for any of them.
    let waits = |service: &str| match &waiting {
        Ok(None) => false,
        Ok(Some(waiting)) => waiting.edits.iter().any(|edit| edit.service == service),
        Err(_) => true,
    };
    for edit in edits.iter().filter(|edit| !waits(&edit.service)) {
        if let Err(error) = kept.keep(&edit.service, &edit.before.text) {
            say(&format!("The text of {} before is not kept: {error}.", edit.service));
        }
    }
    write(stacks, edits)?;
    // What is disabled waits for nobody.
    if let Ok(Some(mut waiting)) = waiting {
        waiting.edits.retain(|edit| edits.iter().all(|done| done.service != edit.service));
        match waiting.edits.is_empty() {
            true => {
                kept.remove_journal()?;
                timer::stop();
            }
            false => kept.write_journal(&waiting.to_toml())?,
        }
    }
    Ok(())
}
