//! Finding a key that holds a credential of the account, and having it sign: the part of a login between
//! the policy and the verifier.
//!
//! All keys that are plugged in are asked at the same time, and those that come later join. Where one key is plugged
//! in and its list of credentials is short that takes two commands, INIT and getAssertion. Otherwise the keys are
//! first asked silently, so that only keys of this account ever blink. The first valid touch is the login; the other
//! keys are cancelled. So they are before somebody is asked for the PIN of one key: nothing else can be done meanwhile.

use std::cell::RefCell;
use std::time::Duration;

use attempt::{Miss, attempt};

use crate::assertion::{Subject, Verified};
use crate::credential::{Credential, Verification};
use crate::ctap::bus::{Bus, Happened};
use crate::ctap::session::CallError;
use crate::ports::{Host, KeyId, Keys, Machine, Moment};
use crate::race::Race;
use crate::stage::Stage;
use crate::verdict::Reason;

mod attempt;
mod verification;

/// The longest that a login waits, whatever keys and neighbours do, while nobody is typing a PIN; where one of the two waits
/// is set longer than this, for slow hands, both of them together.
pub const BUDGET: Duration = Duration::from_secs(45);
/// How long to wait for an event past the end: who is asked has an end that is not much later.
const LOOK: Duration = Duration::from_secs(1);
/// When to look again after a key was lost: it may still be listed.
const LOST: Duration = Duration::from_millis(100);
/// So often is a key asked that is lost each time and yet stays listed: then it is broken.
const LOST_MAX: usize = 5;

/// What is asked of the keys, for whom.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The credentials of the account, at least one.
    pub credentials: &'a [&'a Credential],
    /// What must be proven beyond the touch.
    pub required: Verification,
    /// Who logs in, from where.
    pub who: Subject<'a>,
    /// How long to wait for a key to be plugged in.
    pub wait_for_key: Duration,
    /// How long to wait for the touch.
    pub touch: Duration,
    /// With so many tries of a PIN left, or fewer, it is not asked for.
    pub pin_guard: u8,
}

impl Question<'_> {
    /// How long all of it may take.
    fn budget(&self) -> Duration {
        match self.wait_for_key.max(self.touch) > BUDGET {
            true => self.wait_for_key.saturating_add(self.touch),
            false => BUDGET,
        }
    }

    /// What must be proven beyond the touch with `credential`.
    fn need(&self, credential: &Credential) -> Verification {
        self.required.max(credential.verification)
    }
}

/// A login by a key.
#[derive(Debug)]
#[must_use]
pub struct Answered {
    /// What it signed.
    pub verified: Verified,
    /// Whether its CBOR was in canonical form: old keys send maps that are not sorted.
    pub canonical: bool,
}

/// What is done with an [`Answered`] while its key is still open and locked.
pub type Conclude<'c, M, H> = dyn FnMut(&mut M, &mut H, Answered) -> Result<Verified, Reason> + 'c;

/// Has a key of the account sign a fresh challenge, verifies it, and hands it to `conclude` before the key is
/// given up.
///
/// # Errors
/// Why there is no verified assertion, or what `conclude` has against it.
pub fn ask<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    keys: &mut K,
    question: &Question<'_>,
    conclude: &mut Conclude<'_, M, H>,
) -> Result<Verified, Reason> {
    let bus = Bus::new(keys);
    let stage = Stage::new(machine, host);
    let conclude = RefCell::new(conclude);
    let asking = Asking { bus: &bus, stage: &stage, question, conclude: &conclude };
    let search = Search::begin(asking)?;
    let outcome = search.run();
    // The search is over, and what it had asked of other keys is cancelled: until they are idle, nobody is told.
    bus.settle();
    outcome
}

/// What every key is asked, and on whose behalf.
struct Asking<'s, 'k, 'm, 'c, M: Machine, H: Host, K: Keys> {
    bus: &'s Bus<'k, K>,
    stage: &'s Stage<'m, M, H>,
    question: &'s Question<'s>,
    conclude: &'s RefCell<&'s mut Conclude<'c, M, H>>,
}

