//! The keys as several conversations at once share them: who waits for what until when, and to whom an event belongs.
//!
//! A conversation is an `async` function that awaits `Bus::next` and nothing else, so the compiler makes of it what
//! one would write by hand: a state machine over reports and moments. [`Bus::wait`] is the one place that waits.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use super::channel::{Incoming, Link};
use crate::ports::{
    Device, Fault, Gone, Heard, KeyEvent, KeyId, Keys, Moment, OpenError, Report, Signal,
};
use crate::race::Race;

/// Silence that ends draining, and the longest that draining takes.
pub(super) const DRAIN_SILENCE: Duration = Duration::from_millis(200);
pub(super) const DRAIN_MAX: Duration = Duration::from_secs(1);
/// Whoever sees this much too late that a wait is over was not listening when it was.
const LATE: Duration = Duration::from_millis(100);
/// How often that may be so of one wait: by then the whole machine is too slow.
const LATE_MAX: u32 = 4;
/// How long it then listens once more. What a key sent meanwhile is there at once; one that was held up itself, as where a
/// virtual machine stood still, says within 100 ms that it is alive.
const CATCH_UP: Duration = Duration::from_millis(500);

/// The keys, shared.
#[derive(Debug)]
pub struct Bus<'k, K: Keys> {
    keys: RefCell<&'k mut K>,
    lines: RefCell<BTreeMap<KeyId, Line>>,
    /// The keys that were there when they were first listed.
    first: RefCell<Option<Vec<KeyId>>>,
}

/// What is known of a key that somebody talks to, or that is being left.
#[derive(Debug, Default)]
struct Line {
    /// What happened to it and was not looked at yet.
    input: Option<Input>,
    /// When its conversation wants to go on, whatever happens.
    wake: Option<Moment>,
    /// The wait that was over while nobody listened.
    late: Option<Late>,
    /// A conversation that ended in the middle of a request.
    leaving: Option<Leaving>,
}

/// A wait that goes on because nobody listened when it was over.
#[derive(Clone, Copy, Debug)]
struct Late {
    of: Moment,
    end: Moment,
    /// How often that was so.
    times: u32,
}

impl Line {
    /// When a wait `until` then ends: then, or a little later where nobody listened at that time. The process may have been
    /// stopped (Ctrl-Z), or another key not have taken what it was sent, for which the kernel gives it 5 seconds.
    fn end_of_wait(&mut self, until: Moment, now: Moment) -> Moment {
        // Also what is over while it goes on for another one.
        let late = self.late.filter(|late| late.of == until || now < late.end);
        let end = late.map_or(until, |late| late.end.max(until));
        let times = late.filter(|late| late.of == until).map_or(0, |late| late.times);
        if now < end.after(LATE) || times >= LATE_MAX {
            return end;
        }
        let end = now.after(CATCH_UP);
        self.late = Some(Late { of: until, end, times: times.saturating_add(1) });
        end
    }
}

/// The rest of a request that was cancelled: it is read until its final frame, so that the next program finds the key
/// idle.
#[derive(Debug)]
struct Leaving {
    link: Link,
    quiet: Moment,
    end: Moment,
}

/// What happens to a key, for the conversation with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Input {
    /// The moment that was waited for has come.
    Elapsed,
    /// It was removed.
    Gone,
    /// It sent a report.
    Report(Report),
}

/// What happened to the keys as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Happened {
    /// Something that a conversation waits for, or the moment that was waited for.
    Progress,
    /// Something was plugged in or out.
    Hotplug,
    /// Somebody wants the wait to end; see [`KeyEvent::Signal`].
    Signal(Signal),
}

impl<'k, K: Keys> Bus<'k, K> {
    /// The keys, for conversations with them.
    pub fn new(keys: &'k mut K) -> Self {
        Self { keys: RefCell::new(keys), lines: RefCell::default(), first: RefCell::default() }
    }

