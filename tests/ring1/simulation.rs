//! Many keys, and everything that can happen to them, in any order: random schedules, each of which can be had again
//! by its number.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use fidokey_core::credential::{Algorithm, Credential, Verification};
use fidokey_core::login::login;
use fidokey_core::ports::{Fault, KeyId, Keys as _, Signal};
use fidokey_tests::log::LogLine;
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::device::{Device, Message, Outbox, frames, padded};
use fidokey_tests::sim::softkey::{Behaviour, Draft, Instead, Secret, keepalive, soft_key};
use fidokey_tests::sim::u2f_key::{U2fBehaviour, U2fDraft, u2f_key};
use fidokey_tests::sim::verifier::Verifier;
use fidokey_tests::sim::watched::{Owed, Watched};
use fidokey_tests::sim::world::world;

/// How many schedules a run of the tests goes through, where nothing else is said.
const SCHEDULES: u64 = 100_000;

/// Numbers that are as good as random, and the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn milliseconds(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.roll(most))
    }
}

/// A secret and its credential. Most of a schedule's time would go into making them anew each time.
fn made(number: u8, algorithm: Algorithm, u2f: bool) -> (Secret, Credential) {
    type Made = HashMap<(u8, bool, bool), (Secret, Credential)>;
    thread_local!(static MADE: RefCell<Made> = RefCell::default());
    let make = || {
        let secret = Secret { algorithm, ..Secret::new(number, 32 + usize::from(number % 64)) };
        let credential = if u2f { secret.u2f_credential() } else { secret.credential() };
        (secret, credential)
    };
    let kind = (number, algorithm == Algorithm::EdDsa, u2f);
    MADE.with_borrow_mut(|known| known.entry(kind).or_insert_with(make).clone())
}

/// A key of a schedule, as the judge sees it.
struct Contender {
    id: KeyId,
    tag: String,
    /// It holds the credential, signs what it is asked, and is touched some time.
    could_win: bool,
    /// It signs as the account's key does, whatever becomes of the touch.
    holds: bool,
    touches: Box<dyn Fn() -> u32>,
    owed: Rc<Owed>,
    /// What it verifies its user by.
    verifier: Rc<RefCell<Verifier>>,
    /// It may have been removed, so that what it owes can not be had any more.
    may_be_gone: bool,
}

/// An answer that is none, now and then: noise, silence, other people's frames, a length that is a lie.
fn noise(seed: u64, one_in: u64) -> Instead {
    let dice = RefCell::new(Dice(seed));
    Rc::new(move |message: &Message, outbox: &mut Outbox| {
        let mut dice = dice.borrow_mut();
        if message.command == 0x11 || !dice.one_in(one_in) {
            return false;
        }
        let delay = dice.milliseconds(400);
        let command = message.command;
        match dice.roll(7) {
            0 => {}
            1 => outbox.raw(delay, keepalive(message.channel)),
            2 => outbox.raw(delay, frames([0, 0, 0, 99], command, &[0; 40]).remove(0)),
            3 => outbox.message(
                delay,
                message.channel,
                0x3f,
                &[u8::try_from(dice.roll(256)).unwrap()],
            ),
            4 => outbox.message(
                delay,
                message.channel,
                command,
                &[u8::try_from(dice.roll(256)).unwrap()],
            ),
            5 => {
                let bytes: Vec<u8> =
                    (0..64).map(|_| u8::try_from(dice.roll(256)).unwrap()).collect();
                outbox.raw(delay, padded(&[&message.channel[..], &bytes[4..]].concat()));
            }
            _ => {
                let lie = [&message.channel[..], &[command | 0x80, 0xff, 0xff]].concat();
                outbox.raw(delay, padded(&lie));
            }
        }
        true
    })
}

/// What people type, the right PIN and others.
const TYPED: [&str; 5] = ["1234", "1234", "4321", "", "12"];

