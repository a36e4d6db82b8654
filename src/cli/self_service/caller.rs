//! Who has this command run as root: pkexec says it in `PKEXEC_UID`, and nothing else does.

use std::ffi::{OsStr, OsString};

use fidokey_core::credential::Uid;
use fidokey_system::accounts::{effective_uid, real_uid};

/// What pkexec sets.
const VARIABLE: &str = "PKEXEC_UID";

/// What is known of this process before it does anything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Caller {
    /// Whose rights it has.
    pub(super) effective: Uid,
    /// Who started it.
    pub(super) real: Uid,
    /// What pkexec has said, or somebody in its name.
    pub(super) said: Option<OsString>,
}

impl Caller {
    /// That of this process.
    pub(super) fn of_this_process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "pkexec says it nowhere else")]
        let said = std::env::var_os(VARIABLE);
        Self { effective: effective_uid(), real: real_uid(), said }
    }

    /// `pkexec --user alice fidokey …`, typed by somebody else, with that one's own password, terminal and words: it runs as
    /// alice and is not to be believed.
    pub(super) const fn is_made_another(&self) -> bool {
        self.said.is_some() && self.effective != 0
    }

    /// The number of the user, where this process is all root's and pkexec has started it for somebody who is not.
    ///
    /// # Errors
    /// The reason, as logs have it.
    pub(super) fn user(&self) -> Result<Uid, &'static str> {
        if self.real != 0 || self.effective != 0 {
            return Err("not_root");
        }
        let said = self.said.as_deref().ok_or("no_caller")?;
        match number(said).ok_or("bad_caller")? {
            0 => Err("root_caller"),
            uid => Ok(uid),
        }
    }
}

/// A number in the one form in which pkexec writes it; the number of nobody is none.
fn number(text: &OsStr) -> Option<Uid> {
    let text = text.to_str()?;
    let uid: Uid = text.parse().ok()?;
    (uid != Uid::MAX && uid.to_string() == text).then_some(uid)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn caller(real: Uid, effective: Uid, said: Option<&str>) -> Caller {
        Caller { effective, real, said: said.map(OsString::from) }
    }

    #[test]
    fn given_root_for_a_user_then_it_is_that_user() {
        assert_eq!(caller(0, 0, Some("1000")).user(), Ok(1000));
        assert_eq!(caller(0, 0, Some("4294967294")).user(), Ok(4_294_967_294));
    }

    #[test]
    fn given_anything_else_then_it_is_nobody() {
        assert_eq!(caller(1000, 1000, Some("1000")).user(), Err("not_root"));
        assert_eq!(caller(1000, 0, Some("1000")).user(), Err("not_root"), "a setuid bit");
        assert_eq!(caller(0, 1000, Some("1000")).user(), Err("not_root"));
        assert_eq!(caller(0, 0, None).user(), Err("no_caller"));
        assert_eq!(caller(0, 0, Some("0")).user(), Err("root_caller"));
    }

    #[test]
    fn given_a_number_in_another_form_then_it_is_none() {
        for text in [
            "",
            " ",
            "+1000",
            "-1",
            " 1000",
            "1000 ",
            "1000\n",
            "01000",
            "00",
            "0x3e8",
            "1e3",
            "1_000",
            "1000.0",
            "alice",
            "4294967295",
            "4294967296",
            "18446744073709552616",
            "１０００",
            "1000\0",
        ] {
            assert_eq!(caller(0, 0, Some(text)).user(), Err("bad_caller"), "{text:?}");
        }
        assert_eq!(number(OsStr::from_bytes(b"1000\xff")), None);
    }

    #[test]
    fn given_somebody_elses_rights_through_pkexec_then_it_is_seen() {
        assert!(caller(1000, 1000, Some("1001")).is_made_another());
        assert!(caller(1000, 1000, Some("")).is_made_another());
        assert!(!caller(1000, 1000, None).is_made_another());
        assert!(!caller(0, 0, Some("1001")).is_made_another());
    }
}
