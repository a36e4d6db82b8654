//! The corpus of stacks, `tests/stacks`, before real libpam.

use crate::assignments::{assignments, attempts};
use crate::judge::{Case, evaluate, judge};

/// The corpus says which modules are not there; all others must be, or its verdicts would be about nothing.
#[test]
fn given_the_corpus_then_libpam_misses_the_modules_that_it_says_and_no_others() {
    let mut wrong = Vec::new();
    for case in Case::all() {
        let judgement = judge(&case, &assignments(&case));
        for line in &judgement.log {
            let Some((_, rest)) = line.split_once("unable to dlopen(") else { continue };
            let Some((path, _)) = rest.split_once("): ") else { continue };
            let said = |missing: &String| path == missing || path.ends_with(&format!("/{missing}"));
            if !case.missing.iter().any(said) {
                wrong.push(format!("{}: {line}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What was thought of a stack is what libpam does: where our line is said to do its work, nothing lets in against
/// it; where it is said not to, something does.
#[test]
fn given_a_verdict_of_the_corpus_then_libpam_gives_the_same() {
    let mut verdicts = [0, 0];
    let mut wrong = Vec::new();
    for case in Case::all() {
        let Some(effective) = case.effective else { continue };
        assert_eq!(case.mode, "second-factor", "{}", case.name);
        verdicts[usize::from(effective)] += 1;
        let attempts = attempts(&case);
        let outcomes = evaluate(&case, &attempts);
        let against = attempts.iter().zip(&outcomes).find(|(_, outcome)| outcome.code == 0);
        if against.is_none() != effective {
            wrong.push(format!("{}: {against:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(verdicts.iter().all(|&count| count > 10), "{verdicts:?}");
}
