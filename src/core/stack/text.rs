//! From the bytes of a file to the lines that libpam makes of them, and from a line to its words
//! (`_pam_assemble_line` and `_pam_StrTok`).

use std::ops::Range;

/// The longest line, in bytes, that every release takes in one piece: 1.5 cuts what does not fit into 1024.
const LINE_MAX: usize = 1000;

/// A line with everything that a backslash at its end adds to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Line {
    /// Where it stands in the text, from the beginning of its first physical line to the end of its last one, newline
    /// included.
    pub(super) range: Range<usize>,
    /// Its first physical line, from 1.
    pub(super) number: usize,
    /// What of it counts.
    pub(super) content: Vec<u8>,
}

/// Why a text has no lines, and at which line, from 1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Broken {
    pub(super) number: usize,
    pub(super) what: &'static str,
    /// Whether libpam gives up on it, or every release does something else.
    pub(super) certain: bool,
}

/// The lines of `text` that are neither empty nor comments, up to the one that is broken.
pub(super) fn lines(text: &[u8]) -> (Vec<Line>, Option<Broken>) {
    let mut lines = Vec::new();
    let mut open: Option<Line> = None;
    let mut at = 0_usize;
    for (physical, number) in text.split_inclusive(|&byte| byte == b'\n').zip(1..) {
        let range = at..at.saturating_add(physical.len());
        at = range.end;
        let doubt = |what| Some(Broken { number, what, certain: false });
        if physical.len() > LINE_MAX {
            return (lines, doubt("a line of more than 1000 bytes"));
        }
        if physical.contains(&0) {
            return (lines, doubt("a zero byte"));
        }
        let (part, goes_on) = prepare(physical);
        let blank = part.iter().all(|byte| is_delimiter(*byte));
        if blank && !goes_on {
            match open {
                None => continue,
                Some(_) => return (lines, doubt("a continued line goes on after a blank one")),
            }
        }
        let mut line =
            open.take().unwrap_or(Line { range: range.clone(), number, content: Vec::new() });
        line.range.end = range.end;
        line.content.extend_from_slice(part);
        if line.content.len() > LINE_MAX {
            return (lines, doubt("a continued line of more than 1000 bytes"));
        }
        if goes_on {
            line.content.push(b' ');
            open = Some(line);
        } else {
            lines.push(line);
        }
    }
    let unfinished = open.map(|line| Broken {
        number: line.number,
        what: "the file ends where a line should go on",
        certain: true,
    });
    (lines, unfinished)
}

/// What counts of a physical line, and whether the next one belongs to it.
fn prepare(physical: &[u8]) -> (&[u8], bool) {
    if let Some(comment) = physical.iter().position(|&byte| byte == b'#') {
        return (physical.get(..comment).unwrap_or_default(), false);
    }
    let end = physical
        .iter()
        .rposition(|byte| !is_delimiter(*byte))
        .map_or(0, |last| last.saturating_add(1));
    let content = physical.get(..end).unwrap_or_default();
    match content.split_last() {
        Some((b'\\', before)) => (before, true),
        // With its end: a bracket that is not closed goes as far.
        _ => (physical, false),
    }
}

const fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

/// The words of a line, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Words<'l>(Option<&'l [u8]>);

impl<'l> Words<'l> {
    pub(super) const fn of(content: &'l [u8]) -> Self {
        Self(Some(content))
    }
}

impl Iterator for Words<'_> {
    type Item = Vec<u8>;

    /// What stands in brackets is one word, without them; `\]` in it is a bracket that does not end it.
    fn next(&mut self) -> Option<Vec<u8>> {
        let rest = self.0.take()?;
        let begin = rest.iter().position(|byte| !is_delimiter(*byte))?;
        let rest = rest.get(begin..).unwrap_or_default();
        let (word, after) = match rest.split_first() {
            Some((b'[', inside)) => bracketed(inside),
            _ => {
                let end = rest.iter().position(|byte| is_delimiter(*byte)).unwrap_or(rest.len());
                (rest.get(..end).unwrap_or_default().to_vec(), rest.get(end..).unwrap_or_default())
            }
        };
        // The byte that ended it is no part of what follows.
        self.0 = after.get(1..).filter(|after| !after.is_empty());
        Some(word)
    }
}

fn bracketed(inside: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut word = Vec::new();
    let mut rest = inside;
    loop {
        match rest {
            [] | [b']', ..] => return (word, rest),
            [b'\\', b']', after @ ..] => {
                word.push(b']');
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        Words::of(line.as_bytes()).map(|word| String::from_utf8(word).unwrap()).collect()
    }

    fn contents(text: &str) -> Vec<String> {
        let (lines, broken) = lines(text.as_bytes());
        assert_eq!(broken, None);
        lines.into_iter().map(|line| String::from_utf8(line.content).unwrap()).collect()
    }

    #[test]
    fn words_are_what_blanks_and_brackets_make_of_a_line() {
        assert_eq!(words("auth\t required  pam_a.so x=1"), ["auth", "required", "pam_a.so", "x=1"]);
        assert_eq!(
            words("auth [success=ok  default=die]pam_a.so"),
            ["auth", "success=ok  default=die", "pam_a.so"]
        );
        assert_eq!(words(r"a [b\]c] [d"), ["a", "b]c", "d"]);
        assert_eq!(words("a []"), ["a", ""]);
        assert_eq!(words(" \t "), Vec::<String>::new());
    }

    #[test]
    fn comments_and_blank_lines_are_none_and_a_backslash_goes_on() {
        assert_eq!(contents("# a\n\n auth x # b\\\nauth \\\n  y\n"), [" auth x ", "auth    y\n"]);
        let (lines, _) = lines(b"#\nauth \\\n  y\nz");
        assert_eq!(lines[0].range, 2..13);
        assert_eq!((lines[0].number, lines[1].number), (2, 4));
        assert_eq!(lines[1].range, 13..14);
    }

    #[test]
    fn given_what_releases_read_differently_then_it_is_said() {
        for (text, number, certain) in [
            ("auth \\\n\nx\n", 2, false),
            ("auth \\\n# c\nx\n", 2, false),
            ("a\nb\0c\n", 2, false),
            (&format!("a\n{}\n", "x".repeat(1001)), 2, false),
            (&format!("{}\\\n{}\n", "x".repeat(600), "y".repeat(600)), 2, false),
            ("a\nauth \\\n", 2, true),
            ("a\nauth \\", 2, true),
        ] {
            let (_, broken) = lines(text.as_bytes());
            let broken = broken.map(|broken| (broken.number, broken.certain));
            assert_eq!(broken, Some((number, certain)), "{text:?}");
        }
    }
}
