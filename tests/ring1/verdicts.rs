//! The table of return codes, and who may make which.

use std::fs;
use std::path::Path;

use fidokey_core::assertion::Rejected;
use fidokey_core::policy::Mode;
use fidokey_core::ports::Fault;
use fidokey_core::verdict::{Answer, Reason, Verdict};
use fidokey_tests::manuals::REASONS;

/// BAR INV-3. Also: no denial is 0 or 25, whatever the mode.
#[test]
fn given_any_reason_then_the_code_is_one_of_the_eleven_and_denies() {
    for mode in [Mode::Alternative, Mode::SecondFactor] {
        for reason in REASONS {
            let code = Verdict::Deny(reason).answer(mode).number();
            assert!([3, 4, 5, 6, 7, 9, 10, 19, 26].contains(&code), "{reason:?}: {code}");
        }
    }
    assert_eq!(Answer::ABORT.number(), 26);
}

/// The rows of the manual's table, both columns.
#[test]
fn given_the_table_of_the_manual_then_the_codes_are_these() {
    let table = [
        (Reason::NoKey, 7, 9),
        (Reason::NotRegistered, 7, 9),
        (Reason::TouchTimeout, 7, 9),
        (Reason::KeyBusy, 7, 9),
        (Reason::Interrupted, 7, 9),
        (Reason::Terminated, 26, 26),
        (Reason::Rejected(Rejected::UserPresence), 7, 7),
        (Reason::NotEnrolled, 7, 7),
        (Reason::CounterRegression, 7, 7),
        (Reason::PinBlocked, 7, 9),
        (Reason::PinChangeRequired, 7, 9),
        (Reason::PinDeclined, 7, 9),
        (Reason::PinGuarded, 7, 9),
        (Reason::PinReplug, 7, 9),
        (Reason::PinUnfit, 7, 7),
        (Reason::PinWrong(None), 7, 7),
        (Reason::Record, 7, 9),
        (Reason::KeyInaccessible, 7, 9),
        (Reason::Remote, 6, 9),
        (Reason::UserUnknown, 10, 10),
        (Reason::Config, 3, 3),
        (Reason::Conversation, 19, 19),
        (Reason::Fault(Fault { call: "getrandom", errno: 38 }), 4, 4),
    ];
    for (reason, second_factor, alternative) in table {
        let code = |mode| Verdict::Deny(reason).answer(mode).number();
        assert_eq!(code(Mode::SecondFactor), second_factor, "{reason:?}");
        assert_eq!(code(Mode::Alternative), alternative, "{reason:?}");
    }
}

/// BAR INV-1: the success code stands once in what login loads, next to the variant that holds a
/// `Verified`; a `Verified` is put together once, at the end of the verifier. BAR INV-2: the same for the
/// code that exempts.
#[test]
fn given_the_source_then_success_and_ignore_are_made_in_one_place_each() {
    let source = shipped_source();
    let lines = |needle: &str| -> Vec<(String, String)> {
        source
            .iter()
            .flat_map(|(file, text)| {
                text.lines()
                    .map(str::trim)
                    .filter(|line| !line.starts_with("//") && line.contains(needle))
                    .map(|line| (file.clone(), line.to_owned()))
            })
            .collect()
    };
    for (token, arm) in [
        ("PAM_SUCCESS", "Self::Allow(_verified) => PAM_SUCCESS,"),
        ("PAM_IGNORE", "Self::Skip(_exempt) => PAM_IGNORE,"),
    ] {
        let found = lines(token);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|(file, _)| file == "core/verdict.rs"), "{found:?}");
        assert!(found.iter().any(|(_, line)| line == arm), "{found:?}");
    }
    let made = lines("Ok(Verified {");
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].0, "core/assertion.rs");
    let others: Vec<_> = lines("Verified {")
        .into_iter()
        .filter(|(_, line)| {
            !["Ok(Verified {", "pub struct Verified {", "impl Verified {"].contains(&line.as_str())
        })
        .collect();
    assert_eq!(others, [], "another place makes a Verified");
    assert_eq!(lines("Answer(self.number(mode))").len(), 1);
    assert_eq!(lines("Answer(").len(), 2, "the type and the one map");
    assert_eq!(lines("Exempt(Why::").len(), 2);
}

/// BAR G8: held back where somebody may be trying: after a wrong signature, counter or PIN, and after nothing else.
#[test]
fn given_any_reason_then_only_what_may_be_a_guess_is_held_back() {
    let held_back: Vec<&str> =
        REASONS.into_iter().filter(|reason| reason.may_be_a_guess()).map(Reason::word).collect();
    assert_eq!(held_back, ["counter_regression", "pin_wrong", "signature"]);
}

/// No denial ends the command as if all were well, and each as the table says.
#[test]
fn given_any_reason_then_its_exit_code_is_the_tables_and_not_zero() {
    for reason in REASONS {
        assert_eq!(reason.exit_code(), reason.row().exit_code, "{reason:?}");
        assert!([1, 3, 4, 5, 70].contains(&reason.exit_code()), "{reason:?}");
    }
}

/// Every source file of what login loads: `(path below src, text)`.
fn shipped_source() -> Vec<(String, String)> {
    fn walk(root: &Path, directory: &Path, files: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    // From ring 1's package as from that of the rooms.
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|above| above.join("src"));
    let root = above.into_iter().find(|src| src.join("core").is_dir()).unwrap();
    let mut files = Vec::new();
    for part in ["core", "system", "module"] {
        walk(&root, &root.join(part), &mut files);
    }
    assert!(files.len() > 20);
    files
}
