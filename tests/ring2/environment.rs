//! The caller of sudo chooses the environment: none of it is looked at, and none of it changes a verdict.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use fidokey_tests::key::EmulatedKey;

use crate::run::{Application, Outcome};
use crate::stage::{Stage, shipped_module, virtual_module};
use crate::state::owned;

/// Who looked at the environment, and for what.
fn looks(outcome: &Outcome) -> Vec<&str> {
    outcome.report.iter().filter_map(|line| line.strip_prefix("getenv ")).collect()
}

/// BAR U1: neither module asks for a variable, in a login that is granted, in denied ones, in one with a panic,
/// or in setcred. What a service of NSS does there is its own affair.
#[test]
fn given_any_login_then_the_module_asks_for_no_variable() {
    let (mut stage, handle) = Stage::enrolled(&EmulatedKey::new(81));
    let words = ["authenticate", "setcred:2", "setcred:8"];
    let mut outcomes = vec![stage.run(&words)];
    stage.as_owner = true;
    outcomes.push(stage.run(&words));
    stage.arguments(&["virtual:panic=9"]);
    outcomes.push(stage.run(&words));
    stage.arguments(&["nonsense"]);
    outcomes.push(stage.run(&words));
    stage.arguments(&[]);
    handle.unplug();
    outcomes.push(stage.run(&words));
    let shipped = format!("auth required {} mode=second-factor", shipped_module().display());
    outcomes.push(stage.run_stack(&[shipped], &words));
    let modules = [virtual_module(), shipped_module()].map(|path| path.display().to_string());
    for (outcome, code) in outcomes.iter().zip([0, 0, 26, 3, 7, 7]) {
        assert_eq!(outcome.code("authenticate"), code);
        let ours: Vec<_> = looks(outcome)
            .into_iter()
            .filter(|look| modules.iter().any(|so| look.ends_with(so)))
            .collect();
        assert!(ours.is_empty(), "{ours:?}");
    }
}

/// That the test above could see it.
#[test]
fn given_a_look_at_the_environment_during_a_call_then_it_is_in_the_report() {
    let stage = Stage::bare();
    let lines = ["auth required pam_permit.so".to_owned()];
    let outcome = stage.run_stack(&lines, &["getenv:HOME"]);
    let looks = looks(&outcome);
    assert!(looks.len() == 2 && looks.iter().all(|look| look.starts_with("HOME ")), "{looks:?}");
}

/// A small generator (xorshift64), so that a seed says it all.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).unwrap()
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn garbage(&mut self) -> OsString {
        let length = self.below(40);
        OsString::from_vec((0..length).map(|_| (self.roll() % 255 + 1) as u8).collect())
    }

    /// Variables that programs listen to, with values that would change something in those that do; and noise.
    fn environment(&mut self) -> Vec<(OsString, OsString)> {
        const NAMES: [&str; 40] = [
            "HOME",
            "XDG_CONFIG_HOME",
            "XDG_CONFIG_DIRS",
            "XDG_DATA_HOME",
            "XDG_RUNTIME_DIR",
            "XDG_SESSION_ID",
            "XDG_SEAT",
            "TZ",
            "TZDIR",
            "LANG",
            "LANGUAGE",
            "LC_ALL",
            "LC_MESSAGES",
            "LOCPATH",
            "NLSPATH",
            "RUST_BACKTRACE",
            "RUST_LOG",
            "RUST_MIN_STACK",
            "RUST_LIB_BACKTRACE",
            "LD_BIND_NOW",
            "LD_LIBRARY_PATH",
            "LD_ORIGIN_PATH",
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "TMUX",
            "TERM",
            "SSH_CONNECTION",
            "SSH_CLIENT",
            "SSH_TTY",
            "SUDO_USER",
            "SUDO_UID",
            "USER",
            "LOGNAME",
            "PATH",
            "FIDO_DEBUG",
            "FIDOKEY_CONFIG",
            "PAM_RHOST",
            "PKEXEC_UID",
            "HOSTNAME",
            "TMPDIR",
        ];
        const VALUES: [&str; 12] = [
            "",
            "0",
            "1",
            "full",
            "trace",
            "/nonexistent",
            "/tmp/../tmp",
            "root",
            ":0",
            "10.0.0.1 5022 10.0.0.2 22",
            "tr_TR.UTF-8",
            "Pacific/Kiritimati",
        ];
        let mut environment = Vec::new();
        for name in NAMES {
            if self.below(2) == 0 {
                let value = match self.below(4) {
                    0 => self.garbage(),
                    _ => self.one(&VALUES).into(),
                };
                environment.push((name.into(), value));
            }
        }
        for _ in 0..self.below(20) {
            let name = self.garbage().into_vec();
            let name: Vec<u8> = name.into_iter().filter(|byte| *byte != b'=').collect();
            if !name.is_empty() && !name.starts_with(b"LD_") {
                environment.push((OsStr::from_bytes(&name).to_owned(), self.garbage()));
            }
        }
        environment
    }
}

/// Everything that can be seen of a login, but for who else looks at the environment.
fn seen(
    application: Application<'_>,
    environment: Vec<(OsString, OsString)>,
    rhost: bool,
) -> Vec<String> {
    let words: &[&str] =
        if rhost { &["item:4=10.0.0.1", "authenticate"] } else { &["authenticate", "setcred:2"] };
    let mut report = application.environment(environment).run(words).report;
    report.retain(|line| !line.starts_with("getenv "));
    report
}

/// BAR U1, INV-8: messages, codes and the log of five logins are the same in fifty environments as in an
/// empty one.
#[test]
fn given_random_environments_then_every_login_is_as_in_an_empty_one() {
    let seed = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    let seed = u64::from_str_radix(&seed[..8], 16).unwrap() | 1;
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let environments: Vec<_> = (0..50).map(|_| dice.environment()).collect();

    let (granted, handle) = owned(&EmulatedKey::new(82));
    let record = fs::read_to_string(granted.record_path()).unwrap();
    let exempt = Stage::bare();
    let broken = Stage::bare();
    broken.record(&record.replace("schema = 1", "schema = 9"));
    let no_key = Stage::bare();
    no_key.record(&record);

    // From here on there is a state, which has a time in it.
    granted.run(&["authenticate"]);

    for (stage, rhost, code, at_once) in [
        (&granted, false, 0, 1),
        (&exempt, false, 6, 1),
        (&broken, false, 7, 1),
        (&granted, true, 6, 1),
        // A second each, so all at once.
        (&no_key, false, 7, environments.len()),
    ] {
        let expected = seen(stage.application(), Vec::new(), rhost);
        assert!(expected.contains(&format!("authenticate={code}")), "{expected:?}");
        for some in environments.chunks(at_once) {
            std::thread::scope(|scope| {
                for environment in some {
                    let expected = &expected;
                    scope.spawn(move || {
                        let report = seen(stage.application(), environment.clone(), rhost);
                        assert_eq!(&report, expected, "seed {seed}: {environment:?}");
                    });
                }
            });
        }
    }
    assert_eq!(handle.touches(), 2 + 52);
}
