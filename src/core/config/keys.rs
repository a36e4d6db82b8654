//! The keys of the policy file: what is built in for each, and the words that it takes. Those of a table are the module's
//! arguments too. For the manual and for the tests; [`super`] is what reads them.

use crate::credential::{CounterPolicy, Verification};
use crate::policy::{Mode, Remote, Unenrolled};

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What is in force where it is said nowhere, as TOML; `None` where nothing is.
    pub built_in: Option<&'static str>,
    /// Every value, or the least and the greatest one, as TOML; none where it is a text.
    pub values: &'static [&'static str],
}

/// Those at the top, in the order of the manual. Of them the schema has to be said.
pub const TOP: [Key; 4] = [
    key("schema", Some("1"), &["1"]),
    key("rp_id", Some("\"pam://fidokey\""), &[]),
    key("self_service", Some("false"), &["false", "true"]),
    key("way_back", None, &[]),
];

/// The tables beside them.
pub const TABLES: [&str; 3] = ["registration", "default", "service"];

/// Those of a table, in the order of the manual.
pub const KEYS: [Key; 9] = [
    key("mode", None, &["\"second-factor\"", "\"alternative\""]),
    key("verification", Some("\"none\""), &["\"none\"", "\"required\""]),
    key("unenrolled", Some("\"skip\""), &["\"skip\"", "\"deny\""]),
    key("remote", Some("\"deny\""), &["\"deny\"", "\"skip\"", "\"verify\""]),
    key("counter", Some("\"deny\""), &["\"deny\"", "\"warn\""]),
    key("wait_for_key", Some("\"30s\""), &["\"0s\"", "\"120s\""]),
    key("touch", Some("\"30s\""), &["\"1s\"", "\"120s\""]),
    key("pin_guard", Some("3"), &["1", "7"]),
    key("touch_only_alternative", Some("false"), &["false", "true"]),
];

/// Those of the table `[registration]`, in the order of the manual. They are no arguments of the module's line: no login
/// depends on them.
pub const REGISTRATION: [Key; 2] = [
    key("aaguids", None, &["[\"2fc0579f-8113-47ea-b116-bb5a8db9202a\"]"]),
    key("attestation_roots", None, &["\"/etc/fidokey/attestation-roots.pem\""]),
];

const fn key(
    name: &'static str,
    built_in: Option<&'static str>,
    values: &'static [&'static str],
) -> Key {
    Key { name, built_in, values }
}

/// Each word that a rule has in the code is one of the values above: a rule that gets another word does not compile
/// without a look at this list.
const _: () = {
    assert!(Mode::ALL.len() == KEYS[0].values.len());
    assert!(Verification::ALL.len() == KEYS[1].values.len());
    assert!(Unenrolled::ALL.len() == KEYS[2].values.len());
    assert!(Remote::ALL.len() == KEYS[3].values.len());
    assert!(CounterPolicy::ALL.len() == KEYS[4].values.len());
};