/// What a key of a schedule has to verify its user.
fn verifier(dice: &mut Dice) -> Verifier {
    let mut verifier = match dice.roll(4) {
        0 => return Verifier::default(),
        1 => Verifier::of_ctap_2_0("1234"),
        _ => Verifier::with_pin("1234"),
    };
    if dice.one_in(4) {
        const READINGS: [u8; 6] = [0, 0, 0x3c, 0x3f, 0x36, 0x2f];
        verifier.options.push(("uv", true));
        verifier.readings =
            (0..3).map(|_| READINGS[usize::try_from(dice.roll(6)).unwrap()]).collect();
    }
    if dice.one_in(8) {
        verifier.options.push(("alwaysUv", true));
    }
    verifier.retries = if dice.one_in(4) { u8::try_from(dice.roll(9)).unwrap() } else { 8 };
    verifier.power_cycle = dice.one_in(16);
    verifier.force_change = dice.one_in(16);
    verifier.flags_uv = !dice.one_in(8);
    verifier
}

/// One key more.
fn plug(
    keys: &mut SimKeys,
    dice: &mut Dice,
    number: u8,
    required: Verification,
    credentials: &mut Vec<Credential>,
) -> Contender {
    let u2f = dice.one_in(4);
    let algorithm = if !u2f && dice.one_in(2) { Algorithm::EdDsa } else { Algorithm::Es256 };
    let (secret, credential) = made(number, algorithm, u2f);
    let enrolled = !dice.one_in(3);
    let [a, b, c, d] = credential.id.tag();
    if enrolled {
        credentials.push(credential);
    }
    let touch = (!dice.one_in(4)).then(|| dice.milliseconds(6000));
    let bend = dice.one_in(8).then(|| u8::try_from(dice.roll(6)).unwrap());
    let noisy = dice.one_in(5);
    let seed = dice.roll(u64::MAX);
    let one_in = 1 + dice.roll(6);
    let instead: Instead = if noisy { noise(seed, one_in) } else { Rc::new(|_, _| false) };
    let verifier = verifier(dice);
    let can_verify = verifier.flags_uv && (verifier.says("clientPin") || verifier.says("uv"));
    let verifier = verifier.shared();
    let device: Box<dyn Device>;
    let seen;
    if u2f {
        let bend = move |draft: &mut U2fDraft| match bend {
            Some(0) => draft.flags = 0,
            Some(1) => draft.hash[0] ^= 1,
            Some(2) => draft.signature = Some(vec![0x30, 0x06, 2, 1, 1, 2, 1, 1]),
            Some(3) => draft.tail = vec![0],
            Some(4) => draft.cut = Some(3),
            Some(_) => draft.flags = 0x81,
            None => {}
        };
        let behaviour =
            U2fBehaviour { touch, bend: Rc::new(bend), instead, ..U2fBehaviour::default() };
        let (key, log) = u2f_key(std::slice::from_ref(&secret), behaviour);
        (device, seen) = (Box::new(key), log);
    } else {
        let bend = move |draft: &mut Draft| match bend {
            Some(0) => draft.auth_data[32] = 0,
            Some(1) => draft.hash[0] ^= 1,
            Some(2) => draft.signature = Some(vec![0; 64]),
            Some(3) => draft.tail = vec![0],
            Some(4) => draft.id = Some(vec![7; 40]),
            Some(_) => draft.auth_data[0] ^= 1,
            None => {}
        };
        let behaviour = Behaviour {
            touch,
            verifier: Rc::clone(&verifier),
            foreign_waits: dice.one_in(2),
            foreign_status: if dice.one_in(3) { 0x22 } else { 0x2e },
            bend: Rc::new(bend),
            instead,
            ..Behaviour::default()
        };
        let (key, log) = soft_key(std::slice::from_ref(&secret), behaviour);
        (device, seen) = (Box::new(key), log);
    }
    let (watched, owed) = Watched::new(device);
    let id = keys.add(watched);
    let mut may_be_gone = false;
    match dice.roll(10) {
        0 => {
            keys.unplug_after(id, dice.milliseconds(9000));
            may_be_gone = true;
        }
        1 => keys.plug_after(id, dice.milliseconds(4000)),
        2 => {
            let removed = dice.milliseconds(3000);
            keys.replug(id, removed, removed + dice.milliseconds(2000));
            may_be_gone = true;
        }
        3 => {
            keys.remove_at(id, dice.roll(25));
            may_be_gone = true;
        }
        4 => keys.lock(id, dice.milliseconds(6000)),
        5 if dice.one_in(3) => keys.deny(id, 13),
        _ => {}
    }
    Contender {
        id,
        tag: format!("{a:02x}{b:02x}{c:02x}{d:02x}"),
        // The first bend takes the flags away, of which a silent answer needs none.
        holds: enrolled && !u2f && bend.is_none_or(|bend| bend == 0),
        could_win: enrolled
            && bend.is_none()
            && touch.is_some()
            && (required == Verification::None || (!u2f && can_verify)),
        verifier,
        touches: Box::new(move || seen.borrow().touches),
        owed,
        may_be_gone,
    }
}

