//! The grammar of the log line, read by somebody else than who writes it. Nothing is forgiven.
//!
//! ```text
//! line   = field *( " " field )       at most 1024 bytes
//! field  = key "=" value              each key once, in the order of KEYS
//! value  = plain / quoted
//! plain  = 1*( A-Z a-z 0-9 _ . : / @ + - )
//! quoted = DQUOTE *( printable but " and \ / "\x" 2 lower-case hex ) [ "…" ] DQUOTE
//! ```

/// The keys that every line has.
const ALWAYS: [&str; 9] =
    ["result", "code", "reason", "user", "uid", "ruser", "rhost", "tty", "service"];
/// Those that follow where they apply. `errno` is the call's, directly after it, or the file's.
const SOMETIMES: [&str; 15] = [
    "cred", "key", "keys", "counter", "call", "errno", "state", "file", "problem", "line",
    "column", "argument", "setting", "errno", "detail",
];
/// Each of the first is there only with the second.
const TOGETHER: [(&str, &str); 7] = [
    ("cred", "key"),
    ("key", "cred"),
    ("call", "errno"),
    ("problem", "file"),
    ("line", "column"),
    ("column", "line"),
    ("line", "file"),
];
/// The longest line, in bytes.
const LINE_MAX: usize = 1024;

/// A line that keeps to the grammar.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogLine(Vec<(String, Vec<u8>)>);

impl LogLine {
    /// Reads a line, without what libpam puts before it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &str) -> Result<Self, String> {
        if line.len() > LINE_MAX {
            return Err(format!("{} bytes", line.len()));
        }
        let mut fields = Vec::new();
        let mut rest = line;
        loop {
            let (key, after) = rest.split_once('=').ok_or_else(|| format!("no key: {rest:?}"))?;
            if key.is_empty() || !key.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                return Err(format!("not a key: {key:?}"));
            }
            let (value, after) = value(after)?;
            fields.push((key.to_owned(), value));
            if after.is_empty() {
                break;
            }
            rest = after.strip_prefix(' ').ok_or_else(|| format!("no space: {after:?}"))?;
        }
        let line = Self(fields);
        line.check_order()?;
        line.check_values()?;
        Ok(line)
    }

    /// The fields, in order, without quotes and escapes.
    #[must_use]
    pub fn fields(&self) -> &[(String, Vec<u8>)] {
        &self.0
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let value = self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value);
        value.and_then(|value| std::str::from_utf8(value).ok())
    }

    fn check_order(&self) -> Result<(), String> {
        let keys: Vec<&str> = self.0.iter().map(|(key, _)| key.as_str()).collect();
        let Some(sometimes) = keys.strip_prefix(&ALWAYS[..]) else {
            return Err(format!("the first keys are {keys:?}"));
        };
        let mut order = SOMETIMES.iter();
        for (index, key) in sometimes.iter().enumerate() {
            let after_call = index > 0 && sometimes[index - 1] == "call";
            if after_call && *key != "errno" {
                return Err("call without its errno".to_owned());
            }
            if *key == "errno" && !after_call {
                // The call's place is not the file's.
                order.by_ref().find(|known| **known == "setting");
            }
            if !order.any(|known| known == key) {
                return Err(format!("{key} is unknown, twice or out of order"));
            }
        }
        for (key, other) in TOGETHER {
            if keys.contains(&key) && !keys.contains(&other) {
                return Err(format!("{key} without {other}"));
            }
        }
        let twice = keys.iter().enumerate().find(|(index, key)| keys[..*index].contains(key));
        twice.map_or(Ok(()), |(_, key)| Err(format!("{key} twice")))
    }

    fn check_values(&self) -> Result<(), String> {
        for (key, value) in &self.0 {
            let value = std::str::from_utf8(value).ok();
            let number = || value.is_some_and(|value| value.parse::<u32>().is_ok());
            let one_of = |words: &[&str]| value.is_some_and(|value| words.contains(&value));
            let right = match key.as_str() {
                "result" => one_of(&["denied", "exempt", "granted"]),
                "code" => one_of(&["0", "3", "4", "5", "6", "7", "9", "10", "19", "25", "26"]),
                "uid" => value == Some("") || number(),
                "errno" | "line" | "column" | "argument" => number(),
                "cred" => value.is_some_and(|value| {
                    value.len() == 8 && value.bytes().all(|b| b.is_ascii_hexdigit())
                }),
                "keys" => one_of(&["1"]),
                "counter" => one_of(&["went_back"]),
                "state" => one_of(&[
                    "limited",
                    "malformed",
                    "new",
                    "not_root",
                    "other_account",
                    "unsafe",
                    "unwritten",
                ]),
                "reason" | "call" | "problem" => value.is_some_and(|value| {
                    !value.is_empty()
                        && value
                            .chars()
                            .all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '0'..='9'))
                }),
                "file" => value.is_some_and(|value| value.starts_with('/')),
                _ => true,
            };
            if !right {
                return Err(format!("{key}={value:?}"));
            }
        }
        let by_code = match self.get("code") {
            Some("0") => "granted",
            Some("25") => "exempt",
            _ => "denied",
        };
        if self.get("result") == Some(by_code) {
            Ok(())
        } else {
            Err("result and code contradict each other".to_owned())
        }
    }
}

