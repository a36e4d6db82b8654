//! What can be typed after `fidokey import`: from which program, and what its files do not say themselves.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use fidokey_core::credential::{AccountName, Protocol, RpId, Verification};

use super::values::{account_name, protocol, rp_id, service_name, verification};

/// Take over keys that were registered with another program (root only).
///
/// What is carried over proves at least as much as before, and no key that is registered already changes. What cannot be
/// carried over is said line by line; then the exit code is 1.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum Import {
    PamU2f(PamU2f),
    Ssh(Ssh),
}

/// The keys of pam-u2f, from its central file or from that of one account.
#[derive(Args, Debug)]
pub(crate) struct PamU2f {
    /// Its file, as pam_u2f's authfile has it; a file that is not root's says something of its owner alone
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Take the lines of this account alone
    #[arg(long, value_name = "USER", value_parser = account_name)]
    pub(crate) user: Option<AccountName>,
    /// Take what pam_u2f's line says from the PAM stack of this service: origin, appid, max_devices and what it has keys
    /// prove [default: keys prove what any of its lines asks for]
    #[arg(long, value_name = "SERVICE", value_parser = service_name)]
    pub(crate) service: Option<String>,
    /// What the keys are bound to, as pam_u2f's line has it [default: pam://HOSTNAME]
    #[arg(long, value_name = "ORIGIN", value_parser = rp_id)]
    pub(crate) origin: Option<RpId>,
    /// What the keys of the form before pam-u2f 1.1.0 are bound to, as pam_u2f's line has it [default: as --origin]
    #[arg(long, value_name = "APPID", value_parser = rp_id)]
    pub(crate) appid: Option<RpId>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Keys of OpenSSH, from the private key files that they were made with.
///
/// A public key does not say what the security key needs to be asked for it, so the private key file is needed; there is
/// nothing secret in it. Where public key files or authorized_keys are given as well, only what is in them is taken over.
#[derive(Args, Debug)]
pub(crate) struct Ssh {
    /// Private key files (id_ed25519_sk, id_ecdsa_sk), public key files, authorized_keys
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The account that the keys are for
    #[arg(long, value_name = "USER", value_parser = account_name)]
    pub(crate) user: Option<AccountName>,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args, Debug)]
pub(crate) struct Common {
    /// The generation of the protocol that the keys speak: u2f where they speak nothing else, which no file says
    /// [default: fido2, or u2f in the form before pam-u2f 1.1.0]
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol)]
    pub(crate) protocol: Option<Protocol>,
    /// The least that a login must prove beyond the touch: none, or required, which is the key's PIN or a fingerprint; where a
    /// file asks for more, that [default: none]
    #[arg(long, value_name = "VERIFICATION", value_parser = verification)]
    pub(crate) verification: Option<Verification>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
