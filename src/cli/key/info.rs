//! `fidokey key info`: what a key says of itself, for people and for programs.

use fidokey_core::management::{Described, ManagementError, PinState, describe};

use super::with_keys;
use crate::arguments::Info;
use crate::json;
use crate::outcome::{Exit, Outcome};
use crate::terminal::{patience, print, printable};

/// Shows it.
pub(super) fn run(asked: &Info) -> Outcome {
    let (described, node) = with_keys(|machine, host, keys| {
        let described = describe(machine, host, keys, patience())?;
        let node = keys.keys().path(described.key).display().to_string();
        Ok::<_, ManagementError>((described, node))
    })?;
    print(&if asked.json { object(&described, &node) } else { lines(&described, &node) })?;
    Ok(Exit::Done)
}

/// For people: only what the key says.
fn lines(described: &Described, node: &str) -> String {
    let description = &described.description;
    let mut rows = vec![("Device", node.to_owned())];
    rows.push(("Versions", description.versions.join(", ")));
    if let Some(aaguid) = description.aaguid {
        rows.push(("Model (AAGUID)", dashed(&aaguid)));
    }
    if let Some(firmware) = description.firmware {
        rows.push(("Firmware", firmware.to_string()));
    }
    rows.push(("PIN", pin(described.pin)));
    if let Some(least) = description.min_pin_length {
        rows.push(("Shortest PIN", format!("{least} characters")));
    }
    if let Some(fingerprints) = fingerprints(described) {
        rows.push(("Fingerprints", fingerprints));
    }
    if !description.algorithms.is_empty() {
        let names: Vec<String> = description.algorithms.iter().map(|alg| algorithm(*alg)).collect();
        rows.push(("Algorithms", names.join(", ")));
    }
    if !description.extensions.is_empty() {
        rows.push(("Extensions", description.extensions.join(", ")));
    }
    let on: Vec<&str> = options(described, true);
    if !on.is_empty() {
        rows.push(("Options", on.join(", ")));
    }
    if let Some(room) = description.room {
        rows.push(("Room for", format!("{room} more credentials")));
    }
    let line =
        |(name, value): &(&str, String)| format!("{:16}{}", format!("{name}:"), printable(value));
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn pin(state: PinState) -> String {
    match state {
        PinState::Impossible => "not possible".to_owned(),
        PinState::NotSet => "not set; see `fidokey key pin set`".to_owned(),
        PinState::Set { left, replug, change_required } => {
            let left = match left {
                Some(0) => "; blocked, see `fidokey key reset`".to_owned(),
                Some(left) => format!("; tries left: {left}"),
                None => String::new(),
            };
            let replug = if replug { "; to be plugged in anew first" } else { "" };
            let change =
                if change_required { "; to be changed, see `fidokey key pin change`" } else { "" };
            format!("set{left}{replug}{change}")
        }
    }
}

/// Nothing where the key has no reader.
fn fingerprints(described: &Described) -> Option<String> {
    let says = |name| described.description.option(name);
    let some = says("bioEnroll").or_else(|| says("userVerificationMgmtPreview"))?;
    Some(match (some, described.uv_tries) {
        (false, _) => "none; see `fidokey key fingerprint add`".to_owned(),
        (true, Some(left)) => format!("there are some; tries left: {left}"),
        (true, None) => "there are some".to_owned(),
    })
}

/// The options that the key has switched on, or off.
fn options(described: &Described, on: bool) -> Vec<&str> {
    let options = described.description.options.iter();
    options.filter(|(_, said)| *said == on).map(|(name, _)| name.as_str()).collect()
}

/// An algorithm of COSE by its name, where it has one here.
fn algorithm(number: i64) -> String {
    match number {
        -7 => "ES256".to_owned(),
        -8 => "EdDSA".to_owned(),
        -35 => "ES384".to_owned(),
        -36 => "ES512".to_owned(),
        -257 => "RS256".to_owned(),
        other => other.to_string(),
    }
}

/// As AAGUIDs are written.
fn dashed(aaguid: &[u8; 16]) -> String {
    let mut text = String::new();
    for (at, byte) in aaguid.iter().enumerate() {
        if [4, 6, 8, 10].contains(&at) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// For programs. Keys of the object may be added, never renamed or removed; what the key does not say is absent.
fn object(described: &Described, node: &str) -> String {
    let description = &described.description;
    let strings = |texts: &[String]| {
        let texts: Vec<String> = texts.iter().map(|text| json::string(text)).collect();
        format!("[{}]", texts.join(", "))
    };
    let mut fields = vec![
        ("schema", "1".to_owned()),
        ("device", json::string(node)),
        ("ctap2", described.second_generation.to_string()),
        ("versions", strings(&description.versions)),
        ("extensions", strings(&description.extensions)),
    ];
    if let Some(aaguid) = description.aaguid {
        fields.push(("aaguid", json::string(&dashed(&aaguid))));
    }
    let options = description.options.iter();
    let options: Vec<String> =
        options.map(|(name, said)| format!("{}: {said}", json::string(name))).collect();
    fields.push(("options", format!("{{{}}}", options.join(", "))));
    let numbers: Vec<String> = description.algorithms.iter().map(i64::to_string).collect();
    fields.push(("algorithms", format!("[{}]", numbers.join(", "))));
    let mut number = |name, number: Option<u64>| {
        fields.extend(number.map(|number| (name, number.to_string())));
    };
    number("firmware", description.firmware);
    number("min_pin_length", description.min_pin_length);
    number("room", description.room);
    number("uv_tries", described.uv_tries.map(u64::from));
    let word = match described.pin {
        PinState::Impossible => "impossible",
        PinState::NotSet => "not_set",
        PinState::Set { left, replug, change_required } => {
            number("pin_tries", left.map(u64::from));
            fields.push(("pin_replug", replug.to_string()));
            fields.push(("pin_change_required", change_required.to_string()));
            "set"
        }
    };
    fields.push(("pin", json::string(word)));
    json::fields(&fields)
}

#[cfg(test)]
mod tests {
    use fidokey_core::ctap::description::Description;
    use fidokey_core::ports::KeyId;

    use super::*;
    use crate::schema::assert_of_schema;

    fn described() -> Described {
        Described {
            key: KeyId(0),
            description: Description {
                aaguid: Some([0xab; 16]),
                algorithms: vec![-7, -8, -65535],
                extensions: vec!["credProtect".to_owned()],
                firmware: Some(5),
                min_pin_length: Some(6),
                options: vec![("rk".to_owned(), true), ("bioEnroll".to_owned(), false)],
                room: Some(25),
                versions: vec!["FIDO_2_1".to_owned(), "a\u{1b}[2J".to_owned()],
                ..Description::default()
            },
            second_generation: true,
            pin: PinState::Set { left: Some(8), replug: false, change_required: true },
            uv_tries: None,
        }
    }

    #[test]
    fn given_a_key_then_people_read_what_it_says_and_no_tricks() {
        assert_eq!(
            lines(&described(), "/dev/hidraw3"),
            "Device:         /dev/hidraw3\n\
             Versions:       FIDO_2_1, a?[2J\n\
             Model (AAGUID): abababab-abab-abab-abab-abababababab\n\
             Firmware:       5\n\
             PIN:            set; tries left: 8; to be changed, see `fidokey key pin change`\n\
             Shortest PIN:   6 characters\n\
             Fingerprints:   none; see `fidokey key fingerprint add`\n\
             Algorithms:     ES256, EdDSA, -65535\n\
             Extensions:     credProtect\n\
             Options:        rk\n\
             Room for:       25 more credentials"
        );
        assert_eq!(pin(PinState::NotSet), "not set; see `fidokey key pin set`");
        let blocked = PinState::Set { left: Some(0), replug: false, change_required: false };
        assert_eq!(pin(blocked), "set; blocked, see `fidokey key reset`");
    }

    // E15.
    #[test]
    fn given_a_key_then_programs_read_one_object_with_its_schema() {
        assert_eq!(
            object(&described(), "/dev/hidraw3"),
            "{\"schema\": 1, \"device\": \"/dev/hidraw3\", \"ctap2\": true, \
             \"versions\": [\"FIDO_2_1\", \"a\\u001b[2J\"], \"extensions\": [\"credProtect\"], \
             \"aaguid\": \"abababab-abab-abab-abab-abababababab\", \
             \"options\": {\"rk\": true, \"bioEnroll\": false}, \
             \"algorithms\": [-7, -8, -65535], \"firmware\": 5, \"min_pin_length\": 6, \
             \"room\": 25, \"pin_tries\": 8, \"pin_replug\": false, \
             \"pin_change_required\": true, \"pin\": \"set\"}"
        );
        assert_of_schema("key-info", &object(&described(), "/dev/hidraw3"));
        let blocked = PinState::Set { left: Some(0), replug: true, change_required: false };
        for pin in [PinState::Impossible, PinState::NotSet, blocked] {
            let least = Described {
                key: KeyId(0),
                description: Description::default(),
                second_generation: false,
                pin,
                uv_tries: Some(3),
            };
            assert_of_schema("key-info", &object(&least, "/dev/hidraw0"));
        }
    }
}
