//! The keys that are open: their descriptors, and one `ppoll` over all of them, the hotplug watch and the signals.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use fidokey_core::ports::{Fault, Gone, KeyEvent, KeyId, Moment, Report, Signal};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use nix::unistd::{read, write};

use crate::clock;
use crate::hotplug::Hotplug;
use crate::lock::unlock;
use crate::signals::Signals;

/// The length of a report, in bytes, without its number.
const REPORT: usize = size_of::<Report>();
/// The most reports that are thrown away at once.
const DISCARDED_MAX: usize = 256;
/// The longest single wait: the deadline may be further away than a `timespec` can tell.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// The keys that are open, each with the lock that its descriptor carries.
#[derive(Debug, Default)]
pub(crate) struct OpenKeys {
    open: BTreeMap<KeyId, OwnedFd>,
    /// Whose turn was last: `None` for the hotplug watch.
    last: Option<KeyId>,
}

/// Something that is polled.
#[derive(Clone, Copy)]
enum Source {
    Hotplug,
    Key(KeyId),
    Signal(Signal),
}

/// Something that `ppoll` has found ready.
struct Ready {
    source: Source,
    /// What is ready; `None` for flags of the kernel that nobody knows here.
    flags: Option<PollFlags>,
}

impl OpenKeys {
    /// Whether `key` is open.
    pub(crate) fn contains(&self, key: KeyId) -> bool {
        self.open.contains_key(&key)
    }

    /// Takes over `fd`, which must not block, as the open `key`.
    pub(crate) fn insert(&mut self, key: KeyId, fd: OwnedFd) {
        self.open.insert(key, fd);
    }

    /// Closes `key`, and gives up its lock.
    pub(crate) fn close(&mut self, key: KeyId) {
        self.open.remove(&key);
    }

    /// The descriptor of `key`, where it is open.
    pub(crate) fn fd(&self, key: KeyId) -> Option<&OwnedFd> {
        self.open.get(&key)
    }

    /// Gives up the lock on `key`, which stays open.
    pub(crate) fn unlock(&self, key: KeyId) {
        if let Some(fd) = self.fd(key) {
            unlock(fd);
        }
    }

    /// Throws away what `key` has sent and nobody has read: how many reports. What a removed key is, the next wait says.
    pub(crate) fn discard(&self, key: KeyId) -> usize {
        // The kernel keeps 64 for each opener. One that sends without end is not waited for.
        (0..DISCARDED_MAX).take_while(|_| self.read(key).is_ok()).count()
    }

    /// Sends one report. The kernel gives a key that does not take it 5 seconds, whatever the flags of the
    /// descriptor say (`USB_CTRL_SET_TIMEOUT`); after that the write fails and the key is closed.
    pub(crate) fn send(&mut self, key: KeyId, report: &Report) -> Result<(), Gone> {
        // hidraw wants the report number first: 0, as the reports of a FIDO key have none.
        let mut numbered = [0; REPORT + 1];
        for (to, from) in numbered.iter_mut().skip(1).zip(report) {
            *to = *from;
        }
        let fd = self.open.get(&key).ok_or(Gone)?;
        loop {
            match write(fd, &numbered) {
                Ok(count) if count == numbered.len() => return Ok(()),
                Err(Errno::EINTR) => {}
                Ok(_) | Err(_) => break,
            }
        }
        self.close(key);
        Err(Gone)
    }

    /// Waits for the next event, `until` at the latest. Signals come first. Whoever else was served last is looked
    /// at last, so that a key which never stops sending holds up neither the others nor the deadline.
    pub(crate) fn wait(
        &mut self,
        hotplug: &mut Hotplug,
        signals: Option<&mut Signals>,
        until: Moment,
    ) -> Result<KeyEvent, Fault> {
        loop {
            let now = clock::now()?;
            if now >= until {
                return Ok(KeyEvent::Elapsed);
            }
            if hotplug.is_due(now) {
                return Ok(KeyEvent::Hotplug);
            }
            let quiet_until = signals.as_deref().and_then(|signals| signals.quiet_until(now));
            let wake = hotplug.wake(until);
            let wake = quiet_until.map_or(wake, |quiet_until| quiet_until.min(wake));
            let heard = signals.as_deref().filter(|_| quiet_until.is_none());
            for ready in self.poll(hotplug, heard, now.until(wake))? {
                match ready.source {
                    Source::Signal(signal) => {
                        if let Some(signals) = signals {
                            signals.told(now);
                        }
                        return Ok(KeyEvent::Signal(signal));
                    }
                    Source::Hotplug => {
                        if hotplug.read(now) {
                            self.last = None;
                            return Ok(KeyEvent::Hotplug);
                        }
                    }
                    Source::Key(key) => {
                        if let Some(event) = self.receive(key, ready.flags) {
                            self.last = Some(key);
                            return Ok(event);
                        }
                    }
                }
            }
        }
    }

