//! Each finding about a stack, with its exit code: the table of BAR I8.

use super::*;
use crate::doctor::scratch::{LINE, Scratch, credential, record};

/// What is found where Debian's sudo has `line` after the password, and the exit code.
fn with_line(name: &str, line: &str) -> (Vec<String>, u8) {
    let tree = Scratch::enabled(name);
    tree.write("etc/pam.d/sudo", format!("@include common-auth\n{line}\n"));
    (tree.found(), tree.exit())
}

fn at(kind: &str, line: usize) -> Vec<String> {
    vec![format!("{kind} /etc/pam.d/sudo:{line}")]
}

// I8.
#[test]
fn given_debian_with_the_line_of_the_manual_then_nothing_is_found() {
    let tree = Scratch::enabled("stacks-good");
    assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
    // common-auth and its like are no services; other, sudo and su are.
    let text = tree.text();
    assert!(text.contains("3 services (1 of them asking for a key)"), "{text}");
}

// I8: as the profiles for pam-auth-update and authselect make them.
#[test]
fn given_a_profile_that_is_switched_on_then_nothing_is_found() {
    let tree = Scratch::enabled("stacks-profiles");
    let debian = tree.stack("common-auth");
    tree.write("etc/pam.d/common-auth", debian + LINE + "\nauth optional pam_cap.so\n");
    tree.write("etc/pam.d/sudo", "@include common-auth\n");
    tree.write("etc/pam.d/sudo-i", "@include common-auth\n");
    assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
    tree.remove("etc/pam.d/common-auth");
    let fedora = format!(
        "auth required pam_env.so\nauth required pam_faildelay.so delay=2000000\n\
         auth required pam_faillock.so preauth silent\nauth [success=2 default=ignore] pam_unix.so nullok\n\
         auth required pam_faillock.so authfail\nauth requisite pam_deny.so\nauth required pam_permit.so\n{LINE}\n"
    );
    for fragment in ["system-auth", "password-auth"] {
        tree.write(&format!("etc/authselect/{fragment}"), &fedora);
        let link = tree.path(&format!("etc/pam.d/{fragment}"));
        std::os::unix::fs::symlink(format!("/etc/authselect/{fragment}"), link).unwrap();
    }
    for module in ["pam_env.so", "pam_faildelay.so", "pam_faillock.so"] {
        tree.write(&format!("usr/lib/x86_64-linux-gnu/security/{module}"), "");
    }
    tree.write("etc/pam.d/sudo", "auth include system-auth\n");
    tree.write("etc/pam.d/sudo-i", "auth include sudo\n");
    tree.write("etc/pam.d/su", "auth sufficient pam_rootok.so\nauth substack system-auth\n");
    tree.write("etc/pam.d/other", "auth required pam_deny.so\n");
    tree.write("etc/pam.d/sshd", "auth substack password-auth\nauth include postlogin\n");
    tree.write("etc/pam.d/postlogin", "session optional pam_umask.so\n");
    assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
    assert!(tree.text().contains("(4 of them asking for a key)"), "{}", tree.text());
}

// I8.
#[test]
fn given_no_line_at_all_then_it_is_a_note() {
    let tree = Scratch::enabled("stacks-nobody");
    tree.write("etc/pam.d/sudo", format!("@include common-auth\n# {LINE}\n"));
    assert_eq!((tree.found(), tree.exit()), (vec!["nobody-asked /etc/pam.d".to_owned()], 0));
}

// I8, K2.
#[test]
fn given_a_line_that_the_module_refuses_then_it_is_a_lockout() {
    let control = "auth [success=ok ignore=ignore default=die] pam_fidokey.so";
    assert_eq!(with_line("stacks-no-mode", control), (at("mode-missing", 2), 1));
    let line = format!("{control} mode=second-factor nouserok");
    assert_eq!(with_line("stacks-argument", &line), (at("argument-wrong", 2), 1));
    let line = "auth sufficient pam_fidokey.so mode=alternative";
    assert_eq!(with_line("stacks-unverified", line), (at("alternative-unverified", 2), 1));
    // The mode is said in the policy.
    let tree = Scratch::enabled("stacks-policy-mode");
    tree.write("etc/pam.d/sudo", format!("@include common-auth\n{control}\n"));
    tree.write("etc/fidokey/config.toml", "schema = 1\n[service.sudo]\nmode = \"second-factor\"\n");
    assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
}

// I8: a control word that lets in whom the module denies.
#[test]
fn given_a_lax_control_word_then_it_is_a_weakness() {
    for control in [
        "optional",
        "sufficient",
        "[success=ok module_unknown=ignore default=die]",
        "[success=ok default=ignore]",
    ] {
        let line = format!("auth {control} pam_fidokey.so mode=second-factor");
        assert_eq!(with_line("stacks-lax", &line), (at("control-lax", 2), 1), "{control}");
    }
    for control in ["required", "requisite"] {
        let line = format!("auth {control} pam_fidokey.so mode=second-factor");
        assert_eq!(with_line("stacks-lax", &line), (Vec::new(), 0), "{control}");
    }
}

