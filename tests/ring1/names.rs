//! What a key is called that nobody has named, and what is said of its model: all of it is the device's own words, which
//! may be anybody's.

use std::rc::Rc;

use fidokey_core::attestation::Admission;
use fidokey_core::credential::{Algorithm, Credential, KeyName, is_unprintable};
use fidokey_core::enroll::{EnrollError, Enrolled};
use fidokey_core::key_name::{free, of_model};
use fidokey_core::models::{Advisory, advisory, named};
use fidokey_core::ports::{Device, Usb};
use fidokey_core::record::CREDENTIALS_MAX;
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::softkey::{Behaviour, Secret, soft_key};
use fidokey_tests::sim::u2f_key::{U2fBehaviour, u2f_key};
use fidokey_tests::sim::world::enroll_as;

const YUBIKEY_5_NFC: [u8; 16] = 0x2fc0579f_8113_47ea_b116_bb5a8db9202a_u128.to_be_bytes();
const YUBIKEY_5_NFC_5_7: [u8; 16] = 0xa25342c0_3cdc_4414_8e46_f4807fca511c_u128.to_be_bytes();
const BIO: [u8; 16] = 0xd8522d9f_575b_4866_88a9_ba99fa02f35b_u128.to_be_bytes();

fn called(product: impl AsRef<[u8]>) -> String {
    of_model(product.as_ref(), None).to_string()
}

fn credential(name: &str) -> Credential {
    Credential { name: KeyName::new(name).unwrap(), ..Secret::new(1, 48).credential() }
}

#[test]
fn given_the_names_of_real_devices_then_they_are_the_names_of_the_keys() {
    for (product, name) in [
        ("Yubico YubiKey OTP+FIDO+CCID", "Yubico YubiKey OTP+FIDO+CCID"),
        ("Yubico Yubico YubiKey", "Yubico YubiKey"),
        ("SoloKeys SoloKeys Solo 2", "SoloKeys Solo 2"),
        ("Nitrokey Nitrokey 3", "Nitrokey 3"),
        (
            "GoTrust Technology Inc. GoTrust Technology Inc. Idem Key",
            "GoTrust Technology Inc. Idem Key",
        ),
        ("  TOKEN2\tFIDO2  Security Key ", "TOKEN2 FIDO2 Security Key"),
        ("Schlüssel® der Größe 3", "Schlüssel der Größe 3"),
        ("Infineon Technologies FIDO U2F Authenticator", "Infineon Technologies FIDO U2F A"),
    ] {
        assert_eq!(called(product), name);
    }
}

// D19.
#[test]
fn given_hostile_words_then_the_name_is_harmless() {
    for (product, name) in [
        (&b"\x1b[2J\x1b]0;owned\x07Key\r\n\x08"[..], "[2J]0;ownedKey"),
        ("a\u{202e}b\u{2028}c\u{200b}d\u{feff}e\u{e0041}".as_bytes(), "ab cde"),
        (b"\xff\xfeSolo\xc3 2\x80\xf8", "Solo 2"),
        (b"\" or \\\"\\u001b`id`$(id)'", "or u001bid$(id)"),
        ("Z\u{0301}\u{0302}a\u{0303}lgo\u{20dd}".as_bytes(), "Zalgo"),
        (b"", "Key"),
        (b" \t\n\x00", "Key"),
        (b"--- ...", "Key"),
        (b"HID 1050:0407", "Key"),
        ("\u{202e}\u{200f}".as_bytes(), "Key"),
    ] {
        assert_eq!(called(product), name, "{product:?}");
    }
    let long = ["x ".repeat(2048), "\u{1b}[1m".repeat(1024), "\u{0661}".repeat(4096)];
    // Any bytes at all, twice over.
    let mut state = 1_u32;
    let bytes = (0..4096).map(|length| {
        let bytes: Vec<u8> = (0..length % 300)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        bytes
    });
    for product in long.into_iter().map(String::into_bytes).chain(bytes) {
        let name = called(&product);
        assert!(KeyName::new(&name).is_ok(), "{product:?}");
        assert!((1..=32).contains(&name.chars().count()) && !name.chars().any(is_unprintable));
        assert!(!name.contains(['"', '\'', '\\', '`']) && !name.contains("  "), "{name}");
    }
}

#[test]
fn given_a_name_that_is_taken_then_the_next_number_is_free_and_32_characters_are_the_most() {
    let free = |model: &str, taken: &[&str]| {
        let taken: Vec<Credential> = taken.iter().map(|name| credential(name)).collect();
        free(&KeyName::new(model).unwrap(), &taken).unwrap().to_string()
    };
    assert_eq!(free("YubiKey 5 NFC", &[]), "YubiKey 5 NFC");
    assert_eq!(free("YubiKey 5 NFC", &["YubiKey 5 NFC"]), "YubiKey 5 NFC 2");
    assert_eq!(free("Key", &["Key", "Blue", "Key 2"]), "Key 3");
    assert_eq!(free("Key", &["Key 2"]), "Key");
    let long = "a234567890 234567890 234567890 x";
    assert_eq!(free(long, &[long]), "a234567890 234567890 234567890 2");
    let wide = "ä".repeat(32);
    assert_eq!(free(&wide, &[&wide]), "ä".repeat(30) + " 2");
    // However many there are.
    let model = KeyName::new(&wide).unwrap();
    let mut all = Vec::new();
    for _ in 0..CREDENTIALS_MAX {
        let name = fidokey_core::key_name::free(&model, &all).unwrap();
        all.push(credential(name.as_str()));
    }
    assert_eq!(all.last().unwrap().name.as_str(), "ä".repeat(29) + " 64");
}

