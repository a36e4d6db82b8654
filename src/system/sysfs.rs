//! The FIDO keys as sysfs shows them, by which no node is opened: opening a node to find out would open keyboards too.

use std::fs;
use std::path::{Path, PathBuf};

use fidokey_core::ports::{Device, Fault, KeyId};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};

use crate::descriptors::{fill, open_at};
use crate::device::described;
use crate::listing::names;
use crate::report_descriptor::{DESCRIPTOR_MAX, is_fido};

/// The most that sysfs ever has in a file that is read here: one page.
const UEVENT_MAX: usize = 4096;
/// The longest of the files with a number in them.
const NUMBER_MAX: usize = 32;

/// The directory of sysfs that has a directory for every node.
#[derive(Clone, Debug)]
pub(crate) struct Sysfs(PathBuf);

impl Sysfs {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// Whether it is there: it comes with the first HID device.
    pub(crate) fn has_class(&self) -> bool {
        self.0.exists()
    }

    /// Whether sysfs is there, which has the directory of classes without any device as well.
    pub(crate) fn is_mounted(&self) -> bool {
        self.0.parent().is_some_and(Path::exists)
    }

    /// The keys, in the order of their nodes' numbers. None, where there is no sysfs.
    ///
    /// # Errors
    /// [`Fault`] when the directory cannot be read.
    pub(crate) fn keys(&self) -> Result<Vec<KeyId>, Fault> {
        let names = match names(&self.0) {
            Err(Errno::ENOENT) => return Ok(Vec::new()),
            other => other.map_err(|errno| Fault { call: "readdir", errno: errno as i32 })?,
        };
        let mut keys = Vec::new();
        for name in names {
            let number = name.to_str().and_then(|name| name.strip_prefix("hidraw"));
            let number: Option<u32> = number.and_then(|number| number.parse().ok());
            let Some(number) = number.map(u64::from) else { continue };
            let key = KeyId(number);
            // "+3" and "03" parse as well, and are nobody's names.
            if name.to_str() == Some(&node(key)) {
                keys.push(KeyId(number | self.instance(key)));
            }
        }
        keys.sort_unstable_by_key(|KeyId(key)| key & NODE);
        keys.retain(|key| self.is_fido(*key));
        Ok(keys)
    }

    /// The text of the device number of `key`'s node. None where this key is not behind it any more: the number may have
    /// passed to another key or a keyboard since the list was made.
    pub(crate) fn number(&self, key: KeyId) -> Option<Vec<u8>> {
        let number = read_at_most(&self.directory(key).join("dev"), NUMBER_MAX).ok()?;
        let now = KeyId((key.0 & NODE) | self.instance(key));
        (now == key && self.is_fido(key)).then_some(number)
    }

    /// What the kernel knows of `key`. What cannot be read is not known: it only gives the key a name.
    pub(crate) fn device(&self, key: KeyId) -> Device {
        let node = self.directory(key);
        let uevent = read_at_most(&node.join("device/uevent"), UEVENT_MAX).unwrap_or_default();
        // On the USB the device above the HID device is an interface, and the one above that has the descriptor.
        let release = node.join("device/../../bcdDevice");
        described(&uevent, &read_at_most(&release, NUMBER_MAX).unwrap_or_default())
    }

    /// Whether `key` is a FIDO key. What cannot be read is none: it was removed in between.
    fn is_fido(&self, key: KeyId) -> bool {
        let path = self.directory(key).join("device/report_descriptor");
        read_at_most(&path, DESCRIPTOR_MAX).is_ok_and(|descriptor| is_fido(&descriptor))
    }

    /// What tells a key from the one that was behind the same node before it, in the upper half of the key's
    /// number: the kernel's count of HID devices, the last part of `0003:1050:0407.002A`, to which `device` leads.
    /// 0 where it does not say.
    fn instance(&self, key: KeyId) -> u64 {
        let device = fs::read_link(self.directory(key).join("device")).unwrap_or_default();
        let count = device
            .file_name()
            .and_then(|name| name.to_str()?.rsplit_once('.'))
            .and_then(|(_, count)| u32::from_str_radix(count, 16).ok());
        u64::from(count.unwrap_or(0)) << 32
    }

    fn directory(&self, key: KeyId) -> PathBuf {
        self.0.join(node(key))
    }
}

/// The part of a key's number that is its node's.
const NODE: u64 = u32::MAX as u64;

/// The name of a node, in sysfs and in `/dev`: its number is the lower half of the key's.
pub(crate) fn node(KeyId(key): KeyId) -> String {
    format!("hidraw{}", key & NODE)
}

