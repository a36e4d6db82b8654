#!/bin/bash
# Installs what `make fuzz` needs beyond what tests/setup.sh sets up, on Debian as root; elsewhere it says what is
# missing: a C++ compiler, which builds libFuzzer, and llvm-symbolizer, which gives what it reports a place.
set -euo pipefail

missing=()
command -v "${CXX:-c++}" >/dev/null || missing+=(g++)
command -v llvm-symbolizer >/dev/null || missing+=(llvm)
[ ${#missing[@]} = 0 ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    exec apt-get install -q -y --no-install-recommends "${missing[@]}"
fi

echo "fuzz: missing: ${missing[*]}" >&2
echo "fuzz: on Debian: apt-get install --no-install-recommends ${missing[*]}" >&2
exit 1
