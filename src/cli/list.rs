//! `fidokey list`: the keys of an account. The record is readable by all, so nobody has to be root.

use fidokey_core::base64url;
use fidokey_core::credential::Credential;
use fidokey_core::ports::Machine;
use fidokey_system::files::Places;
use fidokey_system::machine::System;

use crate::arguments::List;
use crate::outcome::{Exit, Failure, Outcome};
use crate::{account, json, record, terminal};

const HEAD: [&str; 7] = ["NAME", "PROTOCOL", "ALGORITHM", "VERIFICATION", "ADDED", "BY", "CRED"];

/// Lists the keys.
pub(crate) fn run(asked: &List) -> Outcome {
    let account = account::named_or_own(asked.user.as_ref())?;
    let text = System::new(Places::system()).record(account.uid);
    let Some(record) = record::of(&account, text)? else {
        if asked.json {
            terminal::print(&json::array(&[]))?;
        }
        return Err(Failure::new(
            Exit::No,
            format!("No keys are registered for {}.", account.name),
            format!("Register one with `sudo fidokey enroll --user {}`.", account.name),
        ));
    };
    let shown = match asked.json {
        true => json::array(&record.credentials.iter().map(object).collect::<Vec<_>>()),
        false => table(&record.credentials),
    };
    terminal::print(&shown).map(|()| Exit::Done)
}

/// One key for programs. Keys of the object may be added, never renamed or removed.
fn object(credential: &Credential) -> String {
    json::object(&[
        ("name", credential.name.as_str()),
        ("cred", &record::tag(credential)),
        ("id", &base64url::encode(credential.id.as_bytes())),
        ("protocol", credential.protocol.word()),
        ("algorithm", credential.public_key.algorithm().word()),
        ("rp_id", credential.rp_id.as_str()),
        ("verification", credential.verification.word()),
        ("added", &credential.added),
        ("added_by", &credential.added_by),
    ])
}

/// The keys for people: columns as wide as their widest value.
fn table(credentials: &[Credential]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(credentials.iter().map(|credential| {
        [
            credential.name.as_str(),
            credential.protocol.word(),
            credential.public_key.algorithm().word(),
            credential.verification.word(),
            &credential.added,
            &credential.added_by,
            &record::tag(credential),
        ]
        .map(terminal::printable)
    }));
    let widths = (0..HEAD.len()).map(|column| {
        let width = |row: &[String; 7]| row.get(column).map_or(0, |cell| cell.chars().count());
        rows.iter().map(width).max().unwrap_or_default()
    });
    let widths: Vec<usize> = widths.collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}  "));
        cells.collect::<String>().trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use fidokey_core::record::Record;

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
"#;

    // E15.
    #[test]
    fn the_table_and_the_object_have_what_the_manual_says() {
        let record = Record::parse(RECORD.as_bytes()).unwrap();
        assert_eq!(
            table(&record.credentials),
            "NAME      PROTOCOL  ALGORITHM  VERIFICATION  ADDED                 BY    CRED\n\
             Blue key  fido2     es256      none          2026-11-23T10:00:00Z  root  709e80c8"
        );
        assert_eq!(
            object(record.credentials.first().unwrap()),
            "{\"name\": \"Blue key\", \"cred\": \"709e80c8\", \"id\": \"AAAA\", \
             \"protocol\": \"fido2\", \"algorithm\": \"es256\", \"rp_id\": \"pam://fidokey\", \
             \"verification\": \"none\", \"added\": \"2026-11-23T10:00:00Z\", \"added_by\": \"root\"}"
        );
    }
}
