//! A USB bus with one device on it, that is already configured: packets in and out, nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fidokey_tests::key::Report;
use usb_device::bus::{PollResult, UsbBus};
use usb_device::endpoint::{EndpointAddress, EndpointType};
use usb_device::{Result, UsbDirection, UsbError};

/// The packets that are on their way.
#[derive(Clone, Default)]
pub(crate) struct Line(Arc<Mutex<Packets>>);

#[derive(Default)]
struct Packets {
    to_key: Option<Report>,
    from_key: VecDeque<Report>,
}

impl Line {
    /// Puts a packet where the firmware reads the next one from.
    pub(crate) fn put(&self, report: Report) {
        self.lock().to_key = Some(report);
    }

    /// The next packet that the firmware has written.
    pub(crate) fn take(&self) -> Option<Report> {
        self.lock().from_key.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Packets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Bus {
    line: Line,
    endpoints: usize,
}

impl Bus {
    pub(crate) fn new(line: Line) -> Self {
        Self { line, endpoints: 0 }
    }
}

impl UsbBus for Bus {
    fn alloc_ep(
        &mut self,
        direction: UsbDirection,
        address: Option<EndpointAddress>,
        _: EndpointType,
        _: u16,
        _: u8,
    ) -> Result<EndpointAddress> {
        self.endpoints += 1;
        Ok(address.unwrap_or_else(|| EndpointAddress::from_parts(self.endpoints, direction)))
    }

    fn write(&self, _: EndpointAddress, packet: &[u8]) -> Result<usize> {
        let report = packet.try_into().map_err(|_| UsbError::BufferOverflow)?;
        self.line.lock().from_key.push_back(report);
        Ok(packet.len())
    }

    fn read(&self, _: EndpointAddress, packet: &mut [u8]) -> Result<usize> {
        let report = self.line.lock().to_key.take().ok_or(UsbError::WouldBlock)?;
        packet.get_mut(..report.len()).ok_or(UsbError::BufferOverflow)?.copy_from_slice(&report);
        Ok(report.len())
    }

    fn enable(&mut self) {}

    fn reset(&self) {}

    fn set_device_address(&self, _: u8) {}

    fn set_stalled(&self, _: EndpointAddress, _: bool) {}

    fn is_stalled(&self, _: EndpointAddress) -> bool {
        false
    }

    fn suspend(&self) {}

    fn resume(&self) {}

    fn poll(&self) -> PollResult {
        PollResult::None
    }
}
