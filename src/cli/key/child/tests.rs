//! Children that are not what they should be.

use super::*;

const LIMITS: Limits =
    Limits { silence: Duration::from_millis(300), total: Duration::from_millis(900) };

/// What comes of a child that is this script of the shell, and what it told. Its standard input is the socket.
fn of(script: &str) -> (Result<(), Broken>, Vec<Reply>) {
    within(script, LIMITS, &mut || false)
}

fn within(
    script: &str,
    limits: Limits,
    cancelled: &mut dyn FnMut() -> bool,
) -> (Result<(), Broken>, Vec<Reply>) {
    #[expect(clippy::disallowed_methods, reason = "a test is not login's process")]
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    let mut told = Vec::new();
    let start = clock::now().unwrap();
    let done = run(command, "request\n", limits, cancelled, &mut |reply| told.push(reply));
    let took = start.until(clock::now().unwrap());
    assert!(took < limits.total.saturating_add(Duration::from_secs(2)), "{took:?}");
    (done, told)
}

#[test]
fn given_a_child_that_does_as_it_is_told_then_it_is_heard() {
    let (done, told) = of("read request; [ $request = request ] || exit
        echo channel 01020304 >&0; echo fingerprint 0a 61 >&0; echo done >&0; sleep 5");
    assert_eq!(done, Ok(()));
    let fingerprint = Reply::Fingerprint { id: vec![10], name: "a".to_owned() };
    assert_eq!(told, [Reply::Channel([1, 2, 3, 4]), fingerprint]);
    assert_eq!(of("echo refused 49 >&0; sleep 5").0, Err(Broken::Refused(0x31)));
    assert_eq!(of("echo failed >&0; sleep 5").0, Err(Broken::Failed));
}

// What a panic, a signal, the limits of the system or an exit looks like from here.
#[test]
fn given_a_child_that_ends_then_it_has_failed() {
    for script in
        ["exit 0", "exit 101", "kill -ABRT $$", "kill -KILL $$", "echo don >&0", "exec 0<&-"]
    {
        assert_eq!(of(script).0, Err(Broken::Failed), "{script}");
    }
}

#[test]
fn given_a_child_that_says_anything_else_then_it_has_failed() {
    for said in ["hello", "done.", "", "channel", "credential 01", r"\0377"] {
        let (done, told) = of(&format!("printf '{said}\\n' >&0; sleep 5"));
        assert_eq!((done, told), (Err(Broken::Failed), Vec::new()), "{said}");
    }
}

#[test]
fn given_what_a_child_prints_then_nobody_reads_it() {
    let (done, told) = of("echo done; echo done >&2; sleep 5");
    assert_eq!((done, told), (Err(Broken::Silent), Vec::new()));
}

#[test]
fn given_a_child_that_says_nothing_then_it_is_ended_in_time() {
    assert_eq!(of("sleep 60").0, Err(Broken::Silent));
    assert_eq!(of("trap '' TERM INT HUP; while :; do :; done").0, Err(Broken::Silent));
    // Signs of life do not make it longer than all of it may take.
    let (done, told) = of("while echo sample 0 1 >&0; do sleep 0.1; done");
    assert_eq!(done, Err(Broken::Silent));
    assert!(told.len() > 3 && told.len() < 12, "{}", told.len());
}

#[test]
fn given_a_child_that_says_too_much_then_it_has_failed() {
    let long = Limits { silence: Duration::from_secs(20), total: Duration::from_secs(20) };
    let flood = "exec 1>&0; exec yes 'sample 0 1'";
    let (done, told) = within(flood, long, &mut || false);
    assert_eq!(done, Err(Broken::Failed));
    assert!(told.len() <= SAID_MAX / 11 + 400, "{}", told.len());
    let line = "exec 1>&0; exec tr '\\0' a </dev/zero";
    assert_eq!(within(line, long, &mut || false), (Err(Broken::Failed), Vec::new()));
}

#[test]
fn given_somebody_wants_it_to_end_then_it_does_at_once() {
    let long = Limits { silence: Duration::from_secs(20), total: Duration::from_secs(20) };
    let mut looks = 0;
    let start = clock::now().unwrap();
    let (done, _) = within("sleep 60", long, &mut || {
        looks += 1;
        looks > 3
    });
    assert_eq!(done, Err(Broken::Cancelled));
    assert!(start.until(clock::now().unwrap()) < Duration::from_secs(2));
}

#[test]
fn given_a_child_that_was_ended_then_no_process_is_left() {
    let mark = format!("/tmp/fidokey-child-{}", std::process::id());
    let (done, _) = of(&format!("echo $$ >{mark}; exec sleep 60"));
    assert_eq!(done, Err(Broken::Silent));
    let process = std::fs::read_to_string(&mark).unwrap();
    std::fs::remove_file(&mark).unwrap();
    assert!(!std::path::Path::new("/proc").join(process.trim()).exists());
}

#[test]
fn given_a_program_that_there_is_not_then_it_is_not_started() {
    #[expect(clippy::disallowed_methods, reason = "a test is not login's process")]
    let command = Command::new("/nonexistent");
    let done = run(command, "", LIMITS, &mut || false, &mut |_| {});
    assert_eq!(done, Err(Broken::NotStarted));
}

// E10: neither what the child is called with nor its environment has anything in it but its verb.
#[test]
fn the_child_is_called_with_its_verb_and_nothing_else() {
    let command = worker();
    assert_eq!(command.get_program(), "/proc/self/exe");
    assert!(command.get_args().eq(["worker"]));
    assert_eq!(command.get_envs().count(), 0);
}
