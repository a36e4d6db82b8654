//! A run of the bare application on a stage, and what is true of every single one: the standard streams stay
//! untouched (BAR INV-6), and each decision of the module is in the log, in one line (BAR G1).

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use fidokey_tests::log::LogLine;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::stage::{Stage, USER, account, shipped_module, virtual_module};

/// What came of a run of the bare application.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The lines of its report.
    pub(crate) report: Vec<String>,
}

impl Outcome {
    /// The code of the first `authenticate`, and so on.
    #[track_caller]
    pub(crate) fn code(&self, verb: &str) -> i32 {
        self.codes(verb).first().copied().unwrap_or_else(|| panic!("no {verb}: {:?}", self.report))
    }

    /// The codes of every `authenticate`, and so on.
    pub(crate) fn codes(&self, verb: &str) -> Vec<i32> {
        let prefix = format!("{verb}=");
        let codes = self.report.iter().filter_map(|line| line.strip_prefix(&prefix));
        codes.map(|code| code.parse().unwrap()).collect()
    }

    /// What the user was shown.
    pub(crate) fn shown(&self) -> Vec<&str> {
        let text = |line: &'_ String| line.starts_with("message");
        self.report
            .iter()
            .filter(|line| text(line))
            .map(|line| line.split_once("text=").unwrap().1)
            .collect()
    }

    /// The lines of the module in the log.
    pub(crate) fn logged(&self) -> Vec<LogLine> {
        self.report.iter().filter_map(|line| logged(line)).map(|(_, line)| line).collect()
    }

    /// The severity of the module's first line in the log, as syslog(3) counts.
    pub(crate) fn severity(&self) -> u32 {
        self.report.iter().find_map(|line| logged(line)).unwrap().0 & 7
    }

    /// The only line of the module in the log.
    #[track_caller]
    pub(crate) fn log(&self) -> LogLine {
        let mut lines = self.logged();
        assert_eq!(lines.len(), 1, "{:?}", self.report);
        lines.remove(0)
    }
}

/// The priority and the text of a line of the report, where it is one of the module in the log.
fn logged(line: &str) -> Option<(u32, LogLine)> {
    let (priority, rest) = line.strip_prefix("log ")?.split_once(' ')?;
    let (prefix, text) = rest.split_once(' ')?;
    let module = prefix.split_once('(')?.0;
    let ours = [virtual_module(), shipped_module()]
        .iter()
        .any(|path| path.file_stem().is_some_and(|stem| stem == module));
    ours.then(|| {
        assert!(prefix.ends_with(":auth):"), "{line}");
        let parsed = LogLine::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        (priority.parse().unwrap(), parsed)
    })
}

/// LOG_AUTHPRIV, from which libpam makes the facility (syslog.h).
const AUTHPRIV: u32 = 10 << 3;

/// Asserts that the only module of ours in `stack` has logged each of its decisions once, and as what it returned.
///
/// A caught panic is the exception: what it had not logged before, it does not log any more.
fn check_log(stack: &[String], report: &[String]) {
    let modules = [virtual_module(), shipped_module()].map(|path| path.display().to_string());
    let ours = stack.iter().filter(|line| modules.iter().any(|path| line.contains(path))).count();
    if ours != 1 {
        return;
    }
    let mut lines = Vec::new();
    for line in report {
        lines.extend(logged(line));
        let Some(code) = line.strip_prefix("authenticate=") else { continue };
        let logged: Vec<_> = std::mem::take(&mut lines);
        match logged.as_slice() {
            // Told to end: a denial like any other.
            [(priority, line)] if line.get("reason") == Some("terminated") => {
                assert_eq!((code, line.get("code"), *priority), ("26", Some("26"), AUTHPRIV | 5));
            }
            // A bug may come after the decision was logged; the last line is what it came to.
            [.., (priority, line)] if code == "26" && logged.len() <= 2 => {
                assert_eq!((line.get("code"), line.get("reason")), (Some("26"), Some("bug")));
                assert_eq!(priority & 7, 3);
            }
            [(priority, line)] => {
                assert_eq!(priority & !7, AUTHPRIV);
                let granted_or_exempt = ["0", "25"].contains(&line.get("code").unwrap());
                // Alert, error, warning and notice for denials; at most a warning beside a login.
                assert!((1..=6).contains(&(priority & 7)));
                assert!(!granted_or_exempt || [1, 4, 6].contains(&(priority & 7)), "{report:?}");
                // An exemption is the rest of the stack's to decide, and alone it is a refusal of libpam's.
                let expected = match line.get("code").unwrap() {
                    "25" if stack.len() == 1 => "6",
                    "25" => "0",
                    code => code,
                };
                // Where libpam cannot tell the audit log, it is libpam that fails.
                let unheard = report.iter().any(|line| line.contains(" PAM audit_"));
                assert!(code == expected || unheard && code == "4", "{report:?}");
            }
            _ => panic!("{} lines in the log: {report:?}", logged.len()),
        }
    }
    assert!(lines.is_empty(), "a decision without a call: {report:?}");
}

