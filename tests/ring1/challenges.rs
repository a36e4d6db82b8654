//! Challenges: never the same twice, and bound to the login they are for.

use std::collections::HashSet;

use fidokey_core::assertion::{Challenge, Subject};
use fidokey_core::credential::RpId;
use fidokey_core::ports::{Hedge, Origin};
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::softkey::{Behaviour, Secret, soft_key};
use fidokey_tests::sim::world::{SECOND_FACTOR, world};

/// BAR C3: with a generator that repeats itself, and with one that does not.
#[test]
fn given_a_million_challenges_then_no_two_are_the_same() {
    let origin = Origin { service: "sudo".into(), ..Origin::default() };
    let who = Subject { uid: 1000, user: "alice", origin: &origin };
    let rp_id = RpId::default();
    let mut seen = HashSet::new();
    for boottime_ns in 0..500_000 {
        let hedge = Hedge { boottime_ns, pid: 1 };
        assert!(seen.insert(*Challenge::new(&[0; 32], &rp_id, &who, hedge).client_data_hash()));
    }
    let hedge = Hedge { boottime_ns: 0, pid: 2 };
    for drawn in 0..500_000u64 {
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&drawn.to_le_bytes());
        assert!(seen.insert(*Challenge::new(&nonce, &rp_id, &who, hedge).client_data_hash()));
    }
}

/// BAR C3: what the key is really sent, login after login, while the generator repeats itself.
#[test]
fn given_constant_randomness_then_two_logins_still_sign_different_challenges() {
    let secret = Secret::new(1, 64);
    let credentials = [secret.credential()];
    let (key, seen) = soft_key(&[secret], Behaviour::default());
    let mut keys = SimKeys::with(key);
    let (mut machine, mut host) = world(&credentials, SECOND_FACTOR);
    machine.constant_random = true;
    for _ in 0..2 {
        let answer = fidokey_core::login::login(&mut machine, &mut host, &mut keys, &[]);
        assert_eq!(answer.number(), 0);
    }
    let hashes = &seen.borrow().hashes;
    assert_eq!(hashes.len(), 2);
    assert_ne!(hashes[0], hashes[1]);
}

/// Every part of the context counts, and none can be moved into its neighbour.
#[test]
fn given_another_context_then_another_challenge() {
    let contexts = [
        ("pam://fidokey", 1000, "alice", ["sudo", "/dev/pts/0", ""], 1, 1),
        ("pam://fidoke", 1000, "yalice", ["sudo", "/dev/pts/0", ""], 1, 1),
        ("pam://fidokey", 1001, "alice", ["sudo", "/dev/pts/0", ""], 1, 1),
        ("pam://fidokey", 1000, "alic", ["esudo", "/dev/pts/0", ""], 1, 1),
        ("pam://fidokey", 1000, "alice", ["sud", "o/dev/pts/0", ""], 1, 1),
        ("pam://fidokey", 1000, "alice", ["sudo", "/dev/pts/", "0"], 1, 1),
        ("pam://fidokey", 1000, "alice", ["sudo", "", "/dev/pts/0"], 1, 1),
        ("pam://fidokey", 1000, "alice", ["sudo", "/dev/pts/0", ""], 2, 1),
        ("pam://fidokey", 1000, "alice", ["sudo", "/dev/pts/0", ""], 1, 2),
    ];
    let mut seen = HashSet::new();
    for (rp_id, uid, user, [service, tty, rhost], boottime_ns, pid) in contexts {
        let origin = Origin {
            service: service.into(),
            tty: tty.into(),
            rhost: rhost.into(),
            ruser: String::new(),
        };
        let who = Subject { uid, user, origin: &origin };
        let rp_id = RpId::new(rp_id).unwrap();
        let challenge = Challenge::new(&[1; 32], &rp_id, &who, Hedge { boottime_ns, pid });
        assert!(seen.insert(*challenge.client_data_hash()));
    }
}

/// The encoding is a promise: an audit may recompute it. The expected value was computed by
/// `printf` and `sha256sum` from the description in `Challenge::new`.
#[test]
fn given_known_inputs_then_the_challenge_is_the_documented_one() {
    let origin = Origin {
        service: "sudo".into(),
        tty: "/dev/pts/0".into(),
        rhost: String::new(),
        ruser: "ignored".into(),
    };
    let who = Subject { uid: 1000, user: "alice", origin: &origin };
    let hedge = Hedge { boottime_ns: 0x0102_0304_0506_0708, pid: 4711 };
    let challenge = Challenge::new(&[0x11; 32], &RpId::default(), &who, hedge);
    let hex: String =
        challenge.client_data_hash().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "b3928cb2f7770f53c8a7719eb10207c5c56c2aca0c997ce4abca3608d8e58c99");
}

/// BAR C2: whichever draw fails, that of the channel's nonce, that of the challenge or the clock beside it.
#[test]
fn given_a_machine_that_fails_at_any_call_then_system_err() {
    let fault = fidokey_core::ports::Fault { call: "getrandom", errno: 38 };
    let secret = Secret::new(1, 64);
    for call in 1.. {
        let (key, seen) = soft_key(std::slice::from_ref(&secret), Behaviour::default());
        let mut keys = SimKeys::with(key);
        let (mut machine, mut host) = world(&[secret.credential()], SECOND_FACTOR);
        machine.fault = Some((call, fault));
        let answer = fidokey_core::login::login(&mut machine, &mut host, &mut keys, &[]);
        if answer.number() == 0 {
            assert_eq!(call, 5, "account, nonce, challenge, hedge");
            break;
        }
        assert_eq!(answer.number(), 4, "call {call}");
        assert!(seen.borrow().hashes.is_empty(), "call {call}");
    }
}
