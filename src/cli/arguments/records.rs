//! What can be typed of the keys of an account, and of logging in with them.

use std::ffi::OsString;

use clap::Args;
use fidokey_core::credential::{AccountName, Algorithm, KeyName, Verification};

use super::values::{account_name, algorithm, key_name, service_name, verification};

/// Register the key that is touched (root, or self-service).
///
/// Touch it twice, once to register and once to prove that a login with it works; nothing is written before
/// that.
#[derive(Args, Clone, Debug)]
pub(crate) struct Enroll {
    /// The account that the key is for
    #[arg(long, value_name = "USER", value_parser = account_name)]
    pub(crate) user: Option<AccountName>,
    /// What to call the key [default: the name of its model]
    #[arg(long, value_name = "NAME", value_parser = key_name)]
    pub(crate) name: Option<KeyName>,
    /// Which algorithm its credential must have [default: es256, or eddsa where the key has no other]
    #[arg(long, value_name = "ALGORITHM", value_parser = algorithm)]
    pub(crate) algorithm: Option<Algorithm>,
    /// What a login with it must prove beyond the touch, whatever the policy says: none, or required, which is its PIN
    /// or a fingerprint [default: none]
    #[arg(long, value_name = "VERIFICATION", value_parser = verification)]
    pub(crate) verification: Option<Verification>,
}

/// Remove a key of an account (root, or self-service).
///
/// The last key of an account that a service asks for is only removed with --force.
#[derive(Args, Debug)]
pub(crate) struct Remove {
    /// The account
    #[arg(long, value_name = "USER", value_parser = account_name)]
    pub(crate) user: Option<AccountName>,
    /// Remove the last key as well, even where a service asks for one
    #[arg(long)]
    pub(crate) force: bool,
    /// The name of the key, or its CRED of `fidokey list`
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
}

/// Give a key of an account another name (root, or self-service).
#[derive(Args, Debug)]
pub(crate) struct Rename {
    /// The account
    #[arg(long, value_name = "USER", value_parser = account_name)]
    pub(crate) user: Option<AccountName>,
    /// The name of the key, or its CRED of `fidokey list`
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    /// Its new name
    #[arg(value_name = "NAME", value_parser = key_name)]
    pub(crate) name: KeyName,
}

/// Remove all keys of an account, also where its record cannot be read (root only).
///
/// Where a service asks for a key it takes --force.
#[derive(Args, Debug)]
pub(crate) struct Reset {
    /// The account
    #[arg(value_name = "USER", value_parser = account_name)]
    pub(crate) user: AccountName,
    /// Remove them even where a service asks for one
    #[arg(long)]
    pub(crate) force: bool,
}

/// Show the keys of an account.
///
/// Exit code 1 when there are none.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// The account [default: your own]
    #[arg(long, value_name = "USER", value_parser = account_name)]
    pub(crate) user: Option<AccountName>,
    /// Show a JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show what a service asks of an account, and where each setting comes from.
///
/// Exit code 0 when the key is asked for and nothing passes it by, 1 when not.
#[derive(Args, Debug)]
pub(crate) struct Status {
    /// The account [default: your own]
    #[arg(long, value_name = "USER", value_parser = account_name)]
    pub(crate) user: Option<AccountName>,
    /// The PAM service
    #[arg(long, value_name = "SERVICE", default_value = "sudo", value_parser = service_name)]
    pub(crate) service: String,
    /// Show a JSON object instead of lines
    #[arg(long)]
    pub(crate) json: bool,
}

/// Come to the decision that a login would come to, the touch included; nobody is logged in.
///
/// Prints "granted: KEY", "exempt: REASON" or "denied: REASON". Exit code 0 when the key lets in, 1 when the
/// key would not be asked for (exempt); a denial has the code of its reason.
#[derive(Args, Debug)]
pub(crate) struct Test {
    /// The account [default: your own]
    #[arg(long, value_name = "USER", value_parser = account_name)]
    pub(crate) user: Option<AccountName>,
    /// The PAM service that asks
    #[arg(long, value_name = "SERVICE", default_value = "sudo", value_parser = service_name)]
    pub(crate) service: String,
    /// Show a JSON object instead of a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Arguments of the module's line, for example mode=second-factor
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(crate) module_arguments: Vec<OsString>,
}
