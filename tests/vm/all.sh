#!/bin/bash
# Ring 3: all of it, in several virtual machines of which some run at once. What a machine
# says is printed whole, in the order of the list below; exits with 0 when all machines have.
#
#   tests/vm/all.sh DIR PACKAGES
#
# DIR and PACKAGES are as for run.sh.
#
# VM_ALL    when set, also what takes long: more of the other sudo, the twin run, the package on Debian 13, self-service attacked
# VM_JOBS   machines at once; when not set as many as processors, and four at most
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
checkout=$(readlink -f "$here/../..")
install=$1
packages=$2
jobs=${VM_JOBS:-$(nproc)}
# A machine has 1 GiB.
[ -n "${VM_JOBS-}" ] || [ "$jobs" -le 4 ] || jobs=4

# The suite, the processors of the machine, and its scenarios: Debian 12, what differs in the Debian to come (libpam 1.7,
# sudo 1.9.17, sudo-rs, another login), and hosts that are only where systemd is. A machine takes ten seconds to come up, and
# systemd's twice that; the suites come first, as each builds its image, and what is shortest comes last. What each
# scenario file takes stands at its end. One processor takes a quarter less of ours than two and is as fast, with another
# machine beside it; two are for logins that are to happen at the same time.
machines=(
    'bookworm 1 lifecycle'
    'bookworm 1 cancel cancel-hosts hosts'
    'sid-systemd 1 polkit greetd locker unattended'
    'sid-systemd 1 try'
    'sid-systemd 1 guide selfservice'
    'sid      1 hosts race:sudo-rs cancel-hosts'
    'bookworm 1 login policy files peers'
    'sid      1 lifecycle'
    'bookworm 1 enable mail keys'
    'bookworm 1 import'
    'bookworm 2 state race generations pin'
    'sid      1 counts import-file'
)
[ -z "${VM_ALL-}" ] || machines+=('sid 1 cancel:sudo-rs cancel race pin:sudo-rs' 'sid 1 twin enable' 'trixie 1 lifecycle'
    'sid-systemd 1 selfservice-attacked')

# Once, and not by each.
FIDOKEY_KEY=${FIDOKEY_KEY:-$("$here/key.sh")}
export FIDOKEY_KEY

work=$(mktemp -d "$checkout/.cache/vm/all.XXXXXX")
# Each machine has a process group of its own (set -m), so that none is left behind.
set -m
leave() {
    local group
    for group in $(jobs -p); do
        kill -- "-$group" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap leave EXIT
trap 'exit 130' INT TERM

boot() {
    local number=$1 started=$SECONDS status=0 suite cpus scenarios
    read -r suite cpus scenarios <<<"${machines[number]}"
    # What the package is for has no other one beneath it.
    local from=(--install "$install")
    case $scenarios in lifecycle | try) from=(--packages "$packages") ;; esac
    [ "$scenarios" != try ] || export VM_REBOOT=reset
    [ "$scenarios" != selfservice-attacked ] || export VM_TIMEOUT=3600
    # shellcheck disable=SC2086 # words
    VM_CPUS=$cpus "$here/run.sh" --name "$number" --suite "$suite" "${from[@]}" $scenarios >"$work/$number" 2>&1 || status=$?
    echo "$((SECONDS - started)) $status" >"$work/$number.end"
}

shown=0
failed=0
failures=()
# Prints what has ended, as far as everything before it has.
show() {
    local seconds status
    while [ -e "$work/$shown.end" ]; do
        read -r seconds status <"$work/$shown.end"
        echo
        echo "=== ${machines[shown]}: $seconds s, status $status (.cache/vm/last-$shown.log)"
        cat "$work/$shown"
        [ "$status" = 0 ] || {
            failed=$((failed + 1))
            failures+=("$shown")
        }
        shown=$((shown + 1))
    done
}

running=0
for number in "${!machines[@]}"; do
    if [ "$running" -ge "$jobs" ]; then
        wait -n || true
        running=$((running - 1))
        show
    fi
    boot "$number" </dev/null &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || true
    running=$((running - 1))
    show
done
# Once more, where whoever looks at the end of a long log finds it.
for number in "${failures[@]}"; do
    echo
    echo "=== failed: ${machines[number]}"
    grep -A 40 '^not ok' "$work/$number" | grep -v '^ok ' | head -n 150 || tail -n 30 "$work/$number"
done
echo
# A machine that has not even said how it ended has failed as well.
echo "ring 3: $((shown - failed)) of ${#machines[@]} machines passed, $SECONDS s"
[ "$failed" = 0 ] && [ "$shown" = "${#machines[@]}" ]
