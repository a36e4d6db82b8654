//! Whether the module is in force in a stack: every answer that any module could give is gone through, so that what is
//! said holds for all logins and not for the ones that somebody has thought of.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use super::chain::{Call, Chain, Handler};
use super::control::{Action, CODES};
use super::dispatch::{
    AUTH_ERR, IGNORE, MODULE_UNKNOWN, NEW_AUTHTOK_REQD, PERM_DENIED, SUCCESS, State,
};
use super::modules::{Ability, ability};
use super::{Files, Place, Trouble};
use crate::policy::Mode;

/// The most ways that a stack can stand which are looked at. Real ones have some dozens.
const STATES_MAX: usize = 1 << 16;

/// What the module answers when it denies, whatever its mode: see [`crate::verdict`]; and what libpam has for it where it
/// cannot be loaded, which a caller with a low limit of memory can bring about.
const DENIALS: [u8; 10] = [3, 4, 5, 6, AUTH_ERR, 9, 10, 19, 26, MODULE_UNKNOWN];

/// What a stack is worth, for one mode of the module.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judgement {
    /// The lines that call the module.
    pub ours: Vec<Place>,
    /// What is wrong with it; nothing is if this is empty and there is a line.
    pub problems: Vec<Problem>,
}

/// What can be wrong with a stack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Problem {
    /// A login succeeds that the module has not agreed to.
    Bypassed {
        /// The line that lets it, where it is not the module's own control word that does.
        by: Option<Place>,
    },
    /// There is no login that succeeds, whatever is proven.
    Locked,
    /// The key is asked for before anything else was proven. It is worth as much, and tells whoever tries that there is
    /// one.
    First,
    /// The key is asked for after a wrong password as well.
    AfterWrongPassword,
    /// Mode second-factor: the key lets in without any other proof.
    KeyAlone,
    /// Mode alternative: the key alone does not let in.
    NotEnough,
    /// Mode alternative: without the key, the password does not let in.
    NoPassword,
    /// The stack is too intricate to be gone through.
    Intricate,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bypassed { by: Some(place) } => {
                write!(f, "the login can succeed without the key: {place} lets it pass")
            }
            Self::Bypassed { by: None } => f.write_str(
                "the login can succeed without the key: the control word of its line lets it pass",
            ),
            Self::Locked => f.write_str("no login can succeed"),
            Self::First => f.write_str("the key is asked for before the password"),
            Self::AfterWrongPassword => {
                f.write_str("the key is asked for after a wrong password as well")
            }
            Self::KeyAlone => f.write_str("the key alone lets in, without the password"),
            Self::NotEnough => f.write_str("the key alone does not let in"),
            Self::NoPassword => f.write_str("without the key the password does not let in either"),
            Self::Intricate => f.write_str("the stack is too intricate to be judged"),
        }
    }
}

impl Judgement {
    /// Whether the stack calls the module, and no login succeeds that the mode does not allow. Whether there is one that
    /// succeeds is another question.
    #[must_use]
    pub fn effective(&self) -> bool {
        let weak = |problem: &Problem| {
            matches!(problem, Problem::Bypassed { .. } | Problem::NotEnough | Problem::Intricate)
        };
        !self.ours.is_empty() && !self.problems.iter().any(weak)
    }

    /// Whether nothing is wrong with it.
    #[must_use]
    pub fn sound(&self) -> bool {
        !self.ours.is_empty() && self.problems.is_empty()
    }
}

/// What the stack of `service` is worth where the module's lines are meant as `mode` says.
///
/// Not looked at are logins of root by a program that root has started (`pam_rootok.so`).
///
/// # Errors
/// [`Trouble`] where nothing can be said of it.
pub fn judge(service: &[u8], mode: Mode, files: &dyn Files) -> Result<Judgement, Trouble> {
    Ok(judge_chain(&Chain::read(service, files)?, mode, files))
}

pub(super) fn judge_chain(chain: &Chain, mode: Mode, files: &dyn Files) -> Judgement {
    let ours = chain.handlers().iter().filter(|handler| is_ours(handler));
    let mut judgement =
        Judgement { ours: ours.map(|ours| ours.place.clone()).collect(), problems: Vec::new() };
    let search = Search::new(chain, files);
    match search.problems(mode) {
        Ok(problems) => judgement.problems = problems,
        Err(Intricate) => judgement.problems.push(Problem::Intricate),
    }
    judgement
}

/// Whether a login by `service` succeeds for certain where nothing is proven: nothing is assumed to let in but `pam_permit`.
///
/// # Errors
/// [`Trouble`] where nothing can be said of it.
pub fn is_open(service: &[u8], files: &dyn Files) -> Result<bool, Trouble> {
    let chain = Chain::read(service, files)?;
    let search = Search::new(&chain, files);
    let nothing = World { ours: Ours::Denies, proofs: Proofs::Nothing };
    Ok(!matches!(search.way(nothing, |end| end == Err(SUCCESS)), Ok(None)))
}

