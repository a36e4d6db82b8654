//! Links the module so that `dlclose` never unmaps it.

fn main() {
    // A table of answers is hundreds of transactions, each of which loads every module: the second time and after, the
    // loader finds it by its name, without a look at the disk.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // There is a copy for each name in the corpus.
    println!("cargo:rustc-cdylib-link-arg=-Wl,--strip-debug");
    println!("cargo:rerun-if-changed=build.rs");
}
