//! What libpam loads: symbols, libraries, hardening, and calls that make no sense.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::stage::{Stage, shipped_module, virtual_module};

fn output(program: &str, arguments: &[&str]) -> String {
    output_of(&shipped_module(), program, arguments)
}

fn output_of(module: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(module)
        .output()
        .unwrap_or_else(|error| panic!("{program} (Debian package binutils): {error}"));
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// BAR X10: exactly two symbols; a `no_mangle` in any library below would show here.
#[test]
fn given_the_shipped_module_then_it_exports_two_symbols() {
    let symbols: Vec<String> = output("nm", &["-D", "--defined-only"])
        .lines()
        .map(|line| line.split_whitespace().last().unwrap().to_owned())
        .collect();
    assert_eq!(symbols, ["pam_sm_authenticate", "pam_sm_setcred"]);
}

/// BAR X10.
#[test]
fn given_the_shipped_module_then_it_is_hardened_and_never_unloaded() {
    let dynamic = output("readelf", &["-d"]);
    assert!(dynamic.contains("BIND_NOW") || dynamic.contains("NOW"));
    assert!(dynamic.contains("NODELETE"));
    for forbidden in ["TEXTREL", "RPATH", "RUNPATH"] {
        assert!(!dynamic.contains(forbidden), "{forbidden}");
    }
    let segments = output("readelf", &["-lW"]);
    assert!(segments.contains("GNU_RELRO"));
    let stack = segments.lines().find(|line| line.contains("GNU_STACK")).unwrap();
    assert!(!stack.contains("RWE"), "{stack}");
}

/// BAR X12.
#[test]
fn given_the_shipped_module_then_it_needs_four_libraries_and_opens_none() {
    let needed: BTreeSet<String> = output("readelf", &["-d"])
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .map(|line| line.split(['[', ']']).nth(1).unwrap().to_owned())
        .map(|name| name.split(".so").next().unwrap().to_owned())
        .collect();
    let expected = ["ld-linux-x86-64", "libc", "libgcc_s", "libpam"].map(str::to_owned);
    // The loader's name is the machine's.
    let unexpected: Vec<_> = needed
        .iter()
        .filter(|name| !expected.contains(name) && !name.starts_with("ld-linux"))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    for name in ["libc", "libgcc_s", "libpam"] {
        assert!(needed.contains(name), "{name}");
    }
    let undefined = output("nm", &["-D", "--undefined-only"]);
    for symbol in ["dlopen", "fork", "execve", "posix_spawn", "pthread_create", "openlog", "setenv"]
    {
        let used = undefined.lines().any(|line| {
            line.split_whitespace()
                .last()
                .is_some_and(|name| name.split('@').next() == Some(symbol))
        });
        assert!(!used, "{symbol}");
    }
}

/// BAR X11: both modules, both entry points.
#[test]
fn given_calls_that_libpam_never_makes_then_abort_or_service_err() {
    let stage = Stage::bare();
    for module in [shipped_module(), virtual_module()] {
        let permit = "auth required pam_permit.so".to_owned();
        let outcome = stage.run_stack(&[permit], &[&format!("direct:{}", module.display())]);
        for entry in ["pam_sm_authenticate", "pam_sm_setcred"] {
            for (case, code) in [
                ("null_handle", 26),
                ("negative_count", 26),
                ("null_arguments", 26),
                ("null_argument", 26),
                ("million_arguments", 3),
            ] {
                let line = format!("{entry} {case}={code}");
                assert!(outcome.report.contains(&line), "{line} not in {:?}", outcome.report);
            }
        }
    }
}

/// BAR X9: either module, loaded and unloaded 10,000 times by 8 threads that end afterwards; every tenth time it is
/// called, every hundredth it is libpam that loads it, for a login. It stays where it is: unmapped, it would pull the
/// ground from under the destructors of a thread that ends, and from under the panic hook.
#[test]
fn given_a_module_loaded_and_unloaded_by_threads_then_it_stays_and_nothing_crashes() {
    let stage = Stage::bare();
    let shipped = format!("auth required {} mode=second-factor", shipped_module().display());
    for (module, line) in [(shipped_module(), shipped), (virtual_module(), stage.line("required"))]
    {
        let dynamic = output_of(&module, "readelf", &["-d"]);
        let flags = dynamic.lines().find(|line| line.contains("(FLAGS_1)")).unwrap();
        assert!(flags.contains("NODELETE"), "{}: {flags}", module.display());

        // Not the service of the program itself, which would keep the module loaded all the time.
        fs::write(stage.directory.join("pam.d/fidokey-reload"), line).unwrap();
        let reload = format!("reload:fidokey-reload=10000={}", module.display());
        let permit = ["auth required pam_permit.so".to_owned()];
        let application = stage.application().without_log().stack(&permit);
        let outcome = application.run(&["descriptors", &reload, "descriptors", "authenticate"]);
        // Not enrolled: exempt by the virtual module's files; by the shipped one's, which this machine need not have,
        // either that or denied.
        let codes: &[i32] = if module == virtual_module() { &[6] } else { &[6, 7] };
        let expected =
            codes.iter().map(|code| format!("reload=10000 codes={code}x100 moved=0 loaded=true"));
        let found = expected.clone().any(|line| outcome.report.contains(&line));
        assert!(found, "none of {:?} in {:?}", expected.collect::<Vec<_>>(), outcome.report);
        assert_eq!(outcome.logged().len(), 100);
        let open: Vec<_> =
            outcome.report.iter().filter(|line| line.starts_with("descriptors")).collect();
        assert_eq!(open[0], open[1]);
    }
}
