# shellcheck shell=bash disable=SC2034,SC2154
. /payload/guest/both.sh
given_setup_then_ok() {
    dpkg-query -W libpam-u2f libfido2-1 libpam0g valgrind strace pamtester
    local i t=$EPOCHREALTIME
    plug filler
    for i in 1 2 3 4 5 6 7; do another_credential filler "$both/fillers"; done
    pull filler
    echo "fillers $t $EPOCHREALTIME"
    make_credential own 2 "$both/own"
    wc "$both/own" "$both/fillers"
    credentials "$both/own"
    run fidokey list --user alice
    expect_status 0
    echo "$output"
    plug own
    for m in ours theirs; do
    key own transcript >/dev/null
    granted $m authenticate; echo "$output"; key own transcript
    t=$EPOCHREALTIME; granted $m authenticate; echo "$m $t $EPOCHREALTIME"; 
    calls $m authenticate
    calls $m authenticate
    echo "strace $EPOCHREALTIME"
    cat "$both/calls" | cut -c 1-150
    done
    granted neither authenticate
    calls neither authenticate
    calls neither authenticate authenticate
    for m in neither ours theirs; do
    t=$EPOCHREALTIME
    through=(valgrind --tool=callgrind --callgrind-out-file=/dev/null)
    granted $m authenticate; echo "$output";  echo "$m $t $EPOCHREALTIME"
    done
    through=()
    printf '#!/bin/sh\ngrep -E "VmHWM|Rss|Vm" /proc/$PPID/status; cat /proc/$PPID/smaps_rollup\n' >/run/both/memory; chmod 755 /run/both/memory
    sed -i s,quiet,stdout, /etc/pam.d/rig-*-memory
    for m in neither ours theirs; do
    granted $m-memory authenticate acct_mgmt; echo "$output"
    done
}
given_pin_then_ok() {
    plug own
    key own pin 1234
    typed=$'1234\n'
    stacks verification=required pinverification=1
    for m in ours theirs; do
    key own transcript >/dev/null
    granted $m authenticate; echo "$output"; key own transcript
    done
}
given_u2f_then_ok() {
    typed=
    stacks
    make_credential u2f 1 "$both/u2f"
    export protocol=u2f
    credentials "$both/u2f"
    plug u2f at-once 1
    for m in ours theirs; do
    key u2f transcript >/dev/null
    granted $m authenticate; echo "$output"; key u2f transcript
    done
}
given_8_then_ok() {
    export protocol=fido2
    credentials "$both/fillers" "$both/own"
    plug own
    typed=
    for m in ours theirs; do
    key own transcript >/dev/null
    granted $m authenticate; echo "$output"; key own transcript
    done
}