/// The value at the beginning of `text`, and what follows it.
fn value(text: &str) -> Result<(Vec<u8>, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.:/@+-".contains(c);
        let end = text.find(|c| !plain(c)).unwrap_or(text.len());
        if end == 0 {
            return Err(format!("neither plain nor quoted: {text:?}"));
        }
        return Ok((text.as_bytes()[..end].to_vec(), &text[end..]));
    };
    let mut value = Vec::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Ok((value, &quoted[at + 1..])),
            '…' if !quoted[at..].starts_with("…\"") => {
                return Err("cut in the middle".to_owned());
            }
            '\\' => {
                let escape = quoted.get(at + 1..at + 4).unwrap_or_default();
                let digits = escape.strip_prefix('x').unwrap_or("?");
                if digits.chars().any(|c| c.is_ascii_uppercase()) {
                    return Err(format!("an escape in upper case: {escape:?}"));
                }
                let byte = u8::from_str_radix(digits, 16);
                value.push(byte.map_err(|_| format!("not an escape: {escape:?}"))?);
                characters.nth(2);
            }
            c if moves_text(c) => return Err(format!("not printable: {c:?}")),
            c => value.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Err("a quote that does not end".to_owned())
}

/// What a terminal or a reader of the log takes for more than a letter.
fn moves_text(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{feff}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "result=denied code=7 reason=record user=alice uid=1000 ruser=\"\" \
                         rhost=\"\" tty=/dev/pts/3 service=sudo";

    fn verdict(rest: &str) -> Result<LogLine, String> {
        LogLine::parse(&format!("{START}{rest}"))
    }

    #[test]
    fn given_lines_of_the_grammar_then_they_are_read() {
        for rest in [
            "",
            " cred=1a2b3c4d key=\"Blue key\" keys=1 counter=went_back state=unwritten",
            " call=getrandom errno=38",
            " call=getrandom errno=38 state=new detail=x",
            " file=/etc/fidokey/users/1000.toml problem=symlink errno=40",
            " file=/x line=4 column=1 setting=nouserok detail=\"unknown field\"",
            " argument=2 setting=nouserokk detail=\"unknown argument\"",
            " detail=\"a \\x22 b\\x0a…\"",
        ] {
            verdict(rest).unwrap_or_else(|error| panic!("{rest}: {error}"));
        }
        let line = verdict(" detail=\"a \\x22 b\\x0a\"").unwrap();
        assert_eq!(line.get("detail"), Some("a \" b\n"));
        assert_eq!(line.fields().len(), 10);
    }

    #[test]
    fn given_any_other_line_then_it_is_refused() {
        for rest in [
            " ",
            "  detail=x",
            " detail=",
            " detail=x ",
            " detail=\"x",
            " detail=\"x\"y",
            " detail=\"\\x0A\"",
            " detail=\"\\n\"",
            " detail=\"\u{1b}\"",
            " detail=\"\u{202e}\"",
            " detail=ä",
            " detail=\"a … b\"",
            " Detail=x",
            " colour=x",
            " detail=x detail=x",
            " detail=x state=new",
            " cred=1a2b3c4d",
            " keys=2",
            " keys=1 cred=1a2b3c4d key=x",
            " call=getrandom",
            " call=getrandom state=new errno=38",
            " call=getrandom errno=38 file=/x problem=y errno=1",
            " line=1 column=1",
            " file=x problem=y",
            " user=mallory",
            &format!(" detail=\"{}\"", "x".repeat(LINE_MAX)),
        ] {
            assert!(verdict(rest).is_err(), "{rest}");
        }
        for (old, new) in [
            ("code=7", "code=0"),
            ("code=7", "code=8"),
            ("result=denied", "result=granted"),
            ("uid=1000", "uid=-1"),
            ("reason=record ", ""),
            ("user=alice uid=1000", "uid=1000 user=alice"),
        ] {
            assert!(LogLine::parse(&START.replace(old, new)).is_err(), "{new}");
        }
    }
}
