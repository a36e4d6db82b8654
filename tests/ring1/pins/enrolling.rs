//! Registrations by keys that verify their users.

use super::*;
use fidokey_core::attestation::Admission;
use fidokey_core::credential::{AccountName, Algorithm, KeyName, RpId};
use fidokey_core::enroll::{EnrollError, Enrollment, enroll};
use fidokey_core::ports::Account;
use fidokey_tests::sim::Step;

/// A registration at which these are typed, under a policy and with an option.
fn register(
    desk: &mut Desk,
    (policy, verification): (Verification, Verification),
    typed: &[&str],
) -> Result<Credential, EnrollError> {
    desk.host.typed = typed.iter().map(|pin| pin.as_bytes().to_vec()).collect();
    let enrollment = Enrollment {
        account: &Account { uid: 1000, name: AccountName::new("alice").unwrap() },
        existing: &[],
        name: Some(&KeyName::new("Blue key").unwrap()),
        algorithms: &Algorithm::ALL,
        admission: Admission::default(),
        rp_id: &RpId::default(),
        verification,
        policy,
        pin_guard: 3,
        patience: seconds(10),
        added: "2026-11-23T10:00:00Z",
        added_by: "root",
    };
    let registered = enroll(&mut desk.machine, &mut desk.host, &mut desk.keys, &enrollment);
    assert!(!desk.keys.any_open());
    registered.map(|enrolled| enrolled.credential)
}

fn desk_with(verifier: &Rc<RefCell<Verifier>>) -> Desk {
    let mut desk = Desk::new(&[], STRICT);
    desk.plug(&[], verifier);
    desk
}

const NONE: Verification = Verification::None;
const REQUIRED: Verification = Verification::Required;

#[test]
fn given_verification_is_wanted_then_it_is_proven_and_noted_as_it_was_wanted() {
    for (policy, wanted, noted) in
        [(REQUIRED, NONE, NONE), (NONE, REQUIRED, REQUIRED), (REQUIRED, REQUIRED, REQUIRED)]
    {
        let verifier = Verifier::with_pin("1234").shared();
        let mut desk = desk_with(&verifier);
        let credential = register(&mut desk, (policy, wanted), &["1234"]).unwrap();
        assert_eq!(credential.verification, noted);
        assert_eq!(
            desk.commands(),
            [
                "INIT",
                "getInfo",
                "getPINRetries",
                "getKeyAgreement",
                "getPinUvAuthToken",
                "makeCredential",
                "getKeyAgreement",
                "getPinUvAuthToken",
                "getAssertion"
            ]
        );
        // Each token is for one thing.
        let permissions = [Some(1), Some(2)];
        assert!(verifier.borrow().tokens.iter().map(|token| token.1).eq(permissions));
        assert_eq!(
            desk.host.shown,
            [
                "Enter the PIN of the key.",
                "Touch your security key to register it.",
                "Touch it again to test it."
            ]
        );
    }
}

/// A PIN that is set and not needed is not asked for.
#[test]
fn given_a_key_that_makes_credentials_without_its_pin_then_it_is_asked_for_only_where_it_is_needed()
{
    let options = vec![("clientPin", true), ("pinUvAuthToken", true), ("makeCredUvNotRqd", true)];
    for (wanted, asked) in [(NONE, 0), (REQUIRED, 1)] {
        let verifier = Verifier { options: options.clone(), ..Verifier::with_pin("1234") }.shared();
        let mut desk = desk_with(&verifier);
        register(&mut desk, (NONE, wanted), &["1234"]).unwrap();
        assert_eq!(desk.host.asked.len(), asked);
    }
    // The key's own wish.
    for options in [
        vec![("clientPin", true)],
        vec![("alwaysUv", true), ("clientPin", true), ("makeCredUvNotRqd", true)],
    ] {
        let verifier = Verifier { options, ..Verifier::with_pin("1234") }.shared();
        let mut desk = desk_with(&verifier);
        let credential = register(&mut desk, (NONE, NONE), &["1234"]).unwrap();
        assert_eq!((desk.host.asked.len(), credential.verification), (1, NONE));
    }
}

