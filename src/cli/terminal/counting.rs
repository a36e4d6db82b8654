//! Keys whose waits are counted down on the terminal: what is sent to them and what they send is as without it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fidokey_core::ports::{
    Device, Fault, Gone, Heard, KeyEvent, KeyId, Keys, Moment, OpenError, Report, Signal,
};

use super::line::Line;

/// The keys, and the line that says what is waited for. Dropping it wipes that before the signals are the program's
/// again: it may end in that moment.
#[derive(Debug)]
pub(crate) struct Counting<K: Keys> {
    keys: K,
    line: &'static Mutex<Line>,
}

impl<K: Keys> Counting<K> {
    /// `keys`, counted down on the command's terminal.
    pub(crate) fn new(keys: K) -> Self {
        Self { keys, line: super::line() }
    }

    /// The keys, for what only they know.
    pub(crate) const fn keys(&self) -> &K {
        &self.keys
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Keys> Drop for Counting<K> {
    fn drop(&mut self) {
        self.line().end();
    }
}

impl<K: Keys> Keys for Counting<K> {
    fn now(&mut self) -> Result<Moment, Fault> {
        self.keys.now()
    }

    fn plugged(&mut self) -> Result<Vec<KeyId>, Fault> {
        self.keys.plugged()
    }

    fn are_visible(&self) -> bool {
        self.keys.are_visible()
    }

    fn device(&mut self, key: KeyId) -> Device {
        self.keys.device(key)
    }

    fn open(&mut self, key: KeyId) -> Result<(), OpenError> {
        self.keys.open(key)
    }

    fn send(&mut self, key: KeyId, report: &Report) -> Result<(), Gone> {
        self.keys.send(key, report)
    }

    /// In parts, each until there is something new to show.
    fn wait(&mut self, until: Moment) -> Result<KeyEvent, Fault> {
        loop {
            let now = self.keys.now()?;
            let next = self.line().tick(now).filter(|next| *next < until);
            match self.keys.wait(next.unwrap_or(until))? {
                KeyEvent::Elapsed if next.is_some() => {}
                event => return Ok(event),
            }
        }
    }

    fn release(&mut self, key: KeyId) {
        self.keys.release(key);
    }

    fn retake(&mut self, key: KeyId) -> Result<Heard, OpenError> {
        self.keys.retake(key)
    }

    fn close(&mut self, key: KeyId) {
        self.keys.close(key);
    }

    fn pending_signal(&mut self) -> Option<Signal> {
        self.keys.pending_signal()
    }

    fn take_interrupt(&mut self) {
        self.keys.take_interrupt();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::line::tests::{Written, line};
    use super::*;

    const KEY: KeyId = KeyId(7);

    /// Keys at which something happens at one moment. The clock is theirs.
    #[derive(Debug)]
    struct Fake {
        now: Moment,
        event: (Moment, KeyEvent),
        waits: Vec<Moment>,
    }

    impl Keys for Fake {
        fn now(&mut self) -> Result<Moment, Fault> {
            Ok(self.now)
        }

        fn plugged(&mut self) -> Result<Vec<KeyId>, Fault> {
            Ok(vec![KEY])
        }

        fn open(&mut self, _key: KeyId) -> Result<(), OpenError> {
            Err(OpenError::Busy)
        }

        fn send(&mut self, _key: KeyId, _report: &Report) -> Result<(), Gone> {
            Err(Gone)
        }

        fn wait(&mut self, until: Moment) -> Result<KeyEvent, Fault> {
            self.waits.push(until);
            let (when, event) = self.event;
            self.now = self.now.max(when.min(until));
            Ok(if when <= until { event } else { KeyEvent::Elapsed })
        }

        fn close(&mut self, _key: KeyId) {}

        fn pending_signal(&mut self) -> Option<Signal> {
            Some(Signal::Interrupt)
        }
    }

    fn at(milliseconds: u64) -> Moment {
        Moment::new(Duration::from_millis(milliseconds))
    }

    fn counting(live: bool, when: Moment, event: KeyEvent) -> (Counting<Fake>, Written) {
        let (mut line, written) = line(live);
        line.cue("Touch it.", Duration::from_secs(5)).unwrap();
        let fake = Fake { now: at(0), event: (when, event), waits: Vec::new() };
        (Counting { keys: fake, line: Box::leak(Box::new(Mutex::new(line))) }, written)
    }

    #[test]
    fn given_a_terminal_then_a_wait_is_counted_down_and_ends_by_what_happens() {
        let report = KeyEvent::Report(KEY, [1; 64]);
        let (mut keys, written) = counting(true, at(2_200), report);
        assert_eq!(keys.wait(at(9_000)), Ok(report));
        assert_eq!(keys.keys.waits, [at(1_000), at(2_000), at(3_000)]);
        let painted: String = ["", " 5 s", " 4 s", " 3 s"]
            .map(|count| format!("\rTouch it.{count}\u{1b}[K"))
            .concat();
        assert_eq!(written.take(), painted);
        drop(keys);
        assert_eq!(written.take(), "\r\u{1b}[K");
    }

    #[test]
    fn given_a_signal_then_the_wait_ends_at_once_and_the_line_is_wiped_before_the_keys_are() {
        let signal = KeyEvent::Signal(Signal::Interrupt);
        let (mut keys, written) = counting(true, at(300), signal);
        assert_eq!(keys.wait(at(9_000)), Ok(signal));
        assert_eq!((keys.now(), keys.pending_signal()), (Ok(at(300)), Some(Signal::Interrupt)));
        written.take();
        drop(keys);
        assert_eq!(written.take(), "\r\u{1b}[K");
    }

    #[test]
    fn given_a_deadline_before_the_next_second_then_it_is_kept() {
        let (mut keys, _written) = counting(true, at(60_000), KeyEvent::Hotplug);
        assert_eq!(keys.wait(at(700)), Ok(KeyEvent::Elapsed));
        assert_eq!(keys.wait(at(1_000)), Ok(KeyEvent::Elapsed));
        assert_eq!(keys.now(), Ok(at(1_000)));
        // Longer than what is counted down.
        assert_eq!(keys.wait(at(20_000)), Ok(KeyEvent::Elapsed));
        assert_eq!(keys.now(), Ok(at(20_000)));
    }

    #[test]
    fn given_no_terminal_then_a_wait_is_one_and_the_line_is_there_once() {
        let (mut keys, written) = counting(false, at(4_000), KeyEvent::Hotplug);
        assert_eq!(keys.wait(at(9_000)), Ok(KeyEvent::Hotplug));
        assert_eq!(keys.keys.waits, [at(9_000)]);
        drop(keys);
        assert_eq!(written.take(), "Touch it.\n");
    }
}
