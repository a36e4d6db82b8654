//! Every allocation of a login fails, one after the other.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::sync::Mutex;

use nix::libc::{SIGABRT, SIGSEGV};

use super::calls::DOCUMENTED;
use super::login::Report;
use super::scenes::{self, Place, Scene};
use super::table::{Row, Verdict, Words};
use crate::stage::{shipped_module, virtual_module};

const WORDS: Words = Words { calls: "allocations", kinds: "askers" };
/// How often an allocation is tried that was not made.
const TRIES: usize = 4;

/// What libpam answers where it has no memory itself, whatever the module has said.
const LIBPAMS_OWN: [i32; 2] = [4, 5];

/// What came of a login.
struct Login {
    report: Report,
    /// The libraries that had asked for what failed, the innermost first.
    asked: Option<Vec<String>>,
    signal: Option<i32>,
    /// What was written to the standard streams.
    written: String,
}

/// Logs in on that stage while the allocation of that number fails, from 1; none where it is 0.
fn run(scene: &Scene, place: &Place, number: usize) -> Login {
    place.prepare(scene);
    let report = place.stage.own_file("report");
    let (authenticate, before) = scene.words.split_last().unwrap();
    let fail = format!("allocation:{number}");
    let words = [before, &[&fail, authenticate, "allocations"]].concat();
    // Programs that end so are not kept.
    let output = place.command(&["prlimit", "--core=0"], &report, &words).output().unwrap();
    let report = Report::take(&report);
    let asked = report.text.lines().find_map(|line| line.strip_prefix("refused "));
    let name = |file: &str| Path::new(file).file_name().unwrap().display().to_string();
    let asked = asked.map(|line| line.split(' ').skip(1).map(name).collect());
    let written = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    Login { report, asked, signal: output.status.signal(), written }
}

/// Who had asked, in a word: the module, libpam, or the C library with its loader and its name services, whoever had
/// called it.
fn who(asked: &[String]) -> &str {
    let is = |module: &Path| asked[0] == *module.file_name().unwrap().to_str().unwrap();
    match asked[0].as_str() {
        _ if is(&virtual_module()) || is(&shipped_module()) => "module",
        name if name.starts_with("libpam.so") => "libpam",
        name if name.starts_with("libaudit.so") => "libaudit",
        name if name.starts_with("libc.so") || name.starts_with("ld-linux") => "libc",
        name if name.starts_with("libnss_") => "NSS",
        name => name,
    }
}

/// What that login came to, or what is wrong with it.
fn judge(scene: &Scene, login: &Login, who: &str) -> Result<Verdict, String> {
    let wrong = |what: &str| Err(format!("{what}: {who} {:?} {}", login.signal, login.report.text));
    // RUST_BACKTRACE, which is set, is what Rust would look at when it has no memory. glibc has assertions that its own
    // allocations do not fail.
    let asserted =
        who == "libc" && login.signal == Some(SIGABRT) && login.written.contains(": Assertion `");
    if !login.written.is_empty() && !asserted {
        return wrong(&login.written);
    }
    match (who, login.signal) {
        // Rust's own answer, without its words.
        ("module", Some(SIGABRT)) => return Ok(Verdict::Ended(SIGABRT)),
        ("module", _) => return wrong("a module without memory that is not ended by itself"),
        // They may follow the null pointer that they have got, or say so and end.
        ("libpam" | "libaudit" | "libc" | "NSS", Some(signal @ (SIGABRT | SIGSEGV))) => {
            return Ok(Verdict::Ended(signal));
        }
        (_, Some(_)) => return wrong("ended"),
        (_, None) => {}
    }
    let Some(answer) = login.report.answer else { return wrong("no answer") };
    let code = match login.report.logged.as_slice() {
        [code] => *code,
        // The C library had no memory for the line; who had asked for it, had not.
        [] if answer == scene.answer() && who == "libc" => scene.code,
        // libpam had none for the call of the module.
        [] if LIBPAMS_OWN.contains(&answer) => answer,
        _ => return wrong("in the log"),
    };
    if !DOCUMENTED.contains(&code) || login.report.text.contains(" reason=bug ") {
        return wrong("not a code of ours, or one of a bug");
    }
    match (code, answer) {
        (0 | 25, _) if code != scene.code => wrong("kinder"),
        (0, 0) => Ok(Verdict::Granted),
        (_, 0) => wrong("granted in spite of it"),
        (25, 6) => Ok(Verdict::Exempt),
        _ if answer == code || LIBPAMS_OWN.contains(&answer) => Ok(Verdict::Denied(answer)),
        _ => wrong("not what libpam made of it"),
    }
}

