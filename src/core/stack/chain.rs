//! From the files of a service to the chain of calls that `pam_authenticate` goes through
//! (`_pam_parse_conf_file`, `_pam_add_handler`).

use super::control::{ALL_BAD, Action, Actions, actions};
use super::text::{Words, lines};
use super::{Files, Place, Trouble};

/// How deep substacks may be, and includes with releases from 1.6 on (`PAM_SUBSTACK_MAX_LEVEL`).
pub(super) const LEVELS: usize = 16;
/// The most calls that are looked at, which is more than anybody has: a text can include another one many times.
const HANDLERS_MAX: usize = 1024;
/// The most files that are read for it. A chain of files that each include the next one twice is 32,768 of them.
const FILES_MAX: usize = 256;
/// The service that stands in where another one says nothing.
const OTHER: &[u8] = b"other";

/// The calls of a service, in their order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chain {
    pub(super) handlers: Vec<Handler>,
}

/// One of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Handler {
    /// The line that it comes from.
    pub place: Place,
    /// What is called.
    pub call: Call,
    /// How many substacks it is in.
    pub(super) level: usize,
    pub(super) actions: Actions,
}

/// What a line has called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Call {
    /// A module, by its file name or path, with its arguments.
    Module {
        /// As it stands there.
        name: Vec<u8>,
        /// What follows it.
        arguments: Vec<Vec<u8>>,
    },
    /// Nothing: the line is not what it should be, and fails with `PAM_PERM_DENIED`.
    Fails,
    /// Nothing: a substack begins.
    Substack,
}

impl Handler {
    /// What is done at the answer `code`.
    pub(super) fn action(&self, code: u8) -> Action {
        self.actions.get(usize::from(code)).copied().unwrap_or(Action::Bad)
    }

    /// The module, where it is one.
    #[must_use]
    pub fn module(&self) -> Option<&[u8]> {
        match &self.call {
            Call::Module { name, .. } => Some(name),
            Call::Fails | Call::Substack => None,
        }
    }
}

impl Chain {
    /// What `pam_authenticate` goes through for `service`.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn read(service: &[u8], files: &dyn Files) -> Result<Self, Trouble> {
        let mut reader = Reader { files, handlers: Vec::new(), included: 0 };
        let text = files.stack(service).ok_or(Trouble::NoService)?;
        reader.text(service, &text, Kind::Any, Depth::default())?;
        // The service of that name is read as itself and as what stands in, and all of it is called twice.
        let own = match service.eq_ignore_ascii_case(OTHER) {
            true => Vec::new(),
            false => std::mem::take(&mut reader.handlers),
        };
        // It is read whether or not it is needed, and what is wrong with it is wrong for everybody.
        if let Some(text) = files.stack(OTHER) {
            reader.text(OTHER, &text, Kind::Any, Depth::default())?;
        }
        let handlers = if own.is_empty() { reader.handlers } else { own };
        Ok(Self { handlers })
    }

    /// Whether both call the same, with the same arguments and the same done at each answer, wherever it is written.
    #[must_use]
    pub fn calls_as(&self, other: &Self) -> bool {
        let same = |(one, other): (&Handler, &Handler)| {
            (&one.call, one.level, &one.actions) == (&other.call, other.level, &other.actions)
        };
        self.handlers.len() == other.handlers.len()
            && self.handlers.iter().zip(&other.handlers).all(same)
    }

    /// The calls, in their order.
    #[must_use]
    pub fn handlers(&self) -> &[Handler] {
        &self.handlers
    }
}

/// Which lines are meant: an `auth include` takes those of its own kind alone.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Any,
    Auth,
    /// `account`, `password` or `session`: read all the same, for what is wrong in there is wrong for all.
    Another(u8),
}

#[derive(Clone, Copy, Default)]
struct Depth {
    includes: usize,
    substacks: usize,
}

/// How an included file was taken.
enum Included {
    Whole,
    /// It is not there, or it ends in the middle of a line: what was before that counts.
    Failed,
}

struct Reader<'f> {
    files: &'f dyn Files,
    /// Those of the kind `auth`.
    handlers: Vec<Handler>,
    /// How many files were included so far.
    included: usize,
}

