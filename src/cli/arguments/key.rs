//! What can be typed after `fidokey key`: what concerns the key itself, whoever it belongs to.

use clap::{Args, Subcommand};

use super::values::{fingerprint_name, tag, template_id};

/// A fingerprint's name on the key. An alias: clap takes what is spelt as a list for several values.
type Template = Vec<u8>;

/// What concerns the key itself, whoever it belongs to. Plug in that key alone.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum Key {
    /// The credentials that the key finds by itself (passkeys); needs its PIN
    #[command(subcommand, disable_help_subcommand = true)]
    Credentials(Credentials),
    /// The fingerprints that the key knows; needs its PIN
    #[command(subcommand, disable_help_subcommand = true)]
    Fingerprint(Fingerprint),
    Info(Info),
    /// The key's PIN
    #[command(subcommand, disable_help_subcommand = true)]
    Pin(Pin),
    Reset(KeyReset),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Pin {
    /// Change the PIN: the present one is asked for once, the new one twice.
    ///
    /// A wrong present one spends a try.
    Change,
    /// Try the PIN once, however few tries are left: the right one gives all of them back.
    ///
    /// A wrong one spends a try; after the last one the key has to be reset.
    Check,
    /// Give a key its first PIN, which is asked for twice.
    Set,
}

/// Show what the key says of itself. Nothing is asked of anybody.
#[derive(Args, Debug)]
pub(crate) struct Info {
    /// Show a JSON object instead of lines
    #[arg(long)]
    pub(crate) json: bool,
}

/// Delete everything on the key: its PIN, and what it holds for every site and every account.
///
/// The key has to be unplugged, plugged in again and touched.
#[derive(Args, Debug)]
pub(crate) struct KeyReset {
    /// Do not ask whether that is meant
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Credentials {
    /// List the credentials that the key finds by itself
    List(ListOnKey),
    /// Remove one of them for ever
    Remove(RemoveCredential),
}

#[derive(Args, Debug)]
pub(crate) struct ListOnKey {
    /// Show a JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RemoveCredential {
    /// Which one, as the list has it under CRED
    #[arg(value_name = "CRED", value_parser = tag)]
    pub(crate) cred: [u8; 4],
    /// Do not ask whether that is meant
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Fingerprint {
    /// Have the key learn a fingerprint
    Add(AddFingerprint),
    /// List the fingerprints that the key knows
    List(ListOnKey),
    /// Remove a fingerprint
    Remove(RemoveFingerprint),
    /// Give a fingerprint another name
    Rename(RenameFingerprint),
}

#[derive(Args, Debug)]
pub(crate) struct AddFingerprint {
    /// What to call it
    #[arg(value_name = "NAME", value_parser = fingerprint_name)]
    pub(crate) name: String,
}

#[derive(Args, Debug)]
pub(crate) struct RemoveFingerprint {
    /// Which one, as the list has it under ID
    #[arg(value_name = "ID", value_parser = template_id)]
    pub(crate) id: Template,
}

#[derive(Args, Debug)]
pub(crate) struct RenameFingerprint {
    /// Which one, as the list has it under ID
    #[arg(value_name = "ID", value_parser = template_id)]
    pub(crate) id: Template,
    /// What to call it from now on
    #[arg(value_name = "NAME", value_parser = fingerprint_name)]
    pub(crate) name: String,
}
