//! A notice that this login is to tell: when it is taken from the state, and when it goes back there. Nothing of it changes a
//! verdict.
//!
//! It is taken before it is told, since the state is not held while somebody reads, and goes back where it could not be told.
//! So one of two logins at once tells it; a login that is killed in between has told it or not.

use super::settle::write;
use super::trail::Trail;
use crate::notice::Notice;
use crate::policy::Mode;
use crate::ports::{Account, Host, Machine, Origin};
use crate::state::State;
use crate::verdict::Verdict;

/// A notice that is to be told.
#[derive(Debug)]
pub(super) struct Due {
    notice: Notice,
    /// Whose keys they are.
    account: Account,
    /// It is no longer in the state. Where that could not be written it is, and the next login tells it again: better twice
    /// than never.
    taken: bool,
}

impl Due {
    pub(super) fn new(notice: Notice, account: &Account, taken: bool) -> Self {
        Self { notice, account: account.clone(), taken }
    }

    /// What is due at a login that is exempt for want of a key: whoever's last key was removed is to hear of it.
    pub(super) fn without_a_key<M: Machine>(
        machine: &mut M,
        account: &Account,
        trail: &mut Trail,
    ) -> Option<Self> {
        // Most accounts have no state, and are to get none by this, nor a lock. Whatever is wrong with one is told where it
        // counts, at a login by a key, and by doctor.
        let seen = machine.look_at_state(account.uid).ok()??;
        believed(&seen.text, account)?.take_notice()?;
        let due = Self::take(machine, account, trail);
        machine.release_state();
        due
    }

    /// The same with the state held: another login may have told it meanwhile.
    fn take<M: Machine>(machine: &mut M, account: &Account, trail: &mut Trail) -> Option<Self> {
        let file = machine.state(account.uid).ok()??;
        let mut state = believed(&file.text, account)?;
        let notice = state.take_notice()?;
        Some(Self::new(notice, account, write(machine, &state, trail)))
    }

    /// Tells it, unless the login was denied after all.
    pub(super) fn tell<M: Machine, H: Host>(
        self,
        machine: &mut M,
        host: &mut H,
        verdict: &Verdict,
    ) {
        let denied = matches!(verdict, Verdict::Deny(_));
        if (denied || host.show(&self.notice.text()).is_err()) && self.taken {
            self.put_back(machine);
            machine.release_state();
        }
    }

    fn put_back<M: Machine>(self, machine: &mut M) {
        let Ok(Some(file)) = machine.state(self.account.uid) else { return };
        if let Some(mut state) = believed(&file.text, &self.account) {
            state.put_back(self.notice);
            // The log has its line already. Where this fails the notice is lost; the change is in the log all the same.
            let _ = machine.write_state(&state.to_toml());
        }
    }
}

/// The service of polkit's helper.
const POLKIT: &str = "polkit-1";

/// Whether whoever asks for a login without a key may be told something of the account before the rest of the stack has
/// decided: after the password, or to a process of the account itself, such as sudo's. Anybody else could have typed the name,
/// and the owner would then not be told any more. To polkit the account is the one that was asked for, and not whoever asks.
pub(super) fn is_owner(mode: Mode, origin: &Origin, typed: &str) -> bool {
    let for_itself = origin.rhost.is_empty() && origin.ruser == typed;
    mode == Mode::SecondFactor || (for_itself && origin.service != POLKIT)
}

fn believed(text: &[u8], account: &Account) -> Option<State> {
    State::parse(text).ok().filter(|state| state.belongs_to(&account.name))
}
