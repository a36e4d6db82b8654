//! What a key is as a device, from what the kernel's files say of it. Where those are is decided elsewhere.

use fidokey_core::ports::{Device, Usb};

/// The longest name of a device that is passed on, in bytes; the kernel keeps 127 of it.
const PRODUCT_MAX: usize = 255;

/// What the kernel says of a HID device, and of the USB device that it is a part of. The device's own words are in there,
/// line breaks included: of two lines with the same key the first is the kernel's.
pub(crate) fn described(uevent: &[u8], release: &[u8]) -> Device {
    let value =
        |key: &[u8]| uevent.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(key));
    let product = value(b"HID_NAME=").unwrap_or_default();
    let release = str::from_utf8(release).ok().and_then(|text| hexadecimal(text.trim_end()));
    let usb = value(b"HID_ID=").and_then(|id| {
        // Bus, maker, product: 0003:00001050:00000407.
        let mut numbers = str::from_utf8(id).ok()?.splitn(3, ':').map(hexadecimal);
        match (numbers.next()?, numbers.next()?, numbers.next()?) {
            (Some(3), Some(vendor), Some(product)) => Some(Usb { vendor, product, release }),
            _ => None,
        }
    });
    Device { product: product.get(..PRODUCT_MAX).unwrap_or(product).to_vec(), usb }
}

fn hexadecimal(text: &str) -> Option<u16> {
    u16::from_str_radix(text, 16).ok()
}
