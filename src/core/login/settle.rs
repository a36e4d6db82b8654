//! The last step of a login: the signature counter is compared with the account's state, and the state written
//! anew. Nothing that is wrong with the state itself denies a login, and nothing of it grants one.

use super::Notices;
use super::due::Due;
use super::trail::{StateNote, Trail};
use crate::assertion::Verified;
use crate::cause::Cause;
use crate::config::Settings;
use crate::credential::{CounterPolicy, Credential};
use crate::date::rfc3339;
use crate::ports::{Account, Fault, FileError, Machine, NOT_ROOT, Origin, TextFile};
use crate::record::Record;
use crate::state::{self, State, Use};
use crate::verdict::Reason;

/// The seconds of a minute: times of use are kept no finer, so that two logins in a row need not write twice.
const MINUTE: u64 = 60;

/// The login that is being settled.
pub(super) struct Case<'a> {
    pub(super) account: &'a Account,
    pub(super) record: &'a Record,
    pub(super) settings: &'a Settings,
    pub(super) origin: &'a Origin,
    pub(super) notices: Notices,
}

/// Compares and notes the counter of `verified`.
///
/// # Errors
/// [`Reason::CounterRegression`] where it went back and that denies. [`Reason::Fault`] where the process has no
/// descriptor or no memory to read it with: how much it has is the caller's of a setuid program to choose, and no counter
/// goes unread by the caller's choice.
pub(super) fn settle<M: Machine>(
    machine: &mut M,
    case: &Case<'_>,
    verified: &Verified,
    trail: &mut Trail,
) -> Result<(), Reason> {
    let settled = compare(machine, case, verified, trail);
    machine.release_state();
    settled
}

fn compare<M: Machine>(
    machine: &mut M,
    case: &Case<'_>,
    verified: &Verified,
    trail: &mut Trail,
) -> Result<(), Reason> {
    // The verifier has found it in this very record.
    let signer = |credential: &&Credential| verified.is_by(credential);
    let Some(credential) = case.record.credentials.iter().find(signer) else { return Ok(()) };
    let read = match machine.state(case.account.uid) {
        Ok(read) => read,
        Err(FileError { reason: "resources", errno, .. }) => {
            return Err(Reason::Fault(Fault { call: "state", errno }));
        }
        Err(error) => {
            let note = note_of(&error);
            trail.state(note, Some(Cause::File(error)));
            if note != StateNote::Malformed {
                return Ok(());
            }
            None
        }
    };
    let old = read.and_then(|file| believed(&file, case.account, trail));
    let counter = verified.signature_counter();
    let mut new = old.clone().unwrap_or_else(|| State::new(case.account.name.clone()));
    let went_back = new.went_back(credential, counter);
    trail.counter_went_back = went_back;
    if went_back && credential.counter.unwrap_or(case.settings.counter) == CounterPolicy::Deny {
        // The state stays: what was seen before is what the next counter must exceed.
        return Err(Reason::CounterRegression);
    }
    let when = machine.since_1970().map(|since| {
        let seconds = since.as_secs();
        rfc3339(std::time::Duration::from_secs(seconds.saturating_sub(seconds % MINUTE)))
    });
    let this = Use { counter, when: when.as_deref(), service: &case.origin.service };
    new.note(&case.record.credentials, credential, &this);
    let notice = match case.notices {
        Notices::Told => new.take_notice(),
        Notices::Left => None,
    };
    if old.as_ref() == Some(&new) {
        return Ok(());
    }
    let written = write(machine, &new, trail);
    if written && old.is_none() {
        trail.state(StateNote::New, None);
    }
    trail.due = notice.map(|notice| Due::new(notice, case.account, written));
    Ok(())
}

/// Writes the state that was read last anew. Whether that went well.
pub(super) fn write<M: Machine>(machine: &mut M, state: &State, trail: &mut Trail) -> bool {
    let Err(error) = machine.write_state(&state.to_toml()) else { return true };
    // A limit on the size of files is no full disk: whoever asks has set it, perhaps to leave no trace.
    let limited = error.reason == "too_large";
    let note = if limited { StateNote::Limited } else { StateNote::Unwritten };
    trail.state(note, Some(Cause::File(error)));
    false
}

/// What a state that could not be read is: what others could have written is left for somebody to look at, what
/// is no state is replaced.
fn note_of(error: &FileError) -> StateNote {
    match error.reason {
        NOT_ROOT => StateNote::NotRoot,
        _ if state::is_none(error) => StateNote::Malformed,
        "hard_link" | "mode" | "not_a_directory" | "not_a_file" | "owner" | "symlink" => {
            StateNote::Unsafe
        }
        _ => StateNote::Unwritten,
    }
}

/// The state in `file`, where it is one and this account's; what it is otherwise is taken for none.
fn believed(file: &TextFile, account: &Account, trail: &mut Trail) -> Option<State> {
    match State::parse(&file.text) {
        Ok(state) if state.belongs_to(&account.name) => Some(state),
        Ok(_) => {
            let cause = Cause::OtherAccount { path: file.path.clone() };
            trail.state(StateNote::OtherAccount, Some(cause));
            None
        }
        Err(misfit) => {
            trail.state(StateNote::Malformed, Some(Cause::malformed(file, misfit)));
            None
        }
    }
}