/// The schedule of that number. What must hold of it is asserted; what came of it is returned.
fn schedule(number: u64) -> i32 {
    let mut dice = Dice(number);
    let mut keys = SimKeys::default();
    let mut credentials = vec![made(200, Algorithm::Es256, false).1];
    let count = 1 + u8::try_from(dice.roll(4)).unwrap();
    let required = if dice.one_in(3) { Verification::Required } else { Verification::None };
    let mut contenders: Vec<Contender> = (1..=count)
        .map(|number| plug(&mut keys, &mut dice, number, required, &mut credentials))
        .collect();
    if dice.one_in(12) {
        keys.fault = Some((dice.roll(60), Fault { call: "ppoll", errno: 9 }));
    }
    if dice.one_in(10) {
        let signal = if dice.one_in(2) { Signal::Interrupt } else { Signal::Terminate };
        keys.signal_after(signal, dice.milliseconds(7000));
    }
    // The process stands still; the kernel gives up on what a key is sent.
    let mut held_up = Duration::ZERO;
    if dice.one_in(6) {
        held_up = dice.milliseconds(7000);
        keys.stop_after(dice.milliseconds(7000), held_up);
    }
    for contender in &mut contenders {
        if dice.one_in(24) {
            keys.stuck.push((contender.id, dice.roll(4)));
            contender.could_win = false;
            contender.may_be_gone = true;
            // Once, and no other time: it is not asked again.
            held_up += Duration::from_secs(5);
        }
    }
    let (wait, touch) = (dice.roll(6), 1 + dice.roll(6));
    let policy = format!(
        "schema = 1\n[default]\nmode = \"second-factor\"\nwait_for_key = \"{wait}s\"\ntouch = \"{touch}s\"\nverification = \"{}\"\n",
        required.word()
    );
    let (mut machine, mut host) = world(&credentials, &policy);
    if dice.one_in(12) {
        host.deaf_from = Some(usize::try_from(dice.roll(3)).unwrap());
    }
    host.typed = (0..dice.roll(6))
        .map(|_| TYPED[usize::try_from(dice.roll(5)).unwrap()].as_bytes().to_vec())
        .collect();
    host.typing = (dice.milliseconds(90_000), Rc::clone(&keys.typing));
    let code = login(&mut machine, &mut host, &mut keys, &[]).number();
    keys.fault = None;

    if std::env::var_os("FIDOKEY_SHOW").is_some() {
        for (key, command, payload) in keys.messages() {
            println!("{key:?} {command:02x} {} bytes", payload.len());
        }
        println!("{:?}\n{:?}", host.shown, host.logged);
    }

    // Bounded time: the budget, a second to leave the keys in, and what people took to type, before which the other
    // keys were left, each time within a second.
    let typing = u32::try_from(host.asked.len()).unwrap();
    let bound =
        held_up + Duration::from_secs(46) + (host.typing.0 + Duration::from_secs(1)) * typing;
    assert!(keys.elapsed() <= bound, "{:?}", keys.elapsed());
    // One try of one PIN, of a key that is the account's, and after it was typed.
    let tries: u32 = contenders.iter().map(|key| key.verifier.borrow().tries).sum();
    assert!(tries <= 1 && tries <= typing, "{tries} tries");
    let mut spent = contenders.iter().filter(|key| key.verifier.borrow().tries > 0);
    assert!(spent.all(|key| key.holds), "a PIN went to another's key");
    assert!([0, 4, 7, 19, 26].contains(&code), "{code}");
    // Whoever has given up is not let in.
    assert!(code != 0 || keys.pending_signal().is_none(), "let in with a signal pending");
    // Nothing is open, and nobody blinks.
    assert!(!keys.any_open(), "a key was left open");
    for key in &contenders {
        assert!(key.may_be_gone || !key.owed.request.get(), "{:?} was not cancelled", key.id);
    }
    // Success is a touch of a key that could give a valid assertion.
    let [(_, line)] = host.logged.as_slice() else { panic!("{:?}", host.logged) };
    let line = LogLine::parse(line).unwrap();
    if code == 0 {
        let winner = contenders.iter().find(|key| line.get("cred") == Some(&key.tag)).unwrap();
        assert!(winner.could_win && (winner.touches)() >= 1, "{} must not win", winner.tag);
        // Verified by itself, or by the one PIN, which was right.
        let verifier = winner.verifier.borrow();
        let verified = verifier.says("uv") || [&[16][..], &[32]].contains(&&verifier.params[..]);
        assert!(required == Verification::None || verified, "{} was not verified", winner.tag);
    }
    // The cue is told before anything blinks, and nobody is asked for a touch twice in a row.
    let touched = contenders.iter().any(|key| (key.touches)() > 0);
    let cue = "Touch your security key (sudo).";
    assert!(!touched || host.shown.iter().any(|text| text == cue), "{:?}", host.shown);
    // But for what is said of each key anew.
    let again = ["This key is not", "Enter the PIN", "PIN of", "Not recognised"];
    let twice =
        |two: &[String]| two[0] == two[1] && !again.iter().any(|text| two[0].starts_with(text));
    assert!(!host.shown.windows(2).any(twice), "{:?}", host.shown);
    code
}

