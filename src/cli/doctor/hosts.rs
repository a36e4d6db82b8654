//! Programs with traps of their own: polkit's helper, which is shut away from devices, and screen lockers, which run as
//! the user.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fidokey_core::findings::Kind;

use super::report::{Report, word};
use super::stacks::Asking;
use super::world::World;

/// The service of polkit.
const POLKIT: &str = "polkit-1";
/// The unit of its helper, which there is from version 127 on.
const UNIT: &str = "polkit-agent-helper@.service";
/// Where systemd looks for units, what counts most first (systemd.unit(5)).
const DIRECTORIES: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// The largest unit that is read, in bytes.
const UNIT_MAX: usize = 256 * 1024;

/// Services of screen lockers, by the beginnings of their names.
const LOCKERS: [&str; 12] = [
    "gtklock",
    "hyprlock",
    "i3lock",
    "kde",
    "kscreenlocker",
    "mate-screensaver",
    "swaylock",
    "vlock",
    "waylock",
    "xfce4-screensaver",
    "xscreensaver",
    "xsecurelock",
];
/// The rules by which the user at the machine may open keys.
const RULES: [&str; 2] = ["60-fido-id.rules", "70-uaccess.rules"];

/// Looks at the services that ask for a key and have a trap.
pub(crate) fn examine(world: &World, asking: &[Asking], report: &mut Report) {
    for service in asking {
        if service.name == POLKIT {
            polkit(world, service, report);
        }
        if LOCKERS.iter().any(|locker| service.name.starts_with(locker)) {
            locker(world, service, report);
        }
    }
}

fn polkit(world: &World, service: &Asking, report: &mut Report) {
    let Some((unit, texts)) = unit(world) else { return };
    let sandbox = Sandbox::of(texts.iter().map(String::as_str));
    if sandbox.lets_keys_through() {
        return;
    }
    let wrong = format!(
        "No request of polkit that asks for a key can succeed: {} hides all devices from its helper ({}).",
        unit.display(),
        sandbox.why()
    );
    let drop_in = world.place(format!("/etc/systemd/system/{UNIT}.d/50-fidokey.conf"));
    let remedy = format!(
        "`printf '[Service]\\nPrivateDevices=no\\nDeviceAllow=char-hidraw rw\\nReadWritePaths=-/var/lib/fidokey\\n' | \
         install -D -m 0644 /dev/stdin {} && systemctl daemon-reload`",
        word(drop_in)
    );
    report.found(Kind::PolkitSandbox, service.place.clone(), wrong, remedy);
}

/// The unit of the helper, and its texts in the order in which systemd reads them: itself, then its drop-ins by their
/// names. Nothing, where there is none, as with versions whose helper is setuid.
fn unit(world: &World) -> Option<(PathBuf, Vec<String>)> {
    let text = |path: &Path| {
        let (text, _whole) = world.tree.read(path, UNIT_MAX).ok().flatten()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    let mut units = DIRECTORIES.iter().map(|directory| Path::new(directory).join(UNIT));
    let (path, first) = units.find_map(|path| Some((path.clone(), text(&path)?)))?;
    // Of two of the same name that in the directory which counts most is read, be it empty or a link to /dev/null.
    let mut drop_ins: BTreeMap<String, PathBuf> = BTreeMap::new();
    for directory in DIRECTORIES.iter().rev() {
        for of in ["service.d", &format!("{UNIT}.d")] {
            let directory = Path::new(directory).join(of);
            let names = world.tree.names(&directory).ok().flatten().unwrap_or_default().names;
            for name in names.iter().filter_map(|name| name.to_str()) {
                if name.ends_with(".conf") {
                    drop_ins.insert(name.to_owned(), directory.join(name));
                }
            }
        }
    }
    let texts = [first].into_iter().chain(drop_ins.values().filter_map(|path| text(path)));
    Some((path, texts.collect()))
}

/// What of a unit decides about devices (systemd.exec(5), systemd.resource-control(5)).
#[derive(Debug, Default, Eq, PartialEq)]
struct Sandbox {
    private: bool,
    closed: bool,
    allowed: Vec<String>,
}

impl Sandbox {
    /// What all of `texts` together say: a later one wins, and an empty list begins anew.
    fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut sandbox = Self::default();
        for text in texts {
            let mut in_service = false;
            for line in text.lines().map(str::trim) {
                if line.starts_with(['#', ';']) {
                    continue;
                }
                if line.starts_with('[') {
                    in_service = line == "[Service]";
                } else if let Some((key, value)) = line.split_once('=').filter(|_| in_service) {
                    sandbox.set(key.trim_end(), value.trim_start());
                }
            }
        }
        sandbox
    }

    fn set(&mut self, key: &str, value: &str) {
        match key {
            "PrivateDevices" => {
                let value = value.to_ascii_lowercase();
                self.private = matches!(value.as_str(), "1" | "yes" | "y" | "true" | "t" | "on");
            }
            "DevicePolicy" => self.closed = matches!(value, "closed" | "strict"),
            "DeviceAllow" if value.is_empty() => self.allowed.clear(),
            "DeviceAllow" => self.allowed.push(value.to_owned()),
            _ => {}
        }
    }

    fn lets_keys_through(&self) -> bool {
        !self.private && (self.allows_hidraw() || (!self.closed && self.allowed.is_empty()))
    }

    fn allows_hidraw(&self) -> bool {
        self.allowed.iter().any(|rule| {
            let mut words = rule.split_whitespace();
            // By the name of the class, which may have a pattern. A single node is another one tomorrow.
            let class = matches!(words.next(), Some("char-hidraw" | "char-hidraw*" | "char-*"));
            // Without a word all is allowed.
            let rights = words.next().unwrap_or("rwm");
            class && rights.contains('r') && rights.contains('w')
        })
    }

    fn why(&self) -> &'static str {
        match (self.private, self.allows_hidraw()) {
            (true, false) => "it says neither PrivateDevices=no nor DeviceAllow=char-hidraw rw",
            (true, true) => "it does not say PrivateDevices=no",
            (false, _) => "it does not say DeviceAllow=char-hidraw rw",
        }
    }
}