/// The content of a small file of sysfs, of at most `limit` bytes.
fn read_at_most(path: &Path, limit: usize) -> Result<Vec<u8>, Errno> {
    let fd = open_at(AT_FDCWD, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?;
    let mut buffer = vec![0; limit.saturating_add(1)];
    let filled = fill(&fd, &mut buffer)?;
    if filled > limit {
        return Err(Errno::EFBIG);
    }
    buffer.truncate(filled);
    Ok(buffer)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::symlink;

    use fidokey_core::ports::Usb;
    use nix::libc;

    use super::*;
    use crate::report_descriptor::tests::{KEY, KEYBOARD};
    use crate::scratch::scratch;

    /// A tree of nodes in a scratch place: their numbers and report descriptors. Their device numbers are 1:3.
    pub(crate) fn tree(place: &Path, nodes: &[(u32, &[u8])]) -> PathBuf {
        let sys = place.join("sys");
        fs::create_dir_all(&sys).unwrap();
        for (number, descriptor) in nodes {
            let node = sys.join(format!("hidraw{number}"));
            fs::create_dir_all(node.join("device")).unwrap();
            fs::write(node.join("device/report_descriptor"), descriptor).unwrap();
            fs::write(node.join("dev"), "1:3\n").unwrap();
        }
        sys
    }

    #[test]
    fn the_keys_are_listed_in_the_order_of_their_numbers() {
        let nodes: [(u32, &[u8]); 5] =
            [(10, KEY), (9, KEY), (0, KEYBOARD), (2, &[]), (3, &[0xff; 5000])];
        let sysfs = Sysfs::new(tree(&scratch("sysfs-list"), &nodes));
        for odd in ["hidraw", "hidraw+4", "hidraw04", "hidrawx", "hidraw99999999999", "mouse0"] {
            fs::create_dir_all(sysfs.0.join(odd).join("device")).unwrap();
            fs::write(sysfs.0.join(odd).join("device/report_descriptor"), KEY).unwrap();
        }
        assert_eq!(sysfs.keys(), Ok(vec![KeyId(9), KeyId(10)]));
    }

    // D19, E12: the kernel's words, with whatever the device has put among them.
    #[test]
    fn a_device_is_described_by_the_kernels_own_lines() {
        let nodes = [1, 2, 3, 4].map(|number| (number, KEY));
        let sysfs = Sysfs::new(tree(&scratch("sysfs-device"), &nodes));
        let write = |number: u32, uevent: &[u8]| {
            fs::write(sysfs.0.join(format!("hidraw{number}/device/uevent")), uevent).unwrap();
        };
        write(
            1,
            b"DRIVER=hid-generic\nHID_ID=0003:00001050:00000407\nHID_NAME=Yubico YubiKey\n\
              HID_NAME=another\nHID_ID=0003:00000001:00000002\nHID_UNIQ=\n",
        );
        write(2, &[b"HID_ID=0005:00001050:00000407\nHID_NAME=", &[0xff; 300][..]].concat());
        write(3, &[b"HID_NAME=", &[b'x'; 5000][..]].concat());
        // As on the USB: the HID device in an interface in the device.
        let usb = sysfs.0.parent().unwrap().join("usb");
        fs::create_dir_all(usb.join("interface")).unwrap();
        fs::write(usb.join("bcdDevice"), "0442\n").unwrap();
        fs::rename(sysfs.0.join("hidraw1/device"), usb.join("interface/hid")).unwrap();
        symlink(usb.join("interface/hid"), sysfs.0.join("hidraw1/device")).unwrap();

        let first = sysfs.device(KeyId(1));
        assert_eq!(first.product, b"Yubico YubiKey");
        let usb = Usb { vendor: 0x1050, product: 0x0407, release: Some(0x0442) };
        assert_eq!(first.usb, Some(usb));
        let second = sysfs.device(KeyId(2));
        assert_eq!((second.product, second.usb), (vec![0xff; 255], None));
        for nothing in [3, 4, 5] {
            assert_eq!(sysfs.device(KeyId(nothing)), Device::default(), "{nothing}");
        }
    }

    // U13.
    #[test]
    fn a_machine_without_sysfs_shows_no_keys_and_an_unreadable_one_is_a_fault() {
        let place = scratch("sysfs-none");
        assert!(Sysfs::new(place.join("hidraw")).is_mounted());
        assert!(!Sysfs::new(place.join("class/hidraw")).is_mounted());
        assert_eq!(Sysfs::new(place.join("sys")).keys(), Ok(Vec::new()));
        fs::write(place.join("sys"), "").unwrap();
        let fault = Fault { call: "readdir", errno: libc::ENOTDIR };
        assert_eq!(Sysfs::new(place.join("sys")).keys(), Err(fault));
    }
}