/// BAR P5, Q7, D12, D13, D15, D27, INV-4 in ring 1: any schedule ends in bounded time, cancels every key that it armed,
/// gives up every lock, and lets in for a valid assertion alone. `FIDOKEY_SCHEDULES` says how many, `FIDOKEY_SEED` the
/// number of the first (`make simulate N=1000000`); `FIDOKEY_SHOW`, whatever it is, shows what went over the wire.
#[test]
fn given_any_schedule_then_it_ends_cancels_unlocks_and_lets_in_for_a_valid_assertion_alone() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let first = number("FIDOKEY_SEED").unwrap_or(1);
    let count = number("FIDOKEY_SCHEDULES").unwrap_or(SCHEDULES);
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let granted: u64 = std::thread::scope(|scope| {
        let run = |thread| {
            let mut granted = 0;
            for number in (first..first + count).skip(thread).step_by(threads) {
                if std::env::var_os("FIDOKEY_SHOW").is_some() {
                    println!("{number}");
                }
                let outcome = std::panic::catch_unwind(|| schedule(number));
                let code = outcome.unwrap_or_else(|panic| {
                    eprintln!("FIDOKEY_SEED={number} FIDOKEY_SCHEDULES=1 has it again");
                    std::panic::resume_unwind(panic);
                });
                granted += u64::from(code == 0);
            }
            granted
        };
        let runs: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).sum()
    });
    println!("{count} schedules from {first}, {granted} granted");
    // That they are not all alike.
    assert!(count < 1000 || (count / 8..count * 4 / 5).contains(&granted), "{granted}");
}
