//! `fidokey list`: the keys of an account. The record is readable by all, so nobody has to be root; when a key was last
//! used is in the state, which is root's alone.

use fidokey_core::base64url;
use fidokey_core::credential::{Credential, Protocol};
use fidokey_core::ports::{Account, FileError, TextFile};
use fidokey_core::state::State;
use fidokey_system::accounts::effective_uid;
use fidokey_system::files::Places;

use crate::arguments::List;
use crate::outcome::{Exit, Failure, Outcome};
use crate::table::aligned;
use crate::terminal::{note, print, printable};
use crate::{account, json, record};

/// Lists the keys.
pub(crate) fn run(asked: &List) -> Outcome {
    let account = account::named_or_own(asked.user.as_ref())?;
    let places = Places::system();
    let record = record::of(&account, places.read_record(account.uid))?;
    let credentials = record.map(|record| record.credentials).unwrap_or_default();
    let uses = match effective_uid() {
        0 => Uses::of(&account, places.read_state(account.uid)),
        _ => Uses::Hidden,
    };
    if asked.json {
        print(&object(&account, &credentials, &uses))?;
    }
    if credentials.is_empty() {
        return Err(Failure::new(
            Exit::No,
            format!("No keys are registered for {}.", account.name),
            format!("Register one with `sudo fidokey enroll --user {}`.", account.name),
        ));
    }
    if !asked.json {
        print(&table(&credentials, &uses))?;
        remarks(&account, credentials.len(), &uses).iter().for_each(|remark| note(remark));
    }
    Ok(Exit::Done)
}

/// What is known of when the keys were used.
enum Uses {
    /// It is not for everybody to know.
    Hidden,
    /// All of it; without a state there was no use.
    Known(Option<State>),
    /// It cannot be read, for this reason.
    Unknown(String),
}

impl Uses {
    fn of(account: &Account, read: Result<Option<TextFile>, FileError>) -> Self {
        let TextFile { path, text } = match read {
            Ok(Some(file)) => file,
            Ok(None) => return Self::Known(None),
            Err(error) => return Self::Unknown(error.to_string()),
        };
        match State::parse(&text) {
            // That of another account is replaced by the next login.
            Ok(state) => Self::Known(Some(state).filter(|it| it.belongs_to(&account.name))),
            Err(misfit) => Self::Unknown(format!("{path}: {misfit}")),
        }
    }

    const fn are_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    /// When `credential` was last used, and for which service, where either is known.
    fn last(&self, credential: &Credential) -> (Option<&str>, Option<&str>) {
        let Self::Known(Some(state)) = self else { return (None, None) };
        state.last_use(credential).map_or((None, None), |last| (last.when, Some(last.service)))
    }
}

/// What there is to say beside the table.
fn remarks(account: &Account, keys: usize, uses: &Uses) -> Vec<String> {
    let user = &account.name;
    let mut remarks = Vec::new();
    match uses {
        Uses::Hidden => remarks.push(format!(
            "When a key was last used, root sees: `sudo fidokey list --user {user}`."
        )),
        Uses::Known(_) => {}
        Uses::Unknown(why) => {
            remarks.push(printable(&format!("When a key was last used is not known: {why}.")));
        }
    }
    if keys == 1 {
        remarks.push(format!("{user} has 1 key: register a second one, so that one can be lost."));
    }
    remarks
}

/// All of it for programs. Keys of the objects may be added, never renamed or removed.
fn object(account: &Account, credentials: &[Credential], uses: &Uses) -> String {
    let keys: Vec<String> = credentials.iter().map(|credential| key(credential, uses)).collect();
    json::fields(&[
        ("schema", "1".to_owned()),
        ("user", json::string(account.name.as_str())),
        ("uid", account.uid.to_string()),
        ("uses_known", uses.are_known().to_string()),
        ("keys", json::array(&keys)),
    ])
}

fn key(credential: &Credential, uses: &Uses) -> String {
    let (when, service) = uses.last(credential);
    let texts = [
        ("name", credential.name.as_str()),
        ("cred", &record::tag(credential)),
        ("id", &base64url::encode(credential.id.as_bytes())),
        ("protocol", credential.protocol.word()),
        ("algorithm", credential.public_key.algorithm().word()),
        ("rp_id", credential.rp_id.as_str()),
        ("verification", credential.verification.word()),
        ("added", &credential.added),
        ("added_by", &credential.added_by),
    ];
    let mut fields: Vec<(&str, String)> =
        texts.into_iter().map(|(key, text)| (key, json::string(text))).collect();
    fields.push(("last_used", json::optional(when)));
    fields.push(("last_service", json::optional(service)));
    json::fields(&fields)
}

/// The keys for people.
fn table(credentials: &[Credential], uses: &Uses) -> String {
    let mut head = vec!["NAME", "KIND", "ADDED"];
    if uses.are_known() {
        head.extend(["LAST USED (UTC)", "FOR"]);
    }
    head.extend(["VERIFICATION", "CRED"]);
    let row = |credential: &Credential| {
        let mut row = vec![
            printable(credential.name.as_str()),
            kind(credential.protocol).to_owned(),
            printable(day(&credential.added)),
        ];
        if uses.are_known() {
            let (when, service) = uses.last(credential);
            let never = if service.is_some() { "unknown" } else { "never" };
            row.push(printable(&when.map_or_else(|| never.to_owned(), minute)));
            row.push(printable(service.unwrap_or("-")));
        }
        row.extend([credential.verification.word().to_owned(), record::tag(credential)]);
        row
    };
    aligned(&head, &credentials.iter().map(row).collect::<Vec<_>>())
}

