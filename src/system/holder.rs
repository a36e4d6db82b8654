//! Who holds a lock (flock(2)), as the kernel tells it in proc_locks(5): a process that is stopped keeps its locks for ever, and
//! somebody has to find it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;

use nix::sys::stat::fstat;

const LOCKS: &str = "/proc/locks";
/// The most that is read of it: anybody can take locks, on files of their own.
const BYTES_MAX: u64 = 1024 * 1024;

/// The number of the process that holds the lock on `file`. `None` where that cannot be told, or not without doubt.
pub(crate) fn holder(file: impl AsFd) -> Option<u32> {
    let inode = fstat(file).ok()?.st_ino;
    holder_in(File::open(LOCKS).ok()?, inode)
}

/// The same of what is in `locks`.
fn holder_in(locks: impl Read, inode: u64) -> Option<u32> {
    let mut found = None;
    for line in BufReader::new(locks.take(BYTES_MAX)).split(b'\n') {
        let line = line.ok()?;
        // Whatever else stands there is no lock of flock's.
        let Some((holder, of)) = std::str::from_utf8(&line).ok().and_then(parsed) else { continue };
        // Two file systems may have that number each. The device does not tell them apart: some show another one here.
        if of == inode && found.replace(holder).is_some_and(|other| other != holder) {
            return None;
        }
    }
    found
}

/// Of a line for a lock of flock's that is held: by whom, and on which inode.
fn parsed(line: &str) -> Option<(u32, u64)> {
    let mut words = line.split_ascii_whitespace().skip(1);
    // One that somebody waits for has "->" here.
    if words.next() != Some("FLOCK") {
        return None;
    }
    // Whether it is mandatory, and for what it is.
    let mut words = words.skip(2);
    // A process that cannot be seen from here has no number, or 0.
    let holder = words.next()?.parse().ok().filter(|number| *number != 0)?;
    let inode = words.next()?.rsplit(':').next()?.parse().ok()?;
    Some((holder, inode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::try_lock;
    use crate::scratch::scratch;

    const LINES: &str = "\
1: POSIX  ADVISORY  WRITE 700 00:19:131 0 EOF
2: FLOCK  ADVISORY  WRITE 4711 fe:01:131 0 EOF
2: -> FLOCK  ADVISORY  WRITE 4712 fe:01:131 0 EOF
3: FLOCK  ADVISORY  READ 800 fe:01:132 0 EOF
4: FLOCK  ADVISORY  WRITE 801 fe:01:133 0 EOF
5: FLOCK  ADVISORY  WRITE 802 00:2a:133 0 EOF
6: FLOCK  ADVISORY  WRITE 0 00:2a:134 0 EOF
7: FLOCK  ADVISORY  WRITE -1 00:2a:134 0 EOF
";

    #[test]
    fn given_a_lock_then_whoever_holds_it_is_found_and_nobody_else() {
        assert_eq!(holder_in(LINES.as_bytes(), 131), Some(4711));
        assert_eq!(holder_in(LINES.as_bytes(), 132), Some(800));
        for doubtful in [130, 133, 134, 13, 0] {
            assert_eq!(holder_in(LINES.as_bytes(), doubtful), None, "{doubtful}");
        }
    }

    #[test]
    fn given_lines_that_are_none_then_the_others_are_read_up_to_a_bound() {
        for odd in
            ["", "\n\n", "FLOCK", "1: FLOCK", "1: FLOCK A W x a:b:131", "1: FLOCK A W 5", "\u{0}"]
        {
            assert_eq!(holder_in(format!("{odd}\n{LINES}").as_bytes(), 131), Some(4711), "{odd}");
            assert_eq!(holder_in(odd.as_bytes(), 131), None, "{odd}");
        }
        assert_eq!(holder_in([b"\xff\n", LINES.as_bytes()].concat().as_slice(), 131), Some(4711));
        let far = format!("{}{LINES}", "8: POSIX\n".repeat(200_000));
        assert_eq!(holder_in(far.as_bytes(), 131), None);
        assert_eq!(holder_in(std::io::repeat(b'x'), 131), None);
    }

    #[test]
    fn given_a_lock_of_this_process_then_it_is_this_one() {
        let path = scratch("holder").join("file");
        std::fs::write(&path, "").unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(holder(&file), None);
        try_lock(&file).unwrap();
        assert_eq!(holder(&file), Some(std::process::id()));
    }
}
