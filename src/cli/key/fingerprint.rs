//! `fidokey key fingerprint`: the fingerprints that a key with a reader knows.

use fidokey_core::management::{Feature, unlock};

use super::child::{Limits, odd_answer, perform, refused};
use super::message::{Reply, Task, hex, is_template};
use super::{table, with_keys};
use crate::arguments::{AddFingerprint, ListOnKey, RemoveFingerprint, RenameFingerprint};
use crate::json;
use crate::outcome::{Exit, Failure, Outcome};
use crate::terminal::{patience, print, say, waiting_for};

/// Shows them.
pub(super) fn list(asked: &ListOnKey) -> Outcome {
    let mut found = Vec::new();
    let mut odd = false;
    manage(Task::ListFingerprints, Limits::QUIET, &mut |reply| match fingerprint(reply) {
        Some(fingerprint) => found.push(fingerprint),
        None => odd = true,
    })?;
    if odd {
        return Err(odd_answer());
    }
    print(&if asked.json { object(&found) } else { rows(&found) })?;
    Ok(Exit::Done)
}

/// Has the key learn one.
pub(super) fn add(asked: &AddFingerprint) -> Outcome {
    let mut learnt = None;
    let mut odd = false;
    let task = Task::AddFingerprint(asked.name.clone());
    manage(task, Limits::FINGERS, &mut |reply| match reply {
        Reply::Waiting => say("Touch the key's reader with the finger, again and again."),
        Reply::Sample { status, left } => say(&sample(status, left)),
        reply => match fingerprint(reply) {
            Some((id, _)) => learnt = Some(id),
            None => odd = true,
        },
    })?;
    let (Some(id), false) = (learnt, odd) else { return Err(odd_answer()) };
    print(&format!("The key knows the fingerprint \"{}\" now (id {id}).", asked.name))?;
    Ok(Exit::Done)
}

/// Removes one.
pub(super) fn remove(asked: &RemoveFingerprint) -> Outcome {
    let task = Task::RemoveFingerprint(asked.id.clone());
    manage(task, Limits::QUIET, &mut |_| {})?;
    print(&format!("Removed the fingerprint {}.", hex(&asked.id)))?;
    Ok(Exit::Done)
}

/// Gives one another name.
pub(super) fn rename(asked: &RenameFingerprint) -> Outcome {
    let task = Task::RenameFingerprint(asked.id.clone(), asked.name.clone());
    manage(task, Limits::QUIET, &mut |_| {})?;
    print(&format!("The fingerprint {} is \"{}\" now.", hex(&asked.id), asked.name))?;
    Ok(Exit::Done)
}

/// Has the key that is plugged in do `task`, for whoever knows its PIN.
fn manage(task: Task, limits: Limits, each: &mut dyn FnMut(Reply)) -> Result<(), Failure> {
    with_keys(|machine, host, keys| {
        let unlocked = unlock(machine, host, keys, Feature::Fingerprints, patience())?;
        let work = || perform(&unlocked, keys, task, limits, each).map_err(told);
        match limits {
            // What is to be done is said, reading by reading.
            Limits::FINGERS => work(),
            _ => waiting_for("Waiting for the key.", work),
        }
    })
}

/// The id and the name of a fingerprint, if that is what the key told.
fn fingerprint(reply: Reply) -> Option<(String, String)> {
    match reply {
        Reply::Fingerprint { id, name } if is_template(&id) => Some((hex(&id), name)),
        _ => None,
    }
}

