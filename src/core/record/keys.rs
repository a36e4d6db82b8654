//! The keys of a record, for the manual and for the tests; [`super`] is what reads them.

/// One key of a table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Whether the table is nothing without it.
    pub required: bool,
}

/// At the top, in the order of the manual. The last one is the tables of [`CREDENTIAL`].
pub const RECORD: [Key; 4] =
    [required("schema"), required("user"), required("uid"), required("credential")];

/// In a table of a credential, in the order of the manual.
pub const CREDENTIAL: [Key; 13] = [
    required("name"),
    required("protocol"),
    required("algorithm"),
    required("rp_id"),
    required("id"),
    required("public_key"),
    required("verification"),
    optional("user_handle"),
    optional("backup_eligible"),
    optional("counter"),
    optional("aaguid"),
    required("added"),
    required("added_by"),
];

/// A key that must be there.
pub(crate) const fn required(name: &'static str) -> Key {
    Key { name, required: true }
}

/// A key that may be absent.
pub(crate) const fn optional(name: &'static str) -> Key {
    Key { name, required: false }
}
