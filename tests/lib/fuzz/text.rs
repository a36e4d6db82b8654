//! Texts from outside that are shown, logged or compared: names, the fields of the log line, PINs, base64url, dates.

use std::time::Duration;

use fidokey_core::credential::{AccountName, KeyName, RpId, is_unprintable};
use fidokey_core::login::aborted;
use fidokey_core::pin::{NoPin, PinHash};
use fidokey_core::ports::Origin;
use fidokey_core::{audit, base64url, date};

use super::Tape;
use crate::log::LogLine;

/// The first byte says what the others are taken for.
pub fn run(bytes: &[u8]) {
    let mut tape = Tape::new(bytes);
    match tape.byte() % 5 {
        0 => logged(&mut tape),
        1 => names(&String::from_utf8_lossy(&tape.rest())),
        2 => pin(&tape.rest()),
        3 => base64url(&tape.rest()),
        _ => dates(&tape.bytes(8)),
    }
}

/// Whatever a user, a terminal, a host or a service is called, the line keeps to its grammar and says all of them.
fn logged(tape: &mut Tape) {
    let mut name = || String::from_utf8_lossy(&tape.prefixed()).into_owned();
    let origin = Origin { service: name(), tty: name(), rhost: name(), ruser: name() };
    let line = aborted(&origin);
    let read = LogLine::parse(line.as_str()).unwrap();
    for (key, value) in [
        ("service", &origin.service),
        ("tty", &origin.tty),
        ("rhost", &origin.rhost),
        ("ruser", &origin.ruser),
    ] {
        // Where it is short there is room for all of it, escaped.
        if value.len() <= 24 {
            let (_, said) = read.fields().iter().find(|(name, _)| name == key).unwrap();
            assert_eq!(said, value.as_bytes(), "{key}");
        }
    }
    let mut line = audit::Line::default();
    (0..40).for_each(|_| {
        line.field("a", &origin.service).sentence("b", &origin.tty);
    });
    assert!(line.as_str().len() <= audit::LINE_MAX);
    assert!(!line.as_str().chars().any(is_unprintable));
}

fn names(text: &str) {
    if let Ok(name) = AccountName::new(text) {
        let odd = |c: char| is_unprintable(c) || c.is_whitespace() || matches!(c, '/' | ':');
        assert!(name.as_str() == text && (1..=256).contains(&text.len()) && !text.contains(odd));
        assert!(!text.starts_with(['-', '.']));
    }
    if let Ok(name) = KeyName::new(text) {
        let odd = |c: char| is_unprintable(c) || matches!(c, '"' | '\\');
        assert!(name.as_str() == text && (1..=32).contains(&text.chars().count()));
        assert!(!text.contains(odd) && text.trim() == text);
    }
    if let Ok(id) = RpId::new(text) {
        assert!(id.as_str() == text && text.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!((1..=255).contains(&text.len()));
    }
}

/// What is no PIN is never sent, whatever was typed.
fn pin(typed: &[u8]) {
    match PinHash::of(typed) {
        Ok(hash) => {
            let text = std::str::from_utf8(typed).unwrap();
            assert!(text.chars().count() >= 4 && typed.len() <= 3 * 63);
            assert!(!text.is_ascii() || text.len() <= 63);
            assert_eq!(format!("{hash:?}"), "PinHash(..)");
        }
        Err(NoPin::Declined) => assert!(typed.is_empty()),
        Err(NoPin::Unfit) => {
            assert!(!typed.is_ascii() || !(4..=63).contains(&typed.len()));
        }
    }
}

/// One text for every value, one value for every text.
fn base64url(bytes: &[u8]) {
    let text = base64url::encode(bytes);
    assert_eq!(base64url::decode(&text).as_deref(), Some(bytes));
    let text = String::from_utf8_lossy(bytes);
    if let Some(value) = base64url::decode(&text) {
        assert_eq!(base64url::encode(&value), text);
    }
}

fn dates(bytes: &[u8]) {
    let mut number = [0; 8];
    number[8 - bytes.len()..].copy_from_slice(bytes);
    let seconds = u64::from_be_bytes(number);
    let shown = date::rfc3339(Duration::from_secs(seconds));
    // Until the end of the year 9999, as RFC 3339 has it.
    assert_eq!(shown.len() == 20, seconds < 253_402_300_800, "{shown}");
    assert!(shown.ends_with('Z') && shown.is_ascii());
}