fn registered(
    existing: &[Credential],
    name: Option<&str>,
    described: Device,
    mut keys: SimKeys,
) -> Result<Enrolled, EnrollError> {
    keys.described = described;
    let name = name.map(|name| KeyName::new(name).unwrap());
    enroll_as(existing, name.as_ref(), &Algorithm::ALL, Admission::default(), &mut keys).0
}

fn of_aaguid(aaguid: [u8; 16]) -> SimKeys {
    let bend_credential = Rc::new(move |draft: &mut _| {
        let draft: &mut fidokey_tests::sim::registering::DraftCredential = draft;
        draft.aaguid = aaguid;
    });
    SimKeys::with(soft_key(&[], Behaviour { bend_credential, ..Behaviour::default() }).0)
}

fn product(product: &str) -> Device {
    Device { product: product.into(), usb: None }
}

// D19.
#[test]
fn given_no_name_then_the_new_key_is_called_after_its_model() {
    let name = |existing: &[Credential], name, described, keys| {
        let enrolled = registered(existing, name, described, keys).unwrap();
        (enrolled.credential.name.to_string(), enrolled.model.to_string())
    };
    let both = |name: &str, model: &str| (name.to_owned(), model.to_owned());
    let solo = || product("SoloKeys Solo 2");
    let u2f = || SimKeys::with(u2f_key(&[], U2fBehaviour::default()).0);
    let there = [credential("SoloKeys Solo 2")];
    let expected = both("SoloKeys Solo 2", "SoloKeys Solo 2");
    assert_eq!(name(&[], None, solo(), of_aaguid(YUBIKEY_5_NFC)), expected);
    assert_eq!(name(&[], None, solo(), u2f()), expected);
    let expected = both("SoloKeys Solo 2 2", "SoloKeys Solo 2");
    assert_eq!(name(&there, None, solo(), of_aaguid([0; 16])), expected);
    let expected = both("Blue", "SoloKeys Solo 2");
    assert_eq!(name(&there, Some("Blue"), solo(), of_aaguid([0; 16])), expected);
    // Where the device has no words, its model number may.
    let nameless = || product("HID 1050:0407");
    let expected = both("YubiKey 5 NFC", "YubiKey 5 NFC");
    assert_eq!(name(&[], None, nameless(), of_aaguid(YUBIKEY_5_NFC)), expected);
    assert_eq!(name(&[], None, nameless(), of_aaguid([0xaa; 16])), both("Key", "Key"));
    assert_eq!(name(&[], None, nameless(), u2f()), both("Key", "Key"));
    let refused = registered(&there, Some("SoloKeys Solo 2"), solo(), of_aaguid([0; 16]));
    assert_eq!(refused.unwrap_err(), EnrollError::NameTaken);
}

// E12.
#[test]
fn given_a_model_with_a_known_flaw_then_there_is_a_warning_and_the_key_is_registered() {
    let id = |advisory: Option<Advisory>| advisory.map(|advisory| advisory.id);
    let eucleak = Some("YSA-2024-03, EUCLEAK");
    for (aaguid, firmware, warning) in [
        (YUBIKEY_5_NFC, None, eucleak),
        (YUBIKEY_5_NFC, Some(0x05_04_03), eucleak),
        (YUBIKEY_5_NFC, Some(0x05_06_ff), eucleak),
        (YUBIKEY_5_NFC, Some(0x05_07_00), None),
        (YUBIKEY_5_NFC_5_7, None, None),
        (YUBIKEY_5_NFC_5_7, Some(0), None),
        (BIO, Some(0x05_07_01), eucleak),
        (BIO, Some(0x05_07_02), None),
        ([0; 16], None, None),
        ([0xaa; 16], Some(1), None),
    ] {
        assert_eq!(
            id(advisory(Some(aaguid), firmware, None)),
            warning,
            "{aaguid:02x?} {firmware:?}"
        );
    }
    let usb = |vendor, product, release| Some(Usb { vendor, product, release });
    for (usb, warning) in [
        (usb(0x18d1, 0x5026, None), Some("CVE-2021-3011")),
        (usb(0x18d1, 0x9470, None), None),
        (usb(0x1050, 0x0116, Some(0x0346)), Some("CVE-2021-3011")),
        (usb(0x1050, 0x0407, Some(0x0442)), Some("YSA-2019-02")),
        (usb(0x1050, 0x0407, Some(0x0444)), Some("YSA-2019-02")),
        (usb(0x1050, 0x0407, Some(0x0445)), None),
        (usb(0x1050, 0x0407, None), None),
        (None, None),
    ] {
        assert_eq!(id(advisory(None, None, usb)), warning, "{usb:x?}");
    }
    assert_eq!(named(YUBIKEY_5_NFC), Some("YubiKey 5 NFC"));

    // Through a whole registration, of both generations.
    let plain = Device::default;
    let enrolled = registered(&[], None, plain(), of_aaguid(YUBIKEY_5_NFC)).unwrap();
    assert_eq!(id(enrolled.advisory), eucleak);
    assert_eq!(enrolled.credential.aaguid, Some(YUBIKEY_5_NFC));
    let enrolled = registered(&[], None, plain(), of_aaguid(YUBIKEY_5_NFC_5_7)).unwrap();
    assert_eq!(enrolled.advisory, None);
    let titan = Device { usb: usb(0x18d1, 0x5026, None), ..plain() };
    let keys = SimKeys::with(u2f_key(&[], U2fBehaviour::default()).0);
    assert_eq!(id(registered(&[], None, titan, keys).unwrap().advisory), Some("CVE-2021-3011"));
}
