//! The parts of the manuals that the code says better: the policy's table, what is answered for each denial, what the
//! doctor finds; and which keys of policy, record and state their manuals have to tell. `make manuals` writes the former; a
//! test holds both against the code. Verbs and options are not here: the command has its definition for itself.

use std::fmt::Write as _;

use fidokey_core::assertion::Rejected;
use fidokey_core::config::keys::{KEYS, Key, REGISTRATION, TOP};
use fidokey_core::ctap::client::KeyError;
use fidokey_core::findings::{Kind, Severity};
use fidokey_core::policy::{Line, Rule, TABLE, Then};
use fidokey_core::ports::Fault;
use fidokey_core::record::keys as record;
use fidokey_core::state::keys as state;
use fidokey_core::verdict::{Reason, Row};

/// Every reason; [`Reason::Rejected`] and [`Reason::Fault`] once.
pub const REASONS: [Reason; 29] = [
    Reason::Config,
    Reason::Conversation,
    Reason::CounterRegression,
    Reason::Declined,
    Reason::Fault(Fault { call: "x", errno: 5 }),
    Reason::Interrupted,
    Reason::KeyBusy,
    Reason::KeyFailed(KeyError::Malformed),
    Reason::KeyInaccessible,
    Reason::NoKey,
    Reason::NotEnrolled,
    Reason::NotRegistered,
    Reason::PinBlocked,
    Reason::PinChangeRequired,
    Reason::PinDeclined,
    Reason::PinGuarded,
    Reason::PinReplug,
    Reason::PinUnfit,
    Reason::PinWrong(Some(5)),
    Reason::Record,
    Reason::RecordChanged,
    Reason::Remote,
    Reason::Rejected(Rejected::Signature),
    Reason::Terminated,
    Reason::TouchTimeout,
    Reason::UserChanged,
    Reason::UserUnknown,
    Reason::VerificationFailed,
    Reason::VerificationUnavailable,
];

/// Where a reason stands in [`REASONS`]. One that is not in there does not compile here.
#[must_use]
pub const fn place(reason: Reason) -> usize {
    match reason {
        Reason::Config => 0,
        Reason::Conversation => 1,
        Reason::CounterRegression => 2,
        Reason::Declined => 3,
        Reason::Fault(_) => 4,
        Reason::Interrupted => 5,
        Reason::KeyBusy => 6,
        Reason::KeyFailed(_) => 7,
        Reason::KeyInaccessible => 8,
        Reason::NoKey => 9,
        Reason::NotEnrolled => 10,
        Reason::NotRegistered => 11,
        Reason::PinBlocked => 12,
        Reason::PinChangeRequired => 13,
        Reason::PinDeclined => 14,
        Reason::PinGuarded => 15,
        Reason::PinReplug => 16,
        Reason::PinUnfit => 17,
        Reason::PinWrong(_) => 18,
        Reason::Record => 19,
        Reason::RecordChanged => 20,
        Reason::Remote => 21,
        Reason::Rejected(_) => 22,
        Reason::Terminated => 23,
        Reason::TouchTimeout => 24,
        Reason::UserChanged => 25,
        Reason::UserUnknown => 26,
        Reason::VerificationFailed => 27,
        Reason::VerificationUnavailable => 28,
    }
}

/// A manual, below `packaging/man`, with its parts that are made from the code: what stands between
/// `.\" begin NAME` and `.\" end NAME`.
pub struct Manual {
    /// The name of the file.
    pub file: &'static str,
    /// The names and the texts of its parts.
    pub parts: Vec<(&'static str, String)>,
}

/// All manuals with such parts.
#[must_use]
pub fn manuals() -> [Manual; 2] {
    [
        Manual { file: "fidokey.1", parts: vec![("findings", findings())] },
        Manual {
            file: "pam_fidokey.8",
            parts: vec![("arguments", arguments()), ("policy", policy()), ("denials", denials())],
        },
    ]
}

impl Manual {
    /// `text` with its parts as they should be.
    ///
    /// # Panics
    /// When a part has no place in it.
    #[must_use]
    pub fn corrected(&self, text: &str) -> String {
        let mut corrected = text.to_owned();
        for (name, part) in &self.parts {
            let (begin, end) = (format!(".\\\" begin {name}\n"), format!(".\\\" end {name}\n"));
            let missing = || panic!("{} has no part {name}", self.file);
            let (before, rest) = corrected.split_once(&begin).unwrap_or_else(missing);
            let (_, after) = rest.split_once(&end).unwrap_or_else(missing);
            corrected = format!("{before}{begin}{part}{end}{after}");
        }
        corrected
    }
}

/// A section of a manual that tells keys: each of its lists has an item for each of these.
pub struct Section {
    /// The name of the file.
    pub file: &'static str,
    /// Its heading.
    pub heading: &'static str,
    /// The lists, in order: the items as they stand there, `.It Cm verification No = Dq none`.
    pub lists: Vec<Vec<String>>,
}

/// All sections that tell keys.
#[must_use]
pub fn sections() -> [Section; 3] {
    let policy = |keys: &[Key]| keys.iter().map(with_built_in).collect();
    let file = |keys: &[record::Key]| keys.iter().map(with_need).collect();
    [
        Section {
            file: "fidokey.config.5",
            heading: "THE POLICY",
            lists: vec![policy(&TOP), policy(&KEYS), policy(&REGISTRATION)],
        },
        Section {
            file: "fidokey.record.5",
            heading: "RECORD",
            lists: vec![file(&record::RECORD), file(&record::CREDENTIAL)],
        },
        Section {
            file: "fidokey.record.5",
            heading: "STATE",
            lists: vec![file(&state::STATE), file(&state::NOTICE), file(&state::CREDENTIAL)],
        },
    ]
}

/// A key with what is in force where it is not said.
fn with_built_in(Key { name, built_in, .. }: &Key) -> String {
    match built_in {
        None => format!(".It Cm {name}"),
        Some(text) => match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(text) => format!(".It Cm {name} No = Dq {text}"),
            None => format!(".It Cm {name} No = {text}"),
        },
    }
}

