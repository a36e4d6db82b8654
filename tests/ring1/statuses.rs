//! Every status byte, every CTAPHID error and every status word in answer to every command.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use fidokey_core::credential::{Algorithm, Credential};
use fidokey_core::ctap::client::KeyError;
use fidokey_core::ctap::session::CallError;
use fidokey_core::enroll::EnrollError;
use fidokey_core::ports::KeyId;
use fidokey_tests::log::LogLine;
use fidokey_tests::sim::device::{Message, Script};
use fidokey_tests::sim::softkey::{Behaviour, Instead, Secret, soft_key};
use fidokey_tests::sim::u2f_key::{U2fBehaviour, u2f_key};
use fidokey_tests::sim::world::{enroll_for_alice, login_of_alice};
use fidokey_tests::sim::{SimKeys, Step};

/// What is asked, and answered with an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asked {
    GetInfo,
    Silently,
    Assertion,
    Credential,
}

fn is(asked: Asked, message: &Message) -> bool {
    let silent = message.payload.ends_with(b"\x62up\xf4");
    message.command == 0x10
        && match asked {
            Asked::GetInfo => message.payload[0] == 4,
            Asked::Silently => message.payload[0] == 2 && silent,
            Asked::Assertion => message.payload[0] == 2 && !silent,
            Asked::Credential => message.payload[0] == 1,
        }
}

/// Answers `asked` with this message, and notes that it did.
fn answering(asked: Asked, command: u8, payload: [u8; 1], said: &Rc<RefCell<u32>>) -> Instead {
    let said = Rc::clone(said);
    Rc::new(move |message, outbox| {
        if is(asked, message) {
            *said.borrow_mut() += 1;
            outbox.message(Duration::ZERO, message.channel, command, &payload);
        }
        is(asked, message)
    })
}

fn closed_in_time(keys: &SimKeys) {
    assert_eq!(keys.trace.last(), Some(&Step::Close(KeyId(0))), "left open");
    assert!(keys.elapsed() <= Duration::from_secs(46), "{:?}", keys.elapsed());
}

/// The reason of a denied login: its code is 7 as for a second factor, never 0 or 25.
fn denied(key: Script, credentials: &[Credential]) -> String {
    let mut keys = SimKeys::with(key);
    let (code, host) = login_of_alice(credentials, &mut keys);
    closed_in_time(&keys);
    assert_eq!(code, 7);
    let line = LogLine::parse(&host.logged[0].1).unwrap();
    let reason = line.get("reason").unwrap();
    match line.get("detail") {
        Some(detail) => format!("{reason}: {detail}"),
        None => reason.to_owned(),
    }
}

/// A key that failed, and how.
fn failed(how: &str) -> String {
    format!("key_failed: the key {how}")
}

/// The same where it answered something that is no answer.
fn odd() -> String {
    failed("did not answer as its protocol says")
}

/// A login in which `asked` comes up: with more credentials than a list takes unasked, the key is asked what it
/// takes, then silently, then for the touch.
fn login_with(asked: Asked, command: u8, byte: u8) -> String {
    let secrets: Vec<Secret> = (1..=9).map(|number| Secret::new(number, 64)).collect();
    let credentials: Vec<_> = secrets.iter().map(Secret::credential).collect();
    let said = Rc::new(RefCell::new(0));
    let instead = answering(asked, command, [byte], &said);
    let key = soft_key(&secrets[8..], Behaviour { instead, ..Behaviour::default() }).0;
    let reason = denied(key, &credentials);
    assert!(*said.borrow() > 0);
    reason
}

fn enroll_with(asked: Asked, command: u8, byte: u8) -> EnrollError {
    let said = Rc::new(RefCell::new(0));
    let instead = answering(asked, command, [byte], &said);
    let mut keys = SimKeys::with(soft_key(&[], Behaviour { instead, ..Behaviour::default() }).0);
    let (result, _) = enroll_for_alice(&[], &[Algorithm::Es256], &mut keys);
    closed_in_time(&keys);
    assert!(*said.borrow() > 0);
    result.unwrap_err()
}

/// BAR D10: 256 status bytes to each command of a login.
#[test]
fn given_any_status_byte_in_a_login_then_denied_for_a_listed_reason() {
    let listed: BTreeMap<u8, &str> = [
        (0x22, "not_registered"),
        (0x2e, "not_registered"),
        (0x27, "declined"),
        (0x2f, "touch_timeout"),
        (0x32, "pin_blocked"),
        (0x34, "pin_replug"),
        (0x35, "verification_unavailable"),
        // The key is then asked what it has for that, and has nothing.
        (0x36, "verification_unavailable"),
    ]
    .into_iter()
    .collect();
    for asked in [Asked::GetInfo, Asked::Silently, Asked::Assertion] {
        for status in 0..=255 {
            let reason = login_with(asked, 0x10, status);
            let expected = match (asked, status) {
                // Success without anything that it would have to say.
                (Asked::Assertion, 0) => "malformed".to_owned(),
                (_, 0) => odd(),
                _ => listed.get(&status).map_or_else(
                    || failed(&format!("refused with CTAP status 0x{status:02x}")),
                    |&word| word.to_owned(),
                ),
            };
            assert_eq!(reason, expected, "{status:02x} to {asked:?}");
        }
    }
}

