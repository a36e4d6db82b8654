//! What is said of a service, over systems that are made up.

use fidokey_core::credential::AccountName;

use super::*;
use crate::doctor::scratch::{LINE, Scratch, credential, record as record_of};
use crate::schema::assert_of_schema;

fn account(uid: u32, name: &str) -> Account {
    Account { uid, name: AccountName::new(name).unwrap() }
}

fn status(tree: &Scratch, service: &str) -> Result<Status, Failure> {
    Status::of(&account(1000, "alice"), service, &tree.places())
}

fn text(tree: &Scratch, service: &str) -> String {
    let text = status(tree, service).unwrap().text(&tree.places());
    text.replace(tree.path("").to_str().unwrap(), "/")
}

// E15.
#[test]
fn given_a_service_that_asks_then_each_setting_has_its_place_and_the_last_line_what_it_comes_to() {
    let tree = Scratch::enabled("status-asks");
    tree.write(
        "etc/fidokey/config.toml",
        "schema = 1\n[default]\ncounter = \"warn\"\n[service.sudo]\ntouch = \"9s\"\n",
    );
    assert!(status(&tree, "sudo").unwrap().in_force());
    assert_eq!(
        text(&tree, "sudo"),
        "sudo asks for a key: /etc/pam.d/sudo:2.\n\
         \n\
         SETTING                 VALUE          FROM\n\
         mode                    second-factor  /etc/pam.d/sudo:2\n\
         verification            none           built in\n\
         unenrolled              skip           built in\n\
         remote                  deny           built in\n\
         counter                 warn           [default] in /etc/fidokey/config.toml\n\
         wait_for_key            30s            built in\n\
         touch                   9s             [service.sudo] in /etc/fidokey/config.toml\n\
         pin_guard               3              built in\n\
         touch_only_alternative  false          built in\n\
         rp_id                   pam://fidokey  built in\n\
         \n\
         alice has 2 keys: sudo asks for the password, then for a key. \
         From another machine the login is denied."
    );
}

#[test]
fn given_a_service_that_does_not_ask_then_it_is_not_in_force_and_the_policy_is_shown_all_the_same()
{
    let tree = Scratch::enabled("status-silent");
    let status = status(&tree, "su").unwrap();
    assert!(!status.in_force() && status.line.is_none());
    let text = text(&tree, "su");
    assert!(
        text.starts_with("su asks for no key: its stack does not name the module.\n"),
        "{text}"
    );
    assert!(
        text.contains("mode                    -              the module's line has to say it\n")
    );
    assert!(text.ends_with("\nalice has 2 keys; su asks for none."), "{text}");
    assert!(status.json().contains("\"line\": null, \"problems\": [], "));
    assert!(
        status.json().contains("\"local\": {\"answer\": \"not_asked\", \"verification\": null}")
    );
}

#[test]
fn given_a_way_past_the_module_or_no_module_then_it_is_not_in_force() {
    let tree = Scratch::enabled("status-passed");
    tree.write("etc/pam.d/sudo", format!("auth sufficient pam_unix.so\n{LINE}\n"));
    assert!(!status(&tree, "sudo").unwrap().in_force());
    let said = text(&tree, "sudo");
    assert!(said.contains(
        "it is not in force: /etc/pam.d/sudo:2.\nBut the login can succeed without the key: "
    ));
    tree.write("etc/pam.d/sudo", format!("@include common-auth\n{LINE}\n"));
    tree.remove("usr/lib/x86_64-linux-gnu/security/pam_fidokey.so");
    let said = text(&tree, "sudo");
    assert!(!status(&tree, "sudo").unwrap().in_force());
    assert!(said.contains("\nBut there is no pam_fidokey.so, so every login is denied;"), "{said}");
}

