//! Randomness from `getrandom(2)`, and from nowhere else.

use fidokey_core::ports::Fault;
use nix::errno::Errno;
use nix::libc;

/// Fills `buffer` from `getrandom(2)`, whole or not at all. The kernel waits until its generator has been
/// seeded, once per boot; requests of up to 256 bytes are never cut short after that.
///
/// There is no other source on purpose: a challenge from a weaker one would be worse than no login.
///
/// # Errors
/// [`Fault`] when the kernel refuses (errno), or fills only a part (errno 0).
pub fn fill(buffer: &mut [u8]) -> Result<(), Fault> {
    loop {
        // SAFETY: the pointer and the length are those of one exclusively borrowed slice.
        let filled = unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        match usize::try_from(filled) {
            Ok(filled) if filled == buffer.len() => return Ok(()),
            Ok(_) => return Err(Fault { call: "getrandom", errno: 0 }),
            Err(_) if Errno::last() == Errno::EINTR => {}
            Err(_) => return Err(Fault { call: "getrandom", errno: Errno::last_raw() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_challenges_differ_and_an_empty_request_is_filled() {
        let (mut first, mut second) = ([0; 32], [0; 32]);
        fill(&mut first).unwrap();
        fill(&mut second).unwrap();
        assert_ne!(first, second);
        fill(&mut []).unwrap();
    }
}
