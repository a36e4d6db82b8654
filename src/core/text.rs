//! What records, policy and states have in common as TOML texts: how they are read, and how it is told what is
//! wrong with one, by place and key and never by content.

use std::fmt::{self, Write as _};
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

use crate::credential::{CounterPolicy, Verification, is_unprintable};

/// The largest text that is read, in bytes.
pub(crate) const TEXT_MAX: usize = 64 * 1024;
/// How much of a key is shown, in characters.
const KEY_SHOWN_MAX: usize = 64;

/// What is wrong with a record or with the policy file, and where. Of the file it shows the name of a key
/// at most, so that a log can have it: neither a value nor a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Misfit {
    /// The line, from 1; 0 where there is none to tell.
    pub line: usize,
    /// The column in characters, from 1; 0 where there is none to tell.
    pub column: usize,
    /// The key, where one is to blame: printable, at most 64 characters.
    pub key: Option<String>,
    /// What is wrong, with the key's name in it.
    pub message: String,
}

/// What is said of a text of another schema.
const OTHER_SCHEMA: &str = "this version reads schema 1 only";

impl Misfit {
    /// Whether the text says that it is of another schema: it is another version's, and not wrong by itself.
    #[must_use]
    pub fn is_other_schema(&self) -> bool {
        self.message.ends_with(OTHER_SCHEMA)
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line != 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Misfit {}

/// A text that is being read.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a>(&'a str);

impl<'a> Source<'a> {
    /// Takes `bytes` as UTF-8 of at most [`TEXT_MAX`] bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Misfit> {
        if bytes.len() > TEXT_MAX {
            return Err(nowhere("the file is larger than 64 KiB"));
        }
        str::from_utf8(bytes).map(Self).map_err(|bad| {
            let valid = bytes.get(..bad.valid_up_to()).and_then(|valid| str::from_utf8(valid).ok());
            Self(valid.unwrap_or_default()).misfit(bad.valid_up_to(), None, "not UTF-8")
        })
    }

    /// The values of the text, whose schema must be 1. Another schema is told as that, not by the first of
    /// its keys that this version does not know.
    pub(crate) fn parse<T: DeserializeOwned>(self) -> Result<T, Misfit> {
        let table = DeTable::parse(self.0).map_err(|bad| self.syntax(&bad))?;
        if let Some(schema) = table.get_ref().get("schema")
            && schema.get_ref().as_integer().is_some_and(|number| number.as_str() != "1")
        {
            return Err(self.wrong("schema", schema.span(), OTHER_SCHEMA));
        }
        T::deserialize(Deserializer::from(table)).map_err(|bad| self.shape(&bad))
    }

    /// The value of `key` as what `parse` takes it for.
    pub(crate) fn value<V, T>(
        self,
        key: &str,
        value: &Spanned<V>,
        parse: impl FnOnce(&V) -> Result<T, &'static str>,
    ) -> Result<T, Misfit> {
        parse(value.get_ref()).map_err(|reason| self.wrong(key, value.span(), reason))
    }

    /// [`Source::value`] of a key that may be absent.
    pub(crate) fn optional<V, T>(
        self,
        key: &str,
        value: Option<&Spanned<V>>,
        parse: impl FnOnce(&V) -> Result<T, &'static str>,
    ) -> Result<Option<T>, Misfit> {
        value.map(|value| self.value(key, value, parse)).transpose()
    }

    /// `key` at `span` is wrong, and why.
    pub(crate) fn wrong(self, key: &str, span: Range<usize>, reason: &'static str) -> Misfit {
        let key = printable(key);
        self.misfit(span.start, Some(key.clone()), format!("{key}: {reason}"))
    }

    fn misfit(self, at: usize, key: Option<String>, message: impl Into<String>) -> Misfit {
        let before = self.0.get(..at).unwrap_or(self.0);
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        Misfit { line, column: column.saturating_add(1), key, message: message.into() }
    }

    /// The misfit of a text that is not TOML. Only sentences that the parser is known to say are passed on.
    fn syntax(self, bad: &toml::de::Error) -> Misfit {
        const SENTENCES: [&str; 12] = [
            "cannot recurse further",
            "carriage return must be followed by newline",
            "invalid basic string",
            "invalid comment character",
            "invalid unquoted key",
            "key with no value",
            "missing comma between array elements",
            "missing value",
            "string values must be quoted",
            "unclosed array",
            "unclosed inline table",
            "unclosed table",
        ];
        let span = bad.span().unwrap_or_default();
        if bad.message().starts_with("duplicate key") {
            let key = printable(self.0.get(span.clone()).unwrap_or_default().trim());
            return self.misfit(span.start, Some(key.clone()), format!("duplicate key \"{key}\""));
        }
        match SENTENCES.iter().find(|sentence| bad.message().starts_with(**sentence)) {
            Some(sentence) => self.misfit(span.start, None, format!("not valid TOML: {sentence}")),
            None => self.misfit(span.start, None, "not valid TOML"),
        }
    }

    /// The misfit of valid TOML that is not what was looked for. What serde says is only looked at: it
    /// repeats values.
    fn shape(self, bad: &toml::de::Error) -> Misfit {
        let span = bad.span().unwrap_or_default();
        if let Some(rest) = bad.message().strip_prefix("unknown field `") {
            let key = rest.rsplit_once("`, expected ").map_or("", |(key, _)| key);
            let key = printable(key);
            return self.misfit(span.start, Some(key.clone()), format!("unknown field \"{key}\""));
        }
        if let Some(rest) = bad.message().strip_prefix("missing field `") {
            let key = printable(rest.trim_end_matches('`'));
            let message = format!("missing field \"{key}\"");
            // For the top level the parser has no place, since the key would be anywhere in it.
            return match span {
                Range { start: 0, end: 0 } => Misfit { key: Some(key), ..nowhere(&message) },
                span => self.misfit(span.start, Some(key), message),
            };
        }
        let key = self.bare_key_before(span.start).map(printable);
        let expected = match bad.message().rsplit_once(", expected ") {
            Some((_, "a string")) => "wrong type, expected a string",
            Some((_, "a boolean")) => "wrong type, expected true or false",
            Some((_, "i64")) => "wrong type, expected a whole number",
            Some((_, "a TOML datetime")) => "wrong type, expected a date and time without quotes",
            _ => "wrong type",
        };
        match key {
            Some(key) => self.misfit(span.start, Some(key.clone()), format!("{key}: {expected}")),
            None => self.misfit(span.start, None, expected),
        }
    }

    /// The key of the value that begins at `at`, where nothing but a key without quotes and `=` stands
    /// before it on its line: then no value of the file can be taken for it.
    fn bare_key_before(self, at: usize) -> Option<&'a str> {
        let line = self.0.get(..at)?.rsplit('\n').next()?;
        let key = line.trim().strip_suffix('=')?.trim_end();
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        (!key.is_empty() && key.chars().all(bare)).then_some(key)
    }
}

/// A misfit of the text as a whole.
pub(crate) fn nowhere(message: &str) -> Misfit {
    Misfit { line: 0, column: 0, key: None, message: message.to_owned() }
}

/// `text` as a log can show it: at most 64 characters, each of them printable and no quote.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c| if is_unprintable(c) || matches!(c, '"' | '\\') { '?' } else { c };
    text.chars().take(KEY_SHOWN_MAX).map(shown).collect()
}

/// `text` as a basic string of TOML.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The word for what must be proven beyond the touch.
pub(crate) fn verification(word: &str) -> Result<Verification, &'static str> {
    let known = Verification::ALL.into_iter().find(|rule| rule.word() == word);
    known.ok_or("must be \"none\" or \"required\"")
}

/// The word for what a signature counter that went back gets.
pub(crate) fn counter(word: &str) -> Result<CounterPolicy, &'static str> {
    let known = CounterPolicy::ALL.into_iter().find(|rule| rule.word() == word);
    known.ok_or("must be \"deny\" or \"warn\"")
}

#[cfg(test)]
#[allow(clippy::expect_used)]
pub(crate) mod fields;
