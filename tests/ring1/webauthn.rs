//! The test vectors of WebAuthn Level 3 section 16: assertions that others signed, of keys that others made.
//!
//! All of ES256 and EdDSA: 16.2 to 16.7 and 16.11 as they are printed, and 16.13 to 16.16 (the last is that of
//! U2F) derived as the specification says that it derives them, from its seed by HKDF and by deterministic
//! ECDSA; the same derivation gives 16.2 as it is printed. The client data of each are put together from their
//! parts; a wrong part would not verify.

use fidokey_core::assertion::PublicKey;
use fidokey_core::base64url;
use fidokey_core::credential::Algorithm;
use sha2::{Digest as _, Sha256};

struct Vector {
    section: &'static str,
    algorithm: Algorithm,
    /// For ES256 x and y, for EdDSA the key.
    public_key: [&'static str; 2],
    challenge: &'static str,
    flags: u8,
    /// What follows `"crossOrigin":` in the client data, to their end.
    end: &'static str,
    /// The random part of `extraData`, where there is one.
    extra: Option<&'static str>,
    signature: &'static str,
}

const VECTORS: [Vector; 11] = [
    Vector {
        section: "16.2",
        algorithm: Algorithm::Es256,
        public_key: [
            "afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61",
            "930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220",
        ],
        challenge: "39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408",
        flags: 0x19,
        end: "false",
        extra: None,
        signature: "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd38\
                    0221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87",
    },
    Vector {
        section: "16.3",
        algorithm: Algorithm::Es256,
        public_key: [
            "eb151c8176b225cc651559fecf07af450fd85802046656b34c18f6cf193843c5",
            "927b8aa427a2be1b8834d233a2d34f61f13bfd44119c325d5896e183fee484f2",
        ],
        challenge: "4478a10b1352348dd160c1353b0d469b5db19eb91c27f7dfa6fed39fe26af20b",
        flags: 0x09,
        end: "false",
        extra: Some("gTb53rz6EhSWomXGzimC1Q"),
        signature: "304402203310b9431903c401f1be2bdc8d23a4007682dbbddcf846994947b7f465daf84002\
                    204e94dd00047b316061b3b99772b7efd95994a83ef584b3b6b825ea3550251b66",
    },
    Vector {
        section: "16.4",
        algorithm: Algorithm::Es256,
        public_key: [
            "22200a473f90b11078851550d03b4e44a2279f8c4eca27b3153dedfe03e4e97d",
            "cbd0be95e746ad6f5a8191be11756e4c0420e72f65b466d39bc56b8b123a9c6e",
        ],
        challenge: "876aa517ba83fdee65fcffdbca4c84eeae5d54f8041a1fc85c991e5bbb273137",
        flags: 0x05,
        end: "true",
        extra: Some("92pcTVD0Aby-q4dtmj6efg"),
        signature: "3046022100eb12fcf23b12764c0f122e22371fab92e283879fd798f38ee1841c951b6e40e7\
                    022100c76237ff9db77b3c56f30837cda6a09acfa2e915544e609c0733b1184036d1cf",
    },
    Vector {
        section: "16.5",
        algorithm: Algorithm::Es256,
        public_key: [
            "a1c47c1d82da4ebe82cd72207102b380670701993bc35398ae2e5726427fe01d",
            "86c1080d82987028c7f54ecb1b01185de243b359294a0ed210cd47480f0adc88",
        ],
        challenge: "d54a5c8ca4b62a8e3bb321e3b2bc73856f85a10150db2939ac195739eb1ea066",
        flags: 0x05,
        end: "true,\"topOrigin\":\"https://example.com\"",
        extra: Some("UiFoJMVRQHDAFWFi4vxUpQ"),
        signature: "3045022100b5a70c81780d5fcc9a4f2ae9caae99058f8accaf58b91fb59329646c28ac6ffc\
                    022012e101c165db3c8e9957f0c54dd6ca9b56bc3bd2f280bd2faa6c1d02c6e5c171",
    },
    Vector {
        section: "16.6",
        algorithm: Algorithm::Es256,
        public_key: [
            "3b8176b7504489cc593046d7988abb7905a742de6ac2cdc748a873c663e90cb1",
            "1436d5edc9a75f23999eef9d5950a5c2455514ee1014084720f841a06b828a11",
        ],
        challenge: "ef1deba56dce48f674a447ccf63b9599258ce87648e5c396f2ef0ca1da460e3b",
        flags: 0x0d,
        end: "false",
        extra: None,
        signature: "304502203ecef83fb12a0cae7841055f9f87103a99fd14b424194bbf06c4623d3ee6e3fd02\
                    2100d2ace346db262b1374a6b70faa51f518a42ddca13a4125ce6f5052a75bac9fb6",
    },
    Vector {
        section: "16.7",
        algorithm: Algorithm::Es256,
        public_key: [
            "1cf27f25da591208a4239c2e324f104f585525479a29edeedd830f48e77aeae5",
            "59e4b7da6c0106e206ce390c93ab98a15a5ec3887e57f0cc2bece803b920c423",
        ],
        challenge: "b1106fa46a57bef1781511c0557dc898a03413d5f0f17d244630c194c7e1adb5",
        flags: 0x0d,
        end: "false",
        extra: Some("AZMwyMxIbD8-uguFNp6r8Q"),
        signature: "30450220694969d3ee928de6f02ef23a9c644d7d779916451734a94b432542f498a1ebe902\
                    21008b0819c824218a97152cd099c55bfb1477b29d900a49a64018314f9bfccda163",
    },
    Vector {
        section: "16.11",
        algorithm: Algorithm::EdDsa,
        public_key: ["44e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832", ""],
        challenge: "895957e01c633a698348a2d8a31a54b7db27e8c1c43b2080d79ae2190267bfd2",
        flags: 0x01,
        end: "false",
        extra: None,
        signature: "f5c59c7e46c34f6f8cc197101ddf9934fa2595f68eb1913a637e8419eb9ba4cf\
                    dfc48f85393bc0d40b011f0d6fecb097d6607525713223a0dc0d453993dae00b",
    },
    Vector {
        section: "16.13",
        algorithm: Algorithm::Es256,
        public_key: [
            "41202698c9d9753fb4bb3f27cd09fe6b8afdb76438ee2ae54d7c9dade10d864b",
            "d8735115cdb330a63ea1d6e43d5000f4bd56f99bce83ee1d73301fc270116d07",
        ],
        challenge: "00093b66c21d5b5e89f7a07082118907ea3e502d343b314b8c5a54d62db202fb",
        flags: 0x0d,
        end: "false",
        extra: None,
        signature: "3045022060dc76b1607ec716c6e5eba8d056695ed6bc47b2e3d7a729c34e759e3ab66aa00221\
                    00d010a9e8fddcb64c439dfdca628ddb33cf245d567d157d9f66f942601bed9b38",
    },
    Vector {
        section: "16.14",
        algorithm: Algorithm::Es256,
        public_key: [
            "99169657036d089a2a9821a7d0063d341f1a4613389359636efab5f3cbf1accf",
            "dd91c55543176ea99b644406dd1dd63774b6af65ac759e06ff40b1c8ab02df6b",
        ],
        challenge: "e4ee05ca9dbced74116540f24ed9adc62aae8507560522844ffa7eea14f7af86",
        flags: 0x09,
        end: "false",
        extra: Some("qxJxB-_xgrwyML618drSnA"),
        signature: "3045022100a2b5e37da43ceb63566f6e2817c6cbef261073d0cadfd213ff6229bd33ddea6c02\
                    203d77eb3202fc92b9b5bb843ef082c7766f8c7f23194c92708ff2f3d1de765a8f",
    },
    Vector {
        section: "16.15",
        algorithm: Algorithm::Es256,
        public_key: [
            "8a3d5b1b4c543a706bf6e4b00afedb3c930b690dd286934fe2911f779cc7761a",
            "f728e1aa3b0ff66692192daa776b83ddf8e3340d2d9a0eabdfc324eb3e2f136c",
        ],
        challenge: "d3eb2964641e26fed023403a72dde093b19c4ba9008c3f9dd83fcfd347a66d05",
        flags: 0x09,
        end: "false",
        extra: None,
        signature: "3046022100ee35db795ce28044e1f8231d68b3d79a9882f7415aa35c1b5ac74d24251073c802\
                    2100dcc65691650a412d0ceef843710c09827acf26c7845bddac07eec95863e7fc4c",
    },
    Vector {
        section: "16.16",
        algorithm: Algorithm::Es256,
        public_key: [
            "b0d62de6b30f86f0bac7a9016951391c2e31849e2e64661cbd2b13cd7d5508ad",
            "503b0bda2a357a9a4b34475a28e65b660b4898a9e3e9bbf0820d43494297edd0",
        ],
        challenge: "f90c612981d84f599438de1a500f76926e92cc84bef8e02c6e23553f00485435",
        flags: 0x01,
        end: "false",
        extra: None,
        signature: "304402206172459958fea907b7292b92f555034bfd884895f287a76200c1ba28723913700220\
                    4727b166147e26a21bbc2921d192ebfed569b79438538e5c128b5e28e6926dd7",
    },
];

impl Vector {
    fn public_key(&self) -> PublicKey {
        let [x, y] = self.public_key.map(from_hex);
        let bytes = match self.algorithm {
            Algorithm::Es256 => [&[0x04][..], &x, &y].concat(),
            Algorithm::EdDsa => x,
        };
        PublicKey::new(self.algorithm, &bytes).unwrap()
    }

