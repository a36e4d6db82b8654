//! What pam_u2f is told, which its file does not say: the arguments of its line in a PAM stack, and since 1.4.0 a file of its own
//! that they go before.

use fidokey_core::credential::{RpId, Verification};
use fidokey_core::import::pam_u2f::DEVICES_MAX;
use fidokey_core::stack::{Call, Chain, Files, Trouble};
use fidokey_system::stacks::Stacks;

use crate::outcome::{Exit, Failure};
use crate::terminal::printable;

/// What it reads where its line has no `conf=`, if that is there.
const CONFIGURATION: &str = "/etc/security/pam_u2f.conf";
/// What to do where nobody knows what it is told.
const SAY_IT: &str = "Say --origin, --appid and --verification yourself.";

/// The files, and what stands where one cannot be read.
pub(super) trait Texts: Files {
    /// Whether it is there, or may be.
    fn may_be_there(&self, name: &[u8]) -> bool;
}

impl Texts for Stacks {
    fn may_be_there(&self, name: &[u8]) -> bool {
        Self::may_be_there(self, name)
    }
}

/// What it asks of all keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Module {
    pub(super) origin: Option<RpId>,
    pub(super) appid: Option<RpId>,
    pub(super) devices_max: usize,
    pub(super) verification: Verification,
}

impl Default for Module {
    fn default() -> Self {
        Self {
            origin: None,
            appid: None,
            devices_max: DEVICES_MAX,
            verification: Verification::None,
        }
    }
}

impl Module {
    /// By its line in the stack of `service`, where there is one, or they all say the same.
    pub(super) fn of(service: &str, files: &dyn Texts) -> Result<Self, Failure> {
        let chain = Chain::read(service.as_bytes(), files).map_err(|_| {
            Failure::new(
                Exit::Unreadable,
                format!("The PAM stack of {service} cannot be read."),
                "See `fidokey doctor`; or say --origin and --appid yourself.",
            )
        })?;
        match all(service, &chain, files)?.as_slice() {
            [line] if line.of_openssh => Err(Failure::new(
                Exit::No,
                format!("pam_u2f has OpenSSH's files in {service} (sshformat)."),
                "Take them over with `fidokey import ssh`.",
            )),
            [line] => Ok(line.module()),
            [] => Err(Failure::new(
                Exit::No,
                format!("{service} does not use pam_u2f."),
                "Name the service that does, or say --origin and --appid yourself.",
            )),
            _ => Err(Failure::new(
                Exit::No,
                format!("{service} uses pam_u2f several times, each time in another way."),
                SAY_IT,
            )),
        }
    }

    /// Where no line is looked at: by the file alone.
    pub(super) fn of_the_machine(files: &dyn Texts) -> Result<Self, Failure> {
        Ok(Said::by("this machine", &[], files)?.module())
    }

    /// Where no service is named: bound as by [`Self::of_the_machine`], and asked for as strictly as by any line of these
    /// services. With the services that ask for more than a touch.
    pub(super) fn strictest(
        services: &[String],
        files: &dyn Texts,
    ) -> Result<(Self, Vec<String>), Failure> {
        let mut module = Self::of_the_machine(files)?;
        let mut stricter = Vec::new();
        for service in services {
            let chain = match Chain::read(service.as_bytes(), files) {
                Ok(chain) => chain,
                // Nobody knows what another libpam makes of it, and every service reads one that all fall back to.
                Err(trouble @ Trouble::Doubtful { .. }) => return Err(doubtful(&trouble)),
                // It lets nobody in by pam_u2f.
                Err(_) => continue,
            };
            let lines = all(service, &chain, files)?;
            for line in lines.iter().filter(|line| !line.of_openssh).map(Said::module) {
                module.devices_max = module.devices_max.min(line.devices_max);
                module.verification = module.verification.max(line.verification);
                if line.verification == Verification::Required && !stricter.contains(service) {
                    stricter.push(service.clone());
                }
            }
        }
        Ok((module, stricter))
    }
}

