//! Every system call of a login fails, one after the other.

use std::fs;
use std::sync::Mutex;

use fidokey_tests::key::{EmulatedKey, KeyHandle};

use crate::stage::{Stage, account};
use crate::state::owned;
use crate::trace::Call;

/// Those of the allocator, which ends the program when they fail, and of locks.
const NOT_HERE: [&str; 6] = ["brk", "mmap", "mprotect", "mremap", "munmap", "futex"];
/// Those of ours that a signal can interrupt, and that are made again.
const INTERRUPTED: [&str; 6] = ["flock", "getrandom", "poll", "ppoll", "read", "recvfrom"];
/// Other than ENOENT, which every call gets: an absence that is none.
const ERRORS: [&str; 6] = ["EIO", "EACCES", "EINTR", "ENOMEM", "EMFILE", "ENOSPC"];

/// A verdict, and the stages where it is the normal one: as many as there are workers, for a key that is broken off
/// has to be waited for.
struct Scene {
    code: &'static str,
    may_become: &'static [&'static str],
    stages: Vec<(Stage, Option<KeyHandle>)>,
}

impl Scene {
    fn new(
        code: &'static str,
        may_become: &'static [&'static str],
        stage: impl Fn(u64) -> (Stage, Option<KeyHandle>),
    ) -> Self {
        Self { code, may_become, stages: (0..8).map(stage).collect() }
    }

    /// The calls of a normal login that can fail.
    fn calls(&self) -> Vec<Call> {
        let stage = &self.stages[0].0;
        let _ = stage.run(&["authenticate"]);
        let (outcome, calls) = stage.traced(&[], &["authenticate"]);
        assert_eq!(outcome.log().get("code"), Some(self.code));
        let here = |call: &Call| {
            // The report is the application's own.
            let report = call.text.contains("/report-");
            call.inside && !report && !NOT_HERE.contains(&call.name.as_str())
        };
        calls.into_iter().filter(here).collect()
    }

    /// Lets each call fail twice: how often one did.
    fn fail_each(&self) -> usize {
        let calls = self.calls();
        let cases = calls.iter().enumerate().flat_map(|(index, call)| {
            ["ENOENT", ERRORS[index % ERRORS.len()]].map(|error| (call, error))
        });
        // Which is what an absent record is.
        let absent = format!("\"{}.toml\"", account().uid);
        let cases = cases.filter(|(call, error)| {
            !(*error == "ENOENT" && call.name == "openat" && call.text.contains(&absent))
        });
        let cases = Mutex::new(cases);
        let failed = Mutex::new(0);
        std::thread::scope(|scope| {
            for (stage, _key) in &self.stages {
                let next = || cases.lock().unwrap().next();
                let failed = &failed;
                scope.spawn(move || {
                    while let Some((call, error)) = next() {
                        *failed.lock().unwrap() += usize::from(self.fail(stage, call, error));
                    }
                });
            }
        });
        failed.into_inner().unwrap()
    }

    /// Whether the call was made, and failed.
    fn fail(&self, stage: &Stage, call: &Call, error: &str) -> bool {
        let name = &call.name;
        let inject = format!("inject={name}:error={error}:when={}", call.number);
        let trace = format!("trace=faccessat,{name}");
        let (outcome, calls) = stage.traced(&["-e", &trace, "-e", &inject], &["authenticate"]);
        let logged = outcome.logged();
        let [log] = logged.as_slice() else { panic!("{error} of {call:?}: {:?}", outcome.report) };
        let code = log.get("code").unwrap();
        let right = code == self.code || self.may_become.contains(&code);
        assert!(right, "{error} of {call:?}: {:?}", outcome.report);
        let interrupted = error == "EINTR" && INTERRUPTED.contains(&name.as_str());
        assert!(!interrupted || code == self.code, "{call:?}: {code}");
        calls.iter().any(|call| call.text.contains("INJECTED"))
    }
}

/// The policy or the record cannot be read, the system fails, there is no key, or no such account: where the name
/// service cannot read its own configuration, that is what it says.
const DENIALS: &[&str] = &["3", "4", "7", "10"];

/// One that writes a state.
fn enrolled(seed: u64) -> (Stage, Option<KeyHandle>) {
    let (stage, key) = owned(&EmulatedKey::new(seed));
    (stage, Some(key))
}

/// BAR X1, in part: every system call of a login but those of the allocator, each with ENOENT and with one of six
/// other errors. A login that is normally granted is granted or denied, and never exempt.
#[test]
fn given_a_call_that_fails_in_a_granted_login_then_granted_or_denied() {
    let scene = Scene::new("0", DENIALS, |worker| enrolled(161 + worker));
    let failed = scene.fail_each();
    assert!(failed > 150, "{failed}");
}

/// BAR X1, in part: the same where it is normally exempt: never granted.
#[test]
fn given_a_call_that_fails_in_an_exempt_login_then_exempt_or_denied() {
    let scene = Scene::new("25", DENIALS, |_| (Stage::bare(), None));
    let failed = scene.fail_each();
    assert!(failed > 40, "{failed}");
}

/// BAR X1, in part: the same where it is normally denied, because of the record: neither granted nor exempt.
#[test]
fn given_a_call_that_fails_in_a_denied_login_then_denied() {
    let scene = Scene::new("7", DENIALS, |worker| {
        let (stage, key) = enrolled(171 + worker);
        let record = fs::read_to_string(stage.record_path()).unwrap();
        stage.record(&record.replace("schema = 1", "schema = 9"));
        (stage, key)
    });
    let failed = scene.fail_each();
    assert!(failed > 40, "{failed}");
}
