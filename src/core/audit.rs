//! The one line of the log for a decision: `key=value`, always the same keys in the same order.
//!
//! What comes from outside (names, terminals, remote hosts) is escaped, so that one decision is one line and
//! no value can pass for another key. No secret, no whole credential id and no text of a file stands in it.

use std::fmt::Write as _;

use crate::credential::is_unprintable;

/// Longest line, in bytes: what every log takes whole (RFC 3164 section 4.1), with what libpam puts before it.
pub const LINE_MAX: usize = 900;
/// Longest value of one key, in bytes after escaping.
const VALUE_MAX: usize = 96;
/// Longest sentence of ours about what is wrong, in bytes after escaping.
const SENTENCE_MAX: usize = 256;
/// What stands in the place of the rest of a value that was cut.
const CUT: char = '…';

/// A line under construction.
///
/// ```text
/// line   = field *( " " field )
/// field  = key "=" ( plain / quoted )
/// plain  = 1*( A-Z a-z 0-9 "_" "." ":" "/" "-" "@" "+" )
/// quoted = DQUOTE *( printable but DQUOTE and "\" / "\x" two hex digits ) [ "…" ] DQUOTE
/// ```
#[derive(Debug, Default)]
pub struct Line(String);

impl Line {
    /// Adds `key=value`. A value that is long is cut, so that one from outside never crowds out those behind it;
    /// where nothing of it has room any more the field is left out.
    pub fn field(&mut self, key: &str, value: &str) -> &mut Self {
        self.put(key, value, VALUE_MAX)
    }

    /// The same with a sentence of ours, which may be longer.
    pub fn sentence(&mut self, key: &str, value: &str) -> &mut Self {
        self.put(key, value, SENTENCE_MAX)
    }

    /// The line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn put(&mut self, key: &str, value: &str, most: usize) -> &mut Self {
        let before = if self.0.is_empty() { "" } else { " " };
        // With the quotes, the sign of a cut, and whatever room there is for the value.
        let frame = [before.len(), key.len(), 3, CUT.len_utf8()].iter().sum::<usize>();
        let Some(room) = LINE_MAX.checked_sub(self.0.len().saturating_add(frame)) else {
            return self;
        };
        let most = most.min(room);
        self.0.push_str(before);
        self.0.push_str(key);
        self.0.push('=');
        let plain = |c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '/' | '-' | '@' | '+')
        };
        if !value.is_empty() && value.len() <= most && value.chars().all(plain) {
            self.0.push_str(value);
        } else {
            self.quote(value, most);
        }
        self
    }

    fn quote(&mut self, value: &str, most: usize) {
        let mut left = most;
        self.0.push('"');
        for c in value.chars() {
            let escape = is_unprintable(c) || matches!(c, '"' | '\\' | CUT);
            let length = c.len_utf8().saturating_mul(if escape { 4 } else { 1 });
            let Some(rest) = left.checked_sub(length) else {
                self.0.push(CUT);
                break;
            };
            left = rest;
            if escape {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a String cannot fail.
                    let _ = write!(self.0, "\\x{byte:02x}");
                }
            } else {
                self.0.push(c);
            }
        }
        self.0.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: &str) -> String {
        let mut line = Line::default();
        line.field("a", "1").field("b", value);
        line.as_str().to_owned()
    }

    #[test]
    fn given_values_that_would_break_the_line_then_they_are_escaped() {
        assert_eq!(line("/dev/pts/3"), "a=1 b=/dev/pts/3");
        assert_eq!(line(""), "a=1 b=\"\"");
        assert_eq!(line("x result=granted"), "a=1 b=\"x result=granted\"");
        assert_eq!(line("x\" code=0\n\u{1b}["), "a=1 b=\"x\\x22 code=0\\x0a\\x1b[\"");
        assert_eq!(line("\u{2028}\\"), "a=1 b=\"\\xe2\\x80\\xa8\\x5c\"");
    }

    // G4.
    #[test]
    fn given_values_of_any_length_then_the_line_has_a_bound_and_ends_within_no_value() {
        assert_eq!(line(&"x".repeat(96)), format!("a=1 b={}", "x".repeat(96)));
        assert_eq!(line(&"x".repeat(97)), format!("a=1 b=\"{}…\"", "x".repeat(96)));
        assert_eq!(line(&"\n".repeat(100_000)), format!("a=1 b=\"{}…\"", "\\x0a".repeat(24)));
        let mut line = Line::default();
        for _ in 0..30 {
            line.sentence("key", &"\u{202e}é".repeat(1000));
        }
        assert!((LINE_MAX - 300..=LINE_MAX).contains(&line.as_str().len()));
        assert!(line.as_str().ends_with("…\""));
    }

    // G4.
    #[test]
    fn the_sign_of_a_cut_is_not_to_be_had_by_a_value() {
        assert_eq!(line("a…"), "a=1 b=\"a\\xe2\\x80\\xa6\"");
    }
}