/// What each line of pam_u2f in a stack says, without what is said again.
fn all(service: &str, chain: &Chain, files: &dyn Texts) -> Result<Vec<Said>, Failure> {
    let calls = chain.handlers().iter().filter_map(|handler| match &handler.call {
        Call::Module { name, arguments }
            if name.rsplit(|byte| *byte == b'/').next() == Some(b"pam_u2f.so") =>
        {
            Some(arguments)
        }
        _ => None,
    });
    let mut lines = Vec::new();
    for arguments in calls {
        let line = Said::by(service, arguments, files)?;
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    Ok(lines)
}

/// What was said, the last of it where it was said several times.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Said {
    origin: Option<RpId>,
    appid: Option<RpId>,
    /// Its own number of them where this is 0.
    devices: usize,
    by_pin: bool,
    by_key: bool,
    /// Its file is one of OpenSSH's.
    of_openssh: bool,
}

impl Said {
    fn by(service: &str, arguments: &[Vec<u8>], files: &dyn Texts) -> Result<Self, Failure> {
        let mut said = Self::default();
        let named = arguments.iter().rev().find_map(|argument| argument.strip_prefix(b"conf="));
        let path = named.unwrap_or(CONFIGURATION.as_bytes());
        let file = files.stack(path);
        // It lets nobody in then; what it would ask for is not known.
        if file.is_none() && (named.is_some() || files.may_be_there(path)) {
            let path = printable(&String::from_utf8_lossy(path));
            return Err(odd(service, &format!("{path}, which cannot be read")));
        }
        for line in file.unwrap_or_default().split(|byte| *byte == b'\n') {
            // What is behind a # is none of it.
            let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
            said.take(service, line)?;
        }
        for argument in arguments {
            said.take(service, argument)?;
        }
        Ok(said)
    }

    /// One of its arguments, or a line of its file.
    fn take(&mut self, service: &str, argument: &[u8]) -> Result<(), Failure> {
        let argument =
            str::from_utf8(argument).map_err(|_| odd(service, "what is not text"))?.trim();
        let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
        let value = value.trim_start();
        let bound_to = || {
            RpId::new(value).map(Some).map_err(|_| odd(service, "an origin or appid that is none"))
        };
        let number = || {
            number(value).ok_or_else(|| odd(service, &format!("{} that is no number", name.trim())))
        };
        match name.trim_end() {
            "origin" => self.origin = bound_to()?,
            "appid" => self.appid = bound_to()?,
            "max_devices" => self.devices = usize::try_from(number()?).unwrap_or(usize::MAX),
            // What is not 1 leaves it to each key's own options.
            "pinverification" => self.by_pin = number()? == 1,
            "userverification" => self.by_key = number()? == 1,
            "sshformat" => self.of_openssh = true,
            _ => {}
        }
        Ok(())
    }

    fn module(&self) -> Module {
        Module {
            origin: self.origin.clone(),
            appid: self.appid.clone(),
            devices_max: if self.devices == 0 { DEVICES_MAX } else { self.devices },
            verification: match self.by_pin || self.by_key {
                true => Verification::Required,
                false => Verification::None,
            },
        }
    }
}

fn doubtful(trouble: &Trouble) -> Failure {
    Failure::new(
        Exit::Unreadable,
        format!("What pam-u2f asks of keys is in doubt: {trouble}."),
        SAY_IT,
    )
}

fn odd(service: &str, what: &str) -> Failure {
    Failure::new(Exit::No, format!("What pam_u2f is told for {service} has {what}."), SAY_IT)
}

/// A number as scanf(3) reads it: what is behind the digits does not matter.
fn number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let number: i64 = digits.get(..end)?.parse().ok()?;
    Some(if text.starts_with('-') { number.saturating_neg() } else { number })
}

#[cfg(test)]
mod tests;
