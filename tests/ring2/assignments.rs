//! Which answers of the modules a stack is tried with: none of them by chance but those that are drawn, from a seed that
//! is the stack's own.

use std::collections::BTreeSet;

use crate::judge::{Answers, Case};

/// Our module, as stacks name it.
pub(crate) const OURS: &str = "pam_fidokey.so";

/// What ours answers where it lets nobody in (BAR INV-3).
pub(crate) const DENIALS: [i32; 9] = [3, 4, 5, 6, 7, 9, 10, 19, 26];

/// What ours answers in every combination: success, exempt, and three kinds of denial.
const OUR_CODES: [i32; 5] = [0, 25, 7, 9, 3];

/// What others answer when they do not succeed: a wrong password, nothing to say, nobody of that name, no permission, a
/// password to be changed, nobody there to ask, a failure that ends everything.
const OTHER_CODES: [i32; 7] = [7, 25, 10, 6, 12, 9, 26];

/// How many assignments are drawn, of two modules that do not succeed and of all that may.
const DRAWN: usize = 60;

/// The assignments that a case is tried with.
pub(crate) fn assignments(case: &Case) -> Vec<Answers> {
    let mut modules = case.module_names();
    let ours = modules.remove(OURS);
    let modules: Vec<_> = modules.into_iter().collect();
    let mut table = vec![Answers::new()];
    for module in &modules {
        for code in OTHER_CODES {
            table.push(Answers::from([(module.clone(), vec![code])]));
        }
    }
    let mut random = Random::new(&case.name);
    if modules.len() > 1 {
        for _ in 0..DRAWN {
            let pair = [0; 2].map(|_| random.choose(&modules).clone());
            table.push(pair.map(|module| (module, vec![random.choose(&OTHER_CODES)])).into());
        }
    }
    for _ in 0..DRAWN {
        // A module that is called again may answer otherwise.
        let codes = |random: &mut Random| [0; 3].map(|_| random.code()).to_vec();
        table.push(modules.iter().map(|module| (module.clone(), codes(&mut random))).collect());
    }
    if !ours {
        return table;
    }
    let with_ours = |answers: &Answers| {
        OUR_CODES.map(|code| {
            let mut answers = answers.clone();
            answers.insert(OURS.to_owned(), vec![code]);
            answers
        })
    };
    table.iter().flat_map(with_ours).collect()
}

/// All that could let somebody in against our module: each of its denials, with every module that succeeds or does not,
/// as far as they are few, and drawn ones where they are many.
pub(crate) fn attempts(case: &Case) -> Vec<Answers> {
    let mut modules = case.module_names();
    modules.remove(OURS);
    let modules: Vec<_> = modules.into_iter().collect();
    let mut table: Vec<Answers> = Vec::new();
    if modules.len() <= 6 {
        for choice in 0..1_u32 << modules.len() {
            let code = |number: usize| if choice >> number & 1 == 0 { 0 } else { 7 };
            let answers = modules.iter().enumerate();
            table.push(
                answers.map(|(number, module)| (module.clone(), vec![code(number)])).collect(),
            );
        }
    }
    let mut random = Random::new(&case.name);
    for _ in 0..DRAWN {
        table.push(modules.iter().map(|module| (module.clone(), vec![random.code()])).collect());
    }
    let with_ours = |answers: &Answers| {
        DENIALS.map(|code| {
            let mut answers = answers.clone();
            answers.insert(OURS.to_owned(), vec![code]);
            answers
        })
    };
    table.iter().flat_map(with_ours).collect()
}

/// A generator that draws the same each time (xorshift).
struct Random(u64);

impl Random {
    fn new(name: &str) -> Self {
        let add = |seed: u64, byte: u8| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, add) | 1)
    }

    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize
    }

    fn choose<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.next() % among.len()].clone()
    }

    /// Success every other time.
    fn code(&mut self) -> i32 {
        if self.next().is_multiple_of(2) { 0 } else { self.choose(&OTHER_CODES) }
    }
}

/// The name of a file, without the directories before it.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// The names of several.
pub(crate) fn file_names<'p>(paths: impl IntoIterator<Item = &'p String>) -> BTreeSet<String> {
    paths.into_iter().map(|path| file_name(path).to_owned()).collect()
}
