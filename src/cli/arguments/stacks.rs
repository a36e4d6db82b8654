//! What can be typed of PAM stacks, and of the doctor who looks at them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use fidokey_core::credential::AccountName;
use fidokey_core::policy::Mode;

use super::values::{account_name, mode, service_name, span};

/// Find what would lock out or weaken a login, each with what mends it (root only).
///
/// Looks at records, policy, states, PAM stacks, the module and the devices, and changes nothing. Exit code 1 when
/// anything would lock out or weaken; warnings and notes are not bad.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Show a JSON object instead of lines
    #[arg(long)]
    pub(crate) json: bool,
    /// Look at the system that is mounted there, which does not run [default: this one]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) root: Option<PathBuf>,
}

/// Ask for the key in a service: puts the module's line into its PAM stack (root only).
///
/// Nothing is changed before the account with the key has logged in by the new stack, in a directory of its own. Where
/// the line would not be in force, or nobody could log in any more, it is refused.
#[derive(Args, Debug)]
pub(crate) struct Enable {
    /// The services: names of files in /etc/pam.d
    #[arg(required = true, value_name = "SERVICE", value_parser = service_name)]
    pub(crate) services: Vec<String>,
    /// second-factor: the key after the password; alternative: the key instead of it
    #[arg(long, value_name = "MODE", value_parser = mode, default_value = "second-factor")]
    pub(crate) mode: Mode,
    /// Who logs in by the new stack [default: who has logged in here]
    #[arg(long, value_name = "USER", value_parser = account_name)]
    pub(crate) user: Option<AccountName>,
    /// Undo it unless somebody logs in by it within this time, 30s to 60m; a restart undoes it as well
    #[arg(long = "try", value_name = "TIME", value_parser = span)]
    pub(crate) trial: Option<Duration>,
    /// Show what would be changed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask for a login, a second key or a way back in: somebody may be locked out
    #[arg(long)]
    pub(crate) force: bool,
}

/// Stop asking for the key in a service: takes the module's line out of its PAM stack (root only; needs no key).
#[derive(Args, Debug)]
pub(crate) struct Disable {
    /// The services: names of files in /etc/pam.d
    #[arg(required = true, value_name = "SERVICE", value_parser = service_name)]
    pub(crate) services: Vec<String>,
    /// The root of another system that is mounted there
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) root: Option<PathBuf>,
    /// Show what would be changed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Take the line out even where the others would then do something else
    #[arg(long)]
    pub(crate) force: bool,
}

/// Undo what was enabled with --try and that nobody has logged in by in time
#[derive(Args, Debug)]
pub(crate) struct Revert {
    /// Whatever time is left: the machine has just been started
    #[arg(long)]
    pub(crate) boot: bool,
}
