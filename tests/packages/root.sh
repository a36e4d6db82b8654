#!/bin/bash
# Builds the root file system that packages are installed in, once per suite and version of this script, and prints its
# directory. Nothing of ours is in there, and nothing is written to it afterwards.
#
#   tests/packages/root.sh [SUITE]
#
# SUITE is Debian's, `bookworm` when not said.
set -euo pipefail
# The answer is the only thing on standard output.
exec 3>&1 >&2

suite=${1:-bookworm}
checkout=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
packages=libpam-runtime,libpam-modules,init-system-helpers
packages+=,pamtester # any PAM service, without a program of ours
packages+=,rpm       # rpm's scripts run in there as well

[ "$(id -u)" = 0 ] || { echo "root.sh: must run as root (mmdebstrap keeps the owners of files)"; exit 1; }
command -v mmdebstrap >/dev/null || { echo "root.sh: mmdebstrap is missing; run tests/setup.sh"; exit 1; }

key=$(sha256sum "$(readlink -f "$0")" | cut -c 1-12)
root=$checkout/.cache/packages/$key-$suite
mkdir -p "$checkout/.cache/packages"
exec 9>"$checkout/.cache/packages/lock-$suite"
flock 9
if [ ! -e "$root/complete" ]; then
    find "$checkout/.cache/packages" -mindepth 1 -maxdepth 1 -type d -regex ".*/[0-9a-f]+-$suite" -exec rm -rf {} +
    mkdir -p "$root"
    # Proxies, certificates and the dates that are believed are those of this machine's own apt.
    options=()
    while IFS= read -r line; do
        options+=(--aptopt="$line")
    done < <(apt-config dump Acquire | grep -iE '::(proxy|verify-|cainfo|check-valid-until|check-date)' || true)
    mmdebstrap --quiet --variant=minbase --include="$packages" "${options[@]}" \
        --dpkgopt='path-exclude=/usr/share/locale/*' "$suite" "$root/root"
    # What a user knows: the password is "right".
    chroot "$root/root" useradd --create-home alice
    echo alice:right | chroot "$root/root" chpasswd
    touch "$root/complete"
fi
echo "$root/root" >&3