impl<M: Machine, H: Host, K: Keys> Clone for Asking<'_, '_, '_, '_, M, H, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Machine, H: Host, K: Keys> Copy for Asking<'_, '_, '_, '_, M, H, K> {}

/// The keys being asked.
struct Search<'s, 'k, 'm, 'c, M: Machine, H: Host, K: Keys> {
    asking: Asking<'s, 'k, 'm, 'c, M, H, K>,
    race: Race<'s, Result<Verified, Miss>>,
    /// The keys that were asked to no avail, and why.
    asked: Vec<(KeyId, Reason)>,
    /// The keys that were lost in the middle, each as often as that happened.
    lost: Vec<KeyId>,
    /// When all of it ends.
    end: Moment,
    /// Until when a key may be plugged in, while there is none to wait for.
    insert_until: Moment,
    /// How much of the time that somebody took to type the ends were moved by.
    given_back: Duration,
    /// For whose PIN the others were left in peace.
    cleared: Option<KeyId>,
    /// When to list the keys; `None` until something is plugged in or out.
    look_at: Option<Moment>,
}

impl<'s, 'k, 'm, 'c, M: Machine, H: Host, K: Keys> Search<'s, 'k, 'm, 'c, M, H, K> {
    fn begin(asking: Asking<'s, 'k, 'm, 'c, M, H, K>) -> Result<Self, Reason> {
        let start = asking.bus.now().map_err(Reason::Fault)?;
        let end = start.after(asking.question.budget());
        Ok(Self {
            asking,
            race: Race::default(),
            asked: Vec::new(),
            lost: Vec::new(),
            end,
            insert_until: start.after(asking.question.wait_for_key).min(end),
            given_back: Duration::ZERO,
            cleared: None,
            look_at: Some(start),
        })
    }

    fn run(mut self) -> Result<Verified, Reason> {
        loop {
            let now = self.asking.bus.now().map_err(Reason::Fault)?;
            if self.look_at.is_some_and(|at| at <= now) {
                self.look()?;
            }
            let mut again = false;
            while let Some((key, outcome)) =
                self.race.step(self.asking.bus).map_err(Reason::Fault)?
            {
                self.give_time_back();
                match outcome {
                    Ok(verified) => return Ok(verified),
                    Err(miss) => self.missed(key, miss)?,
                }
                // Before the one that has the floor goes on.
                again |= self.clear_floor()?;
            }
            self.give_time_back();
            if again || self.clear_floor()? {
                continue;
            }
            let mut until = self.end.max(now.after(LOOK));
            if self.race.is_over() {
                self.idle()?;
                until = self.insert_until;
            }
            let until = match self.look_at {
                // Whether that key is still there comes first, also where the time for another one is over.
                Some(at) if self.is_looking_for_lost() => at,
                Some(at) => at.min(until),
                None => until,
            };
            match self.asking.bus.wait(until).map_err(Reason::Fault)? {
                Happened::Hotplug => self.look_at = Some(now),
                Happened::Progress => {}
                Happened::Signal(signal) => return Err(signal.into()),
            }
        }
    }

    /// Moves the ends by what somebody took to type.
    fn give_time_back(&mut self) {
        let answering = self.asking.stage.answering();
        let more = answering.saturating_sub(self.given_back);
        self.given_back = answering;
        self.end = self.end.after(more);
        self.insert_until = self.insert_until.after(more);
    }

