//! The line that says what is waited for: on a terminal painted anew in its place, with how long that still is;
//! elsewhere a line like others, once. Who waits calls it; it knows no clock.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use fidokey_core::ports::Moment;

/// What a terminal is taken for that does not say how wide it is, in columns.
const WIDTH: usize = 80;
/// To the beginning of the line, and nothing on it (ECMA-48, erase in line).
const WIPED: &str = "\r\u{1b}[K";

/// The line.
pub(crate) struct Line {
    out: Box<dyn Write + Send>,
    /// Whether it can be painted anew.
    live: bool,
    width: fn() -> Option<usize>,
    waiting: Option<Waiting>,
    painted: bool,
}

/// What is waited for.
#[derive(Debug)]
struct Waiting {
    text: String,
    patience: Duration,
    /// Known once somebody waits who has a clock.
    until: Option<Moment>,
    /// The seconds that stand there.
    shown: Option<u64>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("live", &self.live).field("waiting", &self.waiting).finish()
    }
}

impl Line {
    /// A line on `out`, which can be painted anew where it is `live` and is as wide as `width` says.
    pub(crate) fn new(
        out: Box<dyn Write + Send>,
        live: bool,
        width: fn() -> Option<usize>,
    ) -> Self {
        Self { out, live, width, waiting: None, painted: false }
    }

    /// From now on `text` is waited for, which is printable, for `patience`.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn cue(&mut self, text: &str, patience: Duration) -> io::Result<()> {
        if !self.live {
            writeln!(self.out, "{text}")?;
            return self.out.flush();
        }
        let waiting = Waiting { text: text.to_owned(), patience, until: None, shown: None };
        self.waiting = Some(waiting);
        self.paint(text, "")
    }

    /// Shows how long it still is at the moment `now`, and says when it wants to be told the time again.
    pub(crate) fn tick(&mut self, now: Moment) -> Option<Moment> {
        let waiting = self.waiting.as_mut()?;
        let until = *waiting.until.get_or_insert(now.after(waiting.patience));
        let left = now.until(until);
        // Zero is said when it is over, and not before.
        let seconds = left.as_secs().saturating_add(u64::from(left.subsec_nanos() != 0));
        if waiting.shown != Some(seconds) {
            waiting.shown = Some(seconds);
            let text = waiting.text.clone();
            let count = if seconds == 0 { String::new() } else { format!(" {seconds} s") };
            // What cannot be shown ends no wait.
            let _ = self.paint(&text, &count);
        }
        let more = left.saturating_sub(Duration::from_secs(seconds.checked_sub(1)?));
        Some(now.after(more))
    }

    /// Makes room for something else that is said; what is waited for stands below that when the time is told next.
    pub(crate) fn step_aside(&mut self) {
        if std::mem::take(&mut self.painted) {
            let _ = write!(self.out, "{WIPED}").and_then(|()| self.out.flush());
        }
        if let Some(waiting) = &mut self.waiting {
            waiting.shown = None;
        }
    }

    /// Nothing is waited for any more, and nothing of it stays.
    pub(crate) fn end(&mut self) {
        self.step_aside();
        self.waiting = None;
    }

    fn paint(&mut self, text: &str, count: &str) -> io::Result<()> {
        let width = (self.width)().filter(|width| *width != 0).unwrap_or(WIDTH);
        self.painted = true;
        write!(self.out, "\r{}\u{1b}[K", fitted(text, count, width))?;
        self.out.flush()
    }
}

/// `text` and `count` in one line of so many columns, of which the last stays free: a terminal that has got something in
/// there goes on in the next line. The text is cut first.
fn fitted(text: &str, count: &str, width: usize) -> String {
    const CUT: &str = "..";
    let room = width.saturating_sub(1);
    let whole = columns(text).saturating_add(columns(count));
    if whole <= room {
        return format!("{text}{count}");
    }
    let Some(room) = room.checked_sub(columns(count).saturating_add(CUT.len())) else {
        return String::new();
    };
    let mut fits = String::new();
    let mut used = 0_usize;
    for c in text.chars() {
        used = used.saturating_add(column(c));
        if used > room {
            break;
        }
        fits.push(c);
    }
    format!("{fits}{CUT}{count}")
}

