# shellcheck shell=bash disable=SC2034,SC2154
# What a login costs with fidokey and with pam-u2f at the same emulated keys, measured and printed for the table in
# docs/BENCHMARKS.md: lines of `bench`, the row, the column, what is ours, and pam-u2f's, with tabs between. Counts are
# asserted; times never.

. /payload/guest/both.sh

# Milliseconds between two polls of a key on USB: keys say from 1 to 5 (`bInterval` of their endpoints).
interval=5

# Counts are the same in every run, but for a keepalive where something takes long: the lesser of so many runs.
runs=2
# Logins of either module for the times, by four.
rounds=4

own=$(make_credential own 2)
old=$(make_credential old 1)

# among LINE N [LENGTH]: alice has N credentials, the last one of which is that.
among() {
    { foreign "$(($2 - 1))" "${3-}" <<<"$1"; printf '%s\n' "$1"; } | credentials "$protocol"
}
protocol=fido2

cat >"$both/memory" <<'SH'
#!/bin/sh
cat /proc/$PPID/smaps_rollup >/run/both/rollup
SH
chmod 755 "$both/memory"

# say ROW COLUMN OURS THEIRS
say() {
    printf 'bench\t%s\t%s\t%s\t%s\n' "$@"
}

say_versions() {
    say - kernel "$(uname -r)" -
    local package
    for package in libpam0g libpam-u2f libfido2-1 valgrind; do
        say - "$package" "$(dpkg-query --show --showformat='${Version}' "$package")" -
    done
}
say_versions

least() {
    printf '%s\n' "$@" | sort -n | head -n 1
}

# The counts of one module, from the least of the runs: the variables `<module>_<column>`.
count() {
    local module=$1 run all last out into
    shift
    for run in $(seq "$runs"); do
        heard "$@" >"$both/discarded"
        granted "$module" authenticate
        heard "$@"
    done >"$both/columns"
    # Whole runs: a keepalive more or less is a report.
    read -r all last out into < <(sort -n -k 1 -k 3 -k 4 "$both/columns" | head -n 1)
    printf -v "${module}_commands" %s "$all"
    printf -v "${module}_last" %s "$last"
    printf -v "${module}_out" %s "$out"
    printf -v "${module}_in" %s "$into"
    [ "$(sort -u "$both/columns" | wc -l)" = 1 ] || echo "# $row, $module: the wire varies: $(sort -u "$both/columns" | tr '\n' ';')"
    local once=() twice=() least_once least_twice
    for run in $(seq "$runs"); do
        calls "$module" authenticate
        once+=("$calls")
        printf -v "${module}_opens" %s "$opens"
        calls "$module" authenticate authenticate
        twice+=("$calls")
    done
    [ "$(printf '%s\n' "${once[@]}" | sort -u | wc -l)" = 1 ] || echo "# $row, $module: the system calls vary: ${once[*]}"
    least_once=$(least "${once[@]}") least_twice=$(least "${twice[@]}")
    printf -v "${module}_calls" %s $((least_once - without))
    printf -v "${module}_warm" %s $((least_twice - least_once - (without_twice - without)))
}

calls neither authenticate
without=$calls
calls neither authenticate authenticate
without_twice=$calls

