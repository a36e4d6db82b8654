//! What other programs have written down of keys that were registered with them: pam-u2f's mappings and OpenSSH's files, as
//! credentials. Whose they become, and what is written of them, is decided elsewhere.
//!
//! Such a file may come from anybody. It is read in one pass, a line at a time, and what is wrong with it is told by constant
//! sentences: nothing of the file is in them.

use std::fmt;

use crate::assertion::PublicKey;
use crate::base64url;
use crate::credential::{CredentialId, RpId};

pub mod pam_u2f;
pub mod ssh;

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)]
mod tests;

/// The largest file that is read, in bytes: the mapping of some thousand accounts.
pub const FILE_MAX: usize = 1024 * 1024;
/// The longest line that is read, in bytes: two dozen credentials with ids of the longest there can be.
pub const LINE_MAX: usize = 64 * 1024;

/// Why something cannot be carried over: what is missing or wrong, and what to do instead where that is not plain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unfit {
    /// An algorithm that no login here verifies.
    Algorithm,
    /// Bound to something that is not ssh.
    Application,
    /// A certificate, and not a key.
    Certificate,
    /// A private key behind a passphrase.
    Encrypted,
    /// The id is not base64, or not of 1 to 1023 bytes.
    Id,
    /// A line longer than [`LINE_MAX`].
    Long,
    /// Not what such a file has.
    Malformed,
    /// Another credential of its line is [`Unfit::Malformed`].
    Neighbour,
    /// The key of no security key.
    NotSecurityKey,
    /// An option or flag that means nothing here, so that nobody knows what it asks for.
    Option,
    /// The public key is not one of its algorithm.
    PublicKey,
    /// The key has it, and the file does not say which it is.
    Resident,
    /// It may be used for something alone that a login is not.
    Restricted,
    /// OpenSSH made it so that it cannot be found without its PIN.
    VerifyRequired,
}

impl Unfit {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Algorithm,
        Self::Application,
        Self::Certificate,
        Self::Encrypted,
        Self::Id,
        Self::Long,
        Self::Malformed,
        Self::Neighbour,
        Self::NotSecurityKey,
        Self::Option,
        Self::PublicKey,
        Self::Resident,
        Self::Restricted,
        Self::VerifyRequired,
    ];
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Algorithm => "its algorithm is none of es256 and eddsa: register the key anew",
            Self::Application => "it is not bound to \"ssh:\"",
            Self::Certificate => "it is a certificate: give the key that it is for",
            Self::Encrypted => {
                "it has a passphrase: give a copy without one (ssh-keygen -p -N '' -f COPY)"
            }
            Self::Id => "its key handle is not base64 of 1 to 1023 bytes",
            Self::Long => "it is longer than 64 KiB",
            Self::Malformed => "it is not what such a file has",
            Self::Neighbour => {
                "it is not used either, for another key of its line is not what such a file has"
            }
            Self::NotSecurityKey => "it is not the key of a security key",
            Self::Option => "it has an option that means nothing here",
            Self::PublicKey => "its public key is none of its algorithm",
            Self::Resident => {
                "it is a resident credential (\"*\"), which only the key itself knows: register it anew"
            }
            Self::Restricted => "its options limit it to something that a login here is not",
            Self::VerifyRequired => {
                "it is a verify-required key: without its PIN it does not even say that the credential is its own, and no \
                 login types a PIN for a key that may be somebody else's; register it anew with --verification required"
            }
        })
    }
}

/// The lines of a file with their numbers, from 1, without what ends them, a carriage return included.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, Result<&str, Unfit>)> {
    (1..)
        .zip(text.split(|byte| *byte == b'\n'))
        .map(|(number, line)| (number, line_of(line.strip_suffix(b"\r").unwrap_or(line))))
}

/// The text of a line.
fn line_of(line: &[u8]) -> Result<&str, Unfit> {
    match line.len() > LINE_MAX {
        true => Err(Unfit::Long),
        false => str::from_utf8(line).map_err(|_| Unfit::Malformed),
    }
}

/// The bytes of base64 in either alphabet, with its padding or without any. What is left over in the last character must be
/// zero, as everywhere here: one text more for the same bytes is one that somebody has bent.
fn base64(text: &str) -> Option<Vec<u8>> {
    let bare = text.trim_end_matches('=');
    let padding = text.len().saturating_sub(bare.len());
    if padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return None;
    }
    base64url::decode(&bare.replace('+', "-").replace('/', "_"))
}

/// A credential id in base64.
fn id(text: &str) -> Result<CredentialId, Unfit> {
    let bytes = base64(text).ok_or(Unfit::Id)?;
    CredentialId::new(&bytes).map_err(|_| Unfit::Id)
}

/// A public key and what it is bound to, which is all that OpenSSH's public files know of a credential.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The relying party id.
    pub rp_id: RpId,
    /// The public key.
    pub public_key: PublicKey,
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        let (one, another) = (&self.public_key, &other.public_key);
        self.rp_id == other.rp_id
            && one.algorithm() == another.algorithm()
            && one.to_bytes() == another.to_bytes()
    }
}
