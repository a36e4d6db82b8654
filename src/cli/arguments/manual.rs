//! The synopsis and the options of fidokey(1): written from the definition by `make manuals`, and held against it by every
//! other run of the tests. What a verb does is written there by hand, in an item of its own; here it is only seen that each
//! verb has one, and that no option is spoken of that there is not.

#![allow(clippy::arithmetic_side_effects, reason = "a test counts lines")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use clap::{Arg, ArgAction, Command, CommandFactory};

use super::CommandLine;

/// One item of the list of verbs.
struct Item {
    /// The verbs, by all their words: `key pin check`.
    verbs: Vec<String>,
    /// The line that begins it, and what was written by hand.
    lines: Vec<String>,
}

fn manual(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/man").join(file)
}

/// The definition, with what clap adds to it.
fn definition() -> Command {
    let mut command = CommandLine::command();
    command.build();
    command
}

/// All verbs that do something, by their words, in the order of the definition; the hidden ones where that is asked for.
fn verbs(command: &Command, hidden: bool) -> Vec<(String, Command)> {
    let below = command.get_subcommands().filter(|verb| verb.get_name() != "help");
    let mut found = Vec::new();
    for verb in below.filter(|verb| hidden || !verb.is_hide_set()) {
        let name = verb.get_name();
        match verb.has_subcommands() {
            true => found.extend(
                verbs(verb, hidden)
                    .into_iter()
                    .map(|(rest, leaf)| (format!("{name} {rest}"), leaf)),
            ),
            false => found.push((name.to_owned(), verb.clone())),
        }
    }
    found
}

/// Whether it can be said with every verb, or is clap's.
fn is_general(argument: &Arg) -> bool {
    argument.is_global_set() || matches!(argument.get_id().as_str(), "help" | "version")
}

/// What `verb` alone takes: its options, then what has a place.
fn own(verb: &Command) -> impl Iterator<Item = &Arg> {
    let shown = |argument: &&Arg| !argument.is_hide_set() && !is_general(argument);
    verb.get_opts().chain(flags(verb)).chain(verb.get_positionals()).filter(shown)
}

/// The options without a value.
fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    command
        .get_arguments()
        .filter(|argument| !argument.is_positional() && !argument.get_action().takes_values())
}

/// Every long option of `command`, shown or not.
fn options(command: &Command) -> BTreeSet<String> {
    command.get_arguments().filter_map(|argument| Some(argument.get_long()?.to_owned())).collect()
}

/// An argument in the macros of mdoc, as it is typed.
fn typed(argument: &Arg) -> String {
    let more = argument.get_num_args().is_some_and(|range| range.max_values() > 1)
        || matches!(argument.get_action(), ArgAction::Append);
    let value = argument.get_value_names().filter(|_| argument.get_action().takes_values());
    let value = value.map(|names| {
        let names: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        format!("Ar {}{}", names.join(" "), if more { " ..." } else { "" })
    });
    let name = match argument.get_long() {
        Some(long) => Some(format!("Fl -{long}")),
        None => argument.get_short().map(|short| format!("Fl {short}")),
    };
    // What is behind `--` alone.
    let name = if argument.is_last_set() { Some("Fl -".to_owned()) } else { name };
    [name, value].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn synopsis(command: &Command) -> String {
    let mut text = String::new();
    let bracketed = |argument: &Arg| match argument.is_required_set() {
        true => format!(".{}\n", typed(argument)),
        false => format!(".Op {}\n", typed(argument)),
    };
    for (words, verb) in verbs(command, false) {
        writeln!(text, ".Nm\n.Cm {words}").expect("memory");
        text.extend(own(&verb).map(bracketed));
    }
    let general: Vec<String> = command
        .get_arguments()
        .filter(|argument| argument.is_global_set() && !argument.is_hide_set())
        .map(bracketed)
        .collect();
    if !general.is_empty() {
        writeln!(text, ".Nm\n{}.Ar verb ...", general.concat()).expect("memory");
    }
    text + ".Nm\n.Fl -help | Fl -version\n"
}

/// A text of the definition as one of the manual: whole sentences, each of which begins a line.
fn sentences(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace("--", "\\-\\-").replace('\n', " ");
    let mut quoted = String::new();
    for (index, part) in text.split('`').enumerate() {
        let mark = if index % 2 == 1 { "\\(oq" } else { "\\(cq" };
        quoted.push_str(if index == 0 { "" } else { mark });
        quoted.push_str(part);
    }
    let end = if quoted.ends_with('.') { "" } else { "." };
    // What begins with one of these would be a macro.
    let first = if quoted.starts_with(['.', '\'']) { "\\&" } else { "" };
    format!("{first}{}{end}", quoted.replace(". ", ".\n").replace("...\n", "... "))
}

/// A list of `arguments`; nothing where there are none.
fn list<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let mut text = String::new();
    for argument in arguments {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        assert!(!help.is_empty(), "{} says nothing", argument.get_id());
        writeln!(text, ".It {}\n{}", typed(argument), sentences(&help)).expect("memory");
        let takes = argument.get_action().takes_values();
        let words = |words: Vec<String>| match words.is_empty() || !takes {
            true => None,
            false => Some(words.join(" , ")),
        };
        let possible = argument.get_possible_values();
        let possible = possible.iter().filter(|value| !value.is_hide_set());
        if let Some(words) = words(possible.map(|value| value.get_name().to_owned()).collect()) {
            writeln!(text, "One of\n.Cm {words} .").expect("memory");
        }
        let built_in = argument.get_default_values().iter();
        if let Some(words) =
            words(built_in.map(|value| value.to_string_lossy().into_owned()).collect())
        {
            writeln!(text, "Where it is not said it is\n.Cm {words} .").expect("memory");
        }
    }
    match text.is_empty() {
        true => text,
        false => format!(".Bl -tag -width Ds -compact\n{text}.El\n"),
    }
}

