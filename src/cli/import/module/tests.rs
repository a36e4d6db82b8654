//! What pam_u2f is told by its lines and by its own file, and what none of it may lose.

use super::*;

struct Stack(&'static str);

impl Files for Stack {
    fn stack(&self, name: &[u8]) -> Option<Vec<u8>> {
        (name == b"sudo").then(|| self.0.as_bytes().to_vec())
    }

    fn has_module(&self, _name: &[u8]) -> bool {
        true
    }
}

impl Texts for Stack {
    fn may_be_there(&self, name: &[u8]) -> bool {
        self.stack(name).is_some()
    }
}

// I11: what pam_u2f's line asks of all keys is not lost.
#[test]
fn given_pam_u2fs_line_then_origin_and_what_it_asks_for_come_from_it() {
    let of = |text| Module::of("sudo", &Stack(text));
    let bare = of("auth required pam_u2f.so cue nouserok\n").unwrap();
    assert_eq!(bare, Module::default());
    assert_eq!(bare.devices_max, DEVICES_MAX);
    let line = of("auth required /lib/security/pam_u2f.so origin=pam://o appid=pam://a pinverification=1 max_devices=3\n").unwrap();
    let rp_id = |text| RpId::new(text).ok();
    assert_eq!((line.origin, line.appid), (rp_id("pam://o"), rp_id("pam://a")));
    assert_eq!((line.verification, line.devices_max), (Verification::Required, 3));
    let weak = of("auth required pam_u2f.so userverification=0\n").unwrap();
    assert_eq!(weak.verification, Verification::None);
    for (text, told) in [
        ("auth required pam_unix.so\n", "does not use pam_u2f"),
        ("auth required pam_u2f.so origin=a\nauth required pam_u2f.so origin=b\n", "several times"),
        ("auth required pam_u2f.so origin=\n", "origin or appid that is none"),
        ("auth required pam_u2f.so max_devices=x\n", "max_devices that is no number"),
        ("auth required pam_u2f.so pinverification=yes\n", "pinverification that is no number"),
        ("auth required pam_u2f.so conf=/none\n", "/none, which cannot be read"),
        ("auth required pam_u2f.so sshformat\n", "sshformat"),
    ] {
        let failure = of(text).unwrap_err();
        assert!(failure.happened().contains(told), "{failure:?}");
    }
}

/// A file of pam_u2f's that is there and cannot be read.
struct Unreadable;

impl Files for Unreadable {
    fn stack(&self, name: &[u8]) -> Option<Vec<u8>> {
        (name == b"sudo").then(|| b"auth required pam_u2f.so\n".to_vec())
    }

    fn has_module(&self, _name: &[u8]) -> bool {
        true
    }
}

impl Texts for Unreadable {
    fn may_be_there(&self, name: &[u8]) -> bool {
        name == b"/etc/security/pam_u2f.conf"
    }
}

// I11: what it asks for is not known then, and nothing is taken over as if it asked for nothing.
#[test]
fn given_a_file_of_pam_u2fs_that_cannot_be_read_then_nothing_is_taken_from_it() {
    let sudo = ["sudo".to_owned()];
    for failure in [
        Module::of("sudo", &Unreadable).unwrap_err(),
        Module::of_the_machine(&Unreadable).unwrap_err(),
        Module::strictest(&sudo, &Unreadable).unwrap_err(),
    ] {
        let told = "/etc/security/pam_u2f.conf, which cannot be read";
        assert!(failure.happened().contains(told), "{failure:?}");
    }
}

/// Two services, and what pam_u2f has in its own file and in another one.
struct Machine(&'static str);

impl Files for Machine {
    fn stack(&self, name: &[u8]) -> Option<Vec<u8>> {
        let text = match name {
            b"/etc/security/pam_u2f.conf" => self.0,
            b"/etc/other" => "pinverification=0\n",
            b"sudo" => "auth required pam_u2f.so cue\n",
            b"su" => "auth required pam_u2f.so userverification=+01 max_devices=2\n",
            b"login" => "auth required pam_u2f.so conf=/etc/other origin=pam://l\n",
            b"sshd" => "auth required pam_u2f.so sshformat pinverification=1\n",
            b"odd" => "auth required pam_u2f.so pinverification=1\nauth include\n",
            _ => return None,
        };
        Some(text.as_bytes().to_vec())
    }

    fn has_module(&self, _name: &[u8]) -> bool {
        true
    }
}

impl Texts for Machine {
    fn may_be_there(&self, name: &[u8]) -> bool {
        self.stack(name).is_some()
    }
}

// I11: what pam_u2f is told in its own file is not lost either, and its line goes before that.
#[test]
fn given_a_file_of_pam_u2fs_own_then_it_counts_as_its_line_does() {
    let machine =
        Machine("# all\n\n  pinverification = 1 # a PIN\norigin=pam://corp\nmax_devices= 3\ncue\n");
    let (none, required) = (Verification::None, Verification::Required);
    let of = |service| {
        let Module { origin, devices_max, verification, .. } =
            Module::of(service, &machine).unwrap();
        (origin.map(|origin| origin.as_str().to_owned()), devices_max, verification)
    };
    let corp = || Some("pam://corp".to_owned());
    assert_eq!(of("sudo"), (corp(), 3, required));
    assert_eq!(of("su"), (corp(), 2, required));
    assert_eq!(of("login"), (Some("pam://l".to_owned()), DEVICES_MAX, none));
    let module = Module::of_the_machine(&machine).unwrap();
    assert_eq!((module.devices_max, module.verification), (3, required));
    assert!(Module::of_the_machine(&Machine("origin = \n")).is_err());
}

// I11: without a service the strictest one counts, so that nothing becomes weaker by what was not said.
#[test]
fn given_no_service_then_a_key_has_to_prove_what_any_line_asks_for() {
    let services = ["login", "none", "sshd", "su", "sudo"].map(str::to_owned);
    let (module, stricter) = Module::strictest(&services, &Machine("")).unwrap();
    assert_eq!((module.devices_max, module.verification), (2, Verification::Required));
    assert_eq!((module.origin, stricter), (None, vec!["su".to_owned()]));
    let weak = ["login", "sshd", "sudo"].map(str::to_owned);
    let (module, stricter) = Module::strictest(&weak, &Machine("")).unwrap();
    assert_eq!((module, stricter), (Module::default(), Vec::new()));
    // What one libpam reads and another one does not asks for something all the same.
    let doubtful = ["odd".to_owned(), "sudo".to_owned()];
    let refused = Module::strictest(&doubtful, &Machine("")).unwrap_err();
    assert!(
        refused
            .happened()
            .contains("in doubt: /etc/pam.d/odd:2: releases of libpam read this differently"),
        "{refused:?}"
    );
}