struct Intricate;

/// Which answers are gone through.
#[derive(Clone, Copy)]
struct World {
    ours: Ours,
    proofs: Proofs,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Ours {
    Denies,
    /// The policy asks for no key.
    Exempts,
    Succeeds,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Proofs {
    /// Nobody has proven anything.
    Fail,
    /// As `Fail`, and what is asked for a proof says so: it was wrong.
    Wrong,
    /// As `Wrong`, and nothing else succeeds either but what always does.
    Nothing,
    /// Any answer.
    Any,
}

struct Search<'s> {
    chain: &'s Chain,
    /// Which calls are of modules that the machine has.
    there: Vec<bool>,
}

/// A way through the chain: the states in their order, each with the call that it came from and the answer.
type Way = Vec<(usize, u8)>;

impl<'s> Search<'s> {
    fn new(chain: &'s Chain, files: &dyn Files) -> Self {
        // Asked once for each call, and not at each of the thousand ways to it.
        let there = |handler: &Handler| handler.module().is_none_or(|name| files.has_module(name));
        Self { chain, there: chain.handlers().iter().map(there).collect() }
    }

    fn problems(&self, mode: Mode) -> Result<Vec<Problem>, Intricate> {
        let mut problems = Vec::new();
        let world = |ours, proofs| World { ours, proofs };
        let succeeds = |world| self.way(world, |end| end == Err(SUCCESS));
        let called = |world| self.way(world, |end| end.is_ok_and(is_ours));
        if succeeds(world(Ours::Succeeds, Proofs::Any))?.is_none() {
            problems.push(Problem::Locked);
        }
        match mode {
            Mode::SecondFactor => {
                if let Some(way) = succeeds(world(Ours::Denies, Proofs::Any))? {
                    problems.push(Problem::Bypassed { by: self.culprit(&way) });
                }
                // Where nothing has to be proven at all, it is not the key that lets in.
                if succeeds(world(Ours::Succeeds, Proofs::Wrong))?.is_some()
                    && succeeds(world(Ours::Exempts, Proofs::Wrong))?.is_none()
                {
                    problems.push(Problem::KeyAlone);
                }
                if called(world(Ours::Denies, Proofs::Wrong))?.is_some() {
                    problems.push(match self.chain.proof_before_us() {
                        true => Problem::AfterWrongPassword,
                        false => Problem::First,
                    });
                }
            }
            Mode::Alternative => {
                if let Some(way) = succeeds(world(Ours::Denies, Proofs::Fail))? {
                    problems.push(Problem::Bypassed { by: self.culprit(&way) });
                }
                if succeeds(world(Ours::Succeeds, Proofs::Fail))?.is_none() {
                    problems.push(Problem::NotEnough);
                }
                if succeeds(world(Ours::Denies, Proofs::Any))?.is_none() {
                    problems.push(Problem::NoPassword);
                }
            }
        }
        Ok(problems)
    }

    /// The shortest way to where `wanted` holds, of what is called next or of what the application is told.
    fn way(
        &self,
        world: World,
        wanted: impl Fn(Result<&Handler, u8>) -> bool,
    ) -> Result<Option<Way>, Intricate> {
        // Each state with the one before it and the answer in between.
        let mut known: BTreeMap<State, Option<(State, u8)>> =
            BTreeMap::from([(State::new(), None)]);
        let mut open = VecDeque::from([State::new()]);
        while let Some(state) = open.pop_front() {
            let next = state.next(self.chain);
            if wanted(next) {
                return Ok(Some(back(&known, state)));
            }
            let Ok(handler) = next else { continue };
            for code in self.answers(state.at, handler, world) {
                let after = state.clone().after(self.chain, handler, code);
                if !known.contains_key(&after) {
                    if known.len() >= STATES_MAX {
                        return Err(Intricate);
                    }
                    known.insert(after.clone(), Some((state.clone(), code)));
                    open.push_back(after);
                }
            }
        }
        Ok(None)
    }