/// The manual up to the list of verbs, the items of that list, and the manual from its end on.
fn parts(text: &str) -> (String, Vec<Item>, String) {
    let mark = "\n.\\\" the verbs\n";
    let list = text.find(mark).expect("the mark of the list of verbs") + mark.len();
    let (before, rest) = text.split_at(list);
    let mut lines = rest.lines();
    let head = lines.next().expect("the beginning of the list");
    let (mut items, mut depth, mut generated) = (Vec::<Item>::new(), 1, false);
    for line in lines.by_ref() {
        match line {
            _ if line.starts_with(".\\\" begin options") => generated = true,
            _ if line.starts_with(".\\\" end options") => {
                generated = false;
                continue;
            }
            _ if generated => {}
            _ if line.starts_with(".Bl") => depth += 1,
            ".El" => depth -= 1,
            _ => {}
        }
        match line.strip_prefix(".It Cm ") {
            _ if depth == 0 => break,
            _ if generated => {}
            Some(verbs) if depth == 1 => items.push(Item {
                verbs: verbs.split(" , Cm ").map(str::to_owned).collect(),
                lines: vec![line.to_owned()],
            }),
            _ => items.last_mut().expect("an item").lines.push(line.to_owned()),
        }
    }
    let after: String = lines.map(|line| format!("{line}\n")).collect();
    (format!("{before}{head}\n"), items, format!(".El\n{after}"))
}

