//! What the owner of an account is told at a login of changes to its keys: once, and without a verdict that would be another
//! one for it.

use std::rc::Rc;

use fidokey_core::credential::AccountName;
use fidokey_core::login::{Notices, decide_login, login};
use fidokey_core::notice::{Change, Changed};
use fidokey_core::ports::{FileError, NOT_ROOT, Signal};
use fidokey_core::state::{State, announced};
use fidokey_tests::sim::SimKeys;
use fidokey_tests::sim::softkey::{Behaviour, Draft, Secret, soft_key};
use fidokey_tests::sim::world::{SECOND_FACTOR, SimHost, SimMachine, world};

const ADDED: &str = "Security key \"Blue\" was added on 2026-11-26 by root.";
const REMOVED: &str = "Security key \"Blue\" was removed on 2026-11-26 by root.";
const CUE: &str = "Touch your security key (sudo).";
const ALTERNATIVE: &str =
    "schema = 1\n[default]\nmode = \"alternative\"\nverification = \"required\"\n";
const ALICE: u32 = 1000;
const BOB: u32 = 1001;

fn change(what: Changed) -> Change<'static> {
    Change { what, key: "Blue", when: "2026-11-26T11:00:00Z", by: "root" }
}

/// As the command does it.
fn announce(machine: &mut SimMachine, uid: u32, what: Changed) {
    let name = AccountName::new(if uid == BOB { "bob" } else { "alice" }).unwrap();
    let known = machine.states.get(&uid).cloned().and_then(Result::ok).flatten();
    let text = announced(known.as_deref(), &name, &change(what));
    machine.states.insert(uid, Ok(Some(text.into_bytes())));
}

fn has_notice(machine: &SimMachine, uid: u32) -> bool {
    let text = machine.states[&uid].clone().unwrap().unwrap();
    State::parse(&text).unwrap().take_notice().is_some()
}

/// Alice, who has a key, and the key, which signs this counter.
fn alice() -> (SimMachine, SimHost) {
    world(&[Secret::new(1, 64).credential()], SECOND_FACTOR)
}

fn key(counter: u32) -> SimKeys {
    let bend = move |draft: &mut Draft| {
        draft.auth_data.splice(33.., counter.to_be_bytes());
    };
    let behaviour = Behaviour { bend: Rc::new(bend), ..Behaviour::default() };
    SimKeys::with(soft_key(&[Secret::new(1, 64)], behaviour).0)
}

/// A login by it: the code, and what was shown.
fn logged_in(machine: &mut SimMachine, host: &mut SimHost, counter: u32) -> (i32, Vec<String>) {
    login_by(machine, host, &mut key(counter))
}

fn login_by(
    machine: &mut SimMachine,
    host: &mut SimHost,
    keys: &mut SimKeys,
) -> (i32, Vec<String>) {
    machine.key_in_use = Rc::clone(&keys.in_use);
    host.logged.clear();
    let before = host.shown.len();
    let code = login(machine, host, keys, &[]).number();
    assert_eq!(machine.state_held, None);
    assert_eq!(host.logged.len(), 1, "{:?}", host.logged);
    (code, host.shown[before..].to_vec())
}

/// Bob, who has no key, and the policy.
fn bob(policy: &str) -> (SimMachine, SimHost) {
    let (machine, mut host) = world(&[], policy);
    host.user = Ok("bob".to_owned());
    (machine, host)
}

#[test]
fn given_a_change_then_the_next_login_tells_it_once_with_the_read_and_the_write_that_there_are() {
    let (mut machine, mut host) = alice();
    announce(&mut machine, ALICE, Changed::Registered);
    let (code, shown) = logged_in(&mut machine, &mut host, 5);
    assert_eq!((code, shown), (0, vec![CUE.to_owned(), ADDED.to_owned()]));
    assert_eq!((machine.state_looks, machine.state_reads, machine.state_writes), (0, 1, 1));
    let (code, shown) = logged_in(&mut machine, &mut host, 6);
    assert_eq!((code, shown), (0, vec![CUE.to_owned()]));
    assert!(!has_notice(&machine, ALICE));
}

