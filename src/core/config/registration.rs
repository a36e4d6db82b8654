//! The policy's table of which keys may be registered.

use serde::Deserialize;
use toml::Spanned;

use crate::credential::is_unprintable;
use crate::record::parse_uuid;
use crate::text::{Misfit, Source};

/// The longest path, in bytes (`PATH_MAX` of Linux, less its NUL).
const PATH_MAX: usize = 4095;

/// Which keys may be registered: all of them, where nothing is said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Registration {
    /// The models that may be, by the numbers that keys give; at least one.
    pub aaguids: Option<Vec<[u8; 16]>>,
    /// The absolute path of a file with the certificates of those whose attestation is required.
    pub attestation_roots: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRegistration {
    aaguids: Option<Spanned<Vec<Spanned<String>>>>,
    attestation_roots: Option<Spanned<String>>,
}

impl RawRegistration {
    pub(super) fn read(&self, source: Source<'_>) -> Result<Registration, Misfit> {
        let aaguids = match &self.aaguids {
            None => None,
            Some(list) if list.get_ref().is_empty() => {
                return Err(source.wrong("aaguids", list.span(), "no key could be registered"));
            }
            Some(list) => {
                let mut aaguids = Vec::new();
                for text in list.get_ref() {
                    let aaguid = source.value("aaguids", text, |text| model(text, &aaguids))?;
                    aaguids.push(aaguid);
                }
                Some(aaguids)
            }
        };
        let roots = self.attestation_roots.as_ref();
        let attestation_roots = source.optional("attestation_roots", roots, |path| file(path))?;
        Ok(Registration { aaguids, attestation_roots })
    }
}

fn model(text: &str, known: &[[u8; 16]]) -> Result<[u8; 16], &'static str> {
    match parse_uuid(text).ok_or("must be 16 bytes in the form of a lower-case UUID")? {
        // What keys of the first generation have, and those that do not say what they are.
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => Err("all zeros are no model"),
        aaguid if known.contains(&aaguid) => Err("given twice"),
        aaguid => Ok(aaguid),
    }
}

fn file(path: &str) -> Result<String, &'static str> {
    let odd = path.len() > PATH_MAX || path.chars().any(is_unprintable);
    let plain = |rest: &str| rest.split('/').all(|part| !matches!(part, "" | "." | ".."));
    match path.strip_prefix('/').is_some_and(plain) && !odd {
        true => Ok(path.to_owned()),
        false => Err("must be the absolute path of a file, without . and .."),
    }
}
