//! The child process that talks to a key through the crate `ctap-hid-fido2`, and does nothing else.
//!
//! That crate panics on what a key may answer, waits for a silent key for ever, takes other programs' frames for its own,
//! counts to whatever a key says, and prints texts of the key's on the standard output. Here none of that reaches anybody:
//! the standard output and error lead nowhere, the answers go over the socket that is the standard input, and whoever has
//! started this one ends it after a while. Why it is used all the same stands in DESIGN.md.

use std::io::{Read as _, Write as _, stdin};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use ctap_hid_fido2::public_key_credential_descriptor::PublicKeyCredentialDescriptor;
use ctap_hid_fido2::{FidoKeyHid, HidParam, LibCfg};
use fidokey_system::confine::confine;
use zeroize::Zeroizing;

use super::message::{LINE_MAX, Reply, Request, Task};
use crate::outcome::{Exit, Failure, Outcome};

/// How long the key waits for each reading of a finger, in milliseconds.
const READING: u16 = 30_000;
/// The most readings of one finger.
const READINGS_MAX: usize = 32;
/// What a key says of a reading for which no finger came (CTAP 2.1 section 6.7.4).
const NO_USER_ACTIVITY: u8 = 0x0d;
/// What a key answers to a name that is too long.
const INVALID_LENGTH: u8 = 0x03;
/// What a key answers that was not touched in its time.
const USER_ACTION_TIMEOUT: u8 = 0x2f;
/// What a key answers that has no fingerprint to tell (CTAP 2.1 section 6.7.6).
const INVALID_OPTION: u8 = 0x2c;
/// What a key answers that has no credential to tell.
const NO_CREDENTIALS: u8 = 0x2e;

/// Why a task ended.
enum Ended {
    /// As the reply says.
    Told(Reply),
    /// The socket is gone: whoever started this one.
    Alone,
}

type Step = Result<(), Ended>;

/// Does what the socket at the standard input says.
pub(crate) fn run() -> Outcome {
    confine()?;
    let mut wire = Wire::at_standard_input().ok_or_else(nobody)?;
    let request = wire.request().ok_or_else(nobody)?;
    let last = match serve(&mut wire, &request) {
        Ok(()) => Reply::Done,
        Err(Ended::Told(reply)) => reply,
        Err(Ended::Alone) => return Err(nobody()),
    };
    wire.say(&last).map_err(|_| nobody())?;
    Ok(Exit::Done)
}

fn nobody() -> Failure {
    Failure::new(
        Exit::Usage,
        "This is for `fidokey key credentials` and `fidokey key fingerprint` to start.",
        "See `fidokey key --help`.",
    )
}

/// The socket.
struct Wire(UnixStream);

impl Wire {
    fn at_standard_input() -> Option<Self> {
        Some(Self(UnixStream::from(stdin().as_fd().try_clone_to_owned().ok()?)))
    }

    fn request(&mut self) -> Option<Request> {
        let mut line = Zeroizing::new([0; LINE_MAX]);
        let mut length = 0_usize;
        loop {
            match self.0.read(line.get_mut(length..)?).ok()? {
                0 => return None,
                read => length = length.checked_add(read)?,
            }
            if let Some((b'\n', line)) = line.get(..length)?.split_last() {
                return Request::parse(str::from_utf8(line).ok()?);
            }
        }
    }

    fn say(&mut self, reply: &Reply) -> Step {
        self.0.write_all(reply.line().as_bytes()).map_err(|_| Ended::Alone)
    }
}

fn serve(wire: &mut Wire, request: &Request) -> Step {
    let configuration = LibCfg {
        enable_log: false,
        use_pre_bio_enrollment: request.preview,
        use_pre_credential_management: request.preview,
        enable_keep_alive_msg: false,
        keep_alive_msg: String::new(),
        keep_alive_msg_to_stderr: true,
    };
    let params = [HidParam::Path(request.path.clone())];
    let key = FidoKeyHid::new(&params, &configuration).map_err(told)?;
    let key = key.with_pin_protocol_version(request.protocol);
    // So that whoever ends this one can have the key stop.
    wire.say(&Reply::Channel(key.get_cid().map_err(told)?))?;
    let pin = request.pin.as_str();
    match &request.task {
        Task::ListCredentials => credentials(wire, &key, pin),
        Task::RemoveCredential(id) => {
            let credential =
                PublicKeyCredentialDescriptor { id: id.clone(), ctype: "public-key".to_owned() };
            key.credential_management_delete_credential(Some(pin), credential).map_err(told)
        }
        Task::AddFingerprint(name) => add_fingerprint(wire, &key, pin, name),
        Task::ListFingerprints => match key.bio_enrollment_enumerate_enrollments(pin) {
            Ok(templates) => templates.into_iter().try_for_each(|template| {
                let name = template.template_friendly_name.unwrap_or_default();
                wire.say(&Reply::Fingerprint { id: template.template_id, name })
            }),
            Err(error) => unless(INVALID_OPTION, told(error)),
        },
        Task::RemoveFingerprint(id) => key.bio_enrollment_remove(pin, id).map_err(told),
        Task::RenameFingerprint(id, name) => {
            key.bio_enrollment_set_friendly_name(pin, id, name).map_err(told)
        }
    }
}

