//! What a new key is called that nobody has named: after its model. Where the device's own words come from, and whether
//! somebody wants another name, is decided elsewhere.

use crate::credential::{Credential, KEY_NAME_MAX, KeyName, is_unprintable};
use crate::models;
use crate::record::CREDENTIALS_MAX;

/// The name of the model: what the device calls itself, else what its model number is known to mean, else "Key".
#[must_use]
pub fn of_model(product: &[u8], aaguid: Option<[u8; 16]>) -> KeyName {
    let known = || models::named(aaguid?).map(str::to_owned);
    let name = words(product).or_else(known);
    name.and_then(|name| KeyName::new(&shortened(&name, KEY_NAME_MAX)).ok()).unwrap_or_default()
}

/// `model` itself, or the first of "MODEL 2", "MODEL 3", … that none of `existing` has; `None` where there are more of
/// them than a record has room for.
#[must_use]
pub fn free(model: &KeyName, existing: &[Credential]) -> Option<KeyName> {
    // One more than there can be credentials: one of them is free.
    (1..=CREDENTIALS_MAX.saturating_add(1))
        .filter_map(|number| numbered(model, number))
        .find(|name| existing.iter().all(|known| known.name != *name))
}

fn numbered(model: &KeyName, number: usize) -> Option<KeyName> {
    if number == 1 {
        return Some(model.clone());
    }
    let number = format!(" {number}");
    let room = KEY_NAME_MAX.saturating_sub(number.len());
    KeyName::new(&(shortened(model.as_str(), room) + &number)).ok()
}

/// What a device calls itself, as it can stand in a name: letters, digits and the signs of ASCII, one space between the
/// words, the maker once. Whatever else the device has put there, somebody else's words or the terminal's, is left out;
/// marks that stand above other characters are, too. `None` where nothing is left that says anything.
fn words(product: &[u8]) -> Option<String> {
    let legible: String = product.utf8_chunks().map(|chunk| chunk.valid()).collect();
    let spaced = legible.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    let kept: String = spaced.filter(|c| *c == ' ' || stands_in_a_name(*c)).collect();
    let words: Vec<&str> = kept.split(' ').filter(|word| !word.is_empty()).collect();
    // The kernel's own words for a device without any: "HID 1050:0407".
    let is_number = |word: &str| word.len() == 9 && word.contains(':');
    if matches!(words.as_slice(), ["HID", number] if is_number(number)) {
        return None;
    }
    let words = maker_once(&words).join(" ");
    words.chars().any(char::is_alphanumeric).then_some(words)
}

fn stands_in_a_name(c: char) -> bool {
    (c.is_ascii_graphic() || c.is_alphanumeric())
        && !is_unprintable(c)
        && !matches!(c, '"' | '\'' | '\\' | '`')
}

/// `words` without the maker's name before the maker's name: the kernel writes it before a product that begins with it.
fn maker_once<'w, 't>(words: &'w [&'t str]) -> &'w [&'t str] {
    let half = words.len() / 2;
    let twice = (1..=half).find(|length| {
        let (first, rest) = words.split_at(*length);
        let second = rest.iter().take(*length);
        first.iter().zip(second).all(|(one, other)| one.eq_ignore_ascii_case(other))
    });
    twice.and_then(|length| words.get(length..)).unwrap_or(words)
}

/// The first `room` characters of `name`, without a space at the end.
fn shortened(name: &str, room: usize) -> String {
    let short: String = name.chars().take(room).collect();
    short.trim().to_owned()
}
