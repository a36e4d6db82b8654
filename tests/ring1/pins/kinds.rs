//! Every kind of key: with a reader of its own, with options that change what is possible, of every version.

use super::*;
use fidokey_tests::sim::device::{Message, Outbox};

const BY_READER: [&str; 4] = ["INIT", "getInfo", "getAssertion?", "getAssertion"];

fn reader(readings: &[u8], pin: bool) -> Verifier {
    let mut options = vec![("uv", true), ("pinUvAuthToken", true)];
    if pin {
        options.insert(0, ("clientPin", true));
    }
    Verifier { options, readings: readings.iter().copied().collect(), ..Verifier::with_pin("1234") }
}

#[test]
fn given_a_key_with_a_reader_then_no_pin_is_asked_for() {
    for pin in [false, true] {
        let mut desk = Desk::with(&reader(&[0], pin).shared());
        assert_eq!(desk.login(&[]), granted());
        assert_eq!(desk.commands(), BY_READER);
        assert_eq!(desk.host.shown, [CUE]);
    }
}

/// P13: the reader knows nobody, or is blocked: the PIN, once, and how often the reader may still be tried.
#[test]
fn given_the_reader_does_not_know_the_user_then_the_pin_is_asked_for_once() {
    // The refusal and the blocked PIN as CTAP has them for a reader, too.
    for status in [0x27, 0x32, 0x36, 0x3c, 0x3f] {
        for (left, told) in [
            (Some(2), "Not recognised. 2 attempts left on this key."),
            (Some(1), "Not recognised. 1 attempt left on this key."),
            (Some(0), "Not recognised; this key's reader is blocked."),
            (None, "Not recognised."),
        ] {
            let verifier = Verifier { uv_retries: left, ..reader(&[status], true) }.shared();
            let mut desk = Desk::with(&verifier);
            assert_eq!(desk.login(&["1234"]), granted());
            assert_eq!(desk.host.shown, [CUE, told, ENTER, CUE]);
            assert_eq!(verifier.borrow().tries, 1);
        }
        let verifier = reader(&[status], true).shared();
        let mut desk = Desk::with(&verifier);
        assert_eq!(desk.login(&["4321", "1234"]), outcome(7, "pin_wrong"));
        assert_eq!(verifier.borrow().tries, 1);
        // Without a PIN that is the end.
        let mut desk = Desk::with(&reader(&[status], false).shared());
        assert_eq!(desk.login(&["1234"]), outcome(7, "verification_failed"));
        assert_eq!(desk.host.asked, []);
    }
}

/// C6: a reader that knows the user, and a flag that says otherwise.
#[test]
fn given_a_reader_whose_key_does_not_say_so_then_denied() {
    let verifier = Verifier { flags_uv: false, ..reader(&[0], false) }.shared();
    assert_eq!(Desk::with(&verifier).login(&[]), outcome(7, "user_verification"));
}

