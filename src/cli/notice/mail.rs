//! The mail that tells an account of a change to its keys: the text, and whom it may go to. What sends it is elsewhere.
//!
//! Nothing in it is anybody's but in two places: the subject, which is encoded (RFC 2047) unless it is short and plain, and the
//! body. No name can become a header, and the recipient is not taken from the headers at all.

use std::fmt::Write as _;
use std::time::Duration;

use email_encoding::headers::rfc2047;
use email_encoding::headers::writer::EmailWriter;
use fidokey_core::date::rfc5322;

use super::{Change, What};
use crate::terminal::printable;

/// The longest name that may be shown, in characters.
const SHOWN_MAX: usize = 64;
/// The longest local part, in bytes (RFC 5321 section 4.5.3.1.1).
const LOCAL_PART_MAX: usize = 64;
/// The longest subject that can stand as it is: a line of a header should have 78 characters (RFC 5322 section 2.1.1).
const PLAIN_SUBJECT_MAX: usize = 69;

/// `name` as an address of this machine, or `None` where it is more than that. Mail systems see a lot in a name: `|program`,
/// `/a/file`, `a@elsewhere`, `host!a`, a list, a comment.
pub(super) fn address(name: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_one = name.len() <= LOCAL_PART_MAX
        && name.chars().all(plain)
        && !name.starts_with('-')
        && name.split('.').all(|part| !part.is_empty());
    is_one.then_some(name)
}

/// The message to `address` about `change` on this `host`, with its headers, at the moment `since_1970`. It fits into one
/// page. Its lines end as those of a text on this system: the mail system puts what it needs.
pub(super) fn message(
    change: &Change<'_>,
    address: &str,
    host: &str,
    since_1970: Duration,
) -> String {
    let shown = Shown {
        account: shown(change.account.name.as_str()),
        key: shown(change.key),
        host: shown(host),
    };
    let body = shown.body(change);
    let encoding = if body.is_ascii() { "7bit" } else { "8bit" };
    let date = rfc5322(since_1970);
    let subject = encoded(&shown.subject(change.what));
    // RFC 3834 section 5: nobody's holiday answers it.
    format!(
        "From: root\nTo: {address}\nSubject: {subject}\nDate: {date}\nAuto-Submitted: auto-generated\n\
         MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
         Content-Transfer-Encoding: {encoding}\n\n{body}"
    )
}

/// What comes from outside, as it may be shown.
struct Shown {
    account: String,
    key: String,
    host: String,
}

impl Shown {
    fn subject(&self, what: What<'_>) -> String {
        let Self { account, key, host } = self;
        match what {
            What::Registered => format!("Security key \"{key}\" added to {account} on {host}"),
            What::Removed => format!("Security key \"{key}\" removed from {account} on {host}"),
            What::Renamed(_) => format!("Security key of {account} renamed \"{key}\" on {host}"),
            What::Reset(_) => format!("All security keys removed from {account} on {host}"),
        }
    }

    fn body(&self, change: &Change<'_>) -> String {
        let Self { account, key, host } = self;
        let happened = match change.what {
            What::Registered => "A security key was registered".to_owned(),
            What::Removed => "A security key was removed".to_owned(),
            What::Renamed(_) => "A security key was given another name".to_owned(),
            // It could not be read.
            What::Reset(0) => "The record of the security keys was removed".to_owned(),
            What::Reset(1) => "The only security key was removed".to_owned(),
            What::Reset(keys) => format!("All {keys} security keys were removed"),
        };
        let mut body = format!("{happened}: account {account} on {host}.\n\n");
        if !change.cred.is_empty() {
            let last = if matches!(change.what, What::Reset(2..)) { "the last one " } else { "" };
            let _ = writeln!(body, "Key:   {last}\"{key}\" (cred {})", shown(change.cred));
        }
        if let What::Renamed(from) = change.what {
            let _ = writeln!(body, "Was:   \"{}\"", shown(from));
        }
        let left = match change.keys {
            0 => "no key".to_owned(),
            1 => "1 key".to_owned(),
            keys => format!("{keys} keys"),
        };
        let _ = write!(
            body,
            "When:  {} (UTC)\nBy:    {}\n\nThe account has {left} now: see `fidokey list`.\n\n\
             If you know nothing of this, tell your administrator at once, who sees in the log of\n\
             authentication what was done. {}\n",
            shown(change.when),
            shown(change.by),
            match change.what {
                What::Registered =>
                    "Until that key is removed, whoever has it may be let in as you.",
                What::Renamed(_) => "No login is different by it.",
                What::Removed | What::Reset(_) =>
                    "Until you have a key again, a login may ask you for less, or let you in no more.",
            },
        );
        body
    }
}

/// What comes from outside: one line, and not a long one.
fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    printable(&cut)
}

/// `subject`, whose reader sees it as it is: what looks like encoded is encoded.
fn encoded(subject: &str) -> String {
    let plain = |c: char| c == ' ' || c.is_ascii_graphic();
    if subject.len() <= PLAIN_SUBJECT_MAX && subject.chars().all(plain) && !subject.contains("=?") {
        return subject.to_owned();
    }
    let mut words = String::new();
    let mut writer = EmailWriter::new(&mut words, "Subject: ".len(), 0, false);
    // Writing to a string does not fail.
    let _ = rfc2047::encode(subject, &mut writer);
    drop(writer);
    words.replace("\r\n", "\n")
}

#[cfg(test)]
#[path = "mail/tests.rs"]
mod tests;
