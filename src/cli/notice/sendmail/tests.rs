//! Mail systems of every kind, none of which holds the command up: scripts in a system of the tests' own.

#![expect(clippy::disallowed_methods, reason = "a test may look at the clock and wait")]

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use fidokey_system::signals::Undisturbed;

use super::*;
use crate::doctor::scratch::Scratch;

const USUAL: &str = "usr/sbin/sendmail";
const MESSAGE: &str = "From: root\nTo: alice\nSubject: x\n\n.\nbody\n";

/// While one test writes a script, none may start another one: the child would have it open for writing for a moment, and
/// nobody could run it.
static SCRIPTS: Mutex<()> = Mutex::new(());

/// Sends the message by `script`, which knows the directory of the test as `$here`.
fn sent_by(
    name: &str,
    patience: Duration,
    script: &str,
) -> (Result<(), NotSent>, Duration, Scratch) {
    let tree = Scratch::new(name);
    let guard = SCRIPTS.lock().unwrap();
    tree.write(USUAL, format!("#!/bin/sh\nhere={}\n{script}\n", tree.path("").display()));
    tree.mode(USUAL, 0o755);
    let started = Instant::now();
    // As it is sent: nothing ends the command before it is.
    let undisturbed = Undisturbed::begin();
    let sending = system(&tree, patience).send("alice", MESSAGE);
    drop(undisturbed);
    drop(guard);
    let result = sending.and_then(Sending::wait);
    (result, started.elapsed(), tree)
}

fn system(tree: &Scratch, patience: Duration) -> MailSystem {
    MailSystem { places: tree.places(), patience }
}

/// Why the message is not sent by the system as it is.
fn refused(tree: &Scratch) -> NotSent {
    let _guard = SCRIPTS.lock().unwrap();
    system(tree, PATIENCE).send("alice", MESSAGE).unwrap_err()
}

