//! Accounts as the name service (NSS) knows them: a typed name becomes a number, the number a name.

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr;

use fidokey_core::credential::{AccountName, Uid};
use fidokey_core::ports::{Account, Fault};
use nix::errno::Errno;
use nix::libc;

/// The first buffer for an entry, in bytes. Entries are small; directory services have large ones.
const BUFFER_FIRST: usize = 1024;
/// The largest buffer for an entry, in bytes.
const BUFFER_MAX: usize = 1024 * 1024;
/// How often a lookup that a signal interrupted is made again.
const INTERRUPTIONS_MAX: u32 = 100;

/// The account that `name` means, under the name that the name service gives for its number: aliases and
/// other spellings of one account come to the same [`Account`].
///
/// # Errors
/// [`Fault`] when the name service fails, or gives a name that is none ([`AccountName`]).
pub fn account(name: &AccountName) -> Result<Option<Account>, Fault> {
    let Ok(typed) = CString::new(name.as_str()) else {
        return Ok(None);
    };
    let by_name = lookup("getpwnam_r", |entry, buffer, found| {
        // SAFETY: the name ends in NUL, `buffer` is as long as said, `entry` and `found` may be written to; all
        // of them outlive the call.
        unsafe { libc::getpwnam_r(typed.as_ptr(), entry, buffer.as_mut_ptr(), buffer.len(), found) }
    })?;
    by_name.map_or(Ok(None), |Entry { uid, .. }| account_of(uid))
}

/// The account of that number, or none.
///
/// # Errors
/// As [`account`].
pub fn account_of(uid: Uid) -> Result<Option<Account>, Fault> {
    let by_uid = lookup("getpwuid_r", |entry, buffer, found| {
        // SAFETY: `buffer` is as long as said, `entry` and `found` may be written to; all outlive the call.
        unsafe { libc::getpwuid_r(uid, entry, buffer.as_mut_ptr(), buffer.len(), found) }
    })?;
    let Some(entry) = by_uid else {
        return Ok(None);
    };
    let bad_name = Fault { call: "getpwuid_r", errno: Errno::EILSEQ as i32 };
    let canonical = std::str::from_utf8(&entry.name).map_err(|_| bad_name)?;
    let name = AccountName::new(canonical).map_err(|_| bad_name)?;
    Ok(Some(Account { uid, name }))
}

/// Who started this process, whatever it has become since (getuid(2)).
#[must_use]
pub fn real_uid() -> Uid {
    nix::unistd::getuid().as_raw()
}

/// Whose rights this process has (geteuid(2)).
#[must_use]
pub fn effective_uid() -> Uid {
    nix::unistd::geteuid().as_raw()
}

/// Does something as a program does that `uid` has started and that is root by its setuid bit: with that real user. For the
/// command alone, which is its whole process.
///
/// # Errors
/// [`Fault`] where it cannot be, or cannot be undone.
pub fn with_real_uid<T>(uid: Uid, work: impl FnOnce() -> T) -> Result<T, Fault> {
    let fault = |errno| Fault { call: "setresuid", errno: errno as i32 };
    let root = nix::unistd::Uid::from_raw(0);
    // A user can send signals to a process with this real user, and must have no core of it with what was typed.
    nix::sys::prctl::set_dumpable(false)
        .map_err(|errno| Fault { call: "prctl", errno: errno as i32 })?;
    nix::unistd::setresuid(nix::unistd::Uid::from_raw(uid), root, root).map_err(fault)?;
    let done = work();
    nix::unistd::setresuid(root, root, root).map_err(fault)?;
    Ok(done)
}

/// Who has logged in at the beginning of all that this process comes from (`loginuid`, which the kernel keeps and only root
/// can set), where somebody has.
#[must_use]
pub fn login_uid() -> Option<Uid> {
    let text = std::fs::read_to_string("/proc/self/loginuid").ok()?;
    // The number of nobody.
    text.trim().parse().ok().filter(|&uid| uid != Uid::MAX)
}

/// What is wanted of an entry.
struct Entry {
    uid: Uid,
    name: Vec<u8>,
}

