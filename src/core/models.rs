//! The models of keys that are known by their numbers: what they are called, and what is known against some of them.
//!
//! Every number is one that the device says of itself; a list like this warns, and keeps nothing out. Sources: the
//! statements of the FIDO Metadata Service; the makers' lists of model numbers and their advisories, whose ids stand below.
//! What cannot be told by such a number is not here: firmware of first-generation keys that their USB release does not show,
//! and whoever else has built the same chip in.

use crate::ports::Usb;

/// A model of a FIDO2 key.
#[derive(Clone, Copy, Debug)]
struct Model {
    /// The AAGUID, as the number that its UUID is.
    aaguid: u128,
    /// What its maker calls it.
    name: &'static str,
    /// What is known against it, and from which firmware on it is not, in the maker's own count; a key that does not tell
    /// its firmware is an old one.
    advisory: Option<(Advisory, u64)>,
}

/// Something that is known against a model.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Advisory {
    /// Where to read about it.
    pub id: &'static str,
    /// What somebody can do because of it, as the end of a sentence.
    pub what: &'static str,
}

/// Infineon's ECDSA: all of Yubico's with that chip, until their own cryptography came.
const EUCLEAK: Advisory = Advisory {
    id: "YSA-2024-03, EUCLEAK",
    what: "whoever has it for a while, and a laboratory, can copy it",
};
/// NXP's chips of the A700x family (Titan, NEO).
const TITAN: Advisory = Advisory {
    id: "CVE-2021-3011",
    what: "whoever has it for some hours, and a laboratory, can copy it",
};
/// FIPS 4.4.2 and 4.4.4.
const WEAK_RANDOMNESS: Advisory = Advisory {
    id: "YSA-2019-02",
    what: "its first signatures after power-up may give its secret away",
};

/// 5.7.0, the first without Infineon's code, and 5.7.2 for those with a reader of fingerprints.
const FIRST_SOUND: Option<(Advisory, u64)> = Some((EUCLEAK, 0x05_07_00));
const FIRST_SOUND_BIO: Option<(Advisory, u64)> = Some((EUCLEAK, 0x05_07_02));

const fn model(aaguid: u128, name: &'static str, advisory: Option<(Advisory, u64)>) -> Model {
    Model { aaguid, name, advisory }
}