/// `text` with the part of that name as it should be.
fn with_part(text: &str, name: &str, part: &str) -> String {
    let (begin, end) = (format!(".\\\" begin {name}\n"), format!(".\\\" end {name}\n"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no part {name}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no end of {name}"));
    format!("{before}{begin}{part}{end}{after}")
}

/// The manual as it should be.
fn corrected(text: &str, command: &Command) -> String {
    let known = verbs(command, false);
    let (before, items, after) = parts(text);
    let mut corrected = before;
    for Item { verbs, lines } in &items {
        corrected.extend(lines.iter().map(|line| format!("{line}\n")));
        let leaves = known.iter().filter(|(words, _)| verbs.contains(words));
        let options = list(leaves.flat_map(|(_, leaf)| own(leaf)));
        if !options.is_empty() {
            let name = format!("options {}", verbs.join(", "));
            corrected += &format!(".\\\" begin {name}\n.Pp\n{options}.\\\" end {name}\n");
        }
    }
    with_part(&(corrected + &after), "synopsis", &synopsis(command))
}

/// The long options that a text speaks of.
fn spoken_of(text: &str) -> BTreeSet<String> {
    let macros = text.lines().filter(|line| line.starts_with('.'));
    let after = macros.flat_map(|line| line.split("Fl ").skip(1));
    let words = after.filter_map(|rest| rest.split_whitespace().next()?.strip_prefix('-'));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What is wrong with the manual that no `make` mends.
fn complaints(text: &str, command: &Command) -> Vec<String> {
    let mut complaints = Vec::new();
    let all = verbs(command, true);
    let (before, items, after) = parts(text);
    // The synopsis is made of the definition; what an option is for is not.
    let told = spoken_of(&with_part(&(before + &after), "synopsis", ""));
    let general = command.get_arguments().filter(|argument| argument.is_global_set());
    let general = general.filter(|argument| !argument.is_hide_set()).filter_map(Arg::get_long);
    let untold = general.filter(|option| !told.contains(*option));
    complaints.extend(untold.map(|option| format!("--{option}, of every verb, is not told")));
    for (words, _) in verbs(command, false) {
        let told = items.iter().filter(|item| item.verbs.contains(&words));
        let told: Vec<usize> = told.map(|item| item.lines.len()).collect();
        match told[..] {
            [lines] if lines > 1 => {}
            [] => {
                complaints.push(format!("`{words}` is not told: it wants an item .It Cm {words}"))
            }
            [_] => complaints.push(format!("the item of `{words}` says nothing")),
            _ => complaints.push(format!("`{words}` has more than one item")),
        }
    }
    for Item { verbs, lines } in &items {
        let mut taken = options(command);
        for words in verbs {
            match all.iter().find(|(known, _)| known == words) {
                Some((_, verb)) => taken.extend(options(verb)),
                None => complaints.push(format!("there is no verb `{words}`")),
            }
        }
        let unknown: Vec<String> =
            spoken_of(&lines.join("\n")).difference(&taken).cloned().collect();
        for option in unknown {
            complaints.push(format!("`{}` has no --{option}", verbs.join(", ")));
        }
    }
    complaints
}

/// Where this fails, `make manuals` mends it, but for what has to be written by hand.
#[test]
#[allow(clippy::disallowed_methods, reason = "whoever runs the tests says whether to write")]
fn given_the_manual_then_its_verbs_and_options_are_the_definitions() {
    let path = manual("fidokey.1");
    let command = definition();
    let kept = fs::read_to_string(&path).expect("a manual");
    let corrected = corrected(&kept, &command);
    assert_eq!(complaints(&corrected, &command), Vec::<String>::new(), "packaging/man/fidokey.1");
    if env::var_os("FIDOKEY_MANUALS").is_some() {
        fs::write(&path, &corrected).expect("a manual that can be written");
        return;
    }
    assert!(kept == corrected, "fidokey.1 is not what the definition makes of it: make manuals");
    for (words, verb) in verbs(&command, false) {
        assert!(kept.contains(&format!(".Nm\n.Cm {words}\n")), "{words}");
        let shown = own(&verb).filter_map(Arg::get_long);
        for option in shown {
            assert!(spoken_of(&kept).contains(option), "{words}: {option}");
        }
    }
}

/// Each option that any manual speaks of is one of some verb.
#[test]
fn given_all_manuals_then_there_is_each_option_that_they_speak_of() {
    let command = definition();
    let mut known = options(&command);
    known.extend(verbs(&command, true).iter().flat_map(|(_, verb)| options(verb)));
    let mut read = 0;
    for entry in fs::read_dir(manual("")).expect("the manuals") {
        let path = entry.expect("a manual").path();
        let text = fs::read_to_string(&path).expect("a manual");
        let unknown: Vec<_> = spoken_of(&text).difference(&known).cloned().collect();
        assert_eq!(unknown, Vec::<String>::new(), "{}", path.display());
        read += 1;
    }
    assert!(read >= 4);
}

/// A manual of these items, for a command with `show --all`, `key reset` and a hidden `secret --by`.
fn small(items: &str) -> (String, Command) {
    let flag =
        |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help("Yes");
    let mut command = Command::new("fidokey")
        .arg(flag("quiet").global(true))
        .subcommand(Command::new("show").arg(flag("all")))
        .subcommand(Command::new("key").subcommand(Command::new("reset")))
        .subcommand(Command::new("secret").hide(true).arg(flag("by")));
    command.build();
    let text = format!(
        ".Sh SYNOPSIS\n.\\\" begin synopsis\n.\\\" end synopsis\n.Sh DESCRIPTION\n\
         .Fl -quiet\n.\\\" the verbs\n.Bl -tag\n{items}.El\n"
    );
    (corrected(&text, &command), command)
}

#[test]
fn given_a_manual_that_tells_every_verb_then_it_gets_the_options_once() {
    let (text, command) = small(
        ".It Cm show\nShows.\n.Bl -tag\n.It Cm x\nNo verb.\n.El\n.It Cm key reset\nResets.\n",
    );
    assert_eq!(complaints(&text, &command), Vec::<String>::new());
    assert_eq!(corrected(&text, &command), text);
    assert_eq!(text.matches(".It Fl -all\nYes.\n").count(), 1);
    assert!(text.contains(".Nm\n.Cm show\n.Op Fl -all\n.Nm\n.Cm key reset\n.Nm\n.Op Fl -quiet\n"));
    let untold = text.replace("DESCRIPTION\n.Fl -quiet\n", "DESCRIPTION\n");
    assert_eq!(complaints(&untold, &command), ["--quiet, of every verb, is not told"]);
    assert!(!text.contains("secret"));
}

#[test]
fn given_a_manual_that_is_not_the_definitions_then_it_is_said_what_is_wrong() {
    for (items, complaint) in [
        (".It Cm show\nShows.\n", "`key reset` is not told: it wants an item .It Cm key reset"),
        (".It Cm show\n.It Cm key reset\nResets.\n", "the item of `show` says nothing"),
        (".It Cm show , Cm key reset\nx\n.It Cm show\nx\n", "`show` has more than one item"),
        (".It Cm show , Cm key reset\nx\n.It Cm hide\nx\n", "there is no verb `hide`"),
        (".It Cm show\nx\n.It Cm key reset\n.Fl -all\n", "`key reset` has no --all"),
    ] {
        let (text, command) = small(items);
        assert_eq!(complaints(&text, &command), [complaint]);
    }
    let (text, command) =
        small(".It Cm show , Cm key reset\n.Op Fl -all\n.It Cm secret\n.Fl -by\n");
    assert_eq!(complaints(&text, &command), Vec::<String>::new());
}
