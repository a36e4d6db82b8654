//! The key's main loop, as the firmware's own on real hardware.

use opensk::api::customization::CustomizationImpl;
use opensk::api::persist::{AttestationId, Persist as _};
use opensk::env::Env as _;
use opensk::{Ctap, Transport};

use super::Shared;
use super::attestation;
use super::environment::KeyEnv;
use super::store::Store;
use super::wire::{SLICE, SharedWire};

/// What goes into the key's thread.
pub(super) struct Firmware {
    pub(super) seed: [u8; 32],
    pub(super) store: Store,
    pub(super) customization: CustomizationImpl,
}

impl Firmware {
    /// Serves the wire until the key is unplugged or its client has gone.
    pub(super) fn run(self, wire: &SharedWire) {
        let shared = wire.borrow().shared();
        let mut key = Ctap::new(KeyEnv::new(self, wire));
        install_attestation(key.env());

        while !wire.borrow().is_gone() {
            // The borrow must end here: the firmware uses the wire itself while it waits for a touch.
            let received = wire.borrow_mut().receive(SLICE);
            if let Some(report) = received {
                for reply in key.process_hid_packet(&report, Transport::MainHid) {
                    wire.borrow_mut().send(&reply);
                }
            }
            serve_u2f_touch(&mut key, &shared);
        }
    }
}

/// U2F does not wait: the key answers 0x6985 until it was touched, and the client asks again. A check-only
/// request does not make the key blink.
fn serve_u2f_touch(key: &mut Ctap<KeyEnv>, shared: &Shared) {
    if !key.u2f_needs_user_presence() {
        shared.lock().asked = None;
        return;
    }
    let touched = {
        let mut state = shared.lock();
        state.ask();
        state.take_touch()
    };
    if touched {
        key.u2f_grant_user_presence();
    }
}

fn install_attestation(env: &mut KeyEnv) {
    let store = env.persist();
    let present = store.get_attestation(AttestationId::Batch).expect("the store can be read");
    if present.is_none() {
        store
            .set_attestation(AttestationId::Batch, Some(&attestation::batch()))
            .expect("the store can be written");
    }
}
