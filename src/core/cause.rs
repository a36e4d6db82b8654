//! What has to be mended where a login fails, or warns, because of the machine's own files or the module's line:
//! as fields of the log line and as a sentence for the command's user. Never a value or a line of a file.

use std::fmt;

use crate::audit::Line;
use crate::config::ConfigError;
use crate::ports::{FileError, TextFile};
use crate::text::Misfit;

/// What has to be mended, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// An argument of the module's line is wrong.
    Argument {
        /// Which one, from 1.
        number: usize,
        /// The part before its `=`: printable, at most 64 characters.
        key: String,
        /// What is wrong with it.
        message: &'static str,
    },
    /// A file cannot be trusted, read or written.
    File(FileError),
    /// Each part of the policy is right, but together they do not say enough.
    Incomplete {
        /// What is missing.
        key: &'static str,
        /// Why, and what to do.
        message: &'static str,
    },
    /// The text of a file is wrong.
    Malformed {
        /// Its path.
        path: String,
        /// What is wrong with it, and at which place.
        misfit: Misfit,
    },
    /// A file is right, but of an account of another name or number.
    OtherAccount {
        /// Its path.
        path: String,
    },
}

impl Cause {
    /// What is wrong with the text of `file`.
    pub(crate) fn malformed(file: &TextFile, misfit: Misfit) -> Self {
        Self::Malformed { path: file.path.clone(), misfit }
    }

    /// What is wrong with the policy, whose file, where there is one, is at `path`.
    pub(crate) fn of_config(error: ConfigError, path: Option<&str>) -> Self {
        match error {
            ConfigError::Argument { number, key, message } => {
                Self::Argument { number, key, message }
            }
            ConfigError::File(misfit) => {
                Self::Malformed { path: path.unwrap_or_default().to_owned(), misfit }
            }
            ConfigError::Incomplete { key, message } => Self::Incomplete { key, message },
        }
    }

    /// Adds the fields of the log line.
    pub(crate) fn log(&self, line: &mut Line) {
        match self {
            Self::Argument { number, key, message } => {
                line.field("argument", &number.to_string())
                    .field("setting", key)
                    .sentence("detail", message);
            }
            Self::File(FileError { path, reason, errno }) => {
                line.field("file", path).field("problem", reason);
                if *errno != 0 {
                    line.field("errno", &errno.to_string());
                }
            }
            Self::Incomplete { key, message } => {
                line.field("setting", key).sentence("detail", message);
            }
            Self::Malformed { path, misfit } => {
                line.field("file", path);
                if misfit.line != 0 {
                    line.field("line", &misfit.line.to_string())
                        .field("column", &misfit.column.to_string());
                }
                if let Some(key) = &misfit.key {
                    line.field("setting", key);
                }
                line.sentence("detail", &misfit.message);
            }
            Self::OtherAccount { path } => {
                line.field("file", path).field("problem", "other_account");
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument { number, key, message } => {
                write!(f, "argument {number}: {key}: {message}")
            }
            Self::File(error) => error.fmt(f),
            Self::Incomplete { message, .. } => f.write_str(message),
            Self::Malformed { path, misfit } => write!(f, "{path}: {misfit}"),
            Self::OtherAccount { path } => write!(f, "{path}: it is another account's"),
        }
    }
}