impl Reader<'_> {
    fn text(
        &mut self,
        file: &[u8],
        text: &[u8],
        wanted: Kind,
        depth: Depth,
    ) -> Result<(), Trouble> {
        match self.parse(file, text, wanted, depth)? {
            None => Ok(()),
            Some((line, what)) => Err(Trouble::Unreadable { place: place(file, line), what }),
        }
    }

    /// The lines of `text`; where it ends in the middle of one, that one.
    fn parse(
        &mut self,
        file: &[u8],
        text: &[u8],
        wanted: Kind,
        depth: Depth,
    ) -> Result<Option<(usize, &'static str)>, Trouble> {
        let (lines, broken) = lines(text);
        for line in lines {
            self.line(&place(file, line.number), &line.content, wanted, depth)?;
            if self.handlers.len() > HANDLERS_MAX {
                let what = "more than 1024 calls";
                return Err(Trouble::Doubtful { place: place(file, line.number), what });
            }
        }
        match broken {
            None => Ok(None),
            Some(broken) if broken.certain => Ok(Some((broken.number, broken.what))),
            Some(broken) => {
                Err(Trouble::Doubtful { place: place(file, broken.number), what: broken.what })
            }
        }
    }

    fn line(
        &mut self,
        place: &Place,
        content: &[u8],
        wanted: Kind,
        depth: Depth,
    ) -> Result<(), Trouble> {
        let doubtful = |what| Trouble::Doubtful { place: place.clone(), what };
        let mut words = Words::of(content);
        let mut fails = false;
        let first = words.next().unwrap_or_default();
        let kind = match first.strip_prefix(b"-").unwrap_or(&first).to_ascii_lowercase().as_slice()
        {
            b"@include" => return self.include_all(place, words.next(), wanted, depth),
            b"auth" => Kind::Auth,
            b"account" => Kind::Another(b'a'),
            b"password" => Kind::Another(b'p'),
            b"session" => Kind::Another(b's'),
            // A word that is none counts as the kind that is read, and where all are as the most sensitive one.
            _ => {
                fails = true;
                if wanted == Kind::Any { Kind::Auth } else { wanted }
            }
        };
        if wanted != Kind::Any && wanted != kind {
            return Ok(());
        }
        let control = words.next();
        let lower = control.as_deref().map(<[u8]>::to_ascii_lowercase);
        if let Some(word @ (b"include" | b"substack")) = lower.as_deref() {
            return self.include(place, word == b"substack", words.next().as_deref(), kind, depth);
        }
        let actions = match control {
            Some(control) => actions(&control).map_err(doubtful)?,
            None => {
                fails = true;
                ALL_BAD
            }
        };
        let module = words.next();
        if let Some(module) = &module
            && !is_named(module)
        {
            return Err(Trouble::Unreadable {
                place: place.clone(),
                what: "a module without a name",
            });
        }
        let call = match module {
            Some(name) if !fails => Call::Module { name, arguments: words.collect() },
            _ => Call::Fails,
        };
        self.add(kind, Handler { place: place.clone(), call, level: depth.substacks, actions });
        Ok(())
    }

    /// `@include`, which Debian has: the lines of another file as if they stood here.
    fn include_all(
        &mut self,
        place: &Place,
        name: Option<Vec<u8>>,
        wanted: Kind,
        depth: Depth,
    ) -> Result<(), Trouble> {
        let doubtful = |what| Trouble::Doubtful { place: place.clone(), what };
        let name = name.ok_or_else(|| doubtful("@include without a name"))?;
        match self.included(place, &name, wanted, depth)? {
            Included::Whole => Ok(()),
            Included::Failed if wanted == Kind::Any => Err(Trouble::Unreadable {
                place: place.clone(),
                what: "what it includes is not there",
            }),
            // What then becomes of an answer is left to chance.
            Included::Failed => Err(doubtful("what it includes is not there")),
        }
    }

    /// `auth include` and `auth substack`.
    fn include(
        &mut self,
        place: &Place,
        substack: bool,
        name: Option<&[u8]>,
        kind: Kind,
        depth: Depth,
    ) -> Result<(), Trouble> {
        let handler =
            |call| Handler { place: place.clone(), call, level: depth.substacks, actions: ALL_BAD };
        let mut inside = depth;
        if substack {
            if name.is_some_and(|name| !is_named(name)) {
                return Err(Trouble::Unreadable {
                    place: place.clone(),
                    what: "a substack without a name",
                });
            }
            self.add(kind, handler(Call::Substack));
            inside.substacks = inside.substacks.saturating_add(1);
        }
        // Debian 12's libpam dies of it.
        let doubtful = |what| Trouble::Doubtful { place: place.clone(), what };
        let name = name.ok_or_else(|| doubtful("an include without a name"))?;
        let included = self.included(place, name, kind, inside)?;
        if matches!(included, Included::Failed) {
            self.add(kind, handler(Call::Fails));
        }
        Ok(())
    }

    fn included(
        &mut self,
        place: &Place,
        name: &[u8],
        wanted: Kind,
        depth: Depth,
    ) -> Result<Included, Trouble> {
        let doubtful = |what| Trouble::Doubtful { place: place.clone(), what };
        let depth = Depth { includes: depth.includes.saturating_add(1), ..depth };
        if depth.substacks >= LEVELS {
            return Ok(Included::Failed);
        }
        if depth.includes >= LEVELS {
            return Err(doubtful("includes 16 deep"));
        }
        self.included = self.included.saturating_add(1);
        if self.included > FILES_MAX {
            return Err(doubtful("more than 256 includes"));
        }
        let Some(text) = self.files.stack(name) else { return Ok(Included::Failed) };
        match self.parse(name, &text, wanted, depth)? {
            None => Ok(Included::Whole),
            Some(_) => Ok(Included::Failed),
        }
    }

    fn add(&mut self, kind: Kind, handler: Handler) {
        if kind == Kind::Auth {
            self.handlers.push(handler);
        }
    }
}

fn place(file: &[u8], line: usize) -> Place {
    Place { file: file.to_vec(), line }
}

/// Whether libpam finds a name in it for the log: what is between the last slash and the last dot after it. It gives up
/// on the service where there is none.
fn is_named(module: &[u8]) -> bool {
    let base = module.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let end = base.iter().rposition(|&byte| byte == b'.').unwrap_or(base.len());
    !matches!(base.get(..end), None | Some(b"" | b"?"))
}
