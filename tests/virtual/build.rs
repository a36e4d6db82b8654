//! Links the module so that `dlclose` never unmaps it.

fn main() {
    // libpam closes its modules in pam_end, while the panic hook and thread-local destructors of Rust's standard
    // library may still point into this one.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rerun-if-changed=build.rs");
}