/// BAR D10: 256 status bytes to each command of a registration.
#[test]
fn given_any_status_byte_in_a_registration_then_a_listed_error() {
    for asked in [Asked::GetInfo, Asked::Credential, Asked::Assertion] {
        for status in 0..=255 {
            let error = enroll_with(asked, 0x10, status);
            let listed = match (status, error) {
                (0x00, EnrollError::Unfit(_)) => asked == Asked::Credential,
                (0x00, EnrollError::Unproven(_)) => asked == Asked::Assertion,
                (0x00, error) => error == EnrollError::KeyFailed(KeyError::Malformed),
                (0x19, error) => error == EnrollError::AlreadyRegistered,
                (0x26, error) => error == EnrollError::Unsupported,
                (0x27, error) => error == EnrollError::Declined,
                (0x2f, error) => error == EnrollError::TouchTimeout,
                (0x32, error) => error == EnrollError::PinBlocked,
                (0x35, error) => error == EnrollError::PinNotSet,
                (0x36 | 0x3c | 0x3f, error) => error == EnrollError::Unverifying,
                (_, EnrollError::KeyFailed(KeyError::Status(said))) => said.0 == status,
                _ => false,
            };
            assert!(listed, "{status:02x} to {asked:?}: {error:?}");
        }
    }
}

/// BAR D10: 256 codes of CTAPHID's own ERROR, to each command.
#[test]
fn given_any_ctaphid_error_then_denied_for_a_listed_reason() {
    for code in 0..=255 {
        for asked in [Asked::GetInfo, Asked::Silently, Asked::Assertion] {
            let expected = match code {
                0x06 => "key_busy".to_owned(),
                _ => failed(&format!("refused with CTAPHID error 0x{code:02x}")),
            };
            assert_eq!(login_with(asked, 0x3f, code), expected, "{code:02x} to {asked:?}");
        }
        for asked in [Asked::GetInfo, Asked::Credential, Asked::Assertion] {
            let expected = match code {
                0x06 => EnrollError::KeyBusy,
                _ => EnrollError::KeyFailed(KeyError::Call(CallError::Hid(code))),
            };
            assert_eq!(enroll_with(asked, 0x3f, code), expected, "{code:02x} to {asked:?}");
        }
    }
}

/// Answers every CTAP1 message with this status word alone.
fn word(word: u16) -> U2fBehaviour {
    let instead: Instead = Rc::new(move |message, outbox| {
        if message.command == 0x03 {
            outbox.message(Duration::ZERO, message.channel, 0x03, &word.to_be_bytes());
        }
        message.command == 0x03
    });
    U2fBehaviour { instead, ..U2fBehaviour::default() }
}

/// What a login comes to where the key says this.
fn refused(word: u16) -> String {
    match word {
        0x6700 | 0x6a80 => "not_registered".to_owned(),
        0x6985 => "touch_timeout".to_owned(),
        0x6986 => "verification_unavailable".to_owned(),
        _ => failed(&format!("refused with U2F status word 0x{word:04x}")),
    }
}

/// BAR D10, D20: all 65536 status words to a request for a signature; 6700 and 6a80 mean "not mine", 6985 for
/// ever ends with the time for the touch.
#[test]
fn given_any_status_word_in_a_login_then_denied_for_a_listed_reason() {
    let credentials = [Secret::new(1, 64).u2f_credential()];
    for said in 0..=0xffff {
        let expected = match said {
            0x9000 => "malformed".to_owned(),
            _ => refused(said),
        };
        assert_eq!(denied(u2f_key(&[], word(said)).0, &credentials), expected, "{said:04x}");
    }
}

/// BAR D10: all 65536 status words to a question which of two credentials is the key's.
#[test]
fn given_any_status_word_to_a_check_only_question_then_denied_for_a_listed_reason() {
    let credentials = [1, 2].map(|number| Secret::new(number, 64).u2f_credential());
    for said in 0..=0xffff {
        let expected = match said {
            // A signature without a touch, or a key that says it has made one.
            0x9000 => odd(),
            _ => refused(said),
        };
        assert_eq!(denied(u2f_key(&[], word(said)).0, &credentials), expected, "{said:04x}");
    }
}

/// BAR D10: all 65536 status words to a request to register.
#[test]
fn given_any_status_word_in_a_registration_then_a_listed_error() {
    for said in 0..=0xffff {
        let mut keys = SimKeys::with(u2f_key(&[], word(said)).0);
        let (result, _) = enroll_for_alice(&[], &[Algorithm::Es256], &mut keys);
        closed_in_time(&keys);
        let listed = match (said, result.unwrap_err()) {
            (0x6985, error) => error == EnrollError::TouchTimeout,
            (0x6986, error) => error == EnrollError::Unverifying,
            (0x9000, error) => matches!(error, EnrollError::Unfit(_)),
            (_, EnrollError::KeyFailed(KeyError::StatusWord(word))) => word.0 == said,
            _ => false,
        };
        assert!(listed, "{said:04x}");
    }
}
