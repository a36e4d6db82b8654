//! Lets the bare applications of libpam stand in for functions of libraries, and of modules.

fn main() {
    for symbol in [
        "__syslog_chk",
        "aligned_alloc",
        "calloc",
        "clock_gettime",
        "free",
        "getenv",
        "malloc",
        "memalign",
        "posix_memalign",
        "realloc",
        "secure_getenv",
        "syslog",
    ] {
        println!("cargo:rustc-link-arg-bin=pam-host=-Wl,--export-dynamic-symbol={symbol}");
    }
    for symbol in ["audit_open", "fidokey_scripted_answer"] {
        println!("cargo:rustc-link-arg-bin=pam-judge=-Wl,--export-dynamic-symbol={symbol}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
