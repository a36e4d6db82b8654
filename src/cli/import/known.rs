//! The credentials that there are before an import, so that nobody gets another's.

use std::collections::HashMap;

use fidokey_core::credential::{AccountName, CredentialId};
use fidokey_core::ports::Account;
use fidokey_core::record::Record;
use fidokey_system::records::LockedRecords;

use super::Found;
use crate::outcome::Failure;

/// Whose each credential is, of all accounts: no two have the same, see [`crate::registry::nobody_elses`].
pub(super) struct Known(HashMap<CredentialId, AccountName>);

impl Known {
    /// A record that cannot be read is in nobody's way.
    pub(super) fn read(records: &LockedRecords<'_>) -> Result<Self, Failure> {
        let mut known = HashMap::new();
        for uid in records.uids()? {
            let Ok(Some(file)) = records.read(uid) else { continue };
            let Ok(record) = Record::parse(&file.text) else { continue };
            let ids = record.credentials.into_iter().map(|one| one.id);
            known.extend(ids.map(|id| (id, record.user.clone())));
        }
        Ok(Self(known))
    }

    pub(super) fn is_of(&mut self, account: &Account, id: &CredentialId) {
        self.0.insert(id.clone(), account.name.clone());
    }

    /// Who else has what was found.
    pub(super) fn other(&self, found: &Found) -> Option<&AccountName> {
        self.0.get(&found.id).filter(|owner| **owner != found.account.name)
    }
}
