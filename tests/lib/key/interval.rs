//! A wire that is as slow as USB: each way, one report goes over at each tick of the polling interval.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::packet::{PacketEnd, Report};

/// An end that is polled as an interrupt endpoint is.
pub(super) struct PolledEnd<End> {
    end: End,
    interval: Duration,
    /// What was written to the key and has not come to its tick: the kernel keeps 32 reports for a program that is a
    /// device and drops others, so they are taken from it at once.
    waiting: VecDeque<Report>,
    /// The tick at which the next report can come in, and go out.
    into: Instant,
    out: Instant,
}

impl<End: PacketEnd> PolledEnd<End> {
    pub(super) fn new(end: End, interval: Duration) -> Self {
        let now = Instant::now();
        Self { end, interval, waiting: VecDeque::new(), into: now + interval, out: now + interval }
    }

    /// The first tick at or after `now` of the ticks that `tick` is one of.
    fn next(&self, tick: Instant, now: Instant) -> Instant {
        let late = now.saturating_duration_since(tick).as_micros();
        let interval = self.interval.as_micros().max(1);
        let ticks = u32::try_from(late.div_ceil(interval)).unwrap_or(u32::MAX);
        tick + self.interval * ticks
    }

    /// Takes what is written to the key until then.
    fn wait_until(&mut self, then: Instant) -> io::Result<()> {
        loop {
            let left = then.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            if let Some(report) = self.end.receive(left)? {
                self.waiting.push_back(report);
            }
        }
    }
}

impl<End: PacketEnd> PacketEnd for PolledEnd<End> {
    fn receive(&mut self, timeout: Duration) -> io::Result<Option<Report>> {
        if self.waiting.is_empty() {
            let Some(report) = self.end.receive(timeout)? else { return Ok(None) };
            self.waiting.push_back(report);
        }
        let tick = self.next(self.into, Instant::now());
        self.wait_until(tick)?;
        self.into = tick + self.interval;
        Ok(self.waiting.pop_front())
    }

    fn send(&mut self, report: &Report) -> io::Result<()> {
        let tick = self.next(self.out, Instant::now());
        self.wait_until(tick)?;
        self.out = tick + self.interval;
        self.end.send(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SeqpacketEnd;

    #[test]
    fn given_reports_both_ways_then_each_takes_a_tick_and_none_is_lost() {
        use std::os::fd::AsRawFd as _;

        let interval = Duration::from_millis(2);
        let (client, end) = SeqpacketEnd::pair().unwrap();
        let mut end = PolledEnd::new(end, interval);
        let started = Instant::now();
        for number in 0..20 {
            nix::unistd::write(&client, &[number; 64]).unwrap();
        }
        for number in 0..20 {
            end.send(&[number; 64]).unwrap();
        }
        for number in 0..20 {
            assert_eq!(end.receive(Duration::from_secs(1)).unwrap(), Some([number; 64]));
        }
        // Both ways at the same time; those that wait for the key are older than the last tick.
        assert!(started.elapsed() >= interval * 38, "{:?}", started.elapsed());
        assert_eq!(end.receive(Duration::from_millis(1)).unwrap(), None);
        let mut heard = [0; 64];
        for number in 0..20 {
            nix::sys::socket::recv(
                client.as_raw_fd(),
                &mut heard,
                nix::sys::socket::MsgFlags::MSG_DONTWAIT,
            )
            .unwrap();
            assert_eq!(heard, [number; 64]);
        }
    }

    /// A message longer than what the kernel keeps, and its echo (CTAPHID_PING).
    #[test]
    fn given_a_long_message_then_the_key_echoes_it() {
        use crate::key::EmulatedKey;

        let (client, end) = SeqpacketEnd::pair().unwrap();
        let key = EmulatedKey::new(1);
        let _handle = key.plug_into(PolledEnd::new(end, Duration::from_millis(5))).unwrap();
        let hear = || {
            let mut report = [0; 64];
            let all = nix::sys::socket::MsgFlags::empty();
            assert_eq!(
                nix::sys::socket::recv(std::os::fd::AsRawFd::as_raw_fd(&client), &mut report, all),
                Ok(64)
            );
            report
        };
        let mut init = [0; 64];
        init[..7].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x86, 0, 8]);
        nix::unistd::write(&client, &init).unwrap();
        let channel: [u8; 4] = hear()[15..19].try_into().unwrap();
        let payload: Vec<u8> = (0..2500_u16).map(|number| number.to_le_bytes()[0]).collect();
        let reports = crate::sim::device::frames(channel, 0x81, &payload);
        assert!(reports.len() > 40);
        for report in &reports {
            nix::unistd::write(&client, report).unwrap();
        }
        for report in reports {
            assert_eq!(hear(), report);
        }
    }
}