// I8: wrong order.
#[test]
fn given_a_line_that_is_passed_over_then_it_is_a_weakness_at_what_lets_pass() {
    let tree = Scratch::enabled("stacks-passed");
    for (stack, found) in [
        (
            format!("auth sufficient pam_unix.so\n{LINE}\nauth required pam_deny.so\n"),
            "stack-bypassed /etc/pam.d/sudo:1",
        ),
        (
            format!(
                "@include common-auth\nauth [success=1 default=ignore] pam_listfile.so x\n{LINE}\nauth required pam_permit.so\n"
            ),
            "stack-bypassed /etc/pam.d/sudo:2",
        ),
    ] {
        tree.write("etc/pam.d/sudo", stack);
        assert_eq!(tree.found(), [found]);
        assert_eq!(tree.exit(), 1);
    }
    // What a wrong priority of a profile makes of it: behind the jump of the password.
    tree.write("etc/pam.d/sudo", "@include common-auth\n");
    tree.write(
        "etc/pam.d/common-auth",
        format!("auth [success=2 default=ignore] pam_unix.so\n{LINE}\nauth requisite pam_deny.so\nauth required pam_permit.so\n"),
    );
    assert_eq!(tree.found(), ["stack-bypassed /etc/pam.d/common-auth:1"]);
    // Told once of all services that include it.
    assert!(
        tree.text().contains("/etc/pam.d/common-auth:1: other, su and sudo: a login can succeed"),
        "{}",
        tree.text()
    );
}

// I8: before the password by mistake.
#[test]
fn given_the_line_before_the_password_then_it_is_said() {
    let tree = Scratch::enabled("stacks-first");
    tree.write("etc/pam.d/sudo", format!("{LINE}\n@include common-auth\n"));
    assert_eq!((tree.found(), tree.exit()), (at("key-first", 1), 0));
    // One that ends the stack there: nobody types a password any more.
    let done = LINE.replace("success=ok", "success=done");
    tree.write("etc/pam.d/sudo", format!("{done}\n@include common-auth\n"));
    let mut found = at("key-alone", 1);
    found.extend(at("key-first", 1));
    assert_eq!((tree.found(), tree.exit()), (found, 1));
    tree.write("etc/pam.d/sudo", format!("auth required pam_unix.so\n{LINE}\n"));
    assert_eq!((tree.found(), tree.exit()), (at("key-after-wrong-password", 2), 0));
    tree.write("etc/pam.d/sudo", format!("auth requisite pam_unix.so\n{LINE}\n"));
    assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
}

// I8.
#[test]
fn given_an_alternative_that_is_none_then_it_is_said() {
    let tree = Scratch::enabled("stacks-alternative");
    let line =
        |control| format!("auth {control} pam_fidokey.so mode=alternative verification=required\n");
    tree.write("etc/pam.d/sudo", line("sufficient") + "@include common-auth\n");
    assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
    tree.write("etc/pam.d/sudo", "@include common-auth\n".to_owned() + &line("sufficient"));
    assert_eq!((tree.found(), tree.exit()), (at("key-not-enough", 2), 0));
    tree.write("etc/pam.d/sudo", line("required") + "@include common-auth\n");
    let mut found = at("password-refused", 1);
    found.extend(at("key-not-enough", 1));
    assert_eq!((tree.found(), tree.exit()), (found, 1));
    let touch = "auth sufficient pam_fidokey.so mode=alternative touch_only_alternative=true\n";
    tree.write("etc/pam.d/sudo", touch.to_owned() + "@include common-auth\n");
    assert_eq!((tree.found(), tree.exit()), (at("touch-only", 1), 0));
}

// I8.
#[test]
fn given_a_stack_that_lets_nobody_in_or_is_not_read_then_it_is_a_lockout() {
    let tree = Scratch::enabled("stacks-locked");
    tree.write(
        "etc/pam.d/sudo",
        format!("@include common-auth\n{LINE}\nauth requisite pam_deny.so\n"),
    );
    assert_eq!((tree.found(), tree.exit()), (at("stack-locked", 2), 1));
    tree.write("etc/pam.d/sudo", format!("@include common-aut\n{LINE}\n"));
    assert_eq!((tree.found(), tree.exit()), (at("stack-unreadable", 1), 1));
    tree.write("etc/pam.d/sudo", format!("@include common-auth\n{LINE} {}\n", "x".repeat(1000)));
    assert_eq!((tree.found(), tree.exit()), (at("stack-unclear", 2), 0));
    // Somebody else's trouble.
    tree.write("etc/pam.d/sudo", "@include common-aut\n");
    assert_eq!((tree.found(), tree.exit()), (vec!["nobody-asked /etc/pam.d".to_owned()], 0));
}

