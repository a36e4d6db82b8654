//! The keys of a state, for the manual and for the tests; [`super`] is what reads them.

use crate::record::keys::{Key, optional, required};

/// At the top, in the order of the manual. The last two are the table of [`NOTICE`] and the tables of [`CREDENTIAL`].
pub const STATE: [Key; 4] =
    [required("schema"), required("user"), optional("notice"), optional("credential")];

/// In the table of what is to be told, in the order of the manual.
pub const NOTICE: [Key; 5] =
    [required("changes"), required("what"), required("key"), optional("when"), required("by")];

/// In a table of a credential, in the order of the manual.
pub const CREDENTIAL: [Key; 5] = [
    required("id_hash"),
    required("added"),
    required("counter"),
    optional("last_used"),
    required("last_service"),
];

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic)]
mod tests {
    use super::super::{RawNotice, RawState, RawUsed, State};
    use super::*;
    use crate::text::fields::fields;

    /// A state that says every key.
    const WHOLE: &str = "\
schema = 1
user = \"alice\"

[notice]
changes = 2
what = \"removed\"
key = \"Blue\"
when = 2026-11-24T10:00:00Z
by = \"root\"

[[credential]]
id_hash = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"
added = 2026-11-23T10:00:00Z
counter = 7
last_used = 2026-11-24T10:00:00Z
last_service = \"sudo\"
";

    /// Its tables: the line that begins each, with the keys.
    const TABLES: [(&str, &[Key]); 3] =
        [("", &STATE), ("[notice]", &NOTICE), ("[[credential]]", &CREDENTIAL)];

    // K1
    #[test]
    fn the_lists_of_keys_are_what_is_read() {
        let names = |keys: &[Key]| keys.iter().map(|key| key.name).collect::<Vec<_>>();
        assert_eq!(names(&STATE), fields::<RawState>());
        assert_eq!(names(&NOTICE), fields::<RawNotice>());
        assert_eq!(names(&CREDENTIAL), fields::<RawUsed>());
    }

    // K1, K4
    #[test]
    fn given_a_key_that_is_missing_or_misspelt_then_it_is_known_whether_that_is_a_state() {
        State::parse(WHOLE.as_bytes()).expect("all keys");
        for (head, keys) in TABLES {
            for Key { name, required } in keys {
                let from = WHOLE.find(head).expect("each table is there");
                let (before, table) = WHOLE.split_at(from);
                let Some(line) = table.lines().find(|line| line.starts_with(&format!("{name} =")))
                else {
                    assert!(TABLES.iter().any(|(head, _)| head.contains(name)), "{name}?");
                    continue;
                };
                let with = |line: &str, instead: &str| {
                    let text = format!("{before}{}", table.replacen(line, instead, 1));
                    State::parse(text.as_bytes())
                };
                assert_eq!(with(line, "").is_err(), *required, "{name}");
                let misspelt = with(line, &format!("{line}\nx{line}")).expect_err("unknown");
                assert_eq!(misspelt.key, Some(format!("x{name}")));
            }
        }
    }
}
