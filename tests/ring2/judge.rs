//! Real libpam as the judge of whole stacks: a tree of files as of a root, scripted modules in the place of every module
//! that the stacks name, and what comes of each assignment of answers to them. Nothing of the machine's own stacks is
//! read, and nothing here knows how a stack is to be read.
//!
//! It is the libpam of this machine, or the one in the directory that `FIDOKEY_LIBPAM` names, with all that it needs and
//! the loader: another release's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use fidokey_core::stack::{Files, MODULE};
use serde_json::{Value, json};

use crate::stage::beside;

/// A tree of the corpus, `tests/stacks/NAME`.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) service: String,
    /// As the policy writes it: `second-factor` or `alternative`.
    pub(crate) mode: String,
    /// Whether our line, as it is there, does what the mode promises; nothing where nobody has thought it through.
    pub(crate) effective: Option<bool>,
    /// The file names of modules that stacks name and that are not there, as libpam would be given them.
    pub(crate) missing: BTreeSet<String>,
    /// Whether there is a libpam that dies of reading it, or never ends.
    pub(crate) deadly: bool,
    /// More names of modules: those that do not end in `.so`.
    pub(crate) modules: BTreeSet<String>,
    /// What is at which path, from the root on: `etc/pam.d/sudo`.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

/// What the modules answer, by their file names: the first code at a module's first call, and so on, the last from then
/// on. Success where nothing is said.
pub(crate) type Answers = BTreeMap<String, Vec<i32>>;

/// What came of a run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Outcome {
    /// What `pam_start` returned.
    pub(crate) start: i32,
    /// What `pam_authenticate` returned; what `pam_start` did where that has failed.
    pub(crate) code: i32,
    /// The file names of the modules that were called, in their order.
    pub(crate) called: Vec<String>,
    /// The arguments of each call, every byte a character.
    pub(crate) arguments: Vec<Vec<String>>,
}

/// What came of all the runs of a case.
#[derive(Debug)]
pub(crate) struct Judgement {
    /// None where libpam has died.
    pub(crate) outcomes: Vec<Outcome>,
    /// What libpam said in the first of them, each line once.
    pub(crate) log: Vec<String>,
}

impl Case {
    /// One stack for the service `sudo`.
    pub(crate) fn of(text: &str) -> Self {
        Self {
            name: "a stack".to_owned(),
            service: "sudo".to_owned(),
            mode: "second-factor".to_owned(),
            effective: None,
            deadly: false,
            missing: BTreeSet::new(),
            modules: BTreeSet::new(),
            files: BTreeMap::from([("etc/pam.d/sudo".to_owned(), text.as_bytes().to_vec())]),
        }
    }

    /// The same with another file, or with other bytes in one.
    pub(crate) fn with(mut self, path: &str, bytes: &[u8]) -> Self {
        self.files.insert(path.to_owned(), bytes.to_vec());
        self
    }

    /// The same without that module.
    pub(crate) fn without(mut self, module: &str) -> Self {
        self.missing.insert(module.to_owned());
        self
    }

    /// The corpus, by name.
    pub(crate) fn all() -> Vec<Self> {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("stacks");
        let entries = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path());
        let mut cases: Vec<_> = entries.map(|directory| Self::read(&directory)).collect();
        cases.sort_by(|one, other| one.name.cmp(&other.name));
        cases
    }

    fn read(directory: &Path) -> Self {
        let name = directory.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(directory.join("case.toml")).unwrap();
        let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        let keys = ["what", "service", "mode", "effective", "deadly", "missing", "modules"];
        assert!(table.keys().all(|key| keys.contains(&key.as_str())), "{name}: {table:?}");
        let string = |key: &str| table[key].as_str().unwrap_or_else(|| panic!("{name}: {key}"));
        assert!(!string("what").is_empty());
        assert!(["second-factor", "alternative"].contains(&string("mode")), "{name}");
        let names = |key: &str| {
            let names = table.get(key).map_or(&[][..], |names| names.as_array().unwrap());
            names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        let mut files = BTreeMap::new();
        for top in ["etc", "usr"] {
            collect(directory, &directory.join(top), &mut files);
        }
        Self {
            service: string("service").to_owned(),
            mode: string("mode").to_owned(),
            effective: table.get("effective").map(|value| value.as_bool().unwrap()),
            deadly: table.contains_key("deadly"),
            missing: names("missing"),
            modules: names("modules"),
            files,
            name,
        }
    }

    /// The modules that are there: whatever looks like the name of one anywhere in the stacks, comments included, and
    /// what the case names. One too many is nothing that libpam would see.
    fn present(&self) -> BTreeSet<String> {
        let mut present = self.modules.clone();
        for bytes in self.files.values() {
            let between = |byte: &u8| !byte.is_ascii_graphic() || b"[]\\".contains(byte);
            let words = bytes.split(between).filter_map(|word| std::str::from_utf8(word).ok());
            present.extend(words.filter(|word| word.ends_with(".so")).map(str::to_owned));
        }
        let named = |path: &String| self.missing.contains(path);
        present.retain(|path| !named(path) && !self.missing.contains(file_name(path)));
        present
    }

    /// The file names of those, by which they answer.
    pub(crate) fn module_names(&self) -> BTreeSet<String> {
        self.present().iter().map(|path| file_name(path).to_owned()).collect()
    }

    /// The same as this libpam must have it to read includes from the vendor's directory: Debian 12's looks for none
    /// there, others do.
    pub(crate) fn for_this_libpam(&self) -> Self {
        static READS: OnceLock<bool> = OnceLock::new();
        let reads = *READS.get_or_init(|| {
            let vendor = b"auth required pam_unix.so\n";
            let case = Self::of("auth include vendored\n").with("usr/lib/pam.d/vendored", vendor);
            evaluate(&case, &[Answers::new()])[0].code == 0
        });
        let mut case = self.clone();
        for (path, bytes) in self.files.iter().filter(|_| !reads) {
            if let Some(name) = path.strip_prefix(VENDOR) {
                case.files.entry(format!("{ADMIN}{name}")).or_insert(bytes.clone());
            }
        }
        case
    }
}