#[test]
fn given_a_key_that_counts_nothing_then_it_is_told_once_all_the_same() {
    let (mut machine, mut host) = alice();
    logged_in(&mut machine, &mut host, 0);
    announce(&mut machine, ALICE, Changed::Registered);
    assert_eq!(logged_in(&mut machine, &mut host, 0).1, [CUE, ADDED]);
    assert_eq!(logged_in(&mut machine, &mut host, 0).1, [CUE]);
    // The third had nothing to write.
    assert_eq!(machine.state_writes, 2);
}

#[test]
fn given_several_changes_then_their_number_is_told() {
    let (mut machine, mut host) = alice();
    for what in [Changed::Registered, Changed::Renamed, Changed::Removed] {
        announce(&mut machine, ALICE, what);
    }
    let told =
        "Your security keys were changed 3 times, last on 2026-11-26 by root; see `fidokey list`.";
    assert_eq!(logged_in(&mut machine, &mut host, 5).1, [CUE, told]);
    announce(&mut machine, ALICE, Changed::Registered);
    assert_eq!(logged_in(&mut machine, &mut host, 6).1, [CUE, ADDED]);
}

/// What was counted before stays: the change is put beside it.
#[test]
fn given_a_change_between_two_logins_then_no_counter_is_lost() {
    let (mut machine, mut host) = alice();
    assert_eq!(logged_in(&mut machine, &mut host, 5).0, 0);
    announce(&mut machine, ALICE, Changed::Registered);
    assert_eq!(
        logged_in(&mut machine, &mut host, 5),
        (7, vec![CUE.to_owned(), "The security key's answer was not accepted.".to_owned()])
    );
    assert_eq!(logged_in(&mut machine, &mut host, 6).1, [CUE, ADDED]);
}

#[test]
fn given_a_login_that_is_denied_then_nothing_is_told_and_the_next_one_does() {
    type Arrange = fn(&mut SimMachine, &mut SimHost, &mut SimKeys);
    let arrangements: [Arrange; 5] = [
        |_, _, keys| *keys = SimKeys::default(),
        |_, host, _| host.user_later = Some("root".to_owned()),
        |_, host, _| host.origin.rhost = "::1".to_owned(),
        |machine, _, _| machine.config = Ok(Some(b"x".to_vec())),
        |machine, _, _| {
            machine.records.insert(ALICE, Ok(Some(b"x".to_vec())));
        },
    ];
    for arrange in arrangements {
        let (mut machine, mut host) = alice();
        announce(&mut machine, ALICE, Changed::Registered);
        let (good_machine, good_host) = (machine.clone(), host.clone());
        let mut keys = key(5);
        arrange(&mut machine, &mut host, &mut keys);
        let (code, shown) = login_by(&mut machine, &mut host, &mut keys);
        assert!(code != 0 && !shown.iter().any(|text| text == ADDED), "{shown:?}");
        let states = machine.states.clone();
        (machine, host) = (good_machine, good_host);
        machine.states = states;
        assert!(logged_in(&mut machine, &mut host, 5).1.contains(&ADDED.to_owned()));
    }
}

/// Somebody gives up after the touch: the state is written by then.
#[test]
fn given_a_signal_after_the_touch_then_nothing_is_told_and_the_next_login_does() {
    // When the touch comes depends on the key: whenever the signal comes, the change is told by one of the two.
    let (mut denied, mut granted) = (0, 0);
    for milliseconds in (0..3000).step_by(10) {
        let (mut machine, mut host) = alice();
        announce(&mut machine, ALICE, Changed::Registered);
        let mut keys = key(5);
        keys.signal_after(Signal::Interrupt, std::time::Duration::from_millis(milliseconds));
        let (code, shown) = login_by(&mut machine, &mut host, &mut keys);
        let told = shown.iter().any(|text| text == ADDED);
        assert_eq!(told, code == 0, "{shown:?}");
        assert_eq!(has_notice(&machine, ALICE), !told);
        denied += u32::from(code != 0);
        granted += u32::from(code == 0);
    }
    assert!(denied > 0 && granted > 0, "{denied} {granted}");
}

