//! What the doctor says: findings, for people and for programs, and what was looked at.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use fidokey_core::findings::{Kind, Severity};
use fidokey_core::record::Misfit;

use crate::json;
use crate::terminal::{Stream, Style, printable, styled};

/// How many findings of a kind people are shown. A directory with ten thousand bad files would push everything else
/// off the screen; programs are shown all of them.
const SHOWN_MAX: usize = 10;

/// Where something was found.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place {
    file: String,
    /// From 1; 0 where there is none to tell.
    line: usize,
    /// From 1; 0 where there is none to tell.
    column: usize,
}

impl Place {
    /// The file, or what else there is at that path.
    pub(crate) fn file(path: &Path) -> Self {
        Self { file: path.to_string_lossy().into_owned(), ..Self::default() }
    }

    /// A line of it, from 1.
    pub(crate) fn line(self, line: usize) -> Self {
        Self { line, ..self }
    }

    /// Where `misfit` is in it.
    pub(crate) fn misfit(self, misfit: &Misfit) -> Self {
        Self { line: misfit.line, column: misfit.column, ..self }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match (self.line, self.column) {
            (0, _) => Ok(()),
            (line, 0) => write!(f, ":{line}"),
            (line, column) => write!(f, ":{line}:{column}"),
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    pub(crate) place: Place,
    /// What is wrong: a sentence.
    pub(crate) wrong: String,
    /// What to do about it, a command where there is one.
    pub(crate) remedy: String,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct LookedAt {
    /// Accounts with a record that can be used.
    pub(crate) accounts: usize,
    /// Their credentials.
    pub(crate) keys: usize,
    /// Services that PAM has a file for.
    pub(crate) services: usize,
    /// Those of them that ask for a key.
    pub(crate) asking: usize,
    /// Whether there was a running system, with devices and a name service.
    pub(crate) running: bool,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
    pub(crate) looked_at: LookedAt,
}

impl Report {
    /// Adds a finding.
    pub(crate) fn found(
        &mut self,
        kind: Kind,
        place: Place,
        wrong: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.findings.push(Finding { kind, place, wrong: wrong.into(), remedy: remedy.into() });
    }

    /// Puts the findings in order: the worst first, those of a kind together, those of a file from its top.
    pub(crate) fn sort(&mut self) {
        self.findings.sort_by(|one, other| {
            let order = |finding: &Finding| (finding.kind.row().severity, finding.kind);
            order(one).cmp(&order(other)).then_with(|| one.place.cmp(&other.place))
        });
    }

    /// Whether anything would lock out or weaken.
    pub(crate) fn is_bad(&self) -> bool {
        self.findings.iter().any(|finding| finding.kind.row().severity.is_bad())
    }

    /// For people: two lines for each finding, and one of what was looked at.
    pub(crate) fn text(&self) -> String {
        let mut shown: HashMap<Kind, usize> = HashMap::new();
        let mut lines = Vec::new();
        for Finding { kind, place, wrong, remedy } in &self.findings {
            let count = shown.entry(*kind).or_default();
            *count = count.saturating_add(1);
            if *count > SHOWN_MAX {
                continue;
            }
            let row = kind.row();
            let width = Severity::Lockout.word().len();
            let severity = row.severity.word();
            let severity = styled(Stream::Out, style(row.severity), &format!("{severity:width$}"));
            let what = printable(&format!("  {place}: {wrong} [{}]", row.word));
            lines.push(format!("{severity}{what}"));
            lines.push(printable(&format!("{:width$}  {remedy}", "")));
        }
        let mut left_out: Vec<(&Kind, usize)> = shown
            .iter()
            .filter_map(|(kind, count)| Some((kind, count.checked_sub(SHOWN_MAX)?)))
            .filter(|(_, more)| *more > 0)
            .collect();
        left_out.sort();
        for (kind, more) in left_out {
            lines.push(format!("{more} more of the kind {}: see --json.", kind.row().word));
        }
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(self.summary());
        lines.join("\n")
    }

    fn summary(&self) -> String {
        let LookedAt { accounts, keys, services, asking, running } = self.looked_at;
        let sum = |severity| {
            self.findings.iter().filter(|finding| finding.kind.row().severity == severity).count()
        };
        let verdict = match (sum(Severity::Lockout), sum(Severity::Weak)) {
            (0, 0) => "nothing would lock out or weaken a login".to_owned(),
            (lockout, 0) => format!("{} would lock out", counted(lockout, "finding")),
            (0, weak) => format!("{} would weaken a login", counted(weak, "finding")),
            (lockout, weak) => {
                format!(
                    "{} would lock out, {weak} would weaken a login",
                    counted(lockout, "finding")
                )
            }
        };
        let asking = match asking {
            0 => "none of them".to_owned(),
            asking => format!("{asking} of them"),
        };
        let elsewhere = match running {
            true => "",
            false => {
                "\nThis is not the running system: its devices and its name service were not looked at."
            }
        };
        format!(
            "{}, {}, {} ({asking} asking for a key); {verdict}.{elsewhere}",
            counted(accounts, "account"),
            counted(keys, "key"),
            counted(services, "service"),
        )
    }

    /// For programs: one object. Keys may be added, never renamed or removed.
    pub(crate) fn json(&self) -> String {
        let findings: Vec<String> = self.findings.iter().map(object).collect();
        let LookedAt { accounts, keys, services, asking, running } = self.looked_at;
        let looked_at = json::fields(&[
            ("accounts", accounts.to_string()),
            ("keys", keys.to_string()),
            ("services", services.to_string()),
            ("services_asking", asking.to_string()),
            ("running", running.to_string()),
        ]);
        json::fields(&[
            ("schema", "1".to_owned()),
            ("findings", json::array(&findings)),
            ("looked_at", looked_at),
        ])
    }
}

/// How it stands out.
const fn style(severity: Severity) -> Style {
    match severity {
        Severity::Lockout | Severity::Weak => Style::Red,
        Severity::Warning => Style::Yellow,
        Severity::Note => Style::Dim,
    }
}

fn object(Finding { kind, place, wrong, remedy }: &Finding) -> String {
    let row = kind.row();
    let mut fields = vec![
        ("severity", json::string(row.severity.word())),
        ("id", json::string(row.word)),
        ("file", json::string(&place.file)),
    ];
    for (key, number) in [("line", place.line), ("column", place.column)] {
        if number != 0 {
            fields.push((key, number.to_string()));
        }
    }
    fields.extend([("wrong", json::string(wrong)), ("remedy", json::string(remedy))]);
    json::fields(&fields)
}

/// `1 key`, `2 keys`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A path as a shell takes it for one word.
pub(crate) fn word(path: impl AsRef<Path>) -> String {
    let text = path.as_ref().to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "/._-@:+,".contains(c);
    match text.chars().all(plain) {
        true => text.into_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(findings: &[(Kind, &str)]) -> Report {
        let mut report = Report::default();
        for (kind, path) in findings {
            report.found(*kind, Place::file(Path::new(path)), "It is so.", "Mend it.");
        }
        report.sort();
        report
    }

    #[test]
    fn given_findings_then_the_worst_are_first_and_the_last_line_says_what_was_looked_at() {
        let mut report =
            report(&[(Kind::OneKey, "/b"), (Kind::RecordWrong, "/c"), (Kind::RecordWrong, "/a")]);
        report.looked_at =
            LookedAt { accounts: 1, keys: 2, services: 17, asking: 1, running: true };
        assert_eq!(
            report.text(),
            "lockout  /a: It is so. [record-wrong]\n         Mend it.\n\
             lockout  /c: It is so. [record-wrong]\n         Mend it.\n\
             warning  /b: It is so. [one-key]\n         Mend it.\n\n\
             1 account, 2 keys, 17 services (1 of them asking for a key); 2 findings would lock out."
        );
        assert!(report.is_bad());
    }

    #[test]
    fn given_warnings_alone_then_nothing_is_bad() {
        let harmless = report(&[(Kind::OneKey, "/b"), (Kind::Leftover, "/c")]);
        assert!(!harmless.is_bad());
        assert!(harmless.text().contains("nothing would lock out or weaken a login.\nThis is not"));
        let weak = report(&[(Kind::CredentialShared, "/b")]);
        assert!(weak.is_bad() && weak.text().contains("; 1 finding would weaken a login."));
    }

    #[test]
    fn given_ten_thousand_of_a_kind_then_people_see_ten_and_programs_all() {
        let mut many: Vec<(Kind, &str)> = vec![(Kind::RecordName, "/x"); 10_000];
        many.push((Kind::OneKey, "/y"));
        let report = report(&many);
        let text = report.text();
        assert_eq!(text.lines().count(), 10 * 2 + 2 + 4);
        assert!(text.contains("\n9990 more of the kind record-name: see --json.\n"), "{text}");
        assert_eq!(report.json().matches("\"id\": \"record-name\"").count(), 10_000);
    }

    #[test]
    fn given_what_plays_tricks_on_a_terminal_then_it_is_not_shown() {
        let mut report = Report::default();
        report.found(
            Kind::Leftover,
            Place::file(Path::new("/a\u{1b}[2J\nb")),
            "x\u{9b}",
            "\u{202e}",
        );
        assert!(!report.text().contains(['\u{1b}', '\u{9b}', '\u{202e}']));
        assert_eq!(report.text().lines().count(), 5);
        assert!(!report.json().contains(['\u{1b}', '\u{9b}', '\u{202e}']));
    }

    #[test]
    fn a_path_is_one_word_of_the_shell() {
        assert_eq!(word("/etc/fidokey/users/1000.toml"), "/etc/fidokey/users/1000.toml");
        assert_eq!(word("/a b'c;d"), "'/a b'\\''c;d'");
    }

    #[test]
    fn the_object_for_programs_is_what_the_manual_says() {
        let mut report = Report::default();
        let place = Place::file(Path::new("/etc/\"x\"")).line(3);
        report.found(Kind::RecordWrong, place, "wrong", "do");
        assert_eq!(
            report.json(),
            "{\"schema\": 1, \"findings\": [\n  {\"severity\": \"lockout\", \"id\": \"record-wrong\", \
             \"file\": \"/etc/\\\"x\\\"\", \"line\": 3, \"wrong\": \"wrong\", \"remedy\": \"do\"}\n], \
             \"looked_at\": {\"accounts\": 0, \"keys\": 0, \"services\": 0, \"services_asking\": 0, \
             \"running\": false}}"
        );
    }
}
