//! The state of an account: what its logins leave behind for the next one. TOML text to values and back, and what
//! a signature counter says. How the file is found and whether it can be trusted is decided elsewhere.
//!
//! It can only ever take away: no state lets anybody in, and without one a login is what it would be at the first
//! use of a key.

use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use crate::base64url;
use crate::credential::{AccountName, Credential};
use crate::notice::{self, CHANGES_MAX, Change, Changed, Notice};
use crate::ports::FileError;
use crate::text::{self, Misfit, Source, quoted};

pub mod keys;

/// The most credentials that a state speaks of: those of a record.
const CREDENTIALS_MAX: usize = crate::record::CREDENTIALS_MAX;

/// What is known of an account's credentials from earlier logins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State {
    user: AccountName,
    /// What is to be told at the next login.
    notice: Option<Notice>,
    credentials: Vec<Used>,
}

/// A use of a credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Use<'a> {
    /// The signature counter of the assertion (WebAuthn section 6.1.1).
    pub counter: u32,
    /// When, as RFC 3339 in UTC, where that can be told; only shown.
    pub when: Option<&'a str>,
    /// For which PAM service; only shown.
    pub service: &'a str,
}

/// What is known of one credential.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Used {
    /// The credential by a name of one length: an id may have a kilobyte.
    id_hash: [u8; 32],
    /// The record's: what was known of an earlier registration says nothing of this one.
    added: String,
    /// The highest counter seen.
    counter: u32,
    last_used: Option<String>,
    last_service: String,
}

impl State {
    /// The state of an account that has none yet.
    #[must_use]
    pub const fn new(user: AccountName) -> Self {
        Self { user, notice: None, credentials: Vec::new() }
    }