const fn kind(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Fido2 => "FIDO2",
        Protocol::U2f => "U2F",
    }
}

/// The day of a date and time, as RFC 3339 has it.
fn day(when: &str) -> &str {
    when.split(['T', ' ']).next().unwrap_or(when)
}

/// The same to the minute: `2026-11-26 09:12`.
fn minute(when: &str) -> String {
    when.chars().take("2026-11-26T09:12".len()).collect::<String>().replace('T', " ")
}

#[cfg(test)]
mod tests {
    use fidokey_core::credential::AccountName;
    use fidokey_core::record::Record;
    use fidokey_core::state::Use;

    use super::*;

    const RECORD: &str = r#"
schema = 1
user = "alice"
uid = 1000

[[credential]]
name = "Blue key"
protocol = "fido2"
algorithm = "es256"
rp_id = "pam://fidokey"
id = "AAAA"
public_key = "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
verification = "none"
added = 2026-11-23T10:00:00Z
added_by = "root"

[[credential]]
name = "Old"
protocol = "u2f"
algorithm = "es256"
rp_id = "pam://fidokey"
id = "BBBB"
public_key = "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
verification = "none"
added = 2026-11-24T10:00:00Z
added_by = "root"
"#;

    fn alice() -> Account {
        Account { uid: 1000, name: AccountName::new("alice").unwrap() }
    }

    fn credentials() -> Vec<Credential> {
        Record::parse(RECORD.as_bytes()).unwrap().credentials
    }

    fn used(user: &str) -> Uses {
        let mut state = State::new(AccountName::new(user).unwrap());
        let credentials = credentials();
        let this = Use { counter: 7, when: Some("2026-11-26T09:12:00Z"), service: "sudo" };
        state.note(&credentials, &credentials[0], &this);
        let text = state.to_toml().into_bytes();
        Uses::of(&alice(), Ok(Some(TextFile { path: "/state".to_owned(), text })))
    }

    #[test]
    fn given_root_then_the_table_has_when_each_key_was_last_used() {
        assert_eq!(
            table(&credentials(), &used("alice")),
            "NAME      KIND   ADDED       LAST USED (UTC)   FOR   VERIFICATION  CRED\n\
             Blue key  FIDO2  2026-11-23  2026-11-26 09:12  sudo  none          709e80c8\n\
             Old       U2F    2026-11-24  never             -     none          3a6e29c1"
                .replace("3a6e29c1", &record::tag(&credentials()[1]))
        );
        assert!(remarks(&alice(), 2, &used("alice")).is_empty());
        // The state that a deleted account has left says nothing of this one.
        assert!(!table(&credentials(), &used("mallory")).contains("sudo"));
    }

    #[test]
    fn given_somebody_else_then_the_columns_are_left_out_and_it_is_said_who_sees_them() {
        assert_eq!(
            table(&credentials()[..1], &Uses::Hidden),
            "NAME      KIND   ADDED       VERIFICATION  CRED\n\
             Blue key  FIDO2  2026-11-23  none          709e80c8"
        );
        assert_eq!(
            remarks(&alice(), 1, &Uses::Hidden),
            [
                "When a key was last used, root sees: `sudo fidokey list --user alice`.",
                "alice has 1 key: register a second one, so that one can be lost."
            ]
        );
        let error = FileError { path: "/x\n".to_owned(), reason: "mode", errno: 0 };
        let unsafe_state = Uses::of(&alice(), Err(error));
        assert!(!table(&credentials(), &unsafe_state).contains("LAST USED"));
        let remarks = remarks(&alice(), 2, &unsafe_state);
        assert_eq!(remarks, ["When a key was last used is not known: /x?: mode."]);
    }

    // E15.
    #[test]
    fn the_object_has_what_the_manual_says() {
        let one = &credentials()[..1];
        let expected = |known: bool, when: &str, service: &str| {
            format!(
                "{{\"schema\": 1, \"user\": \"alice\", \"uid\": 1000, \"uses_known\": {known}, \"keys\": [\n  \
                 {{\"name\": \"Blue key\", \"cred\": \"709e80c8\", \"id\": \"AAAA\", \
                 \"protocol\": \"fido2\", \"algorithm\": \"es256\", \"rp_id\": \"pam://fidokey\", \
                 \"verification\": \"none\", \"added\": \"2026-11-23T10:00:00Z\", \"added_by\": \"root\", \
                 \"last_used\": {when}, \"last_service\": {service}}}\n]}}"
            )
        };
        let known = expected(true, "\"2026-11-26T09:12:00Z\"", "\"sudo\"");
        assert_eq!(object(&alice(), one, &used("alice")), known);
        assert_eq!(object(&alice(), one, &Uses::Hidden), expected(false, "null", "null"));
    }
}
