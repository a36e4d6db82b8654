//! The devices of the running system: whether the keys that are plugged in can be used.

use std::path::Path;

use fidokey_core::findings::Kind;
use fidokey_core::ports::{Keys, OpenError};
use fidokey_system::hidraw::{Hidraw, Node};

use super::report::{Place, Report, word};

/// Looks at the keys that are plugged in.
pub(crate) fn examine(report: &mut Report) {
    plugged(&Hidraw::new(), report);
}

fn plugged(keys: &Hidraw, report: &mut Report) {
    let place = || Place::file(Path::new("/sys/class/hidraw"));
    if !keys.are_visible() {
        let wrong = "No key can be found: the system shows no devices.";
        let remedy =
            "`mount -t sysfs sysfs /sys`; in a container or sandbox, let it see /sys and /dev.";
        report.found(Kind::DevicesHidden, place(), wrong, remedy);
        return;
    }
    if !keys.has_class() {
        let wrong = "The kernel shows no HID devices: none is plugged in, or it has no hidraw.";
        let remedy = "Plug in a key and look again; where nothing changes, `modprobe hid_generic`.";
        report.found(Kind::HidrawAbsent, place(), wrong, remedy);
        return;
    }
    let nodes = match keys.nodes() {
        Ok(nodes) => nodes,
        Err(fault) => {
            let wrong = format!("The devices cannot be listed (error {}).", fault.errno);
            report.found(Kind::DevicesHidden, place(), wrong, "See `ls -l /sys/class/hidraw`.");
            return;
        }
    };
    for Node { path: node, opened } in nodes {
        let path = word(&node);
        let (wrong, remedy) = match opened {
            // Removed in the same moment: nothing to mend. Nobody's lock was asked for.
            Ok(()) | Err(OpenError::Gone | OpenError::Busy) => continue,
            Err(OpenError::NotAKey) => (
                "A key is plugged in, and this is not its device.".to_owned(),
                format!(
                    "See what it is, `ls -l {path}`; then `udevadm trigger --subsystem-match=hidraw`."
                ),
            ),
            Err(OpenError::Denied { errno }) => (
                format!(
                    "A key is plugged in, and even root cannot open its device (error {errno})."
                ),
                format!(
                    "`ls -l {path}`; where it is missing, `udevadm trigger --subsystem-match=hidraw`, and in \
                     a container let it have the device."
                ),
            ),
        };
        report.found(Kind::KeyInaccessible, Place::file(&node), wrong, remedy);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::doctor::scratch::{FIDO_DESCRIPTOR, Scratch};

    fn found(keys: &Hidraw) -> Vec<&'static str> {
        let mut report = Report::default();
        plugged(keys, &mut report);
        report.findings.iter().map(|finding| finding.kind.row().word).collect()
    }

    // U10, U13, I8.
    #[test]
    fn given_a_key_whose_node_is_missing_or_no_sysfs_then_it_is_a_lockout() {
        let tree = Scratch::new("devices");
        let (sys, dev) = (tree.path("sys/class/hidraw"), tree.path("dev"));
        let keys = Hidraw::beneath(&sys, &dev);
        assert_eq!(found(&keys), ["devices-hidden"]);
        fs::create_dir_all(sys.parent().unwrap()).unwrap();
        assert_eq!(found(&keys), ["hidraw-absent"]);
        fs::create_dir_all(sys.join("hidraw0/device")).unwrap();
        fs::create_dir_all(&dev).unwrap();
        fs::write(sys.join("hidraw0/dev"), "1:3\n").unwrap();
        fs::write(sys.join("hidraw0/device/report_descriptor"), "keyboard").unwrap();
        assert_eq!(found(&keys), [""; 0]);
        fs::write(sys.join("hidraw0/device/report_descriptor"), FIDO_DESCRIPTOR).unwrap();
        assert_eq!(found(&keys), ["key-inaccessible"]);
        // No device at all: a file.
        fs::write(dev.join("hidraw0"), "").unwrap();
        assert_eq!(found(&keys), ["key-inaccessible"]);
        fs::remove_dir_all(&sys).unwrap();
        fs::write(&sys, "").unwrap();
        assert_eq!(found(&keys), ["devices-hidden"]);
    }
}
