//! The policy file and the module's arguments to the settings of one service. Where the file is and
//! whether it can be trusted is decided elsewhere.
//!
//! Doubt is an error: a key that is misspelt anywhere in the file would otherwise be a rule that is not
//! in force and that everybody believes in.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::credential::{CounterPolicy, RpId, Verification, is_unprintable};
use crate::policy::{Mode, Remote, Rules, Unenrolled};
use crate::text::{self, Misfit, Source};

pub mod explain;
pub mod keys;
mod registration;

pub use registration::Registration;

/// The longest wait that can be set, in seconds: for hands that need their time. Programs end a login too, login(1) after
/// 60 seconds.
const WAIT_MAX: u64 = 120;
/// One less than the tries that a PIN has at the most (CTAP 2.1 section 6.5.2.3): with more left alone nobody could log in.
const PIN_GUARD_MAX: u8 = 7;
/// The longest text for people, in characters.
const WORDS_MAX: usize = 200;
/// How many tries of a PIN are left alone where nothing is said of it.
const PIN_GUARD: u8 = 3;

/// The rules in force for one service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// How the module's line is meant.
    pub mode: Mode,
    /// What [`crate::policy::decide`] goes by.
    pub rules: Rules,
    /// The relying party id of new credentials.
    pub rp_id: RpId,
    /// What a signature counter that went back gets, where the credential does not say it.
    pub counter: CounterPolicy,
    /// How long to wait for a key to be plugged in; zero is not at all.
    pub wait_for_key: Duration,
    /// How long to wait for the touch.
    pub touch: Duration,
    /// With this many PIN retries left, or fewer, the PIN is not tried.
    pub pin_guard: u8,
}

impl Settings {
    /// What is in force for `service` under the policy file `text` (`None` where there is none) and the
    /// `arguments` of the module's line: an argument wins over `[service.NAME]`, that over `[default]`, that
    /// over what is built in.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is unknown or in doubt, anywhere in the file.
    pub fn for_service(
        text: Option<&[u8]>,
        service: &str,
        arguments: &[&[u8]],
    ) -> Result<Self, ConfigError> {
        let file = match text {
            Some(text) => ConfigFile::parse(text).map_err(ConfigError::File)?,
            None => ConfigFile::default(),
        };
        file.settings(service, arguments)
    }
}

/// The policy file, all of it checked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConfigFile {
    /// The relying party id of new credentials.
    pub rp_id: RpId,
    /// Whether users may register their own keys.
    pub self_service: bool,
    /// How whoever has lost every key gets in again, in the administrator's words. No login depends on it.
    pub way_back: Option<String>,
    /// Whether the file says what [`ConfigFile::rp_id`] is.
    names_rp_id: bool,
    /// Which keys may be registered. No login depends on it.
    pub registration: Registration,
    default: Layer,
    services: BTreeMap<String, Layer>,
}

impl ConfigFile {
    /// Reads the text of the policy file, at most 64 KiB of UTF-8.
    ///
    /// # Errors
    /// The first [`Misfit`].
    pub fn parse(text: &[u8]) -> Result<Self, Misfit> {
        let source = Source::new(text)?;
        let raw: RawConfig = source.parse()?;
        let RawConfig { schema: _, rp_id, self_service, way_back, registration, default, service } =
            raw;
        if let Some(word) = &default.touch_only_alternative {
            let reason = "belongs in the table of the very service that it is meant for";
            return Err(source.wrong("touch_only_alternative", word.span(), reason));
        }
        let mut services = BTreeMap::new();
        for (name, raw) in &service {
            source.value(name.get_ref(), name, |name| service_name(name))?;
            services.insert(name.get_ref().clone(), raw.layer(source)?);
        }
        Ok(Self {
            rp_id: source
                .optional("rp_id", rp_id.as_ref(), |id| RpId::new(id).map_err(|bad| bad.0))?
                .unwrap_or_default(),
            names_rp_id: rp_id.is_some(),
            self_service: self_service.unwrap_or_default(),
            way_back: source.optional("way_back", way_back.as_ref(), |text| words(text))?,
            registration: registration.read(source)?,
            default: default.layer(source)?,
            services,
        })
    }

    /// The services that have a table of their own, in order.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// What a login must prove beyond the touch where no service is meant.
    #[must_use]
    pub fn verification(&self) -> Verification {
        self.default.verification.unwrap_or_default()
    }

    /// With so many tries of a PIN left, or fewer, it is not asked for where no service is meant.
    #[must_use]
    pub fn pin_guard(&self) -> u8 {
        self.default.pin_guard.unwrap_or(PIN_GUARD)
    }

