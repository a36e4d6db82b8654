//! `fidokey key pin`: the PIN of the key that is plugged in, by our own CTAP. It never leaves this process but encrypted.

use fidokey_core::management::{change_pin, set_pin};
use fidokey_core::pin_check::check_pin;

use super::with_keys;
use crate::outcome::{Exit, Outcome};
use crate::terminal::{patience, print};

/// Tries the PIN once.
pub(super) fn check() -> Outcome {
    let left = with_keys(|machine, host, keys| check_pin(machine, host, keys, patience()))?;
    print(&format!("The PIN is right. Tries left on this key: {left}."))?;
    Ok(Exit::Done)
}

/// Gives a key its first PIN.
pub(super) fn set() -> Outcome {
    with_keys(|machine, host, keys| set_pin(machine, host, keys, patience()))?;
    print("The key has a PIN now.")?;
    Ok(Exit::Done)
}

/// Changes the PIN.
pub(super) fn change() -> Outcome {
    with_keys(|machine, host, keys| change_pin(machine, host, keys, patience()))?;
    print("The PIN was changed.")?;
    Ok(Exit::Done)
}
