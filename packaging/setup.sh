#!/bin/bash
# Installs what `make deb`, `make rpm` and their tests need beyond what tests/setup.sh sets up. On Debian as root it does
# so; elsewhere it says what is missing. Quick and without network when nothing is missing.
set -euo pipefail

packages=(
    debhelper dpkg-dev # the Debian package …
    lintian            # … and what is to be said of it
    rpm                # the RPM package …
    rpmlint            # … and what is to be said of it
    apparmor           # the parser of the rules for AppArmor
    systemd            # the reader of units
    python3-minimal libpython3-stdlib # the reader of polkit's action
)
missing=()
for package in "${packages[@]}"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    exec apt-get install -q -y --no-install-recommends "${missing[@]}"
fi
echo "packaging: missing packages: ${missing[*]}" >&2
echo "packaging: run this as root, or: apt-get install --no-install-recommends ${missing[*]}" >&2
exit 1
