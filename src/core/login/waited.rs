//! A wait that was in vain, remembered for the tries that follow it: sudo makes three, and nobody should have to sit
//! through the same wait three times.
//!
//! It is short-lived, because a screen locker makes all its tries in one transaction, for days. And it is no longer
//! true when a key was plugged in or out: somebody is there.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::credential::Uid;
use crate::ports::{Host, Keys, Machine, Origin};
use crate::verdict::Reason;

/// How long a wait counts as the same one.
const HOLDS: Duration = Duration::from_secs(60);
/// What a wait in vain comes to.
const IN_VAIN: [Reason; 3] = [Reason::NoKey, Reason::NotRegistered, Reason::TouchTimeout];

/// The waits for one account, by one line of one service.
#[derive(Debug)]
pub(super) struct Waited {
    name: String,
}

impl Waited {
    /// Those of this account by this line. A line with other arguments asks for something else.
    pub(super) fn of(uid: Uid, origin: &Origin, arguments: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(uid.to_be_bytes());
        for part in std::iter::once(&origin.service.as_bytes()).chain(arguments) {
            // So that no two lists of texts give the same bytes.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let line: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { name: format!("fidokey-waited-{line}") }
    }

    /// What an earlier try came to that this one would come to as well.
    pub(super) fn in_vain<M: Machine, H: Host, K: Keys>(
        &self,
        machine: &mut M,
        host: &mut H,
        keys: &mut K,
    ) -> Option<Reason> {
        let kept = host.recall(&self.name)?;
        let mut words = kept.split(' ');
        let word = words.next()?;
        let since: u64 = words.next()?.parse().ok()?;
        let age = machine.hedge().ok()?.boottime_ns.checked_sub(since)?;
        if Duration::from_nanos(age) > HOLDS || words.ne(plugged(keys)?.split(' ')) {
            return None;
        }
        IN_VAIN.into_iter().find(|reason| reason.word() == word)
    }

    /// Remembers what this try came to, where it was a wait in vain.
    pub(super) fn note<M: Machine, H: Host, K: Keys>(
        &self,
        machine: &mut M,
        host: &mut H,
        keys: &mut K,
        reason: Reason,
    ) {
        if let (true, Ok(now), Some(plugged)) =
            (IN_VAIN.contains(&reason), machine.hedge(), plugged(keys))
        {
            let text = format!("{} {} {plugged}", reason.word(), now.boottime_ns);
            host.keep(&self.name, &text);
        }
    }
}

/// The keys that are plugged in, as a text without a space but between them.
fn plugged<K: Keys>(keys: &mut K) -> Option<String> {
    let keys = keys.plugged().ok()?;
    Some(keys.into_iter().map(|key| key.0.to_string()).collect::<Vec<_>>().join(" "))
}
