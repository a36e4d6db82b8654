//! `fidokey revert`: undoes what was enabled with `--try` and that nobody has logged in by in time. Run by a timer while
//! something is pending, and at every start of the machine.

use std::time::Duration;

use fidokey_core::pending::{Edit, hash};
use fidokey_core::stack::{self, Edited};
use fidokey_system::clock;
use fidokey_system::files::Places;
use fidokey_system::pending::Kept;
use fidokey_system::stacks::Stacks;

use super::enable::{logins, now, pending};
use super::{kept, logged, only_root, timer};
use crate::arguments::Revert;
use crate::outcome::{Exit, Failure, Outcome};
use crate::terminal::say;

/// Looks at what is pending. A step that was made is not made again: it can be stopped after each.
pub(crate) fn run(asked: &Revert) -> Outcome {
    only_root("revert")?;
    let places = Places::system();
    let stacks = Stacks::new(places.clone());
    // Somebody edits just now: the timer comes again, and the start of the machine does not.
    let kept = match asked.boot {
        true => kept(&places)?,
        false => match places.kept(Duration::ZERO)? {
            Some(kept) => kept,
            None => return Ok(Exit::Done),
        },
    };
    let Some(mut waiting) = pending(&kept)? else {
        timer::stop();
        return Ok(Exit::Done);
    };
    let over = asked.boot || waiting.is_over(&clock::boot().unwrap_or_default(), now()?);
    let pending_before = waiting.edits.len();
    let mut left = Vec::new();
    let mut exit = Exit::Done;
    for edit in std::mem::take(&mut waiting.edits) {
        match step(&places, &stacks, &kept, &edit, over) {
            Ok(Step::Waits) => {
                let time = waiting.deadline.saturating_sub(now()?);
                say(&format!("{}: waits for a login by it, {time} s more.", edit.service));
                left.push(edit);
            }
            Ok(Step::Done(change)) => {
                logged(change, &edit.service, "fidokey-revert");
                say(&format!("{}: {change}.", edit.service));
            }
            Err(failure) => {
                failure.say();
                logged("not_reverted", &edit.service, "fidokey-revert");
                exit = Exit::No;
                left.push(edit);
            }
        }
    }
    let same = left.len() == pending_before;
    waiting.edits = left;
    if !same {
        // Whoever changed a stack may have been stopped before that was on the disk; nobody looks at it again without
        // the journal.
        stacks.settle()?;
    }
    if waiting.edits.is_empty() {
        kept.remove_journal()?;
        timer::stop();
    } else if !same {
        kept.write_journal(&waiting.to_toml())?;
    }
    Ok(exit)
}

enum Step {
    /// Nobody has logged in by it, and there is time left.
    Waits,
    /// Nothing is pending there any more, and why.
    Done(&'static str),
}

fn step(
    places: &Places,
    stacks: &Stacks,
    kept: &Kept<'_>,
    edit: &Edit,
    over: bool,
) -> Result<Step, Failure> {
    // Without states nobody has logged in.
    let logins = logins(places, &edit.service).unwrap_or_default();
    if logins.iter().any(|login| !edit.known.contains(login)) {
        return Ok(Step::Done("confirmed"));
    }
    if !over {
        return Ok(Step::Waits);
    }
    let now = stacks.service(&edit.service)?.map(|service| hash(&service.text));
    if now == Some(edit.before) {
        return Ok(Step::Done("reverted"));
    }
    if now != Some(edit.written) {
        // Somebody else has edited it too: that stays, and our line, which nobody has confirmed, does not.
        return match stack::disable(edit.service.as_bytes(), false, stacks) {
            Ok(Edited::Changed { text, .. }) => {
                stacks.replace(&edit.service, &text)?;
                Ok(Step::Done("line_taken_out"))
            }
            _ => Ok(Step::Done("changed_since")),
        };
    }
    if edit.made {
        stacks.remove(&edit.service)?;
        return Ok(Step::Done("reverted"));
    }
    let why = match kept.kept_text(&edit.service) {
        Ok(Some(text)) if hash(&text) == edit.before => {
            stacks.replace(&edit.service, &text)?;
            return Ok(Step::Done("reverted"));
        }
        Ok(_) => String::new(),
        Err(error) => format!(" ({error})"),
    };
    Err(Failure::new(
        Exit::Unreadable,
        format!("The text that {} had before is not what was kept{why}.", edit.service),
        format!("Take our line out: `fidokey disable {}`.", edit.service),
    ))
}
