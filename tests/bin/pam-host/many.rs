//! Many logins in this process, one after the other, and what they leave behind.

use std::collections::BTreeMap;
use std::ffi::{CString, c_int};
use std::fs;

use crate::allocation::in_use;
use crate::report::say;

/// What this process has.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Has {
    blocks: isize,
    bytes: isize,
    descriptors: usize,
    mappings: usize,
    threads: usize,
}

impl Has {
    fn now() -> Self {
        // Before anything below makes more of them.
        let (blocks, bytes) = in_use();
        let lines = |path: &str| fs::read_to_string(path).expect("/proc").lines().count();
        let entries = |path: &str| fs::read_dir(path).expect("/proc").count();
        Self {
            blocks,
            bytes,
            descriptors: entries("/proc/self/fd"),
            mappings: lines("/proc/self/maps"),
            threads: entries("/proc/self/task"),
        }
    }
}

/// `TIMES=SERVICE,SERVICE…`: so many rounds, in each of which `login` logs in by each of these services, in a
/// transaction of its own. Says after each round what this process has, where that is not what it was:
/// `has ROUND blocks=… bytes=… descriptors=… mappings=… threads=…`; in the end what the logins came to:
/// `many SERVICE CODExCOUNT …` for each service.
pub(crate) fn many(login: &dyn Fn(CString) -> c_int, rest: &str) {
    let (times, services) = rest.split_once('=').expect("many:TIMES=SERVICE,SERVICE");
    let times: usize = times.parse().expect("a number");
    let mut services: Vec<(&str, BTreeMap<c_int, usize>)> =
        services.split(',').map(|service| (service, BTreeMap::new())).collect();
    let mut before = None;
    for round in 0..times {
        for (service, codes) in &mut services {
            let code = login(CString::new(*service).expect("no NUL"));
            *codes.entry(code).or_default() += 1;
        }
        let has = Has::now();
        if before.replace(has) != Some(has) {
            let Has { blocks, bytes, descriptors, mappings, threads } = has;
            say(&format!(
                "has {round} blocks={blocks} bytes={bytes} descriptors={descriptors} \
                 mappings={mappings} threads={threads}"
            ));
        }
    }
    for (service, codes) in services {
        let codes: Vec<_> = codes.iter().map(|(code, count)| format!("{code}x{count}")).collect();
        say(&format!("many {service} {}", codes.join(" ")));
    }
}
