#!/bin/bash
# Builds the emulated key's program for the virtual machine, and prints where it is.
set -euo pipefail

checkout=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
target=x86_64-unknown-linux-gnu
cd "$checkout"
# Static, so that it runs in the guest whatever the C library of the machine that built it is.
RUSTFLAGS='-C target-feature=+crt-static' CARGO_PROFILE_DEV_STRIP=true \
    cargo build --quiet --locked -p fidokey-tests --bin fidokey-key --target "$target" --target-dir target/vm >&2
echo "$checkout/target/vm/$target/debug/fidokey-key"