    /// The clock.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be read.
    pub fn now(&self) -> Result<Moment, Fault> {
        self.with_keys(|keys| keys.now())?
    }

    /// See [`Keys::plugged`].
    ///
    /// # Errors
    /// As there.
    pub fn plugged(&self) -> Result<Vec<KeyId>, Fault> {
        let plugged = self.with_keys(|keys| keys.plugged())??;
        if let Ok(mut first) = self.first.try_borrow_mut() {
            first.get_or_insert_with(|| plugged.clone());
        }
        Ok(plugged)
    }

    /// Whether `key` was plugged in since the keys were first listed.
    pub(super) fn is_new(&self, key: KeyId) -> bool {
        let first = self.first.try_borrow();
        first.is_ok_and(|first| first.as_ref().is_some_and(|first| !first.contains(&key)))
    }

    /// See [`Keys::are_visible`].
    ///
    /// # Errors
    /// [`Fault`] never comes of it.
    pub fn are_visible(&self) -> Result<bool, Fault> {
        self.with_keys(|keys| keys.are_visible())
    }

    /// See [`Keys::device`].
    ///
    /// # Errors
    /// [`Fault`] never comes of it.
    pub fn device(&self, key: KeyId) -> Result<Device, Fault> {
        self.with_keys(|keys| keys.device(key))
    }

    /// Has one conversation, with `key` and nobody else.
    ///
    /// # Errors
    /// [`Fault`] when waiting fails.
    pub fn alone<T>(&self, key: KeyId, talk: impl Future<Output = T>) -> Result<T, Fault> {
        let mut race = Race::default();
        self.begin(key)?;
        race.enter(key, talk);
        loop {
            if let Some((_, outcome)) = race.step(self)? {
                return Ok(outcome);
            }
            let until = self.now()?.after(DRAIN_MAX);
            self.wait(until)?;
        }
    }

    /// Waits for the next event, `until` at the latest, or until a conversation wants to go on, and notes it for the
    /// conversation that it belongs to.
    ///
    /// # Errors
    /// [`Fault`] when waiting itself fails.
    pub fn wait(&self, until: Moment) -> Result<Happened, Fault> {
        let until = self.with_lines(|lines| {
            let leaving = lines.values().filter_map(|line| line.leaving.as_ref());
            let ends = leaving.map(|leaving| leaving.quiet.min(leaving.end));
            let wakes = lines.values().filter_map(|line| line.wake);
            ends.chain(wakes).fold(until, Moment::min)
        })?;
        let event = self.with_keys(|keys| keys.wait(until))??;
        match event {
            KeyEvent::Elapsed => self.end_leaving()?,
            KeyEvent::Hotplug => return Ok(Happened::Hotplug),
            KeyEvent::Signal(signal) => return Ok(Happened::Signal(signal)),
            KeyEvent::Gone(key) => self.note(key, Input::Gone)?,
            KeyEvent::Report(key, report) => self.note(key, Input::Report(report))?,
        }
        Ok(Happened::Progress)
    }

    /// Waits until no key is being left any more, a second at the most. Nobody has a conversation any more. What fails
    /// here is left as it is.
    pub fn settle(&self) {
        // A conversation that was given up before its key was open has left word of when it would go on.
        let _ = self.with_lines(|lines| lines.retain(|_, line| line.leaving.is_some()));
        self.see_off();
    }

    /// Waits until no key is being left any more, a second at the most, while others are still talked to.
    pub(crate) fn see_off(&self) {
        let busy =
            |lines: &mut BTreeMap<KeyId, Line>| lines.values().any(|line| line.leaving.is_some());
        while self.with_lines(busy) == Ok(true) {
            let Ok(until) = self.now().map(|now| now.after(DRAIN_MAX)) else { break };
            if self.wait(until).is_err() || self.end_leaving().is_err() {
                break;
            }
        }
    }

    /// Begins to note what happens to `key`.
    pub(crate) fn begin(&self, key: KeyId) -> Result<(), Fault> {
        self.with_lines(|lines| {
            lines.entry(key).or_default();
        })
    }