    /// See [`Settings::for_service`].
    ///
    /// # Errors
    /// [`ConfigError`] for what is wrong with the arguments or with all of it together.
    pub fn settings(self, service: &str, arguments: &[&[u8]]) -> Result<Settings, ConfigError> {
        let in_force = Layer::from_arguments(arguments)?
            .over(self.services.get(service).copied().unwrap_or_default())
            .over(self.default);
        let Some(mode) = in_force.mode else {
            return Err(ConfigError::Incomplete {
                key: "mode",
                message: "mode is not set: write mode=second-factor or mode=alternative on the module's \
                          line, or mode in the policy file",
            });
        };
        let verification = in_force.verification.unwrap_or_default();
        if mode == Mode::Alternative
            && verification == Verification::None
            && in_force.touch_only_alternative != Some(true)
        {
            return Err(ConfigError::Incomplete {
                key: "touch_only_alternative",
                message: "mode alternative lets in without a password: it needs verification = \
                          \"required\", or touch_only_alternative = true for this very service",
            });
        }
        Ok(Settings {
            mode,
            rules: Rules {
                remote: in_force.remote.unwrap_or_default(),
                unenrolled: in_force.unenrolled.unwrap_or_default(),
                verification,
            },
            rp_id: self.rp_id,
            counter: in_force.counter.unwrap_or_default(),
            wait_for_key: in_force.wait_for_key.unwrap_or(Duration::from_secs(30)),
            touch: in_force.touch.unwrap_or(Duration::from_secs(30)),
            pin_guard: in_force.pin_guard.unwrap_or(PIN_GUARD),
        })
    }
}

/// Why there are no settings, for the log: it shows no value of the file or of the line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ConfigError {
    /// An argument of the module's line is wrong.
    Argument {
        /// Which one, from 1.
        number: usize,
        /// The part before its `=`: printable, at most 64 characters.
        key: String,
        /// What is wrong with it.
        message: &'static str,
    },
    /// The policy file is wrong.
    File(Misfit),
    /// Each part is right, but together they do not say enough.
    Incomplete {
        /// What is missing.
        key: &'static str,
        /// Why, and what to do.
        message: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument { number, key, message } => {
                write!(f, "argument {number}: {key}: {message}")
            }
            Self::File(misfit) => misfit.fmt(f),
            Self::Incomplete { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for ConfigError {}

/// What one place says: the arguments, a service's table, the table of defaults.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Layer {
    mode: Option<Mode>,
    verification: Option<Verification>,
    unenrolled: Option<Unenrolled>,
    remote: Option<Remote>,
    counter: Option<CounterPolicy>,
    wait_for_key: Option<Duration>,
    touch: Option<Duration>,
    pin_guard: Option<u8>,
    touch_only_alternative: Option<bool>,
}

impl Layer {
    /// This layer where it says something, else `below`.
    fn over(self, below: Self) -> Self {
        Self {
            mode: self.mode.or(below.mode),
            verification: self.verification.or(below.verification),
            unenrolled: self.unenrolled.or(below.unenrolled),
            remote: self.remote.or(below.remote),
            counter: self.counter.or(below.counter),
            wait_for_key: self.wait_for_key.or(below.wait_for_key),
            touch: self.touch.or(below.touch),
            pin_guard: self.pin_guard.or(below.pin_guard),
            touch_only_alternative: self.touch_only_alternative.or(below.touch_only_alternative),
        }
    }

    fn from_arguments(arguments: &[&[u8]]) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        for (argument, number) in arguments.iter().zip(1..) {
            let key_bytes = argument.split(|&byte| byte == b'=').next().unwrap_or_default();
            let key = String::from_utf8_lossy(key_bytes);
            layer.set(&key, argument.get(key_bytes.len()..).unwrap_or_default()).map_err(
                |message| ConfigError::Argument { number, key: text::printable(&key), message },
            )?;
        }
        Ok(layer)
    }

    /// Takes one argument; `value` begins with its `=`.
    fn set(&mut self, key: &str, value: &[u8]) -> Result<(), &'static str> {
        let value = str::from_utf8(value).map_err(|_| "not UTF-8");
        let value = || value?.strip_prefix('=').ok_or("must be written as key=value");
        match key {
            "mode" => once(&mut self.mode, mode(value()?)),
            "verification" => once(&mut self.verification, text::verification(value()?)),
            "unenrolled" => once(&mut self.unenrolled, unenrolled(value()?)),
            "remote" => once(&mut self.remote, remote(value()?)),
            "counter" => once(&mut self.counter, text::counter(value()?)),
            "wait_for_key" => once(&mut self.wait_for_key, wait_for_key(value()?)),
            "touch" => once(&mut self.touch, touch(value()?)),
            "pin_guard" => once(&mut self.pin_guard, whole_number(value()?).and_then(pin_guard)),
            "touch_only_alternative" => {
                once(&mut self.touch_only_alternative, true_or_false(value()?))
            }
            "aaguids" | "attestation_roots" | "rp_id" | "schema" | "self_service" | "way_back" => {
                Err("belongs in the policy file")
            }
            _ => Err("unknown argument"),
        }
    }
}

