//! What happens while the key blinks.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::{Duration, Instant};

use fidokey_core::credential::Credential;
use fidokey_second::SecondKey;
use fidokey_tests::key::{KeyHandle, Touch};
use fidokey_tests::sim::world::SimHost;
use fidokey_tests::socket_keys::SocketKeys;

use crate::scene::{Plugged, enrolled, login_of_alice, patient_login_of_alice, reason};

#[test]
fn given_nobody_touches_it_then_cancelled_in_time_and_the_key_is_free_again() {
    let (key, credential) = waiting();
    let started = Instant::now();
    let (code, host) = login_of_alice(std::slice::from_ref(&credential), &mut key.keys());
    assert_eq!((code, reason(&host)), (7, "touch_timeout"));
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(key.commands(), ["INIT", "getAssertion 2d", "CANCEL"]);
    assert!(!key.handle.is_asking());

    key.handle.set_touch(Touch::AtOnce);
    assert_eq!(login_of_alice(&[credential], &mut key.keys()).0, 0);
}

#[test]
fn given_the_key_pulled_out_while_it_blinks_then_denied_within_the_time_for_a_key() {
    let (key, credential) = waiting();
    let Plugged { wire, handle } = key;
    let (code, host) = thread::scope(|scope| {
        scope.spawn(|| {
            await_asking(&handle);
            handle.unplug();
        });
        let mut keys = SocketKeys::new(&[wire.as_raw_fd()]);
        login_of_alice(&[credential], &mut keys)
    });
    assert_eq!((code, reason(&host)), (7, "no_key"));
}

/// Another program's command on a channel of its own: this firmware tells it that it is busy, and goes on.
#[test]
fn given_another_programs_command_in_the_wait_then_the_login_goes_on() {
    let mut ping = [0; 64];
    ping[..8].copy_from_slice(&[0, 0, 0x77, 0x77, 0x81, 0, 1, b'x']);
    let (key, _, (code, host)) = disturbed(&ping);
    assert_eq!((code, reason(&host)), (0, "verified"));
    assert_eq!(key.handle.touches(), 3);
}

/// Another program's INIT: this firmware gives that program its channel and drops the request that waits,
/// without a word to us. The silence is noticed, the login denied in time, and the key free again.
#[test]
fn given_another_programs_init_in_the_wait_then_denied_after_the_silence() {
    let mut init = [0; 64];
    init[..7].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x86, 0, 8]);
    let started = Instant::now();
    let (key, credential, (code, host)) = disturbed(&init);
    assert_eq!((code, reason(&host)), (7, "key_failed"));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(key.commands(), ["INIT", "getAssertion", "INIT", "CANCEL"]);
    assert_eq!(key.handle.touches(), 2, "those of the registration: it blinks no longer");
    assert_eq!(login_of_alice(&[credential], &mut key.keys()).0, 0);
}

/// An enrolled key that nobody touches.
fn waiting() -> (Plugged, Credential) {
    let (key, credential) = enrolled(SecondKey::new(1));
    key.handle.set_touch(Touch::Never);
    (key, credential)
}

/// A login of alice during whose wait another program sends this report; then the finger comes.
fn disturbed(report: &[u8; 64]) -> (Plugged, Credential, (i32, SimHost)) {
    let (key, credential) = waiting();
    let other: OwnedFd = key.wire.try_clone().unwrap();
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            await_asking(&key.handle);
            UnixDatagram::from(other).send(report).unwrap();
            thread::sleep(Duration::from_millis(300));
            key.handle.set_touch(Touch::AtOnce);
        });
        patient_login_of_alice(10, std::slice::from_ref(&credential), &mut key.keys())
    });
    (key, credential, outcome)
}

fn await_asking(handle: &KeyHandle) {
    while !handle.is_asking() {
        thread::sleep(Duration::from_millis(10));
    }
}
