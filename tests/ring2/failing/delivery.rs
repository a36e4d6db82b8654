//! That what is said to fail does fail: in the program, and in the kernel.

use std::cell::RefCell;
use std::fs;

use nix::errno::Errno;

use super::login::Login;
use super::scenes::{self, Place, Scene};

/// The logins of which each call that `wanted` names fails, with each of its errors.
/// Where a login was too short for it to be made, `missed` is told.
fn each(
    scene: &Scene,
    place: &Place,
    wanted: &str,
    missed: impl Fn(),
    mut seen: impl FnMut(&Login),
) -> usize {
    let calls = (0..3).map(|_| Login::normal(scene, place).calls);
    let calls = calls.min_by_key(Vec::len).unwrap();
    let mut count = 0;
    for (index, errors) in calls.into_iter().enumerate() {
        for error in 0..errors {
            let login = Login::try_for(scene, place, (index + 1, error), |login| {
                if login.hit.is_none() {
                    missed();
                }
                login.hit.is_some() && login.answer == Some(scene.answer())
            });
            let Some(hit) = login.hit.as_ref() else { continue };
            if format!("{} {}", hit.call.name, hit.call.about) != wanted {
                break;
            }
            assert_eq!(hit.told, Some(-i64::from(hit.errno as i32)), "{hit:?}");
            seen(&login);
            count += 1;
        }
    }
    count
}

/// For BAR X1: the module says in the log which error it had, and of which file: the one that was made up.
#[test]
fn given_a_call_that_is_refused_then_the_module_gets_that_error() {
    let scene = scenes::BAD_RECORD;
    let place = scene.place(860);
    let name = place.stage.record_path().file_name().unwrap().display().to_string();
    let wanted = format!("openat /etc/fidokey/users/{name}");
    let mut errors = Vec::new();
    let count = each(
        &scene,
        &place,
        &wanted,
        || {},
        |login| {
            let errno = login.hit.as_ref().unwrap().errno;
            errors.push(errno);
            // Which is no error of a record, but its absence.
            let expected = match errno {
                Errno::ENOENT => " code=25 ".to_owned(),
                _ => format!(" file={} problem=", place.stage.record_path().display()),
            };
            assert!(login.report.contains(&expected), "{errno}: {}", login.report);
            let number = format!(" errno={}\n", errno as i32);
            assert!(errno == Errno::ENOENT || login.report.contains(&number), "{}", login.report);
        },
    );
    assert!(count > 10 && errors.contains(&Errno::EMFILE) && errors.contains(&Errno::ENOENT));
}

/// For BAR X1: the kernel does not do what was refused: a state that cannot get its name stays as it was.
#[test]
fn given_a_call_that_is_refused_then_it_is_not_made() {
    let scene = scenes::GRANTED;
    let place = scene.place(861);
    let name = place.stage.state_path().file_name().unwrap().display().to_string();
    let temporary = format!(".{}.new", name.trim_end_matches(".toml"));
    let state = || fs::read_to_string(place.stage.state_path()).unwrap();
    let before = RefCell::new(None);
    let wanted = format!("renameat /var/lib/fidokey/{temporary}");
    let written = || *before.borrow_mut() = None;
    let count = each(&scene, &place, &wanted, written, |login| {
        assert_eq!((login.answer, login.logged.as_slice()), (Some(0), [0].as_slice()));
        assert!(login.report.contains(" state=unwritten "), "{}", login.report);
        assert_eq!(*before.borrow_mut().get_or_insert_with(state), state());
    });
    assert!(count > 5);
    // And where nothing is refused, it is another one.
    place.mend(&scene);
    assert_ne!(before.into_inner().unwrap(), state());
}
