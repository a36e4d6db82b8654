//! The corpus of stacks, `tests/stacks`: what the core makes of each, and what real libpam does.

use std::collections::BTreeMap;

use fidokey_core::policy::Mode;
use fidokey_core::stack::{
    self, Ability, Call, Chain, Edited, Files as _, MODULE, Problem, Refusal, Trouble, ability,
    disable, enable,
};

use crate::assignments::{World, assignments, possible};
use crate::judge::{Answers, Case, Outcome, evaluate, file_name, judge, text};

/// Asserts that there is no difference.
#[track_caller]
fn settle(wrong: &[(String, String)]) {
    let list: Vec<_> = wrong.iter().map(|(name, text)| format!("{name}: {text}")).collect();
    assert!(list.is_empty(), "{}", list.join("\n\n"));
}

const MODES: [Mode; 2] = [Mode::SecondFactor, Mode::Alternative];

/// The corpus says which modules are not there; all others must be, or its verdicts would be about nothing.
#[test]
fn given_the_corpus_then_libpam_misses_the_modules_that_it_says_and_no_others() {
    let mut wrong = Vec::new();
    for case in Case::all() {
        let judgement = judge(&case, &[Answers::new()]);
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

/// What the core says of a stack is what libpam does: every call, with its arguments, and what it comes to.
#[test]
fn given_the_corpus_then_every_login_goes_as_the_core_says() {
    let (mut wrong, mut deadly, mut compared) = (Vec::new(), Vec::new(), 0);
    for case in Case::all() {
        let case = case.for_this_libpam();
        let table = assignments(&case);
        let outcomes = evaluate(&case, &table);
        match Chain::read(case.service.as_bytes(), &case) {
            Ok(_) if case.deadly => {
                deadly.push((case.name, "a libpam dies of it".to_owned()));
            }
            Ok(chain) => {
                compared += 1;
                let pairs = table.iter().zip(&outcomes);
                let other = pairs.filter_map(|(answers, outcome)| {
                    let expected = predicted(&case, &chain, answers);
                    (expected != *outcome)
                        .then(|| format!("{answers:?}\n{expected:?}\n{outcome:?}"))
                });
                let other: Vec<_> = other.collect();
                if let Some(first) = other.first() {
                    let (count, all) = (other.len(), outcomes.len());
                    wrong.push((case.name, format!("{count} of {all}, such as {first}")));
                }
            }
            Err(Trouble::NoService) => {
                // It is read all the same, from `other`.
                assert_eq!(case.stack(case.service.as_bytes()), None);
            }
            Err(trouble @ Trouble::Unreadable { .. }) => {
                if outcomes.is_empty() || outcomes.iter().any(|outcome| outcome.start == 0) {
                    wrong.push((case.name, format!("{trouble}: {:?}", outcomes.first())));
                }
            }
            Err(trouble @ Trouble::Doubtful { .. }) => println!("{}: {trouble}", case.name),
        }
    }
    println!("{compared} compared");
    settle(&deadly);
    settle(&wrong);
    assert!(compared > 250, "{compared}");
}

/// What the core expects.
fn predicted(case: &Case, chain: &Chain, answers: &Answers) -> Outcome {
    let mut calls: Vec<(String, Vec<String>)> = Vec::new();
    let outcome = stack::run(chain, |_, handler| {
        let Call::Module { name, arguments } = &handler.call else { panic!("{handler:?}") };
        if !case.has_module(name) {
            return 28;
        }
        let name = file_name(&text(name)).to_owned();
        let before = calls.iter().filter(|(called, _)| *called == name).count();
        let codes = answers.get(&name).map_or(&[][..], Vec::as_slice);
        calls.push((name, arguments.iter().map(|argument| text(argument)).collect()));
        u8::try_from(codes.get(before).or(codes.last()).copied().unwrap_or(0)).unwrap()
    });
    let (called, arguments) = calls.into_iter().unzip();
    Outcome { start: 0, code: outcome.code.into(), called, arguments }
}

/// Whether each proof that is asked for says that it was wrong.
fn is_wrong(answers: &Answers) -> bool {
    let mut proofs = answers.iter().filter(|(name, _)| ability(name.as_bytes()) == Ability::Proof);
    proofs.all(|(_, codes)| !codes.contains(&25) && !codes.contains(&12))
}

/// What libpam lets through, as far as it was tried.
struct Seen<'c> {
    case: &'c Case,
    /// Where ours succeeds, and where others may.
    outcomes: BTreeMap<[bool; 2], Vec<(Answers, Outcome)>>,
    /// Where ours exempts, and nobody has proven anything.
    exempt: Vec<(Answers, Outcome)>,
}

impl<'c> Seen<'c> {
    fn of(case: &'c Case) -> Self {
        let worlds = [[false, false], [false, true], [true, false], [true, true]];
        let tables = worlds.map(|[ours, proofs]| possible(case, World { ours, proofs }));
        let mut came = evaluate(case, &tables.concat()).into_iter();
        let outcomes = worlds.into_iter().zip(tables).map(|(world, table)| {
            let outcomes = came.by_ref().take(table.len());
            (world, table.into_iter().zip(outcomes).collect())
        });
        let exempt =
            possible(case, World { ours: true, proofs: false }).into_iter().map(|mut answers| {
                answers.insert(MODULE.to_owned(), vec![25]);
                answers
            });
        let exempt: Vec<_> = exempt.collect();
        let came = evaluate(case, &exempt);
        Self { case, outcomes: outcomes.collect(), exempt: exempt.into_iter().zip(came).collect() }
    }

    fn witness(&self, ours: bool, proofs: bool, wanted: fn(&Outcome) -> bool) -> Option<&Answers> {
        let mut outcomes = self.outcomes[&[ours, proofs]].iter();
        outcomes.find(|(_, outcome)| wanted(outcome)).map(|(answers, _)| answers)
    }

    /// The same where nobody has proven anything, and what was asked for a proof says that it was wrong.
    fn asked_in_vain(&self, wanted: fn(&Outcome) -> bool) -> Option<&Answers> {
        let mut outcomes = self.outcomes[&[false, false]].iter();
        outcomes
            .find(|(answers, outcome)| is_wrong(answers) && wanted(outcome))
            .map(|(answers, _)| answers)
    }

    /// What is wrong with the case's stack in that mode, with a word each.
    fn problems(&self, mode: Mode) -> BTreeMap<&'static str, Option<&Answers>> {
        let succeeds = |ours, proofs| self.witness(ours, proofs, |outcome| outcome.code == 0);
        let asked = |outcome: &Outcome| outcome.called.iter().any(|module| module == MODULE);
        let mut problems = BTreeMap::new();
        if succeeds(true, true).is_none() {
            problems.insert("locked", None);
        }
        match mode {
            Mode::SecondFactor => {
                if let Some(answers) = succeeds(false, true) {
                    problems.insert("bypassed", Some(answers));
                }
                let alone = |outcomes: &'_ [(Answers, Outcome)]| {
                    let mut wins = outcomes.iter();
                    wins.any(|(answers, outcome)| is_wrong(answers) && outcome.code == 0)
                };
                if alone(&self.outcomes[&[true, false]]) && !alone(&self.exempt) {
                    problems.insert("key alone", None);
                }
                if let Some(answers) = self.asked_in_vain(asked) {
                    problems.insert("asked too early", Some(answers));
                }
            }
            Mode::Alternative => {
                if let Some(answers) = succeeds(false, false) {
                    problems.insert("bypassed", Some(answers));
                }
                if succeeds(true, false).is_none() {
                    problems.insert("not enough", None);
                }
                if succeeds(false, true).is_none() {
                    problems.insert("no password", None);
                }
            }
        }
        problems
    }

    /// Where the core says something else.
    fn differences(&self, mode: Mode, said: &stack::Judgement) -> Option<(String, String)> {
        let word = |problem: &Problem| match problem {
            Problem::Locked => "locked",
            Problem::Bypassed { .. } => "bypassed",
            Problem::First | Problem::AfterWrongPassword => "asked too early",
            Problem::KeyAlone => "key alone",
            Problem::NotEnough => "not enough",
            Problem::NoPassword => "no password",
            Problem::Intricate => "intricate",
        };
        let mut words: Vec<_> = said.problems.iter().map(word).collect();
        words.sort_unstable();
        let seen = self.problems(mode);
        let text = || format!("{mode:?}: the core {words:?}, libpam {seen:?}");
        (!seen.keys().eq(words.iter())).then(|| (self.case.name.clone(), text()))
    }
}

