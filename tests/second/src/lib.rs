//! A second emulated key, unrelated to the first: the firmware of the Nitrokey 3, from its USB endpoints
//! upwards, with a bus, a finger and a memory of ours beneath it.

mod bus;
mod firmware;
mod front;
mod platform;

use std::io;
use std::os::fd::OwnedFd;

use fidokey_tests::key::{KeyHandle, SeqpacketEnd, Touch};

/// How the key attests a new credential.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Attestation {
    /// With a certificate (x5c), as keys that are sold do.
    Batch,
    /// With the credential's own key.
    Own,
}

/// A key that is not plugged in. Its memory does not survive being unplugged.
#[derive(Clone, Copy, Debug)]
pub struct SecondKey {
    seed: u64,
    touch: Touch,
    attestation: Attestation,
}

impl SecondKey {
    /// A key with an empty memory, touched at once. Another seed is another key.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, touch: Touch::AtOnce, attestation: Attestation::Batch }
    }

    /// Sets the touch policy that the key starts with.
    #[must_use]
    pub fn touch(mut self, touch: Touch) -> Self {
        self.touch = touch;
        self
    }

    /// Sets how it attests.
    #[must_use]
    pub fn attestation(mut self, attestation: Attestation) -> Self {
        self.attestation = attestation;
        self
    }

    /// Plugs the key into this process. The descriptor is the client's end: a `SOCK_SEQPACKET` socket,
    /// one report per packet; it reads end-of-file once the key is unplugged.
    ///
    /// # Errors
    /// No socket or no thread can be made.
    pub fn plug(self) -> io::Result<(OwnedFd, KeyHandle)> {
        let (client, end) = SeqpacketEnd::pair()?;
        let handle = KeyHandle::plug(end, self.touch, move |wire| {
            firmware::run(self.seed, self.attestation, &wire);
        })?;
        Ok((client, handle))
    }
}
