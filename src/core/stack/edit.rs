//! A line of ours into the text of a service, and out of it again. What is not ours is never changed by a byte.

use std::fmt;

use super::chain::Chain;
use super::judge::{Judgement, Problem, judge_chain, same_without_us};
use super::text::{Line, Words, lines};
use super::{Files, MODULE, Place, Trouble, is_ours};
use crate::policy::Mode;

/// What an edit comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Edited {
    /// It is as it should be already.
    Unchanged(Judgement),
    /// This is the new text.
    Changed {
        /// All of it.
        text: Vec<u8>,
        /// The line that was put in, or the first one that was taken out, from 1.
        line: usize,
        /// What the new stack is worth.
        judgement: Judgement,
    },
}

/// Why there is no edit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Nothing can be said of the stack.
    Trouble(Trouble),
    /// There is a line already, and the stack is not what it should be with it.
    Present(Judgement),
    /// There is no place where the line would be in force and a login still work; this is what is wrong at the
    /// best one.
    NoPlace(Vec<Problem>),
    /// The line is in a file that this service includes, and that others may include as well.
    Elsewhere(Place),
    /// Without the line the others would do something else, as with one that jumps over it.
    Entangled(Place),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, problems: &[Problem]| {
            problems.iter().try_for_each(|problem| write!(f, "; {problem}"))
        };
        match self {
            Self::Trouble(trouble) => trouble.fmt(f),
            Self::Present(Judgement { ours, problems }) => {
                match ours.first() {
                    Some(place) => write!(f, "{place} has the module already")?,
                    None => f.write_str("the module is there already")?,
                }
                list(f, problems)
            }
            Self::NoPlace(problems) => {
                f.write_str("there is no place for the line where it would be in force")?;
                list(f, problems)
            }
            Self::Elsewhere(place) => {
                write!(f, "the line is {place}, which other services may use too")
            }
            Self::Entangled(place) => {
                write!(f, "{place}: without it the other lines would do something else")
            }
        }
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// The line for `mode`, without its end, with what else the module is to be told; `first` says that nothing is proven before
/// it.
#[must_use]
pub fn our_line(mode: Mode, first: bool, arguments: &[String]) -> String {
    let control = controls(mode, first).0;
    let mut line = format!("auth {control} {MODULE} mode={}", mode.word());
    for argument in arguments {
        line.push(' ');
        line.push_str(argument);
    }
    line
}

/// The control word of a line, and the one by which nobody gets on but who has just touched a key.
const fn controls(mode: Mode, first: bool) -> (&'static str, &'static str) {
    match (mode, first) {
        (Mode::Alternative, _) => ("sufficient", "[success=done default=die]"),
        // Neither another success nor an exemption, which the rest of the stack decides, lets anything else by.
        (Mode::SecondFactor, false) => {
            ("[success=ok ignore=ignore default=die]", "[success=ok default=die]")
        }
        // Before the password the key must not count for it: where the password's failure is ignored, it would.
        (Mode::SecondFactor, true) => {
            ("[success=ignore ignore=ignore default=die]", "[success=ignore default=die]")
        }
    }
}

/// `text` with the line of [`our_line`] made stricter: it lets by nobody but who has just touched a key, not even whom the
/// policy exempts. A login by it shows that the key works there.
#[must_use]
pub fn stricter(text: &[u8], mode: Mode, arguments: &[String]) -> Option<Vec<u8>> {
    let found = |first: bool| {
        let line = our_line(mode, first, arguments);
        let at = text.windows(line.len()).position(|window| window == line.as_bytes())?;
        Some((at, line, controls(mode, first)))
    };
    let (at, line, (control, strict)) = found(false).or_else(|| found(true))?;
    let after = at.saturating_add(line.len());
    let mut new = text.get(..at)?.to_vec();
    new.extend_from_slice(line.replacen(control, strict, 1).as_bytes());
    new.extend_from_slice(text.get(after..)?);
    Some(new)
}

/// The text of `service` with a line for `mode`: right after the password where that ends a login that it fails, before
/// it where nothing else is in force, and for an alternative before it always.
///
/// # Errors
/// [`Refusal`], where the line would not be in force or nobody could log in any more.
pub fn enable(
    service: &[u8],
    mode: Mode,
    arguments: &[String],
    files: &dyn Files,
) -> Result<Edited, Refusal> {
    let text = files.stack(service).ok_or(Trouble::NoService)?;
    let before = Chain::read(service, files)?;
    let judgement = judge_chain(&before, mode, files);
    if !judgement.ours.is_empty() {
        return match acceptable(&judgement) {
            true => Ok(Edited::Unchanged(judgement)),
            false => Err(Refusal::Present(judgement)),
        };
    }
    // One of another kind, or that is no line at all: it would go with ours again.
    if let Some(line) = lines(&text).0.iter().find(|line| calls_us(line)) {
        let ours = vec![Place { file: service.to_vec(), line: line.number }];
        return Err(Refusal::Present(Judgement { ours, problems: Vec::new() }));
    }
    let candidate = |at, line_is_first| {
        let text = inserted(&text, at, &our_line(mode, line_is_first, arguments));
        let after = Chain::read(service, &With { service, text: &text, files }).ok()?;
        let judgement = judge_chain(&after, mode, files);
        let harmless = same_without_us(&after, &before);
        Some(Candidate { at, text, judgement, harmless, first: !after.proof_before_us() })
    };
    let candidates = candidates(&text).into_iter().filter_map(|at| match candidate(at, false)? {
        first if first.first => candidate(at, true),
        after => Some(after),
    });
    let mut candidates: Vec<Candidate> = candidates.collect();
    match choice(&candidates, mode) {
        Some(index) => {
            let Candidate { at, text: new, judgement, .. } = candidates.swap_remove(index);
            Ok(Edited::Changed { text: new, line: number(&text, at), judgement })
        }
        None => Err(Refusal::NoPlace(best(candidates))),
    }
}

