//! The inputs that the fuzzer has found, all of them again; `make fuzz` finds more.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::{fs, io};

use fidokey_tests::fuzz::{TARGETS, login};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.into_iter().map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// Runs the target of that name on all of its inputs.
fn replay(name: &str) {
    let (_, run) = TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    let directory = corpus().join(name);
    let inputs = names(&directory);
    assert!(!inputs.is_empty(), "no input in {}", directory.display());
    for input in inputs {
        let path = directory.join(input);
        let bytes = fs::read(&path).unwrap();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&bytes))) {
            eprintln!("with {}", path.display());
            resume_unwind(panic);
        }
    }
}

#[test]
fn given_the_targets_of_the_fuzzer_then_each_has_a_corpus_and_a_program() {
    let targets: BTreeSet<String> = TARGETS.into_iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names(&corpus()), targets);
    let programs: BTreeSet<String> = names(&corpus().join("../src/bin"))
        .into_iter()
        .map(|name| name.strip_suffix(".rs").unwrap().to_owned())
        .collect();
    assert_eq!(programs, targets);
}

/// BAR C5, C6, C7, C10, C11, C12, C18: verified if and only if it was signed and says what it must.
#[test]
fn given_the_corpus_of_assertions_then_no_finding() {
    replay("assertion");
}

/// BAR D9: bounded, no key twice, and canonical if and only if written again it is the same.
#[test]
fn given_the_corpus_of_cbor_then_no_finding() {
    replay("cbor");
}

/// BAR D9.
#[test]
fn given_the_corpus_of_client_pin_answers_then_no_finding() {
    replay("client_pin");
}

/// BAR K1, K2, K3: what is unknown or said twice is an error, and what is accepted gives the same each time. G9: what
/// is refused is told by place.
#[test]
fn given_the_corpus_of_policies_and_arguments_then_no_finding() {
    replay("config");
}

/// BAR C12: one form for each signature, told by another reader of it.
#[test]
fn given_the_corpus_of_signatures_then_no_finding() {
    replay("der");
}

/// BAR D9, C12 for whole registrations.
#[test]
fn given_the_corpus_of_registrations_by_hostile_keys_then_no_finding() {
    replay("enroll");
}

/// BAR D4, D5, D6, D7: beside a second account of what was sent.
#[test]
fn given_the_corpus_of_reports_then_no_finding() {
    replay("frame");
}

/// BAR I11: of a file of another program nothing comes that did not count there, whatever is in it.
#[test]
fn given_the_corpus_of_files_of_other_programs_then_no_finding() {
    replay("import");
}

/// BAR D9.
#[test]
fn given_the_corpus_of_getinfo_answers_then_no_finding() {
    replay("info");
}

/// BAR D1, D4, D7, D12, D25, G1: ends in time, cancels what it armed, lets in for what the key has signed alone.
#[test]
fn given_the_corpus_of_logins_by_hostile_keys_then_no_finding() {
    replay("login");
}

/// Or that would say nothing of those who are let in.
#[test]
fn given_the_corpus_of_logins_by_hostile_keys_then_some_are_granted() {
    let directory = corpus().join("login");
    let code = |name: String| login::code(&fs::read(directory.join(name)).unwrap());
    let granted = names(&directory).into_iter().filter(|name| code(name.clone()) == 0).count();
    assert!(granted >= 10, "{granted}");
}

/// BAR K1, K3, K6, K7: read, written and read again it is the same record. G9: what is refused is told by place.
#[test]
fn given_the_corpus_of_records_then_no_finding() {
    replay("record");
}

/// BAR C12, C18, C19 for registrations.
#[test]
fn given_the_corpus_of_registration_answers_then_no_finding() {
    replay("registration");
}

/// BAR I2, I5: enabled and disabled again a stack has the same bytes, and in force is what no login gets by.
#[test]
fn given_the_corpus_of_stacks_then_no_finding() {
    replay("stack");
}

/// BAR K3: read, written and read again it is the same state.
#[test]
fn given_the_corpus_of_states_then_no_finding() {
    replay("state");
}

/// BAR G1, G4, G5: whatever somebody is called, the line keeps to its grammar.
#[test]
fn given_the_corpus_of_texts_then_no_finding() {
    replay("text");
}

/// BAR D20, D22: exact to the byte, and never a verified user.
#[test]
fn given_the_corpus_of_first_generation_answers_then_no_finding() {
    replay("u2f");
}
