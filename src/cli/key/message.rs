//! What the command and its child say to each other: lines of words, of which those that could be anything are in
//! hexadecimal digits. Neither end believes the other: what is not exactly this is nothing.

use zeroize::Zeroizing;

/// The longest line, in bytes: two texts and the longest credential id, or a PIN, a name and an id.
pub(super) const LINE_MAX: usize = 8192;
/// The longest text within a line, in bytes.
const TEXT_MAX: usize = 1024;
/// The longest id of a fingerprint, in bytes.
const TEMPLATE_MAX: usize = 64;

/// What the child is to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Task {
    /// Have the key learn a fingerprint of this name.
    AddFingerprint(String),
    /// Tell the credentials on the key.
    ListCredentials,
    /// Tell the fingerprints on the key.
    ListFingerprints,
    /// Remove the credential with this id.
    RemoveCredential(Vec<u8>),
    /// Remove the fingerprint with this id.
    RemoveFingerprint(Vec<u8>),
    /// Give the fingerprint with this id another name.
    RenameFingerprint(Vec<u8>, String),
}

/// What the child is to do, and with which key.
pub(super) struct Request {
    /// The key's node.
    pub(super) path: String,
    /// The key's PIN.
    pub(super) pin: Zeroizing<String>,
    /// By the commands that came before CTAP 2.1.
    pub(super) preview: bool,
    /// The number of the PIN protocol.
    pub(super) protocol: u8,
    /// What.
    pub(super) task: Task,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("task", &self.task).finish_non_exhaustive()
    }
}

impl Request {
    /// The line, with its end.
    pub(super) fn line(&self) -> Zeroizing<String> {
        let task = match &self.task {
            Task::AddFingerprint(name) => format!("add-fingerprint {}", hex(name.as_bytes())),
            Task::ListCredentials => "list-credentials".to_owned(),
            Task::ListFingerprints => "list-fingerprints".to_owned(),
            Task::RemoveCredential(id) => format!("remove-credential {}", hex(id)),
            Task::RemoveFingerprint(id) => format!("remove-fingerprint {}", hex(id)),
            Task::RenameFingerprint(id, name) => {
                format!("rename-fingerprint {} {}", hex(id), hex(name.as_bytes()))
            }
        };
        // Room for all of it at once: what grows leaves copies behind.
        let mut line = Zeroizing::new(String::with_capacity(LINE_MAX));
        line.push_str(&hex(self.path.as_bytes()));
        line.push_str(if self.preview { " preview " } else { " final " });
        line.push_str(&self.protocol.to_string());
        line.push(' ');
        for byte in self.pin.bytes() {
            digits(byte).into_iter().for_each(|digit| line.push(digit));
        }
        line.push(' ');
        line.push_str(&task);
        line.push('\n');
        line
    }

    /// Reads the line without its end.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let [path, preview, protocol, pin, task @ ..] = words.as_slice() else { return None };
        let task = match *task {
            ["add-fingerprint", name] => Task::AddFingerprint(text(name)?),
            ["list-credentials"] => Task::ListCredentials,
            ["list-fingerprints"] => Task::ListFingerprints,
            ["remove-credential", id] => Task::RemoveCredential(unhex(id)?),
            ["remove-fingerprint", id] => Task::RemoveFingerprint(unhex(id)?),
            ["rename-fingerprint", id, name] => Task::RenameFingerprint(unhex(id)?, text(name)?),
            _ => return None,
        };
        Some(Self {
            path: text(path)?,
            pin: Zeroizing::new(text(pin)?),
            preview: match *preview {
                "preview" => true,
                "final" => false,
                _ => return None,
            },
            protocol: match *protocol {
                "1" => 1,
                "2" => 2,
                _ => return None,
            },
            task,
        })
    }
}

/// What the child says, one after the other; the last three are its last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Reply {
    /// The channel that it talks to the key on.
    Channel([u8; 4]),
    /// A credential on the key: its id, the site, and whose it is there.
    Credential { id: Vec<u8>, rp: String, user: String },
    /// A fingerprint on the key.
    Fingerprint { id: Vec<u8>, name: String },
    /// A finger was read, with this outcome; so many readings are still wanted.
    Sample { status: u8, left: u32 },
    /// A finger is wanted from here on.
    Waiting,
    /// All of it was done.
    Done,
    /// The key refused with this status.
    Refused(u8),
    /// It was not done, and why cannot be told.
    Failed,
}

impl Reply {
    /// The line, with its end.
    pub(super) fn line(&self) -> String {
        match self {
            Self::Channel(channel) => format!("channel {}\n", hex(channel)),
            Self::Credential { id, rp, user } => {
                let (rp, user) = (cut(rp), cut(user));
                format!("credential {} {} {}\n", hex(id), hex(rp.as_bytes()), hex(user.as_bytes()))
            }
            Self::Fingerprint { id, name } => {
                format!("fingerprint {} {}\n", hex(id), hex(cut(name).as_bytes()))
            }
            Self::Sample { status, left } => format!("sample {status} {left}\n"),
            Self::Waiting => "waiting\n".to_owned(),
            Self::Done => "done\n".to_owned(),
            Self::Refused(status) => format!("refused {status}\n"),
            Self::Failed => "failed\n".to_owned(),
        }
    }

