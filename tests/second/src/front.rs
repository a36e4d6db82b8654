//! The side of the key that looks at the wire: the firmware's CTAPHID, driven as its USB interrupt does it.

use std::time::{Duration, Instant};

use ctaphid_dispatch::Requester;
use fidokey_tests::key::SharedWire;
use ref_swap::OptionRefSwap;
use trussed_core::InterruptFlag;
use usb_device::bus::UsbBusAllocator;
use usb_device::class::UsbClass as _;
use usb_device::device::{UsbDevice, UsbDeviceBuilder, UsbVidPid};
use usbd_ctaphid::CtapHid;
use usbd_ctaphid::types::Status;

use crate::bus::{Bus, Line};

/// The longest message, as the product has it.
pub(crate) const MESSAGE_MAX: usize = 3072;

/// The call that is going on in the authenticator, for CANCEL to interrupt.
pub(crate) type Current = OptionRefSwap<'static, InterruptFlag>;

pub(crate) struct Front<'a> {
    hid: CtapHid<'a, 'a, 'static, Bus, MESSAGE_MAX>,
    /// Its endpoints have no bus before there is a device.
    _device: UsbDevice<'a, Bus>,
    line: Line,
    wire: SharedWire,
    plugged: Instant,
    keepalive_at: Option<Instant>,
}

impl<'a> Front<'a> {
    pub(crate) fn new(
        bus: &'a UsbBusAllocator<Bus>,
        line: Line,
        requester: Requester<'a, MESSAGE_MAX>,
        current: &'static Current,
        wire: SharedWire,
    ) -> Self {
        let hid = CtapHid::with_interrupt(bus, requester, Some(current), 0)
            .implements_ctap1()
            .implements_ctap2()
            .implements_wink();
        let device = UsbDeviceBuilder::new(bus, UsbVidPid(0x20a0, 0x42b2)).build();
        let plugged = Instant::now();
        Self { hid, _device: device, line, wire, plugged, keepalive_at: None }
    }

    /// Waits for the next report, `timeout` at the most, and answers what can be answered without the
    /// authenticator; `asking` says whether that waits for a touch.
    pub(crate) fn serve(&mut self, timeout: Duration, asking: bool) {
        let until_keepalive = self
            .keepalive_at
            .map_or(timeout, |at| at.saturating_duration_since(Instant::now()).min(timeout));
        let received = self.wire.borrow_mut().receive(until_keepalive);
        let milliseconds = u32::try_from(self.plugged.elapsed().as_millis()).unwrap_or(u32::MAX);
        self.hid.check_timeout(milliseconds);
        if let Some(report) = received {
            self.line.put(report);
            let address = self.hid.pipe().read_address();
            self.hid.endpoint_out(address);
        }
        if let Status::ReceivedData(after) = self.hid.did_start_processing() {
            self.schedule(after.0);
        }
        if self.keepalive_at.is_some_and(|at| at <= Instant::now()) {
            self.keepalive_at = None;
            if let Status::ReceivedData(after) = self.hid.send_keepalive(asking) {
                self.schedule(after.0);
            }
        }
        self.flush();
    }

    /// Sends what the authenticator has answered, and all else that is waiting.
    pub(crate) fn flush(&mut self) {
        self.hid.poll();
        while let Some(report) = self.line.take() {
            self.wire.borrow_mut().send(&report);
            let address = self.hid.pipe().write_address();
            self.hid.endpoint_in_complete(address);
        }
    }

    fn schedule(&mut self, milliseconds: u32) {
        self.keepalive_at = Some(Instant::now() + Duration::from_millis(milliseconds.into()));
    }
}
