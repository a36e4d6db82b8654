//! The words of a record as types that cannot hold a wrong value.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The number of a user.
pub type Uid = u32;

/// The longest account name that is accepted, in bytes (`LOGIN_NAME_MAX` of Linux).
pub const ACCOUNT_NAME_MAX: usize = 256;
/// The longest name of a key, in characters.
pub const KEY_NAME_MAX: usize = 32;
/// The longest relying party id, in bytes (a DNS name's limit; WebAuthn sets none).
pub const RP_ID_MAX: usize = 255;
/// The longest credential id, in bytes (CTAP 2.1 section 6.1.2; WebAuthn section 5.8.3).
pub const CREDENTIAL_ID_MAX: usize = 1023;

/// A name that is not one, and why, for the log and for the command's user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadName(pub &'static str);

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The name of an account: 1 to 256 bytes, no control character, slash, colon or white space, and not
/// beginning with `-` or `.`, so that it can stand in a log line and in a command as it is.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AccountName(String);

impl AccountName {
    /// Takes `text` as the name of an account.
    ///
    /// # Errors
    /// [`BadName`] says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, BadName> {
        if text.is_empty() {
            return Err(BadName("an account name must not be empty"));
        }
        if text.len() > ACCOUNT_NAME_MAX {
            return Err(BadName("an account name has at most 256 bytes"));
        }
        if text.starts_with(['-', '.']) {
            return Err(BadName("an account name must not begin with '-' or '.'"));
        }
        if text.chars().any(|c| is_unprintable(c) || c.is_whitespace() || matches!(c, '/' | ':')) {
            return Err(BadName(
                "an account name has no control character, white space, '/' or ':'",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a key, chosen by its owner: 1 to 32 printable characters, no double quote or backslash, no
/// space at either end.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyName(String);

impl KeyName {
    /// Takes `text` as the name of a key.
    ///
    /// # Errors
    /// [`BadName`] says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, BadName> {
        if text.is_empty() {
            return Err(BadName("a key name must not be empty"));
        }
        if text.chars().count() > KEY_NAME_MAX {
            return Err(BadName("a key name has at most 32 characters"));
        }
        if text.trim() != text {
            return Err(BadName("a key name has no space at either end"));
        }
        if text.chars().any(|c| is_unprintable(c) || matches!(c, '"' | '\\')) {
            return Err(BadName("a key name has no control character, double quote or backslash"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for KeyName {
    /// What a key is called of which nothing is known.
    fn default() -> Self {
        Self("Key".to_owned())
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A relying party id: 1 to 255 printable ASCII characters without quotes, backslash or space. The scheme
/// prefix of ours (`pam://…`) keeps it from ever being a web origin.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RpId(String);

impl RpId {
    /// Takes `text` as a relying party id.
    ///
    /// # Errors
    /// [`BadName`] says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, BadName> {
        if text.is_empty() {
            return Err(BadName("a relying party id must not be empty"));
        }
        if text.len() > RP_ID_MAX {
            return Err(BadName("a relying party id has at most 255 bytes"));
        }
        if text.chars().any(|c| !c.is_ascii_graphic() || matches!(c, '"' | '\\' | '\'')) {
            return Err(BadName("a relying party id is printable ASCII without quotes"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for RpId {
    fn default() -> Self {
        Self("pam://fidokey".to_owned())
    }
}

impl fmt::Display for RpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A character that could change what a terminal or a log shows of its neighbours: C0, C1, DEL, line and
/// paragraph separators, marks of direction, zero-width characters.
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// What a credential signs with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// EdDSA with Ed25519, COSE -8.
    EdDsa,
    /// ECDSA with P-256 and SHA-256, COSE -7.
    Es256,
}

impl Algorithm {
    /// All of them; what a new key is asked for, the first before the second.
    pub const ALL: [Self; 2] = [Self::Es256, Self::EdDsa];

    /// The number that COSE gives it (RFC 9053).
    #[must_use]
    pub const fn cose(self) -> i16 {
        match self {
            Self::EdDsa => -8,
            Self::Es256 => -7,
        }
    }

    /// The word of records, lists and the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::EdDsa => "eddsa",
            Self::Es256 => "es256",
        }
    }
}

/// The generation of the protocol that a credential was registered with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// CTAP2.
    Fido2,
    /// CTAP1: it proves a touch and never more.
    U2f,
}

impl Protocol {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Fido2, Self::U2f];

    /// The word of records and lists.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fido2 => "fido2",
            Self::U2f => "u2f",
        }
    }
}

/// What a login must prove beyond the touch.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verification {
    /// The touch alone (UP).
    #[default]
    None,
    /// PIN or fingerprint as well (UV).
    Required,
}

impl Verification {
    /// Both, the weaker one first.
    pub const ALL: [Self; 2] = [Self::None, Self::Required];

    /// The word of records and policies.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Required => "required",
        }
    }
}

/// What a signature counter that went back gets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CounterPolicy {
    /// The login is denied.
    #[default]
    Deny,
    /// The login goes on and the log says it.
    Warn,
}

impl CounterPolicy {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Deny, Self::Warn];

    /// The word of records and policies.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
        }
    }
}

/// A credential id: 1 to 1023 bytes that only the key that made it understands.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct CredentialId(Vec<u8>);

impl CredentialId {
    /// Takes `bytes` as a credential id.
    ///
    /// # Errors
    /// [`BadName`] when there are none or too many.
    pub fn new(bytes: &[u8]) -> Result<Self, BadName> {
        match bytes.len() {
            1..=CREDENTIAL_ID_MAX => Ok(Self(bytes.to_vec())),
            _ => Err(BadName("a credential id has 1 to 1023 bytes")),
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its SHA-256, a name of one length for whatever is kept about it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }

    /// The first 4 bytes of its SHA-256: how logs and lists name a credential.
    #[must_use]
    pub fn tag(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.digest();
        [a, b, c, d]
    }
}

impl fmt::Debug for CredentialId {
    /// Only the length: the id is not a secret, but no log shows it whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialId({} bytes)", self.0.len())
    }
}

/// A credential as a record holds it. Its public key has been checked: it is a point of its curve.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The name that its owner gave it; unique within the record.
    pub name: KeyName,
    /// What it was registered with.
    pub protocol: Protocol,
    /// The relying party id that it is bound to.
    pub rp_id: RpId,
    /// Its id.
    pub id: CredentialId,
    /// Its public key, which also says the algorithm.
    pub public_key: crate::assertion::PublicKey,
    /// The least that it must prove at every login.
    pub verification: Verification,
    /// The user handle of the registration (WebAuthn section 4), 1 to 64 bytes, where it is known.
    pub user_handle: Option<Vec<u8>>,
    /// The BE flag of the registration, where it is known.
    pub backup_eligible: Option<bool>,
    /// What a counter that went back gets, where it is said for this credential; else the policy says it.
    pub counter: Option<CounterPolicy>,
    /// The model of the key as it calls itself, 16 bytes, where it is known.
    pub aaguid: Option<[u8; 16]>,
    /// When it was registered, as RFC 3339 in UTC; only shown.
    pub added: String,
    /// Who registered it; only shown.
    pub added_by: String,
}

impl Credential {
    /// Whether it can prove what itself and a login that requires so much want. A first-generation key proves a touch and
    /// nothing more.
    #[must_use]
    pub fn can_prove(&self, required: Verification) -> bool {
        self.verification.max(required) == Verification::None || self.protocol == Protocol::Fido2
    }
}
