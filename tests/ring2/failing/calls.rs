//! Every system call of a login fails, one after the other.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::all;
use super::immaterial::{self, MEMORY, is_made_again};
use super::login::{Hit, Login};
use super::scenes::{self, Place, Scene};
use super::table::{Row, Verdict, Words};

/// The codes of INV-3.
pub(super) const DOCUMENTED: [i32; 11] = [0, 3, 4, 5, 6, 7, 9, 10, 19, 25, 26];
const WORDS: Words = Words { calls: "system calls", kinds: "errors" };

/// What that login came to, or what is wrong with it.
fn judge(scene: &Scene, place: &Place, login: &Login, hit: &Hit) -> Result<Verdict, String> {
    let (name, errno) = (hit.call.name, hit.errno as i32);
    let wrong = |what: &str| Err(format!("{what}: {hit:?} {:?} {}", login.signal, login.report));
    if name != "brk" && hit.told != Some(-i64::from(errno)) {
        return wrong("not told");
    }
    if let Some(signal) = login.signal {
        return if MEMORY.contains(&name) { Ok(Verdict::Ended(signal)) } else { wrong("ended") };
    }
    let Some(answer) = login.answer else { return wrong("no answer") };
    let code = match login.logged.as_slice() {
        [code] => *code,
        // Where the log itself cannot be asked for room: what libpam answers must be as it was.
        [] if hit.decided && answer == scene.answer() => scene.code,
        _ => return wrong("in the log"),
    };
    if !DOCUMENTED.contains(&code) || login.bug {
        return wrong("not a code of ours, or one of a bug");
    }
    // An exemption is the rest of the stack's to decide, and alone it is a refusal of libpam's. Where libpam cannot
    // tell the audit log, it is libpam that fails.
    let expected = if code == 25 { 6 } else { code };
    if answer != expected && !(answer == 4 && hit.decided) {
        return wrong("not what libpam made of it");
    }
    if is_made_again(hit) && code != scene.code {
        return wrong("interrupted, and not made again");
    }
    let immaterial = immaterial::reason(hit).is_some();
    match code {
        0 if scene.code != 0 => wrong("granted"),
        25 if immaterial::is_absence(hit, place) => Ok(Verdict::Exempt),
        25 if scene.code != 25 => wrong("exempt"),
        0 | 25 if !immaterial => wrong("in spite of it"),
        _ if answer == 4 => Ok(Verdict::Denied(4)),
        0 => Ok(Verdict::Granted),
        25 => Ok(Verdict::Exempt),
        _ => Ok(Verdict::Denied(code)),
    }
}

/// Lets each call of the scene fail: with one of its errors, each time another one, or with all of them.
#[track_caller]
fn fail_each(scene: Scene, seed: u64) {
    let first = scene.place(seed);
    // A login that was slower waited more often, or was told more often to wait: what all have in common.
    let calls = (0..3).map(|_| Login::normal(&scene, &first).calls);
    let calls = calls.min_by_key(Vec::len).unwrap();
    let all = all();
    let errors = |(index, &count)| {
        let at = index + 1;
        (if all { 0..count } else { at..at + 1 }).map(move |error| (at, error))
    };
    let cases = Mutex::new(calls.iter().enumerate().flat_map(errors));
    let (row, unmade) = (Mutex::new(Row::default()), Mutex::new(BTreeSet::new()));
    let work = |place: Place| {
        loop {
            let Some((at, error)) = cases.lock().unwrap().next() else { break };
            let login = Login::try_for(&scene, &place, (at, error), |login| {
                login
                    .hit
                    .as_ref()
                    .is_some_and(|hit| !is_made_again(hit) || login.logged == [scene.code])
            });
            if login.hit.is_none() {
                unmade.lock().unwrap().insert((at, error));
                continue;
            }
            let hit = login.hit.as_ref().unwrap();
            let verdict = judge(&scene, &place, &login, hit);
            row.lock().unwrap().add(format!("{:?}", hit.errno), verdict.map(|it| it.to_string()));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| work(first));
        for worker in 1..scene.workers() {
            let work = &work;
            scope.spawn(move || work(scene.place(seed + worker)));
        }
    });
    let (row, unmade) = (row.into_inner().unwrap(), unmade.into_inner().unwrap());
    // The last ones may be beyond the end of every try, of which one was shorter still.
    let (name, count) = (scene.name, calls.len());
    let last = |(at, _): &(usize, usize)| at * 10 > count * 9;
    assert!(unmade.iter().all(last), "{name}: {unmade:?} of {count} were not made");
    let faults = if all { calls.iter().sum() } else { count };
    assert_eq!(row.faults() + unmade.len(), faults, "{name}");
    let unmade: BTreeSet<usize> = unmade.into_iter().map(|(at, _)| at).collect();
    row.finish(&WORDS, name, count - unmade.len());
}

/// BAR X1, D24: granted or denied, and never exempt. Granted only where the call is one that the login does not depend
/// on. This holds for each of the following: no verdict that is kinder than the normal one.
#[test]
fn given_a_call_that_fails_in_a_granted_login_then_granted_without_it_or_denied() {
    fail_each(scenes::GRANTED, 500);
}

/// BAR X1, D24: the same with a PIN.
#[test]
fn given_a_call_that_fails_in_a_login_with_a_pin_then_granted_without_it_or_denied() {
    fail_each(scenes::GRANTED_WITH_PIN, 540);
}

/// BAR X1, D24: the same of the module as it is shipped, with a key that it finds by itself.
#[test]
fn given_a_call_that_fails_in_the_shipped_module_then_granted_without_it_or_denied() {
    fail_each(scenes::SHIPPED, 580);
}

/// BAR X1: where it is normally exempt: exempt or denied, and never granted.
#[test]
fn given_a_call_that_fails_where_nobody_is_enrolled_then_exempt_without_it_or_denied() {
    fail_each(scenes::NOT_ENROLLED, 620);
}

/// BAR X1: where such a login has something to tell: it looks at the state, then takes that from it.
#[test]
fn given_a_call_that_fails_where_a_change_is_told_then_exempt_without_it_or_denied() {
    fail_each(scenes::NOT_ENROLLED_TOLD, 640);
}

/// BAR X1: where there is no key, denied.
#[test]
fn given_a_call_that_fails_without_a_key_then_denied() {
    fail_each(scenes::NO_KEY, 660);
}

/// BAR X1: by a key that is somebody else's, denied.
#[test]
fn given_a_call_that_fails_with_a_wrong_key_then_denied() {
    fail_each(scenes::WRONG_KEY, 700);
}

/// BAR X1: with a wrong PIN, denied.
#[test]
fn given_a_call_that_fails_with_a_wrong_pin_then_denied() {
    fail_each(scenes::WRONG_PIN, 740);
}

/// BAR X1: with a record that is none, denied.
#[test]
fn given_a_call_that_fails_with_a_bad_record_then_denied() {
    fail_each(scenes::BAD_RECORD, 780);
}

/// BAR X1: from another machine, denied.
#[test]
fn given_a_call_that_fails_in_a_remote_login_then_denied() {
    fail_each(scenes::REMOTE, 820);
}
