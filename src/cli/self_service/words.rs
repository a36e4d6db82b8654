//! The words that the privileged process is started with. They are whoever's who started pkexec, and polkit looks at the
//! first alone: what is not a name in its place is refused, and there are no options.

use std::ffi::OsStr;

use fidokey_core::credential::KeyName;

use super::{ENROLL, REMOVE, RENAME};

/// What a user can have done to the keys of their own account. These names are all that comes from outside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    /// Register a key, under this name where there is one.
    Enroll(Option<KeyName>),
    /// Remove this key.
    Remove(KeyName),
    /// Give the first, a key, the second as its name.
    Rename(KeyName, KeyName),
}

/// Whether `verb`, the first word after the program's name, is one of the privileged process.
pub(super) fn is_ours(verb: &OsStr) -> bool {
    [ENROLL, REMOVE, RENAME].iter().any(|known| verb == *known)
}

/// What `verb` means with these words behind it. `None` where a word is too many, missing, or no name.
pub(super) fn parse(verb: &OsStr, words: &[impl AsRef<OsStr>]) -> Option<Wish> {
    match (verb.to_str()?, words) {
        (ENROLL, []) => Some(Wish::Enroll(None)),
        (ENROLL, [word]) => Some(Wish::Enroll(Some(name(word.as_ref())?))),
        (REMOVE, [word]) => Some(Wish::Remove(name(word.as_ref())?)),
        (RENAME, [known, new]) => Some(Wish::Rename(name(known.as_ref())?, name(new.as_ref())?)),
        _ => None,
    }
}

/// A name of a key that cannot be meant as an option.
fn name(word: &OsStr) -> Option<KeyName> {
    let word = word.to_str().filter(|word| !word.starts_with('-'))?;
    KeyName::new(word).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn parsed(verb: &str, words: &[&str]) -> Option<Wish> {
        parse(OsStr::new(verb), words)
    }

    fn named(text: &str) -> KeyName {
        KeyName::new(text).unwrap()
    }

    // E1: the type of a wish has nothing else in it.
    #[test]
    fn given_names_and_nothing_else_then_they_are_what_is_meant() {
        assert_eq!(parsed("self-enroll", &[]), Some(Wish::Enroll(None)));
        assert_eq!(parsed("self-enroll", &["Blue 鍵"]), Some(Wish::Enroll(Some(named("Blue 鍵")))));
        assert_eq!(parsed("self-remove", &["Blue"]), Some(Wish::Remove(named("Blue"))));
        let rename = Wish::Rename(named("Blue"), named("Red"));
        assert_eq!(parsed("self-rename", &["Blue", "Red"]), Some(rename));
    }

    // E1.
    #[test]
    fn given_anything_else_then_nothing_is_meant() {
        let long = "a".repeat(5000);
        for words in [
            ["Blue", "Red"].as_slice(),
            &["--user"],
            &["--user=bob"],
            &["--user", "bob"],
            &["Blue", "--user", "bob"],
            &["--"],
            &["-"],
            &["--", "Blue"],
            &["--force"],
            &["-h"],
            &[""],
            &[" "],
            &["Blue\n"],
            &["Bl\u{1b}[2Jue"],
            &["\u{202e}eulB"],
            &["a\"b"],
            &["a\\b"],
            &[&long],
        ] {
            assert_eq!(parsed("self-enroll", words), None, "{words:?}");
        }
        for (verb, words) in [
            ("self-remove", [].as_slice()),
            ("self-remove", &["Blue", "Red"]),
            ("self-remove", &["--force", "Blue"]),
            ("self-remove", &["--force"]),
            ("self-rename", &[]),
            ("self-rename", &["Blue"]),
            ("self-rename", &["Blue", ""]),
            ("self-rename", &["", "Blue"]),
            ("self-rename", &["Blue", "-Red"]),
            ("self-rename", &["Blue", "Red", "Green"]),
        ] {
            assert_eq!(parsed(verb, words), None, "{verb} {words:?}");
        }
        for bytes in [b"\xff".as_slice(), b"Bl\xc3", b"\xed\xa0\x80"] {
            assert_eq!(parse(OsStr::new("self-enroll"), &[OsStr::from_bytes(bytes)]), None);
        }
    }

    #[test]
    fn given_another_verb_then_it_is_not_ours_to_read() {
        for verb in ["self-enroll", "self-remove", "self-rename"] {
            assert!(is_ours(OsStr::new(verb)));
        }
        for verb in [
            "enroll",
            "",
            "self",
            "self-",
            "self-enrol",
            "self-enroll ",
            "SELF-ENROLL",
            "self-reset",
        ] {
            assert!(!is_ours(OsStr::new(verb)), "{verb}");
            assert_eq!(parsed(verb, &[]), None, "{verb}");
        }
    }
}