/// D26: what getInfo may say, and the path that it leads to.
#[test]
fn given_any_kind_of_key_then_there_is_a_path_for_it() {
    let with = |options: &[(&'static str, bool)], versions: &[&'static str]| Verifier {
        options: options.to_vec(),
        versions: versions.to_vec(),
        ..Verifier::with_pin("1234")
    };
    let pin = ("clientPin", true);
    let token = ("pinUvAuthToken", true);
    let versions: [&[&str]; 5] =
        [&["FIDO_2_0"], &["FIDO_2_1_PRE"], &["FIDO_2_1"], &["FIDO_2_2"], &["FIDO_2_3", "U2F_V2"]];
    for versions in versions {
        for (options, came) in [
            (&[pin][..], granted()),
            (&[pin, token], granted()),
            (&[("up", false), pin, token], granted()),
            (&[("plat", false), pin, token], granted()),
            (&[("makeCredUvNotRqd", true), pin, token], granted()),
            (&[("alwaysUv", true), pin, token], granted()),
            (&[("uv", false), pin, token], granted()),
            (&[("clientPin", false), token], outcome(7, "verification_unavailable")),
            (&[token], outcome(7, "verification_unavailable")),
            (&[("uv", false)], outcome(7, "verification_unavailable")),
            (
                &[pin, token, ("noMcGaPermissionsWithClientPin", true)],
                outcome(7, "verification_unavailable"),
            ),
        ] {
            let verifier = with(options, versions).shared();
            let mut desk = Desk::with(&verifier);
            assert_eq!(desk.login(&["1234"]), came, "{versions:?} {options:?}");
            assert_eq!(verifier.borrow().tries, u32::from(came.0 == 0));
        }
    }
}

/// D26: a key that does nothing without verification, though the policy wants a touch alone.
#[test]
fn given_a_key_that_always_verifies_then_its_pin_is_asked_for_where_a_touch_would_do() {
    let policy = "schema = 1\n[default]\nmode = \"second-factor\"\n";
    let options = vec![("alwaysUv", true), ("clientPin", true), ("pinUvAuthToken", true)];
    for beside in [false, true] {
        let verifier = Verifier { options: options.clone(), ..Verifier::with_pin("1234") }.shared();
        let secret = Secret::new(1, 64);
        let mut desk = Desk::new(&[secret.credential()], policy);
        desk.plug(&[secret], &verifier);
        if beside {
            desk.plug(&[Secret::new(9, 64)], &Verifier::default().shared());
        }
        assert_eq!(desk.login(&["1234"]), granted());
        assert_eq!(verifier.borrow().tries, 1);
    }
    // A foreign one is told from one's own before anybody is asked for its PIN.
    let verifier = Verifier { options, ..Verifier::with_pin("1234") }.shared();
    let mut desk = Desk::new(&[Secret::new(1, 64).credential()], policy);
    desk.plug(&[Secret::new(2, 64)], &verifier);
    assert_eq!(desk.login(&["1234"]), outcome(7, "not_registered"));
    assert_eq!(desk.host.asked, []);
}

/// A record with both kinds of credentials: what a touch is enough for comes first.
#[test]
fn given_a_key_with_a_credential_of_either_kind_then_a_touch_is_enough() {
    let policy = "schema = 1\n[default]\nmode = \"second-factor\"\n";
    let secrets = [1, 2].map(|number| Secret::new(number, 64));
    let credentials = [required(secrets[0].credential()), secrets[1].credential()];
    for held in [&secrets[..], &secrets[1..]] {
        let verifier = Verifier::with_pin("1234").shared();
        let mut desk = Desk::new(&credentials, policy);
        desk.plug(held, &verifier);
        assert_eq!(desk.login(&[]), granted());
        assert!(desk.host.logged[0].1.contains("key=\"Key 2\""), "{:?}", desk.host.logged);
    }
    let verifier = Verifier::with_pin("1234").shared();
    let mut desk = Desk::new(&credentials, policy);
    desk.plug(&secrets[..1], &verifier);
    assert_eq!(desk.login(&["1234"]), granted());
    assert_eq!(verifier.borrow().tries, 1);
}

/// A login from elsewhere, where the policy lets it be verified.
#[test]
fn given_a_remote_login_that_is_to_be_verified_then_the_pin_is_asked_for() {
    let policy = "schema = 1\n[default]\nmode = \"second-factor\"\nremote = \"verify\"\n";
    let verifier = Verifier::with_pin("1234").shared();
    let secret = Secret::new(1, 64);
    let mut desk = Desk::new(&[secret.credential()], policy);
    desk.plug(&[secret], &verifier);
    desk.host.origin.rhost = "192.0.2.1".to_owned();
    assert_eq!(desk.login(&["1234"]), granted());
    assert_eq!(verifier.borrow().tries, 1);
    // P14: where it is denied, nothing is asked.
    let verifier = Verifier::with_pin("1234").shared();
    let mut desk = Desk::with(&verifier);
    desk.host.origin.rhost = "192.0.2.1".to_owned();
    assert_eq!(desk.login(&["1234"]), outcome(6, "remote"));
    assert_eq!((desk.host.asked.len(), desk.keys.trace.len()), (0, 0));
}

/// D26: a credential that is shown to nobody without verification (credProtect 3) is as another's key to a silent question.
/// None is ever registered so; one that was made elsewhere is not a reason to ask for a PIN.
#[test]
fn given_a_credential_that_is_hidden_without_verification_then_no_pin_is_asked_for() {
    let verifier = Verifier::with_pin("1234").shared();
    let secret = Secret::new(1, 64);
    let mut desk = Desk::new(&[secret.credential()], STRICT);
    let hidden = |message: &Message, outbox: &mut Outbox| {
        let asks = message.command == 0x10 && message.payload.first() == Some(&0x02);
        if asks {
            outbox.message(Duration::ZERO, message.channel, 0x10, &[0x2e]);
        }
        asks
    };
    let behaviour = Behaviour { instead: Rc::new(hidden), ..Behaviour::default() };
    desk.plug_with(&[secret], &verifier, behaviour);
    assert_eq!(desk.login(&["1234"]), outcome(7, "not_registered"));
    assert_eq!((desk.host.asked.len(), verifier.borrow().tries), (0, 0));
}
