//! OpenSSH's files of security keys: private keys, which hold the key handle and nothing that is secret, and public keys and
//! `authorized_keys`, which do not hold it (PROTOCOL.key, PROTOCOL.u2f, sshd(8)).

use zeroize::Zeroizing;

use crate::assertion::PublicKey;
use crate::credential::{Algorithm, CredentialId, RpId};

use super::{Bound, Unfit, base64, lines};

const HEADER: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const FOOTER: &str = "-----END OPENSSH PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";
/// What fills up a block of a cipher, where there is none.
const PADDING: &[u8] = &[1, 2, 3, 4, 5, 6, 7];
/// The types of the keys of security keys.
const ES256: &str = "sk-ecdsa-sha2-nistp256@openssh.com";
const EDDSA: &str = "sk-ssh-ed25519@openssh.com";
/// What OpenSSH binds its credentials to begins so.
const APPLICATION: &str = "ssh:";

/// The flags of a private key (`sk-api.h`).
mod flag {
    /// It has to be touched.
    pub(super) const TOUCH: u8 = 0x01;
    /// Its PIN has to be typed: registered with credential protection of level 3.
    pub(super) const VERIFY: u8 = 0x04;
    /// An older one in the key was written over.
    pub(super) const FORCE: u8 = 0x10;
    /// The key has it as well.
    pub(super) const RESIDENT: u8 = 0x20;
}

/// Options of `authorized_keys` that take nothing away from a key, in lower case.
const PERMITTING: [&str; 6] = [
    "agent-forwarding",
    "no-touch-required",
    "port-forwarding",
    "pty",
    "user-rc",
    "x11-forwarding",
];

/// A private key.
#[derive(Clone, Debug)]
pub struct PrivateKey {
    /// What its public key would say.
    pub bound: Bound,
    /// The key handle.
    pub id: CredentialId,
    /// What somebody has noted in it.
    pub comment: String,
}

/// Whether `text` is that of a private key, of whatever kind.
#[must_use]
pub fn is_private(text: &[u8]) -> bool {
    let begins = b"-----BEGIN ";
    text.trim_ascii_start().starts_with(begins)
}

/// The private key in `text`.
///
/// # Errors
/// [`Unfit`]. What is secret in a key that is no security key's is not looked at.
pub fn private_key(text: &[u8]) -> Result<PrivateKey, Unfit> {
    let bytes = Zeroizing::new(armoured(text)?);
    let rest = bytes.strip_prefix(MAGIC).ok_or(Unfit::Malformed)?;
    let mut outer = Reader(rest);
    let (cipher, _kdf, _options) = (outer.string()?, outer.string()?, outer.string()?);
    if outer.number()? != 1 {
        return Err(Unfit::Malformed);
    }
    // Public, and there also where the rest is encrypted.
    let bound = public_blob(outer.string()?)?;
    if cipher != b"none" {
        return Err(Unfit::Encrypted);
    }
    let mut inner = Reader(outer.string()?);
    outer.end()?;
    if inner.number()? != inner.number()? {
        return Err(Unfit::Malformed);
    }
    if inner.bound()? != bound {
        return Err(Unfit::Malformed);
    }
    let flags = inner.byte()?;
    let id = CredentialId::new(inner.string()?).map_err(|_| Unfit::Id)?;
    let _reserved = inner.string()?;
    let comment = str::from_utf8(inner.string()?).map_err(|_| Unfit::Malformed)?.to_owned();
    // 1, 2, 3 … up to the size of a block.
    if !PADDING.starts_with(inner.0) {
        return Err(Unfit::Malformed);
    }
    if flags & flag::VERIFY != 0 {
        return Err(Unfit::VerifyRequired);
    }
    if flags & !(flag::TOUCH | flag::FORCE | flag::RESIDENT) != 0 {
        return Err(Unfit::Option);
    }
    Ok(PrivateKey { bound, id, comment })
}

/// The bytes between header and footer.
fn armoured(text: &[u8]) -> Result<Vec<u8>, Unfit> {
    let text = str::from_utf8(text).map_err(|_| Unfit::Malformed)?.trim_ascii();
    let text = text.strip_prefix(HEADER).and_then(|text| text.strip_suffix(FOOTER));
    let digits: Zeroizing<String> = Zeroizing::new(
        text.ok_or(Unfit::Malformed)?.chars().filter(|c| !c.is_ascii_whitespace()).collect(),
    );
    base64(&digits).ok_or(Unfit::Malformed)
}

/// Public keys, one a line: of a `.pub` file, or of `authorized_keys`, whose options may not take anything away. Each with the
/// number of its line; empty lines and comments are none.
pub fn public_keys(text: &[u8]) -> impl Iterator<Item = (usize, Result<Bound, Refused>)> {
    let keys = lines(text).map(|(number, line)| (number, line.map(str::trim_ascii)));
    let said =
        keys.filter(|(_, line)| !line.is_ok_and(|line| line.is_empty() || line.starts_with('#')));
    said.map(|(number, line)| (number, line.map_err(Refused::from).and_then(public_key)))
}

