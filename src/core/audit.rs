//! The one line of the log for a decision: `key=value`, always the same keys in the same order.
//!
//! What comes from outside (names, terminals, remote hosts) is escaped, so that one decision is one line and
//! no value can pass for another key. No secret, no whole credential id and no text of a file stands in it.

use std::fmt::Write as _;

use crate::credential::is_unprintable;

/// Longest value of one key, in bytes after escaping.
const VALUE_MAX: usize = 192;

/// A line under construction.
#[derive(Debug, Default)]
pub struct Line(String);

impl Line {
    /// Adds `key=value`. The value is quoted when it is empty or holds anything but letters, digits and
    /// `_ . : / - @ +`; within quotes, `"`, `\` and what is not printable are written `\xNN` byte by byte.
    pub fn field(&mut self, key: &str, value: &str) -> &mut Self {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        let plain = |c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '/' | '-' | '@' | '+')
        };
        self.0.push_str(key);
        self.0.push('=');
        if !value.is_empty() && value.len() <= VALUE_MAX && value.chars().all(plain) {
            self.0.push_str(value);
        } else {
            self.0.push('"');
            self.quoted(value);
            self.0.push('"');
        }
        self
    }

    /// The line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn quoted(&mut self, value: &str) {
        let end = self.0.len().saturating_add(VALUE_MAX);
        let mut bytes = [0; 4];
        for c in value.chars() {
            if self.0.len() >= end {
                self.0.push('…');
                return;
            }
            if is_unprintable(c) || matches!(c, '"' | '\\') {
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    // Writing to a String cannot fail.
                    let _ = write!(self.0, "\\x{byte:02x}");
                }
            } else {
                self.0.push(c);
            }
        }
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

    #[test]
    fn given_a_long_value_then_it_is_cut() {
        assert!(line(&"\n".repeat(100_000)).len() < 2 * VALUE_MAX);
    }
}
