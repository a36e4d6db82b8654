//! `fidokey key`: what concerns the key itself and no account.

use fidokey_core::enroll::EnrollError;
use fidokey_core::management::ManagementError;
use fidokey_core::ports::Keys;
use fidokey_system::files::Places;
use fidokey_system::hidraw::Hidraw;
use fidokey_system::machine::System;

use crate::arguments::{Credentials, Fingerprint, Key, Pin};
use crate::outcome::{Failure, Outcome};
use crate::table::aligned;
use crate::terminal::{Counting, TerminalHost, printable};

mod child;
mod credentials;
mod fingerprint;
mod info;
pub(crate) mod message;
mod pin;
mod reset;
pub(crate) mod worker;

/// The keys of this machine, counted down on the terminal.
type Keyring = Counting<Hidraw>;

/// Does what is asked of the key.
pub(crate) fn run(asked: &Key) -> Outcome {
    match asked {
        Key::Credentials(Credentials::List(asked)) => credentials::list(asked),
        Key::Credentials(Credentials::Remove(asked)) => credentials::remove(asked),
        Key::Fingerprint(Fingerprint::Add(asked)) => fingerprint::add(asked),
        Key::Fingerprint(Fingerprint::List(asked)) => fingerprint::list(asked),
        Key::Fingerprint(Fingerprint::Remove(asked)) => fingerprint::remove(asked),
        Key::Fingerprint(Fingerprint::Rename(asked)) => fingerprint::rename(asked),
        Key::Info(asked) => info::run(asked),
        Key::Pin(Pin::Change) => pin::change(),
        Key::Pin(Pin::Check) => pin::check(),
        Key::Pin(Pin::Set) => pin::set(),
        Key::Reset(asked) => reset::run(asked),
    }
}

/// Has `work` talk to the keys of this machine. What comes of it stands whatever signal came meanwhile; only where
/// nothing did, the signal is the reason.
fn with_keys<T, E: Into<Failure>>(
    work: impl FnOnce(&mut System, &mut TerminalHost, &mut Keyring) -> Result<T, E>,
) -> Result<T, Failure> {
    let mut keys = Counting::new(Hidraw::new().keeping_signals());
    let mut machine = System::read_only(Places::system());
    let mut host = TerminalHost::new("fidokey-key", "");
    let done = work(&mut machine, &mut host, &mut keys).map_err(Into::into);
    let done = match (done, keys.pending_signal()) {
        (Err(failure), Some(_)) if failure == EnrollError::Conversation.into() => {
            Err(ManagementError::from(EnrollError::Cancelled).into())
        }
        (done, _) => done,
    };
    keys.take_interrupt();
    drop(keys);
    host.was_needed()?;
    done
}

/// Rows for people, the first of them the head, as every other table.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let printed = |row: &[String; N]| row.iter().map(|cell| printable(cell)).collect::<Vec<_>>();
    let mut rows = rows.iter().map(printed);
    let head = rows.next().unwrap_or_default();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    aligned(&head, &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_columns_and_nothing_that_plays_tricks() {
        let rows = [["A", "B"], ["a\u{1b}[2J", "1"], ["", "22"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "A      B\na?[2J  1\n       22");
    }
}
