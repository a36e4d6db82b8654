//! The two clocks of the kernel that nobody can set, and the one that shows the date.

use std::time::Duration;

use fidokey_core::ports::{Fault, Moment};
use nix::time::{ClockId, clock_gettime};

/// Now on `CLOCK_MONOTONIC`, which stands still while the machine sleeps: a person who closes the lid has not
/// used up their time to touch the key.
///
/// # Errors
/// [`Fault`] when the clock cannot be read.
pub fn now() -> Result<Moment, Fault> {
    read(ClockId::CLOCK_MONOTONIC).map(Moment::new)
}

/// Nanoseconds since boot on `CLOCK_BOOTTIME`, sleep included: no two moments since boot share one.
///
/// # Errors
/// [`Fault`] when the clock cannot be read.
pub fn boottime_ns() -> Result<u64, Fault> {
    let since_boot = read(ClockId::CLOCK_BOOTTIME)?;
    u64::try_from(since_boot.as_nanos()).map_err(|_| Fault { call: "clock_gettime", errno: 0 })
}

/// What the wall clock shows, as the time since the beginning of 1970. Anybody with the right to may set it to
/// anything: it is for people to read, and nothing is decided by it.
///
/// # Errors
/// [`Fault`] when the clock cannot be read or shows a time before 1970.
pub fn since_1970() -> Result<Duration, Fault> {
    read(ClockId::CLOCK_REALTIME)
}

/// The name that the kernel gave to this boot (`boot_id`, random(4)): another one after every start.
#[must_use]
pub fn boot() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|name| !name.is_empty())
}

fn read(clock: ClockId) -> Result<Duration, Fault> {
    let fault = |errno| Fault { call: "clock_gettime", errno };
    let time = clock_gettime(clock).map_err(|errno| fault(errno as i32))?;
    let seconds = u64::try_from(time.tv_sec()).map_err(|_| fault(0))?;
    let nanoseconds = u32::try_from(time.tv_nsec()).map_err(|_| fault(0))?;
    // Duration::new panics when the nanoseconds carry the seconds over their end.
    if nanoseconds >= 1_000_000_000 {
        return Err(fault(0));
    }
    Ok(Duration::new(seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_never_go_back() {
        let (first, boot) = (now().unwrap(), boottime_ns().unwrap());
        assert!(now().unwrap() >= first);
        assert!(boottime_ns().unwrap() >= boot);
    }
}
