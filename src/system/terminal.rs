//! A secret from the command's standard input: typed without an echo where that is a terminal, one line otherwise; and
//! how wide its terminal is. Not for the module, whose process and terminal are the program's that asked for the login.
//!
//! Own code and not a crate's, because of Ctrl-C: it must neither leave the terminal without its echo nor end the
//! command before the key was told.

use std::io::stdin;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use nix::unistd::read;
use zeroize::Zeroizing;

use crate::signals::Signals;

/// The longest line, in bytes; what follows is passed over.
const LINE_MAX: usize = 256;

/// Nothing could be read, or it was not waited for: a signal is pending, or the input has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotRead;

/// Has `ask` ask, then reads one line of the standard input and lends it to `take`, without its end; it is wiped then.
///
/// # Errors
/// [`NotRead`]; a signal stays pending for whoever looks for it next.
pub fn secret(ask: impl FnOnce() -> bool, take: &mut dyn FnMut(&[u8])) -> Result<(), NotRead> {
    let signals = Signals::begin();
    let input = stdin();
    let _quiet = Quiet::begin(&input);
    // Only now: what is typed before the echo is off is thrown away.
    if !ask() {
        return Err(NotRead);
    }
    let mut line = Zeroizing::new([0; LINE_MAX]);
    let mut length = 0;
    loop {
        wait(&input, signals.as_ref())?;
        // One at a time: what follows the line is for others.
        let mut byte = Zeroizing::new([0]);
        match (read(&input, &mut *byte), *byte) {
            (Ok(1), [b'\n']) => break,
            (Ok(1), [typed]) => {
                if let Some(place) = line.get_mut(length) {
                    *place = typed;
                    length = length.saturating_add(1);
                }
            }
            (Err(Errno::EINTR), _) => {}
            // The end without the end of a line is still a line.
            (Ok(_), _) if length > 0 => break,
            (Ok(_) | Err(_), _) => return Err(NotRead),
        }
    }
    let length = without_brackets(line.get_mut(..length).unwrap_or_default());
    take(line.get(..length).unwrap_or_default());
    Ok(())
}

/// Takes the marks out of `line` that a terminal puts around what is pasted, where a program before this one has left it
/// so (xterm's bracketed paste). How much is left, at the beginning.
fn without_brackets(line: &mut [u8]) -> usize {
    const MARK: usize = 6;
    let (mut from, mut to) = (0_usize, 0_usize);
    while let Some(byte) = line.get(from).copied() {
        let end = from.saturating_add(MARK);
        if matches!(line.get(from..end), Some(b"\x1b[200~" | b"\x1b[201~")) {
            from = end;
            continue;
        }
        if let Some(place) = line.get_mut(to) {
            *place = byte;
        }
        from = from.saturating_add(1);
        to = to.saturating_add(1);
    }
    to
}

/// The terminal that the command's standard input is, as a path, where it is one.
#[must_use]
pub fn own_tty() -> Option<String> {
    nix::unistd::ttyname(stdin()).ok()?.into_os_string().into_string().ok()
}

/// How many columns the terminal has that the standard error is, where it is one and says so (tty_ioctl(4)).
#[must_use]
pub fn columns() -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the call writes a `winsize` to the place, which lives until it has returned, and fails on what is no
    // terminal or not open.
    let told = unsafe { libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (told == 0 && size.ws_col != 0).then(|| usize::from(size.ws_col))
}

/// Waits for input; a signal ends it.
fn wait(input: &impl AsFd, signals: Option<&Signals>) -> Result<(), NotRead> {
    let sources = signals.map(Signals::sources);
    let mut polled = vec![PollFd::new(input.as_fd(), PollFlags::POLLIN)];
    polled.extend(sources.iter().flatten().map(|(_, fd)| PollFd::new(*fd, PollFlags::POLLIN)));
    loop {
        match ppoll(&mut polled, None, None) {
            Err(Errno::EINTR) => {}
            Err(_) => return Err(NotRead),
            Ok(_) => break,
        }
    }
    let ready = |fd: &PollFd<'_>| fd.revents() != Some(PollFlags::empty());
    if polled.iter().skip(1).any(ready) { Err(NotRead) } else { Ok(()) }
}

/// A terminal without an echo, until this is dropped.
struct Quiet<F: AsFd> {
    terminal: F,
    before: Termios,
}

impl<F: AsFd> Quiet<F> {
    /// `None` where it is no terminal.
    fn begin(terminal: F) -> Option<Self> {
        let before = tcgetattr(&terminal).ok()?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        // Nobody comes back from a stop to find the echo on again: the shell has modes of its own.
        if let Some(stop) = quiet.control_chars.get_mut(SpecialCharacterIndices::VSUSP as usize) {
            *stop = 0;
        }
        // The end of the line is shown, so that what follows stands below.
        quiet.local_flags.insert(LocalFlags::ECHONL | LocalFlags::ICANON);
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &quiet).ok()?;
        Some(Self { terminal, before })
    }
}

impl<F: AsFd> Drop for Quiet<F> {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // E10.
    #[test]
    fn given_what_was_pasted_then_the_marks_around_it_are_not_of_it() {
        for (typed, meant) in [
            (&b"\x1b[200~1234\x1b[201~"[..], &b"1234"[..]),
            (b"12\x1b[200~34\x1b[201~56", b"123456"),
            (b"\x1b[201~1234", b"1234"),
            (b"\x1b[200~\x1b[201~", b""),
            (b"1234", b"1234"),
            (b"\x1b[200", b"\x1b[200"),
            (b"\x1b[202~1", b"\x1b[202~1"),
            (b"", b""),
        ] {
            let mut line = typed.to_vec();
            let length = without_brackets(&mut line);
            assert_eq!(&line[..length], meant, "{typed:02x?}");
        }
    }
}
