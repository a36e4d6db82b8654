//! A PIN on an emulated key, set over its own wire as any program would (CTAP 2.1 section 6.5.5.5).

use std::os::fd::AsRawFd as _;
use std::time::Duration;

use fidokey_core::ctap::bus::Bus;
use fidokey_core::ctap::cbor::Writer;
use fidokey_core::ctap::client::Client;
use fidokey_core::ctap::pin_protocol::{PinProtocol, SharedSecret};
use fidokey_core::ports::KeyId;

use super::EmulatedKey;
use crate::socket_keys::SocketKeys;

/// The length to which a PIN is filled up with zeros before it is encrypted, in bytes.
const PADDED: usize = 64;

impl EmulatedKey {
    /// The same key with this PIN on it.
    ///
    /// # Panics
    /// When the key does not take it.
    #[must_use]
    pub fn with_pin(self, pin: &str) -> Self {
        self.set_pin(pin);
        self
    }

    /// Sets the first PIN, while the key is plugged in nowhere.
    ///
    /// # Panics
    /// When the key does not take it.
    pub fn set_pin(&self, pin: &str) {
        let (wire, handle) = self.plug().expect("a socket and a thread");
        let mut keys = SocketKeys::new(&[wire.as_raw_fd()]);
        let bus = Bus::new(&mut keys);
        let set = bus.alone(KeyId(0), async {
            let end = bus.now().unwrap().after(Duration::from_secs(5));
            let mut client = Client::open(&bus, KeyId(0), 1, end).await?;
            let protocol = PinProtocol::Two;
            let theirs = client.key_agreement(protocol, end).await?;
            let (shared, ours) = SharedSecret::agree(protocol, &theirs, &[5; 32]).unwrap();
            let mut padded = [0; PADDED];
            padded[..pin.len()].copy_from_slice(pin.as_bytes());
            let encrypted = shared.encrypt(&[6; 16], &padded).unwrap();
            let mut request = Writer::beginning_with(0x06);
            request.map(5).integer(1).integer(2).integer(2).integer(3);
            request.integer(3).map(5).integer(1).integer(2).integer(3).integer(-25);
            request.integer(-1).integer(1);
            request.integer(-2).bytes(&ours.x).integer(-3).bytes(&ours.y);
            request.integer(4).bytes(&shared.authenticate(&encrypted).unwrap());
            request.integer(5).bytes(&encrypted);
            // It has an answer of a status and nothing else.
            client.touch(&request.into_bytes(), end).await
        });
        set.unwrap().expect("a key without a PIN");
        drop(bus);
        handle.unplug();
    }
}