#[test]
fn given_the_account_and_the_rules_then_the_sentence_is_what_a_login_would_get() {
    let tree = Scratch::enabled("status-sentence");
    let sentence = |uid, name: &str| {
        Status::of(&account(uid, name), "sudo", &tree.places()).unwrap().sentence()
    };
    assert_eq!(
        sentence(1001, "bob"),
        "bob has no key: sudo asks for none, and the rest of its stack decides."
    );
    tree.write("etc/fidokey/config.toml", "schema = 1\n[default]\nunenrolled = \"deny\"\n");
    assert_eq!(sentence(1001, "bob"), "bob has no key: sudo denies the login.");
    let verifying = record_of("alice", 1000, &[]) + &credential("a", "fido2", "required");
    tree.write("etc/fidokey/users/1000.toml", verifying);
    tree.write("etc/fidokey/config.toml", "schema = 1\n[service.sudo]\nremote = \"verify\"\n");
    assert_eq!(
        sentence(1000, "alice"),
        "alice has 1 key: sudo asks for the password, then for a key and its PIN or a fingerprint."
    );
    tree.write("etc/fidokey/users/1000.toml", record_of("alice", 1000, &["a"]));
    assert_eq!(
        sentence(1000, "alice"),
        "alice has 1 key: sudo asks for the password, then for a key. \
         From another machine it takes a key and its PIN or a fingerprint."
    );
    tree.write(
        "etc/pam.d/sudo",
        "auth sufficient pam_fidokey.so mode=alternative verification=required\n@include common-auth\n",
    );
    assert!(sentence(1000, "alice").contains(
        "sudo asks for a key and its PIN or a fingerprint; without it, for the password."
    ));
}

// As a login has it, and doctor: verification-impossible.
#[test]
fn given_verification_and_no_key_that_can_prove_it_then_the_login_is_denied() {
    let tree = Scratch::enabled("status-impossible");
    let of_alice = || status(&tree, "sudo").unwrap();
    let keys = |keys: &[(&str, &str, &str)]| {
        let keys = keys.iter().map(|(name, protocol, proof)| credential(name, protocol, proof));
        tree.write(
            "etc/fidokey/users/1000.toml",
            record_of("alice", 1000, &[]) + &keys.collect::<String>(),
        );
    };
    keys(&[("a", "u2f", "none"), ("b", "u2f", "none")]);
    let policy = "schema = 1\n[service.sudo]\nremote = \"verify\"\n";
    tree.write("etc/fidokey/config.toml", policy);
    assert_eq!(
        of_alice().sentence(),
        "alice has 2 keys: sudo asks for the password, then for a key. \
         From another machine the login is denied."
    );
    tree.write("etc/fidokey/config.toml", format!("{policy}verification = \"required\"\n"));
    assert_eq!(of_alice().sentence(), "alice has 2 keys: sudo denies the login.");
    let json = of_alice().json();
    for login in ["local", "remote"] {
        let denied = format!("\"{login}\": {{\"answer\": \"denied\", \"verification\": null}}");
        assert!(json.contains(&denied), "{json}");
    }
    assert_of_schema("status", &json);
    // One that can is enough, and what it proves is all that counts.
    keys(&[("a", "u2f", "none"), ("b", "fido2", "none")]);
    assert_eq!(
        of_alice().sentence(),
        "alice has 2 keys: sudo asks for the password, then for a key and its PIN or a fingerprint."
    );
    tree.write("etc/fidokey/config.toml", "schema = 1\n");
    keys(&[("a", "u2f", "required")]);
    assert_eq!(of_alice().sentence(), "alice has 1 key: sudo denies the login.");
    tree.write(
        "etc/pam.d/sudo",
        "auth sufficient pam_fidokey.so mode=alternative verification=required\n@include common-auth\n",
    );
    assert_eq!(
        of_alice().sentence(),
        "alice has 1 key: sudo takes no key, and the password decides."
    );
}

#[test]
fn given_what_cannot_be_read_or_used_then_the_code_is_5_and_for_no_service_1() {
    let tree = Scratch::enabled("status-unreadable");
    let exit = |service: &str| status(&tree, service).map(|_| ()).unwrap_err().exit();
    assert_eq!(exit("absent"), Exit::No);
    tree.write("etc/pam.d/loop", "auth include loop\n");
    assert_eq!(exit("loop"), Exit::Unreadable);
    tree.write("etc/pam.d/sudo", format!("@include common-auth\n{LINE} nonsense\n"));
    assert_eq!(exit("sudo"), Exit::Unreadable);
    tree.write("etc/pam.d/sudo", "auth required pam_fidokey.so\n");
    assert_eq!(exit("sudo"), Exit::Unreadable);
    tree.write("etc/fidokey/config.toml", "schema = 1\nnonsense = 1\n");
    assert_eq!(exit("su"), Exit::Unreadable);
    tree.remove("etc/fidokey/config.toml");
    tree.write("etc/fidokey/users/1000.toml", "nonsense");
    assert_eq!(exit("su"), Exit::Unreadable);
}
