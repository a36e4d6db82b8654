//! The judge itself, against what is known of libpam: pam.conf(5), and what was measured of it before.

use crate::judge::{Answers, Case, Outcome, evaluate, judge};

const OURS: &str = "pam_fidokey.so";

/// What comes of a stack when our module answers each of these.
fn with_ours(text: &str, codes: impl IntoIterator<Item = i32>) -> Vec<i32> {
    let answers: Vec<_> =
        codes.into_iter().map(|code| Answers::from([(OURS.to_owned(), vec![code])])).collect();
    evaluate(&Case::of(text), &answers).iter().map(|outcome| outcome.code).collect()
}

fn called(outcome: &Outcome) -> Vec<&str> {
    outcome.called.iter().map(String::as_str).collect()
}

#[test]
fn given_each_control_word_and_each_code_then_libpam_answers_as_it_is_documented_to() {
    let alone = |control: &str| format!("auth {control} {OURS}\n");
    let followed = |control: &str| format!("auth {control} {OURS}\nauth required pam_permit.so\n");
    // Success, exempt, other codes that libpam knows, and one that it does not.
    let codes = [0, 25, 3, 7, 9, 12, 26, 30, 32, 51];
    let strict = [0, 6, 3, 7, 9, 12, 26, 30, 6, 6];
    let strict_followed = [0, 0, 3, 7, 9, 12, 26, 30, 6, 6];
    for control in ["required", "requisite"] {
        assert_eq!(with_ours(&alone(control), codes), strict, "{control}");
        assert_eq!(with_ours(&followed(control), codes), strict_followed, "{control}");
    }
    let control = "[success=ok ignore=ignore default=die]";
    assert_eq!(with_ours(&alone(control), codes), strict);
    assert_eq!(with_ours(&followed(control), codes), strict_followed);
    for control in ["sufficient", "optional"] {
        // A password that must be changed is a right one.
        assert_eq!(with_ours(&alone(control), codes), [0, 6, 6, 6, 6, 12, 6, 6, 6, 6], "{control}");
        let expected = [0, 0, 0, 0, 0, 12, 0, 0, 6, 6];
        assert_eq!(with_ours(&followed(control), codes), expected, "{control}");
    }
    // A jump beyond the end is a refusal.
    let control = "[success=1 default=ignore]";
    assert_eq!(with_ours(&alone(control), codes), [6; 10]);
    assert_eq!(with_ours(&followed(control), codes), [6, 0, 0, 0, 0, 0, 0, 0, 6, 6]);
}

#[test]
fn given_a_module_that_wants_to_be_asked_again_then_libpam_says_so() {
    for control in ["required", "sufficient", "optional", "[success=1 default=ignore]"] {
        assert_eq!(with_ours(&format!("auth {control} {OURS}\n"), [31]), [31]);
    }
}

#[test]
fn given_a_stack_that_ends_early_then_the_rest_is_not_called() {
    let text = format!("auth requisite pam_unix.so nullok [a b\\] c]\nauth required {OURS}\n");
    let wrong = Answers::from([("pam_unix.so".to_owned(), vec![7])]);
    let outcomes = evaluate(&Case::of(&text), &[wrong, Answers::new()]);
    assert_eq!((outcomes[0].code, called(&outcomes[0])), (7, vec!["pam_unix.so"]));
    assert_eq!((outcomes[1].code, called(&outcomes[1])), (0, vec!["pam_unix.so", OURS]));
    assert_eq!(outcomes[0].arguments, [["nullok", "a b] c"]]);
}

#[test]
fn given_a_module_twice_then_each_call_has_its_own_answer() {
    let text = "auth optional pam_unix.so\nauth required pam_unix.so\n";
    let answers = |codes: &[i32]| Answers::from([("pam_unix.so".to_owned(), codes.to_vec())]);
    let table = [answers(&[7, 0]), answers(&[0, 7]), answers(&[9])];
    let codes: Vec<_> =
        evaluate(&Case::of(text), &table).iter().map(|outcome| outcome.code).collect();
    assert_eq!(codes, [0, 7, 9]);
}

#[test]
fn given_a_module_that_is_not_there_then_its_code_is_module_unknown() {
    let code = |control: &str| {
        let text = format!("auth {control} {OURS}\nauth required pam_permit.so\n");
        let judgement = judge(&Case::of(&text).without(OURS), &[Answers::new()]);
        let told = judgement.log.iter().any(|line| line.contains("unable to dlopen("));
        assert_eq!(told, !control.contains('-'));
        judgement.outcomes[0].code
    };
    assert_eq!(code("required"), 28);
    assert_eq!(code("sufficient"), 0);
    assert_eq!(code("[module_unknown=ignore default=die]"), 0);
}

#[test]
fn given_includes_then_libpam_reads_them_in_their_places() {
    let included = |text: &str| {
        let case = Case::of(text).with("etc/pam.d/common", b"auth sufficient pam_unix.so\n");
        let outcomes = evaluate(&case, &[Answers::new()]);
        (outcomes[0].code, outcomes[0].called.len())
    };
    let last = "auth requisite pam_deny.so\n";
    // What ends an included stack ends the one that includes it; what ends a substack ends that alone.
    assert_eq!(included(&format!("auth include common\n{last}")), (0, 1));
    assert_eq!(included(&format!("auth substack common\n{last}")), (0, 2));
    // One that is not there is a refusal in its place.
    assert_eq!(included(&format!("auth include nowhere\n{last}")).0, 6);
}

#[test]
fn given_a_file_of_the_vendor_then_it_counts_where_the_administrator_has_none() {
    let mut case = Case::of("").with("usr/lib/pam.d/vendored", b"auth required pam_vendor.so\n");
    case.service = "vendored".to_owned();
    assert_eq!(called(&evaluate(&case, &[Answers::new()])[0]), ["pam_vendor.so"]);
    let case = case.with("etc/pam.d/vendored", b"auth required pam_admin.so\n");
    assert_eq!(called(&evaluate(&case, &[Answers::new()])[0]), ["pam_admin.so"]);
}

#[test]
fn given_no_file_for_the_service_then_other_and_without_that_no_start() {
    let mut case = Case::of("").with("etc/pam.d/other", b"auth required pam_deny.so\n");
    case.service = "gone".to_owned();
    assert_eq!(called(&evaluate(&case, &[Answers::new()])[0]), ["pam_deny.so"]);
    case.files.remove("etc/pam.d/other");
    assert_eq!(evaluate(&case, &[Answers::new()])[0].start, 26);
}