    /// What is ready now or within `left`, in the order of turns. Nothing, when a handler of the program's ran.
    fn poll(
        &self,
        hotplug: &Hotplug,
        signals: Option<&Signals>,
        left: Duration,
    ) -> Result<Vec<Ready>, Fault> {
        let watched = self.in_turn(hotplug, signals);
        let mut polled: Vec<PollFd<'_>> =
            watched.iter().map(|(_, fd)| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        match ppoll(&mut polled, Some(TimeSpec::from_duration(left.min(WAIT_MAX))), None) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Vec::new()),
            Err(errno) => return Err(Fault { call: "ppoll", errno: errno as i32 }),
        }
        let ready = watched
            .iter()
            .zip(&polled)
            .map(|((source, _), fd)| Ready { source: *source, flags: fd.revents() });
        Ok(ready.filter(|ready| ready.flags != Some(PollFlags::empty())).collect())
    }

    /// All that is waited for: the signals, the keys after the one that was served last, the hotplug watch, the
    /// other keys.
    fn in_turn<'w>(
        &'w self,
        hotplug: &'w Hotplug,
        signals: Option<&'w Signals>,
    ) -> Vec<(Source, BorrowedFd<'w>)> {
        let last = self.last;
        let keys = |after: bool| {
            let turn = move |key: &KeyId| (Some(*key) > last) == after;
            let keys = self.open.iter().filter(move |(key, _)| turn(key));
            keys.map(|(key, fd)| (Source::Key(*key), fd.as_fd()))
        };
        let signals = signals.into_iter().flat_map(Signals::sources);
        signals
            .map(|(signal, fd)| (Source::Signal(signal), fd))
            .chain(keys(true))
            .chain(hotplug.fd().map(|fd| (Source::Hotplug, fd)))
            .chain(keys(false))
            .collect()
    }

    /// Reads one report of `key`. Nothing when there was none after all.
    fn receive(&mut self, key: KeyId, flags: Option<PollFlags>) -> Option<KeyEvent> {
        let readable = flags.is_some_and(|flags| flags.contains(PollFlags::POLLIN));
        // Input first: what a key sent before it was removed is still there to be read.
        if readable {
            match self.read(key) {
                Ok(report) => return Some(KeyEvent::Report(key, report)),
                Err(Errno::EAGAIN) if flags == Some(PollFlags::POLLIN) => return None,
                Err(_) => {}
            }
        }
        self.close(key);
        Some(KeyEvent::Gone(key))
    }

    /// One report of exactly the right length.
    fn read(&self, key: KeyId) -> Result<Report, Errno> {
        // One byte more than a report, to notice a longer one.
        let mut buffer = [0; REPORT + 1];
        let fd = self.open.get(&key).ok_or(Errno::EBADF)?;
        let count = loop {
            match read(fd, &mut buffer) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        match buffer.first_chunk() {
            Some(report) if count == REPORT => Ok(*report),
            _ => Err(Errno::EBADMSG),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "a test may look at the clock and wait")]

    use super::*;
    use crate::clock::now;
    use crate::signals::tests::{handle_all, handled};
    use nix::libc;
    use std::os::fd::FromRawFd;
    use std::path::Path;
    use std::time::Instant;

    /// Both ends of a socket that keeps messages apart, as hidraw keeps reports apart.
    fn pair() -> (OwnedFd, OwnedFd) {
        let mut ends = [0; 2];
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: there is room for two descriptors.
        let made = unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) };
        assert_eq!(made, 0);
        // SAFETY: made above, and owned by nobody yet.
        ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) }).into()
    }

    /// Keys with these numbers, open, and their other ends.
    fn keys(count: u64) -> (OpenKeys, Vec<OwnedFd>) {
        let mut keys = OpenKeys::default();
        let ends = (0..count).map(|number| {
            let (ours, theirs) = pair();
            keys.insert(KeyId(number), ours);
            theirs
        });
        let ends = ends.collect();
        (keys, ends)
    }

    /// No hotplug for an hour.
    fn calm() -> Hotplug {
        Hotplug::Timer(now().unwrap().after(Duration::from_secs(3600)))
    }

    fn wait(keys: &mut OpenKeys, milliseconds: u64) -> KeyEvent {
        let until = now().unwrap().after(Duration::from_millis(milliseconds));
        keys.wait(&mut calm(), None, until).unwrap()
    }

    #[test]
    fn a_report_arrives_whole_and_is_sent_after_a_zero() {
        let (mut keys, ends) = keys(1);
        write(&ends[0], &[7; 64]).unwrap();
        assert_eq!(wait(&mut keys, 1000), KeyEvent::Report(KeyId(0), [7; 64]));
        keys.send(KeyId(0), &[9; 64]).unwrap();
        let mut sent = [1; 80];
        assert_eq!(read(&ends[0], &mut sent), Ok(65));
        assert_eq!((sent[0], &sent[1..65]), (0, [9; 64].as_slice()));
    }

    // D8.
    #[test]
    fn a_report_of_another_length_ends_the_use_of_the_key() {
        for length in [0, 1, 63, 65, 70] {
            let (mut keys, ends) = keys(1);
            write(&ends[0], &[7; 70][..length]).unwrap();
            assert_eq!(wait(&mut keys, 1000), KeyEvent::Gone(KeyId(0)), "{length}");
            assert!(!keys.contains(KeyId(0)));
            assert_eq!(keys.send(KeyId(0), &[0; 64]), Err(Gone));
        }
    }

    // D8, D12.
    #[test]
    fn a_removed_key_is_gone_after_its_last_report_and_the_others_stay() {
        let (mut keys, mut ends) = keys(2);
        write(&ends[0], &[1; 64]).unwrap();
        drop(ends.remove(0));
        assert_eq!(wait(&mut keys, 1000), KeyEvent::Report(KeyId(0), [1; 64]));
        assert_eq!(wait(&mut keys, 1000), KeyEvent::Gone(KeyId(0)));
        assert_eq!(keys.send(KeyId(0), &[0; 64]), Err(Gone));
        write(&ends[0], &[2; 64]).unwrap();
        assert_eq!(wait(&mut keys, 1000), KeyEvent::Report(KeyId(1), [2; 64]));
    }

    #[test]
    fn a_key_that_takes_no_report_is_closed() {
        let (mut keys, ends) = keys(1);
        drop(ends);
        assert_eq!(keys.send(KeyId(0), &[0; 64]), Err(Gone));
        assert!(!keys.contains(KeyId(0)));
        let (mut keys, _full) = self::keys(1);
        while keys.send(KeyId(0), &[0; 64]).is_ok() {}
        assert!(!keys.contains(KeyId(0)));
    }

    // D4, D15.
    #[test]
    fn a_flood_holds_up_neither_the_other_key_nor_the_watch() {
        let dev = crate::scratch::scratch("open-keys-flood");
        let (mut keys, ends) = keys(3);
        for end in [&ends[0], &ends[2]] {
            for _ in 0..20 {
                write(end, &[0; 64]).unwrap();
            }
        }
        write(&ends[1], &[1; 64]).unwrap();
        let mut hotplug = Hotplug::begin(&dev, now().unwrap());
        std::fs::write(dev.join("hidraw7"), "").unwrap();
        let until = now().unwrap().after(Duration::from_secs(5));
        let events: Vec<KeyEvent> =
            (0..5).map(|_| keys.wait(&mut hotplug, None, until).unwrap()).collect();
        let expected = [
            KeyEvent::Report(KeyId(0), [0; 64]),
            KeyEvent::Report(KeyId(1), [1; 64]),
            KeyEvent::Report(KeyId(2), [0; 64]),
            KeyEvent::Hotplug,
            KeyEvent::Report(KeyId(0), [0; 64]),
        ];
        assert_eq!(events, expected);
    }

    // D3, D4.
    #[test]
    fn a_flood_does_not_hold_up_the_deadline() {
        let (mut keys, ends) = keys(1);
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while start.elapsed() < Duration::from_millis(600) {
                    let _full = write(&ends[0], &[0; 64]);
                }
            });
            let until = now().unwrap().after(Duration::from_millis(200));
            while keys.wait(&mut calm(), None, until).unwrap() != KeyEvent::Elapsed {}
            assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        });
    }

    // Q1, Q2, Q3.
    #[test]
    fn a_signal_ends_the_wait_at_once_whatever_handlers_run_meanwhile() {
        handle_all();
        // SAFETY: it only answers the number of this thread.
        let waiting = unsafe { libc::pthread_self() };
        let (mut keys, _ends) = keys(1);
        let mut signals = Signals::begin().unwrap();
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // The program's handler runs for the first two, and ends the system call.
                for signal in [libc::SIGWINCH, libc::SIGWINCH, libc::SIGINT] {
                    std::thread::sleep(Duration::from_millis(50));
                    // SAFETY: the thread waits for this one to end before it ends itself.
                    unsafe { libc::pthread_kill(waiting, signal) };
                }
            });
            let until = now().unwrap().after(Duration::from_secs(5));
            let event = keys.wait(&mut calm(), Some(&mut signals), until).unwrap();
            assert_eq!(event, KeyEvent::Signal(Signal::Interrupt));
            let taken = start.elapsed().as_millis();
            assert!((150..400).contains(&taken), "{taken} ms");
        });
        assert_eq!(handled(), [nix::sys::signal::Signal::SIGWINCH; 2]);
        drop(signals);
        assert_eq!(handled(), [nix::sys::signal::Signal::SIGINT]);
    }

    // Q1, Q2.
    #[test]
    fn a_signal_is_told_again_and_holds_up_neither_reports_nor_the_processor() {
        handle_all();
        let (mut keys, ends) = keys(1);
        let mut signals = Signals::begin().unwrap();
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM).unwrap();
        write(&ends[0], &[1; 64]).unwrap();
        let until = now().unwrap().after(Duration::from_millis(300));
        let mut told = Vec::new();
        loop {
            let event = keys.wait(&mut calm(), Some(&mut signals), until).unwrap();
            if event == KeyEvent::Elapsed {
                break;
            }
            told.push(event);
        }
        let terminate = KeyEvent::Signal(Signal::Terminate);
        assert_eq!(told[..3], [terminate, KeyEvent::Report(KeyId(0), [1; 64]), terminate]);
        // Every 10 ms, or less often where the machine is busy.
        assert!((5..=32).contains(&told.len()), "{}", told.len());
        drop(signals);
        assert_eq!(handled(), [nix::sys::signal::Signal::SIGTERM]);
    }

    #[test]
    fn a_deadline_that_has_passed_is_answered_at_once() {
        let (mut keys, ends) = keys(1);
        write(&ends[0], &[0; 64]).unwrap();
        let past = Moment::new(Duration::ZERO);
        assert_eq!(keys.wait(&mut calm(), None, past), Ok(KeyEvent::Elapsed));
    }

    #[test]
    fn without_inotify_the_list_is_worth_a_look_every_half_second() {
        let (mut keys, _ends) = keys(1);
        let start = now().unwrap();
        let mut hotplug = Hotplug::begin(Path::new("/nonexistent"), start);
        let until = start.after(Duration::from_secs(5));
        for _ in 0..2 {
            assert_eq!(keys.wait(&mut hotplug, None, until), Ok(KeyEvent::Hotplug));
        }
        let taken = start.until(now().unwrap());
        assert!((1000..1400).contains(&taken.as_millis()), "{taken:?}");
    }

    // D24.
    #[test]
    fn signals_neither_end_a_wait_nor_lengthen_it() {
        extern "C" fn ignore(_: libc::c_int) {}
        let handler: extern "C" fn(libc::c_int) = ignore;
        // SAFETY: the handler does nothing, and no other test uses this signal.
        unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
        // SAFETY: it only answers the number of this thread.
        let waiting = unsafe { libc::pthread_self() };
        let (mut keys, ends) = keys(1);
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while start.elapsed() < Duration::from_millis(250) {
                    // SAFETY: the thread waits for this one to end before it ends itself.
                    unsafe { libc::pthread_kill(waiting, libc::SIGUSR1) };
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            assert_eq!(wait(&mut keys, 200), KeyEvent::Elapsed);
            let taken = start.elapsed().as_millis();
            assert!((200..400).contains(&taken), "{taken} ms");
            write(&ends[0], &[3; 64]).unwrap();
            assert_eq!(wait(&mut keys, 1000), KeyEvent::Report(KeyId(0), [3; 64]));
        });
    }
}