#[test]
fn given_a_key_that_cannot_verify_then_the_person_is_told_what_it_lacks() {
    let key = || Verifier::with_pin("1234");
    let first = Verifier { options: vec![("clientPin", false)], ..key() };
    let guarded = Verifier { retries: 3, ..key() };
    for (verifier, typed, error) in [
        (first, "1234", EnrollError::PinNotSet),
        (Verifier::default(), "1234", EnrollError::Unverifying),
        (guarded, "1234", EnrollError::PinGuarded(3)),
        (Verifier { force_change: true, ..key() }, "1234", EnrollError::PinChangeRequired),
        (Verifier { power_cycle: true, ..key() }, "1234", EnrollError::PinReplug),
        (Verifier { retries: 0, ..key() }, "1234", EnrollError::PinBlocked),
        (key(), "4321", EnrollError::PinWrong(Some(7))),
        (key(), "", EnrollError::PinDeclined),
        (key(), "123", EnrollError::PinUnfit),
        (
            Verifier { flags_uv: false, ..key() },
            "1234",
            EnrollError::Unfit(fidokey_core::registration::Unfit::UserVerification),
        ),
    ] {
        let tries = u32::from(matches!(error, EnrollError::PinWrong(_) | EnrollError::Unfit(_)));
        let verifier = verifier.shared();
        let mut desk = desk_with(&verifier);
        assert_eq!(register(&mut desk, (REQUIRED, NONE), &[typed]).unwrap_err(), error);
        assert_eq!(verifier.borrow().tries, tries, "{error:?}");
    }
}

/// Several keys: a touch says whose PIN is meant, in the way of CTAP 2.1 or of 2.0.
#[test]
fn given_several_keys_then_the_touched_one_is_asked_for_its_pin() {
    let today = || Verifier::with_pin("2222");
    for (verifier, by) in
        [(today(), "selection"), (Verifier::of_ctap_2_0("2222"), "makeCredential")]
    {
        let (other, verifier) = (Verifier::with_pin("1111").shared(), verifier.shared());
        let mut desk = Desk::new(&[], STRICT);
        let never = Behaviour { touch: None, ..Behaviour::default() };
        let (_, untouched) = desk.plug_with(&[], &other, never);
        let chosen = desk.plug(&[], &verifier);
        register(&mut desk, (REQUIRED, NONE), &["2222"]).unwrap();
        assert_eq!((other.borrow().tries, verifier.borrow().tries), (0, 2));
        assert_eq!(untouched.borrow().cancels, 1);
        let sent = desk.keys.commands_of(chosen);
        assert!(sent[2..5].contains(&by), "{sent:?}");
        // The other is free before anybody is asked.
        let open_when_asked = desk.keys.trace.iter().try_fold(0, |open, step| match step {
            Step::Open(_, Ok(())) => Ok(open + 1),
            Step::Close(_) => Ok(open - 1),
            Step::Release(_) => Err(open),
            _ => Ok(open),
        });
        assert_eq!(open_when_asked, Err(1));
        assert_eq!(desk.host.asked, [("Security key PIN: ".to_owned(), 2)]);
    }
}

#[test]
fn given_a_key_with_a_reader_then_it_registers_without_a_pin() {
    let verifier = Verifier {
        options: vec![("uv", true), ("clientPin", true)],
        readings: [0, 0].into(),
        ..Verifier::with_pin("1234")
    };
    let mut desk = desk_with(&verifier.shared());
    register(&mut desk, (REQUIRED, REQUIRED), &[]).unwrap();
    assert_eq!(desk.commands(), ["INIT", "getInfo", "makeCredential", "getAssertion"]);
}

