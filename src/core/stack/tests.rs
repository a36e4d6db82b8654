//! The layouts that there are, as texts in memory. What real libpam makes of a hundred more is in ring 2.

use std::collections::BTreeMap;

use super::super::{Files, Outcome, is_open, judge, run};
use super::*;

struct Machine(BTreeMap<&'static str, String>);

impl Machine {
    fn new(files: &[(&'static str, &str)]) -> Self {
        Self(files.iter().map(|&(name, text)| (name, text.to_owned())).collect())
    }

    fn with(mut self, name: &'static str, text: &[u8]) -> Self {
        self.0.insert(name, String::from_utf8(text.to_vec()).unwrap());
        self
    }
}

impl Files for Machine {
    fn stack(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.0.get(str::from_utf8(name).ok()?).map(|text| text.clone().into_bytes())
    }

    fn has_module(&self, name: &[u8]) -> bool {
        !name.starts_with(b"pam_missing")
    }
}

const DEBIAN: &str = "\
auth [success=1 default=ignore] pam_unix.so nullok
auth requisite pam_deny.so
auth required pam_permit.so
";
const FEDORA: &str = "\
auth required pam_env.so
auth sufficient pam_unix.so nullok
auth required pam_deny.so
account required pam_unix.so
";
const FIRST: &str =
    "auth [success=ignore ignore=ignore default=die] pam_fidokey.so mode=second-factor";
const LINE: &str = "auth [success=ok ignore=ignore default=die] pam_fidokey.so mode=second-factor";

fn debian(sudo: &str) -> Machine {
    Machine::new(&[("common-auth", DEBIAN), ("sudo", sudo)])
}

fn text(edited: Result<Edited, Refusal>) -> String {
    match edited {
        Ok(Edited::Changed { text, .. }) => String::from_utf8(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn problems(sudo: &str, mode: Mode) -> Vec<Problem> {
    judge(b"sudo", mode, &debian(sudo)).unwrap().problems
}

#[test]
fn given_debian_then_the_line_stands_right_after_the_password() {
    let old = "#%PAM-1.0\nsession required pam_limits.so\n@include common-auth\n@include common-account\n";
    let machine = debian(old).with("common-account", b"account required pam_unix.so\n");
    let new = text(enable(b"sudo", Mode::SecondFactor, &[], &machine));
    assert_eq!(new, old.replace("common-auth\n", &format!("common-auth\n{LINE}\n")));
    let machine = machine.with("sudo", new.as_bytes());
    assert!(matches!(enable(b"sudo", Mode::SecondFactor, &[], &machine), Ok(Edited::Unchanged(_))));
    assert_eq!(text(disable(b"sudo", false, &machine)), old);
}

#[test]
fn given_fedora_then_the_line_stands_before_a_password_that_would_end_the_login() {
    for old in [
        "auth include system-auth\naccount include system-auth\n",
        "auth required pam_nologin.so\nauth substack system-auth\naccount include system-auth",
    ] {
        let machine = Machine::new(&[("system-auth", FEDORA), ("sudo", old)]);
        let new = text(enable(b"sudo", Mode::SecondFactor, &[], &machine));
        let at = new.find(FIRST).unwrap();
        assert!(at < new.find("system-auth").unwrap(), "{new}");
        assert!(new.find("pam_nologin").is_none_or(|nologin| nologin < at), "{new}");
        let machine = machine.with("sudo", new.as_bytes());
        let judgement = judge(b"sudo", Mode::SecondFactor, &machine).unwrap();
        assert!(judgement.effective() && !judgement.sound());
        assert_eq!(judgement.problems, [Problem::First]);
        assert_eq!(text(disable(b"sudo", false, &machine)), old);
    }
}

#[test]
fn given_an_alternative_then_the_line_stands_before_the_password() {
    let old = "auth required pam_nologin.so\n@include common-auth";
    let machine = debian(old);
    let new =
        text(enable(b"sudo", Mode::Alternative, &["verification=required".to_owned()], &machine));
    let line = "auth sufficient pam_fidokey.so mode=alternative verification=required";
    assert_eq!(new, format!("auth required pam_nologin.so\n{line}\n@include common-auth"));
    assert_eq!(text(disable(b"sudo", false, &machine.with("sudo", new.as_bytes()))), old);
}

#[test]
fn given_no_end_of_the_last_line_then_there_is_none_afterwards() {
    let machine = debian("@include common-auth");
    let new = text(enable(b"sudo", Mode::SecondFactor, &[], &machine));
    assert_eq!(new, format!("@include common-auth\n{LINE}"));
    assert_eq!(
        text(disable(b"sudo", false, &machine.with("sudo", new.as_bytes()))),
        "@include common-auth"
    );
}

#[test]
fn given_a_jump_over_the_place_then_the_line_stands_where_nothing_is_changed_for_others() {
    let machine = Machine::new(&[("sudo", DEBIAN)]);
    let new = text(enable(b"sudo", Mode::SecondFactor, &[], &machine));
    assert_eq!(new, DEBIAN.replace("pam_deny.so\n", &format!("pam_deny.so\n{LINE}\n")));
}

#[test]
fn given_a_line_that_lets_by_then_it_is_named() {
    let by = |line| Problem::Bypassed { by: Some(Place { file: b"sudo".to_vec(), line }) };
    for (sudo, line) in [
        (format!("auth sufficient pam_wheel.so trust\n@include common-auth\n{LINE}\n"), 1),
        (
            format!(
                "@include common-auth\nauth [success=1 default=ignore] pam_listfile.so\n{LINE}\nauth required pam_permit.so\n"
            ),
            2,
        ),
        (
            format!(
                "auth required pam_env.so\nauth sufficient pam_unix.so\n{LINE}\nauth required pam_deny.so\n"
            ),
            2,
        ),
    ] {
        assert_eq!(problems(&sudo, Mode::SecondFactor)[0], by(line), "{sudo}");
    }
    for control in [
        "optional",
        "sufficient",
        "[success=ok module_unknown=ignore default=die]",
        "[default=ignore]",
    ] {
        let sudo = format!("@include common-auth\nauth {control} pam_fidokey.so\n");
        assert_eq!(
            problems(&sudo, Mode::SecondFactor),
            [Problem::Bypassed { by: None }],
            "{control}"
        );
    }
    for control in [
        "required",
        "requisite",
        "[success=ok ignore=ignore default=bad]",
        "[success=ok new_authtok_reqd=ok ignore=ignore default=die]",
    ] {
        let sudo = format!("@include common-auth\nauth {control} pam_fidokey.so\n");
        assert_eq!(problems(&sudo, Mode::SecondFactor), [], "{control}");
    }
}

#[test]
fn given_root_that_asks_nobody_then_that_is_no_way_by() {
    assert_eq!(
        problems(
            &format!("auth sufficient pam_rootok.so\n@include common-auth\n{LINE}\n"),
            Mode::SecondFactor
        ),
        []
    );
}

#[test]
fn given_a_password_that_does_not_end_the_login_then_it_is_said() {
    let sudo = format!("auth required pam_unix.so\n{LINE}\n");
    assert_eq!(problems(&sudo, Mode::SecondFactor), [Problem::AfterWrongPassword]);
    let sudo = format!("auth requisite pam_unix.so\n{LINE}\n");
    assert_eq!(problems(&sudo, Mode::SecondFactor), []);
    let machine = Machine::new(&[("sudo", "auth required pam_unix.so\n")]);
    // Before it the key is worth as much, and a wrong password costs no touch that was not given before.
    assert!(text(enable(b"sudo", Mode::SecondFactor, &[], &machine)).starts_with(FIRST));
}

#[test]
fn given_a_stack_that_lets_nobody_in_then_nothing_is_put_into_it() {
    for sudo in [
        "auth required pam_deny.so\n",
        "auth required pam_missing.so\n",
        "auth requird pam_unix.so\r\n",
    ] {
        let refused = enable(b"sudo", Mode::SecondFactor, &[], &Machine::new(&[("sudo", sudo)]));
        assert!(
            matches!(&refused, Err(Refusal::NoPlace(problems)) if problems.contains(&Problem::Locked)),
            "{refused:?}"
        );
    }
}

#[test]
fn given_an_alternative_that_is_none_then_it_is_said() {
    let after = "@include common-auth\nauth sufficient pam_fidokey.so\n";
    assert_eq!(problems(after, Mode::Alternative), [Problem::NotEnough]);
    let required = "auth required pam_fidokey.so\n@include common-auth\n";
    assert_eq!(problems(required, Mode::Alternative), [Problem::NotEnough, Problem::NoPassword]);
    let jump = "auth [success=2 default=ignore] pam_fidokey.so\nauth [success=1 default=ignore] pam_unix.so\n\
                auth requisite pam_deny.so\nauth required pam_permit.so\n";
    assert_eq!(problems(jump, Mode::Alternative), []);
    let open = jump.replace("requisite pam_deny", "optional pam_deny");
    assert_eq!(problems(&open, Mode::Alternative), [Problem::Bypassed { by: None }]);
}

// I2.
#[test]
fn given_the_stricter_line_then_neither_an_exemption_nor_a_password_lets_by() {
    for (mode, ignored) in [(Mode::SecondFactor, 6), (Mode::Alternative, 6)] {
        let machine = debian("@include common-auth\n");
        let new = text(enable(b"sudo", mode, &[], &machine));
        let strict = stricter(new.as_bytes(), mode, &[]).unwrap();
        let machine = machine.with("sudo", &strict);
        let chain = Chain::read(b"sudo", &machine).unwrap();
        for (answer, code) in [(25, ignored), (0, 0), (7, 7), (9, 9), (28, 28)] {
            let ours = |name: &[u8]| if is_ours(name) { answer } else { 0 };
            let outcome = run(&chain, |_, handler| handler.module().map_or(6, ours));
            assert_eq!(outcome.code, code, "{mode:?} {answer}");
        }
    }
    assert_eq!(stricter(b"auth required pam_unix.so\n", Mode::SecondFactor, &[]), None);
}

#[test]
fn given_a_jump_over_our_line_then_it_is_not_taken_out() {
    let sudo = format!(
        "auth [success=1 default=ignore] pam_localuser.so\n{LINE}\nauth required pam_unix.so\n"
    );
    assert!(matches!(disable(b"sudo", false, &debian(&sudo)), Err(Refusal::Entangled(_))));
    assert!(matches!(disable(b"sudo", true, &debian(&sudo)), Ok(Edited::Changed { .. })));
}

#[test]
fn given_the_line_in_an_include_then_it_is_named_and_left() {
    let machine = debian("@include common-auth\n")
        .with("common-auth", format!("{DEBIAN}{LINE}\n").as_bytes());
    let place = Place { file: b"common-auth".to_vec(), line: 4 };
    assert_eq!(disable(b"sudo", false, &machine), Err(Refusal::Elsewhere(place)));
    assert!(matches!(enable(b"sudo", Mode::SecondFactor, &[], &machine), Ok(Edited::Unchanged(_))));
}

#[test]
fn given_a_substack_then_what_ends_in_it_ends_it_alone() {
    let machine = Machine::new(&[
        ("system-auth", FEDORA),
        ("sudo", &format!("auth substack system-auth\n{LINE}\n")),
    ]);
    let judgement = judge(b"sudo", Mode::SecondFactor, &machine).unwrap();
    assert_eq!(judgement.problems, [Problem::AfterWrongPassword]);
    let chain = Chain::read(b"sudo", &machine).unwrap();
    let code = |name: &[u8]| if name == b"pam_deny.so" { 7 } else { 0 };
    let outcome = run(&chain, |_, handler| handler.module().map_or(6, code));
    assert_eq!(outcome, Outcome { code: 0, called: vec![1, 2, 4] });
}

#[test]
fn given_includes_without_end_then_it_ends() {
    let machine = Machine::new(&[("sudo", "auth include sudo\n")]);
    assert!(matches!(Chain::read(b"sudo", &machine), Err(Trouble::Doubtful { .. })));
    let machine = Machine::new(&[("sudo", "session include sudo\nsession include sudo\n")]);
    assert!(matches!(Chain::read(b"sudo", &machine), Err(Trouble::Doubtful { .. })));
}

#[test]
fn given_the_module_in_a_line_of_another_kind_then_ours_is_not_put_beside_it() {
    for line in ["account required pam_fidokey.so", "frob required pam_fidokey.so"] {
        let refused = enable(
            b"sudo",
            Mode::SecondFactor,
            &[],
            &debian(&format!("@include common-auth\n{line}\n")),
        );
        assert!(
            matches!(&refused, Err(Refusal::Present(judgement)) if judgement.ours[0].line == 2),
            "{refused:?}"
        );
    }
}

#[test]
fn given_a_module_of_ours_that_is_not_there_then_nobody_gets_in() {
    let sudo = "@include common-auth\nauth required /pam_missing/pam_fidokey.so\n";
    struct Gone(Machine);
    impl Files for Gone {
        fn stack(&self, name: &[u8]) -> Option<Vec<u8>> {
            self.0.stack(name)
        }
        fn has_module(&self, name: &[u8]) -> bool {
            !is_ours(name)
        }
    }
    let judgement = judge(b"sudo", Mode::SecondFactor, &Gone(debian(sudo))).unwrap();
    assert_eq!(judgement.problems, [Problem::Locked]);
}

#[test]
fn given_a_password_whose_failure_counts_for_nothing_then_the_key_does_not_stand_for_it() {
    for sudo in ["auth sufficient pam_unix.so\n", "auth [success=ok default=ignore] pam_unix.so\n"]
    {
        let machine = Machine::new(&[("sudo", sudo)]);
        let new = text(enable(b"sudo", Mode::SecondFactor, &[], &machine));
        let strict = stricter(new.as_bytes(), Mode::SecondFactor, &[]).unwrap();
        for (text, exempt) in [(new.as_bytes(), 0), (&strict, 25)] {
            let chain = Chain::read(b"sudo", &Machine::new(&[]).with("sudo", text)).unwrap();
            let code = |ours, password| {
                run(
                    &chain,
                    |_, handler| {
                        if handler.module().is_some_and(is_ours) { ours } else { password }
                    },
                )
                .code
            };
            assert_ne!(code(0, 7), 0);
            assert_eq!(code(0, 0), 0);
            assert_eq!(code(25, 0), if exempt == 0 { 0 } else { 6 });
            assert_eq!(code(7, 0), 7);
        }
        let by_hand = format!("{LINE}\n{sudo}");
        assert!(problems(&by_hand, Mode::SecondFactor).contains(&Problem::KeyAlone));
    }
    let sufficient = "auth sufficient pam_fidokey.so\nauth requisite pam_deny.so\n";
    assert!(problems(sufficient, Mode::SecondFactor).contains(&Problem::KeyAlone));
}

#[test]
fn given_a_stack_that_lets_anybody_in_then_it_is_open_and_no_other_is() {
    let open = |sudo: &str| is_open(b"sudo", &debian(sudo)).unwrap();
    assert!(open("auth required pam_permit.so\n"));
    assert!(!open(&format!("{LINE}\nauth required pam_permit.so\n")));
    assert!(!open("@include common-auth\n") && !open("auth required pam_unix.so\n"));
}
