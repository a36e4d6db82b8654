#!/bin/bash
# Installs what building and testing need beyond Rust. On Debian as root it does so; elsewhere it
# says what is missing. Quick and without network when nothing is missing.
set -euo pipefail

# What it is for stands beside each package.
packages=(
    gcc libc6-dev       # the linker; libc.a for the emulated key that runs in the virtual machine
    libpam0g-dev        # the module and the tests link libpam
    libudev-dev pkgconf # the command links libudev, for what is on a key
    make binutils       # the Makefile; readelf and nm for the tests of the shipped module
    strace              # the tests that count system calls and break them
    mount util-linux    # those with limits and namespaces …
    hostname            # … and another name of the machine
    debhelper dpkg-dev  # our own Debian package, which virtual machines install
    qemu-system-x86     # the virtual machine …
    mmdebstrap          # … its root file system
    e2fsprogs           # … its disks
    cpio busybox-static # … its initramfs
    patchelf            # … the emulated key in it, with its own libraries
    kmod xz-utils       # … and the modules of its kernel
)
rust_floor=89 # 1.89, `rust-version` in Cargo.toml

installed() { dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

status=0

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is not a Debian system. Install the equivalents of: ${packages[*]}" >&2
    status=1
else
    missing=()
    for package in "${packages[@]}"; do
        installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        if [ "$(id -u)" != 0 ]; then
            echo "setup: missing packages: ${missing[*]}" >&2
            echo "setup: run this as root, or: apt-get install --no-install-recommends ${missing[*]}" >&2
            status=1
        else
            export DEBIAN_FRONTEND=noninteractive
            apt-get update -q
            apt-get install -q -y --no-install-recommends "${missing[@]}"
        fi
    fi
fi

if ! command -v cargo >/dev/null; then
    echo "setup: cargo is not installed; Rust 1.$rust_floor or newer is needed" >&2
    exit 1
fi
version=$(cargo --version | cut -d ' ' -f 2)
IFS=. read -r major minor _ <<<"$version"
if [ "$major" -lt 1 ] || { [ "$major" -eq 1 ] && [ "$minor" -lt "$rust_floor" ]; }; then
    echo "setup: cargo is $version; Rust 1.$rust_floor or newer is needed (rustup update)" >&2
    exit 1
fi

[ "$status" = 0 ] && echo "setup: everything is there"
exit "$status"
