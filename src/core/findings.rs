//! What the doctor looks for: the word of each finding, how bad it is, and when it is one. The manual's table is made
//! from here. Nothing is looked for here.

/// How bad a finding is, the worst first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Somebody who should be let in is not, or will not be.
    Lockout,
    /// Somebody is let in by less than was meant.
    Weak,
    /// Something that is not as it should be, and neither of the two.
    Warning,
    /// Something to know.
    Note,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Self; 4] = [Self::Lockout, Self::Weak, Self::Warning, Self::Note];

    /// The word of the output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Lockout => "lockout",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Weak => "weak",
        }
    }

    /// Whether it would lock out or weaken: what makes the doctor say no.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::Lockout | Self::Weak)
    }
}

/// What one finding is about. Words are never renamed: scripts go by them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Row {
    /// The word of the output.
    pub word: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// When it is found, as a sentence of the manual.
    pub when: &'static str,
}

macro_rules! kinds {
    ($($(#[$meta:meta])* $kind:ident: $severity:ident, $word:literal, $when:literal;)*) => {
        /// A kind of finding.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Kind {
            $(#[doc = $when] $kind,)*
        }

        impl Kind {
            /// All of them, in the order of their words.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// What it is about.
            #[must_use]
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$kind => Row {
                        word: $word,
                        severity: Severity::$severity,
                        when: $when,
                    },)*
                }
            }
        }
    };
}