fn locker(world: &World, service: &Asking, report: &mut Report) {
    let rule = |name: &&str| {
        let beneath = ["/etc", "/run", "/usr/lib", "/lib"];
        let path = |base: &str| format!("{base}/udev/rules.d/{name}");
        beneath.iter().any(|base| matches!(world.tree.look(path(base).as_ref()), Ok(Some(_))))
    };
    let wrong = format!(
        "{} runs as the user, who must be able to open the key's device; signature counters are not compared.",
        service.name
    );
    let remedy = match RULES.iter().find(|name| !rule(name)) {
        Some(name) => {
            format!("udev's {name} is missing, which lets the user at the machine: install it.")
        }
        None => "See `getfacl /dev/hidraw*` while that user is at the machine.".to_owned(),
    };
    report.found(Kind::LockerAccess, service.place.clone(), wrong, remedy);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::scratch::Scratch;

    const SHIPPED: &str =
        "[Unit]\nPrivateDevices=no\n[Service]\nDevicePolicy=closed\nPrivateDevices=yes\n";
    const DROP_IN: &str = "[Service]\nPrivateDevices=no\nDeviceAllow=char-hidraw rw\n";

    fn lets(texts: &[&str]) -> bool {
        Sandbox::of(texts.iter().copied()).lets_keys_through()
    }

    #[test]
    fn given_a_unit_then_keys_get_through_with_both_words_alone() {
        assert!(!lets(&[SHIPPED]));
        assert!(!lets(&[SHIPPED, "[Service]\nPrivateDevices=no\n"]));
        assert!(!lets(&[SHIPPED, "[Service]\nDeviceAllow=char-hidraw rw\n"]));
        assert!(!lets(&[SHIPPED, "[Unit]\nPrivateDevices=no\nDeviceAllow=char-hidraw rw\n"]));
        assert!(!lets(&[SHIPPED, "[Service]\nPrivateDevices=no\n#DeviceAllow=char-hidraw rw\n"]));
        assert!(!lets(&[SHIPPED, "[Service]\nPrivateDevices=no\nDeviceAllow=char-hidraw r\n"]));
        assert!(!lets(&[SHIPPED, DROP_IN, "[Service]\nDeviceAllow=\n"]));
        assert!(!lets(&[SHIPPED, DROP_IN, "[Service]\nPrivateDevices=yes\n"]));
        assert!(lets(&[SHIPPED, DROP_IN]));
        assert!(lets(&[SHIPPED, "[Service]\n PrivateDevices = off\nDeviceAllow = char-hidraw\n"]));
        // Without a sandbox nothing has to be said.
        assert!(lets(&["[Service]\nUser=root\n"]));
        assert!(!lets(&["[Service]\nDeviceAllow=/dev/null rw\n"]));
    }

    // I8.
    #[test]
    fn given_polkits_sandbox_without_the_drop_in_then_it_is_a_lockout_where_polkit_asks() {
        let tree = Scratch::enabled("hosts-polkit");
        let unit = format!("usr/lib/systemd/system/{UNIT}");
        let drop_in = format!("etc/systemd/system/{UNIT}.d/50-fidokey.conf");
        tree.write(&unit, SHIPPED);
        // polkit's stack does not ask.
        assert_eq!(tree.found(), [""; 0]);
        tree.write("usr/lib/pam.d/polkit-1", tree.stack("sudo"));
        assert_eq!(
            (tree.found(), tree.exit()),
            (vec!["polkit-sandbox /usr/lib/pam.d/polkit-1:2".to_owned()], 1)
        );
        assert!(tree.text().contains("PrivateDevices=no\\nDeviceAllow=char-hidraw rw\\n"));
        for (half, missing) in [
            ("[Service]\nPrivateDevices=no\n", "does not say DeviceAllow=char-hidraw rw"),
            ("[Service]\nDeviceAllow=char-hidraw rw\n", "does not say PrivateDevices=no"),
        ] {
            tree.write(&drop_in, half);
            assert_eq!(tree.exit(), 1);
            assert!(tree.text().contains(missing), "{}", tree.text());
        }
        tree.write(&drop_in, DROP_IN);
        assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
        // Masked where it counts more, and read where it counts less.
        let less = format!("usr/lib/systemd/system/{UNIT}.d/50-fidokey.conf");
        tree.write(&less, DROP_IN);
        tree.write(&drop_in, "");
        assert_eq!(tree.exit(), 1);
        tree.remove(&drop_in);
        assert_eq!(tree.exit(), 0);
        // An older polkit has no such unit.
        tree.remove(&less);
        tree.remove(&unit);
        assert_eq!(tree.exit(), 0);
    }

    // I8.
    #[test]
    fn given_a_locker_that_asks_then_it_is_a_note() {
        let tree = Scratch::enabled("hosts-locker");
        tree.write("etc/pam.d/swaylock", tree.stack("sudo"));
        assert_eq!(
            (tree.found(), tree.exit()),
            (vec!["locker-access /etc/pam.d/swaylock:2".to_owned()], 0)
        );
        assert!(tree.text().contains("60-fido-id.rules is missing"), "{}", tree.text());
        for rule in RULES {
            tree.write(&format!("usr/lib/udev/rules.d/{rule}"), "");
        }
        assert!(tree.text().contains("getfacl"), "{}", tree.text());
    }
}