// I8.
#[test]
fn given_a_line_whose_module_is_gone_then_it_is_a_lockout() {
    let tree = Scratch::enabled("stacks-gone");
    let module = "usr/lib/x86_64-linux-gnu/security/pam_fidokey.so";
    std::fs::create_dir_all(tree.path("usr/lib64/security")).unwrap();
    std::fs::rename(tree.path(module), tree.path("usr/lib64/security/pam_fidokey.so")).unwrap();
    assert_eq!((tree.found(), tree.exit()), (at("module-missing", 2), 1));
    assert!(
        tree.text()
            .contains("there is /usr/lib64/security/pam_fidokey.so, where libpam does not look")
    );
    // By its path it is found everywhere.
    let line = LINE.replace("pam_fidokey.so", "/usr/lib64/security/pam_fidokey.so");
    tree.write("etc/pam.d/sudo", format!("@include common-auth\n{line}\n"));
    tree.mode("usr/lib64", 0o755);
    tree.mode("usr/lib64/security", 0o755);
    assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
}

// I8.
#[test]
fn given_another_module_for_keys_in_the_same_stack_then_it_is_a_warning() {
    let tree = Scratch::enabled("stacks-another");
    tree.write("usr/lib/x86_64-linux-gnu/security/pam_u2f.so", "");
    tree.write(
        "etc/pam.d/sudo",
        format!("@include common-auth\nauth required pam_u2f.so cue\n{LINE}\n"),
    );
    assert_eq!((tree.found(), tree.exit()), (at("another-module", 2), 0));
}

// I8.
#[test]
fn given_a_service_that_comes_to_the_same_and_was_left_out_then_it_is_a_weakness() {
    let tree = Scratch::enabled("stacks-sibling");
    tree.write("etc/pam.d/sudo-i", "@include common-auth\n");
    assert_eq!(
        (tree.found(), tree.exit()),
        (vec!["sibling-missing /etc/pam.d/sudo-i".to_owned()], 1)
    );
    assert!(tree.text().contains("`fidokey enable sudo-i`"), "{}", tree.text());
    tree.write("etc/pam.d/sudo-i", "auth include sudo\n");
    assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
}

// I8.
#[test]
fn given_tables_of_the_policy_that_nobody_goes_by_then_it_is_a_warning() {
    let tree = Scratch::enabled("stacks-tables");
    tree.write(
        "etc/fidokey/config.toml",
        "schema = 1\n[service.sduo]\nverification = \"required\"\n[service.su]\n",
    );
    let found =
        ["service-absent /etc/fidokey/config.toml", "service-unasked /etc/fidokey/config.toml"];
    assert_eq!(tree.found(), found);
    assert_eq!(tree.exit(), 0);
}

// I8.
#[test]
fn given_keys_that_cannot_prove_what_a_service_wants_then_it_is_a_lockout() {
    let tree = Scratch::enabled("stacks-u2f");
    let u2f = record("alice", 1000, &[])
        + &credential("a", "u2f", "none")
        + &credential("b", "u2f", "none");
    tree.write("etc/fidokey/users/1000.toml", &u2f);
    assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
    tree.write(
        "etc/fidokey/config.toml",
        "schema = 1\n[service.sudo]\nverification = \"required\"\n",
    );
    let found = "verification-impossible /etc/fidokey/users/1000.toml".to_owned();
    assert_eq!((tree.found(), tree.exit()), (vec![found], 1));
    tree.write("etc/fidokey/users/1000.toml", u2f + &credential("c", "fido2", "none"));
    assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
}

// I8.
#[test]
fn given_nobody_with_a_key_and_a_service_that_wants_one_of_everybody_then_it_is_a_lockout() {
    let tree = Scratch::enabled("stacks-unenrolled");
    tree.remove("etc/fidokey/users/1000.toml");
    assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
    tree.write("etc/pam.d/sudo", format!("@include common-auth\n{LINE} unenrolled=deny\n"));
    assert_eq!((tree.found(), tree.exit()), (at("nobody-enrolled", 2), 1));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test may look at the clock")]
fn given_a_thousand_stacks_and_what_is_none_then_it_ends_soon() {
    let tree = Scratch::enabled("stacks-many");
    for number in 0..1200 {
        let path = format!("etc/pam.d/s{number}");
        match number % 4 {
            0 => std::os::unix::fs::symlink("/dev/zero", tree.path(&path)).unwrap(),
            1 => std::fs::File::create(tree.path(&path)).unwrap().set_len(3 << 30).unwrap(),
            2 => tree.write(&path, vec![0xff; 50_000]),
            _ => {
                tree.write(&path, format!("auth include s{number}\n@include common-auth\n{LINE}\n"))
            }
        }
    }
    let start = std::time::Instant::now();
    let report = tree.examine();
    assert!(start.elapsed() < std::time::Duration::from_secs(60), "{:?}", start.elapsed());
    assert!(report.text().lines().count() < 100);
    std::fs::remove_dir_all(tree.path("etc/pam.d")).unwrap();
}

#[test]
fn services_are_named_as_people_do() {
    let named =
        |names: &[&str]| listed(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
    assert_eq!(named(&["sudo"]), "sudo");
    assert_eq!(named(&["a", "b", "c"]), "a, b and c");
    assert_eq!(named(&["a", "b", "c", "d", "e", "f"]), "a, b, c, d and 2 more");
}
