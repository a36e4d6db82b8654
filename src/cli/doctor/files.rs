//! What is wrong with a file of fidokey's own, and the command that mends it.

use fidokey_core::ports::FileError;

use super::report::word;

/// What is wrong with what is at `error.path`, without its name and without a full stop, and what to do about it.
/// `private` is what only root may see.
pub(crate) fn told(error: &FileError, private: bool) -> (String, String) {
    let path = word(&error.path);
    let (wrong, remedy) = match error.reason {
        "owner" => (
            "it does not belong to root",
            format!("See that nobody has tampered with it, then `chown root:root {path}`."),
        ),
        "mode" if private => (
            "others than root may look into it",
            format!("See that nobody has tampered with it, then `chmod go-rwx {path}`."),
        ),
        "mode" => (
            "others than root may write to it",
            format!("See that nobody has tampered with it, then `chmod go-w {path}`."),
        ),
        "symlink" => (
            "it is a symbolic link, which is never followed",
            format!("Put what it leads to in its place; see `ls -l {path}`."),
        ),
        "hard_link" => (
            "it has another name as well, perhaps where others may write",
            format!("Replace it by a copy: `cp -p {path} {path}.copy && mv {path}.copy {path}`."),
        ),
        "empty" => ("it is empty", format!("Restore it, or `rm {path}`.")),
        "too_large" => ("it is larger than 64 KiB", format!("See what it is: `ls -l {path}`.")),
        "not_a_file" => ("it is no regular file", format!("See what it is: `ls -ld {path}`.")),
        "not_a_directory" => ("it is no directory", format!("See what it is: `ls -ld {path}`.")),
        "missing_directory" => (
            "it is missing",
            match private {
                true => format!("`install -d -m 0700 {path}`"),
                false => format!("`install -d -m 0755 {path}`"),
            },
        ),
        "permission" => {
            ("permission is denied", format!("See what forbids it: `namei -l {path}`."))
        }
        "io" => ("the disk fails", "See `dmesg`, and restore the file.".to_owned()),
        "changed" => ("it changed while it was read", "Run the doctor again.".to_owned()),
        other => (other, format!("See what it is: `ls -ld {path}`.")),
    };
    match (error.errno, error.reason) {
        // What the number says, the words have said.
        (0, _) | (_, "missing_directory" | "symlink" | "too_large" | "not_a_directory") => {
            (wrong.to_owned(), remedy)
        }
        (errno, _) => (format!("{wrong} (error {errno})"), remedy),
    }
}