/// Where files are looked for, the first one first.
const ADMIN: &str = "etc/pam.d/";
const VENDOR: &str = "usr/lib/pam.d/";

impl Files for Case {
    fn stack(&self, name: &[u8]) -> Option<Vec<u8>> {
        let name = text(name);
        let at = |path: String| {
            let mut steps = Vec::new();
            for step in path.split('/').filter(|step| !step.is_empty()) {
                match step {
                    ".." => drop(steps.pop()),
                    _ => steps.push(step),
                }
            }
            self.files.get(&steps.join("/")).cloned()
        };
        match name.starts_with('/') {
            true => at(name),
            false => at(format!("{ADMIN}{name}")).or_else(|| at(format!("{VENDOR}{name}"))),
        }
    }

    fn has_module(&self, name: &[u8]) -> bool {
        // Ours is installed, where the case does not say otherwise, whether or not the stack names it.
        let installed = name == MODULE.as_bytes() && !self.missing.contains(MODULE);
        installed || self.present().contains(&text(name))
    }
}

/// Each byte as the character of that number, as the judge has it.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// The name of a file, without the directories before it.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// All files beneath a directory, where there is one.
fn collect(root: &Path, directory: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

/// Lets libpam walk through the case's stack once for each of these.
pub(crate) fn evaluate(case: &Case, assignments: &[Answers]) -> Vec<Outcome> {
    judge(case, assignments).outcomes
}

/// The same, with what libpam said of it.
pub(crate) fn judge(case: &Case, assignments: &[Answers]) -> Judgement {
    let root = Root::new();
    for (path, bytes) in &case.files {
        root.place(path, |place| fs::write(place, bytes).unwrap());
    }
    let directory = module_directory();
    for module in case.present() {
        let path = if module.starts_with('/') { module } else { format!("{directory}{module}") };
        root.place(&path, |place| {
            // The same one may be named by its path as well.
            let _ = fs::remove_file(place);
            fs::hard_link(scripted(&path), place).unwrap();
        });
    }
    // Of processor time, and far more than it takes.
    let seconds = if case.deadly { 1 } else { 60 };
    let request = json!({ "service": case.service, "seconds": seconds, "runs": assignments });
    let (answer, status) = root.run(&request.to_string());
    if case.deadly && status.signal().is_some() {
        return Judgement { outcomes: Vec::new(), log: Vec::new() };
    }
    assert!(status.success(), "{}: {status}", case.name);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let outcomes = answer["runs"].as_array().unwrap().iter().map(outcome).collect();
    Judgement { outcomes, log: strings(&answer["log"]) }
}

fn outcome(run: &Value) -> Outcome {
    let start = number(&run["start"]);
    let calls: Vec<_> = run["calls"].as_array().unwrap().iter().map(strings).collect();
    Outcome {
        start,
        code: if start == 0 { number(&run["code"]) } else { start },
        called: calls.iter().map(|call| call[0].clone()).collect(),
        arguments: calls.iter().map(|call| call[1..].to_vec()).collect(),
    }
}

fn number(value: &Value) -> i32 {
    i32::try_from(value.as_i64().unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Where this libpam looks for modules, with a slash at the end.
fn module_directory() -> &'static str {
    static DIRECTORY: OnceLock<String> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let output = Command::new(env!("CARGO_BIN_EXE_pam-judge")).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}

/// The copy of the scripted module that stands for the one of that path. The loader tells files by their inodes, so each
/// name has one of its own; roots only link to it. The copies stay for the next run of the tests.
fn scripted(path: &str) -> PathBuf {
    static COPIES: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let name = file_name(path);
    let mut copies = COPIES.lock().unwrap_or_else(PoisonError::into_inner);
    let copy = copies.entry(name.to_owned()).or_insert_with(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scripted");
        fs::create_dir_all(&directory).unwrap();
        let copy = directory.join(name);
        // Whole for whoever runs the tests at the same time.
        let next = directory.join(format!("{name}-{}", std::process::id()));
        fs::copy(beside("libfidokey_scripted.so"), &next).unwrap();
        fs::rename(&next, &copy).unwrap();
        copy
    });
    copy.clone()
}

/// A directory that is a root for a moment.
struct Root(PathBuf);

impl Root {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("judge-{}-{number}", std::process::id());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&directory);
        // As everywhere by now: a module has two paths.
        for name in ["lib", "lib64"] {
            fs::create_dir_all(directory.join("usr").join(name)).unwrap();
            symlink(Path::new("usr").join(name), directory.join(name)).unwrap();
        }
        Self(directory)
    }

    fn place(&self, path: &str, make: impl FnOnce(&Path)) {
        let place = self.0.join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        make(&place);
    }

    fn run(&self, request: &str) -> (String, ExitStatus) {
        let mut words = Vec::new();
        if !nix::unistd::geteuid().is_root() {
            // Whoever is not root becomes it there.
            words.extend(["unshare", "-r"].map(PathBuf::from));
        }
        if let Some(other) = std::env::var_os("FIDOKEY_LIBPAM").map(PathBuf::from) {
            words.extend([other.join("ld-linux-x86-64.so.2"), "--library-path".into(), other]);
        }
        words.push(env!("CARGO_BIN_EXE_pam-judge").into());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .arg(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
