//! What conversations with several keys have in common: the machine, the program that asks, and what its user was
//! shown last.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::assertion::{Challenge, Subject};
use crate::credential::RpId;
use crate::ports::{ConversationError, Fault, Host, KeyId, Machine, Moment};
use crate::verdict::Reason;

/// Why two things that can only be done one after the other were to be done at once. It never happens: none of them
/// calls another one. Were it otherwise, it would be an error and not a panic.
pub(crate) const AT_ONCE: Fault = Fault { call: "stage", errno: 0 };

/// What the conversations share.
pub(crate) struct Stage<'m, M, H> {
    ports: RefCell<(&'m mut M, &'m mut H)>,
    shown: Cell<Shown>,
    /// How many keys blink.
    armed: Cell<usize>,
    /// The key whose PIN is asked for: the others are left in peace.
    floor: Cell<Option<KeyId>>,
    /// How long people have taken to answer, all in all.
    answering: Cell<Duration>,
    /// The one try of a PIN was spent.
    spent: Cell<bool>,
}

/// What the user has been shown last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shown {
    Cue,
    Invitation,
    Other,
}

/// A key that blinks.
pub(crate) struct Armed<'a>(&'a Cell<usize>);

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// Why something was not shown.
#[derive(Debug)]
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
        Self {
            ports: RefCell::new((machine, host)),
            shown: Cell::new(Shown::Other),
            armed: Cell::default(),
            floor: Cell::default(),
            answering: Cell::default(),
            spent: Cell::default(),
        }
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
        self.put(Shown::Other, |host| host.show(text))
    }

    /// The text that asks for a touch, which is waited for so long, unless it stands there already.
    pub(crate) fn cue(&self, text: &str, patience: Duration) -> Result<(), NotShown> {
        if self.shown.get() == Shown::Cue { Ok(()) } else { self.cue_again(text, patience) }
    }

    /// The text that asks for another touch than the one that was asked for before.
    pub(crate) fn cue_again(&self, text: &str, patience: Duration) -> Result<(), NotShown> {
        self.put(Shown::Cue, |host| host.cue(text, patience))
    }

    /// The text that asks for a key, which is waited for so long, unless it stands there already.
    pub(crate) fn invite(&self, patience: Duration) -> Result<(), NotShown> {
        if self.shown.get() == Shown::Invitation {
            return Ok(());
        }
        self.put(Shown::Invitation, |host| host.cue("Insert your security key.", patience))
    }

    /// A key was plugged in since, and is gone: it is to be asked for again.
    pub(crate) fn forget_invitation(&self) {
        if self.shown.get() == Shown::Invitation {
            self.shown.set(Shown::Other);
        }
    }

    /// A key is about to blink, until what is returned is dropped.
    pub(crate) fn arm(&self) -> Armed<'_> {
        self.armed.set(self.armed.get().saturating_add(1));
        Armed(&self.armed)
    }

    /// Whether any key blinks.
    pub(crate) fn is_armed(&self) -> bool {
        self.armed.get() != 0
    }

    /// Whose PIN is asked for.
    pub(crate) fn floor(&self) -> Option<KeyId> {
        self.floor.get()
    }

    /// See [`Stage::floor`].
    pub(crate) fn give_floor(&self, key: Option<KeyId>) {
        self.floor.set(key);
    }

    /// How long people have taken to answer so far. Nobody has to type against the clock: deadlines move by it.
    pub(crate) fn answering(&self) -> Duration {
        self.answering.get()
    }

    /// Spends the one try of a PIN that a login has.
    pub(crate) fn spend_try(&self) {
        self.spent.set(true);
    }

    /// Whether that was done.
    pub(crate) fn try_is_spent(&self) -> bool {
        self.spent.get()
    }

    /// How long the machine has slept since it started, at the moment `now`, give or take what passes between two looks.
    pub(crate) fn asleep(&self, now: Moment) -> Result<Duration, Fault> {
        let hedge = self.with(|machine, _| machine.hedge())??;
        Ok(now.asleep(Duration::from_nanos(hedge.boottime_ns)))
    }

    /// Asks for a secret and lends it to `read`.
    pub(crate) fn ask(&self, prompt: &str, read: &mut dyn FnMut(&[u8])) -> Result<(), NotShown> {
        self.shown.set(Shown::Other);
        match self.with(|_, host| host.ask(prompt, read)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(ConversationError)) => Err(NotShown::Conversation),
            Err(fault) => Err(NotShown::Fault(fault)),
        }
    }

    /// Notes that somebody took `taken` to answer.
    pub(crate) fn answered_after(&self, taken: Duration) {
        self.answering.set(self.answering.get().saturating_add(taken));
    }

    fn put(
        &self,
        shown: Shown,
        show: impl FnOnce(&mut H) -> Result<(), ConversationError>,
    ) -> Result<(), NotShown> {
        match self.with(|_, host| show(host)) {
            Ok(Ok(())) => {
                self.shown.set(shown);
                Ok(())
            }
            Ok(Err(ConversationError)) => Err(NotShown::Conversation),
            Err(fault) => Err(NotShown::Fault(fault)),
        }
    }
}
