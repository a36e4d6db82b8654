# shellcheck shell=bash disable=SC2013,SC2015,SC2034,SC2154
# Runs a scenario file: every function `given_..._then_...`, in the order of the file. In there, `run` or
# `type_at` does something and the `expect_*` say what must have come of it; those that do not hold
# are shown with the last output and the log.

# lib.sh FILE [SUDO]: the program that stands for sudo, where it is another one.
sudo=${2:-sudo}

number=0
failures=0
complaints=()
complained=
last=nothing
output=
status=0
milliseconds=0

main() {
    local file=$1 name started logged
    # shellcheck source=/dev/null
    . "$file" || exit 1
    resume "$file"
    for name in $(sed -n 's/^\(given_[a-z0-9_]*\)() {$/\1/p' "$file"); do
        number=$((number + 1))
        [ "$number" -gt "$resumed" ] || continue
        complaints=() complained=
        last=nothing output=
        log_from_here
        started=${EPOCHREALTIME/./}
        : >"$unknown"
        "$name" </dev/null
        [ ! -s "$unknown" ] || complain "no such command: $(cat "$unknown")"
        verdict "$name" $(((${EPOCHREALTIME/./} - started) / 1000))
        pull_all
    done
    echo "$((number - failures)) passed, $failures failed: $(basename "$file" .sh) with $sudo, $SECONDS s"
    [ "$failures" = 0 ] && [ "$number" != 0 ]
}