/// A run that is being prepared.
pub(crate) struct Application<'s> {
    stage: &'s Stage,
    before: Vec<String>,
    stack: Vec<String>,
    environment: Option<Vec<(OsString, OsString)>>,
    logs: bool,
}

impl Stage {
    /// A run with the virtual module alone in the stack, unless something else is said.
    pub(crate) fn application(&self) -> Application<'_> {
        let stack = vec![self.line("required")];
        Application { stage: self, before: Vec::new(), stack, environment: None, logs: true }
    }

    /// Runs the application with the virtual module alone in the stack.
    pub(crate) fn run(&self, words: &[&str]) -> Outcome {
        self.application().run(words)
    }

    /// Runs the application with these lines as its stack.
    pub(crate) fn run_stack(&self, lines: &[String], words: &[&str]) -> Outcome {
        self.application().stack(lines).run(words)
    }

    /// The same, started by another program with these words before ours.
    pub(crate) fn run_under(&self, before: &[&str], lines: &[String], words: &[&str]) -> Outcome {
        self.application().before(before).stack(lines).run(words)
    }

    /// A file that the application's user may write: for strace.
    pub(crate) fn trace_file(&self) -> String {
        self.own_file("trace").to_str().unwrap().to_owned()
    }

    /// Makes an empty file that belongs to whoever the application runs as.
    pub(crate) fn own_file(&self, name: &str) -> PathBuf {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("{name}-{number}"));
        fs::write(&path, "").unwrap();
        if nix::unistd::geteuid().is_root() {
            nix::unistd::chown(&path, Some(account().uid.into()), None).unwrap();
        }
        path
    }
}

impl Application<'_> {
    /// Starts it by another program, with these words before ours.
    pub(crate) fn before(mut self, words: &[&str]) -> Self {
        self.before = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Takes these lines as the stack.
    pub(crate) fn stack(mut self, lines: &[String]) -> Self {
        self.stack = lines.to_vec();
        self
    }

    /// Takes this environment and nothing else.
    pub(crate) fn environment(mut self, environment: Vec<(OsString, OsString)>) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Where the log takes nothing.
    pub(crate) fn without_log(mut self) -> Self {
        self.logs = false;
        self
    }

    /// The command that runs it as an ordinary user, where the tests have the choice, and writes to `report`.
    pub(crate) fn command(&self, report: &Path, words: &[&str]) -> Command {
        let stage = self.stage;
        let service = stage.directory.join("pam.d/fidokey-test");
        let stack = self.stack.join("\n") + "\n";
        if fs::read_to_string(&service).ok().as_ref() != Some(&stack) {
            // Whole for whoever starts at the same time.
            let next = stage.own_file("stack");
            fs::write(&next, stack).unwrap();
            fs::rename(&next, &service).unwrap();
        }
        let host = env!("CARGO_BIN_EXE_pam-host");
        let mut command = match self.before.as_slice() {
            [] => Command::new(host),
            [program, rest @ ..] => {
                let mut command = Command::new(program);
                command.args(rest).arg(host);
                command
            }
        };
        command
            .arg(report)
            .arg(stage.directory.join("pam.d"))
            .args(["fidokey-test", USER])
            .args(words);
        match &self.environment {
            Some(environment) => command.env_clear().envs(environment.iter().cloned()),
            // Whatever the caller of sudo may have set.
            None => command
                .env("RUST_BACKTRACE", "full")
                .env("FIDO_DEBUG", "1")
                .env("RUST_LOG", "trace"),
        };
        if nix::unistd::geteuid().is_root() && !stage.as_owner {
            let uid = account().uid;
            command.uid(uid).gid(uid);
        }
        if let Some(key) = &stage.key {
            // Left open in children.
            fcntl(key.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        }
        command
    }

    /// Runs it.
    pub(crate) fn run(&self, words: &[&str]) -> Outcome {
        let report = self.stage.own_file("report");
        let mut command = self.command(&report, words);
        let (stdin, mut other_end) = UnixStream::pair().unwrap();
        command.stdin(Stdio::from(OwnedFd::from(stdin)));
        let output = command.output().unwrap();
        // The command holds the other stdin; without it reading would not end.
        drop(command);
        let mut written = Vec::new();
        other_end.read_to_end(&mut written).unwrap();
        let text = fs::read_to_string(&report).unwrap_or_default();
        let streams = [&written, &output.stdout, &output.stderr]
            .map(|stream| String::from_utf8_lossy(stream).into_owned());
        assert_eq!(streams, ["", "", ""], "something was written; the report: {text}");
        assert!(output.status.success(), "{}; the report: {text}", output.status);
        fs::remove_file(&report).unwrap();
        let outcome = Outcome { report: text.lines().map(str::to_owned).collect() };
        if self.logs {
            check_log(&self.stack, &outcome.report);
        }
        outcome
    }
}
