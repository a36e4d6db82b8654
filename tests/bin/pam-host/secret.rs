//! A secret that this program types without having it anywhere: each byte is made where it is handed over. And a search
//! for it in all of this process.

#![expect(unsafe_code, reason = "an answer to libpam is C memory")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use nix::libc;

/// What every byte of the command line's form is crossed with.
const MASK: u8 = 0x55;

/// The secret whose masked bytes these are, in hexadecimal.
fn byte(masked: &str, at: usize) -> u8 {
    u8::from_str_radix(&masked[2 * at..2 * at + 2], 16).expect("hexadecimal digits") ^ MASK
}

/// The secret as an answer to libpam, which is the module's to wipe and to free.
pub(crate) fn reply(masked: &str) -> *mut libc::c_char {
    let length = masked.len() / 2;
    // SAFETY: calloc has no preconditions.
    let reply: *mut u8 = unsafe { libc::calloc(1, length + 1) }.cast();
    for at in 0..length {
        // SAFETY: within what was just made.
        unsafe { reply.add(at).write(byte(masked, at)) };
    }
    reply.cast()
}

/// Where in this process the secret is: how often, in memory that can be written to.
pub(crate) fn found(masked: &str) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").expect("one's own maps");
    let memory = File::open("/proc/self/mem").expect("one's own memory");
    let length = masked.len() / 2;
    let mut count = 0;
    // Crossed at once, so that what is found here is not found again in the buffer.
    let mut chunk = vec![0; 1 << 16];
    for line in maps.lines() {
        let mut words = line.split(' ');
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').expect("a range");
        let [start, end] =
            [start, end].map(|text| u64::from_str_radix(text, 16).expect("a number"));
        let mut at = start;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(chunk.len());
            let Ok(got) = memory.read_at(&mut chunk[..wanted], at) else { break };
            chunk.iter_mut().for_each(|byte| *byte ^= MASK);
            let is_there = |window: &[u8]| {
                window.iter().enumerate().all(|(at, here)| here ^ MASK == byte(masked, at))
            };
            count += chunk[..got].windows(length).filter(|window| is_there(window)).count();
            if got < length || got < wanted {
                break;
            }
            // What lies across two chunks.
            at += (got - if at + got as u64 == end { 0 } else { length - 1 }) as u64;
        }
    }
    chunk.fill(0);
    count
}