/// A line that lets no key in, or not everywhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// Why.
    pub why: Unfit,
    /// The key that it limits: another line must not let that in.
    pub limits: Option<Box<Bound>>,
}

impl From<Unfit> for Refused {
    fn from(why: Unfit) -> Self {
        Self { why, limits: None }
    }
}

fn public_key(line: &str) -> Result<Bound, Refused> {
    let (options, rest) = match is_type(word(line).0) {
        true => ("", line),
        false => word(line),
    };
    let (kind, rest) = word(rest);
    // Before the options: what they limit does not matter where nothing is limited.
    if kind.contains("-cert-") {
        return Err(Unfit::Certificate.into());
    }
    if kind != ES256 && kind != EDDSA {
        return Err(if is_type(kind) { Unfit::NotSecurityKey } else { Unfit::Malformed }.into());
    }
    let blob = base64(word(rest).0).ok_or(Unfit::Malformed)?;
    let bound = public_blob(&blob)?;
    if Reader(&blob).string()? != kind.as_bytes() {
        return Err(Unfit::Malformed.into());
    }
    for option in split(options, ',').filter(|option| !option.is_empty()) {
        let name = option.split('=').next().unwrap_or_default().to_ascii_lowercase();
        let why = match name.as_str() {
            name if PERMITTING.contains(&name) && name.len() == option.len() => continue,
            "verify-required" => Unfit::VerifyRequired,
            _ => Unfit::Restricted,
        };
        return Err(Refused { why, limits: Some(Box::new(bound)) });
    }
    Ok(bound)
}

/// Whether a word is the type of a key and not options, as all the types there are begin.
fn is_type(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-", "webauthn-"].iter().any(|prefix| word.starts_with(prefix))
}

/// The first word, in which what is between quotes is no blank, and what follows the blanks behind it.
fn word(text: &str) -> (&str, &str) {
    let end = unquoted(text, |c| c == ' ' || c == '\t').unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (word, rest.trim_ascii_start())
}

/// The parts of a list, in which what is between quotes ends none.
fn split(mut text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let at = unquoted(text, |c| c == separator);
        ended = at.is_none();
        let (part, rest) = text.split_at_checked(at.unwrap_or(text.len()))?;
        text = rest.strip_prefix(separator).unwrap_or_default();
        Some(part)
    })
}

/// Where the first character outside of quotes is that `wanted` wants. A quote behind a backslash is none.
fn unquoted(text: &str, wanted: impl Fn(char) -> bool) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        if !quoted && wanted(c) {
            return Some(at);
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\';
    }
    None
}

/// A public key, which is the whole of `blob`.
fn public_blob(blob: &[u8]) -> Result<Bound, Unfit> {
    let mut reader = Reader(blob);
    let bound = reader.bound()?;
    reader.end()?;
    Ok(bound)
}

/// What is left to be read of a message of SSH (RFC 4251 section 5).
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Result<u32, Unfit> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Unfit::Malformed)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    fn byte(&mut self) -> Result<u8, Unfit> {
        let (byte, rest) = self.0.split_first().ok_or(Unfit::Malformed)?;
        self.0 = rest;
        Ok(*byte)
    }

    fn string(&mut self) -> Result<&'a [u8], Unfit> {
        let length = usize::try_from(self.number()?).map_err(|_| Unfit::Malformed)?;
        let (string, rest) = self.0.split_at_checked(length).ok_or(Unfit::Malformed)?;
        self.0 = rest;
        Ok(string)
    }

    /// Type, public key and application.
    fn bound(&mut self) -> Result<Bound, Unfit> {
        let algorithm = match self.string()? {
            kind if kind == ES256.as_bytes() => Algorithm::Es256,
            kind if kind == EDDSA.as_bytes() => Algorithm::EdDsa,
            _ => return Err(Unfit::NotSecurityKey),
        };
        if algorithm == Algorithm::Es256 && self.string()? != b"nistp256" {
            return Err(Unfit::Malformed);
        }
        let public_key = PublicKey::new(algorithm, self.string()?).ok_or(Unfit::PublicKey)?;
        let application = str::from_utf8(self.string()?).map_err(|_| Unfit::Application)?;
        if !application.starts_with(APPLICATION) {
            return Err(Unfit::Application);
        }
        let rp_id = RpId::new(application).map_err(|_| Unfit::Application)?;
        Ok(Bound { rp_id, public_key })
    }

    /// There is nothing left.
    fn end(&self) -> Result<(), Unfit> {
        if self.0.is_empty() { Ok(()) } else { Err(Unfit::Malformed) }
    }
}
