//! The terminal: data on the standard output, talk on the standard error, nothing that could play tricks on it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write, stderr, stdin, stdout};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::Duration;

use fidokey_core::credential::is_unprintable;
use fidokey_system::signals::Undisturbed;
use fidokey_system::terminal::columns;

use crate::outcome::{Exit, Failure};
use line::Line;

mod counting;
mod host;
mod line;
mod manner;

pub(crate) use counting::Counting;
pub(crate) use host::{TerminalHost, no_input};
pub(crate) use manner::{
    Stream, Style, begin, can_ask, chosen_patience, forbids_input, patience, styled,
};

/// The longest answer to a question, in bytes.
const ANSWER_MAX: u64 = 256;
/// How long something may take without anybody asking why.
const UNNOTICED: Duration = Duration::from_secs(1);

/// The one line that says what is waited for.
static LINE: LazyLock<Mutex<Line>> =
    LazyLock::new(|| Mutex::new(Line::new(Box::new(stderr()), manner::manner().live, columns)));

fn line() -> &'static Mutex<Line> {
    &LINE
}

/// Before anything else is written: what is waited for makes room. A line that is being painted is left alone.
fn step_aside() {
    if let Ok(mut line) = LINE.try_lock() {
        line.step_aside();
    }
}

/// `text` with a `?` for each character that could change what the terminal shows of the others.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_unprintable(c) { '?' } else { c }).collect()
}

/// Writes lines to the standard output, each of them made printable by whoever made it. Where nobody reads
/// on (`fidokey list | head -1`) it ends quietly.
///
/// # Errors
/// [`Failure`] when the output cannot be written, for example to a full disk.
pub(crate) fn print(lines: &str) -> Result<(), Failure> {
    step_aside();
    let mut out = stdout().lock();
    match writeln!(out, "{}", lines.trim_end_matches('\n')).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::Bug,
            format!("The standard output cannot be written: {error}."),
            "Send it somewhere else; what was to be done is done.",
        )),
        _ => Ok(()),
    }
}

/// Writes lines to the standard error, whatever was told: errors, and what belongs to a question. Nothing can be said
/// when that fails.
pub(crate) fn say(lines: &str) {
    let _ = try_say(lines);
}

/// Writes lines to the standard error that can be done without: `--quiet` does.
pub(crate) fn note(lines: &str) {
    if !manner::manner().quiet {
        say(lines);
    }
}

fn try_say(lines: &str) -> std::io::Result<()> {
    step_aside();
    let mut err = stderr().lock();
    writeln!(err, "{}", lines.trim_end_matches('\n'))?;
    err.flush()
}

/// Writes a prompt to the standard error, without an end of the line; `false` where that fails.
pub(crate) fn say_prompt(prompt: &str) -> bool {
    step_aside();
    let mut err = stderr().lock();
    write!(err, "{prompt}").and_then(|()| err.flush()).is_ok()
}

/// Asks a question that is answered by yes or no; what is neither is no.
///
/// # Errors
/// [`Failure`] where nobody can be asked: then it takes `instead`, an option.
pub(crate) fn confirm(question: &str, instead: &str) -> Result<bool, Failure> {
    if !can_ask() {
        return Err(unasked(question, instead));
    }
    let mut answer = String::new();
    if !say_prompt(&format!("{} [y/N] ", printable(question)))
        || BufReader::new(stdin().take(ANSWER_MAX)).read_line(&mut answer).is_err()
    {
        return Ok(false);
    }
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}

/// Looks whether `question` could be asked, before anything is done for it. `undone` says what is not done where it cannot.
///
/// # Errors
/// [`Failure`] where nobody can be asked: then it takes `--force`.
pub(crate) fn can_confirm(question: &str, undone: &str) -> Result<(), Failure> {
    if can_ask() {
        return Ok(());
    }
    if forbids_input() {
        return Err(unasked(question, "--force"));
    }
    Err(Failure::new(
        Exit::No,
        format!("{undone}: there is nobody to ask whether that is meant."),
        "Run the command in a terminal, or with --force.",
    ))
}

/// Waits until Enter is pressed, where somebody can be asked.
pub(crate) fn pause(prompt: &str) {
    if can_ask() && say_prompt(prompt) {
        let _ = BufReader::new(stdin().take(ANSWER_MAX)).read_line(&mut String::new());
    }
}

fn unasked(question: &str, instead: &str) -> Failure {
    Failure::new(
        Exit::Usage,
        format!("Nobody can be asked here: {question}"),
        format!("Say {instead}, or run the command in a terminal and without --no-input."),
    )
}

/// Does something that may have to wait for others, and says so where it takes longer than anybody would not notice:
/// `what` is a sentence.
pub(crate) fn waiting_for<T>(what: &str, work: impl FnOnce() -> T) -> T {
    watched(UNNOTICED, || note(what), work)
}

/// The same where nothing may be held up by what is said, under a lock for example: the terminal may be another's, who lets it
/// take no more.
pub(crate) fn waiting_aside<T>(what: &'static str, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = channel::<()>();
    let watch = move || {
        if is_done.recv_timeout(UNNOTICED) == Err(RecvTimeoutError::Timeout) {
            note(what);
        }
    };
    // No signal is the thread's to take: this one may wait for them.
    let undisturbed = Undisturbed::begin();
    let _ = thread::Builder::new().spawn(watch);
    drop(undisturbed);
    let worked = work();
    drop(done);
    worked
}

fn watched<T>(unnoticed: Duration, tell: impl FnOnce() + Send, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (done, is_done) = channel::<()>();
        let watch = move || {
            if is_done.recv_timeout(unnoticed) == Err(RecvTimeoutError::Timeout) {
                tell();
            }
        };
        // No signal is the thread's to take: this one may wait for them.
        let undisturbed = Undisturbed::begin();
        // Without a thread it is as long, and nothing is said.
        let _ = thread::Builder::new().spawn_scoped(scope, watch);
        drop(undisturbed);
        let worked = work();
        drop(done);
        worked
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn given_what_plays_tricks_on_a_terminal_then_it_is_not_shown() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}d\u{9b}"), "a?[2Jb?c?d?");
        assert_eq!(printable("Größe 鍵"), "Größe 鍵");
    }

    #[test]
    fn given_something_that_takes_long_then_it_is_said_what_is_waited_for_and_otherwise_not() {
        let told = AtomicBool::new(false);
        let tell = || told.store(true, Ordering::SeqCst);
        assert_eq!(watched(Duration::from_secs(600), tell, || 7), 7);
        assert!(!told.load(Ordering::SeqCst));
        // As long as it takes until it is said.
        let worked = watched(Duration::ZERO, tell, || {
            while !told.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            8
        });
        assert_eq!(worked, 8);
    }

    #[test]
    fn given_nobody_who_can_be_asked_then_the_option_is_named() {
        let failure = unasked("Remove it?", "--force");
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(format!("{failure:?}").contains("Say --force,"), "{failure:?}");
    }
}
