//! One login of which one system call is refused, and what comes of it.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use nix::errno::Errno;

use super::names::Call;
use super::scenes::{Place, Scene};
use crate::stepping::{Entry, Next, step};

/// A system call that was refused.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) call: Call,
    pub(crate) errno: Errno,
    /// What the program got as the result of the call.
    pub(crate) told: Option<i64>,
    /// How often the login had gone to the root for a file by then: the first time for the policy, the second time for
    /// the record, then for the state.
    pub(crate) walks: usize,
    /// Whether the login had come to its log, and with it to its decision.
    pub(crate) decided: bool,
}

/// What came of a login.
#[derive(Debug)]
pub(crate) struct Login {
    /// In how many ways each system call between the marks can fail, without the application's own, up to the one that
    /// does.
    pub(crate) calls: Vec<usize>,
    pub(crate) hit: Option<Hit>,
    /// What the module answered, according to the log: of each of its lines.
    pub(crate) logged: Vec<i32>,
    /// Whether the module says that it has a bug.
    pub(crate) bug: bool,
    /// What libpam answered.
    pub(crate) answer: Option<i32>,
    /// The signal that ended the program.
    pub(crate) signal: Option<i32>,
    /// Everything that the application says of it.
    pub(crate) report: String,
}

/// How often a login is tried that did not come to what was to be seen: where many run at once, a key can take too
/// long, and what it has to say comes in one piece or in several.
const TRIES: usize = 5;

impl Login {
    /// A login in which nothing fails.
    #[track_caller]
    pub(crate) fn normal(scene: &Scene, place: &Place) -> Self {
        let is_normal = |login: &Self| login.logged == [scene.code];
        let login = Self::try_for(scene, place, (0, 0), is_normal);
        assert!(is_normal(&login), "{}: {}", scene.name, login.report);
        login
    }

    /// Logs in until that is `enough`, a few times at most, and takes the last one.
    pub(crate) fn try_for(
        scene: &Scene,
        place: &Place,
        (at, error): (usize, usize),
        enough: impl Fn(&Self) -> bool,
    ) -> Self {
        for _ in 1..TRIES {
            let login = Self::run(scene, place, at, error);
            if enough(&login) {
                return login;
            }
        }
        Self::run(scene, place, at, error)
    }

    /// Logs in on that stage. The call `at`, from 1, fails, where there is one: with that one of its errors, counted
    /// round and round.
    fn run(scene: &Scene, place: &Place, at: usize, error: usize) -> Self {
        place.prepare(scene);
        let report = place.stage.own_file("report");
        let streams = place.stage.own_file("streams");
        let mut command = place.command(&[], &report, &[&["stop"], scene.words].concat());
        let stream = || fs::File::options().append(true).open(&streams).unwrap();
        command.stdin(Stdio::null()).stdout(stream()).stderr(stream());
        let (mut calls, mut hit, mut told) = (Vec::new(), None, None);
        let (mut walks, mut decided) = (0, false);
        let next = |entry: &Entry| {
            // The application's own: its report.
            let name = Call::name(entry);
            let of = || Call::of(entry, place);
            if name == "write" && of().about.contains("/report-") {
                return Next::Make;
            }
            let errors = Call::errors(entry);
            calls.push(errors.len());
            walks += usize::from(name == "openat" && of().about == "/");
            decided |= name == "connect" && of().about.ends_with(" /dev/log");
            if calls.len() != at {
                return Next::Make;
            }
            let errno = errors[error % errors.len()];
            hit = Some(Hit { call: of(), errno, told: None, walks, decided });
            Next::Refuse(errno)
        };
        let status = step(command, next, |result| told = Some(result));
        let hit = hit.map(|hit| Hit { told, ..hit });
        assert_eq!(fs::read_to_string(&streams).unwrap(), "", "something was written: {hit:?}");
        fs::remove_file(&streams).unwrap();
        let Report { logged, answer, text } = Report::take(&report);
        let bug = text.contains(" reason=bug ");
        Self { calls, hit, logged, bug, answer, signal: status.signal(), report: text }
    }
}

/// What the application has written down.
pub(crate) struct Report {
    /// As in [`Login`].
    pub(crate) logged: Vec<i32>,
    /// As in [`Login`].
    pub(crate) answer: Option<i32>,
    pub(crate) text: String,
}

impl Report {
    /// Reads the report and removes it.
    pub(crate) fn take(path: &std::path::Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        fs::remove_file(path).unwrap();
        let number = |line: &str| line.parse().unwrap();
        // Not by the grammar, which all the others keep to: where there is no memory, libpam says something else.
        let ours = text.lines().filter_map(|line| line.split_once("(fidokey-test:auth): result="));
        let code = |line: &str| Some(number(line.split_once(" code=")?.1.split(' ').next()?));
        let logged = ours.filter_map(|(_, line)| code(line)).collect();
        let answer = text.lines().find_map(|line| line.strip_prefix("authenticate=")).map(number);
        Self { logged, answer, text }
    }
}
