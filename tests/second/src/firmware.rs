//! The key's main loop, as the firmware's own on real hardware, on one thread.

use std::cell::RefCell;
use std::time::Instant;

use ctaphid_dispatch::{Channel, Dispatch};
use fido_authenticator::{Authenticator, Config, Conforming};
use fidokey_tests::key::{SLICE, SharedWire};
use littlefs2_core::{DynFilesystem, path};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use trussed::ClientImplementation;
use trussed::backend::BackendId;
use trussed::pipe::{ServiceEndpoint, TrussedChannel};
use trussed::platform::Syscall;
use trussed::service::Service;
use trussed::types::CoreContext;
use trussed::virt::{Store, StoreConfig};
use trussed_core::InterruptFlag;
use trussed_staging::StagingContext;
use trussed_staging::virt::{BackendIds, Dispatcher};
use usb_device::bus::UsbBusAllocator;

use crate::Attestation;
use crate::bus::{Bus, Line};
use crate::front::{Current, Front, MESSAGE_MAX};
use crate::platform::{Finger, Platform};

const BACKENDS: &[BackendId<BackendIds>] =
    &[BackendId::Custom(BackendIds::StagingBackend), BackendId::Core];

/// Serves the wire until the key is unplugged or its client has gone.
pub(crate) fn run(seed: u64, attestation: Attestation, wire: &SharedWire) {
    StoreConfig::ram().with_store(|store| {
        if attestation == Attestation::Batch {
            install_attestation(store.internal);
        }
        serve(seed, store, wire);
    });
}

fn serve(seed: u64, store: Store<'_>, wire: &SharedWire) {
    // The firmware has them in static memory. A key of the tests leaves a few bytes.
    let interrupt: &'static InterruptFlag = Box::leak(Box::default());
    let current: &'static Current = Box::leak(Box::new(Current::new(None)));

    let messages = Channel::new();
    let (requester, responder) = messages.split().expect("a fresh channel");
    let line = Line::default();
    let bus = UsbBusAllocator::new(Bus::new(line.clone()));
    let front = RefCell::new(Front::new(&bus, line, requester, current, wire.clone()));

    let calls = TrussedChannel::new();
    let (caller, called) = calls.split().expect("a fresh channel");
    let context = CoreContext::with_interrupt(path!("fido").into(), Some(interrupt));
    let finger = Finger { front: &front, wire: wire.clone(), interrupt, plugged: Instant::now() };
    let platform = Platform { randomness: ChaCha8Rng::seed_from_u64(seed), store, finger };
    let system = RefCell::new(System {
        service: Service::with_dispatch(platform, Dispatcher::default()),
        endpoints: [ServiceEndpoint::new(called, context, BACKENDS)],
    });
    let client =
        ClientImplementation::<_, Dispatcher>::new(caller, CallInPlace(&system), Some(interrupt));
    let config = Config::new(MESSAGE_MAX);
    let mut authenticator = Authenticator::new(client, Conforming {}, config);
    let mut dispatch = Dispatch::with_interrupt(responder, Some(current));

    while !wire.borrow().is_gone() {
        // The borrow must end here: the system uses the front itself while it waits for a touch.
        front.borrow_mut().serve(SLICE, false);
        dispatch.poll(&mut [&mut authenticator]);
        wire.borrow().stop_asking();
        front.borrow_mut().flush();
    }
}

/// The system that holds the authenticator's keys.
struct System<'a, 'u> {
    service: Service<Platform<'a, 'u>, Dispatcher>,
    endpoints: [ServiceEndpoint<'a, BackendIds, StagingContext>; 1],
}

/// The authenticator calls the system by a software interrupt; here it is a call.
struct CallInPlace<'s, 'a, 'u>(&'s RefCell<System<'a, 'u>>);

impl Syscall for CallInPlace<'_, '_, '_> {
    fn syscall(&mut self) {
        let System { service, endpoints } = &mut *self.0.borrow_mut();
        service.process(endpoints);
    }
}

/// The test key of the first emulated key, in the firmware's own form: flags, kind (P-256), scalar.
fn install_attestation(files: &dyn DynFilesystem) {
    let key = [&[0, 2, 0, 5][..], &fidokey_tests::key::ATTESTATION_KEY].concat();
    for (directory, file, content) in [
        (path!("fido/sec"), path!("fido/sec/00"), key.as_slice()),
        (path!("fido/x5c"), path!("fido/x5c/00"), fidokey_tests::key::ATTESTATION_CERTIFICATE),
    ] {
        files.create_dir_all(directory).expect("the memory is empty");
        files.write(file, content).expect("the memory is empty");
    }
}
