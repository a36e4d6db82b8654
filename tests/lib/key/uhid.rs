//! The kernel's end of the wire: a USB HID device made with `/dev/uhid`, and so a real hidraw node.
//!
//! The structures are those of `linux/uhid.h`, packed, in the byte order of the machine, written and read
//! as bytes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::packet::{PacketEnd, Report, wait_readable};

const UHID_DESTROY: u32 = 1;
const UHID_OUTPUT: u32 = 6;
const UHID_GET_REPORT: u32 = 9;
const UHID_GET_REPORT_REPLY: u32 = 10;
const UHID_CREATE2: u32 = 11;
const UHID_INPUT2: u32 = 12;
const UHID_SET_REPORT: u32 = 13;
const UHID_SET_REPORT_REPLY: u32 = 14;

/// `sizeof(struct uhid_event)`: the type and the largest member of the union, `uhid_create2_req`.
const EVENT_SIZE: usize = 4 + 4372;
const DATA_MAX: usize = 4096;

const BUS_USB: u16 = 3;
const VENDOR: u32 = 0x1915;
const PRODUCT: u32 = 0x521f;
const EIO: u16 = 5;

/// CTAP 2.1 section 11.2.8.1, byte for byte: usage page 0xF1D0, 64 bytes in, 64 bytes out, no report
/// number.
pub const REPORT_DESCRIPTOR: [u8; 34] = [
    0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x20, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08,
    0x95, 0x40, 0x81, 0x02, 0x09, 0x21, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x91,
    0x02, 0xc0,
];

/// A device of this kernel; it goes when this is dropped, or when the process dies.
pub struct UhidEnd {
    device: File,
    unique: String,
}

impl UhidEnd {
    /// Plugs a key into the kernel whose device calls itself `product`, 127 bytes of it. Its hidraw node appears a little later.
    ///
    /// # Errors
    /// `/dev/uhid` is missing (load the module `uhid`) or may not be used.
    pub fn create(product: &str) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let unique = format!("emulated-{}-{count}", std::process::id());

        let mut device = OpenOptions::new().read(true).write(true).open("/dev/uhid")?;
        let mut event = UHID_CREATE2.to_ne_bytes().to_vec();
        push_text(&mut event, product, 128);
        push_text(&mut event, "emulated", 64);
        push_text(&mut event, &unique, 64);
        event.extend((REPORT_DESCRIPTOR.len() as u16).to_ne_bytes());
        event.extend(BUS_USB.to_ne_bytes());
        for number in [VENDOR, PRODUCT, 0, 0] {
            event.extend(number.to_ne_bytes());
        }
        event.extend(REPORT_DESCRIPTOR);
        event.resize(EVENT_SIZE, 0);
        device.write_all(&event)?;
        Ok(Self { device, unique })
    }

    /// What the kernel shows as `HID_UNIQ`: tells this device from any other.
    #[must_use]
    pub fn unique(&self) -> &str {
        &self.unique
    }

    /// FIDO keys have no feature reports; without an answer the asker would wait for five seconds.
    fn refuse(&mut self, reply: u32, request: &[u8]) -> io::Result<()> {
        let mut event = reply.to_ne_bytes().to_vec();
        event.extend(&request[..4]);
        event.extend(EIO.to_ne_bytes());
        event.resize(EVENT_SIZE, 0);
        self.device.write_all(&event)
    }
}

impl PacketEnd for UhidEnd {
    fn receive(&mut self, timeout: Duration) -> io::Result<Option<Report>> {
        if !wait_readable(&self.device, timeout)? {
            return Ok(None);
        }
        let mut event = [0; EVENT_SIZE];
        // One read is one event.
        let _ = self.device.read(&mut event)?;
        let (kind, body) = event.split_at(4);
        match u32::from_ne_bytes([kind[0], kind[1], kind[2], kind[3]]) {
            UHID_OUTPUT => {
                let size = usize::from(u16::from_ne_bytes([body[DATA_MAX], body[DATA_MAX + 1]]));
                Ok(report(&body[..size.min(DATA_MAX)]))
            }
            UHID_GET_REPORT => self.refuse(UHID_GET_REPORT_REPLY, body).map(|()| None),
            UHID_SET_REPORT => self.refuse(UHID_SET_REPORT_REPLY, body).map(|()| None),
            // Start, stop, open, close: a key does not know whether anyone listens.
            _ => Ok(None),
        }
    }

    fn send(&mut self, report: &Report) -> io::Result<()> {
        let mut event = UHID_INPUT2.to_ne_bytes().to_vec();
        event.extend((report.len() as u16).to_ne_bytes());
        event.extend(report);
        self.device.write_all(&event)
    }
}

impl Drop for UhidEnd {
    fn drop(&mut self) {
        // Closing the file does the same; the error of a device that is already gone is no news.
        let _ = self.device.write_all(&UHID_DESTROY.to_ne_bytes());
    }
}

/// The name of the hidraw node of the device that [`UhidEnd::create`] made, once `/dev` has it.
pub(super) fn await_hidraw(unique: &str, patience: Duration) -> io::Result<String> {
    let wanted = format!("HID_UNIQ={unique}");
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        for node in fs::read_dir("/sys/class/hidraw").into_iter().flatten().flatten() {
            let uevent = fs::read_to_string(node.path().join("device/uevent")).unwrap_or_default();
            let name = node.file_name().to_string_lossy().into_owned();
            if uevent.lines().any(|line| line == wanted) && Path::new("/dev").join(&name).exists() {
                return Ok(name);
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(io::Error::other("the kernel made no hidraw node (is the module hid-generic there?)"))
}

fn push_text(event: &mut Vec<u8>, text: &str, size: usize) {
    let end = event.len() + size;
    event.extend(text.bytes().take(size - 1));
    event.resize(end, 0);
}

/// hidraw hands over what was written: 64 bytes behind the report number 0, which most programs send.
fn report(data: &[u8]) -> Option<Report> {
    match data {
        [0, report @ ..] if report.len() == 64 => report.try_into().ok(),
        report => report.try_into().ok(),
    }
}