/// Why not, where a status of the key's may be the reason.
fn told(why: Result<u8, Failure>) -> Failure {
    match why {
        // FP_DATABASE_FULL.
        Ok(0x17) => Failure::new(
            Exit::No,
            "The key has no room for another fingerprint.",
            "Remove one first: see `fidokey key fingerprint list`.",
        ),
        // INVALID_OPTION, which is also the answer where there is none at all.
        Ok(0x2c) => Failure::new(
            Exit::No,
            "There is no such fingerprint on the key.",
            "See `fidokey key fingerprint list`.",
        ),
        // INVALID_LENGTH.
        Ok(0x03) => Failure::new(
            Exit::No,
            "The key does not take that name.",
            "Run the command again with a shorter one.",
        ),
        // PIN_AUTH_INVALID: the PIN was right, so that what it permits has ended meanwhile (CTAP 2.1 section 6.5.2.1).
        Ok(0x33) => Failure::new(
            Exit::NoKey,
            "It took too long: the key wants its PIN again.",
            "Run the command again and leave less time between the readings.",
        ),
        Ok(status) => refused(status),
        Err(failure) => failure,
    }
}

/// What a reading came to (lastEnrollSampleStatus, CTAP 2.1 section 6.7.5).
fn sample(status: u8, left: u32) -> String {
    let what = match status {
        0x00 => "Read.",
        0x01 => "Too high.",
        0x02 => "Too low.",
        0x03 => "Too far to the left.",
        0x04 => "Too far to the right.",
        0x05 => "Too fast.",
        0x06 => "Too slow.",
        0x07 => "Not clear enough.",
        0x08 => "Too crooked.",
        0x09 => "Too short.",
        0x0a => "That did not fit the readings before.",
        0x0b => "The key knows this finger already.",
        0x0e => "Lift the finger in between.",
        _ => "That was not read.",
    };
    match left {
        0 => what.to_owned(),
        1 => format!("{what} Once more."),
        left => format!("{what} {left} more times."),
    }
}

/// For people.
fn rows(found: &[(String, String)]) -> String {
    let head = ["ID", "NAME"].map(str::to_owned);
    let row = |(id, name): &(String, String)| [id.clone(), name.clone()];
    let rows: Vec<[String; 2]> = std::iter::once(head).chain(found.iter().map(row)).collect();
    table(&rows)
}

/// For programs. Keys of the objects may be added, never renamed or removed.
fn object(found: &[(String, String)]) -> String {
    let one = |(id, name): &(String, String)| {
        json::fields(&[("id", json::string(id)), ("name", json::string(name))])
    };
    let found: Vec<String> = found.iter().map(one).collect();
    json::fields(&[("schema", "1".to_owned()), ("fingerprints", json::array(&found))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::assert_of_schema;

    // E15.
    #[test]
    fn given_fingerprints_then_people_and_programs_read_them() {
        let found = [("0a".to_owned(), "Th\u{1b}umb".to_owned())];
        assert_eq!(rows(&found), "ID  NAME\n0a  Th?umb");
        assert_eq!(
            object(&found),
            "{\"schema\": 1, \"fingerprints\": [\n  {\"id\": \"0a\", \"name\": \"Th\\u001bumb\"}\n]}"
        );
        assert_of_schema("key-fingerprint-list", &object(&found));
        assert_of_schema("key-fingerprint-list", &object(&[]));
    }

    #[test]
    fn given_an_id_that_could_not_be_named_then_it_is_no_fingerprint() {
        let told = |length| {
            fingerprint(Reply::Fingerprint { id: vec![10; length], name: "Thumb".to_owned() })
        };
        assert_eq!(told(1), Some(("0a".to_owned(), "Thumb".to_owned())));
        assert!(told(64).is_some());
        assert_eq!((told(0), told(65)), (None, None));
        assert_eq!(fingerprint(Reply::Waiting), None);
    }

    #[test]
    fn given_a_reading_then_it_is_said_how_it_went_and_how_many_more_there_are() {
        assert_eq!(sample(0, 3), "Read. 3 more times.");
        assert_eq!(sample(7, 1), "Not clear enough. Once more.");
        assert_eq!(sample(0, 0), "Read.");
        assert_eq!(sample(0xee, u32::MAX), "That was not read. 4294967295 more times.");
    }
}