fn columns(text: &str) -> usize {
    text.chars().map(column).fold(0, usize::saturating_add)
}

/// The most columns that a terminal gives to it: whether two or one, or none, they do not agree.
const fn column(c: char) -> usize {
    if c.is_ascii() { 1 } else { 2 }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What was written.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        /// What was written since the last look.
        pub(crate) fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    pub(crate) fn line(live: bool) -> (Line, Written) {
        let written = Written::default();
        (Line::new(Box::new(written.clone()), live, || None), written)
    }

    fn at(milliseconds: u64) -> Moment {
        Moment::new(Duration::from_millis(milliseconds))
    }

    #[test]
    fn given_no_terminal_then_it_is_a_line_once() {
        let (mut line, written) = line(false);
        line.cue("Touch it.", Duration::from_secs(30)).unwrap();
        assert_eq!(line.tick(at(0)), None);
        line.step_aside();
        line.end();
        assert_eq!(written.take(), "Touch it.\n");
    }

    #[test]
    fn given_a_terminal_then_it_counts_down_in_its_place_and_nothing_of_it_stays() {
        let (mut line, written) = line(true);
        line.cue("Touch it.", Duration::from_secs(3)).unwrap();
        assert_eq!(written.take(), "\rTouch it.\u{1b}[K");
        assert_eq!(line.tick(at(1_500)), Some(at(2_500)));
        assert_eq!(written.take(), "\rTouch it. 3 s\u{1b}[K");
        // Nothing to say in between.
        assert_eq!(line.tick(at(2_000)), Some(at(2_500)));
        assert_eq!(written.take(), "");
        assert_eq!(line.tick(at(2_500)), Some(at(3_500)));
        assert_eq!(written.take(), "\rTouch it. 2 s\u{1b}[K");
        assert_eq!(line.tick(at(4_499)), Some(at(4_500)));
        assert_eq!(written.take(), "\rTouch it. 1 s\u{1b}[K");
        assert_eq!(line.tick(at(4_500)), None);
        assert_eq!(written.take(), "\rTouch it.\u{1b}[K");
        line.end();
        assert_eq!(written.take(), WIPED);
        line.end();
        assert_eq!((line.tick(at(5_000)), written.take()), (None, String::new()));
    }

    #[test]
    fn given_something_else_to_say_then_the_line_makes_room_and_comes_back_below() {
        let (mut line, written) = line(true);
        line.cue("Insert it.", Duration::from_secs(30)).unwrap();
        line.tick(at(0));
        written.take();
        line.step_aside();
        assert_eq!(written.take(), WIPED);
        line.step_aside();
        assert_eq!(written.take(), "");
        line.tick(at(100));
        assert_eq!(written.take(), "\rInsert it. 30 s\u{1b}[K");
        // The next one is another wait.
        line.cue("Touch it.", Duration::from_secs(10)).unwrap();
        line.tick(at(5_000));
        assert_eq!(written.take(), "\rTouch it.\u{1b}[K\rTouch it. 10 s\u{1b}[K");
    }

    #[test]
    fn given_a_narrow_terminal_then_the_line_is_cut_and_the_last_column_free() {
        assert_eq!(fitted("Touch it.", " 30 s", 15), "Touch it. 30 s");
        assert_eq!(fitted("Touch it.", " 30 s", 14), "Touch .. 30 s");
        assert_eq!(fitted("Touch it.", " 30 s", 8), ".. 30 s");
        assert_eq!(fitted("Touch it.", " 30 s", 7), "");
        assert_eq!(fitted("Touch it.", " 30 s", 0), "");
        // Whatever the terminal makes of these.
        assert_eq!(fitted("鍵鍵鍵鍵", "", 8), "鍵鍵..");
        for width in 0..40 {
            let fits = fitted("Touch your security key (größe).", " 120 s", width);
            assert!(fits.is_empty() || columns(&fits) < width, "{width}: {fits}");
        }
    }
}