/// The file as TOML has it; `deny_unknown_fields` is what makes a misspelt key an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    // Checked when the text is read; named here so that it must be there.
    #[expect(dead_code, reason = "its presence is all that is asked of it here")]
    schema: i64,
    rp_id: Option<Spanned<String>>,
    self_service: Option<bool>,
    way_back: Option<Spanned<String>>,
    #[serde(default)]
    registration: registration::RawRegistration,
    #[serde(default)]
    default: RawLayer,
    #[serde(default)]
    service: BTreeMap<Spanned<String>, RawLayer>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLayer {
    mode: Option<Spanned<String>>,
    verification: Option<Spanned<String>>,
    unenrolled: Option<Spanned<String>>,
    remote: Option<Spanned<String>>,
    counter: Option<Spanned<String>>,
    wait_for_key: Option<Spanned<String>>,
    touch: Option<Spanned<String>>,
    pin_guard: Option<Spanned<i64>>,
    touch_only_alternative: Option<Spanned<bool>>,
}

impl RawLayer {
    fn layer(&self, source: Source<'_>) -> Result<Layer, Misfit> {
        let Self { mode: mode_word, touch: touch_word, .. } = self;
        Ok(Layer {
            mode: source.optional("mode", mode_word.as_ref(), |word| mode(word))?,
            verification: source.optional("verification", self.verification.as_ref(), |word| {
                text::verification(word)
            })?,
            unenrolled: source
                .optional("unenrolled", self.unenrolled.as_ref(), |word| unenrolled(word))?,
            remote: source.optional("remote", self.remote.as_ref(), |word| remote(word))?,
            counter: source
                .optional("counter", self.counter.as_ref(), |word| text::counter(word))?,
            wait_for_key: source
                .optional("wait_for_key", self.wait_for_key.as_ref(), |span| wait_for_key(span))?,
            touch: source.optional("touch", touch_word.as_ref(), |span| touch(span))?,
            pin_guard: source
                .optional("pin_guard", self.pin_guard.as_ref(), |&left| pin_guard(left))?,
            touch_only_alternative: self
                .touch_only_alternative
                .as_ref()
                .map(|word| *word.get_ref()),
        })
    }
}

/// What can be shown on a line.
fn words(text: &str) -> Result<String, &'static str> {
    let shown = (1..=WORDS_MAX).contains(&text.trim().chars().count());
    match shown && !text.chars().any(is_unprintable) {
        true => Ok(text.to_owned()),
        false => Err("must be 1 to 200 characters that can be shown"),
    }
}

fn once<T>(slot: &mut Option<T>, value: Result<T, &'static str>) -> Result<(), &'static str> {
    match slot.replace(value?) {
        None => Ok(()),
        Some(_) => Err("given twice"),
    }
}

fn mode(word: &str) -> Result<Mode, &'static str> {
    let known = Mode::ALL.into_iter().find(|mode| mode.word() == word);
    known.ok_or("must be \"alternative\" or \"second-factor\"")
}

fn unenrolled(word: &str) -> Result<Unenrolled, &'static str> {
    let known = Unenrolled::ALL.into_iter().find(|rule| rule.word() == word);
    known.ok_or("must be \"deny\" or \"skip\"")
}

fn remote(word: &str) -> Result<Remote, &'static str> {
    let known = Remote::ALL.into_iter().find(|rule| rule.word() == word);
    known.ok_or("must be \"deny\", \"skip\" or \"verify\"")
}

fn wait_for_key(span: &str) -> Result<Duration, &'static str> {
    seconds(span, 0).ok_or("must be whole seconds, \"0s\" to \"120s\"")
}

fn touch(span: &str) -> Result<Duration, &'static str> {
    seconds(span, 1).ok_or("must be whole seconds, \"1s\" to \"120s\"")
}

fn seconds(span: &str, least: u64) -> Option<Duration> {
    let seconds: u64 = span.strip_suffix('s')?.parse().ok()?;
    // One length, one text: no sign, no leading zero.
    ((least..=WAIT_MAX).contains(&seconds) && format!("{seconds}s") == span)
        .then(|| Duration::from_secs(seconds))
}

fn pin_guard(left: i64) -> Result<u8, &'static str> {
    match u8::try_from(left) {
        Ok(left @ 1..=PIN_GUARD_MAX) => Ok(left),
        _ => Err("must be 1 to 7"),
    }
}

fn whole_number(word: &str) -> Result<i64, &'static str> {
    match word.parse::<i64>() {
        Ok(number) if number.to_string() == word => Ok(number),
        _ => Err("must be a whole number"),
    }
}

fn true_or_false(word: &str) -> Result<bool, &'static str> {
    word.parse().map_err(|_| "must be true or false")
}

/// Whether libpam could ever ask for a service of that name: it puts names into lower case, and a table
/// that can never be meant is a mistake.
fn service_name(name: &str) -> Result<(), &'static str> {
    let odd =
        |c: char| is_unprintable(c) || c.is_whitespace() || c.is_ascii_uppercase() || c == '/';
    match name.is_empty() || name.chars().any(odd) {
        true => Err("not the name of a PAM service: those are in lower case, without spaces"),
        false => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