/// A key with whether it may be absent.
fn with_need(record::Key { name, required }: &record::Key) -> String {
    format!(".It Cm {name}{}", if *required { "" } else { " Pq optional" })
}

fn arguments() -> String {
    let names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    format!(".Cm {} .\n", names.join(" , "))
}

fn policy() -> String {
    let mut text = ".Bl -column \"has a key\" \"remote\" \"unenrolled = skip\" \"left to the rest of the stack\"\n\
                    .It Em has a key Ta Em remote Ta Em rule Ta Em then\n"
        .to_owned();
    for Line { enrolled, remote, rule, then } in TABLE {
        let yes = |fact| if fact { "yes" } else { "no" };
        let rule = match rule {
            None => "any".to_owned(),
            Some(Rule::Remote(rule)) => format!("remote = {}", rule.word()),
            Some(Rule::Unenrolled(rule)) => format!("unenrolled = {}", rule.word()),
        };
        let then = match then {
            Then::Ask => "asks for a key",
            Then::AskWithVerification => "asks, with verification",
            Then::DenyNotEnrolled | Then::DenyRemote => "denied",
            Then::ExemptNotEnrolled | Then::ExemptRemote => "left to the rest of the stack",
        };
        let remote = remote.map_or("any", yes);
        writeln!(text, ".It {} Ta {remote} Ta {rule} Ta {then}", yes(enrolled)).unwrap();
    }
    text + ".El\n"
}

fn denials() -> String {
    let mut text = ".Bl -tag -width Ds\n".to_owned();
    for reason in REASONS {
        let Row { word, codes: (second_factor, alternative), when, .. } = reason.row();
        let word = if matches!(reason, Reason::Rejected(_)) { "the name of a check" } else { word };
        let tag = match word.contains(' ') {
            true => format!(".It {word} : Dv {}", pam(second_factor)),
            false => format!(".It Cm {word} Ns : Dv {}", pam(second_factor)),
        };
        text += &tag;
        if alternative != second_factor {
            write!(text, " Ns , Dv {}", pam(alternative)).unwrap();
        }
        writeln!(text, "\n{when}").unwrap();
        if matches!(reason, Reason::Rejected(_)) {
            let words = Rejected::ALL.map(Rejected::word);
            assert!(words.iter().enumerate().all(|(at, word)| !words[..at].contains(word)));
            writeln!(text, "They are\n.Cm {} .", words.join(" , ")).unwrap();
        }
    }
    text + ".El\n"
}

/// What the doctor finds, the worst first.
fn findings() -> String {
    let mut text = String::new();
    for severity in Severity::ALL {
        let what = match severity {
            Severity::Lockout => "somebody who should be let in is not, or will not be:",
            Severity::Weak => "somebody is let in by less than was meant:",
            Severity::Warning => "something is not as it should be, and neither of the two:",
            Severity::Note => "something to know:",
        };
        writeln!(text, ".Pp\n.Sy {}\n\\(en {what}\n.Bl -tag -width Ds -compact", severity.word())
            .unwrap();
        for kind in Kind::ALL.iter().filter(|kind| kind.row().severity == severity) {
            let row = kind.row();
            // In a manual each sentence begins a line.
            writeln!(text, ".It Cm {}\n{}", row.word, row.when.replace(". ", ".\n")).unwrap();
        }
        text += ".El\n";
    }
    text
}

/// The name of a code (`security/_pam_types.h`), which is also what the manuals of libpam call it.
fn pam(code: i32) -> &'static str {
    match code {
        3 => "PAM_SERVICE_ERR",
        4 => "PAM_SYSTEM_ERR",
        6 => "PAM_PERM_DENIED",
        7 => "PAM_AUTH_ERR",
        9 => "PAM_AUTHINFO_UNAVAIL",
        10 => "PAM_USER_UNKNOWN",
        19 => "PAM_CONV_ERR",
        26 => "PAM_ABORT",
        other => panic!("{other} is no code of a denial"),
    }
}
