//! Conversations with several keys, side by side on one thread: each goes on when something happens to its key.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::ctap::bus::Bus;
use crate::ports::{Fault, KeyId, Keys};

/// The conversations that are going on, at most one with each key. Dropping one cancels what its key was asked.
pub(crate) struct Race<'r, T> {
    entrants: Vec<Entrant<'r, T>>,
}

struct Entrant<'r, T> {
    key: KeyId,
    talk: Pin<Box<dyn Future<Output = T> + 'r>>,
}

impl<T> Default for Race<'_, T> {
    fn default() -> Self {
        Self { entrants: Vec::new() }
    }
}

impl<T> fmt::Debug for Race<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entrants.iter().map(|entrant| entrant.key)).finish()
    }
}

impl<'r, T> Race<'r, T> {
    /// One more conversation, with `key`.
    pub(crate) fn enter(&mut self, key: KeyId, talk: impl Future<Output = T> + 'r) {
        self.entrants.push(Entrant { key, talk: Box::pin(talk) });
    }

    /// Whether there is a conversation with `key`.
    pub(crate) fn has(&self, key: KeyId) -> bool {
        self.entrants.iter().any(|entrant| entrant.key == key)
    }

    /// Whether there is none at all.
    pub(crate) fn is_over(&self) -> bool {
        self.entrants.is_empty()
    }

    /// Lets all conversations go on as far as they can. The first that ended, and what it came to; to be called until
    /// there is none.
    ///
    /// # Errors
    /// [`Fault`] where `bus` fails.
    pub(crate) fn step<K: Keys>(&mut self, bus: &Bus<'_, K>) -> Result<Option<(KeyId, T)>, Fault> {
        bus.forget_wakes()?;
        // Who has to be woken is known from the event: everybody, and there are few.
        let mut context = Context::from_waker(Waker::noop());
        for index in 0..self.entrants.len() {
            let Some(entrant) = self.entrants.get_mut(index) else { break };
            if let Poll::Ready(outcome) = entrant.talk.as_mut().poll(&mut context) {
                let key = entrant.key;
                // Here its key is left.
                drop(self.entrants.remove(index));
                bus.end(key)?;
                return Ok(Some((key, outcome)));
            }
        }
        Ok(None)
    }

    /// Ends all conversations but that with `key`.
    pub(crate) fn only(&mut self, key: KeyId) {
        self.entrants.retain(|entrant| entrant.key == key);
    }
}
