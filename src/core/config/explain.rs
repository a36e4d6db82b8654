//! Where each setting of a service comes from: for the command, which shows it. What is in force is decided by
//! [`super::ConfigFile::settings`]; this says the same with the place.

use super::keys::{KEYS, Key};
use super::{ConfigError, ConfigFile, Layer};

/// A place that says something, the one that wins first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SaidBy {
    /// The arguments of the module's line.
    Line,
    /// `[service.NAME]` of the policy file.
    Service,
    /// `[default]` of the policy file.
    Default,
    /// The policy file, above its tables.
    File,
    /// Nothing says it: it is built in.
    BuiltIn,
}

impl SaidBy {
    /// The word of the output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Default => "default",
            Self::File => "file",
            Self::Line => "line",
            Self::Service => "service",
        }
    }
}

/// A setting, and what says it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explained {
    /// The key of the policy file.
    pub key: &'static str,
    /// The value as TOML has it; `None` where it has to be said and nothing says it.
    pub value: Option<String>,
    /// What says it.
    pub from: SaidBy,
}

impl ConfigFile {
    /// Every setting of `service` under the `arguments` of the module's line, in the order of the manual, the relying
    /// party id last. Also where all of it together is no policy: that [`ConfigFile::settings`] says.
    ///
    /// # Errors
    /// [`ConfigError::Argument`].
    pub fn explain(
        &self,
        service: &str,
        arguments: &[&[u8]],
    ) -> Result<Vec<Explained>, ConfigError> {
        let line = Layer::from_arguments(arguments)?;
        let service = self.services.get(service).copied().unwrap_or_default();
        let layers =
            [(SaidBy::Line, line), (SaidBy::Service, service), (SaidBy::Default, self.default)];
        let explained = |key: &Key| {
            let said = layers
                .iter()
                .find_map(|(from, layer)| layer.value(key.name).map(|value| (value, *from)));
            match said {
                Some((value, from)) => Explained { key: key.name, value: Some(value), from },
                None => Explained {
                    key: key.name,
                    value: key.built_in.map(str::to_owned),
                    from: SaidBy::BuiltIn,
                },
            }
        };
        let mut all: Vec<Explained> = KEYS.iter().map(explained).collect();
        all.push(Explained {
            key: "rp_id",
            value: Some(crate::text::quoted(self.rp_id.as_str())),
            from: if self.names_rp_id { SaidBy::File } else { SaidBy::BuiltIn },
        });
        Ok(all)
    }
}

impl Layer {
    /// What it says of the key `name`, as TOML.
    fn value(&self, name: &str) -> Option<String> {
        let word = |word: &str| format!("\"{word}\"");
        let span = |span: std::time::Duration| format!("\"{}s\"", span.as_secs());
        match name {
            "mode" => self.mode.map(|mode| word(mode.word())),
            "verification" => self.verification.map(|one| word(one.word())),
            "unenrolled" => self.unenrolled.map(|rule| word(rule.word())),
            "remote" => self.remote.map(|rule| word(rule.word())),
            "counter" => self.counter.map(|rule| word(rule.word())),
            "wait_for_key" => self.wait_for_key.map(span),
            "touch" => self.touch.map(span),
            "pin_guard" => self.pin_guard.map(|left| left.to_string()),
            "touch_only_alternative" => self.touch_only_alternative.map(|it| it.to_string()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(text: &str, service: &str, arguments: &[&[u8]]) -> Vec<(String, &'static str)> {
        let file = ConfigFile::parse(text.as_bytes()).unwrap();
        let all = file.explain(service, arguments).unwrap();
        all.into_iter()
            .map(|one| (format!("{}={}", one.key, one.value.unwrap_or_default()), one.from.word()))
            .collect()
    }

    #[test]
    fn given_three_places_then_each_setting_comes_from_the_first_that_says_it() {
        let text = "schema = 1\nrp_id = \"pam://here\"\n[default]\ncounter = \"warn\"\ntouch = \"9s\"\npin_guard = 5\n\
                    [service.sudo]\ntouch = \"8s\"\nremote = \"verify\"\nunenrolled = \"deny\"\n";
        let line: [&[u8]; 3] =
            [b"mode=alternative", b"remote=skip", b"touch_only_alternative=true"];
        let all = explained(text, "sudo", &line);
        let expected = [
            ("mode=\"alternative\"", "line"),
            ("verification=\"none\"", "built-in"),
            ("unenrolled=\"deny\"", "service"),
            ("remote=\"skip\"", "line"),
            ("counter=\"warn\"", "default"),
            ("wait_for_key=\"30s\"", "built-in"),
            ("touch=\"8s\"", "service"),
            ("pin_guard=5", "default"),
            ("touch_only_alternative=true", "line"),
            ("rp_id=\"pam://here\"", "file"),
        ];
        assert_eq!(all, expected.map(|(setting, from)| (setting.to_owned(), from)));
        assert_eq!(explained("schema = 1\n", "su", &[])[0], ("mode=".to_owned(), "built-in"));
        let file = ConfigFile::default();
        assert!(file.explain("su", &[b"mode=x"]).is_err());
    }

    /// What is said to be in force is: as arguments, the explanation comes to the same settings.
    #[test]
    fn given_any_value_of_any_key_in_any_place_then_the_explanation_is_what_is_in_force() {
        const MODE: &str = "mode = \"second-factor\"\n";
        let mut seen = 0;
        for key in KEYS.iter().filter(|key| key.name != "mode") {
            for value in key.values {
                for table in ["default", "service.sudo", "service.su"] {
                    // Belongs to a service.
                    if key.name == "touch_only_alternative" && table == "default" {
                        continue;
                    }
                    let mode = if table == "default" { "" } else { "[default]\n" };
                    let (first, second) =
                        if mode.is_empty() { ("[default]\n", "") } else { (mode, table) };
                    let table =
                        if second.is_empty() { String::new() } else { format!("[{second}]\n") };
                    let text = format!("schema = 1\n{first}{MODE}{table}{} = {value}\n", key.name);
                    let file = ConfigFile::parse(text.as_bytes()).unwrap();
                    let arguments: Vec<String> = file
                        .explain("sudo", &[])
                        .unwrap()
                        .into_iter()
                        .filter(|one| one.key != "rp_id")
                        .map(|one| format!("{}={}", one.key, one.value.unwrap().replace('"', "")))
                        .collect();
                    let arguments: Vec<&[u8]> =
                        arguments.iter().map(|one| one.as_bytes()).collect();
                    let again = ConfigFile::default().settings("sudo", &arguments).unwrap();
                    assert_eq!(file.settings("sudo", &[]).unwrap(), again, "{text}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 40, "{seen}");
    }
}