# instructions MODULE: sets `first` and `second`: of the whole program but its second authenticate, and of that.
instructions() {
    rm -f "$both"/callgrind*
    through=(valgrind -q --tool=callgrind "--callgrind-out-file=$both/callgrind"
        --dump-before=pam_authenticate --dump-after=pam_authenticate)
    granted "$1" authenticate authenticate
    through=()
    # One part up to the first, the first, one between, the second, the rest.
    local parts
    parts=$(awk -F ': ' '$1 == "part" { part = $2 } $1 == "summary" || $1 == "totals" { of[part] = $2 }
        END { for (part in of) print part, of[part] }' "$both"/callgrind* | sort -n)
    read -r first second < <(awk '{ part++; if (part == 4) second = $2; else first += $2 }
        END { if (part == 5) print first, second }' <<<"$parts")
    [ -n "$first" ] || complain "callgrind's parts: $parts"
}

resident() {
    granted "$1-memory" authenticate acct_mgmt
    read -r anonymous rss < <(awk '$1 == "Anonymous:" { anonymous = $2 } $1 == "Rss:" { rss = $2 }
        END { print anonymous, rss }' "$both/rollup")
}

timed() {
    local started=${EPOCHREALTIME/./}
    pamtester "rig-$1" alice authenticate <"$both/typed" >"$both/out" 2>&1 || complain "pamtester rig-$1: $(<"$both/out")"
    echo $((${EPOCHREALTIME/./} - started)) >>"$both/times-$1"
}

median() {
    sort -n "$1" | awk '{ all[NR] = $1 } END { print (all[int((NR + 1) / 2)] + all[int(NR / 2) + 1]) / 2 }'
}

# measure ROW KEY...: with those keys plugged in. The account's is the last one.
measure() {
    local row=$1 column round started=$SECONDS
    shift
    count ours "$@"
    count theirs "$@"
    for column in commands last out in opens calls warm; do
        local ours=ours_$column theirs=theirs_$column
        say "$row" "$column" "${!ours}" "${!theirs}"
    done
    [ "$ours_calls" -lt "$theirs_calls" ] || complain "system calls: $ours_calls, pam-u2f's $theirs_calls"
    [ "$ours_commands" -le "$theirs_commands" ] || complain "commands: $ours_commands, pam-u2f's $theirs_commands"
    rm -f "$both"/times-*
    for round in $(seq "$rounds"); do
        timed neither; timed ours; timed theirs; timed theirs; timed ours; timed neither
    done
    local neither_time ours_time theirs_time
    neither_time=$(median "$both/times-neither") ours_time=$(median "$both/times-ours") theirs_time=$(median "$both/times-theirs")
    say "$row" wall "$(perl -e 'printf "%.2f", $ARGV[0] / $ARGV[1]' "$ours_time" "$theirs_time")" -
    say "$row" added "$(perl -e 'printf "%.2f", ($ARGV[0] - $ARGV[2]) / ($ARGV[1] - $ARGV[2])' "$ours_time" "$theirs_time" "$neither_time")" -
    echo "# $row: microseconds: neither $neither_time, ours $ours_time, pam-u2f $theirs_time"
    echo "# $row: $((SECONDS - started)) s"
}

# Instructions and memory of that row, which take longer.
dissect() {
    local row=$1 column module started=$SECONDS first second anonymous rss
    for module in neither ours theirs; do
        instructions "$module"
        printf -v "${module}_first" %s "$first"
        printf -v "${module}_second" %s "$second"
        resident "$module"
        printf -v "${module}_anonymous" %s "$anonymous"
        printf -v "${module}_rss" %s "$rss"
    done
    for column in first second anonymous rss; do
        local ours=ours_$column theirs=theirs_$column neither=neither_$column
        say "$row" "$column" $((${!ours} - ${!neither})) $((${!theirs} - ${!neither}))
    done
    [ "$ours_first" -lt "$theirs_first" ] || complain "instructions: $((ours_first - neither_first)), pam-u2f's $((theirs_first - neither_first))"
    echo "# $row: $((SECONDS - started)) s"
}

given_1_credential_then_ours_costs_less() {
    among "$own" 1
    plug own
    measure 1 own
    dissect 1
}

given_3_credentials_then_ours_costs_less() {
    among "$own" 3
    plug own
    measure 3 own
}

given_8_short_credentials_then_ours_costs_less() {
    among "$own" 8 64
    plug own
    measure 8-short own
}

given_8_credentials_then_ours_costs_less() {
    among "$own" 8
    plug own
    measure 8 own
}

given_64_short_credentials_then_ours_costs_less() {
    among "$own" 64 64
    plug own
    rounds=2
    measure 64-short own
    rounds=4
}

given_64_credentials_then_ours_costs_less() {
    among "$own" 64
    plug own
    rounds=2
    measure 64 own
    rounds=4
    dissect 64
}

given_2_keys_then_ours_costs_less() {
    among "$own" 1
    plug other-1
    plug own
    measure keys-2 other-1 own
}

given_8_keys_then_ours_costs_less() {
    local number others=()
    among "$own" 1
    for number in 1 2 3 4 5 6 7; do
        plug "other-$number"
        others+=("other-$number")
    done
    plug own
    measure keys-8 "${others[@]}" own
}

given_1_credential_of_the_first_generation_then_ours_costs_less() {
    protocol=u2f
    among "$old" 1
    plug old at-once 1
    measure u2f-1 old
    dissect u2f-1
    protocol=fido2
}

given_8_credentials_of_the_first_generation_then_ours_costs_less() {
    protocol=u2f
    among "$old" 8
    plug old at-once 1
    measure u2f-8 old
    protocol=fido2
}

with_pin() {
    plug own
    # A first one, which it keeps.
    [ -e "$both/has-pin" ] || key own pin 1234 >"$both/has-pin"
    stacks verification=required pinverification=1
    # Once for each of two logins.
    type_in $'1234\n1234\n'
}

given_1_credential_and_a_pin_then_ours_costs_less() {
    with_pin
    among "$own" 1
    measure pin-1 own
    dissect pin-1
}

given_8_credentials_and_a_pin_then_ours_costs_less() {
    with_pin
    among "$own" 8
    measure pin-8 own
}