/// Whatever the core finds wrong with a stack is so before libpam, and it overlooks nothing that was tried.
#[test]
fn given_the_corpus_then_what_is_wrong_with_it_is_what_libpam_lets_through() {
    let mut wrong = Vec::new();
    let mut verdicts = BTreeMap::new();
    for case in Case::all().iter().map(Case::for_this_libpam) {
        if case.deadly {
            continue;
        }
        let seen = Seen::of(&case);
        for mode in MODES {
            let Ok(said) = stack::judge(case.service.as_bytes(), mode, &case) else { continue };
            *verdicts.entry((mode.word(), said.effective())).or_insert(0) += 1;
            wrong.extend(seen.differences(mode, &said));
            let meant = mode.word() == case.mode;
            if meant && case.effective.is_some_and(|effective| effective != said.effective()) {
                wrong.push((case.name.clone(), format!("not as it was thought: {said:?}")));
            }
        }
    }
    settle(&wrong);
    println!("{verdicts:?}");
    assert!(verdicts.values().all(|&count| count > 10) && verdicts.len() == 4, "{verdicts:?}");
}

/// Where a line is put in, libpam lets nobody through that the mode does not allow; without the key's consent
/// being asked of those whom the policy exempts, everything is as it was; and taking the line out leaves the bytes that
/// were there.
#[test]
fn given_a_line_that_is_put_in_then_it_is_in_force_and_comes_out_without_a_trace() {
    let mut wrong = Vec::new();
    let mut put_in = [0, 0];
    for case in Case::all().iter().map(Case::for_this_libpam) {
        let service = case.service.as_bytes();
        for (mode, count) in MODES.into_iter().zip(&mut put_in) {
            let Ok(Edited::Changed { text, judgement, .. }) = enable(service, mode, &[], &case)
            else {
                continue;
            };
            *count += 1;
            let path =
                ["etc/pam.d/", "usr/lib/pam.d/"].map(|place| place.to_owned() + &case.service);
            let before = path.iter().find_map(|path| case.files.get(path)).unwrap();
            let with = case.clone().with(&path[0], &text);
            wrong.extend(Seen::of(&with).differences(mode, &judgement));
            match disable(service, false, &with) {
                Ok(Edited::Changed { text, .. }) if text == *before => {}
                other => wrong.push((case.name.clone(), format!("{mode:?}: {other:?}"))),
            }
            wrong.extend(exempt(&case, &with).map(|difference| (case.name.clone(), difference)));
        }
    }
    println!("{put_in:?}");
    settle(&wrong);
    assert!(put_in.iter().all(|&count| count > 50), "{put_in:?}");
}