/// Lets the allocations of the scene fail.
#[track_caller]
fn fail_each(scene: Scene, seed: u64) {
    let first = scene.place(seed);
    let count = || {
        let text = run(&scene, &first, 0).report.text;
        let count = text.lines().find_map(|line| line.strip_prefix("allocations="));
        count.unwrap().parse::<usize>().unwrap()
    };
    // As for system calls: what all have in common.
    let count = (0..3).map(|_| count()).min().unwrap();
    let cases = Mutex::new(1..=count);
    let (row, unmade) = (Mutex::new(Row::default()), Mutex::new(BTreeSet::new()));
    let work = |place: Place| {
        loop {
            let Some(number) = cases.lock().unwrap().next() else { break };
            let login = (0..TRIES).map(|_| run(&scene, &place, number));
            let Some(login) = login.into_iter().find(|login| login.asked.is_some()) else {
                unmade.lock().unwrap().insert(number);
                continue;
            };
            let who = who(login.asked.as_ref().unwrap());
            let verdict = judge(&scene, &login, who).map(|verdict| format!("{who} {verdict}"));
            row.lock().unwrap().add(who.to_owned(), verdict);
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
    let last = |number: &usize| number * 10 > count * 9;
    assert!(unmade.iter().all(last), "{}: {unmade:?} of {count} were not made", scene.name);
    assert_eq!(row.faults() + unmade.len(), count);
    row.finish(&WORDS, scene.name, row.faults());
}

/// BAR X2, INV-6: an allocation of the module's own that fails ends the program, as it is in Rust, without a word; one
/// of glibc's or libpam's ends it, or the login is decided, and never more kindly than it normally is. This holds for
/// each of the following.
#[test]
fn given_an_allocation_that_fails_in_a_granted_login_then_ended_granted_or_denied() {
    fail_each(scenes::GRANTED, 900);
}

/// BAR X2, INV-6: with a PIN.
#[test]
fn given_an_allocation_that_fails_in_a_login_with_a_pin_then_ended_granted_or_denied() {
    fail_each(scenes::GRANTED_WITH_PIN, 940);
}

/// BAR X2, INV-6: of the module as it is shipped.
#[test]
fn given_an_allocation_that_fails_in_the_shipped_module_then_ended_granted_or_denied() {
    fail_each(scenes::SHIPPED, 980);
}

/// BAR X2, INV-6: where it is normally exempt.
#[test]
fn given_an_allocation_that_fails_where_nobody_is_enrolled_then_ended_exempt_or_denied() {
    fail_each(scenes::NOT_ENROLLED, 1020);
}

/// BAR X2, INV-6: where such a login has something to tell.
#[test]
fn given_an_allocation_that_fails_where_a_change_is_told_then_ended_exempt_or_denied() {
    fail_each(scenes::NOT_ENROLLED_TOLD, 1040);
}

/// BAR X2, INV-6: where there is no key.
#[test]
fn given_an_allocation_that_fails_without_a_key_then_ended_or_denied() {
    fail_each(scenes::NO_KEY, 1060);
}

/// BAR X2, INV-6: by a key that is somebody else's.
#[test]
fn given_an_allocation_that_fails_with_a_wrong_key_then_ended_or_denied() {
    fail_each(scenes::WRONG_KEY, 1100);
}

/// BAR X2, INV-6: with a wrong PIN.
#[test]
fn given_an_allocation_that_fails_with_a_wrong_pin_then_ended_or_denied() {
    fail_each(scenes::WRONG_PIN, 1140);
}

/// BAR X2, INV-6: with a record that is none.
#[test]
fn given_an_allocation_that_fails_with_a_bad_record_then_ended_or_denied() {
    fail_each(scenes::BAD_RECORD, 1180);
}

/// BAR X2, INV-6: from another machine.
#[test]
fn given_an_allocation_that_fails_in_a_remote_login_then_ended_or_denied() {
    fail_each(scenes::REMOTE, 1220);
}
