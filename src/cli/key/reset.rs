//! `fidokey key reset`: the question whether that is meant, and the reset by our own CTAP.

use fidokey_core::management::reset;

use super::with_keys;
use crate::arguments::KeyReset;
use crate::outcome::{Exit, Failure, Outcome};
use crate::terminal::{can_confirm, confirm, note, patience, print, say};

const QUESTION: &str = "Reset the key?";

/// Deletes everything on the key.
pub(super) fn run(asked: &KeyReset) -> Outcome {
    if !asked.force {
        can_confirm(QUESTION, "Nothing was reset")?;
        say("Everything on the key is lost, for every site and every account.");
        if !confirm(QUESTION, "--force")? {
            return Err(Failure::new(
                Exit::No,
                "Nothing was reset.",
                "Run the command again when you want to.",
            ));
        }
    }
    with_keys(|machine, host, keys| reset(machine, host, keys, patience()))?;
    print("The key is reset: it has no PIN, and lets nobody in any more.")?;
    note(
        "Accounts that it was registered for still list it: take it from them by `fidokey remove`.",
    );
    Ok(Exit::Done)
}
