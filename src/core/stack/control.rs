//! The control field: what is done at each answer of a module (`_pam_parse_control`).

/// The answers that a module can give: `PAM_SUCCESS`, 0, to `PAM_INCOMPLETE`, 31.
pub(super) const CODES: usize = 32;

/// The words for them, by number. `default` stands for those that nothing was said of.
const NAMES: [&str; CODES] = [
    "success",
    "open_err",
    "symbol_err",
    "service_err",
    "system_err",
    "buf_err",
    "perm_denied",
    "auth_err",
    "cred_insufficient",
    "authinfo_unavail",
    "user_unknown",
    "maxtries",
    "new_authtok_reqd",
    "acct_expired",
    "session_err",
    "cred_unavail",
    "cred_expired",
    "cred_err",
    "no_module_data",
    "conv_err",
    "authtok_err",
    "authtok_recover_err",
    "authtok_lock_busy",
    "authtok_disable_aging",
    "try_again",
    "ignore",
    "abort",
    "authtok_expired",
    "module_unknown",
    "bad_item",
    "conv_again",
    "incomplete",
];

/// What is done at an answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    /// It is as if the module were not there.
    Ignore,
    /// It counts, where nothing worse has.
    Ok,
    /// As `Ok`, and the stack ends, where nothing worse has counted.
    Done,
    /// The stack fails with it, where nothing has failed before.
    Bad,
    /// As `Bad`, and the stack ends.
    Die,
    /// What the stack has come to is forgotten.
    Reset,
    /// It is as if the module were not there, and so many of the next ones.
    Jump(u32),
}

const ACTIONS: [(&str, Action); 6] = [
    ("ignore", Action::Ignore),
    ("ok", Action::Ok),
    ("done", Action::Done),
    ("bad", Action::Bad),
    ("die", Action::Die),
    ("reset", Action::Reset),
];

/// The actions of a line, by the number of the answer.
pub(super) type Actions = [Action; CODES];

/// Each answer fails.
pub(super) const ALL_BAD: Actions = [Action::Bad; CODES];

/// What `control` means, which is neither `include` nor `substack`.
///
/// # Errors
/// What it says that no release could be held to.
pub(super) fn actions(control: &[u8]) -> Result<Actions, &'static str> {
    let (success, ignore, rest) = match control.to_ascii_lowercase().as_slice() {
        b"required" => (Action::Ok, Action::Ignore, Action::Bad),
        b"requisite" => (Action::Ok, Action::Ignore, Action::Die),
        b"optional" => (Action::Ok, Action::Ignore, Action::Ignore),
        b"sufficient" => (Action::Done, Action::Ignore, Action::Ignore),
        _ => return parsed(control),
    };
    let mut actions = [rest; CODES];
    for (action, name) in actions.iter_mut().zip(NAMES) {
        match name {
            "success" | "new_authtok_reqd" => *action = success,
            "ignore" => *action = ignore,
            _ => {}
        }
    }
    Ok(actions)
}

/// `success=ok default=die`. One mistake in it makes every answer a failure.
fn parsed(control: &[u8]) -> Result<Actions, &'static str> {
    let mut said: [Option<Action>; CODES] = [None; CODES];
    let mut rest = trim(control);
    while !rest.is_empty() {
        match pair(rest)? {
            None => return Ok(ALL_BAD),
            Some((answer, action, after)) => {
                match answer.and_then(|code| said.get_mut(code)) {
                    Some(slot) => *slot = Some(action),
                    None => said.iter_mut().for_each(|slot| *slot = slot.or(Some(action))),
                }
                rest = trim(after);
            }
        }
    }
    Ok(said.map(|action| action.unwrap_or(Action::Bad)))
}

/// What the first pair says: the number of an answer, or none for `default`; the action; and what follows it. Words are
/// taken by their beginnings, as libpam does.
type Pair<'c> = (Option<usize>, Action, &'c [u8]);

fn pair(text: &[u8]) -> Result<Option<Pair<'_>>, &'static str> {
    let name = |text| {
        let known = NAMES
            .iter()
            .zip(0..)
            .find_map(|(name, code)| strip(text, name).map(|after| (Some(code), after)));
        known.or_else(|| strip(text, "default").map(|after| (None, after)))
    };
    let Some((answer, after)) = name(text) else { return Ok(None) };
    let Some(after) = strip(trim(after), "=").map(trim) else { return Ok(None) };
    let known =
        ACTIONS.iter().find_map(|&(word, action)| strip(after, word).map(|after| (action, after)));
    if let Some((action, after)) = known {
        return Ok(Some((answer, action, after)));
    }
    let digits = after.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(after.len());
    let (number, after) = after.split_at_checked(digits).unwrap_or_default();
    if number.len() > 9 {
        return Err("a jump over more lines than there can be");
    }
    let number = str::from_utf8(number).ok().and_then(|number| number.parse().ok());
    Ok(number.filter(|&number| number != 0).map(|number| (answer, Action::Jump(number), after)))
}

fn strip<'t>(text: &'t [u8], word: &str) -> Option<&'t [u8]> {
    text.strip_prefix(word.as_bytes())
}

/// Without what isspace(3) takes for blanks at the beginning.
fn trim(text: &[u8]) -> &[u8] {
    let blanks = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let begin = text.iter().position(|byte| !blanks(byte)).unwrap_or(text.len());
    text.get(begin..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(control: &str, code: usize) -> Action {
        actions(control.as_bytes()).unwrap()[code]
    }

    #[test]
    fn the_four_words_are_what_the_manual_says() {
        assert_eq!(
            [at("required", 0), at("REQUIRED", 25), at("required", 7)],
            [Action::Ok, Action::Ignore, Action::Bad]
        );
        assert_eq!([at("requisite", 12), at("requisite", 7)], [Action::Ok, Action::Die]);
        assert_eq!([at("sufficient", 0), at("sufficient", 26)], [Action::Done, Action::Ignore]);
        assert_eq!([at("optional", 0), at("optional", 6)], [Action::Ok, Action::Ignore]);
    }

    #[test]
    fn pairs_are_read_in_order_and_default_fills_what_is_open() {
        let control = "success=2 new_authtok_reqd = done default=ignore ignore=bad";
        assert_eq!(at(control, 0), Action::Jump(2));
        assert_eq!(at(control, 12), Action::Done);
        assert_eq!(at(control, 7), Action::Ignore);
        assert_eq!(at(control, 25), Action::Bad);
        assert_eq!(at("success=ok", 7), Action::Bad);
        assert_eq!(at("", 0), Action::Bad);
        assert_eq!(at("success=okdefault=reset", 7), Action::Reset);
    }

    #[test]
    fn given_one_mistake_then_every_answer_is_a_failure() {
        for control in [
            "success=okay",
            "succes=ok",
            "success",
            "success=0",
            "success=-1",
            "ok",
            "sufficent",
            "success ok",
        ] {
            assert_eq!(actions(control.as_bytes()), Ok(ALL_BAD), "{control}");
        }
        assert!(actions(b"success=99999999999").is_err());
    }
}