/// A conversation that fails at the notice: the login is granted, or exempt, as it was decided, and it is told at the next one.
#[test]
fn given_a_conversation_that_fails_then_the_code_is_the_same_and_it_is_told_at_the_next_login() {
    let (mut machine, mut host) = alice();
    announce(&mut machine, ALICE, Changed::Registered);
    host.deaf_from = Some(1);
    assert_eq!(logged_in(&mut machine, &mut host, 5), (0, vec![CUE.to_owned()]));
    assert!(has_notice(&machine, ALICE));
    // Another change was made meanwhile.
    announce(&mut machine, ALICE, Changed::Removed);
    host.deaf_from = None;
    let told =
        "Your security keys were changed 2 times, last on 2026-11-26 by root; see `fidokey list`.";
    assert_eq!(logged_in(&mut machine, &mut host, 6).1, [CUE, told]);

    let (mut machine, mut host) = bob(SECOND_FACTOR);
    announce(&mut machine, BOB, Changed::Removed);
    host.deaf_from = Some(0);
    assert_eq!(logged_in(&mut machine, &mut host, 5), (25, vec![]));
    host.deaf_from = None;
    assert_eq!(logged_in(&mut machine, &mut host, 5), (25, vec![REMOVED.to_owned()]));
}

/// Better told twice than never, where the state cannot be written.
#[test]
fn given_a_state_that_cannot_be_written_then_it_is_told_each_time_and_the_code_is_the_same() {
    for (reason, word) in [("io", "unwritten"), ("locked", "unwritten"), ("too_large", "limited")] {
        for uid in [ALICE, BOB] {
            let (mut machine, mut host) = if uid == BOB { bob(SECOND_FACTOR) } else { alice() };
            announce(&mut machine, uid, Changed::Removed);
            let path = "/var/lib/fidokey/x.toml".to_owned();
            machine.state_fails = Some(FileError { path, reason, errno: 5 });
            for counter in [5, 6] {
                let (code, shown) = logged_in(&mut machine, &mut host, counter);
                assert_eq!(code, if uid == BOB { 25 } else { 0 });
                assert_eq!(shown.last().map(String::as_str), Some(REMOVED));
                assert!(host.logged[0].1.contains(&format!(" state={word} ")), "{:?}", host.logged);
            }
        }
    }
}

/// The last key was removed: the next login is exempt, and that is when it is to be told.
#[test]
fn given_an_account_without_a_key_then_it_is_told_once() {
    let (mut machine, mut host) = bob(SECOND_FACTOR);
    announce(&mut machine, BOB, Changed::Removed);
    assert_eq!(logged_in(&mut machine, &mut host, 5), (25, vec![REMOVED.to_owned()]));
    assert_eq!((machine.state_looks, machine.state_reads, machine.state_writes), (1, 1, 1));
    assert_eq!(logged_in(&mut machine, &mut host, 5), (25, vec![]));
    // Nothing to tell: it is only looked at.
    assert_eq!((machine.state_looks, machine.state_reads, machine.state_writes), (2, 1, 1));
    assert!(host.logged[0].1.ends_with(" service=sudo"), "{:?}", host.logged);
}

/// Who never had a state gets none, and no lock.
#[test]
fn given_an_account_that_never_had_a_state_then_it_is_looked_for_once_and_not_made() {
    let (mut machine, mut host) = bob(SECOND_FACTOR);
    assert_eq!(logged_in(&mut machine, &mut host, 5), (25, vec![]));
    assert_eq!((machine.state_looks, machine.state_reads, machine.state_writes), (1, 0, 0));
    assert!(machine.states.is_empty());
}