    /// The answers of a call, one of each sort: what is done at it, and whether it is a success.
    fn answers(&self, at: usize, handler: &Handler, world: World) -> Vec<u8> {
        let Call::Module { name, .. } = &handler.call else { return vec![PERM_DENIED] };
        let failures = || distinct(handler, 1..CODES as u8);
        // A password that has to be changed was right.
        let is_wrong = |code: &u8| ![IGNORE, NEW_AUTHTOK_REQD].contains(code);
        let wrong = || distinct(handler, (1..CODES as u8).filter(is_wrong));
        match (ability(name), world) {
            _ if self.there.get(at) != Some(&true) => vec![MODULE_UNKNOWN],
            (Ability::Ours, World { ours: Ours::Denies, .. }) => distinct(handler, DENIALS),
            (Ability::Ours, World { ours: Ours::Exempts, .. }) => vec![IGNORE],
            (Ability::Ours, _) => vec![SUCCESS],
            (Ability::Denies, _) => vec![AUTH_ERR, MODULE_UNKNOWN],
            (Ability::Permits, _) => vec![SUCCESS, MODULE_UNKNOWN],
            (Ability::Proof, World { proofs: Proofs::Wrong, .. })
            | (Ability::Any | Ability::Proof, World { proofs: Proofs::Nothing, .. }) => wrong(),
            (Ability::Root, _) | (Ability::Proof, World { proofs: Proofs::Fail, .. }) => failures(),
            (Ability::Proof | Ability::Any, _) => {
                let mut all = failures();
                all.push(SUCCESS);
                all
            }
        }
    }

    /// The line that a way without us has passed by: the one that jumped over ours or ended the stack before it, where
    /// ours was not called on the way.
    fn culprit(&self, way: &Way) -> Option<Place> {
        let handler = |at: &usize| self.chain.handlers.get(*at);
        let ours = self.chain.handlers.iter().position(is_ours);
        if way.iter().any(|(at, _)| handler(at).is_some_and(is_ours)) {
            return None;
        }
        let before = |at: usize| ours.is_none_or(|ours| at < ours);
        let last = way.iter().rev().find(|(at, code)| {
            before(*at)
                && handler(at).is_some_and(|handler| {
                    matches!(handler.action(*code), Action::Done | Action::Jump(_))
                })
        });
        last.and_then(|(at, _)| handler(at)).map(|handler| handler.place.clone())
    }
}

impl Chain {
    /// Whether a module that can prove something stands before ours, or ours nowhere.
    pub(super) fn proof_before_us(&self) -> bool {
        let counts = |handler: &&Handler| {
            handler
                .module()
                .is_some_and(|name| matches!(ability(name), Ability::Ours | Ability::Proof))
        };
        !self.handlers.iter().find(counts).is_some_and(is_ours)
    }
}

fn is_ours(handler: &Handler) -> bool {
    handler.module().is_some_and(super::is_ours)
}

/// Of `codes`, one for each action of the line. `PAM_IGNORE` and the others differ in nothing else that counts.
fn distinct(handler: &Handler, codes: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut kept: Vec<u8> = Vec::new();
    for code in codes {
        if !kept.iter().any(|&other| handler.action(other) == handler.action(code)) {
            kept.push(code);
        }
    }
    kept
}

fn back(known: &BTreeMap<State, Option<(State, u8)>>, mut state: State) -> Way {
    let mut way = Vec::new();
    while let Some(Some((before, code))) = known.get(&state) {
        way.push((before.at, *code));
        state = before.clone();
    }
    way.reverse();
    way
}

/// Whether two chains, of which `with` has calls of ours more, come to the same whatever is answered, where ours answers
/// `PAM_IGNORE`: what a login comes to that the policy exempts.
pub(super) fn same_without_us(with: &Chain, without: &Chain) -> bool {
    let mut known: Vec<(State, State)> = vec![(State::new(), State::new())];
    let mut open = known.clone();
    while let Some((mut one, mut other)) = open.pop() {
        // Ours, and what stands for nothing by itself.
        one = settled(with, one);
        other = settled(without, other);
        match (one.next(with), other.next(without)) {
            (Ok(handler), Ok(same)) => {
                if (&handler.call, &handler.actions, handler.level)
                    != (&same.call, &same.actions, same.level)
                {
                    return false;
                }
                let codes: Vec<u8> = match handler.call {
                    Call::Module { .. } => {
                        let mut codes = distinct(handler, 1..CODES as u8);
                        codes.push(SUCCESS);
                        codes
                    }
                    Call::Fails | Call::Substack => vec![PERM_DENIED],
                };
                for code in codes {
                    let pair = (
                        one.clone().after(with, handler, code),
                        other.clone().after(without, same, code),
                    );
                    if !known.contains(&pair) {
                        if known.len() >= STATES_MAX / 16 {
                            return false;
                        }
                        known.push(pair.clone());
                        open.push(pair);
                    }
                }
            }
            (Err(code), Err(same)) if code == same => {}
            _ => return false,
        }
    }
    true
}

/// `state` after the calls of ours that come next.
fn settled(chain: &Chain, mut state: State) -> State {
    loop {
        match state.next(chain) {
            Ok(handler) if is_ours(handler) => {
                // A line of ours that does something else at PAM_IGNORE is not passed over.
                if handler.action(IGNORE) != Action::Ignore {
                    return state;
                }
                state = state.clone().after(chain, handler, IGNORE);
            }
            _ => return state,
        }
    }
}
