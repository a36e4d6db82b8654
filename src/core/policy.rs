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

impl Mode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Alternative, Self::SecondFactor];

    /// The word of the policy file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Alternative => "alternative",
            Self::SecondFactor => "second-factor",
        }
    }
}

impl Unenrolled {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Deny, Self::Skip];

    /// The word of the policy file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Skip => "skip",
        }
    }
}

impl Remote {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Deny, Self::Skip, Self::Verify];

    /// The word of the policy file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Skip => "skip",
            Self::Verify => "verify",
        }
    }
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

/// A line of the policy: where the facts and the rule are these, that is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Line {
    /// [`Facts::enrolled`].
    pub enrolled: bool,
    /// [`Facts::remote`]; `None` where it makes no difference.
    pub remote: Option<bool>,
    /// The rule that has to be in force; `None` where there is nothing to rule.
    pub rule: Option<Rule>,
    /// What is done.
    pub then: Then,
}

/// A rule that a line of the policy wants to be in force.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// [`Rules::remote`].
    Remote(Remote),
    /// [`Rules::unenrolled`].
    Unenrolled(Unenrolled),
}

/// What a line of the policy comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Then {
    /// Ask for the key, with the verification that [`Rules::verification`] says.
    Ask,
    /// Ask for the key, with verification whatever the rule says.
    AskWithVerification,
    /// Deny: no key of the account.
    DenyNotEnrolled,
    /// Deny: remote.
    DenyRemote,
    /// Leave it to the rest of the stack: no key of the account.
    ExemptNotEnrolled,
    /// Leave it to the rest of the stack: remote.
    ExemptRemote,
}

/// The whole policy. The first line that fits is the one; each combination of facts and rules has one, and what had
/// none would be denied. It is the table of pam_fidokey(8) too.
pub const TABLE: [Line; 6] = [
    line(false, None, Some(Rule::Unenrolled(Unenrolled::Skip)), Then::ExemptNotEnrolled),
    line(false, None, Some(Rule::Unenrolled(Unenrolled::Deny)), Then::DenyNotEnrolled),
    line(true, Some(true), Some(Rule::Remote(Remote::Deny)), Then::DenyRemote),
    line(true, Some(true), Some(Rule::Remote(Remote::Skip)), Then::ExemptRemote),
    line(true, Some(true), Some(Rule::Remote(Remote::Verify)), Then::AskWithVerification),
    line(true, Some(false), None, Then::Ask),
];

const fn line(enrolled: bool, remote: Option<bool>, rule: Option<Rule>, then: Then) -> Line {
    Line { enrolled, remote, rule, then }
}

impl Line {
    fn fits(&self, facts: Facts, rules: &Rules) -> bool {
        self.enrolled == facts.enrolled
            && self.remote.is_none_or(|remote| remote == facts.remote)
            && match self.rule {
                None => true,
                Some(Rule::Remote(rule)) => rule == rules.remote,
                Some(Rule::Unenrolled(rule)) => rule == rules.unenrolled,
            }
    }
}

/// What [`TABLE`] says.
pub fn decide(facts: Facts, rules: &Rules) -> Decision {
    match TABLE.iter().find(|line| line.fits(facts, rules)).map(|line| line.then) {
        Some(Then::Ask) => Decision::Ask(rules.verification),
        Some(Then::AskWithVerification) => Decision::Ask(Verification::Required),
        Some(Then::DenyRemote) => Decision::Deny(Reason::Remote),
        Some(Then::ExemptNotEnrolled) => Decision::Exempt(Exempt(Why::NotEnrolled)),
        Some(Then::ExemptRemote) => Decision::Exempt(Exempt(Why::Remote)),
        Some(Then::DenyNotEnrolled) | None => Decision::Deny(Reason::NotEnrolled),
    }
}
