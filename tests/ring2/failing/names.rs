//! What system calls are called, how each can fail, and what it is about.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno::{self, *};
use nix::libc;

use super::scenes::Place;
use crate::stepping::Entry;

/// A system call of a login: its name, and the file, socket or clock that it is about, as far as it is about one.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) about: String,
}

/// What the arguments of a call say of what it is about.
#[derive(Clone, Copy)]
enum About {
    Nothing,
    /// A descriptor.
    Descriptor,
    /// A path.
    Path,
    /// A directory's descriptor and a path from there.
    PathAt,
    /// A socket and an address.
    Address,
    /// The first argument as a number.
    Number,
    /// The second argument as a number, of a descriptor.
    Operation,
    /// An array of descriptors.
    Polled,
    /// The fifth argument, a descriptor or none.
    Mapped,
}

use About::{Address, Descriptor, Mapped, Nothing, Number, Operation, Path, PathAt, Polled};

/// Every call has these as well: what a sandbox answers for a call that it does not know or want (seccomp(2)).
const SANDBOX: [Errno; 2] = [EPERM, ENOSYS];

/// What a call can fail with that has no line of its own.
const ANY: &[Errno] = &[EIO, ENOMEM, EACCES];

const OPEN: &[Errno] =
    &[ENOENT, EACCES, EIO, ELOOP, EMFILE, ENFILE, ENOMEM, ENOTDIR, ESTALE, EINTR, EROFS, ENOSPC];

macro_rules! calls {
    ($($name:ident $number:ident $about:ident $errors:expr;)*) => {
        fn known(number: i64) -> (&'static str, About, &'static [Errno]) {
            match number {
                $(libc::$number => (stringify!($name), $about, $errors),)*
                _ => ("unknown", Number, ANY),
            }
        }
    };
}

// From the manual of each, without what only a wrong argument can bring about. Nothing where a call cannot fail but in
// a sandbox.
calls! {
    access SYS_access Path &[ENOENT, EACCES, EIO];
    bind SYS_bind Descriptor &[ENOMEM, EACCES];
    brk SYS_brk Nothing &[ENOMEM];
    clock_gettime SYS_clock_gettime Number &[EINVAL];
    clock_nanosleep SYS_clock_nanosleep Nothing &[EINTR];
    close SYS_close Descriptor &[EIO, EINTR, ENOSPC, EDQUOT];
    connect SYS_connect Address &[ECONNREFUSED, ENOENT, EACCES, EAGAIN, EINTR, ETIMEDOUT, EPROTOTYPE];
    dup SYS_dup Descriptor &[EMFILE];
    faccessat2 SYS_faccessat2 PathAt &[ENOENT, EACCES, EIO, ENOMEM];
    fchmod SYS_fchmod Descriptor &[EIO, EROFS];
    fcntl SYS_fcntl Operation &[EMFILE, EAGAIN, EACCES, EINTR, ENOLCK];
    fdatasync SYS_fdatasync Descriptor &[EIO, ENOSPC, EDQUOT, EROFS];
    flock SYS_flock Descriptor &[ENOLCK, EINTR, EAGAIN, EIO];
    fstat SYS_fstat Descriptor &[EIO, ENOMEM, EOVERFLOW, ESTALE];
    fsync SYS_fsync Descriptor &[EIO, ENOSPC, EDQUOT, EROFS];
    ftruncate SYS_ftruncate Descriptor &[EIO, EFBIG, EINTR];
    futex SYS_futex Nothing &[EAGAIN, EINTR];
    getdents64 SYS_getdents64 Descriptor &[EIO, ENOENT, ENOMEM];
    getegid SYS_getegid Nothing &[];
    geteuid SYS_geteuid Nothing &[];
    getgid SYS_getgid Nothing &[];
    getpid SYS_getpid Nothing &[];
    getrandom SYS_getrandom Nothing &[EINTR, EAGAIN];
    getsockname SYS_getsockname Descriptor &[ENOBUFS];
    gettid SYS_gettid Nothing &[];
    getuid SYS_getuid Nothing &[];
    inotify_add_watch SYS_inotify_add_watch Descriptor &[ENOSPC, EACCES, ENOENT, ENOMEM];
    inotify_init1 SYS_inotify_init1 Nothing &[EMFILE, ENFILE, ENOMEM];
    ioctl SYS_ioctl Descriptor &[EIO, ENODEV, ENOTTY, EINTR, EAGAIN];
    lseek SYS_lseek Descriptor &[ESPIPE, EIO];
    madvise SYS_madvise Nothing &[ENOMEM, EAGAIN];
    mmap SYS_mmap Mapped &[ENOMEM, EAGAIN, EACCES, ENFILE, ENODEV];
    mprotect SYS_mprotect Nothing &[ENOMEM, EACCES];
    mremap SYS_mremap Nothing &[ENOMEM, EAGAIN];
    munmap SYS_munmap Nothing &[ENOMEM];
    newfstatat SYS_newfstatat PathAt &[ENOENT, EACCES, EIO, ENOMEM, EOVERFLOW, ELOOP, ENOTDIR];
    openat SYS_openat PathAt OPEN;
    openat2 SYS_openat2 PathAt OPEN;
    poll SYS_poll Polled &[EINTR, ENOMEM, EINVAL];
    ppoll SYS_ppoll Polled &[EINTR, ENOMEM, EINVAL];
    pread64 SYS_pread64 Descriptor &[EIO, EINTR, EAGAIN];
    prlimit64 SYS_prlimit64 Nothing &[EINVAL];
    pselect6 SYS_pselect6 Nothing &[EINTR, ENOMEM];
    read SYS_read Descriptor &[EIO, EINTR, EAGAIN, ENOMEM];
    readlink SYS_readlink Path &[ENOENT, EACCES, EIO, EINVAL];
    readlinkat SYS_readlinkat PathAt &[ENOENT, EACCES, EIO, EINVAL];
    recvfrom SYS_recvfrom Descriptor &[EINTR, EAGAIN, ENOMEM, ECONNRESET];
    recvmsg SYS_recvmsg Descriptor &[EINTR, EAGAIN, ENOMEM, ECONNRESET];
    rename SYS_rename Path &[EIO, ENOSPC, EROFS, EACCES];
    renameat SYS_renameat PathAt &[EIO, ENOSPC, EROFS, EACCES, EDQUOT, EBUSY, ENOMEM];
    rt_sigaction SYS_rt_sigaction Number &[EINVAL];
    rt_sigprocmask SYS_rt_sigprocmask Number &[EINVAL];
    sendto SYS_sendto Descriptor &[EAGAIN, EINTR, ENOBUFS, ENOMEM, EPIPE, ECONNRESET];
    signalfd4 SYS_signalfd4 Nothing &[EMFILE, ENFILE, ENODEV, ENOMEM];
    socket SYS_socket Number &[EMFILE, ENFILE, ENOBUFS, EACCES, EAFNOSUPPORT, EPROTONOSUPPORT];
    statfs SYS_statfs Path &[ENOENT, EACCES, EIO];
    fstatfs SYS_fstatfs Descriptor &[EIO, ENOMEM];
    statx SYS_statx PathAt &[ENOENT, EACCES, EIO, ENOMEM, ELOOP, ENOTDIR];
    time SYS_time Nothing &[];
    umask SYS_umask Nothing &[];
    uname SYS_uname Nothing &[];
    unlink SYS_unlink Path &[EIO, EROFS, EACCES];
    unlinkat SYS_unlinkat PathAt &[EIO, EROFS, EACCES, EBUSY];
    write SYS_write Descriptor &[EIO, ENOSPC, EDQUOT, EFBIG, EINTR, EAGAIN, EPIPE];
}