# What came of a scenario.
verdict() {
    local name=$1 started=$2
    if [ ${#complaints[@]} = 0 ]; then
        echo "ok $number $name ($started ms)"
    else
        failures=$((failures + 1))
        echo "not ok $number $name ($started ms)"
        printf '%s\n' "${complaints[@]}" | sed 's/^/    /'
        echo "    the log:"
        tail -n "+$((logged + 1))" /run/syslog | sed 's/^/    | /'
    fi
}

# The machine's memory of itself over a start: which scenario was the last, and how many have failed.
resumed=0
memory=

resume() {
    memory=/var/lib/rig-$(basename "$1" .sh)
    [ ! -e "$memory" ] || read -r resumed failures <"$memory"
}

# To be said first by a scenario that ends with cut_power: this must be on the disk, and nothing be written for its sake
# just before the cut.
will_lose_power() {
    echo "$number $failures" >"$memory"
    sync
}

# As if the plug were pulled: what is not on the disk is lost. Ends the scenario; the next one is after the start.
cut_power() {
    verdict "${FUNCNAME[1]}" 0
    echo b >/proc/sysrq-trigger
    sleep 60
}

# A misspelt expectation must not pass for one that holds. Bash calls this in a subshell.
unknown=/run/unknown-commands
command_not_found_handle() {
    echo "$*" >>"$unknown"
    return 127
}

# --- doing something -------------------------------------------------------------------------------

# Runs a command or a function of this file without a terminal; sets output (both streams), status and
# milliseconds.
run() {
    local limit=(timeout 60) started=${EPOCHREALTIME/./}
    [ "$(type -t "$1")" != function ] || limit=()
    last="$*"
    output=$("${limit[@]}" "$@" 2>&1)
    status=$?
    milliseconds=$(((${EPOCHREALTIME/./} - started) / 1000))
}

# Runs a command as a user, without a terminal and without PAM.
as() {
    timeout 60 setpriv --reuid="$1" --regid="$1" --init-groups env HOME="/home/$1" "${@:2}"
}

# What is typed may come too late for whoever would have read it. Not ignored: children would inherit that.
trap : PIPE

# Runs a command line as a user on a terminal of its own. Each pair of further arguments is a text to wait
# for, behind the one before, and what to do when it is there; what that prints is typed:
# type_at alice 'sudo id' 'password for alice: ' 'echo secret'
type_at() {
    local user=$1 line=$2 started=${EPOCHREALTIME/./} character from to process unmet=
    shift 2
    last="$line (as $user)"
    output=
    # What runs in the background of a shell ignores these two signals, and nothing at a real terminal does.
    coproc terminal { as "$user" env --default-signal=INT,QUIT script -qefc "$line" /dev/null 2>&1; }
    # Copies: once the terminal is gone bash closes its own, with what was not read yet.
    process=$terminal_PID
    exec {from}<&"${terminal[0]}" {to}>&"${terminal[1]}"
    while IFS= read -r -N 1 -u "$from" character; do
        output+=$character
        unmet+=$character
        if [ $# -gt 0 ] && [[ $unmet == *"$1"* ]]; then
            unmet=
            eval "$2" >&"$to"
            shift 2
        fi
    done
    exec {from}<&- {to}>&-
    wait "$process"
    status=$?
    milliseconds=$(((${EPOCHREALTIME/./} - started) / 1000))
    output=${output//$'\r'/}
    [ $# = 0 ] || complain "the terminal never showed: $1"
}

# Types the password for polkit's agent, which throws away what was typed before it had the terminal without echo, and shows
# the prompt earlier.
password_for_agent() {
    local left=100
    until stty --all -F "/dev/$(ps -o tty= -C pkttyagent | tail -n 1)" 2>/dev/null | grep -q -- '-echo ' || [ "$left" = 0 ]; do
        left=$((left - 1))
        sleep 0.1
    done
    echo "${1:-secret}"
}

# What `sudo -k` of everybody would do, for a fraction of the time.
forget_passwords() {
    rm -f /run/sudo/ts/* /run/sudo-rs/ts/*
}

# The text by which sudo asks for a user's password.
asks_for_password() {
    case $sudo in
        sudo-rs) echo '[sudo: authenticate] Password: ' ;;
        *) echo "password for $1: " ;;
    esac
}

# `sudo id` of a user on a terminal, with the password asked for every time; further arguments as above.
sudo_id() {
    forget_passwords
    type_at "$1" "$sudo id" "$(asks_for_password "$1")" 'echo secret' "${@:2}"
}

# `su` to alice by bob, and `login` of alice, each on a terminal; arguments as of type_at from the third on.
su_to_alice() {
    type_at bob "su ${1:+$1 }alice -c id" 'Password: ' 'echo secret' "${@:2}"
}

login_alice() {
    type_at root 'login alice' 'Password: ' 'echo secret' "$@"
}

# --- keys --------------------------------------------------------------------------------------------

declare -A plugged=()

# plug NAME [POLICY [GENERATION]]: the key of that name, always the same one, until `pull`. Where `interval` is set, each
# report to or from it waits for its tick of so many milliseconds, as on USB; where `product` is set, its device calls itself
# that; where `reader` is set, it has a fingerprint reader; where `attestation` is `self`, it signs for itself and not by its
# maker's key.
#
# It goes before everything else on the machine's processor: a real key has one of its own, and loses nothing of what it is
# sent. The kernel keeps 32 reports for a program that is a device and drops what comes on top without a word, and a message
# can have more.
interval=
product=
reader=
attestation=
plug() {
    local name=$1 policy=${2:-at-once} generation=${3:-2} waited=0
    chrt --fifo 50 fidokey-key --store "/var/keys/$name" --touch "$policy" --generation "$generation" --control "/run/key-$name" \
        ${interval:+--interval "$interval"} ${product:+--product "$product"} ${reader:+--reader yes} \
        ${attestation:+--attestation "$attestation"} >"/run/key-$name.out" 2>&1 &
    plugged[$name]=$!
    until grep -q '^plugged:' "/run/key-$name.out"; do
        waited=$((waited + 1))
        if [ "$waited" -gt 200 ]; then
            complain "the key $name could not be plugged in: $(cat "/run/key-$name.out")"
            return 1
        fi
        sleep 0.05
    done
    udevadm settle --timeout=10
}

# The node of a plugged key, for example /dev/hidraw0.
node() {
    sed -n 's#^plugged: #/dev/#p' "/run/key-$1.out"
}

# key NAME COMMAND...: see the program's obey().
key() {
    fidokey-key ctl "/run/key-$1" "${@:2}"
}

pull() {
    kill "${plugged[$1]}" 2>/dev/null
    wait "${plugged[$1]}" 2>/dev/null
    unset "plugged[$1]"
    # The node is gone once nobody has it open any more and udev has heard of it.
    udevadm settle --timeout=10
}

pull_all() {
    local name
    for name in "${!plugged[@]}"; do
        pull "$name"
    done
}

# --- what must have come of it ---------------------------------------------------------------------------

complain() {
    # What it printed, once for each: the next command's output takes its place.
    if [ "$status $output" != "$complained" ]; then
        complained="$status $output"
        complaints+=("after: $last: status $status after $milliseconds ms, and the output:" "| ${output//$'\n'/$'\n| '}")
    fi
    complaints+=("after: $last: $*")
}

expect_status() {
    [ "$status" = "$1" ] || complain "expected status $1, got $status"
}

expect_failure() {
    # 124 to 127 are of `timeout`: too long, or not run at all.
    case $status in
        0 | 12[4-7]) complain "expected a failure, got status $status" ;;
    esac
}

# The text occurs in the output, as it stands.
expect_output() {
    [[ $output == *"$1"* ]] || complain "expected in the output: $1"
}

expect_no_output_of() {
    [[ $output != *"$1"* ]] || complain "not expected in the output: $1"
}

# expect_count N TEXT: lines of the output that contain the text.
expect_count() {
    local found
    found=$(grep -cF -- "$2" <<<"$output")
    [ "$found" = "$1" ] || complain "expected $1 lines with: $2; found $found"
}

# expect_between MIN MAX: what `run` or `type_at` took, in milliseconds.
expect_between() {
    [ "$milliseconds" -ge "$1" ] && [ "$milliseconds" -le "$2" ] ||
        complain "expected between $1 and $2 ms, took $milliseconds ms"
}

# logged REGEX: the lines of ours in the log that match, since the scenario began or since `log_from_here`.
logged() {
    tail -n "+$((logged + 1))" /run/syslog | grep -E 'fidokey\(.*result=' | grep -E -- "$1"
}

log_from_here() {
    local mark left=50
    # systemd's journal lags behind: what is there so far is before this.
    if [ -d /run/systemd/system ]; then
        mark="here, $EPOCHREALTIME"
        logger -t rig "$mark"
        until grep -qF "$mark" /run/syslog || [ "$left" = 0 ]; do
            left=$((left - 1))
            sleep 0.1
        done
    fi
    logged=$(wc -l </run/syslog)
}

# expect_logged N REGEX: as many of our lines match. The program that writes them may lag behind.
expect_logged() {
    local found until=$((SECONDS + 2))
    while found=$(logged "$2" | wc -l) && [ "$found" -lt "$1" ] && [ "$SECONDS" -lt "$until" ]; do
        sleep 0.05
    done
    [ "$found" = "$1" ] || complain "expected $1 lines in the log with: $2; found $found"
}

# expect_holds COMMAND...: any other condition.
expect_holds() {
    "$@" || complain "does not hold: $*"
}

main "$@"
