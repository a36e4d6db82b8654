//! Programs in odd circumstances: limits, a directory that is gone, standard streams that are closed.

use std::fs;

use fidokey_tests::key::{EmulatedKey, KeyHandle};

use crate::run::Outcome;
use crate::stage::Stage;
use crate::state::owned;

/// Stages whose normal verdicts differ, with the code of each in the log; one of them writes a state.
struct Stages {
    stages: Vec<(Stage, &'static str)>,
    _keys: [KeyHandle; 2],
}

impl Stages {
    fn new(seed: u64) -> Self {
        let (granted, key) = Stage::enrolled(&EmulatedKey::new(seed));
        let record = fs::read_to_string(granted.record_path()).unwrap();
        let broken = Stage::bare();
        broken.record(&record.replace("schema = 1", "schema = 9"));
        let (owner, second) = owned(&EmulatedKey::new(seed + 100));
        let stages = vec![(granted, "0"), (owner, "0"), (Stage::bare(), "25"), (broken, "7")];
        Self { stages, _keys: [key, second] }
    }
}

/// The codes that the module logged, one for each call.
fn codes(outcome: &Outcome) -> Vec<String> {
    outcome.logged().iter().map(|line| line.get("code").unwrap().to_owned()).collect()
}

/// BAR U14, X8: none of these changes a verdict, in the first login of a program or in a later one.
#[test]
fn given_odd_circumstances_then_the_verdict_is_the_same() {
    let stages = Stages::new(91);
    for odd in [
        "cwd-gone",
        "umask:777",
        "nice:19",
        "limit:AS=67108864",
        "limit:CPU=1",
        "limit:FSIZE=0",
        "limit:NPROC=0",
        "limit:STACK=65536",
    ] {
        for (stage, code) in &stages.stages {
            let outcome = stage.run(&[odd, "authenticate", "authenticate", "unlimit"]);
            assert_eq!(codes(&outcome), [*code; 2], "{odd}");
        }
    }
}

/// BAR U14, X8: the same from the start of a program, as a shell's `ulimit` would have it. Its libraries are
/// loaded under the limit, and so is the module.
#[test]
fn given_a_program_that_starts_with_limits_then_the_verdict_is_the_same() {
    let stages = Stages::new(92);
    for limit in
        ["--as=67108864", "--cpu=1", "--nproc=0", "--stack=262144", "--core=0", "--memlock=0"]
    {
        for (stage, code) in &stages.stages {
            let outcome = stage.application().before(&["prlimit", limit]).run(&["authenticate"]);
            assert_eq!(codes(&outcome), [*code], "{limit}");
        }
    }
}

/// BAR U14: with too few descriptors there is no verdict but a failure, at whichever of them it runs out; with
/// enough of them it is the normal one. (libpam answers for itself where it cannot reach the audit log.)
#[test]
fn given_ever_more_descriptors_then_a_failure_until_there_are_enough() {
    for (stage, code) in &Stages::new(93).stages {
        let mut enough = None;
        let mut failures = 0;
        for number in 3..24 {
            let limit = format!("limit:NOFILE={number}");
            let outcome = stage.run(&["authenticate", &limit, "authenticate", "unlimit"]);
            let got = &codes(&outcome)[1];
            // A state that could not be read or written is no normal verdict.
            let stateless = outcome.report.iter().any(|line| line.contains(" state=un"));
            if got == code && *code != "7" {
                assert!(!stateless, "{number}: {:?}", outcome.report);
                enough.get_or_insert(number);
            } else {
                assert!(["3", "4", "7"].contains(&got.as_str()), "{number}: {got}");
                assert_eq!(enough, None, "{number}: {:?}", outcome.report);
                failures += 1;
            }
            let libpams = outcome.codes("authenticate")[1];
            assert!(libpams != 0 || enough.is_some());
        }
        assert!(failures > 0 && (enough.is_some() || *code == "7"));
    }
}

/// BAR X6, U14: what is opened in the place of a standard stream is not ours for longer than a moment, nothing is
/// written to it, and none of it is left.
#[test]
fn given_standard_streams_that_are_closed_then_nothing_of_ours_goes_there() {
    let stages = Stages::new(94);
    for closed in ["0", "1", "2", "01", "02", "12", "012"] {
        for (stage, code) in &stages.stages {
            let close = format!("close:{closed}");
            let trace = stage.trace_file();
            let before = [
                "strace",
                "-f",
                "-o",
                &trace,
                "-e",
                "trace=faccessat,write,writev,pwrite64,pwritev",
            ];
            let words = [&close, "descriptors", "authenticate", "descriptors"];
            let outcome = stage.application().before(&before).run(&words);
            assert_eq!(codes(&outcome), [*code], "{closed}");
            let open: Vec<_> =
                outcome.report.iter().filter(|line| line.starts_with("descriptors")).collect();
            assert_eq!(open[0], open[1]);
            for digit in closed.chars() {
                assert!(!open[1].contains(&format!(" {digit}=")), "{closed}: {}", open[1]);
            }
            let calls = fs::read_to_string(&trace).unwrap();
            assert!(calls.contains("/fidokey-begin"));
            for number in 0..3 {
                assert!(!calls.contains(&format!("({number}, ")), "{closed}: {calls}");
            }
        }
    }
}
