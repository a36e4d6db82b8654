//! What the owner of an account is told at the next login: that its keys were changed. How it is kept is the state's.
//!
//! It is one line of at most 200 characters, each of them printable, whatever has come from the command or stands in the state.

use toml::value::Datetime;

use crate::credential::KEY_NAME_MAX;
use crate::text::printable;

/// Where counting ends: more changes than that are told as this many at least.
pub(crate) const CHANGES_MAX: u16 = 999;
/// What no line of the module has: scripts and programs that answer to prompts wait for it.
const NEVER: &str = "password";

/// A change to the keys of an account.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// What was done.
    pub what: Changed,
    /// The name of the key, after the change.
    pub key: &'a str,
    /// When, as RFC 3339; only shown.
    pub when: &'a str,
    /// Who did it, as records say it.
    pub by: &'a str,
}

/// What was done to a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Changed {
    /// It was registered.
    Registered,
    /// It was removed.
    Removed,
    /// It has another name.
    Renamed,
    /// All keys of the account were removed.
    Reset,
}

impl Changed {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Registered, Self::Removed, Self::Renamed, Self::Reset];

    /// The word of the state, and of the log of the command.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Removed => "removed",
            Self::Renamed => "renamed",
            Self::Reset => "reset",
        }
    }
}

/// The changes since the last login at which they were told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// How many, 1 to [`CHANGES_MAX`].
    pub(crate) changes: u16,
    /// The last of them.
    pub(crate) what: Changed,
    pub(crate) key: String,
    /// A date and time as TOML has it, where that can be told.
    pub(crate) when: Option<String>,
    pub(crate) by: String,
}

impl Notice {
    /// The first change.
    pub(crate) fn new(change: &Change<'_>) -> Self {
        // A clock beyond the year 9999 shows what TOML cannot read again.
        let when = change.when.parse::<Datetime>().ok().map(|when| when.to_string());
        Self { changes: 1, what: change.what, key: key(change.key), when, by: by(change.by) }
    }

    /// These changes, which follow `earlier` ones.
    pub(crate) fn after(self, earlier: Option<&Self>) -> Self {
        let before = earlier.map_or(0, |earlier| earlier.changes);
        Self { changes: self.changes.saturating_add(before).min(CHANGES_MAX), ..self }
    }

    /// The line.
    #[must_use]
    pub fn text(&self) -> String {
        let on = match self.when.as_ref().and_then(|when| when.parse::<Datetime>().ok()?.date) {
            Some(date) => format!(" on {date}"),
            None => String::new(),
        };
        let by = match sayable(&self.by) {
            Some(by) => format!(" by {by}"),
            None => String::new(),
        };
        if self.changes > 1 {
            let least = if self.changes == CHANGES_MAX { "at least " } else { "" };
            let times = self.changes;
            return format!(
                "Your security keys were changed {least}{times} times, last{on}{by}; see `fidokey list`."
            );
        }
        let named = sayable(&self.key);
        let key = match named {
            Some(key) => format!("Security key \"{key}\""),
            None => "A security key".to_owned(),
        };
        match (self.what, named) {
            (Changed::Registered, _) => format!("{key} was added{on}{by}."),
            (Changed::Removed, _) => format!("{key} was removed{on}{by}."),
            (Changed::Renamed, Some(name)) => {
                format!("A security key was renamed to \"{name}\"{on}{by}.")
            }
            (Changed::Renamed, None) => format!("{key} was renamed{on}{by}."),
            (Changed::Reset, _) => format!("All your security keys were removed{on}{by}."),
        }
    }
}

/// The name of a key as it is shown: it can be that of a record, or what somebody has written into a state.
pub(crate) fn key(text: &str) -> String {
    printable(text).chars().take(KEY_NAME_MAX).collect()
}

/// Who did it, as it is shown.
pub(crate) fn by(text: &str) -> String {
    printable(text)
}

/// `text`, where there is something to say of it and it has no word that stands for a prompt.
fn sayable(text: &str) -> Option<&str> {
    (!text.trim().is_empty() && !text.to_lowercase().contains(NEVER)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(what: Changed) -> Notice {
        Notice::new(&Change { what, key: "Blue", when: "2026-11-26T12:00:42Z", by: "root" })
    }

    #[test]
    fn one_change_is_told_with_its_key() {
        for (what, text) in [
            (Changed::Registered, "Security key \"Blue\" was added on 2026-11-26 by root."),
            (Changed::Removed, "Security key \"Blue\" was removed on 2026-11-26 by root."),
            (Changed::Renamed, "A security key was renamed to \"Blue\" on 2026-11-26 by root."),
            (Changed::Reset, "All your security keys were removed on 2026-11-26 by root."),
        ] {
            assert_eq!(notice(what).text(), text);
        }
    }

    #[test]
    fn several_are_told_as_their_number_and_the_last_one() {
        let mut all = notice(Changed::Registered);
        for times in 2..=3 {
            all = notice(Changed::Removed).after(Some(&all));
            assert_eq!(all.changes, times);
        }
        assert_eq!(
            all.text(),
            "Your security keys were changed 3 times, last on 2026-11-26 by root; see `fidokey list`."
        );
        for _ in 0..2000 {
            all = notice(Changed::Removed).after(Some(&all));
        }
        assert!(all.text().contains(" changed at least 999 times, "), "{}", all.text());
    }

    // G4, G5.
    #[test]
    fn whatever_it_is_made_of_it_is_one_short_line_without_a_prompt() {
        let long = "x".repeat(100_000);
        let texts =
            ["", " ", "a\nb\rc", "\u{1b}[2J", "\u{202e}", "\" by \\", "PassWord:", "%s%n", &long];
        for key in texts {
            for by in texts {
                for when in ["", "12:00:00", "2026-11-26", "9999-12-31T23:59:59+23:59", &long] {
                    for what in Changed::ALL {
                        let one = Notice::new(&Change { what, key, when, by });
                        for notice in [one.clone(), one.clone().after(Some(&one))] {
                            let text = notice.text();
                            assert!(text.chars().count() <= 200, "{text}");
                            assert!(!text.chars().any(crate::credential::is_unprintable));
                            assert!(!text.to_lowercase().contains("password"), "{text}");
                            assert!(!text.contains("  ") && text.ends_with('.'), "{text}");
                        }
                    }
                }
            }
        }
    }
}