    /// Authenticator data and client data hash, as signed.
    fn signed(&self) -> Vec<u8> {
        let challenge = base64url::encode(&from_hex(self.challenge));
        let mut client_data = format!(
            "{{\"type\":\"webauthn.get\",\"challenge\":\"{challenge}\",\"origin\":\"https://example.org\",\
             \"crossOrigin\":{}",
            self.end
        );
        if let Some(extra) = self.extra {
            client_data += ",\"extraData\":\"clientDataJSON may be extended with additional fields in the \
                            future, such as this: ";
            client_data += extra;
            client_data.push('"');
        }
        client_data.push('}');
        let rp_id_hash = Sha256::digest("example.org");
        let hash = Sha256::digest(client_data);
        [&rp_id_hash[..], &[self.flags, 0, 0, 0, 0], &hash[..]].concat()
    }
}

/// BAR C17.
#[test]
fn given_the_assertions_of_webauthn_section_16_then_they_verify_and_with_any_byte_changed_do_not() {
    for vector in VECTORS {
        let (key, signed) = (vector.public_key(), vector.signed());
        let signature = from_hex(vector.signature);
        assert!(key.verifies(&signed, &signature), "{}", vector.section);
        for at in 0..signed.len() {
            let mut changed = signed.clone();
            changed[at] = changed[at].wrapping_add(1);
            assert!(!key.verifies(&changed, &signature), "{} byte {at}", vector.section);
        }
        for at in 0..signature.len() {
            let mut changed = signature.clone();
            changed[at] = changed[at].wrapping_add(1);
            assert!(!key.verifies(&signed, &changed), "{} signature {at}", vector.section);
        }
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