/// And with it, where its reader does not recognise whoever touched it.
#[test]
fn given_a_reader_that_does_not_know_the_user_then_the_registration_asks_for_the_pin() {
    for status in [0x27, 0x32, 0x36, 0x3c] {
        let verifier = Verifier {
            options: vec![("uv", true), ("clientPin", true), ("pinUvAuthToken", true)],
            readings: [status].into(),
            ..Verifier::with_pin("1234")
        };
        let verifier = verifier.shared();
        let mut desk = desk_with(&verifier);
        let untouched = Behaviour { touch: None, ..Behaviour::default() };
        let (_, other) = desk.plug_with(&[], &Verifier::default().shared(), untouched);
        register(&mut desk, (NONE, REQUIRED), &["1234"]).unwrap();
        assert_eq!(verifier.borrow().tries, 2, "{status:02x}");
        // One that cannot verify anybody was never asked for a touch.
        assert_eq!(other.borrow().hashes.len(), 0);
    }
    let verifier =
        Verifier { options: vec![("uv", true)], readings: [0x27].into(), ..Verifier::default() };
    let mut desk = desk_with(&verifier.shared());
    let error = register(&mut desk, (NONE, REQUIRED), &[]).unwrap_err();
    assert_eq!(error, EnrollError::Unverifying);
}

/// A key that a reader alone protects does nothing for a touch.
#[test]
fn given_a_key_that_only_a_reader_protects_then_the_reader_is_asked_though_a_touch_was_wanted() {
    let verifier =
        Verifier { options: vec![("uv", true)], readings: [0, 0].into(), ..Verifier::default() };
    let mut desk = desk_with(&verifier.shared());
    register(&mut desk, (NONE, NONE), &[]).unwrap();
    assert_eq!(desk.host.asked, []);
}

/// A first-generation key cannot, and is not asked to.
#[test]
fn given_a_first_generation_key_then_it_is_said_before_it_blinks() {
    use fidokey_tests::sim::u2f_key::{U2fBehaviour, u2f_key};
    let mut desk = Desk::new(&[], STRICT);
    desk.add(u2f_key(&[], U2fBehaviour::default()).0);
    let error = register(&mut desk, (REQUIRED, NONE), &[]).unwrap_err();
    assert_eq!(error, EnrollError::Unverifying);
    assert_eq!(desk.commands(), ["INIT"]);
}

/// P3: the one try that is made on purpose, with as few left as there may be.
#[test]
fn given_a_key_that_is_guarded_then_one_try_on_purpose_gives_all_of_them_back() {
    use fidokey_core::pin_check::check_pin;
    let check = |verifier: &Rc<RefCell<Verifier>>, typed: &str| {
        let mut desk = desk_with(verifier);
        desk.host.typed = [typed.as_bytes().to_vec()].into();
        let checked = check_pin(&mut desk.machine, &mut desk.host, &mut desk.keys, seconds(10));
        assert!(!desk.keys.any_open());
        (checked, desk.host.shown)
    };
    let key = |retries| Verifier { retries, ..Verifier::with_pin("1234") }.shared();
    let told = |left| vec![format!("Enter the PIN of the key. Tries left: {left}.")];
    assert_eq!(check(&key(1), "1234"), (Ok(8), told(1)));
    assert_eq!(check(&key(2), "4321"), (Err(EnrollError::PinWrong(Some(1))), told(2)));
    assert_eq!(check(&key(1), "4321"), (Err(EnrollError::PinBlocked), told(1)));
    assert_eq!(check(&key(0), "1234"), (Err(EnrollError::PinBlocked), vec![]));
    assert_eq!(check(&key(1), ""), (Err(EnrollError::PinDeclined), told(1)));
    assert_eq!(check(&Verifier::default().shared(), "1234").0, Err(EnrollError::Unverifying));
    // Whose PIN is meant must be clear.
    let mut desk = desk_with(&key(8));
    desk.plug(&[], &key(8));
    let checked = check_pin(&mut desk.machine, &mut desk.host, &mut desk.keys, seconds(10));
    assert_eq!(checked, Err(EnrollError::SeveralKeys));
    assert_eq!(desk.keys.trace, []);
}
