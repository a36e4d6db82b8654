//! What the policy makes of the facts of a login, before any key is looked at. Pure.

use crate::credential::Verification;
use crate::verdict::Reason;

/// How the module's line in the stack is meant: the module cannot see its own control word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// The key instead of the password.
    Alternative,
    /// The key after the password.
    SecondFactor,
}

/// What an account without a record gets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Unenrolled {
    /// A denial.
    Deny,
    /// `PAM_IGNORE`: the rest of the stack decides.
    #[default]
    Skip,
}

/// What a login from another machine (`PAM_RHOST` is not empty) gets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Remote {
    /// A denial.
    #[default]
    Deny,
    /// `PAM_IGNORE`: the rest of the stack decides.
    Skip,
    /// The ceremony on this machine's keys, with verification required.
    Verify,
}

/// What is known of a login before any key is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Facts {
    /// Whether the account has a record; its absence is proven.
    pub enrolled: bool,
    /// Whether the login comes from another machine.
    pub remote: bool,
}

/// The rules in force for one login.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules {
    /// What a login from another machine gets.
    pub remote: Remote,
    /// What an account without a record gets.
    pub unenrolled: Unenrolled,
    /// What must be proven beyond the touch.
    pub verification: Verification,
}

/// A login is exempt from the key. Made by [`decide`] alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Exempt(Why);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Why {
    NotEnrolled,
    Remote,
}

impl Exempt {
    /// The word of the log line's `reason=`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self.0 {
            Why::NotEnrolled => "not_enrolled",
            Why::Remote => "remote",
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Decision {
    /// Ask for the key, with at least this verification.
    Ask(Verification),
    /// Deny without asking.
    Deny(Reason),
    /// Leave it to the rest of the stack.
    Exempt(Exempt),
}

/// The whole policy: the first line that fits.
///
/// | enrolled | remote | rule                  | decision                        |
/// |----------|--------|-----------------------|---------------------------------|
/// | no       | any    | `unenrolled = "skip"` | exempt                          |
/// | no       | any    | `unenrolled = "deny"` | deny                            |
/// | yes      | yes    | `remote = "deny"`     | deny                            |
/// | yes      | yes    | `remote = "skip"`     | exempt                          |
/// | yes      | yes    | `remote = "verify"`   | ask, with verification          |
/// | yes      | no     | `verification = …`    | ask, with that                  |
pub const fn decide(facts: Facts, rules: &Rules) -> Decision {
    match (facts, rules.unenrolled, rules.remote) {
        (Facts { enrolled: false, .. }, Unenrolled::Skip, _) => {
            Decision::Exempt(Exempt(Why::NotEnrolled))
        }
        (Facts { enrolled: false, .. }, Unenrolled::Deny, _) => Decision::Deny(Reason::NotEnrolled),
        (Facts { remote: true, .. }, _, Remote::Deny) => Decision::Deny(Reason::Remote),
        (Facts { remote: true, .. }, _, Remote::Skip) => Decision::Exempt(Exempt(Why::Remote)),
        (Facts { remote: true, .. }, _, Remote::Verify) => Decision::Ask(Verification::Required),
        (Facts { remote: false, .. }, _, _) => Decision::Ask(rules.verification),
    }
}
