//! The values of options, each by the rule of the place that it is for.

use std::ops::RangeInclusive;
use std::time::Duration;

use fidokey_core::credential::{
    AccountName, Algorithm, KeyName, Protocol, RpId, Verification, is_unprintable,
};
use fidokey_core::policy::Mode;

pub(super) fn account_name(text: &str) -> Result<AccountName, String> {
    AccountName::new(text).map_err(|bad| bad.to_string())
}

pub(super) fn key_name(text: &str) -> Result<KeyName, String> {
    KeyName::new(text).map_err(|bad| bad.to_string())
}

/// A name that keys take: its most bytes differ from key to key, and none takes more.
pub(super) fn fingerprint_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 64 || text.chars().any(is_unprintable) {
        return Err("a fingerprint's name has 1 to 64 bytes, all of them printable".to_owned());
    }
    Ok(text.to_owned())
}

/// How lists name a credential.
pub(super) fn tag(text: &str) -> Result<[u8; 4], String> {
    let bytes = bytes(text).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "a credential is named by 8 hexadecimal digits".to_owned())
}

/// How lists name a fingerprint.
pub(super) fn template_id(text: &str) -> Result<Vec<u8>, String> {
    let id = bytes(text).filter(|id| crate::key::message::is_template(id));
    id.ok_or_else(|| "a fingerprint is named by pairs of hexadecimal digits".to_owned())
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    crate::key::message::unhex(text)
}

pub(super) fn algorithm(text: &str) -> Result<Algorithm, String> {
    let known = Algorithm::ALL.into_iter().find(|algorithm| algorithm.word() == text);
    known.ok_or_else(|| "an algorithm is es256 or eddsa".to_owned())
}

pub(super) fn protocol(text: &str) -> Result<Protocol, String> {
    let known = Protocol::ALL.into_iter().find(|protocol| protocol.word() == text);
    known.ok_or_else(|| "a protocol is fido2 or u2f".to_owned())
}

pub(super) fn rp_id(text: &str) -> Result<RpId, String> {
    RpId::new(text).map_err(|bad| bad.to_string())
}

pub(super) fn verification(text: &str) -> Result<Verification, String> {
    let known = Verification::ALL.into_iter().find(|verification| verification.word() == text);
    known.ok_or_else(|| "a verification is none or required".to_owned())
}

pub(super) fn mode(text: &str) -> Result<Mode, String> {
    let known = Mode::ALL.into_iter().find(|mode| mode.word() == text);
    known.ok_or_else(|| "a mode is second-factor or alternative".to_owned())
}

/// How long an edit is tried: `30s`, `5m`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    within(text, 30..=3600).ok_or_else(|| "a time is 30s to 60m".to_owned())
}

/// How long to wait for somebody: `20s`, `2m`.
pub(super) fn patience(text: &str) -> Result<Duration, String> {
    within(text, 1..=120).ok_or_else(|| "a time is 1s to 120s".to_owned())
}

/// Seconds or minutes, so many seconds.
fn within(text: &str, range: RangeInclusive<u64>) -> Option<Duration> {
    let number = |digits: &str| digits.parse::<u64>().ok();
    let seconds = match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(seconds), _) => number(seconds),
        (_, Some(minutes)) => number(minutes).and_then(|minutes| minutes.checked_mul(60)),
        _ => None,
    };
    seconds.filter(|seconds| range.contains(seconds)).map(Duration::from_secs)
}

/// The name as libpam would have it, which puts it into lower case.
pub(super) fn service_name(text: &str) -> Result<String, String> {
    let odd = |c: char| is_unprintable(c) || c.is_whitespace() || c == '/';
    if text.is_empty() || text.chars().any(odd) {
        return Err("a service is the name of a file in /etc/pam.d".to_owned());
    }
    Ok(text.to_ascii_lowercase())
}
