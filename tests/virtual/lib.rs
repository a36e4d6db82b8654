//! `libfidokey_virtual.so`: the shipped module's code, with three things of its own: the key is a socket,
//! the files are beneath a directory of the test, and any call of a port can be made to panic.
//!
//! Its own arguments begin with `virtual:` and are taken away before the login sees the others:
//! `virtual:root=DIR`, `virtual:key=FD` (no key where absent), `virtual:lock=FILE` (held while the key is open),
//! `virtual:panic=N`.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::ffi::CStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use fidokey_core::credential::{AccountName, Uid};
use fidokey_core::ports::{
    Account, ConversationError, Fault, FileError, Gone, Heard, Hedge, Host, KeyEvent, KeyId, Keys,
    Machine, Moment, OpenError, Origin, Report, Severity, Signal, TextFile, UserError,
};
use fidokey_core::verdict::Answer;
use fidokey_system::allocator::Silent;
use fidokey_system::entry::log_abort;
use fidokey_system::files::Places;
use fidokey_system::machine::System;
use fidokey_system::pam::{PamHandle, PamHost};
use fidokey_system::signals::Signals;
use fidokey_tests::socket_keys::SocketKeys;

fidokey_system::export!(authenticate, log_abort);

#[global_allocator]
static ALLOCATOR: Silent = Silent;

fn authenticate(handle: &mut PamHandle, arguments: &[&CStr]) -> Answer {
    let (own, arguments): (Vec<&[u8]>, Vec<&[u8]>) = arguments
        .iter()
        .map(|argument| argument.to_bytes())
        .partition(|argument| argument.starts_with(b"virtual:"));
    let value = |key: &str| {
        own.iter().find_map(|argument| {
            std::str::from_utf8(argument).ok()?.strip_prefix("virtual:")?.strip_prefix(key)
        })
    };
    let root = PathBuf::from(value("root=").unwrap_or("/nonexistent"));
    let owner = std::fs::metadata(&root).map_or(0, |metadata| metadata.uid());
    let key = value("key=").and_then(|fd| fd.parse().ok());
    let counter = Cell::new(0);
    let calls = Calls {
        counter: &counter,
        panic_at: value("panic=").and_then(|number| number.parse().ok()),
    };
    let mut machine = FailPoints(System::new(Places { root, owner, ..Places::system() }), calls);
    let mut host = FailPoints(PamHost::new(handle), calls);
    let keys = SocketKeys::new(key.as_slice()).locked_by(value("lock=").map(PathBuf::from));
    let keys = Interruptible { keys, signals: None, told_until: Moment::new(Duration::ZERO) };
    let mut keys = FailPoints(keys, calls);
    fidokey_core::login::login(&mut machine, &mut host, &mut keys, &arguments)
}

/// The calls of all ports, and the one that panics.
#[derive(Clone, Copy)]
struct Calls<'c> {
    counter: &'c Cell<u64>,
    panic_at: Option<u64>,
}

/// A port each of whose calls may panic.
struct FailPoints<'c, P>(P, Calls<'c>);

impl<P> FailPoints<'_, P> {
    fn call(&mut self) -> &mut P {
        let calls = &self.1;
        calls.counter.set(calls.counter.get() + 1);
        assert!(calls.panic_at != Some(calls.counter.get()), "a panic on purpose");
        &mut self.0
    }
}

impl<M: Machine> Machine for FailPoints<'_, M> {
    fn fill_random(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        self.call().fill_random(buffer)
    }
    fn hedge(&mut self) -> Result<Hedge, Fault> {
        self.call().hedge()
    }
    fn account(&mut self, name: &AccountName) -> Result<Option<Account>, Fault> {
        self.call().account(name)
    }
    fn config(&mut self) -> Result<Option<TextFile>, FileError> {
        self.call().config()
    }
    fn record(&mut self, uid: Uid) -> Result<Option<TextFile>, FileError> {
        self.call().record(uid)
    }
    fn state(&mut self, uid: Uid) -> Result<Option<TextFile>, FileError> {
        self.call().state(uid)
    }
    fn look_at_state(&mut self, uid: Uid) -> Result<Option<TextFile>, FileError> {
        self.call().look_at_state(uid)
    }
    fn write_state(&mut self, text: &str) -> Result<(), FileError> {
        self.call().write_state(text)
    }
    fn release_state(&mut self) {
        self.call().release_state();
    }
    fn since_1970(&mut self) -> Option<Duration> {
        self.call().since_1970()
    }
}

