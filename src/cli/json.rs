//! Strings and objects of JSON. Written here and not by a crate: it is one rule (RFC 8259 section 7).

use std::fmt::Write as _;

use fidokey_core::credential::is_unprintable;

/// `text` as a string of JSON. What a terminal must not show is escaped too: programs read the same.
pub(crate) fn string(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_unprintable(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `text` as a string of JSON, or null.
pub(crate) fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), string)
}

/// An object of what is JSON already.
pub(crate) fn fields(values: &[(&str, String)]) -> String {
    let fields: Vec<String> =
        values.iter().map(|(key, value)| format!("{}: {value}", string(key))).collect();
    format!("{{{}}}", fields.join(", "))
}

/// An array, one value to a line.
pub(crate) fn array(values: &[String]) -> String {
    if values.is_empty() {
        return "[]".to_owned();
    }
    format!("[\n  {}\n]", values.join(",\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_what_ends_a_string_or_moves_a_terminal_then_it_is_escaped() {
        assert_eq!(string(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(string("\n\u{1b}\u{7f}\u{202e}"), r#""\u000a\u001b\u007f\u202e""#);
        assert_eq!(string("\u{e0041}"), r#""\udb40\udc41""#);
        assert_eq!(string("Größe 鍵 /"), "\"Größe 鍵 /\"");
    }

    #[test]
    fn arrays_and_objects_are_json() {
        assert_eq!(array(&[]), "[]");
        let one = fields(&[("a", "1".to_owned()), ("b", string("\"")), ("c", optional(None))]);
        assert_eq!(one, r#"{"a": 1, "b": "\"", "c": null}"#);
        assert_eq!(array(&[one.clone(), one.clone()]), format!("[\n  {one},\n  {one}\n]"));
    }
}
