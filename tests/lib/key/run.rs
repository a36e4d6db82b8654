//! The key's main loop, as the firmware's own on real hardware.

use opensk::api::customization::CustomizationImpl;
use opensk::api::persist::{AttestationId, Persist as _};
use opensk::env::Env as _;
use opensk::{Ctap, Transport};

use super::Shared;
use super::attestation;
use super::environment::KeyEnv;
use super::packet::Report;
use super::readerless::{is_get_info, without_reader};
use super::store::Store;
use super::wire::{SLICE, SharedWire};

/// What goes into the key's thread.
pub(super) struct Firmware {
    pub(super) seed: [u8; 32],
    pub(super) store: Store,
    pub(super) customization: CustomizationImpl,
    pub(super) u2f_only: bool,
    pub(super) has_reader: bool,
}

impl Firmware {
    /// Serves the wire until the key is unplugged or its client has gone.
    pub(super) fn run(self, wire: &SharedWire) {
        let (shared, u2f_only) = (wire.borrow().shared(), self.u2f_only);
        let has_reader = self.has_reader;
        let mut key = Ctap::new(KeyEnv::new(self, wire));
        install_attestation(key.env());

        while !wire.borrow().is_gone() {
            // The borrow must end here: the firmware uses the wire itself while it waits for a touch.
            let received = wire.borrow_mut().receive(SLICE);
            match received {
                Some(report) if u2f_only && report[4] == CBOR => {
                    wire.borrow_mut().send(&invalid_command(&report));
                }
                Some(report) => {
                    let mut replies: Vec<Report> =
                        key.process_hid_packet(&report, Transport::MainHid).collect();
                    if !has_reader && is_get_info(&report) {
                        replies = without_reader(replies);
                    }
                    for mut reply in replies {
                        if u2f_only && reply[4] == INIT {
                            reply[CAPABILITIES] &= !CAPABILITY_CBOR;
                        }
                        wire.borrow_mut().send(&reply);
                    }
                }
                None => (),
            }
            serve_u2f_touch(&mut key, &shared);
        }
    }
}

/// The fifth byte of the first report of a CTAP2 message, and of an INIT response.
const CBOR: u8 = 0x90;
const INIT: u8 = 0x86;
/// Where an INIT response has its flags, and the one of CTAP2.
const CAPABILITIES: usize = 7 + 16;
const CAPABILITY_CBOR: u8 = 0x04;

/// What a first-generation key answers to CTAP2: ERR_INVALID_CMD. The rest of the message it ignores, as it
/// does any continuation of nothing.
fn invalid_command(report: &[u8; 64]) -> [u8; 64] {
    let mut error = [0; 64];
    error[..4].copy_from_slice(&report[..4]);
    error[4..8].copy_from_slice(&[0xbf, 0, 1, 0x01]);
    error
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