impl<H: Host> Host for FailPoints<'_, H> {
    fn origin(&mut self) -> Origin {
        self.call().origin()
    }
    fn user(&mut self) -> Result<String, UserError> {
        self.call().user()
    }
    fn still_means(&mut self, user: &str) -> bool {
        self.call().still_means(user)
    }
    fn show(&mut self, text: &str) -> Result<(), ConversationError> {
        self.call().show(text)
    }
    fn ask(&mut self, prompt: &str, read: &mut dyn FnMut(&[u8])) -> Result<(), ConversationError> {
        self.call().ask(prompt, read)
    }
    fn asks_for_names(&mut self) -> bool {
        self.call().asks_for_names()
    }
    fn recall(&mut self, name: &str) -> Option<String> {
        self.call().recall(name)
    }
    fn keep(&mut self, name: &str, text: &str) {
        self.call().keep(name, text);
    }
    fn delay_failure(&mut self) {
        self.call().delay_failure();
    }
    fn log(&mut self, severity: Severity, line: &str) {
        self.call().log(severity, line);
    }
}

impl<K: Keys> Keys for FailPoints<'_, K> {
    fn now(&mut self) -> Result<Moment, Fault> {
        self.call().now()
    }
    fn plugged(&mut self) -> Result<Vec<KeyId>, Fault> {
        self.call().plugged()
    }
    fn open(&mut self, key: KeyId) -> Result<(), OpenError> {
        self.call().open(key)
    }
    fn send(&mut self, key: KeyId, report: &Report) -> Result<(), Gone> {
        self.call().send(key, report)
    }
    fn wait(&mut self, until: Moment) -> Result<KeyEvent, Fault> {
        self.call().wait(until)
    }
    fn release(&mut self, key: KeyId) {
        self.call().release(key);
    }
    fn retake(&mut self, key: KeyId) -> Result<Heard, OpenError> {
        self.call().retake(key)
    }
    fn close(&mut self, key: KeyId) {
        self.call().close(key);
    }
    fn pending_signal(&mut self) -> Option<Signal> {
        self.call().pending_signal()
    }
    fn take_interrupt(&mut self) {
        self.call().take_interrupt();
    }
}

/// The keys with the signals of the shipped module.
struct Interruptible {
    keys: SocketKeys,
    signals: Option<Signals>,
    told_until: Moment,
}

impl Keys for Interruptible {
    fn now(&mut self) -> Result<Moment, Fault> {
        self.keys.now()
    }
    fn plugged(&mut self) -> Result<Vec<KeyId>, Fault> {
        self.signals = self.signals.take().or_else(Signals::begin);
        self.keys.plugged()
    }
    fn open(&mut self, key: KeyId) -> Result<(), OpenError> {
        self.keys.open(key)
    }
    fn send(&mut self, key: KeyId, report: &Report) -> Result<(), Gone> {
        self.keys.send(key, report)
    }
    fn wait(&mut self, until: Moment) -> Result<KeyEvent, Fault> {
        loop {
            let now = self.keys.now()?;
            let sources = self.signals.as_ref().map(|signals| signals.sources().map(|(_, fd)| fd));
            let others = match &sources {
                Some(sources) if now >= self.told_until => sources.as_slice(),
                _ => &[],
            };
            let until_told = if others.is_empty() { self.told_until.max(now) } else { until };
            let end = if sources.is_none() { until } else { until.min(until_told) };
            match self.keys.wait_beside(others, end)? {
                Some(KeyEvent::Elapsed) if end < until => {}
                Some(event) => return Ok(event),
                None => {
                    if let Some(signal) = self.pending_signal() {
                        self.told_until = self.keys.now()?.after(Duration::from_millis(10));
                        return Ok(KeyEvent::Signal(signal));
                    }
                }
            }
        }
    }
    fn release(&mut self, key: KeyId) {
        self.keys.release(key);
        self.signals = None;
    }
    fn retake(&mut self, key: KeyId) -> Result<Heard, OpenError> {
        self.signals = self.signals.take().or_else(Signals::begin);
        self.keys.retake(key)
    }
    fn close(&mut self, key: KeyId) {
        self.keys.close(key);
    }
    fn pending_signal(&mut self) -> Option<Signal> {
        self.signals.as_ref().and_then(Signals::pending)
    }
    fn take_interrupt(&mut self) {
        if let Some(signals) = &self.signals {
            signals.take_interrupt();
        }
    }
}