/// Before the password anybody can type a name: then it is neither told nor taken, but to a process of the account itself.
#[test]
fn given_a_login_before_the_password_then_only_the_owner_is_told() {
    for (ruser, rhost, told) in
        [("", "", false), ("alice", "", false), ("bob", "host", false), ("bob", "", true)]
    {
        let (mut machine, mut host) = bob(ALTERNATIVE);
        announce(&mut machine, BOB, Changed::Removed);
        host.origin.ruser = ruser.to_owned();
        host.origin.rhost = rhost.to_owned();
        let (code, shown) = logged_in(&mut machine, &mut host, 5);
        assert_eq!((code, shown.as_slice() == [REMOVED]), (25, told), "{ruser} {rhost} {shown:?}");
        assert_eq!(has_notice(&machine, BOB), !told);
        assert_eq!(machine.state_looks, u32::from(told));
    }
    // After it, whoever it is has shown to know it.
    let (mut machine, mut host) = bob(SECOND_FACTOR);
    announce(&mut machine, BOB, Changed::Removed);
    host.origin.rhost = "host".to_owned();
    assert_eq!(logged_in(&mut machine, &mut host, 5), (25, vec![REMOVED.to_owned()]));
}

/// Exempt for another reason: not at all, since the state is not this login's business.
#[test]
fn given_a_remote_login_that_is_left_to_the_stack_then_nothing_is_read() {
    let (mut machine, mut host) =
        world(&[Secret::new(1, 64).credential()], &format!("{SECOND_FACTOR}remote = \"skip\"\n"));
    announce(&mut machine, ALICE, Changed::Registered);
    host.origin.rhost = "host".to_owned();
    assert_eq!(logged_in(&mut machine, &mut host, 5), (25, vec![]));
    assert_eq!((machine.state_looks, machine.state_reads), (0, 0));
}

/// Whatever is wrong with the state of an account without a key: exempt, without a word.
#[test]
fn given_a_state_that_is_none_or_not_to_be_read_then_exempt_and_nothing_is_told() {
    let mut states: Vec<Result<Option<Vec<u8>>, FileError>> = [
        NOT_ROOT,
        "mode",
        "owner",
        "symlink",
        "empty",
        "too_large",
        "io",
        "resources",
        "locked",
        "missing_directory",
        "permission",
    ]
    .map(|reason| Err(FileError { path: "/x".to_owned(), reason, errno: 1 }))
    .into();
    let others = announced(None, &AccountName::new("alice").unwrap(), &change(Changed::Removed));
    let bobs = others.replace("\"alice\"", "\"bob\"");
    for text in [
        others.clone(),
        bobs.replace("schema = 1", "schema = 2"),
        bobs.replace("changes = 1", "changes = 0"),
        bobs.replace("changes = 1", "changes = 1000"),
        bobs.replace("changes = 1", "changes = -1"),
        bobs.replace("what = \"removed\"", "what = \"given\""),
        bobs.replace("2026-11-26T11:00:00Z", "\"today\""),
        bobs.replace("by = ", "from = "),
        format!("{bobs}colour = 1\n"),
        "[".repeat(60_000),
    ] {
        assert_ne!(text, bobs);
        states.push(Ok(Some(text.into_bytes())));
    }
    for state in states {
        let (mut machine, mut host) = bob(SECOND_FACTOR);
        machine.states.insert(BOB, state.clone());
        assert_eq!(logged_in(&mut machine, &mut host, 5), (25, vec![]), "{state:?}");
        assert_eq!(machine.states[&BOB], state);
        assert!(!host.logged[0].1.contains(" state="), "{:?}", host.logged);
    }
}

