//! An edit of stacks that is undone unless somebody logs in by it: the journal between the edit and the login, as TOML text
//! to values and back. Where it is and what is done with it is decided elsewhere.
//!
//! Times are seconds since boot, of the boot that is named: no clock that anybody sets, and no sleep, makes one longer.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

use crate::base64url;
use crate::text::{Misfit, Source, nowhere, quoted};

/// The most services of one edit.
pub const EDITS_MAX: usize = 32;

/// What is pending.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pending {
    /// The boot that it was made in, as the kernel names it.
    pub boot: String,
    /// When it ends, in seconds since that boot, sleep included.
    pub deadline: u64,
    /// The services that nobody has logged in by yet.
    pub edits: Vec<Edit>,
}

/// The edit of one service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Edit {
    /// Its name, which is that of its file in `/etc/pam.d`.
    pub service: String,
    /// The text was in the vendor's directory only, so that undoing it removes the file.
    pub made: bool,
    /// SHA-256 of the text that was put there: another one has been written by somebody else since, and stays.
    pub written: [u8; 32],
    /// SHA-256 of the text before, which is kept beside.
    pub before: [u8; 32],
    /// The logins by this service that were known when it was made: see [`crate::state::State::marks`].
    pub known: Vec<String>,
}

impl Pending {
    /// Reads the text of a journal, at most 64 KiB of UTF-8.
    ///
    /// # Errors
    /// The first [`Misfit`].
    pub fn parse(text: &[u8]) -> Result<Self, Misfit> {
        let source = Source::new(text)?;
        let raw: Raw = source.parse()?;
        if raw.edit.len() > EDITS_MAX {
            return Err(nowhere("more than 32 edits"));
        }
        let hash = |key, value: &Spanned<String>| {
            source.value(key, value, |text| {
                let bytes = base64url::decode(text).and_then(|bytes| bytes.try_into().ok());
                bytes.ok_or("must be 32 bytes as base64url without padding")
            })
        };
        let edit = |raw: &RawEdit| {
            Ok(Edit {
                service: source.value("service", &raw.service, |name| file_name(name))?,
                made: raw.made,
                written: hash("written", &raw.written)?,
                before: hash("before", &raw.before)?,
                known: raw.known.clone(),
            })
        };
        Ok(Self {
            boot: raw.boot,
            deadline: source.value("deadline", &raw.deadline, |&deadline| {
                u64::try_from(deadline).map_err(|_| "must not be negative")
            })?,
            edits: raw.edit.iter().map(edit).collect::<Result<_, _>>()?,
        })
    }

    /// The text, which [`Pending::parse`] reads again to the same.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let deadline = i64::try_from(self.deadline).unwrap_or(i64::MAX);
        let mut text =
            format!("schema = 1\nboot = {}\ndeadline = {deadline}\n", quoted(&self.boot));
        for edit in &self.edits {
            let known: Vec<String> = edit.known.iter().map(|mark| quoted(mark)).collect();
            text.push_str(&format!(
                "\n[[edit]]\nservice = {}\nmade = {}\nwritten = \"{}\"\nbefore = \"{}\"\nknown = [{}]\n",
                quoted(&edit.service),
                edit.made,
                base64url::encode(&edit.written),
                base64url::encode(&edit.before),
                known.join(", ")
            ));
        }
        text
    }

    /// Whether its time is over, `now` seconds after the beginning of `boot`.
    #[must_use]
    pub fn is_over(&self, boot: &str, now: u64) -> bool {
        self.boot != boot || now >= self.deadline
    }
}

/// SHA-256 of a text.
#[must_use]
pub fn hash(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// A service whose file can be in `/etc/pam.d`, and in no other directory.
fn file_name(name: &str) -> Result<String, &'static str> {
    match name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
        true => Err("not the name of a service"),
        false => Ok(name.to_owned()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    // Checked when the text is read; named here so that it must be there.
    #[expect(dead_code, reason = "its presence is all that is asked of it here")]
    schema: i64,
    boot: String,
    deadline: Spanned<i64>,
    #[serde(default)]
    edit: Vec<RawEdit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEdit {
    service: Spanned<String>,
    made: bool,
    written: Spanned<String>,
    before: Spanned<String>,
    known: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending() -> Pending {
        let edit = |service: &str, known: &[&str]| Edit {
            service: service.to_owned(),
            made: service == "login",
            written: hash(b"new"),
            before: hash(b"old"),
            known: known.iter().map(|&mark| mark.to_owned()).collect(),
        };
        Pending {
            boot: "f5d0b7c6-0000-4000-8000-000000000001".to_owned(),
            deadline: 300,
            edits: vec![edit("sudo", &["alice AAAA 7 \"odd\""]), edit("login", &[])],
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(Pending::parse(pending().to_toml().as_bytes()), Ok(pending()));
    }

    #[test]
    fn given_another_boot_or_the_time_then_it_is_over() {
        let boot = pending().boot;
        assert!(!pending().is_over(&boot, 299));
        assert!(pending().is_over(&boot, 300));
        assert!(pending().is_over("another", 1));
    }

    #[test]
    fn given_a_journal_that_points_elsewhere_then_it_is_refused() {
        for name in ["../shadow", "a/b", ".new", ""] {
            let text = pending().to_toml().replace("\"sudo\"", &quoted(name));
            assert!(Pending::parse(text.as_bytes()).is_err(), "{name}");
        }
        let text = pending().to_toml();
        assert!(Pending::parse(text.replace("schema = 1", "schema = 2").as_bytes()).is_err());
        assert!(Pending::parse(text.replace("= 300", "= -1").as_bytes()).is_err());
        assert!(Pending::parse(text.replace("made", "maid").as_bytes()).is_err());
    }
}
