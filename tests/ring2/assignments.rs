//! Which answers of the modules a stack is tried with: none of them by chance but those that are drawn, from a seed that
//! is the stack's own.

use fidokey_core::stack::{Ability, MODULE, ability};

use crate::judge::{Answers, Case};

/// What ours answers where it lets nobody in (BAR INV-3), and what libpam has for it where it cannot be loaded.
const DENIALS: [i32; 10] = [3, 4, 5, 6, 7, 9, 10, 19, 26, 28];

/// What ours answers in every combination: success, exempt, and three kinds of denial.
const OUR_CODES: [i32; 5] = [0, 25, 7, 9, 3];

/// What others answer when they do not succeed: a wrong password, nothing to say, nobody of that name, no permission, a
/// password to be changed, nobody there to ask, a failure that ends everything.
const OTHER_CODES: [i32; 7] = [7, 25, 10, 6, 12, 9, 26];

/// How many assignments are drawn, of two modules that do not succeed and of all that may. With five times as many, which was
/// tried, nothing else is found.
const DRAWN: usize = 12;

/// The assignments that a case is tried with.
pub(crate) fn assignments(case: &Case) -> Vec<Answers> {
    let mut modules = case.module_names();
    let ours = modules.remove(MODULE);
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
            let pair = [0; 2].map(|_| random.choose(&modules));
            table.push(pair.map(|module| (module, vec![random.choose(&OTHER_CODES)])).into());
        }
    }
    for _ in 0..DRAWN {
        // A module that is called again may answer otherwise; and no answer is one that libpam has no number for.
        let codes = |random: &mut Random| {
            [0; 3].map(|_| if random.below(40) == 0 { random.below(40) } else { random.code() })
        };
        let answers = modules.iter();
        table.push(answers.map(|module| (module.clone(), codes(&mut random).to_vec())).collect());
    }
    if !ours {
        return table;
    }
    let with_ours = |answers: &Answers| {
        OUR_CODES.map(|code| {
            let mut answers = answers.clone();
            answers.insert(MODULE.to_owned(), vec![code]);
            answers
        })
    };
    table.iter().flat_map(with_ours).collect()
}

/// What may come of a login, as far as modules are known by their names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct World {
    /// Whether ours succeeds; it denies otherwise.
    pub(crate) ours: bool,
    /// Whether others may have been given a proof.
    pub(crate) proofs: bool,
}

/// Answers of all modules that are possible in that world: all of them the same, each of them, one that is alone with
/// its answer, and drawn ones.
pub(crate) fn possible(case: &Case, world: World) -> Vec<Answers> {
    let mut modules = case.module_names();
    modules.remove(MODULE);
    let modules: Vec<_> = modules.into_iter().collect();
    let mut random = Random::new(&case.name);
    let mut table: Vec<Answers> = Vec::new();
    let all = |code: i32| -> Answers {
        let answers = modules.iter();
        answers.map(|module| (module.clone(), vec![within(module, world, code)])).collect()
    };
    table.extend((0..32).map(all));
    for module in &modules {
        for (others, code) in [(0, 7), (0, 25), (7, 0), (25, 0)] {
            let mut answers = all(others);
            answers.insert(module.clone(), vec![within(module, world, code)]);
            table.push(answers);
        }
    }
    for number in 0..DRAWN / 2 {
        // Two answers, of which now the one is rare and now the other.
        let (often, seldom) = (random.code(), random.below(32));
        let rare = [2, 5, 20][number % 3];
        let code = |module: &String| {
            let codes = [0; 3].map(|_| {
                let code = if random.below(rare) == 0 { seldom } else { often };
                within(module, world, code)
            });
            (module.clone(), codes.to_vec())
        };
        table.push(modules.iter().map(code).collect());
    }
    for answers in &mut table {
        let codes = [0; 2].map(|_| if world.ours { 0 } else { random.choose(&DENIALS) });
        answers.insert(MODULE.to_owned(), codes.to_vec());
    }
    // Each denial of ours beside the same answers of the others, as well.
    if !world.ours {
        for code in DENIALS {
            let mut answers = table[0].clone();
            answers.insert(MODULE.to_owned(), vec![code]);
            table.push(answers);
        }
    }
    table
}

/// `code`, or where that module has no such answer in that world another one.
fn within(module: &str, world: World, code: i32) -> i32 {
    let failure = if code == 0 { 7 } else { code };
    match ability(module.as_bytes()) {
        Ability::Denies => 7,
        Ability::Permits => 0,
        Ability::Root => failure,
        Ability::Proof if !world.proofs => failure,
        Ability::Proof | Ability::Ours | Ability::Any => code,
    }
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
        usize::try_from(self.0 >> 33).unwrap()
    }

    fn below(&mut self, end: usize) -> i32 {
        i32::try_from(self.next() % end).unwrap()
    }

    fn choose<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.next() % among.len()].clone()
    }

    /// Success every other time.
    fn code(&mut self) -> i32 {
        if self.next().is_multiple_of(2) { 0 } else { self.choose(&OTHER_CODES) }
    }
}
