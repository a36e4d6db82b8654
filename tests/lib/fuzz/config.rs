//! The policy file and the module's arguments: settings within their limits, the same each time; what is unknown or said
//! twice is an error.

use std::time::Duration;

use fidokey_core::config::keys::KEYS;
use fidokey_core::config::{ConfigError, ConfigFile, Settings};
use fidokey_core::credential::{Verification, is_unprintable};
use fidokey_core::policy::Mode;

use super::told;

/// Between zeros: the text of the file, then the arguments. A text of nothing is a file that is not there.
pub fn run(bytes: &[u8]) {
    let mut parts = bytes.split(|byte| *byte == 0);
    let text = parts.next().filter(|text| !text.is_empty());
    let arguments: Vec<&[u8]> = parts.collect();
    for service in ["sudo", "login"] {
        let settings = Settings::for_service(text, service, &arguments);
        assert_eq!(Settings::for_service(text, service, &arguments), settings);
        match &settings {
            Ok(settings) => within_limits(settings),
            Err(error) => refused(error, text.unwrap_or_default(), &arguments),
        }
        if settings.is_ok() {
            known(text, service, &arguments);
        }
    }
    if let Some(text) = text {
        match ConfigFile::parse(text) {
            Ok(file) => assert!((1..=7).contains(&file.pin_guard())),
            Err(misfit) => told::check(&misfit, text),
        }
    }
}

fn within_limits(settings: &Settings) {
    let Settings { wait_for_key, touch, pin_guard, .. } = settings;
    assert!(*wait_for_key <= Duration::from_secs(120));
    assert!((Duration::from_secs(1)..=Duration::from_secs(120)).contains(touch));
    assert!((1..=7).contains(pin_guard));
}

/// Nothing of what was accepted is unknown, and nothing more would be.
fn known(text: Option<&[u8]>, service: &str, arguments: &[&[u8]]) {
    for (index, argument) in arguments.iter().enumerate() {
        let key = key_of(argument);
        assert!(KEYS.iter().any(|known| known.name.as_bytes() == key), "{argument:?}");
        assert!(!arguments[..index].iter().any(|other| key_of(other) == key));
        let twice = [arguments, &[*argument]].concat();
        assert!(Settings::for_service(text, service, &twice).is_err());
    }
    let more = [arguments, &[b"unknown=1"]].concat();
    assert!(Settings::for_service(text, service, &more).is_err());
    if let Some(text) = text {
        let unknown = [b"unknown = 1\n", text].concat();
        assert!(Settings::for_service(Some(&unknown), service, arguments).is_err());
        let unknown = [text, b"\n[service.zzz]\nunknown = 1\n"].concat();
        assert!(Settings::for_service(Some(&unknown), service, arguments).is_err());
    }
    // A touch alone in the place of a password has to be wanted for that very service.
    let settings = Settings::for_service(text, service, arguments).unwrap();
    if settings.mode == Mode::Alternative && settings.rules.verification == Verification::None {
        // As it is, or in a text that can say it otherwise.
        let said = |bytes: &[u8]| {
            bytes.contains(&b'\\')
                || bytes.windows(22).any(|part| part == b"touch_only_alternative")
        };
        assert!(text.is_some_and(said) || arguments.iter().any(|argument| said(argument)));
    }
}

fn key_of(argument: &[u8]) -> Vec<u8> {
    argument.split(|byte| *byte == b'=').next().unwrap().to_vec()
}

fn refused(error: &ConfigError, text: &[u8], arguments: &[&[u8]]) {
    let said = error.to_string();
    assert!(!said.chars().any(is_unprintable) && said.chars().count() <= 256, "{said:?}");
    match error {
        ConfigError::Argument { number, .. } => assert!((1..=arguments.len()).contains(number)),
        ConfigError::File(misfit) => told::check(misfit, text),
        ConfigError::Incomplete { .. } => {}
    }
}