/// One lookup with a growing buffer. Own code and not `nix::unistd::User`, which reads the thread's `errno`
/// where these functions return theirs, and copies the password field.
fn lookup(
    call: &'static str,
    mut attempt: impl FnMut(*mut libc::passwd, &mut [c_char], *mut *mut libc::passwd) -> c_int,
) -> Result<Option<Entry>, Fault> {
    let mut buffer: Vec<c_char> = vec![0; BUFFER_FIRST];
    let mut interruptions = 0_u32;
    loop {
        let mut entry = MaybeUninit::<libc::passwd>::uninit();
        let mut found = ptr::null_mut();
        match attempt(entry.as_mut_ptr(), &mut buffer, &raw mut found) {
            0 if found.is_null() => return Ok(None),
            0 => {
                // SAFETY: on success with a result the function has filled `entry`.
                let entry = unsafe { entry.assume_init() };
                if entry.pw_name.is_null() {
                    return Err(Fault { call, errno: Errno::EILSEQ as i32 });
                }
                // SAFETY: the name is a NUL-terminated string within `buffer`, which lives until the return.
                let name = unsafe { CStr::from_ptr(entry.pw_name) };
                return Ok(Some(Entry { uid: entry.pw_uid, name: name.to_bytes().to_vec() }));
            }
            // What some services answer for "no such account".
            libc::ENOENT | libc::ESRCH => return Ok(None),
            libc::ERANGE if buffer.len() < BUFFER_MAX => {
                let larger = buffer.len().saturating_mul(2).min(BUFFER_MAX);
                buffer.resize(larger, 0);
            }
            libc::EINTR if interruptions < INTERRUPTIONS_MAX => {
                interruptions = interruptions.saturating_add(1);
            }
            errno => return Err(Fault { call, errno }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> AccountName {
        AccountName::new(text).unwrap()
    }

    /// Answers as a lookup whose entry needs `needed` bytes, and counts the attempts.
    fn entry_of(needed: usize, attempts: &mut usize) -> Result<Option<Entry>, Fault> {
        lookup("test", |entry, buffer, found| {
            *attempts = attempts.saturating_add(1);
            if buffer.len() < needed {
                return libc::ERANGE;
            }
            buffer[0] = b'a' as c_char;
            // SAFETY: all-zero bytes are a passwd of null pointers.
            let mut filled: libc::passwd = unsafe { std::mem::zeroed() };
            filled.pw_name = buffer.as_mut_ptr();
            filled.pw_uid = 7;
            // SAFETY: the caller passes pointers to its own variables.
            unsafe { entry.write(filled) };
            // SAFETY: as above.
            unsafe { found.write(entry) };
            0
        })
    }

    // U9.
    #[test]
    fn root_is_number_zero() {
        assert_eq!(account(&name("root")), Ok(Some(Account { uid: 0, name: name("root") })));
    }

    // U3.
    #[test]
    fn an_unknown_name_is_no_account_and_no_fault() {
        assert_eq!(account(&name("nobody-by-that-name")), Ok(None));
    }

    // U12.
    #[test]
    fn an_entry_of_100_kib_is_read_and_one_beyond_the_bound_is_a_fault() {
        let mut attempts = 0;
        let entry = entry_of(100 * 1024, &mut attempts).unwrap().unwrap();
        assert_eq!((entry.uid, entry.name.as_slice()), (7, b"a".as_slice()));
        assert_eq!(attempts, 8);
        let mut attempts = 0;
        let fault = entry_of(BUFFER_MAX + 1, &mut attempts).err();
        assert_eq!(fault, Some(Fault { call: "test", errno: libc::ERANGE }));
        assert_eq!(attempts, 11);
    }

    #[test]
    fn only_not_found_is_not_found() {
        for errno in [libc::ENOENT, libc::ESRCH] {
            assert!(lookup("test", |_, _, _| errno).unwrap().is_none());
        }
        for errno in [libc::EIO, libc::EMFILE, libc::EPERM, libc::EBADF, libc::EAGAIN, libc::EINTR]
        {
            let fault = lookup("test", |_, _, _| errno).err();
            assert_eq!(fault, Some(Fault { call: "test", errno }));
        }
    }
}