fn credentials(wire: &mut Wire, key: &FidoKeyHid, pin: &str) -> Step {
    let count = key.credential_management_get_creds_metadata(Some(pin)).map_err(told)?;
    if count.existing_resident_credentials_count == 0 {
        return Ok(());
    }
    let sites = match key.credential_management_enumerate_rps(Some(pin)) {
        Ok(sites) => sites,
        Err(error) => return unless(NO_CREDENTIALS, told(error)),
    };
    for site in sites {
        let found = key
            .credential_management_enumerate_credentials(Some(pin), &site.rpid_hash)
            .map_err(told)?;
        for credential in found {
            let user = credential.public_key_credential_user_entity;
            wire.say(&Reply::Credential {
                id: credential.public_key_credential_descriptor.id,
                rp: site.public_key_credential_rp_entity.id.clone(),
                user: if user.name.is_empty() { user.display_name } else { user.name },
            })?;
        }
    }
    Ok(())
}

fn add_fingerprint(wire: &mut Wire, key: &FidoKeyHid, pin: &str, name: &str) -> Step {
    // Before anybody has touched anything. Keys from before CTAP 2.1 do not say how long a name may be, which is 0 here.
    let sensor = key.bio_enrollment_get_fingerprint_sensor_info().map_err(told)?;
    let longest = usize::try_from(sensor.max_template_friendly_name).unwrap_or(usize::MAX);
    if longest != 0 && name.len() > longest {
        return Err(Ended::Told(Reply::Refused(INVALID_LENGTH)));
    }
    wire.say(&Reply::Waiting)?;
    let (enrolling, mut sample) = key.bio_enrollment_begin(pin, Some(READING)).map_err(told)?;
    for _ in 0..READINGS_MAX {
        if sample.status == NO_USER_ACTIVITY {
            // Nobody is there. What comes of this changes nothing: the next enrolment ends this one as well.
            let _ = key.bio_enrollment_cancel();
            return Err(Ended::Told(Reply::Refused(USER_ACTION_TIMEOUT)));
        }
        wire.say(&Reply::Sample { status: sample.status, left: sample.remaining_samples })?;
        if sample.is_finish {
            let id = enrolling.template_id;
            if let Err(error) = key.bio_enrollment_set_friendly_name(pin, &id, name) {
                // It would be there without the name, and the same finger could not be learnt again.
                let _ = key.bio_enrollment_remove(pin, &id);
                return Err(told(error));
            }
            return wire.say(&Reply::Fingerprint { id, name: name.to_owned() });
        }
        sample = key.bio_enrollment_next(&enrolling, Some(READING)).map_err(told)?;
    }
    Err(Ended::Told(Reply::Failed))
}

/// What the crate says: a sentence, in which a key's status is a number behind these words.
fn told(error: impl ToString) -> Ended {
    let text = error.to_string();
    let status = text.strip_prefix("response_status err = 0x").and_then(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
        u8::from_str_radix(&digits, 16).ok()
    });
    Ended::Told(status.map_or(Reply::Failed, Reply::Refused))
}

/// Fine, where the key refused with this status.
fn unless(status: u8, ended: Ended) -> Step {
    match ended {
        Ended::Told(Reply::Refused(told)) if told == status => Ok(()),
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_the_crates_sentences_then_the_status_is_read_and_nothing_else() {
        let reply = |text: &str| match told(text) {
            Ended::Told(reply) => Some(reply),
            Ended::Alone => None,
        };
        let sentence = "response_status err = 0x2E CTAP2_ERR_NO_CREDENTIALS    No valid";
        assert_eq!(reply(sentence), Some(Reply::Refused(0x2e)));
        assert_eq!(reply("response_status err = 0x7"), Some(Reply::Refused(7)));
        for other in ["", "read err = 0xFE", "response_status err = 0x", "ciborium parse error"] {
            assert_eq!(reply(other), Some(Reply::Failed), "{other}");
        }
    }
}
