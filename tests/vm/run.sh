#!/bin/bash
# Boots a stock Debian in QEMU with the emulated key and what is to be tested, runs scenarios in it and
# exits with their status.
#
#   tests/vm/run.sh [--suite SUITE] [--install DIR] [--packages DIR] [--name NAME] SCENARIO...
#
# SUITE is as for image.sh. DIR is what `make install DESTDIR=DIR` filled; it is laid over the machine's root.
# The packages in the other DIR are there, in /payload/packages, and not installed.
# What the machine says goes to .cache/vm/last.log as well, or last-NAME.log.
# A SCENARIO is the name of a file in tests/vm/guest without `.sh`: `peers` needs nothing of ours, `login` needs
# DIR. `race:sudo-rs` is `race` with sudo-rs as the sudo.
#
# VM_TIMEOUT   seconds for all of it, 900 when not set
# VM_ACCEL     what QEMU runs on, `tcg,thread=multi` when not set: there are machines whose /dev/kvm can be
#              opened and yet boots nothing, so `kvm` has to be said
# VM_CPUS      processors of the machine, 2 when not set
# VM_REBOOT    `reset` for scenarios that start the machine anew; `shutdown` when not set, so that one that crashes ends
# FIDOKEY_KEY  what key.sh prints, built when not set
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
checkout=$(readlink -f "$here/../..")
PATH=$PATH:/sbin:/usr/sbin

die() {
    echo "run.sh: $*" >&2
    exit 1
}

suite=bookworm install='' packages='' name=''
while [[ ${1-} == --* ]]; do
    case $1 in
        --suite) suite=${2-} ;;
        --install)
            install=${2-}
            [ -d "$install" ] || die "--install: no such directory: $install"
            ;;
        --packages)
            packages=${2-}
            [ -d "$packages" ] || die "--packages: no such directory: $packages"
            ;;
        --name) name=${2-} ;;
        *) die "no such option: $1" ;;
    esac
    shift 2 || die "$1: a value is missing"
done
[ $# -gt 0 ] || die "which scenarios? See the head of this file"
for scenario in "$@"; do
    [ -e "$here/guest/${scenario%%:*}.sh" ] || die "no such scenario: $scenario"
done
command -v qemu-system-x86_64 >/dev/null || die "qemu-system-x86_64 is missing; run tests/setup.sh"

image=$("$here/image.sh" "$suite")

FIDOKEY_KEY=${FIDOKEY_KEY:-$("$here/key.sh")}

work=$(mktemp -d "$checkout/.cache/vm/run.XXXXXX")
trap 'rm -rf "$work"' EXIT
payload=$work/payload
mkdir -m 755 "$payload" "$payload/root"
cp -r "$here/guest" "$payload/guest"
cp -r "$FIDOKEY_KEY" "$payload/key"
cp "$(command -v busybox)" "$payload/busybox"
printf '%s\n' "$@" >"$payload/scenarios"
if [ -n "$install" ]; then
    tar -C "$install" -c . | tar -C "$payload/root" -x --no-overwrite-dir
fi
if [ -n "$packages" ]; then
    mkdir "$payload/packages"
    cp "$packages"/*.deb "$payload/packages"
fi
kilobytes=$(du -sk "$payload" | cut -f 1)
mke2fs -q -t ext4 -O ^has_journal -d "$payload" "$work/payload.img" $((kilobytes * 5 / 4 + 4096))k \
    >/dev/null

log=$checkout/.cache/vm/last${name:+-$name}.log
limit=${VM_TIMEOUT:-900}
started=$SECONDS
set +e
# In the process group of whoever started this, so that it ends with it.
timeout --foreground --kill-after=10 "$limit" qemu-system-x86_64 \
    -M q35 -cpu max -accel "${VM_ACCEL:-tcg,thread=multi}" -smp "${VM_CPUS:-2}" -m 1024 \
    -nodefaults -no-user-config -display none -action "reboot=${VM_REBOOT:-shutdown}" -serial stdio \
    -kernel "$image/vmlinuz" -initrd "$image/initramfs.img" \
    -append "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off random.trust_cpu=on" \
    -drive "file=$image/root.img,format=raw,if=virtio,cache=unsafe,snapshot=on" \
    -drive "file=$work/payload.img,format=raw,if=virtio,read-only=on" \
    </dev/null 2>&1 | sed -u 's/\r*$//' | tee "$log" |
    sed -u -n '/^=== begin$/,/^=== end [0-9]*$/{/^=== /!p}'
qemu=${PIPESTATUS[0]}
set -e
echo "run.sh: $((SECONDS - started)) s from power-on to power-off" >&2

status=$(sed -n 's/^=== end \([0-9]*\)$/\1/p' "$log" | tail -n 1)
if [ -z "$status" ]; then
    tail -n 30 "$log" >&2
    case $qemu in
        124 | 137) die "the machine did not finish in $limit s; above is the end of $log" ;;
        *) die "the machine did not report (QEMU's status $qemu); above is the end of $log" ;;
    esac
fi
# Before a start of the machine nobody has counted.
! grep -q '^not ok' "$log" || status=1
exit "$status"
