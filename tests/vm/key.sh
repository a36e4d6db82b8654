#!/bin/bash
# Builds the emulated key's program for the virtual machine with the libraries that it needs, whatever the machine has
# itself, and prints the directory that holds them: it stands at /payload/key there.
set -euo pipefail

checkout=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
cd "$checkout"
# The one of the tests, if those were built.
cargo build --quiet --locked -p fidokey-tests --bin fidokey-key >&2
built=target/debug/fidokey-key
key=$checkout/target/vm/key
if [ ! "$key/complete" -nt "$built" ]; then
    rm -rf "$key"
    mkdir -p "$key"
    # The loader and the libraries, by where this machine has them; the kernel's own has no file.
    ldd "$built" | grep -o '/[^ ]*' | xargs -I '{}' cp -L '{}' "$key/"
    strip -o "$key/fidokey-key" "$built"
    patchelf --set-interpreter "/payload/key/$(basename "$(patchelf --print-interpreter "$built")")" \
        --set-rpath /payload/key "$key/fidokey-key"
    touch "$key/complete"
fi
echo "$key"
