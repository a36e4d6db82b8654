# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# What the scenarios of self-service begin with: pkexec and its agent, and what a refusal looks like. No scenarios.

. /payload/guest/product.sh
rm -f /etc/fidokey/users/*.toml /var/keys/*
find /var/lib/fidokey -mindepth 1 -delete
record=/etc/fidokey/users/1000.toml

# policy SELF_SERVICE [VERIFICATION]
policy() {
    cat >/etc/fidokey/config.toml <<TOML
schema = 1
self_service = $1

[default]
mode = "second-factor"
verification = "${2:-none}"
wait_for_key = "5s"
touch = "5s"
TOML
}

# pkexec beside an agent of its own, as whoever does not care for the command would start it. BEFORE is said by a shell that
# then becomes pkexec, WITH stands before it, CLOSE behind it.
cat >/usr/local/bin/rig-pkexec <<'SH'
#!/bin/bash
ready=$(mktemp -u)
mkfifo "$ready"
pkttyagent --process $$ --notify-fd 5 5>"$ready" &
read -r _ <"$ready"
rm "$ready"
(
    eval "$BEFORE"
    eval "exec $WITH pkexec --disable-internal-agent \"\$@\" $CLOSE"
)
status=$?
kill %1
exit $status
SH
chmod 755 /usr/local/bin/rig-pkexec

asks='Password: '
pin='Security key PIN: '
second='Register the second key now?'
new='then press Enter: '
register_cue='Touch your security key to register it.'
self=/usr/bin/fidokey

# no_keys: nobody has any.
no_keys() {
    rm -f /etc/fidokey/users/*.toml
    find /var/lib/fidokey -mindepth 1 -delete
}

# The records and whatever is beside them.
records() {
    (cd /etc/fidokey/users && ls -laR --time-style=full-iso . && cat ./*.toml) 2>&1
}

# lines REGEX: those of the command in the log since the scenario began.
lines() {
    tail -n "+$((logged + 1))" /run/syslog | grep -E 'fidokey\[[0-9]+\]: ' | grep -E -- "$1"
}

# told N REGEX: as many of the command's lines match. The journal may lag behind. A refusal is shown with what was tried.
told() {
    local found until=$((SECONDS + 3))
    while found=$(lines "$2" | wc -l) && [ "$found" -lt "$1" ] && [ "$SECONDS" -lt "$until" ]; do
        sleep 0.1
    done
    [ "$found" = "$1" ] || complain "expected $1 lines of the command in the log with: $2; found $found"
    case $1$2 in [1-9]refused=*) attempt "$(lines "$2")" ;; esac
}

# attempt LINES: what was tried, and where `how` is set how, for docs/SELF-SERVICE.md, and what the log has of it.
how=
attempt() {
    [ -z "$how" ] || echo "how: $how"
    how=
    echo "tried: $last"
    sed -n 's/^.\{15\} /log: /p' <<<"$1"
}

# refused REASON STATUS USER LINE [TEXT ACTION]...: as type_at; the command says so in the log and nothing has changed.
refused() {
    local reason=$1 expected=$2 before
    before=$(records)
    log_from_here
    type_at "${@:3}"
    expect_status "$expected"
    told 1 "refused=[^ ]* verb=[^ ]* reason=$reason "
    told 0 'registered=|renamed=|removed='
    [ "$(records)" = "$before" ] || complain "the records have changed: $(records)"
}

# kept_out STATUS USER LINE [TEXT ACTION]...: it does not get as far as the privileged command.
kept_out() {
    local expected=$1 before
    before=$(records)
    log_from_here
    type_at "${@:2}"
    expect_status "$expected"
    told 0 '.'
    [ "$(records)" = "$before" ] || complain "the records have changed: $(records)"
}

# shut_out USER LINE [TEXT ACTION]...: polkit or pkexec refuses, and says so in the log.
shut_out() {
    local found until
    kept_out 127 "$@"
    last="${WITH:+$WITH }$last"
    # The journal may lag behind.
    until=$((SECONDS + 3))
    until found=$(tail -n "+$((logged + 1))" /run/syslog | grep -E "pkexec\[[0-9]+\]: $1: ") || [ "$SECONDS" -ge "$until" ]; do
        sleep 0.1
    done
    [ -n "$found" ] || complain 'pkexec has said nothing'
    attempt "$found"
}

# The record of alice is whole, and hers; nothing else was left beside it.
expect_whole() {
    run fidokey list --user alice --json
    expect_status 0
    expect_count "$1" '"added_by": "alice via polkit"'
    expect_holds test "$(stat -c '%a %u %g %h' $record)" = '644 0 0 1'
    expect_holds test "$(ls -A /etc/fidokey/users)" = "$(printf '.lock\n1000.toml')"
}

# enrolled NAME USER PIN: a key of that name with a PIN, which stays plugged in, is the user's, as root registers it.
enrolled() {
    plug "$1"
    key "$1" pin "$3" >"/run/key-$1.out"
    udevadm settle --timeout=10
    log_from_here
    type_at root "fidokey enroll --user $2 --name $1" "$pin" "echo $3" "$second" 'echo n'
    [ "$status" = 0 ] || complain "$1 is no key of $2, status $status: $output"
    # Not among what comes after.
    told 1 "registered=.* key=$1 "
}

# steel is the only key that there is.
steel_is_alices() {
    no_keys
    rm -f /var/keys/steel
    policy true required
    enrolled steel alice 1234
    pull steel
}
