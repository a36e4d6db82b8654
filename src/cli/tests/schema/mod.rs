//! The schemas in `docs/schemas`, and whether something is of one of them.

use std::fs;
use std::path::{Path, PathBuf};

use boon::{Compiler, Schemas};
use serde_json::Value;

/// Where they are.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas")
}

/// Why `value` is not what the schema of that name says.
pub(crate) fn misfit(name: &str, value: &Value) -> Option<String> {
    let path = directory().join(format!("{name}.json")).canonicalize().expect("a schema");
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON");
    // Under a name, so that nothing is looked for anywhere.
    let place = format!("fidokey:{name}");
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource(&place, schema).expect("a schema");
    let index = compiler.compile(&place, &mut schemas).expect("a schema of that draft");
    schemas.validate(value, index).err().map(|error| format!("{error:#}"))
}

/// Fails where that JSON is not of the schema of that name.
#[track_caller]
pub(crate) fn assert_of_schema(name: &str, text: &str) {
    let value = serde_json::from_str(text).expect("JSON");
    assert_eq!(misfit(name, &value), None, "{text}");
}
