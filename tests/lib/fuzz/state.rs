//! The state of an account: what is read is the same when it was written and read again, also after one more login
//! and one more change; what is told of it is one short line.

use fidokey_core::credential::{AccountName, is_unprintable};
use fidokey_core::notice::{Change, Changed};
use fidokey_core::state::{State, Use};

use super::assertion::secrets;
use super::record::TEXT_MAX;
use super::told;

/// `bytes` are the text of a state.
pub fn run(bytes: &[u8]) {
    let mut state = match State::parse(bytes) {
        Ok(state) => state,
        Err(misfit) => return told::check(&misfit, bytes),
    };
    assert!(bytes.len() <= TEXT_MAX);
    assert!(State::parse(&[b"unknown = 1\n", bytes].concat()).is_err());
    same_again(&state);
    let record = secrets().map(|secret| secret.credential());
    let [used, other] = &record;
    let alarms = [0, 9, u32::MAX].map(|counter| state.went_back(used, counter));
    // What is no progress for a great number is none for a smaller one.
    assert!(alarms.is_sorted_by(|small, great| small >= great), "{alarms:?}");
    let before = state.went_back(other, 9);
    let service = String::from_utf8_lossy(bytes);
    let this = Use { counter: 9, when: Some("2026-11-23T10:00:42Z"), service: &service };
    state.note(&record, used, &this);
    same_again(&state);
    assert!(
        state.went_back(used, 9)
            && !AccountName::new("bob").is_ok_and(|bob| state.belongs_to(&bob)
                && !contains(bytes, b"bob")
                && !bytes.contains(&b'\\'))
    );
    assert_eq!(state.went_back(other, 9), before);
    tells_a_line(&state);
    let change = Change { what: Changed::Renamed, key: &service, when: &service, by: &service };
    state.announce(&change);
    same_again(&state);
    assert_eq!(state.went_back(other, 9), before);
    tells_a_line(&state);
    let notice = state.take_notice().unwrap();
    same_again(&state);
    state.announce(&change);
    state.put_back(notice);
    same_again(&state);
}

fn tells_a_line(state: &State) {
    if let Some(notice) = state.clone().take_notice() {
        let text = notice.text();
        assert!(text.chars().count() <= 200 && !text.chars().any(is_unprintable), "{text:?}");
        assert!(!text.to_lowercase().contains("password"), "{text:?}");
    }
}

fn same_again(state: &State) {
    let text = state.to_toml();
    if text.len() <= TEXT_MAX {
        assert_eq!(State::parse(text.as_bytes()).as_ref(), Ok(state), "{text}");
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
