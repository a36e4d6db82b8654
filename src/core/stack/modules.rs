//! What is known of modules by their names.

use super::MODULE;

/// What a module can answer, and what that means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ability {
    /// Nothing but failure: `pam_deny.so`.
    Denies,
    /// Nothing but success: `pam_permit.so`.
    Permits,
    /// Success where root itself has called the program, and failure else: `pam_rootok.so`. Root asks nobody.
    Root,
    /// Success to whoever has proven to be the account: by its password, a finger, a ticket, another key.
    Proof,
    /// The module of this project.
    Ours,
    /// Anything, and success proves nothing.
    Any,
}

/// Modules whose success is a proof of who is there.
const PROOFS: [&str; 28] = [
    "pam_authramp.so",
    "pam_fprintd.so",
    "pam_google_authenticator.so",
    "pam_himmelblau.so",
    "pam_howdy.so",
    "pam_kanidm.so",
    "pam_krb5.so",
    "pam_ldap.so",
    "pam_oath.so",
    "pam_p11.so",
    "pam_pkcs11.so",
    "pam_pwdfile.so",
    "pam_radius_auth.so",
    "pam_ssh.so",
    "pam_ssh_agent_auth.so",
    "pam_sss.so",
    "pam_systemd_home.so",
    "pam_tacplus.so",
    "pam_tcb.so",
    "pam_u2f.so",
    "pam_unix.so",
    "pam_unix2.so",
    "pam_unix_auth.so",
    "pam_usb.so",
    "pam_userdb.so",
    "pam_winbind.so",
    "pam_yubico.so",
    "pam_duo.so",
];

/// Modules that ask a key of the kind that this one asks.
const KEYS: [&str; 4] = ["pam_fido2.so", "pam_u2f.so", "pam_usb.so", "pam_yubico.so"];

/// What `module`, a file name or a path, can answer.
#[must_use]
pub fn ability(module: &[u8]) -> Ability {
    let file = file(module);
    let is = |name: &str| file == name.as_bytes();
    match () {
        () if is(MODULE) => Ability::Ours,
        () if is("pam_deny.so") => Ability::Denies,
        () if is("pam_permit.so") => Ability::Permits,
        () if is("pam_rootok.so") => Ability::Root,
        () if PROOFS.into_iter().any(is) => Ability::Proof,
        () => Ability::Any,
    }
}

/// Whether `module` is this project's.
#[must_use]
pub fn is_ours(module: &[u8]) -> bool {
    ability(module) == Ability::Ours
}

/// Whether `module` asks a security key too.
#[must_use]
pub fn asks_a_key(module: &[u8]) -> bool {
    let file = file(module);
    KEYS.into_iter().any(|name| file == name.as_bytes())
}

fn file(module: &[u8]) -> &[u8] {
    module.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_known_by_its_file_wherever_it_is() {
        assert_eq!(ability(b"pam_fidokey.so"), Ability::Ours);
        assert_eq!(ability(b"/opt/security/pam_fidokey.so"), Ability::Ours);
        assert_eq!(ability(b"pam_unix.so"), Ability::Proof);
        assert_eq!(ability(b"pam_unix.so\r"), Ability::Any);
        assert_eq!(ability(b"pam_fidokey.so.old"), Ability::Any);
        assert!(asks_a_key(b"/lib/security/pam_u2f.so") && !asks_a_key(b"pam_unix.so"));
    }
}