kinds! {
    AccountLookup: Lockout, "account-lookup",
        "The name service fails, or knows the account by a name that is none.";
    AlternativeUnverified: Lockout, "alternative-unverified",
        "A line of mode alternative has neither verification nor touch_only_alternative: the module denies.";
    AnotherModule: Warning, "another-module",
        "Another module for FIDO keys is in the same stack: both ask for a touch.";
    ArgumentWrong: Lockout, "argument-wrong",
        "An argument of the module's line is unknown or wrong: the module denies.";
    ConfigNewer: Lockout, "config-newer",
        "The policy was written for another version.";
    ConfigUnsafe: Lockout, "config-unsafe",
        "The policy, or a directory on the way to it, cannot be read or could be written by others than root.";
    ConfigWrong: Lockout, "config-wrong",
        "The policy has a key or a value that there is not.";
    ControlLax: Weak, "control-lax",
        "The control word of the module's line lets in whom the module denies.";
    CredentialDuplicate: Lockout, "credential-duplicate",
        "A record has the same credential twice.";
    CredentialShared: Weak, "credential-shared",
        "Two accounts have the same credential: whoever has that key is let in as either.";
    DevicesHidden: Lockout, "devices-hidden",
        "The system shows no devices: there is no sysfs.";
    HidrawAbsent: Note, "hidraw-absent",
        "The kernel shows no HID devices: none is plugged in, or it was built without hidraw.";
    KeyAfterWrongPassword: Warning, "key-after-wrong-password",
        "A wrong password does not end the login before the key is asked for.";
    KeyAlone: Weak, "key-alone",
        "Mode second-factor, and the key lets in without the password.";
    KeyFirst: Warning, "key-first",
        "Mode second-factor, and the key is asked for before the password: it tells whoever tries that there is one.";
    KeyInaccessible: Lockout, "key-inaccessible",
        "A key is plugged in and its device is missing or cannot be opened by root.";
    KeyNotEnough: Warning, "key-not-enough",
        "Mode alternative, and the key alone does not let in.";
    Leftover: Note, "leftover",
        "A writer crashed and has left a temporary file behind. Nobody reads it.";
    LockerAccess: Note, "locker-access",
        "A screen locker asks for a key: it runs as the user, who must be able to open the device.";
    ModeMissing: Lockout, "mode-missing",
        "Neither the module's line nor the policy says the mode: the module denies.";
    ModuleCopies: Warning, "module-copies",
        "There are several modules, and they differ.";
    ModuleMissing: Lockout, "module-missing",
        "A stack names the module, and it is not where libpam looks.";
    ModuleUnsafe: Weak, "module-unsafe",
        "Others than root could put something else in the place of the module.";
    ModuleUnusable: Lockout, "module-unusable",
        "What is in the place of the module is no library.";
    NobodyAsked: Note, "nobody-asked",
        "No stack names the module.";
    NobodyEnrolled: Lockout, "nobody-enrolled",
        "A service denies accounts without a key, and no account has one.";
    OneKey: Warning, "one-key",
        "An account has one key, which can be lost or break.";
    PasswordRefused: Lockout, "password-refused",
        "Mode alternative, and without the key the password does not let in either.";
    PendingChange: Note, "pending-change",
        "A change of a stack is being tried and waits to be confirmed.";
    PolkitSandbox: Lockout, "polkit-sandbox",
        "The stack of polkit asks for a key, and the sandbox of its helper hides all of them.";
    RecordMoved: Weak, "record-moved",
        "The account of a record has another number now, and no key is asked of it.";
    RecordName: Warning, "record-name",
        "The name of a file among the records is not that of a record: nobody reads it.";
    RecordNewer: Lockout, "record-newer",
        "A record was written by another version.";
    RecordOrphaned: Warning, "record-orphaned",
        "There is no account of a record any more. Whoever gets its number is denied.";
    RecordRenamed: Lockout, "record-renamed",
        "The account of a record has another name now, or its number is another account's: denied.";
    RecordUnsafe: Lockout, "record-unsafe",
        "A record cannot be read, or could be written by others than root.";
    RecordWrong: Lockout, "record-wrong",
        "A record has a key or a value that there is not, or is that of another number.";
    RecordsUnsafe: Lockout, "records-unsafe",
        "The directory of the records is missing, or could be written by others than root.";
    RpId: Note, "rp-id",
        "A credential is bound to another relying party id than new ones will be. It works all the same.";
    ServiceAbsent: Warning, "service-absent",
        "The policy has a table for a service that PAM has no file for.";
    ServiceUnasked: Warning, "service-unasked",
        "The policy has a table for a service whose stack does not name the module.";
    SiblingMissing: Weak, "sibling-missing",
        "One of two services that come to the same, as sudo and sudo-i, asks for a key, and the other one does not.";
    StackBypassed: Weak, "stack-bypassed",
        "A line lets the login pass without the module, as one that ends the stack or jumps over it.";
    StackLocked: Lockout, "stack-locked",
        "No login by the stack can succeed, whatever is proven.";
    StackUnclear: Warning, "stack-unclear",
        "Releases of libpam read the stack differently, or it is too intricate to be gone through.";
    StackUnreadable: Lockout, "stack-unreadable",
        "libpam gives up reading the stack, and every login by it is denied.";
    StateOrphaned: Note, "state-orphaned",
        "There is a state, and no record of that account.";
    StateStale: Warning, "state-stale",
        "A state is that of an account of another name. The next login begins anew.";
    StateUnsafe: Weak, "state-unsafe",
        "The directory of the states or a state in it is missing, cannot be read, or is not root's alone: signature counters \
         are not compared.";
    StateWrong: Warning, "state-wrong",
        "A state cannot be understood: what was known of the counters is forgotten.";
    TouchOnly: Warning, "touch-only",
        "A touch alone lets in without a password, by touch_only_alternative: so does whoever finds the key.";
    VerificationImpossible: Lockout, "verification-impossible",
        "PIN or fingerprint is required, and no key of the account can prove it.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_in_order_and_none_is_there_twice() {
        let words: Vec<&str> = Kind::ALL.iter().map(|kind| kind.row().word).collect();
        assert!(words.is_sorted_by(|one, next| one < next), "{words:?}");
        assert!(words.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
        assert!(Severity::ALL.is_sorted());
    }
}
