//! How a text that is refused is told: in one line that a log can have, and without anything of the text but a key.

use fidokey_core::credential::is_unprintable;
use fidokey_core::text::Misfit;

/// Asserts that of `misfit`, which was told of `text`.
pub(super) fn check(misfit: &Misfit, text: &[u8]) {
    let said = misfit.to_string();
    assert!(!said.chars().any(is_unprintable), "{said:?}");
    // A key of 64 characters, twice at the most, and a sentence.
    assert!(said.chars().count() <= 256, "{said:?}");
    if let Some(key) = &misfit.key {
        assert!(key.chars().count() <= 64, "{key:?}");
    }
    // The place is one of the text, or nowhere.
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    assert!(misfit.line <= lines, "line {} of {lines}", misfit.line);
    assert_eq!(misfit.line == 0, misfit.column == 0, "{said:?}");
}
