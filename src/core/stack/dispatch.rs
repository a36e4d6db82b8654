//! What a chain comes to, from answer to answer (`_pam_dispatch_aux`, as Debian has it: a jump counts for nothing).

use super::chain::{Call, Chain, Handler};
use super::control::{Action, CODES};

/// `PAM_SUCCESS`.
pub(super) const SUCCESS: u8 = 0;
/// `PAM_PERM_DENIED`, which is what a stack comes to when nothing has counted.
pub(super) const PERM_DENIED: u8 = 6;
/// `PAM_AUTH_ERR`.
pub(super) const AUTH_ERR: u8 = 7;
/// `PAM_NEW_AUTHTOK_REQD`.
pub(super) const NEW_AUTHTOK_REQD: u8 = 12;
/// `PAM_IGNORE`.
pub(super) const IGNORE: u8 = 25;
/// `PAM_MODULE_UNKNOWN`: what a module that cannot be loaded answers.
pub(super) const MODULE_UNKNOWN: u8 = 28;
/// `PAM_INCOMPLETE`: the stack is left at once, to go on later.
pub(super) const INCOMPLETE: u8 = 31;

/// What the answers so far have come to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Impression {
    Undecided,
    Positive,
    Negative,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Standing {
    impression: Impression,
    status: u8,
}

const START: Standing = Standing { impression: Impression::Undecided, status: PERM_DENIED };

/// A stack on its way: what has been called, and what it has come to.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct State {
    /// The next call.
    pub(super) at: usize,
    /// The level of the call before it.
    level: usize,
    standing: Standing,
    /// How it stood when each level was entered.
    entered: Vec<Standing>,
    /// It is over before the end of the chain.
    left: Option<u8>,
}

impl State {
    pub(super) fn new() -> Self {
        Self { at: 0, level: 0, standing: START, entered: vec![START], left: None }
    }

    /// The next call, or what the application is told.
    pub(super) fn next<'c>(&self, chain: &'c Chain) -> Result<&'c Handler, u8> {
        if let Some(code) = self.left {
            return Err(code);
        }
        match (chain.handlers.get(self.at), self.standing) {
            (Some(handler), _) => Ok(handler),
            (None, Standing { status: SUCCESS, impression })
                if impression != Impression::Positive =>
            {
                Err(PERM_DENIED)
            }
            (None, Standing { status, .. }) => Err(status),
        }
    }

    /// After the next call, which is `handler`, has answered `code`; 32 and more are no answers.
    pub(super) fn after(mut self, chain: &Chain, handler: &Handler, code: u8) -> Self {
        let level = handler.level;
        if self.level < level {
            self.entered.truncate(level);
            self.entered.resize(level.saturating_add(1), self.standing);
        } else {
            // Deeper ones are entered anew.
            self.entered.truncate(level.saturating_add(1));
        }
        self.level = level;
        if handler.call == Call::Substack {
            self.at = self.at.saturating_add(1);
            return self;
        }
        if code == INCOMPLETE {
            self.left = Some(code);
            return self;
        }
        let (code, action) = match usize::from(code) < CODES {
            true => (code, handler.action(code)),
            false => (PERM_DENIED, Action::Bad),
        };
        let decided = match action {
            Action::Ignore => false,
            Action::Reset => {
                self.standing = self.entered.get(level).copied().unwrap_or(START);
                false
            }
            Action::Ok | Action::Done => {
                let Standing { impression, status } = self.standing;
                if impression == Impression::Undecided
                    || (impression == Impression::Positive && status == SUCCESS)
                {
                    self.standing = Standing { impression: Impression::Positive, status: code };
                }
                action == Action::Done && self.standing.impression == Impression::Positive
            }
            Action::Bad | Action::Die => {
                if self.standing.impression != Impression::Negative {
                    let status = if code == IGNORE { PERM_DENIED } else { code };
                    self.standing = Standing { impression: Impression::Negative, status };
                }
                action == Action::Die
            }
            Action::Jump(lines) => {
                self.jump(chain, level, lines);
                false
            }
        };
        if decided {
            while self.level_after(chain).is_some_and(|next| next >= level) {
                self.at = self.at.saturating_add(1);
            }
        }
        self.at = self.at.saturating_add(1);
        self
    }

    /// Passes over so many calls of this level, with the substacks that begin at them.
    fn jump(&mut self, chain: &Chain, level: usize, mut lines: u32) {
        while lines > 0 && self.level_after(chain).is_some_and(|next| next >= level) {
            loop {
                self.at = self.at.saturating_add(1);
                if self.level_after(chain).is_none_or(|next| next <= level) {
                    break;
                }
            }
            lines = lines.saturating_sub(1);
        }
        if lines > 0 {
            self.standing = Standing { impression: Impression::Negative, status: PERM_DENIED };
        }
    }

    /// The level of what follows the current call.
    fn level_after(&self, chain: &Chain) -> Option<usize> {
        chain.handlers.get(self.at.saturating_add(1)).map(|handler| handler.level)
    }
}

/// What came of a chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// What `pam_authenticate` returns.
    pub code: u8,
    /// The calls that were made of modules, by their numbers in the chain.
    pub called: Vec<usize>,
}

/// What comes of `chain` where `answer` says what the call of that number, of a module, answers.
pub fn run(chain: &Chain, mut answer: impl FnMut(usize, &Handler) -> u8) -> Outcome {
    let mut state = State::new();
    let mut called = Vec::new();
    loop {
        let handler = match state.next(chain) {
            Ok(handler) => handler,
            Err(code) => return Outcome { code, called },
        };
        let code = match handler.call {
            Call::Module { .. } => {
                called.push(state.at);
                answer(state.at, handler)
            }
            Call::Fails | Call::Substack => PERM_DENIED,
        };
        state = state.after(chain, handler, code);
    }
}
