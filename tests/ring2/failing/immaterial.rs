//! Which calls may fail in a login that is granted, or exempt, all the same: those that it does not depend on. Whatever
//! is not here must not fail in one.

use nix::errno::Errno;

use super::login::Hit;
use super::names::Call;
use super::scenes::Place;

/// Those of ours that a signal can interrupt, and that are made again.
const INTERRUPTED: [&str; 6] = ["flock", "getrandom", "poll", "ppoll", "read", "recvfrom"];
/// Those of libc's allocator, which tries another one; where that fails too, an allocation does.
pub(crate) const MEMORY: [&str; 6] = ["brk", "madvise", "mmap", "mprotect", "mremap", "munmap"];

/// Why it may, where it may.
pub(crate) fn reason(hit: &Hit) -> Option<&'static str> {
    let (name, about) = (hit.call.name, hit.call.about.as_str());
    if hit.decided {
        return Some("the decision is made: the log, libpam's audit, and what is given back");
    }
    if name == "close" || name == "fcntl" && about.ends_with(" 1") {
        return Some(
            "nothing is read or written there any more; debug builds look before they close",
        );
    }
    if is_made_again(hit) {
        return Some("made again");
    }
    if MEMORY.contains(&name) && about.is_empty() {
        return Some("the allocator tries elsewhere");
    }
    match name {
        "socket" if about == "1" => Some("the log's, or of the name service's cache"),
        "signalfd4" | "rt_sigprocmask" => Some("a wait works without signals"),
        "ppoll" if about.trim_end() == "anon_inode:[signalfd],anon_inode:[signalfd]" => {
            Some("a look whether a signal is pending")
        }
        "getpid" => Some("makes a challenge no less random"),
        "geteuid" => Some("who is not root goes without the state"),
        "statx" if hit.walks == 0 => Some("the virtual module's own"),
        "newfstatat" if hit.walks == 1 && about == "/" => Some("whether the root is another one"),
        // The number that comes of it must be that of the record, with the name in it.
        _ if hit.walks == 1 && is_name_service(about) => {
            Some("the name service has other services to ask")
        }
        // Once more where a change is told to who has no key: first it is only looked at.
        _ if [3, 4].contains(&hit.walks) && (about == "/" || about.starts_with("/var")) => {
            Some("the state, which a login can do without")
        }
        _ if [3, 4].contains(&hit.walks) && STATE.contains(&name) => {
            Some("the state's lock, date and size")
        }
        // Where anything of it breaks off it is begun anew, with a channel and a challenge of its own.
        "sendto" | "recvfrom" => Some("the virtual key, asked once more"),
        "openat" | "flock" if about == "/key" => Some("the virtual key, taken later"),
        _ if about == "/dev/hidraw0" => Some("the key, asked once more"),
        _ if about.starts_with("/sys/class/hidraw") => Some("the key, found later"),
        "inotify_init1" | "inotify_add_watch" => Some("keys are looked for now and then instead"),
        _ => None,
    }
}

/// Whether that is a file of the name service's or of one of its services, or a socket: the login has none of its own
/// while it looks for the account.
fn is_name_service(about: &str) -> bool {
    let files = ["/etc/nsswitch.conf", "/etc/passwd", "/etc/ld.so.cache"];
    files.contains(&about)
        || about.contains("/libnss_")
        || about.starts_with("socket:")
        || ["/run/systemd/userdb", "/var/lib/sss/"].iter().any(|path| about.starts_with(path))
}

/// Clocks for the lock and the date, and the limit on the size of a file.
const STATE: [&str; 3] = ["clock_gettime", "clock_nanosleep", "prlimit64"];

/// Whether the call was only interrupted, which changes nothing. The lock of the virtual key is none of ours.
pub(crate) fn is_made_again(hit: &Hit) -> bool {
    let Call { name, about } = &hit.call;
    hit.errno == Errno::EINTR && INTERRUPTED.contains(name) && about != "/key"
}

/// Whether that is how the kernel says that the account has no record: no failure, but the proof of an absence.
pub(crate) fn is_absence(hit: &Hit, place: &Place) -> bool {
    let record = place.stage.record_path();
    hit.errno == Errno::ENOENT
        && hit.call.name == "openat"
        && hit.walks == 2
        && hit.call.about.ends_with(&format!("/users/{}", record.file_name().unwrap().display()))
}