/// A screen locker is not root: it neither tells nor forgets. Nor does a login that another account's state stands in the way of.
#[test]
fn given_a_state_that_is_not_this_logins_then_granted_and_nothing_is_told() {
    let (mut machine, mut host) = alice();
    let error = FileError { path: "/x".to_owned(), reason: NOT_ROOT, errno: 0 };
    machine.states.insert(ALICE, Err(error));
    assert_eq!(logged_in(&mut machine, &mut host, 5), (0, vec![CUE.to_owned()]));
    let (mut machine, mut host) = alice();
    let bobs = announced(None, &AccountName::new("bob").unwrap(), &change(Changed::Removed));
    machine.states.insert(ALICE, Ok(Some(bobs.into_bytes())));
    assert_eq!(logged_in(&mut machine, &mut host, 5), (0, vec![CUE.to_owned()]));
    assert!(host.logged[0].1.contains(" state=other_account "));
}

/// BAR G4: whatever stands in a state, it is a short line.
#[test]
fn given_a_hostile_state_then_one_short_printable_line_is_shown() {
    let nasty = ["\\u001b[2J", "\\n\\n", "\\u202e", "Password: ", "\\\"\\\\", "%s%n", "\\u0000"];
    let long = "ä".repeat(15_000);
    for text in nasty.into_iter().chain([long.as_str()]) {
        for uid in [ALICE, BOB] {
            let (mut machine, mut host) = if uid == BOB { bob(SECOND_FACTOR) } else { alice() };
            announce(&mut machine, uid, Changed::Registered);
            let state = machine.states[&uid].clone().unwrap().unwrap();
            let state = String::from_utf8(state).unwrap();
            let state = state.replace("Blue", text).replace("\"root\"", &format!("\"{text}\""));
            machine.states.insert(uid, Ok(Some(state.into_bytes())));
            let (code, shown) = logged_in(&mut machine, &mut host, 5);
            assert_eq!(code, if uid == BOB { 25 } else { 0 });
            let told = shown.last().unwrap();
            assert_ne!(told, CUE);
            assert!(told.chars().count() <= 200 && !told.to_lowercase().contains("password"));
            assert!(!told.chars().any(fidokey_core::credential::is_unprintable), "{told}");
        }
    }
}

/// `fidokey test` is no login: it tells nothing, whatever it may do with the state, and the next login does.
#[test]
fn given_a_login_that_is_only_decided_then_nothing_is_told_and_the_notice_stays() {
    let (mut machine, mut host) = alice();
    announce(&mut machine, ALICE, Changed::Registered);
    let _ = decide_login(&mut machine, &mut host, &mut key(5), &[], Notices::Left);
    assert_eq!(host.shown, [CUE]);
    assert!(has_notice(&machine, ALICE));
    let (mut machine, mut host) = bob(SECOND_FACTOR);
    announce(&mut machine, BOB, Changed::Removed);
    let _ = decide_login(&mut machine, &mut host, &mut key(5), &[], Notices::Left);
    assert!(host.shown.is_empty() && has_notice(&machine, BOB));
}

/// The proof of self-service is a login, and takes the notice from the state as one.
#[test]
fn given_a_login_without_the_module_then_what_it_takes_from_the_state_is_told() {
    let (mut machine, mut host) = alice();
    announce(&mut machine, ALICE, Changed::Registered);
    let _ = decide_login(&mut machine, &mut host, &mut key(5), &[], Notices::Told);
    assert_eq!(host.shown, [CUE, ADDED]);
    assert!(!has_notice(&machine, ALICE));
}

/// A name beyond what a record has, and a clock beyond what TOML has, are no reason for a state that nobody reads.
#[test]
fn given_any_change_then_the_state_is_read_again() {
    let alice = AccountName::new("alice").unwrap();
    for key in ["", "\"\\\n", &"x".repeat(70_000)] {
        for when in ["", "10000-01-01T00:00:00Z", "2026-11-26T11:00:00Z", "\"", "1979-05-27"] {
            let change = Change { what: Changed::Reset, key, when, by: key };
            let text = announced(None, &alice, &change);
            let state = State::parse(text.as_bytes()).unwrap();
            assert_eq!(state.to_toml(), text);
            assert!(state.clone().take_notice().is_some());
        }
    }
}