/// Where a login that the policy exempts is another one with the line than without.
fn exempt(without: &Case, with: &Case) -> Option<String> {
    let exempt = |mut answers: Answers| {
        answers.insert(MODULE.to_owned(), vec![25]);
        answers
    };
    let table: Vec<_> = assignments(without).into_iter().step_by(3).map(exempt).collect();
    let pairs = evaluate(without, &table).into_iter().zip(evaluate(with, &table));
    pairs.zip(&table).find_map(|((mut before, mut after), answers)| {
        // There may be more lines of ours.
        before.called.retain(|module| module != MODULE);
        after.called.retain(|module| module != MODULE);
        let same = (before.code, &before.called) == (after.code, &after.called);
        (!same).then(|| format!("exempt, {answers:?}: {before:?} {after:?}"))
    })
}

/// The line is taken out of stacks where somebody else has put it, too, or it is said why not.
#[test]
fn given_a_line_that_was_there_then_it_is_taken_out_or_refused() {
    let (mut out, mut refused) = (0, 0);
    for case in Case::all() {
        match disable(case.service.as_bytes(), false, &case) {
            Ok(Edited::Changed { text, .. }) => {
                out += 1;
                let path = format!("etc/pam.d/{}", case.service);
                let without = case.clone().with(&path, &text);
                let again = disable(case.service.as_bytes(), false, &without);
                assert!(
                    matches!(again, Ok(Edited::Unchanged(_)) | Err(Refusal::Elsewhere(_))),
                    "{}: {again:?}",
                    case.name
                );
                // A line whose module is not there exempts nobody.
                if !case.missing.iter().any(|module| module.trim() == MODULE) {
                    assert_eq!(exempt(&without, &case), None, "{}", case.name);
                }
            }
            Ok(Edited::Unchanged(_)) => {}
            Err(_) => refused += 1,
        }
    }
    assert!(out > 20 && refused > 5, "{out} {refused}");
}
