//! `fidokey key`: what concerns the key itself and no account.

use std::time::Duration;

use fidokey_core::enroll::EnrollError;
use fidokey_core::pin_check::check_pin;
use fidokey_core::ports::Keys;
use fidokey_system::files::Places;
use fidokey_system::hidraw::Hidraw;
use fidokey_system::machine::System;

use crate::outcome::{Exit, Outcome};
use crate::terminal::{TerminalHost, print};

/// How long to wait for the key.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tries the PIN once.
pub(crate) fn check() -> Outcome {
    let mut keys = Hidraw::new().keeping_signals();
    let mut machine = System::read_only(Places::system());
    let mut host = TerminalHost::new("fidokey-key", "");
    let checked = check_pin(&mut machine, &mut host, &mut keys, PATIENCE);
    let checked = match (checked, keys.pending_signal()) {
        // What came of a try is told all the same.
        (Err(EnrollError::Conversation), Some(_)) => Err(EnrollError::Cancelled),
        (checked, _) => checked,
    };
    keys.take_interrupt();
    drop(keys);
    print(&format!("The PIN is right. Tries left on this key: {}.", checked?))?;
    Ok(Exit::Done)
}