    /// Leaves all keys in peace but the one whose PIN is about to be asked for, or asks them again once that is over.
    /// Whether there is something to be done at once.
    fn clear_floor(&mut self) -> Result<bool, Reason> {
        let Asking { bus, stage, .. } = self.asking;
        match stage.floor() {
            Some(key) if self.cleared != Some(key) => {
                self.cleared = Some(key);
                self.race.only(key);
                bus.forget_wakes().map_err(Reason::Fault)?;
                bus.see_off();
                Ok(true)
            }
            None if self.cleared.take().is_some() => {
                self.look_at = Some(bus.now().map_err(Reason::Fault)?);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Lists the keys, and asks those that are new.
    fn look(&mut self) -> Result<(), Reason> {
        self.look_at = None;
        // Nobody else is asked while a PIN is; afterwards they are looked for in any case.
        if self.cleared.is_some() {
            return Ok(());
        }
        let plugged = self.asking.bus.plugged().map_err(Reason::Fault)?;
        self.asked.retain(|(key, _)| plugged.contains(key));
        if self.lost.iter().any(|key| !plugged.contains(key)) {
            self.lost.retain(|key| plugged.contains(key));
            self.asking.stage.forget_invitation();
            let now = self.asking.bus.now().map_err(Reason::Fault)?;
            self.wait_for_another(now);
        }
        let sole = plugged.len() == 1;
        for key in plugged {
            if self.race.has(key) || self.asked.iter().any(|(asked, _)| *asked == key) {
                continue;
            }
            if self.lost.iter().filter(|lost| **lost == key).count() >= LOST_MAX {
                self.asked.push((key, Reason::KeyFailed(CallError::Gone.into())));
                continue;
            }
            self.asking.bus.begin(key).map_err(Reason::Fault)?;
            self.race.enter(key, attempt(self.asking, key, sole, self.end));
        }
        Ok(())
    }

    /// A key was asked to no avail.
    fn missed(&mut self, key: KeyId, miss: Miss) -> Result<(), Reason> {
        if self.asking.stage.floor() == Some(key) {
            self.asking.stage.give_floor(None);
        }
        match miss {
            Miss::End(reason) => return Err(reason),
            Miss::Foreign => self.asked.push((key, Reason::NotRegistered)),
            Miss::Unusable(reason) => self.asked.push((key, reason)),
            Miss::Gone => {
                let now = self.asking.bus.now().map_err(Reason::Fault)?;
                self.look_at = Some(now.after(LOST));
                self.lost.push(key);
                return Ok(());
            }
        }
        // Said once there is nobody else to wait for: it would only confuse whoever is to touch another key.
        if miss == Miss::Foreign && self.race.is_over() && self.unusable().is_none() {
            let text = format!("This key is not registered for {}.", self.asking.question.who.user);
            self.asking.stage.show(&text).map_err(Reason::from)?;
            let now = self.asking.bus.now().map_err(Reason::Fault)?;
            self.insert_until = now.after(self.asking.question.wait_for_key).min(self.end);
        }
        Ok(())
    }

    /// There is time for a key to be plugged in, from now on.
    fn wait_for_another(&mut self, now: Moment) {
        let more = now.after(self.asking.question.wait_for_key);
        self.insert_until = self.insert_until.max(more).min(self.end);
    }

    /// Nobody is being asked, and the look that is due shows whether a key that was lost is still there.
    fn is_looking_for_lost(&self) -> bool {
        self.race.is_over() && self.look_at.is_some() && !self.lost.is_empty()
    }

    /// Nobody is being asked: is there anything to wait for?
    fn idle(&self) -> Result<(), Reason> {
        // A key that cannot be used is said so at once; another account's leaves time for the right one.
        if let Some(reason) = self.unusable() {
            return Err(reason);
        }
        if self.is_looking_for_lost() {
            return Ok(());
        }
        if self.asked.is_empty() && !self.asking.bus.are_visible().map_err(Reason::Fault)? {
            return Err(Reason::KeyInaccessible);
        }
        if self.asking.bus.now().map_err(Reason::Fault)? >= self.insert_until {
            return Err(self.asked.first().map_or(Reason::NoKey, |(_, reason)| *reason));
        }
        if self.asked.is_empty() {
            let patience = self.asking.question.wait_for_key;
            self.asking.stage.invite(patience).map_err(Reason::from)?;
        }
        Ok(())
    }

    /// Why a key of the account, or one of which that could not be found out, is of no use. A touch that did not come
    /// says the most.
    fn unusable(&self) -> Option<Reason> {
        let reasons = || self.asked.iter().map(|(_, reason)| *reason);
        reasons()
            .find(|reason| *reason == Reason::TouchTimeout)
            .or_else(|| reasons().find(|reason| *reason != Reason::NotRegistered))
    }
}
