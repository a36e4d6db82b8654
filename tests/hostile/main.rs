//! What hostile keys cost: simulated time, waits and reports, and the heap that they can make us use.
//!
//! One test in a program of its own, so that nothing else counts. `cargo test --test hostile -- --nocapture`
//! shows the table.

mod heap;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use fidokey_core::credential::Algorithm;
use fidokey_core::ports::KeyId;
use fidokey_tests::sim::device::Script;
use fidokey_tests::sim::scripts::{Hostile, SCRIPTS, hostile_from};
use fidokey_tests::sim::softkey::{Behaviour, Secret, soft_key};
use fidokey_tests::sim::u2f_key::{U2fBehaviour, u2f_key};
use fidokey_tests::sim::world::{enroll_for_alice, login_of_alice};
use fidokey_tests::sim::{SimKeys, Step};

/// The longest that a login or a registration takes, whatever the key does: 45 s, and 1 s of draining.
const LONGEST: Duration = Duration::from_secs(46);
/// The most heap. The longest message has 7609 bytes; a byte of it becomes an item of 32 bytes at the most, in a
/// list whose capacity doubles: 8192 items and the 4096 before them, 384 KiB, and two copies of the message.
const MOST: usize = 448 * 1024;

#[derive(Clone, Copy, Debug)]
enum Ceremony {
    /// By a key of the second generation, hostile in place of its assertion.
    Login,
    /// By one that is asked what it takes first.
    LoginOfMany,
    /// By a key of the first generation.
    U2fLogin,
    /// A registration, hostile from the n-th message on.
    Enroll(u32),
    /// The same with a key of the first generation.
    U2fEnroll(u32),
}

const CEREMONIES: [Ceremony; 8] = [
    Ceremony::Login,
    Ceremony::LoginOfMany,
    Ceremony::U2fLogin,
    Ceremony::Enroll(0),
    Ceremony::Enroll(1),
    Ceremony::Enroll(2),
    Ceremony::U2fEnroll(0),
    Ceremony::U2fEnroll(4),
];

/// What one script cost.
struct Cost {
    outcome: String,
    seconds: f64,
    waits: u64,
    reports: usize,
    peak: usize,
}

fn run(ceremony: Ceremony, hostile: Hostile) -> Cost {
    let secret = Secret::new(1, 64);
    let key: Script = match ceremony {
        Ceremony::Login | Ceremony::LoginOfMany => fido2(&secret, 0, hostile),
        Ceremony::Enroll(from) => fido2(&secret, from, hostile),
        Ceremony::U2fLogin => u2f(&secret, 0, hostile),
        Ceremony::U2fEnroll(from) => u2f(&secret, from, hostile),
    };
    let mut keys = SimKeys::with(key);
    // The world's own bookkeeping grows on this heap too: what it may need is there before.
    keys.trace.reserve(20_000);
    let many: Vec<_> = (1..=9).map(|number| Secret::new(number, 64).credential()).collect();
    let (one, old) = ([secret.credential()], [secret.u2f_credential()]);
    heap::start();
    let outcome = match ceremony {
        Ceremony::Login => login(&one, &mut keys),
        Ceremony::LoginOfMany => login(&many, &mut keys),
        Ceremony::U2fLogin => login(&old, &mut keys),
        Ceremony::Enroll(_) | Ceremony::U2fEnroll(_) => {
            match enroll_for_alice(&[], &[Algorithm::Es256], &mut keys).0 {
                Ok(_) => "registered".to_owned(),
                Err(error) => format!("  {error:?}"),
            }
        }
    };
    let peak = heap::peak();
    assert_eq!(keys.trace.last(), Some(&Step::Close(KeyId(0))), "left open");
    Cost {
        outcome,
        seconds: keys.elapsed().as_secs_f64(),
        waits: keys.waits,
        reports: keys.trace.iter().filter(|step| matches!(step, Step::Send(..))).count(),
        peak,
    }
}

fn login(credentials: &[fidokey_core::credential::Credential], keys: &mut SimKeys) -> String {
    let (code, host) = login_of_alice(credentials, keys);
    let (_, line) = &host.logged[0];
    let reason = line.split(' ').find_map(|field| field.strip_prefix("reason=")).unwrap();
    format!("{code} {reason}")
}

fn fido2(secret: &Secret, from: u32, hostile: Hostile) -> Script {
    let behaviour = Behaviour { instead: hostile_from(from, hostile), ..Behaviour::default() };
    soft_key(std::slice::from_ref(secret), behaviour).0
}

fn u2f(secret: &Secret, from: u32, hostile: Hostile) -> Script {
    let behaviour =
        U2fBehaviour { instead: hostile_from(from, hostile), ..U2fBehaviour::default() };
    u2f_key(std::slice::from_ref(secret), behaviour).0
}

/// BAR D1 to D9, D11, E13: whatever a key sends, the end comes, it is no grant, and the heap stays small.
#[test]
fn given_any_hostile_key_then_time_and_memory_are_bounded() {
    let table = Rc::new(RefCell::new(format!(
        "{:<34} {:<14} {:<44} {:>7} {:>8} {:>7} {:>8}\n",
        "script", "ceremony", "outcome", "seconds", "waits", "reports", "heap"
    )));
    let mut beyond = Vec::new();
    for (name, hostile) in SCRIPTS {
        for ceremony in CEREMONIES {
            let cost = run(ceremony, *hostile);
            let Cost { outcome, seconds, waits, reports, peak } = &cost;
            let said: String = outcome.chars().take(44).collect();
            let ceremony = format!("{ceremony:?}");
            writeln!(
                table.borrow_mut(),
                "{name:<34} {ceremony:<14} {said:<44} {seconds:>7.2} {waits:>8} {reports:>7} {peak:>8}"
            )
            .unwrap();
            let granted = outcome == "registered" || outcome.starts_with("0 ");
            let exempt = outcome.starts_with("25 ");
            if granted || exempt || cost.seconds > LONGEST.as_secs_f64() || cost.peak > MOST {
                beyond.push(format!("{name}, {ceremony}: {outcome}, {seconds} s, {peak} bytes"));
            }
        }
    }
    print!("{}", table.borrow());
    assert!(beyond.is_empty(), "{beyond:#?}");
}