/// The text of `service` without the lines of its own file that call the module.
///
/// # Errors
/// [`Refusal`]; with `force` it is not refused that the other lines would do something else, nor that nothing can be
/// said of them.
pub fn disable(service: &[u8], force: bool, files: &dyn Files) -> Result<Edited, Refusal> {
    let text = files.stack(service).ok_or(Trouble::NoService)?;
    let (lines, _) = lines(&text);
    let ours: Vec<&Line> = lines.iter().filter(|line| calls_us(line)).collect();
    let Some(first) = ours.first() else {
        let chain = Chain::read(service, files)?;
        let mut elsewhere =
            chain.handlers().iter().filter(|handler| handler.module().is_some_and(is_ours));
        return match elsewhere.next() {
            Some(handler) => Err(Refusal::Elsewhere(handler.place.clone())),
            None => Ok(Edited::Unchanged(Judgement { ours: Vec::new(), problems: Vec::new() })),
        };
    };
    let new = without(&text, &ours);
    let place = Place { file: service.to_vec(), line: first.number };
    let after = Chain::read(service, &With { service, text: &new, files });
    let judgement = match (Chain::read(service, files), after) {
        (Ok(before), Ok(after)) if force || same_without_us(&before, &after) => {
            judge_chain(&after, Mode::SecondFactor, files)
        }
        (Ok(_), Ok(_)) => return Err(Refusal::Entangled(place)),
        (Err(trouble), _) | (_, Err(trouble)) if !force => return Err(trouble.into()),
        _ => Judgement { ours: Vec::new(), problems: Vec::new() },
    };
    Ok(Edited::Changed { text: new, line: first.number, judgement })
}

/// A place for the line, and what came of it there.
struct Candidate {
    at: usize,
    text: Vec<u8>,
    judgement: Judgement,
    /// For whom the policy exempts, everything is as before.
    harmless: bool,
    /// Nothing is proven before it.
    first: bool,
}

/// A stack that may be left as it is.
fn acceptable(judgement: &Judgement) -> bool {
    judgement.effective() && judgement.problems.iter().all(|problem| *problem == Problem::First)
}

fn choice(candidates: &[Candidate], mode: Mode) -> Option<usize> {
    let good = |candidate: &Candidate| candidate.harmless && acceptable(&candidate.judgement);
    let last_before = candidates.iter().rposition(|candidate| good(candidate) && candidate.first);
    match mode {
        Mode::SecondFactor => {
            let after = candidates
                .iter()
                .position(|candidate| good(candidate) && candidate.judgement.sound());
            after.or(last_before)
        }
        Mode::Alternative => last_before,
    }
}

/// What is wrong at the place with the fewest problems.
fn best(candidates: Vec<Candidate>) -> Vec<Problem> {
    let best = candidates.into_iter().filter(|candidate| candidate.harmless);
    best.map(|candidate| candidate.judgement.problems).min_by_key(Vec::len).unwrap_or_default()
}

/// The places between the lines: before the first one, and after each.
fn candidates(text: &[u8]) -> Vec<usize> {
    let (lines, _) = lines(text);
    let first = lines.first().map(|line| line.range.start);
    first.into_iter().chain(lines.iter().map(|line| line.range.end)).collect()
}

fn inserted(text: &[u8], at: usize, line: &str) -> Vec<u8> {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, &[]));
    let mut new = before.to_vec();
    // A file that does not end its last line has it that way afterwards too.
    if before.last().is_some_and(|&last| last != b'\n') {
        new.push(b'\n');
        new.extend_from_slice(line.as_bytes());
    } else {
        new.extend_from_slice(line.as_bytes());
        new.push(b'\n');
    }
    new.extend_from_slice(after);
    new
}

fn without(text: &[u8], ours: &[&Line]) -> Vec<u8> {
    let mut new = Vec::new();
    let mut at = 0;
    for line in ours {
        new.extend_from_slice(text.get(at..line.range.start).unwrap_or_default());
        at = line.range.end;
    }
    let rest = text.get(at..).unwrap_or_default();
    // The line before was the last one, and had no end.
    if rest.is_empty() && !text.ends_with(b"\n") && new.ends_with(b"\n") {
        new.pop();
    }
    new.extend_from_slice(rest);
    new
}

fn calls_us(line: &Line) -> bool {
    let mut words = Words::of(&line.content).skip(1);
    let control = words.next().unwrap_or_default().to_ascii_lowercase();
    !matches!(control.as_slice(), b"include" | b"substack")
        && words.next().is_some_and(|module| is_ours(&module))
}

/// The number of the line that begins at `at`, from 1.
fn number(text: &[u8], at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    let ends = before.iter().filter(|&&byte| byte == b'\n').count();
    // What was put behind a line without an end begins the next one.
    let open = usize::from(before.last().is_some_and(|&last| last != b'\n'));
    ends.saturating_add(open).saturating_add(1)
}

/// The files, but for one text.
struct With<'w> {
    service: &'w [u8],
    text: &'w [u8],
    files: &'w dyn Files,
}

impl Files for With<'_> {
    fn stack(&self, name: &[u8]) -> Option<Vec<u8>> {
        match name == self.service {
            true => Some(self.text.to_vec()),
            false => self.files.stack(name),
        }
    }

    fn has_module(&self, name: &[u8]) -> bool {
        self.files.has_module(name)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
