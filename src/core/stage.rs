//! What conversations with several keys have in common: the machine, the program that asks, and what its user was
//! shown last.

use std::cell::{Cell, RefCell};

use crate::assertion::{Challenge, Subject};
use crate::credential::RpId;
use crate::ports::{ConversationError, Fault, Host, Machine};
use crate::verdict::Reason;

/// Why two things that can only be done one after the other were to be done at once. It never happens: none of them
/// calls another one. Were it otherwise, it would be an error and not a panic.
pub(crate) const AT_ONCE: Fault = Fault { call: "stage", errno: 0 };

/// What the conversations share.
pub(crate) struct Stage<'m, M, H> {
    ports: RefCell<(&'m mut M, &'m mut H)>,
    shown: Cell<Shown>,
}

/// What the user has been shown last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shown {
    Cue,
    Invitation,
    Other,
}

/// Why something was not shown.
pub(crate) enum NotShown {
    Conversation,
    Fault(Fault),
}

impl From<NotShown> for Reason {
    fn from(error: NotShown) -> Self {
        match error {
            NotShown::Conversation => Self::Conversation,
            NotShown::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl<'m, M: Machine, H: Host> Stage<'m, M, H> {
    pub(crate) fn new(machine: &'m mut M, host: &'m mut H) -> Self {
        Self { ports: RefCell::new((machine, host)), shown: Cell::new(Shown::Other) }
    }

    /// Does something with both.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut M, &mut H) -> T) -> Result<T, Fault> {
        let mut ports = self.ports.try_borrow_mut().map_err(|_| AT_ONCE)?;
        let (machine, host) = &mut *ports;
        Ok(work(machine, host))
    }

    /// A fresh challenge for the account at `rp_id`.
    pub(crate) fn challenge(&self, rp_id: &RpId, who: &Subject<'_>) -> Result<Challenge, Fault> {
        let nonce = self.random()?;
        let hedge = self.with(|machine, _| machine.hedge())??;
        Ok(Challenge::new(&nonce, rp_id, who, hedge))
    }

    /// See [`Machine::fill_random`].
    pub(crate) fn random<const N: usize>(&self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.with(|machine, _| machine.fill_random(&mut bytes))??;
        Ok(bytes)
    }

    /// One message; a conversation that fails ends the login at once, before anything blinks.
    pub(crate) fn show(&self, text: &str) -> Result<(), NotShown> {
        self.put(text, Shown::Other)
    }

    /// The text that asks for a touch, unless it stands there already.
    pub(crate) fn cue(&self, text: &str) -> Result<(), NotShown> {
        if self.shown.get() == Shown::Cue { Ok(()) } else { self.put(text, Shown::Cue) }
    }

    /// The text that asks for a key, unless it stands there already.
    pub(crate) fn invite(&self) -> Result<(), NotShown> {
        if self.shown.get() == Shown::Invitation {
            return Ok(());
        }
        self.put("Insert your security key.", Shown::Invitation)
    }

    /// A key was plugged in since, and is gone: it is to be asked for again.
    pub(crate) fn forget_invitation(&self) {
        if self.shown.get() == Shown::Invitation {
            self.shown.set(Shown::Other);
        }
    }

    fn put(&self, text: &str, shown: Shown) -> Result<(), NotShown> {
        match self.with(|_, host| host.show(text)) {
            Ok(Ok(())) => {
                self.shown.set(shown);
                Ok(())
            }
            Ok(Err(ConversationError)) => Err(NotShown::Conversation),
            Err(fault) => Err(NotShown::Fault(fault)),
        }
    }
}
