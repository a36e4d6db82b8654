//! To whom a PIN goes, and to whom it does not.

use super::*;
use fidokey_core::ctap::pin_protocol::{PinProtocol, Point};
use fidokey_tests::sim::softkey::Draft;

/// P1, and the issue's: a key that only claims to be the account's hears nothing of a PIN.
#[test]
fn given_a_key_that_only_claims_to_be_the_accounts_then_no_pin_is_asked_for() {
    type Bend = fn(&mut Draft);
    let bends: [(&str, Bend); 7] = [
        ("signature", |d| d.signature = Some(vec![0x30, 6, 2, 1, 1, 2, 1, 1])),
        ("signature", |d| d.hash[0] ^= 1),
        ("rp_id_hash", |d| d.auth_data[0] ^= 1),
        ("attested_data", |d| d.auth_data[32] |= 0x40),
        ("extensions", |d| d.auth_data[32] |= 0x80),
        ("user_handle", |d| d.user = Some(vec![9; 32])),
        ("number_of_credentials", |d| d.count = Some(2)),
    ];
    for (reason, bend) in bends {
        let verifier = Verifier::with_pin("1234").shared();
        let secret = Secret::new(1, 64);
        let mut desk = Desk::new(&[secret.credential()], STRICT);
        let behaviour = Behaviour { bend: Rc::new(bend), ..Behaviour::default() };
        desk.plug_with(&[secret], &verifier, behaviour);
        let (code, came) = desk.login(&["1234"]);
        assert_eq!((code, came.as_str()), (7, reason));
        assert_eq!(desk.host.asked, []);
        assert_eq!(desk.commands(), ["INIT", "getInfo", "getAssertion?"]);
        assert_eq!(verifier.borrow().tries, 0);
    }
}

/// P1: another account's key, too.
#[test]
fn given_a_foreign_key_then_no_pin_is_asked_for() {
    let verifier = Verifier::with_pin("1234").shared();
    let mut desk = Desk::new(&[Secret::new(1, 64).credential()], STRICT);
    desk.plug(&[Secret::new(2, 64)], &verifier);
    assert_eq!(desk.login(&["1234"]), outcome(7, "not_registered"));
    assert_eq!(desk.host.asked, []);
    assert_eq!(verifier.borrow().tries, 0);
}

/// P11: nothing that depends on the PIN is sent.
#[test]
fn given_a_point_that_is_not_on_the_curve_then_the_pin_is_not_sent() {
    for point in [
        Point { x: [0; 32], y: [0; 32] },
        Point { x: [1; 32], y: [1; 32] },
        Point { x: [0xff; 32], y: [3; 32] },
    ] {
        let verifier = Verifier { point: Some(point), ..Verifier::with_pin("1234") }.shared();
        let mut desk = Desk::with(&verifier);
        assert_eq!(desk.login(&["1234"]), outcome(7, "key_failed"));
        assert_eq!(verifier.borrow().tries, 0);
        assert_eq!(desk.commands().last(), Some(&"getKeyAgreement"));
    }
}

/// P10: the second protocol where the key has it; the parameter as long as that makes it; the token for one request,
/// and for this relying party alone, where the key knows such tokens.
#[test]
fn given_a_key_of_either_protocol_then_the_authorization_has_its_full_length() {
    let of = |verifier: Verifier, protocols| Verifier { protocols, ..verifier };
    let today = || Verifier::with_pin("1234");
    let old = || Verifier::of_ctap_2_0("1234");
    let scope = (Some(2), Some("pam://fidokey".to_owned()));
    for (verifier, protocol, length, scope) in [
        (of(today(), Some(vec![2, 1])), PinProtocol::Two, 32, scope.clone()),
        (of(today(), Some(vec![1, 2])), PinProtocol::Two, 32, scope.clone()),
        (of(today(), Some(vec![1])), PinProtocol::One, 16, scope),
        (of(old(), None), PinProtocol::One, 16, (None, None)),
        (of(old(), Some(vec![1])), PinProtocol::One, 16, (None, None)),
        (of(old(), Some(vec![2])), PinProtocol::Two, 32, (None, None)),
    ] {
        let verifier = verifier.shared();
        let mut desk = Desk::with(&verifier);
        for _ in 0..2 {
            assert_eq!(desk.login(&["1234"]), granted());
        }
        let token = (protocol, scope.0, scope.1);
        assert_eq!(verifier.borrow().tokens, [token.clone(), token], "asked for each time anew");
        assert_eq!(verifier.borrow().params, [length, length]);
    }
    // Protocols of the future alone.
    let verifier = of(today(), Some(vec![3])).shared();
    let mut desk = Desk::with(&verifier);
    assert_eq!(desk.login(&["1234"]), outcome(7, "verification_unavailable"));
    assert_eq!(desk.host.asked, []);
}

/// C6: the right PIN, and a key that signs all the same that it has verified nobody.
#[test]
fn given_the_flag_is_clear_after_the_right_pin_then_denied() {
    let verifier = Verifier { flags_uv: false, ..Verifier::with_pin("1234") }.shared();
    let mut desk = Desk::with(&verifier);
    assert_eq!(desk.login(&["1234"]), outcome(7, "user_verification"));
    // By the record's own word, whatever the policy says.
    let secret = Secret::new(1, 64);
    let policy = "schema = 1\n[default]\nmode = \"second-factor\"\n";
    let mut desk = Desk::new(&[required(secret.credential())], policy);
    desk.plug(&[secret], &verifier);
    assert_eq!(desk.login(&["1234"]), outcome(7, "user_verification"));
}

/// D22: a credential of the second generation by a key that speaks the first alone, and a first-generation credential.
#[test]
fn given_a_first_generation_key_then_verification_cannot_be_had() {
    use fidokey_tests::sim::u2f_key::{U2fBehaviour, u2f_key};
    let secret = Secret::new(1, 64);
    for (credential, reason, commands) in [
        (secret.credential(), "not_registered", &["INIT"][..]),
        (secret.u2f_credential(), "verification_unavailable", &[]),
        (required(secret.u2f_credential()), "verification_unavailable", &[]),
    ] {
        let mut desk = Desk::new(&[credential], STRICT);
        desk.add(u2f_key(std::slice::from_ref(&secret), U2fBehaviour::default()).0);
        assert_eq!(desk.login(&["1234"]), outcome(7, reason));
        assert_eq!(desk.commands(), commands);
        assert_eq!(desk.host.asked, []);
    }
}
