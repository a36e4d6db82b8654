#!/bin/bash
# Builds the emulated key's program for the virtual machine with the libraries that it needs, whatever the machine has
# itself, and prints the directory that holds them: it stands at /payload/key there.
set -euo pipefail

checkout=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
cd "$checkout"
for tool in ldd strip patchelf; do
    command -v "$tool" >/dev/null || { echo "key.sh: $tool is missing; run tests/setup.sh" >&2; exit 1; }
done
# The one of the tests, which is built with any of them.
"${CARGO:-cargo}" test --quiet --locked --workspace --test hostile --no-run >&2
built=target/debug/fidokey-key
key=$checkout/target/vm/key
libraries=$(ldd "$built" | grep -o '/[^ ]*')
if [ ! "$key/complete" -nt "$built" ] || ! cmp -s "$key/libc.so.6" "$(grep '/libc\.so' <<<"$libraries")"; then
    rm -rf "$key"
    mkdir -p "$key"
    # The loader and the libraries, by where this machine has them; the kernel's own has no file.
    xargs <<<"$libraries" -I '{}' cp -L '{}' "$key/"
    strip -o "$key/fidokey-key" "$built"
    patchelf --set-interpreter "/payload/key/$(basename "$(patchelf --print-interpreter "$built")")" \
        --set-rpath /payload/key "$key/fidokey-key"
    touch "$key/complete"
fi
echo "$key"