    /// Reads the text of a state, at most 64 KiB of UTF-8.
    ///
    /// # Errors
    /// The first [`Misfit`]; nothing of it is believed then.
    pub fn parse(text: &[u8]) -> Result<Self, Misfit> {
        let source = Source::new(text)?;
        let raw: RawState = source.parse()?;
        let RawState { schema: _, user, notice, credential } = raw;
        if credential.len() > CREDENTIALS_MAX {
            return Err(text::nowhere("more than 64 credentials"));
        }
        Ok(Self {
            user: source
                .value("user", &user, |user| AccountName::new(user).map_err(|bad| bad.0))?,
            notice: notice.map(|raw| parse_notice(source, &raw)).transpose()?,
            credentials: credential
                .iter()
                .map(|raw| parse_used(source, raw))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The text, which [`State::parse`] reads again to the same state.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = format!("schema = 1\nuser = {}\n", quoted(self.user.as_str()));
        if let Some(notice) = &self.notice {
            let Notice { changes, what, key, when, by } = notice;
            text.push_str(&format!("\n[notice]\nchanges = {changes}\n"));
            text.push_str(&format!("what = {}\nkey = {}\n", quoted(what.word()), quoted(key)));
            if let Some(when) = when {
                text.push_str(&format!("when = {when}\n"));
            }
            text.push_str(&format!("by = {}\n", quoted(by)));
        }
        for used in &self.credentials {
            let hash = base64url::encode(&used.id_hash);
            text.push_str(&format!("\n[[credential]]\nid_hash = {}\n", quoted(&hash)));
            text.push_str(&format!("added = {}\ncounter = {}\n", used.added, used.counter));
            if let Some(when) = &used.last_used {
                text.push_str(&format!("last_used = {when}\n"));
            }
            text.push_str(&format!("last_service = {}\n", quoted(&used.last_service)));
        }
        text
    }

    /// The name of the account when it last logged in.
    #[must_use]
    pub const fn user(&self) -> &AccountName {
        &self.user
    }

    /// Whether this is the state of an account of that name: the number of a deleted account may have been given
    /// to another one.
    #[must_use]
    pub fn belongs_to(&self, user: &AccountName) -> bool {
        self.user == *user
    }

    /// Whether `counter`, signed just now, says that another authenticator has signed with this credential too
    /// (WebAuthn section 7.2 step 22, section 6.1.1): it has not risen, and is not 0 for ever.
    #[must_use]
    pub fn went_back(&self, credential: &Credential, counter: u32) -> bool {
        let known = self.known(credential).map_or(0, |used| used.counter);
        known != 0 && counter <= known
    }

    /// Notes a use of `credential`, and forgets those that `record` has no more. The highest counter stays.
    pub fn note(&mut self, record: &[Credential], credential: &Credential, this: &Use<'_>) {
        let counter = self.known(credential).map_or(0, |used| used.counter).max(this.counter);
        let used = Used {
            id_hash: credential.id.digest(),
            added: credential.added.clone(),
            counter,
            // A clock beyond the year 9999 shows what TOML cannot read again.
            last_used: this.when.filter(|when| when.parse::<Datetime>().is_ok()).map(str::to_owned),
            last_service: text::printable(this.service),
        };
        self.credentials.retain(|known| record.iter().any(|credential| known.is_of(credential)));
        match self.credentials.iter_mut().find(|known| known.is_of(credential)) {
            Some(known) => *known = used,
            None => self.credentials.push(used),
        }
    }

    /// The last use of `credential` that is known of, by its name and registration.
    #[must_use]
    pub fn last_use(&self, credential: &Credential) -> Option<Use<'_>> {
        self.known(credential).map(|used| Use {
            counter: used.counter,
            when: used.last_used.as_deref(),
            service: &used.last_service,
        })
    }

    /// The uses that were for `service`, each as a text that no two uses share.
    #[must_use]
    pub fn marks(&self, service: &str) -> Vec<String> {
        let of_service = self.credentials.iter().filter(|used| used.last_service == service);
        let mark = |used: &Used| {
            let when = used.last_used.as_deref().unwrap_or("-");
            let hash = base64url::encode(&used.id_hash);
            format!("{} {hash} {} {when}", self.user, used.counter)
        };
        of_service.map(mark).collect()
    }

    /// Puts down the last uses that were for `service` as those of `instead`, which is no service: a login by the very stack
    /// that is to be tried is none by the one that is in force, and the next one has to show.
    pub fn set_aside(&mut self, service: &str, instead: &str) {
        for used in &mut self.credentials {
            if used.last_service == service {
                used.last_service = text::printable(instead);
            }
        }
    }

    /// Puts a change down, for the next login to tell.
    pub fn announce(&mut self, change: &Change<'_>) {
        self.notice = Some(Notice::new(change).after(self.notice.as_ref()));
    }

    /// What is to be told, and from here on has been.
    pub fn take_notice(&mut self) -> Option<Notice> {
        self.notice.take()
    }

    /// Puts down again what was taken and then not told. What was announced since is later.
    pub fn put_back(&mut self, notice: Notice) {
        self.notice = Some(match self.notice.take() {
            Some(later) => later.after(Some(&notice)),
            None => notice,
        });
    }

    fn known(&self, credential: &Credential) -> Option<&Used> {
        self.credentials.iter().find(|used| used.is_of(credential))
    }
}

/// The text of the state of `user` with one more change to tell, where `text` is what there was: what is no state, or that of
/// an account of another name, is replaced, as a login does it.
#[must_use]
pub fn announced(text: Option<&[u8]>, user: &AccountName, change: &Change<'_>) -> String {
    let state = text.and_then(|text| State::parse(text).ok());
    let state = state.filter(|state| state.belongs_to(user));
    let mut state = state.unwrap_or_else(|| State::new(user.clone()));
    state.announce(change);
    state.to_toml()
}

/// Whether what could not be read is no state, and can be replaced: what others could have written is left for somebody to
/// look at.
#[must_use]
pub fn is_none(error: &FileError) -> bool {
    matches!(error.reason, "changed" | "empty" | "too_large")
}

impl Used {
    fn is_of(&self, credential: &Credential) -> bool {
        self.id_hash == credential.id.digest() && self.added == credential.added
    }
}

/// The file as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawState {
    // Checked when the text is read; named here so that it must be there.
    #[expect(dead_code, reason = "its presence is all that is asked of it here")]
    schema: i64,
    user: Spanned<String>,
    notice: Option<RawNotice>,
    #[serde(default)]
    credential: Vec<RawUsed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUsed {
    id_hash: Spanned<String>,
    added: Datetime,
    counter: Spanned<i64>,
    last_used: Option<Datetime>,
    last_service: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNotice {
    changes: Spanned<i64>,
    what: Spanned<String>,
    key: String,
    when: Option<Datetime>,
    by: String,
}

fn parse_notice(source: Source<'_>, raw: &RawNotice) -> Result<Notice, Misfit> {
    Ok(Notice {
        changes: source.value("changes", &raw.changes, |&changes| {
            let changes = u16::try_from(changes).ok();
            let known = changes.filter(|changes| (1..=CHANGES_MAX).contains(changes));
            known.ok_or("must be 1 to 999")
        })?,
        what: source.value("what", &raw.what, |word| {
            let known = Changed::ALL.into_iter().find(|what| what.word() == word);
            known.ok_or("must be \"registered\", \"removed\", \"renamed\" or \"reset\"")
        })?,
        // Only shown.
        key: notice::key(&raw.key),
        when: raw.when.map(|when| when.to_string()),
        by: notice::by(&raw.by),
    })
}

fn parse_used(source: Source<'_>, raw: &RawUsed) -> Result<Used, Misfit> {
    Ok(Used {
        id_hash: source.value("id_hash", &raw.id_hash, |hash| {
            let bytes = base64url::decode(hash).and_then(|bytes| bytes.try_into().ok());
            bytes.ok_or("must be 32 bytes as base64url without padding")
        })?,
        added: raw.added.to_string(),
        counter: source.value("counter", &raw.counter, |&counter| {
            u32::try_from(counter).map_err(|_| "must be 0 to 4294967295")
        })?,
        last_used: raw.last_used.map(|when| when.to_string()),
        last_service: text::printable(&raw.last_service),
    })
}
