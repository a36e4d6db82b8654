//! What the firmware's system needs from the hardware: randomness, a memory, a clock and a finger.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use fidokey_tests::key::{SLICE, SharedWire};
use rand_chacha::ChaCha8Rng;
use trussed::platform;
use trussed::types::ui::Status;
use trussed::virt::Store;
use trussed_core::InterruptFlag;
use trussed_core::types::consent::Level;
use trussed_core::types::reboot::To;

use crate::front::Front;

pub(crate) struct Platform<'a, 'u> {
    pub(crate) randomness: ChaCha8Rng,
    pub(crate) store: Store<'a>,
    pub(crate) finger: Finger<'a, 'u>,
}

impl<'a, 'u> platform::Platform for Platform<'a, 'u> {
    type R = ChaCha8Rng;
    type S = Store<'a>;
    type UI = Finger<'a, 'u>;

    fn rng(&mut self) -> &mut ChaCha8Rng {
        &mut self.randomness
    }

    fn store(&self) -> Store<'a> {
        self.store
    }

    fn user_interface(&mut self) -> &mut Finger<'a, 'u> {
        &mut self.finger
    }
}

/// While the system waits for the finger, the wire is served from here: there is one thread.
pub(crate) struct Finger<'a, 'u> {
    pub(crate) front: &'a RefCell<Front<'u>>,
    pub(crate) wire: SharedWire,
    pub(crate) interrupt: &'static InterruptFlag,
    pub(crate) plugged: Instant,
}

impl platform::UserInterface for Finger<'_, '_> {
    fn set_status(&mut self, status: Status) {
        if status == Status::WaitingForUserPresence {
            self.wire.borrow().ask();
        }
    }

    fn refresh(&mut self) {
        let until_touch = self.wire.borrow().until_touch().unwrap_or(SLICE);
        if !until_touch.is_zero() {
            self.front.borrow_mut().serve(until_touch.min(SLICE), true);
        }
        if self.wire.borrow().is_gone() {
            // A key without power waits for nobody.
            self.interrupt.interrupt();
        }
    }

    fn check_user_presence(&mut self) -> Level {
        if self.wire.borrow().take_touch() { Level::Normal } else { Level::None }
    }

    fn uptime(&mut self) -> Duration {
        self.plugged.elapsed()
    }

    fn reboot(&mut self, _: To) -> ! {
        panic!("nothing that the tests do makes the key restart");
    }
}
