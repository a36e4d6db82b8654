# shellcheck shell=bash disable=SC2034,SC2154
# Runs a file of tests: every function `given_..._then_...` in a root file system of its own, which is a layer above the
# common one and gone afterwards. In there, `inside` runs a command, sets output and status, and the `expect_*` say what
# must have come of it.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
checkout=$(readlink -f "$here/../..")
packages=$checkout/target/packages
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' "$checkout/Cargo.toml")
# What `make packages-test` builds beside it: the same under another number.
newer=${version%.*}.$((${version##*.} + 1))
module=

complaints=()
output=
status=0

# main FILE SUITE
main() {
    # Mounts of ours are seen by nobody else, and end with this.
    if [ -z "${PACKAGES_INSIDE:-}" ]; then
        common=$("$here/root.sh" "$2")
        PACKAGES_INSIDE=$common exec unshare --mount --pid --fork --kill-child "$0" "$2"
    fi
    local common=$PACKAGES_INSIDE number=0 failures=0 name started
    work=$(mktemp -d)
    mount -t tmpfs tmpfs "$work"
    root=$work/root
    unknown=$work/unknown
    : >"$unknown"
    for name in $(sed -n 's/^\(given_[a-z0-9_]*\)() {$/\1/p' "$1"); do
        mkdir "$work"/{above,between,root}
        mount -t overlay overlay -o "lowerdir=$common,upperdir=$work/above,workdir=$work/between" "$root"
        mount --bind "$packages" "$root/mnt"
        mount -t sysfs -o ro sysfs "$root/sys"
        # Not bound here: what removes a tree in there would reach this machine's.
        for device in null:3 zero:5 urandom:9; do
            [ -c "$root/dev/${device%:*}" ] || mknod -m 666 "$root/dev/${device%:*}" c 1 "${device#*:}"
        done
        output="" complaints=() number=$((number + 1)) started=${EPOCHREALTIME/./}
        "$name" </dev/null || complain "ended with $?"
        [ ! -s "$unknown" ] || complain "no such command: $(cat "$unknown")"
        started=$(((${EPOCHREALTIME/./} - started) / 1000))
        if [ ${#complaints[@]} = 0 ]; then
            echo "ok $number $name ($started ms)"
        else
            failures=$((failures + 1))
            echo "not ok $number $name ($started ms)"
            printf '    %s\n' "${complaints[@]}"
            printf '%s\n' "$output" | sed 's/^/    | /'
        fi
        umount "$root/mnt" "$root/sys" "$root"
        rm -rf "$work"/{above,between,root}
    done
    umount "$work"
    rmdir "$work"
    echo "$((number - failures)) passed, $failures failed: $(basename "$1" .sh) in $2, $SECONDS s"
    [ "$failures" = 0 ] && [ "$number" != 0 ]
}

# A misspelt expectation must not pass for one that holds.
command_not_found_handle() {
    echo "$*" >>"$unknown"
    return 127
}

complain() { complaints+=("${FUNCNAME[2]:-}: $*"); }

# Runs a command in the test's root; sets output (both streams) and status.
inside() {
    status=0
    output=$(DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        timeout 60 chroot "$root" "$@" 2>&1) || status=$?
}

# What the PAM files say, all of them, byte by byte.
stacks() { (cd "$root/etc/pam.d" && sha256sum -- * | sort -k 2); }

expect_status() { [ "$status" = "$1" ] || complain "status $status, not $1"; }
expect_said() { case $output in *"$1"*) ;; *) complain "not said: $1" ;; esac; }
expect_not_said() { case $output in *"$1"*) complain "said: $1" ;; esac; }
expect_file() { [ -e "$root$1" ] || complain "$1 is gone"; }
expect_no_file() { [ ! -e "$root$1" ] && [ ! -L "$root$1" ] || complain "$1 is there"; }
expect_same() { [ "$1" = "$2" ] || complain "not the same: $(diff <(echo "$1") <(echo "$2") | head -n 20)"; }
# The lines between the two marks of docs/PACKAGES.md are what a package has: expect_listed NAME FILE
expect_listed() {
    expect_same "$(awk -v begin="<!-- files of $1 -->" '$0 == begin { on = 1 } /^<!-- end/ { on = 0 } on && /^[-dl]r/' \
        "$checkout/docs/PACKAGES.md")" "$("$checkout/packaging/contents.sh" "$packages/${2#/mnt/}")"
}

# A PAM file of a service that asks for the password and then for the key, in the usual words.
use_in() {
    printf '%s\n' '@include common-auth' 'auth [success=ok ignore=ignore default=die] pam_fidokey.so mode=second-factor' \
        '@include common-account' '@include common-session' >"$root/etc/pam.d/$1"
}

# A key of alice's that is plugged in nowhere. Its point is the curve's own, which is everybody's.
register() {
    local uid
    uid=$(awk -F : '$1 == "alice" { print $3 }' "$root/etc/passwd")
    record=/etc/fidokey/users/$uid.toml
    cat >"$root$record" <<RECORD
schema = 1
user = "alice"
uid = $uid

[[credential]]
name = "Key 1"
protocol = "fido2"
algorithm = "es256"
rp_id = "pam://fidokey"
id = "AAAAAAAAAAAAAAAAAAAAAA"
public_key = "$point"
verification = "none"
added = 2026-11-26T08:00:00Z
added_by = "root"
RECORD
    chmod 600 "$root$record"
    printf 'schema = 1\n[default]\nwait_for_key = "1s"\n' >"$root/etc/fidokey/config.toml"
    chmod 644 "$root/etc/fidokey/config.toml"
}
point=BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU
