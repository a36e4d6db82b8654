//! `fidokey key credentials`: the credentials that a key finds by itself, whichever site they are for.

use fidokey_core::credential::CredentialId;
use fidokey_core::management::{Feature, Unlocked, unlock};

use super::child::{Limits, odd_answer, perform, refused};
use super::message::{Reply, Task};
use super::{table, with_keys};
use crate::arguments::{ListOnKey, RemoveCredential};
use crate::outcome::{Exit, Failure, Outcome};
use crate::terminal::{can_confirm, confirm, note, patience, print, printable, waiting_for};
use crate::{json, record};

/// A credential on the key.
#[derive(Clone, Debug, Eq, PartialEq)]
struct OnKey {
    id: CredentialId,
    /// The site.
    rp: String,
    /// Whose it is there.
    user: String,
}

impl OnKey {
    fn tag(&self) -> String {
        record::hex(self.id.tag())
    }
}

/// Shows them.
pub(super) fn list(asked: &ListOnKey) -> Outcome {
    let (_, found) = unlocked()?;
    print(&if asked.json { object(&found) } else { rows(&found) })?;
    Ok(Exit::Done)
}

/// Removes one of them.
pub(super) fn remove(asked: &RemoveCredential) -> Outcome {
    if !asked.force {
        let question = format!("Remove the credential {} for ever?", record::hex(asked.cred));
        can_confirm(&question, "Nothing was removed")?;
    }
    let (unlocked, found) = unlocked()?;
    let mut meant = found.iter().filter(|credential| credential.id.tag() == asked.cred);
    let (Some(meant), None) = (meant.next(), meant.next()) else {
        return Err(Failure::new(
            Exit::No,
            format!("No one credential on the key is {}.", record::hex(asked.cred)),
            "See `fidokey key credentials list`.",
        ));
    };
    let what = format!("{} at {}", meant.user, meant.rp);
    if !asked.force && !confirm(&format!("Remove the credential of {what} for ever?"), "--force")? {
        let remedy = "Run the command again when you want to.";
        return Err(Failure::new(Exit::No, "Nothing was removed.", remedy));
    }
    let task = Task::RemoveCredential(meant.id.as_bytes().to_vec());
    with_keys(|_, _, keys| {
        waiting_for("Waiting for the key to remove it.", || {
            perform(&unlocked, keys, task, Limits::QUIET, &mut |_| {}).map_err(told)
        })
    })?;
    print(&printable(&format!("Removed the credential of {what}.")))?;
    Ok(Exit::Done)
}

/// The key that is plugged in and what is on it.
fn unlocked() -> Result<(Unlocked, Vec<OnKey>), Failure> {
    with_keys(|machine, host, keys| {
        let unlocked = unlock(machine, host, keys, Feature::Credentials, patience())?;
        note("Asking the key what it holds.");
        let mut found = Vec::new();
        let mut odd = false;
        let mut each = |reply| match reply {
            Reply::Credential { id, rp, user } => match CredentialId::new(&id) {
                Ok(id) => found.push(OnKey { id, rp, user }),
                Err(_) => odd = true,
            },
            _ => odd = true,
        };
        let task = Task::ListCredentials;
        perform(&unlocked, keys, task, Limits::QUIET, &mut each).map_err(told)?;
        if odd { Err(odd_answer()) } else { Ok((unlocked, found)) }
    })
}

/// Why not, where a status of the key's may be the reason.
fn told(why: Result<u8, Failure>) -> Failure {
    match why {
        // INVALID_CREDENTIAL, NO_CREDENTIALS.
        Ok(0x22 | 0x2e) => Failure::new(
            Exit::No,
            "There is no such credential on the key any more.",
            "See `fidokey key credentials list`.",
        ),
        Ok(status) => refused(status),
        Err(failure) => failure,
    }
}

/// For people.
fn rows(found: &[OnKey]) -> String {
    let head = ["SITE", "USER", "CRED"].map(str::to_owned);
    let row = |one: &OnKey| [one.rp.clone(), one.user.clone(), one.tag()];
    let rows: Vec<[String; 3]> = std::iter::once(head).chain(found.iter().map(row)).collect();
    table(&rows)
}

/// For programs. Keys of the objects may be added, never renamed or removed.
fn object(found: &[OnKey]) -> String {
    let one = |one: &OnKey| {
        json::fields(&[
            ("site", json::string(&one.rp)),
            ("user", json::string(&one.user)),
            ("cred", json::string(&one.tag())),
        ])
    };
    let found: Vec<String> = found.iter().map(one).collect();
    json::fields(&[("schema", "1".to_owned()), ("credentials", json::array(&found))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::assert_of_schema;

    fn found() -> [OnKey; 1] {
        let id = CredentialId::new(&[7; 32]).unwrap();
        [OnKey { id, rp: "example.com".to_owned(), user: "al\u{1b}ice".to_owned() }]
    }

    // E15.
    #[test]
    fn given_credentials_then_people_and_programs_read_them() {
        let tag = found().first().unwrap().tag();
        let table = format!("SITE         USER    CRED\nexample.com  al?ice  {tag}");
        assert_eq!(rows(&found()), table);
        assert_eq!(
            object(&found()),
            format!(
                "{{\"schema\": 1, \"credentials\": [\n  {{\"site\": \"example.com\", \
                 \"user\": \"al\\u001bice\", \"cred\": \"{tag}\"}}\n]}}"
            )
        );
        assert_eq!(rows(&[]), "SITE  USER  CRED");
        assert_eq!(object(&[]), "{\"schema\": 1, \"credentials\": []}");
        assert_of_schema("key-credentials-list", &object(&found()));
        assert_of_schema("key-credentials-list", &object(&[]));
    }
}
