//! The record of an account: what is read is within the limits, and is the same when it was written and read again.

use std::collections::HashSet;

use fidokey_core::credential::is_unprintable;
use fidokey_core::record::{ADDED_BY_MAX, CREDENTIALS_MAX, Record, USER_HANDLE_MAX};

use super::told;

/// The largest text that is read.
pub(super) const TEXT_MAX: usize = 64 * 1024;

/// `bytes` are the text of a record.
pub fn run(bytes: &[u8]) {
    let record = match Record::parse(bytes) {
        Ok(record) => record,
        Err(misfit) => return told::check(&misfit, bytes),
    };
    assert!(bytes.len() <= TEXT_MAX);
    let credentials = &record.credentials;
    assert!((1..=CREDENTIALS_MAX).contains(&credentials.len()));
    let names: HashSet<&str> = credentials.iter().map(|one| one.name.as_str()).collect();
    let ids: HashSet<&[u8]> = credentials.iter().map(|one| one.id.as_bytes()).collect();
    assert_eq!((names.len(), ids.len()), (credentials.len(), credentials.len()));
    for one in credentials {
        assert!((1..=1023).contains(&one.id.as_bytes().len()));
        assert!(one.user_handle.as_ref().is_none_or(|h| (1..=USER_HANDLE_MAX).contains(&h.len())));
        assert!(one.added_by.chars().count() <= ADDED_BY_MAX);
        assert!(!one.added_by.chars().any(is_unprintable));
    }
    let text = record.to_toml();
    if text.len() <= TEXT_MAX {
        let again = Record::parse(text.as_bytes()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{record:?}"));
        assert_eq!(again.to_toml(), text);
    }
    // What is unknown is an error, wherever it stands.
    assert!(Record::parse(&[b"unknown = 1\n", bytes].concat()).is_err());
    assert!(Record::parse(&[bytes, b"\n[unknown]\n"].concat()).is_err());
}