impl Call {
    /// The name of the call that is about to be made.
    pub(crate) fn name(entry: &Entry) -> &'static str {
        known(entry.number.cast_signed()).0
    }

    /// The call that is about to be made.
    pub(crate) fn of(entry: &Entry, place: &Place) -> Self {
        let (mut name, about, _) = known(entry.number.cast_signed());
        let [first, second, third, .., fifth, _] = entry.arguments;
        let about = match about {
            Nothing => String::new(),
            Descriptor => descriptor(entry, first),
            Operation => format!("{} {second}", descriptor(entry, first)),
            Number => first.to_string(),
            Mapped if (fifth as i32) < 0 => String::new(),
            Mapped => descriptor(entry, fifth),
            Path => text(entry, first),
            PathAt => match text(entry, second) {
                // How glibc makes fstat(2).
                path if path.is_empty() => {
                    name = "fstat";
                    descriptor(entry, first)
                }
                path if path.starts_with('/') => path,
                path => format!("{}/{path}", descriptor(entry, first)),
            },
            // Where it is a path, after the family's two bytes.
            Address => format!("{} {}", descriptor(entry, first), text(entry, second + 2)),
            Polled => {
                let mut array = vec![0; 8 * usize::try_from(second.min(16)).unwrap()];
                read(entry, first, &mut array);
                let number = |polled: &[u8]| u32::from_ne_bytes(polled[..4].try_into().unwrap());
                let files = array.chunks(8).map(|polled| descriptor(entry, number(polled).into()));
                let wait = if name == "poll" { (third as i32).to_string() } else { String::new() };
                format!("{} {wait}", files.collect::<Vec<_>>().join(","))
            }
        };
        Self { name, about: place.seen_from_root(&about) }
    }

    /// Everything that it can plausibly fail with.
    pub(crate) fn errors(entry: &Entry) -> Vec<Errno> {
        let (.., errors) = known(entry.number.cast_signed());
        [errors, &SANDBOX].concat()
    }
}

/// What is open under that number.
fn descriptor(entry: &Entry, number: u64) -> String {
    let path = format!("/proc/{}/fd/{}", entry.pid, number as i32);
    fs::read_link(path)
        .map_or_else(|_| format!("closed {number}"), |file| file.display().to_string())
}

/// The C string at that address.
fn text(entry: &Entry, address: u64) -> String {
    let mut bytes = [0; 256];
    let length = read(entry, address, &mut bytes);
    let end = bytes[..length].iter().position(|byte| *byte == 0).unwrap_or(length);
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Reads of the program's memory what is there: less than there is room for where a page ends and none follows.
fn read(entry: &Entry, address: u64, place: &mut [u8]) -> usize {
    let memory = File::open(format!("/proc/{}/mem", entry.pid)).unwrap();
    memory.read_at(place, address).unwrap_or_default()
}
