#!/bin/bash
# What `make install` puts somewhere, `make uninstall` takes away again, but for records, policy and states; and it refuses
# while a stack names the module. For `make vm`, with what is built by then.
set -euo pipefail
cd "$(dirname "$0")/.."

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
files() { (cd "$place" && find . ! -type d | sort); }
fail() {
    echo "install.sh: $1" >&2
    exit 1
}

make --silent --no-print-directory install DESTDIR="$place"
[ "$(files | wc -l)" -gt 20 ] || fail "hardly anything is installed: $(files)"
echo 'schema = 1' >"$place/etc/fidokey/config.toml"
mkdir "$place/etc/pam.d"
echo 'auth required pam_fidokey.so mode=second-factor' >"$place/etc/pam.d/sudo"
before=$(files)
make --silent --no-print-directory uninstall DESTDIR="$place" >/dev/null 2>&1 && fail 'uninstalled while sudo names the module'
[ "$(files)" = "$before" ] || fail 'what was refused has removed something'
rm "$place/etc/pam.d/sudo"
make --silent --no-print-directory uninstall DESTDIR="$place" >/dev/null
[ "$(files)" = ./etc/fidokey/config.toml ] || fail "left behind: $(files)"
