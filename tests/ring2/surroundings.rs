//! Another machine around the login: its log, its name. In namespaces of their own.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use fidokey_tests::key::EmulatedKey;

use crate::run::{Application, Outcome};
use crate::state::owned;

/// Runs a login after `script`, as root of a namespace of its own.
fn run_after(application: Application<'_>, script: &str) -> Outcome {
    // Whoever is not root becomes it there.
    let own = if nix::unistd::geteuid().is_root() { "-mu" } else { "-rmu" };
    let script = format!("{script} && exec \"$@\"");
    let before = ["unshare", own, "sh", "-c", &script, "sh"];
    application.before(&before).run(&["authenticate"])
}

/// BAR G6: a log that is missing costs nothing, one that takes no more a tenth of a second and the line. Where
/// there is room the line is written as ever.
#[test]
fn given_a_log_that_is_missing_or_full_then_granted() {
    let (stage, _key) = owned(&EmulatedKey::new(181));
    stage.run(&["authenticate"]);
    let hide = "mount -t tmpfs none /dev";
    let outcome = run_after(stage.application(), hide);
    assert_eq!(outcome.log().get("code"), Some("0"));

    let path = std::env::temp_dir().join(format!("fidokey-log-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    let log = UnixDatagram::bind(&path).unwrap();
    let link = format!("{hide} && ln -s {} /dev/log", path.display());
    let outcome = run_after(stage.application(), &link);
    assert_eq!(outcome.log().get("code"), Some("0"));

    let writer = UnixDatagram::unbound().unwrap();
    writer.connect(&path).unwrap();
    writer.set_nonblocking(true).unwrap();
    while writer.send(b"x").is_ok() {}
    let start = Instant::now();
    let outcome = run_after(stage.application().without_log(), &link);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(outcome.code("authenticate"), 0);
    // As ever, it would have waited for somebody to read.
    assert!(outcome.logged().is_empty());
    drop(log);
    fs::remove_file(&path).unwrap();
}

/// BAR K8: the name of the machine is in no challenge, no relying party and no path.
#[test]
fn given_another_host_name_then_granted() {
    let (stage, _key) = owned(&EmulatedKey::new(182));
    let mut lines = Vec::new();
    for name in ["one", "two.example", "three"] {
        let script = format!("hostname {name} && test \"$(uname -n)\" = {name}");
        lines.push(run_after(stage.application(), &script).log());
    }
    assert!(lines.iter().all(|line| line.get("code") == Some("0")));
    assert_eq!(lines[1], lines[2]);
}
