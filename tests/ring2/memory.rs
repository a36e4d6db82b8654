//! Allocations that fail.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use fidokey_tests::key::EmulatedKey;
use nix::libc::{SIGABRT, SIGSEGV};

use crate::stage::Stage;
use crate::state::owned;

/// What came of a login in which one allocation fails: the module's code, or that the program was ended.
fn code(stage: &Stage, number: usize) -> Option<String> {
    let report = stage.own_file("report");
    // Not in the first of them: glibc 2.36 follows a null pointer when it has no memory to load the name service.
    let words = ["authenticate", &format!("allocation:{number}"), "authenticate"];
    // RUST_BACKTRACE is what Rust would look at when it has no memory. Programs that end so are not kept.
    let environment = vec![("RUST_BACKTRACE".into(), "full".into())];
    let application = stage.application().environment(environment).before(&["prlimit", "--core=0"]);
    let output = application.command(&report, &words).output().unwrap();
    let text = fs::read_to_string(&report).unwrap();
    fs::remove_file(&report).unwrap();
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    if matches!(output.status.signal(), Some(SIGABRT | SIGSEGV)) {
        return None;
    }
    let code = text.lines().filter_map(|line| line.strip_prefix("authenticate=")).nth(1);
    Some(code.unwrap_or_else(|| panic!("{number}: {text} {output:?}")).to_owned())
}

/// BAR X2, INV-6, in part: a failed allocation ends the program, as it is in Rust and in some places of glibc and libpam, or
/// the login is decided; it is never decided more kindly. Thirty of them, evenly spread, in each login. With the
/// module alone in the stack an exemption is 6.
#[test]
fn given_an_allocation_that_fails_then_no_kinder_verdict() {
    let (granted, _key) = owned(&EmulatedKey::new(195));
    granted.run(&["authenticate"]);
    let exempt = Stage::bare();
    let broken = Stage::bare();
    broken.record("schema = 9\n");
    for (stage, normal, never) in
        [(&granted, "0", &["6"][..]), (&exempt, "6", &["0"]), (&broken, "7", &["0", "6"])]
    {
        let words = ["authenticate", "allocations", "authenticate", "allocations"];
        let report = stage.run(&words).report;
        let counts = report.iter().filter_map(|line| line.strip_prefix("allocations="));
        let counts: Vec<usize> = counts.map(|count| count.parse().unwrap()).collect();
        let count = counts[1] - counts[0];
        println!("{normal}: {count} allocations");
        assert!(count > 50, "{count}");
        let mut ended = 0;
        for number in (1..=count).step_by(count / 30) {
            match code(stage, number) {
                None => ended += 1,
                Some(code) => assert!(!never.contains(&code.as_str()), "{number}: {code}"),
            }
        }
        println!("{normal}: ended {ended} times");
        assert!(ended > 10, "{ended}");
    }
}
