//! PAM stacks: the same twice, nothing of others changed by a byte, and what is said to be in force is.

use fidokey_core::policy::Mode;
use fidokey_core::stack::{
    self, Ability, Chain, Edited, Files, Judgement, Trouble, ability, disable, enable, is_ours,
    judge, stricter,
};

use super::Tape;

const SERVICE: &[u8] = b"sudo";
/// How many logins are gone through for a stack in which it is in force.
const LOGINS: usize = 32;
/// What the module answers when it denies, and what libpam has for it where it cannot be loaded.
const DENIALS: [u8; 4] = [7, 9, 3, 28];

/// Texts, two zeros between them: of the service, of what it may include as `a` and `b`, and of the service `other`.
struct Machine<'b>([Option<&'b [u8]>; 4]);

impl<'b> Machine<'b> {
    fn of(bytes: &'b [u8]) -> Self {
        let mut texts = [None; 4];
        let mut rest = bytes;
        for text in &mut texts {
            let end = rest.windows(2).position(|pair| pair == [0, 0]);
            *text = Some(&rest[..end.unwrap_or(rest.len())]);
            match end {
                Some(end) => rest = &rest[end + 2..],
                None => break,
            }
        }
        Self(texts)
    }

    fn with<'t>(&self, text: &'t [u8]) -> Machine<'t>
    where
        'b: 't,
    {
        Machine([Some(text), self.0[1], self.0[2], self.0[3]])
    }
}

impl Files for Machine<'_> {
    fn stack(&self, name: &[u8]) -> Option<Vec<u8>> {
        let place = [SERVICE, b"a", b"b", b"other"].iter().position(|known| *known == name)?;
        self.0[place].map(<[u8]>::to_vec)
    }

    fn has_module(&self, name: &[u8]) -> bool {
        !name.starts_with(b"pam_missing")
    }
}

/// One stack.
pub fn run(bytes: &[u8]) {
    let machine = Machine::of(bytes);
    let text = machine.0[0].unwrap_or_default();
    assert_eq!(Chain::read(SERVICE, &machine), Chain::read(SERVICE, &machine));
    for mode in Mode::ALL {
        let judgement = judge(SERVICE, mode, &machine);
        if let Ok(judgement) = &judgement {
            in_force(judgement, mode, &machine, bytes);
        }
        let arguments = ["touch=5s".to_owned()];
        match enable(SERVICE, mode, &arguments, &machine) {
            Ok(Edited::Unchanged(judgement)) => assert!(judgement.effective()),
            Ok(Edited::Changed { text: new, line, judgement }) => {
                assert!(judgement.effective() && judgement.ours.len() == 1);
                let enabled = machine.with(&new);
                assert_eq!(judge(SERVICE, mode, &enabled).as_ref(), Ok(&judgement));
                in_force(&judgement, mode, &enabled, bytes);
                let said = new.split(|byte| *byte == b'\n').nth(line - 1).unwrap();
                assert!(said.ends_with(b"touch=5s"));
                assert!(stricter(&new, mode, &arguments).is_some());
                match disable(SERVICE, false, &enabled) {
                    Ok(Edited::Changed { text: old, .. }) => assert_eq!(old, text),
                    other => panic!("{other:?}"),
                }
            }
            Err(refusal) => assert!(!refusal.to_string().is_empty()),
        }
    }
    if let Ok(Edited::Changed { text: new, .. }) = disable(SERVICE, true, &machine) {
        assert!(new.len() < text.len());
        let without = machine.with(&new);
        assert!(!matches!(disable(SERVICE, true, &without), Ok(Edited::Changed { .. })));
    }
}

/// Where no login is said to get by without the module, none does, whatever the others answer.
fn in_force(judgement: &Judgement, mode: Mode, machine: &Machine<'_>, bytes: &[u8]) {
    if !judgement.effective() {
        return;
    }
    let chain: Result<Chain, Trouble> = Chain::read(SERVICE, machine);
    let chain = chain.unwrap();
    let mut dice = Tape::new(bytes);
    for login in 0..LOGINS {
        let outcome = stack::run(&chain, |at, handler| {
            let name = handler.module().unwrap();
            // What the input has, further on for each login.
            let any = dice.byte().wrapping_mul(31).wrapping_add((login * 7 + at * 13) as u8) % 33;
            match (ability(name), mode) {
                (Ability::Ours, _) => DENIALS[login % DENIALS.len()],
                _ if !machine.has_module(name) => 28,
                (Ability::Denies, _) => 7,
                (Ability::Permits, _) => 0,
                (Ability::Root, _) | (Ability::Proof, Mode::Alternative) => any.max(1),
                (Ability::Proof | Ability::Any, _) if login % 3 == 0 => 0,
                (Ability::Proof | Ability::Any, _) => any,
            }
        });
        assert_ne!(outcome.code, 0, "{judgement:?}");
        assert!(outcome.called.len() <= chain.handlers().len());
        assert!(chain.handlers().iter().any(|handler| handler.module().is_some_and(is_ours)));
    }
}
