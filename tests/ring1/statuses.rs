//! Every answer that is no answer, to every command of a login: denied, in bounded time, the key closed.

use std::time::Duration;

use fidokey_core::ctap::cbor::Writer;
use fidokey_core::ports::KeyId;
use fidokey_tests::sim::device::{Message, Outbox, Script};
use fidokey_tests::sim::softkey::Secret;
use fidokey_tests::sim::world::{SimHost, login_of_alice};
use fidokey_tests::sim::{SimKeys, Step};

fn reason(host: &SimHost) -> &str {
    host.logged[0].1.split(' ').find_map(|field| field.strip_prefix("reason=")).unwrap()
}

/// A key that says to every command but one what it should to reach that one, and to that one `answer`.
fn key(command: &'static str, answer: impl Fn(&Message, &mut Outbox) + 'static) -> Script {
    Script::new(move |message, outbox| {
        let silent = message.payload.ends_with(b"\x62up\xf4");
        let this = match message.payload.first() {
            Some(0x04) => "getInfo",
            Some(0x02) if silent => "getAssertion?",
            Some(0x02) => "getAssertion",
            _ => "another",
        };
        if this == command {
            answer(message, outbox);
            return;
        }
        let mut response = Writer::beginning_with(0);
        match this {
            "getInfo" => {
                response.map(1).integer(1).array(1).text("FIDO_2_1");
            }
            _ => {
                let id = Secret::new(1, 64).id;
                response.map(3).integer(1).map(2).text("id").bytes(&id);
                response.text("type").text("public-key");
                response.integer(2).bytes(&[0; 37]).integer(3).bytes(&[0x30; 8]);
            }
        }
        outbox.message(Duration::ZERO, message.channel, 0x10, &response.into_bytes());
    })
}

/// A login whose credentials make the key hear that command.
fn login(
    command: &'static str,
    answer: impl Fn(&Message, &mut Outbox) + 'static,
) -> (i32, String, SimKeys) {
    let count = if command == "getAssertion" { 1 } else { 9 };
    let credentials: Vec<_> = (1..=count).map(|n| Secret::new(n, 64).credential()).collect();
    let mut keys = SimKeys::with(key(command, answer));
    let (code, host) = login_of_alice(&credentials, &mut keys);
    assert!(keys.commands().contains(&command), "{:?}", keys.commands());
    assert_eq!(keys.trace.last(), Some(&Step::Close(KeyId(0))));
    assert!(keys.elapsed() <= Duration::from_secs(46), "{:?}", keys.elapsed());
    (code, reason(&host).to_owned(), keys)
}

const COMMANDS: [&str; 3] = ["getInfo", "getAssertion?", "getAssertion"];

/// BAR D10: the CTAP statuses. The ones that mean something have their reason; the others are a failed key.
#[test]
fn given_any_status_to_any_command_then_denied_with_its_reason() {
    for command in COMMANDS {
        for status in 1..=u8::MAX {
            let (code, reason, _) = login(command, move |message, outbox| {
                outbox.message(Duration::ZERO, message.channel, 0x10, &[status]);
            });
            assert_eq!(code, 7, "{command} {status:02x}");
            let expected = match status {
                0x22 | 0x2e => "not_registered",
                0x2f => "touch_timeout",
                0x27 => "declined",
                0x31..=0x38 => "verification_unavailable",
                _ => "key_failed",
            };
            assert_eq!(reason, expected, "{command} {status:02x}");
        }
    }
}

/// BAR D10: the errors of CTAPHID; "busy" is tried again for 3 seconds.
#[test]
fn given_any_hid_error_to_any_command_then_denied() {
    for command in COMMANDS {
        for error in 0..=u8::MAX {
            let (code, reason, _) = login(command, move |message, outbox| {
                outbox.message(Duration::ZERO, message.channel, 0x3f, &[error]);
            });
            let expected = if error == 0x06 { "key_busy" } else { "key_failed" };
            assert_eq!((code, reason.as_str()), (7, expected), "{command} {error:02x}");
        }
    }
}

/// BAR D11: however many credentials a key claims, it is asked for no next one, and nothing is kept for them.
#[test]
fn given_a_count_of_credentials_beyond_one_then_denied_and_nothing_more_is_asked() {
    for count in [0u64, 2, 1 << 31, 1 << 32, u64::MAX] {
        let (code, reason, keys) = login("getAssertion", move |message, outbox| {
            let mut response = Writer::beginning_with(0);
            response.map(4).integer(1).map(2).text("id").bytes(&Secret::new(1, 64).id);
            response.text("type").text("public-key");
            response.integer(2).bytes(&[0; 37]).integer(3).bytes(&[0x30; 8]).integer(5);
            let mut response = response.into_bytes();
            response.push(0x1b);
            response.extend_from_slice(&count.to_be_bytes());
            outbox.message(Duration::ZERO, message.channel, 0x10, &response);
        });
        assert_eq!((code, reason.as_str()), (7, "number_of_credentials"), "{count}");
        assert_eq!(keys.commands(), ["INIT", "getAssertion"]);
    }
}

/// BAR D9: CBOR that no key sends, as the answer to each command.
#[test]
fn given_hostile_cbor_to_any_command_then_denied() {
    let mut nested = vec![0x81; 4000];
    nested.push(0x00);
    for command in COMMANDS {
        for cbor in [
            &[][..],
            &[0xbf, 0xff],
            &[0xa1, 0x02, 0xc0, 0x00],
            &[0xa2, 0x02, 0x40, 0x02, 0x40],
            &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xa1, 0x02, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xa1, 0x02, 0xfb, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xa0, 0x00],
            &nested,
        ] {
            let response = [&[0], cbor].concat();
            let (code, reason, _) = login(command, move |message, outbox| {
                outbox.message(Duration::ZERO, message.channel, 0x10, &response);
            });
            let expected = if command == "getAssertion" { "malformed" } else { "key_failed" };
            assert_eq!((code, reason.as_str()), (7, expected), "{command} {cbor:02x?}");
        }
    }
}
