//! The commands that manuals, README and guide show: each can be typed. What comes of those of the guide is seen in a virtual
//! machine, by `tests/vm/guest/guide.sh`.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::CommandLine;

/// Where commands of ours are shown.
const DOCUMENTS: [&str; 6] = [
    "GUIDE.md",
    "README.md",
    "packaging/man/fidokey.1",
    "packaging/man/fidokey.config.5",
    "packaging/man/fidokey.record.5",
    "packaging/man/pam_fidokey.8",
];

/// The commands that a text shows as such: in code spans and code blocks, in `.Ql`, and after the prompt of an example.
fn shown(text: &str) -> Vec<String> {
    let spans = text.split('`').skip(1).step_by(2).filter(|span| !span.starts_with('\n'));
    let lines = text.lines().filter_map(|line| {
        let begin = ["    ", ".Ql ", "# ", "$ "].iter().find(|begin| line.starts_with(**begin))?;
        line.strip_prefix(begin).map(|rest| rest.trim_end_matches([' ', '.', ',', ';', ':']))
    });
    let parts = spans.chain(lines).flat_map(|text| text.split(['|', ';']));
    let parts = parts.flat_map(|text| text.split("&&")).map(|part| {
        let words: Vec<&str> = part.split_whitespace().collect();
        words.join(" ")
    });
    let ours = |part: String| {
        let part = part.strip_prefix("sudo ").unwrap_or(&part);
        part.starts_with("fidokey ").then(|| part.to_owned())
    };
    parts.filter_map(ours).collect()
}

/// `Blue key` in double quotes is one word.
fn words(command: &str) -> Vec<String> {
    let parts = command.split('"').enumerate().flat_map(|(index, part)| match index % 2 {
        1 => vec![part.to_owned()],
        _ => part.split_whitespace().map(str::to_owned).collect(),
    });
    parts.collect()
}

/// What is wrong with a command. One that leaves out what it needs is a mention of its verb.
fn complaint(command: &str) -> Option<String> {
    match CommandLine::command().try_get_matches_from(words(command)) {
        Ok(_) => None,
        Err(error) => match error.kind() {
            ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelp
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::DisplayVersion => None,
            _ => Some(format!("{command}: {error}")),
        },
    }
}

#[test]
fn given_the_documents_then_each_command_in_them_can_be_typed() {
    let mut found = 0;
    for document in DOCUMENTS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document);
        let text = fs::read_to_string(path).expect("a document");
        for command in shown(&text) {
            assert_eq!(complaint(&command), None, "{document}");
            found += 1;
        }
    }
    assert!(found > 20, "{found}");
}

#[test]
fn given_a_command_that_there_is_not_then_it_is_found() {
    let text = "`sudo fidokey\nenrol` or `fidokey list --jsn`\n\n    make && fidokey doctor --rot /mnt; fidokey list\n";
    let shown = shown(text);
    assert_eq!(
        shown,
        ["fidokey enrol", "fidokey list --jsn", "fidokey doctor --rot /mnt", "fidokey list"]
    );
    let wrong: Vec<bool> = shown.iter().map(|command| complaint(command).is_some()).collect();
    assert_eq!(wrong, [true, true, true, false]);
    assert_eq!(complaint("fidokey enable"), None);
}