    /// Nobody talks to `key` any more, unless it is being left.
    pub(crate) fn end(&self, key: KeyId) -> Result<(), Fault> {
        self.with_lines(|lines| {
            if lines.get(&key).is_some_and(|line| line.leaving.is_none()) {
                lines.remove(&key);
            }
        })
    }

    /// Before every conversation has said anew until when it waits.
    pub(crate) fn forget_wakes(&self) -> Result<(), Fault> {
        self.with_lines(|lines| lines.values_mut().for_each(|line| line.wake = None))
    }

    /// Lets whoever waits for the events have a turn before the conversation with `key` goes on.
    pub(crate) async fn turn(&self, key: KeyId) -> Result<(), Fault> {
        let mut turned = false;
        poll_fn(|_| {
            if std::mem::replace(&mut turned, true) {
                return Poll::Ready(Ok(()));
            }
            match self.now().and_then(|now| self.wake(key, now)) {
                Ok(()) => Poll::Pending,
                Err(fault) => Poll::Ready(Err(fault)),
            }
        })
        .await
    }

    fn wake(&self, key: KeyId, at: Moment) -> Result<(), Fault> {
        self.with_lines(|lines| lines.entry(key).or_default().wake = Some(at))
    }

    /// What happens next to `key`, `until` at the latest.
    pub(super) async fn next(&self, key: KeyId, until: Moment) -> Result<Input, Fault> {
        let end = |_| Ok(until);
        poll_fn(|_| self.ready(key, end)).await
    }

    /// What happens next to `key`, which owes something: `until` at the latest, or a little later where nobody listened then.
    pub(super) async fn next_owed(&self, key: KeyId, until: Moment) -> Result<Input, Fault> {
        let end =
            |now| self.with_lines(|lines| lines.entry(key).or_default().end_of_wait(until, now));
        poll_fn(|_| self.ready(key, end)).await
    }

    fn ready(
        &self,
        key: KeyId,
        end: impl Fn(Moment) -> Result<Moment, Fault>,
    ) -> Poll<Result<Input, Fault>> {
        match self.poll(key, end) {
            Ok(None) => Poll::Pending,
            Ok(Some(input)) => Poll::Ready(Ok(input)),
            Err(fault) => Poll::Ready(Err(fault)),
        }
    }

    /// The same as [`Self::next`], or `None` as soon as `ready` says so.
    pub(super) async fn next_unless(
        &self,
        key: KeyId,
        ready: &impl Fn() -> bool,
        until: Moment,
    ) -> Result<Option<Input>, Fault> {
        poll_fn(|_| {
            if ready() {
                return Poll::Ready(Ok(None));
            }
            match self.poll(key, |_| Ok(until)) {
                Ok(None) => Poll::Pending,
                Ok(input) => Poll::Ready(Ok(input)),
                Err(fault) => Poll::Ready(Err(fault)),
            }
        })
        .await
    }

    fn poll(
        &self,
        key: KeyId,
        end: impl Fn(Moment) -> Result<Moment, Fault>,
    ) -> Result<Option<Input>, Fault> {
        let input = self.with_lines(|lines| lines.get_mut(&key).and_then(|line| line.input.take()));
        if let Some(input) = input? {
            return Ok(Some(input));
        }
        let now = self.now()?;
        let end = end(now)?;
        if now >= end {
            return Ok(Some(Input::Elapsed));
        }
        self.wake(key, end)?;
        Ok(None)
    }

    /// See [`Keys::open`].
    pub(super) fn open(&self, key: KeyId) -> Result<Result<(), OpenError>, Fault> {
        self.with_keys(|keys| keys.open(key))
    }

    /// See [`Keys::release`].
    pub(super) fn release(&self, key: KeyId) -> Result<(), Fault> {
        self.with_keys(|keys| keys.release(key))
    }

