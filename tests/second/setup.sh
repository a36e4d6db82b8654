#!/bin/bash
# Installs what `make second` needs beyond what tests/setup.sh sets up, on Debian as root; elsewhere it says what
# is missing: libclang, by which the bindings
# to littlefs, the key's file system, are made while it is built.
set -euo pipefail
shopt -s nullglob

# Where the build looks, as clang-sys does.
directories=(/usr/lib/llvm-*/lib /usr/lib /usr/lib64 /usr/lib/*-linux-gnu* /usr/local/lib /usr/local/lib64)
[ -n "${LIBCLANG_PATH:-}" ] && directories=("$LIBCLANG_PATH" "${directories[@]}")
command -v llvm-config >/dev/null && directories+=("$(llvm-config --libdir)")

for directory in "${directories[@]}"; do
    # A file where LIBCLANG_PATH names one.
    [ -f "$directory" ] && exit 0
    for library in "$directory"/libclang.so* "$directory"/libclang-*.so*; do
        case $library in */libclang-cpp*) ;; *) exit 0 ;; esac
    done
done

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    exec apt-get install -q -y --no-install-recommends libclang-dev
fi

echo "second: libclang is missing, which building this key's firmware needs." >&2
echo "second: on Debian: apt-get install --no-install-recommends libclang-dev" >&2
echo "second: elsewhere clang and its library; LIBCLANG_PATH names the directory where it is in none of the usual ones" >&2
exit 1