/// Ends in time on any machine, where nothing hangs.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn given_a_mail_system_then_it_gets_the_whole_message_and_nothing_of_ours() {
    let (result, _, tree) = sent_by(
        "mail-whole",
        LONG,
        "cat >\"$here/message\"; echo \"$*\" >\"$here/arguments\"; env >\"$here/environment\"; pwd >\"$here/directory\"
        ls -l /proc/self/fd | sed -n 's/.* \\([12]\\) -> /\\1 /p' >\"$here/streams\"; cut -d ' ' -f 5 /proc/$$/stat >\"$here/group\"
        echo $$ >\"$here/own\"; grep SigBlk /proc/self/status >\"$here/blocked\"",
    );
    assert_eq!(result, Ok(()));
    let read = |name: &str| fs::read_to_string(tree.path(name)).unwrap();
    assert_eq!(read("message"), MESSAGE);
    assert_eq!(read("arguments"), "-i -- alice\n");
    assert_eq!(read("directory"), "/\n");
    assert_eq!(read("group"), read("own"));
    // Its alarms are its own, whatever the command does not want to hear while it tells.
    assert_eq!(read("blocked").trim_start_matches("SigBlk:").trim(), "0000000000000000");
    assert!(read("streams").contains("2 /dev/null"), "{}", read("streams"));
    // PWD and _ are the shell's own.
    let mut environment: Vec<String> = read("environment")
        .lines()
        .filter(|line| !line.starts_with("PWD=") && !line.starts_with("_="))
        .map(str::to_owned)
        .collect();
    environment.sort();
    assert_eq!(environment, ["LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]);
}

#[test]
fn given_no_mail_system_then_that_is_said() {
    let tree = Scratch::new("mail-absent");
    assert_eq!(refused(&tree), NotSent::Absent);
    assert_eq!(refused(&tree).to_string(), "this machine has no sendmail");
    tree.write("usr/sbin/other", "");
    symlink("nowhere", tree.path(USUAL)).unwrap();
    assert_eq!(refused(&tree), NotSent::Absent);
}

#[test]
fn given_a_mail_system_where_it_was_before_then_it_is_used() {
    let tree = Scratch::new("mail-older");
    let guard = SCRIPTS.lock().unwrap();
    tree.write("usr/lib/sendmail", "#!/bin/sh\ncat >/dev/null\n");
    tree.mode("usr/lib/sendmail", 0o755);
    let sending = system(&tree, LONG).send("alice", MESSAGE).unwrap();
    drop(guard);
    assert_eq!(sending.wait(), Ok(()));
}

#[test]
fn given_a_program_that_cannot_be_run_or_is_not_roots_alone_then_it_is_not_run() {
    let tree = Scratch::new("mail-not-run");
    let program = tree.path(USUAL);
    tree.write(USUAL, format!("#!/bin/sh\ntouch {}\n", tree.path("was-run").display()));
    assert_eq!(refused(&tree), NotSent::Unstarted(13));
    for mode in [0o775, 0o757, 0o777] {
        tree.mode(USUAL, mode);
        let reason = refused(&tree).to_string();
        assert!(reason.ends_with("could be changed by others than root"), "{reason}");
    }
    tree.mode(USUAL, 0o755);
    tree.mode("usr/sbin", 0o777);
    assert!(refused(&tree).to_string().ends_with("could be changed by others than root"));
    tree.mode("usr/sbin", 0o755);
    // Only root can give a file away.
    if chown(&program, Some(4711), None).is_ok() {
        assert!(refused(&tree).to_string().ends_with("could be changed by others than root"));
    }
    fs::remove_file(&program).unwrap();
    fs::create_dir(&program).unwrap();
    assert!(refused(&tree).to_string().contains("cannot be used (not_a_file"));
    assert!(!tree.path("was-run").exists());
}

#[test]
fn given_a_program_that_is_none_then_it_is_said() {
    let tree = Scratch::new("mail-no-program");
    tree.write(USUAL, "\x7fELF");
    tree.mode(USUAL, 0o755);
    // As everywhere, what is neither a program nor says by what it is to be run, the shell has a look at.
    let guard = SCRIPTS.lock().unwrap();
    let sending = system(&tree, LONG).send("alice", MESSAGE);
    drop(guard);
    let refused = sending.and_then(Sending::wait).unwrap_err();
    assert!(matches!(refused, NotSent::Failed(_) | NotSent::Unstarted(8)), "{refused:?}");
}

#[test]
fn given_a_mail_system_that_refuses_then_its_status_is_said() {
    let (result, ..) = sent_by("mail-75", LONG, "cat >/dev/null; exit 75");
    assert_eq!(result.unwrap_err().to_string(), "sendmail ended with status 75");
    let (result, ..) = sent_by("mail-killed", LONG, "cat >/dev/null; kill -9 $$");
    assert_eq!(result.unwrap_err().to_string(), "sendmail was killed (signal 9)");
}

#[test]
fn given_a_mail_system_that_hangs_then_it_is_ended_in_time_with_all_that_it_has_started() {
    let (result, took, tree) = sent_by(
        "mail-hangs",
        SHORT,
        "trap '' TERM INT HUP; sleep 600 & echo $$ $! >\"$here/processes\"; sleep 600",
    );
    assert_eq!(result, Err(NotSent::Hung(SHORT)));
    // Looked at with room for a busy machine; without an end it would be ten minutes.
    assert!(took >= SHORT && took < Duration::from_secs(30), "{took:?}");
    let processes = fs::read_to_string(tree.path("processes")).unwrap();
    assert_eq!(processes.split_whitespace().count(), 2);
    for process in processes.split_whitespace() {
        let is_there = || {
            let stat = fs::read_to_string(PathBuf::from("/proc").join(process).join("stat"));
            // One that nobody has waited for yet is dead as well.
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        let until = Instant::now() + Duration::from_secs(10);
        while is_there() && Instant::now() < until {
            thread::sleep(STEP);
        }
        assert!(!is_there(), "{process}");
    }
}

#[test]
fn given_a_mail_system_that_never_reads_then_writing_does_not_block() {
    let tree = Scratch::new("mail-never-reads");
    let guard = SCRIPTS.lock().unwrap();
    tree.write(USUAL, "#!/bin/sh\nsleep 600\n");
    tree.mode(USUAL, 0o755);
    // The longest message that there is.
    let page = "x".repeat(4096);
    let sending = system(&tree, SHORT).send("alice", &page).unwrap();
    drop(guard);
    assert_eq!(sending.wait(), Err(NotSent::Hung(SHORT)));
}

/// Whether the pipe is closed before or after the message is in it: no signal ends the command, and what counts is how the
/// program ends.
#[test]
fn given_a_mail_system_that_closes_its_input_at_once_then_the_command_goes_on() {
    for turn in 0..20 {
        let (result, ..) = sent_by("mail-closes", LONG, "exec <&-; exit 69");
        let said = result.unwrap_err().to_string();
        assert_eq!(said, "sendmail ended with status 69", "{turn}");
    }
}

#[test]
fn given_a_message_that_could_not_be_written_then_success_is_none() {
    let child = Command::new("/bin/true").spawn().unwrap();
    let until = clock::now().unwrap().after(LONG);
    let sending = Sending { child, until, patience: LONG, taken: false };
    assert_eq!(sending.wait(), Err(NotSent::Unread));
}

#[test]
fn given_a_mail_system_that_floods_its_output_then_nobody_sees_it() {
    let flood = "head -c 10000000 /dev/zero; head -c 10000000 /dev/zero >&2; cat >/dev/null";
    let (result, ..) = sent_by("mail-floods", LONG, flood);
    assert_eq!(result, Ok(()));
}

#[test]
fn given_one_that_goes_on_in_the_background_with_the_pipe_then_nobody_waits_for_it_or_ends_it() {
    let (result, took, tree) = sent_by(
        "mail-background",
        LONG,
        // A shell's own background has no input; this one keeps the pipe.
        "exec 3<&0; { sleep 1; cat >\"$here/part\"; mv \"$here/part\" \"$here/message\"; } <&3 &",
    );
    assert_eq!(result, Ok(()));
    assert!(took < LONG, "{took:?}");
    let until = Instant::now() + LONG;
    while !tree.path("message").exists() && Instant::now() < until {
        thread::sleep(STEP);
    }
    assert_eq!(fs::read_to_string(tree.path("message")).unwrap(), MESSAGE);
}
