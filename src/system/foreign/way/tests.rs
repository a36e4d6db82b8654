//! Ways that are made up, and such as can be made: only root can give a directory away.

use std::fs;
use std::os::unix::fs::{chown, lchown, symlink};

use super::*;
use crate::accounts::effective_uid;
use crate::scratch::{mode, scratch};

const ALICE: Uid = 4711;
const BOB: Uid = 4712;

/// Whose words are in a file of `uid` behind directories of those owners and modes; or why that cannot be told, and of what.
fn whose(way: &[(Uid, libc::mode_t)], uid: Uid) -> Result<Uid, (&'static str, String)> {
    let mut hands = Hands::default();
    let mut place = PathBuf::from("/");
    let told = |error: FileError| (error.reason, error.path);
    for (owner, mode) in way {
        hands.pass(0, &place, *owner, *mode).map_err(told)?;
        place.push("d");
    }
    hands.whose(0, &place.join("file"), uid).map_err(told)
}

/// A system with a file, `home/alice/keys/file`, and a way to it.
struct System(PathBuf);

impl System {
    fn new(name: &str) -> Self {
        let root = scratch(name);
        fs::create_dir_all(root.join("home/alice/keys")).unwrap();
        for directory in ["home", "home/alice", "home/alice/keys"] {
            mode(&root.join(directory), 0o755);
        }
        fs::write(root.join("home/alice/keys/file"), "1").unwrap();
        mode(&root.join("home/alice/keys/file"), 0o600);
        Self(root)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// Whose words are in the file at `path`; or why not, and at what.
    fn whose(&self, path: &str) -> Result<Uid, (&'static str, String)> {
        let ground = Ground { root: &self.0, owner: effective_uid() };
        let path = Path::new("/").join(path);
        let opened = ground.open(&path, OFlag::O_RDONLY);
        let whose = opened.and_then(|(file, hands)| {
            let uid = fstat(&file).unwrap().st_uid;
            ground.whose(&path, &file, uid, &hands)
        });
        whose.map(|(whose, _)| whose).map_err(|error| {
            let path = Path::new(&error.path);
            let path = path.strip_prefix(&self.0).or(path.strip_prefix("/")).unwrap_or(path);
            (error.reason, path.display().to_string())
        })
    }
}

fn refusal(reason: &'static str, path: &str) -> Result<Uid, (&'static str, String)> {
    Err((reason, path.to_owned()))
}

// I11.
#[test]
fn given_the_owners_on_the_way_then_the_words_are_those_of_the_one_who_could_have_put_them_there() {
    let root = (0, 0o755);
    let (alice, bob) = ((ALICE, 0o755), (BOB, 0o755));
    assert_eq!(whose(&[root, root], 0), Ok(0));
    assert_eq!(whose(&[root, root], ALICE), Ok(ALICE));
    assert_eq!(whose(&[root, alice], ALICE), Ok(ALICE));
    // Root's file in a directory of alice's, however deep.
    assert_eq!(whose(&[root, alice], 0), Ok(ALICE));
    assert_eq!(whose(&[root, alice, root, root], 0), Ok(ALICE));
    // As many systems have homes: each user has a group.
    assert_eq!(whose(&[root, (ALICE, 0o775)], ALICE), Ok(ALICE));
    // Of two, each can say that it was the other.
    assert_eq!(whose(&[root, alice], BOB), refusal("owner", "/d/d/file"));
    assert_eq!(whose(&[root, alice, bob], ALICE), refusal("owner", "/d/d"));
    assert_eq!(whose(&[root, alice, bob], 0), refusal("owner", "/d/d"));
}

// I11.
#[test]
fn given_a_directory_of_roots_that_others_may_write_to_then_its_files_are_not_roots_words() {
    let root = (0, 0o755);
    for shared in [(0, 0o775), (0, 0o757), (0, 0o1777)] {
        assert_eq!(whose(&[root, shared], 0), refusal("shared", "/d"));
        assert_eq!(whose(&[root, shared, root, shared], 0), refusal("shared", "/d"));
        assert_eq!(whose(&[root, shared], ALICE), Ok(ALICE));
        assert_eq!(whose(&[root, shared, (ALICE, 0o755)], 0), Ok(ALICE));
        assert_eq!(whose(&[root, shared, (BOB, 0o755)], ALICE), refusal("owner", "/d/d/d/file"));
    }
}

// I11.
#[test]
fn given_a_file_in_directories_that_are_seen_then_it_counts_for_whose_they_are() {
    let system = System::new("foreign-way");
    let file = "home/alice/keys/file";
    assert_eq!(system.whose(file), Ok(effective_uid()));
    assert_eq!(system.whose("home/./alice/../alice//keys/file"), Ok(effective_uid()));
    assert_eq!(system.whose("home/nobody/keys/file"), refusal("missing", "home/nobody/keys/file"));
    assert_eq!(system.whose("home/alice/keys/file/x"), refusal("not_a_directory", file));
    mode(&system.at("home"), 0o1777);
    assert_eq!(system.whose(file), refusal("shared", "home"));
    mode(&system.at("home"), 0o755);
    if chown(system.at("home/alice"), Some(ALICE), None).is_ok() {
        assert_eq!(system.whose(file), Ok(ALICE));
        // Also where the way leaves it again.
        assert_eq!(system.whose("home/alice/../alice/keys/file"), Ok(ALICE));
        chown(system.at("home/alice/keys"), Some(BOB), None).unwrap();
        assert_eq!(system.whose(file), refusal("owner", "home/alice/keys"));
        chown(system.at(file), Some(BOB), None).unwrap();
        chown(system.at("home/alice/keys"), Some(0), None).unwrap();
        assert_eq!(system.whose(file), refusal("owner", file));
    }
}

// I11: a link is as good as who made it. Here root's words are those of whoever runs the tests.
#[test]
fn given_a_link_on_the_way_then_it_is_followed_where_nobody_else_could_have_made_it() {
    let system = System::new("foreign-links");
    fs::create_dir(system.at("data")).unwrap();
    mode(&system.at("data"), 0o755);
    for (link, target) in [
        ("absolute", "/home/alice"),
        ("relative", "home/alice"),
        ("data/upwards", "../home/./alice"),
        ("twice", "data/upwards"),
        ("loop", "loop"),
        ("nowhere", "none"),
    ] {
        symlink(target, system.at(link)).unwrap();
    }
    for link in ["absolute", "relative", "data/upwards", "twice", "data/../twice"] {
        assert_eq!(system.whose(&format!("{link}/keys/file")), Ok(effective_uid()), "{link}");
    }
    assert_eq!(system.whose("loop/file"), refusal("symlink", "loop"));
    assert_eq!(system.whose("nowhere/file"), refusal("missing", "nowhere/file"));
    // At the end it is never followed.
    assert_eq!(system.whose("relative"), refusal("symlink", "relative"));
    for bits in [0o775, 0o757, 0o1777] {
        mode(&system.at("data"), bits);
        let refused = refusal("symlink", "data/upwards");
        assert_eq!(system.whose("data/upwards/keys/file"), refused);
        assert_eq!(system.whose("twice/keys/file"), refused);
    }
    mode(&system.at("data"), 0o755);
    if lchown(system.at("relative"), Some(ALICE), None).is_ok() {
        assert_eq!(system.whose("relative/keys/file"), refusal("symlink", "relative"));
        // Root's link, in a directory of alice's.
        chown(system.at("data"), Some(ALICE), None).unwrap();
        assert_eq!(system.whose("twice/keys/file"), refusal("symlink", "data/upwards"));
        // What it leads to is judged like any way.
        chown(system.at("home/alice"), Some(ALICE), None).unwrap();
        assert_eq!(system.whose("absolute/keys/file"), Ok(ALICE));
    }
}