    /// See [`Keys::retake`].
    pub(super) fn retake(&self, key: KeyId) -> Result<Result<Heard, OpenError>, Fault> {
        self.with_keys(|keys| keys.retake(key))
    }

    /// See [`Keys::send`].
    pub(super) fn send(&self, key: KeyId, report: &Report) -> Result<Result<(), Gone>, Fault> {
        self.with_keys(|keys| keys.send(key, report))
    }

    /// Ends the conversation with `key` on `link`. A request that is under way (`owed`) is cancelled at once, and the
    /// key closed when its last frames are through; else it is closed at once.
    pub(super) fn leave(&self, key: KeyId, mut link: Link, owed: bool) {
        if owed {
            // One report: it is sent even where the clock fails.
            let cancel = link.cancel();
            let sent = cancel.iter().all(|report| self.send(key, report) == Ok(Ok(())));
            if let (true, Ok(now)) = (sent, self.now()) {
                let (quiet, end) = (now.after(DRAIN_SILENCE), now.after(DRAIN_MAX));
                let leaving = Leaving { link, quiet, end };
                let noted = self.with_lines(|lines| {
                    lines.insert(key, Line { leaving: Some(leaving), ..Line::default() });
                });
                if noted.is_ok() {
                    return;
                }
            }
        }
        self.close(key);
    }

    fn close(&self, key: KeyId) {
        let _ = self.with_lines(|lines| lines.remove(&key));
        let _ = self.with_keys(|keys| keys.close(key));
    }

    /// Gives `input` to the conversation with `key`, or to the rest of the one that is being left.
    fn note(&self, key: KeyId, input: Input) -> Result<(), Fault> {
        let now = self.now()?;
        let left = self.with_lines(|lines| {
            let line = lines.get_mut(&key)?;
            let Some(leaving) = &mut line.leaving else {
                line.input = Some(input);
                return None;
            };
            let through = match input {
                Input::Report(report) => leaving.link.receive(&report) == Incoming::Drained,
                Input::Elapsed | Input::Gone => true,
            };
            leaving.quiet = now.after(DRAIN_SILENCE);
            Some(through || leaving.end <= now)
        })?;
        if left == Some(true) {
            self.close(key);
        }
        Ok(())
    }

    /// Closes the keys that have been silent for long enough, or have had their time.
    fn end_leaving(&self) -> Result<(), Fault> {
        let now = self.now()?;
        let over = |line: &Line| {
            line.leaving.as_ref().is_some_and(|leaving| leaving.quiet.min(leaving.end) <= now)
        };
        let done: Vec<KeyId> = self.with_lines(|lines| {
            lines.iter().filter(|(_, line)| over(line)).map(|(key, _)| *key).collect()
        })?;
        done.into_iter().for_each(|key| self.close(key));
        Ok(())
    }

    // Neither of the two is ever borrowed twice: nothing that is called here calls back. Were it otherwise, it would
    // be an error and not a panic.

    fn with_keys<T>(&self, work: impl FnOnce(&mut K) -> T) -> Result<T, Fault> {
        match self.keys.try_borrow_mut() {
            Ok(mut keys) => Ok(work(&mut keys)),
            Err(_) => Err(Fault { call: "keys", errno: 0 }),
        }
    }

    fn with_lines<T>(
        &self,
        work: impl FnOnce(&mut BTreeMap<KeyId, Line>) -> T,
    ) -> Result<T, Fault> {
        match self.lines.try_borrow_mut() {
            Ok(mut lines) => Ok(work(&mut lines)),
            Err(_) => Err(Fault { call: "lines", errno: 0 }),
        }
    }
}

impl<K: Keys> Drop for Bus<'_, K> {
    /// On whichever way out, a panic included: no key is left in the middle of a request or open.
    fn drop(&mut self) {
        self.settle();
        let open: Vec<KeyId> = self.lines.get_mut().keys().copied().collect();
        open.into_iter().for_each(|key| self.close(key));
    }
}