    /// Reads the line without its end.
    pub(super) fn parse(line: &str) -> Option<Self> {
        Some(match *line.split(' ').collect::<Vec<_>>().as_slice() {
            ["channel", channel] => Self::Channel(unhex(channel)?.try_into().ok()?),
            ["credential", id, rp, user] => {
                Self::Credential { id: unhex(id)?, rp: text(rp)?, user: text(user)? }
            }
            ["fingerprint", id, name] => Self::Fingerprint { id: unhex(id)?, name: text(name)? },
            ["sample", status, left] => {
                Self::Sample { status: number(status)?, left: number(left)? }
            }
            ["waiting"] => Self::Waiting,
            ["done"] => Self::Done,
            ["refused", status] => Self::Refused(number(status)?),
            ["failed"] => Self::Failed,
            _ => return None,
        })
    }
}

/// Whether a key may call a fingerprint so: what is longer could not be named to have it removed.
pub(crate) fn is_template(id: &[u8]) -> bool {
    (1..=TEMPLATE_MAX).contains(&id.len())
}

/// As hexadecimal digits, in lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| digits(*byte)).collect()
}

fn digits(byte: u8) -> [char; 2] {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    [digit(byte >> 4), digit(byte & 0x0f)]
}

/// The bytes of pairs of hexadecimal digits.
pub(crate) fn unhex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    let value =
        |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some(value(*high)? << 4 | value(*low)?)).collect()
}

fn text(digits: &str) -> Option<String> {
    String::from_utf8(unhex(digits)?).ok().filter(|text| text.len() <= TEXT_MAX)
}

/// Without the plus sign and the zeros that the library takes as well.
fn number<T: std::str::FromStr + ToString>(digits: &str) -> Option<T> {
    digits.parse::<T>().ok().filter(|number| number.to_string() == digits)
}

/// As much of `text` as a line has room for.
fn cut(text: &str) -> &str {
    let mut ends = (0..=text.len().min(TEXT_MAX)).rev();
    ends.find_map(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_what_either_end_says_then_the_other_reads_the_same() {
        let name = "Größe \u{1b}\n".to_owned();
        for task in [
            Task::AddFingerprint(name.clone()),
            Task::ListCredentials,
            Task::ListFingerprints,
            Task::RemoveCredential(vec![0, 255]),
            Task::RemoveFingerprint(vec![1]),
            Task::RenameFingerprint(vec![1, 2], name.clone()),
        ] {
            let request = Request {
                path: "/dev/hidraw3".to_owned(),
                pin: Zeroizing::new("é 1\n2".to_owned()),
                preview: task == Task::ListCredentials,
                protocol: 2,
                task,
            };
            let line = request.line();
            let read = Request::parse(line.strip_suffix('\n').unwrap()).unwrap();
            assert_eq!((&read.path, &*read.pin), (&request.path, &*request.pin));
            assert_eq!((read.preview, read.protocol), (request.preview, request.protocol));
            assert_eq!(read.task, request.task);
            assert!(!format!("{request:?}").contains("é"));
        }
        for reply in [
            Reply::Channel([1, 2, 3, 4]),
            Reply::Credential { id: vec![9; 64], rp: name.clone(), user: String::new() },
            Reply::Fingerprint { id: vec![], name },
            Reply::Sample { status: 7, left: 3 },
            Reply::Waiting,
            Reply::Done,
            Reply::Refused(0x31),
            Reply::Failed,
        ] {
            assert_eq!(Reply::parse(reply.line().strip_suffix('\n').unwrap()), Some(reply));
        }
    }

    #[test]
    fn given_anything_else_then_it_is_nothing() {
        for line in [
            "",
            "done ",
            " done",
            "DONE",
            "channel 010203",
            "channel 0102030405",
            "channel 0102030g",
            "credential 01 02",
            "credential 01 ff 61",
            "sample 256 1",
            "sample 1 -1",
            "sample +1 1",
            "sample 01 1",
            "refused",
            "refused 0x31",
            "fingerprint 1 61",
            "hello",
            "done\u{0}",
        ] {
            assert_eq!(Reply::parse(line), None, "{line:?}");
        }
        let long = "61".repeat(TEXT_MAX + 1);
        assert_eq!(Reply::parse(&format!("fingerprint 01 {long}")), None);
        for line in [
            "",
            "2f final 2 31",
            "2f first 2 31 list-credentials",
            "2f final 3 31 list-credentials",
        ] {
            assert!(Request::parse(line).is_none(), "{line:?}");
        }
    }

    #[test]
    fn given_a_text_that_is_too_long_then_it_is_cut_between_characters() {
        let reply = Reply::Fingerprint { id: vec![1], name: "€".repeat(1000) };
        let Some(Reply::Fingerprint { name, .. }) = Reply::parse(reply.line().trim_end()) else {
            panic!("a fingerprint")
        };
        assert_eq!(name, "€".repeat(341));
    }
}