/// In the order of their names.
const MODELS: [Model; 33] = [
    model(0xf8a011f3_8c0a_4d15_8006_17111f9edc7d, "Security Key by Yubico", FIRST_SOUND),
    model(0xb92c3f9a_c014_4056_887f_140a2501163b, "Security Key by Yubico", FIRST_SOUND),
    model(0x6d44ba9b_f6ec_2e49_b930_0c8fe920cb73, "Security Key NFC", FIRST_SOUND),
    model(0x149a2021_8ef6_4133_96b8_81f8d5b7f1f5, "Security Key NFC", FIRST_SOUND),
    model(0xa4e9fc6d_4cbe_4758_b8ba_37598bb5bbaa, "Security Key NFC", FIRST_SOUND),
    model(0xe77e3c64_05e3_428b_8824_0cbeb04b829d, "Security Key NFC", None),
    model(0xb7d3f68e_88a6_471e_9ecf_2df26d041ede, "Security Key NFC", None),
    model(0x0bb43545_fd2c_4185_87dd_feb0b2916ace, "Security Key NFC Enterprise", FIRST_SOUND),
    model(0x47ab2fb4_66ac_4184_9ae1_86be814012d5, "Security Key NFC Enterprise", None),
    model(0xed042a3a_4b22_4455_bb69_a267b652ae7e, "Security Key NFC Enterprise", None),
    model(0x42b4fb4a_2866_43b2_9bf7_6c6669c2e5d3, "Titan Security Key", None),
    model(0xcb69481e_8ff7_4039_93ec_0a2729a154a8, "YubiKey 5", FIRST_SOUND),
    model(0xee882879_721c_4913_9775_3dfcce97072a, "YubiKey 5", FIRST_SOUND),
    model(0x19083c3d_8383_4b18_bc03_8f1c9ab2fd1b, "YubiKey 5", None),
    model(0xff4dac45_ede8_4ec2_aced_cf66103f4335, "YubiKey 5", None),
    model(0x73bb0cd4_e502_49b8_9c6f_b59445bf720b, "YubiKey 5 FIPS", FIRST_SOUND),
    model(0x57f7de54_c807_4eab_b1c6_1c9be7984e92, "YubiKey 5 FIPS", None),
    model(0xfa2b99dc_9e39_4257_8f92_4a30d23c4118, "YubiKey 5 NFC", FIRST_SOUND),
    model(0x2fc0579f_8113_47ea_b116_bb5a8db9202a, "YubiKey 5 NFC", FIRST_SOUND),
    model(0xa25342c0_3cdc_4414_8e46_f4807fca511c, "YubiKey 5 NFC", None),
    model(0xd7781e5d_e353_46aa_afe2_3ca49f13332a, "YubiKey 5 NFC", None),
    model(0xc1f9a0bc_1dd2_404a_b27f_8e29047a43fd, "YubiKey 5 NFC FIPS", FIRST_SOUND),
    model(0xfcc0118f_cd45_435b_8da1_9782b2da0715, "YubiKey 5 NFC FIPS", None),
    model(0xc5ef55ff_ad9a_4b9f_b580_adebafe026d0, "YubiKey 5Ci", FIRST_SOUND),
    model(0xa02167b9_ae71_4ac7_9a07_06432ebb6f1c, "YubiKey 5Ci", None),
    model(0x24673149_6c86_42e7_98d9_433fb5b73296, "YubiKey 5Ci", None),
    model(0x85203421_48f9_4355_9bc8_8a53846e5083, "YubiKey 5Ci FIPS", FIRST_SOUND),
    model(0xd8522d9f_575b_4866_88a9_ba99fa02f35b, "YubiKey Bio", FIRST_SOUND_BIO),
    model(0x83c47309_aabb_4108_8470_8be838b573cb, "YubiKey Bio", FIRST_SOUND_BIO),
    model(0x7d1351a6_e097_4852_b8bf_c9ac5c9ce4a3, "YubiKey Bio", FIRST_SOUND_BIO),
    model(0xdd86a2da_86a0_4cbe_b462_4bd31f57bc6f, "YubiKey Bio", None),
    model(0x7409272d_1ff9_4e10_9fc9_ac0019c124fd, "YubiKey Bio", None),
    model(0x90636e1f_ef82_43bf_bdcf_5255f139d12f, "YubiKey Bio", None),
];

fn find(aaguid: [u8; 16]) -> Option<&'static Model> {
    let number = u128::from_be_bytes(aaguid);
    MODELS.iter().find(|model| model.aaguid == number)
}

/// What the model of that number is called.
#[must_use]
pub fn named(aaguid: [u8; 16]) -> Option<&'static str> {
    find(aaguid).map(|model| model.name)
}

/// What is known against a key with these numbers, where it has them: that of its model, of its firmware (CTAP 2.1 section
/// 6.4, firmwareVersion), of its device.
#[must_use]
pub fn advisory(
    aaguid: Option<[u8; 16]>,
    firmware: Option<u64>,
    usb: Option<Usb>,
) -> Option<Advisory> {
    let of_model = aaguid.and_then(find).and_then(|model| model.advisory);
    match of_model {
        Some((_, sound)) if firmware.is_some_and(|firmware| firmware >= sound) => None,
        Some((advisory, _)) => Some(advisory),
        None => usb.and_then(of_device),
    }
}

/// What is known against a device: of the first generation, whose keys have no model number.
fn of_device(usb: Usb) -> Option<Advisory> {
    match (usb.vendor, usb.product, usb.release) {
        // The first Titan; and the four kinds of the YubiKey NEO that have U2F.
        (0x18d1, 0x5026, _) | (0x1050, 0x0113..=0x0116, _) => Some(TITAN),
        // Releases that only the YubiKey FIPS had; Yubico's are the version of the firmware.
        (0x1050, 0x0402 | 0x0403 | 0x0406 | 0x0407, Some(0x0442 | 0x0444)) => Some(WEAK_RANDOMNESS),
        _ => None,
    }
}
