# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# fidokey and pam-u2f in the same situation: what is waited for. It takes minutes, so that `make compare` alone
# runs it.

. /payload/guest/twins.sh

# --- waits ---------------------------------------------------------------------------------------------------

# F3.
given_a_fifo_in_the_files_place_then_login() {
    enrolled
    plug blue
    both_files 'rm "$file"; mkfifo "$file"'
    log_in
    compare fifo
}

# F5: an eighth of a gigabyte, as the machine has one.
given_a_file_without_end_then_memory() {
    enrolled
    both_files ': >"$file"; truncate -s 128M "$file"'
    cat >"$both/peak" <<'SH'
#!/bin/sh
sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' /proc/$PPID/status >/run/both/peak-kib
SH
    chmod 755 "$both/peak"
    sed -i -e '1s/default=die/default=ignore/' -e '2s#.*#auth optional pam_exec.so quiet /run/both/peak#' \
        -e '$a auth required pam_deny.so' /etc/pam.d/twin-ours /etc/pam.d/twin-theirs
    plug blue
    log_in peak
    # The stack denies in any case.
    ours=${ours#*, } theirs=${theirs#*, }
    compare sparse
}

peak() {
    local kib
    kib=$(<"$both/peak-kib")
    if [ "$kib" -lt 32768 ]; then
        echo ', memory less than 32 MiB'
    elif [ "$kib" -ge 131072 ]; then
        echo ', memory more than the 128 MiB of the file'
    else
        echo ", memory $kib KiB"
    fi
}

# D1. This key gives up after half a minute, as real ones do.
given_no_touch_then_the_end_of_the_wait() {
    enrolled
    plug blue never
    limit=60
    log_in at_most 15000
    compare no-touch
}

# D14.
given_a_key_that_comes_later_then_login() {
    enrolled
    ours_base='mode=second-factor wait_for_key=10s touch=3s' lines
    plug blue
    key blue unplug
    later attempt ours
    ours=$result
    later attempt theirs
    theirs=$result
    compare key-later
    lines
    # What pam-u2f has for that: a question first.
    ours_base='mode=second-factor wait_for_key=10s touch=3s' lines '' interactive
    rm -f "$both/answered"
    mkfifo "$both/answered"
    later answered ours
    ours=$result
    later answered theirs
    theirs=$result
    compare key-later-interactive
}

# later COMMAND...: does that, and four seconds later the key is plugged in; then it is pulled out again.
later() {
    { sleep 4; key blue plug >/dev/null; } &
    "$@"
    wait $!
    udevadm settle --timeout=10
    key blue unplug
}

# A login whose question is answered after eight seconds.
answered() {
    local typed=$both/answered
    { sleep 8; echo; } >"$typed" &
    attempt "$1"
    wait $! 2>/dev/null
}

# D27.
given_two_keys_then_the_second_is_touched() {
    cat "$both/own" "$both/others" >"$both/two"
    enrolled "$both/two"
    plug blue never
    plug red after:1000
    limit=60
    log_in at_most 15000
    compare two-keys
}

# D12.
given_a_key_that_is_pulled_out_then_login() {
    enrolled
    for module in ours theirs; do
        plug blue never
        { key blue await-asking; sleep 0.5; key blue unplug; } &
        attempt $module
        wait $!
        printf -v $module %s "$result"
        pull blue
    done
    compare pulled-out
}

# Q6: libfido2 and fidokey lock a key's node.
given_a_key_that_another_program_has_then_login() {
    local holder
    enrolled
    plug blue
    flock "$(node blue)" sleep 60 &
    holder=$!
    limit=40
    sleep 0.5
    log_in at_most 10000
    compare key-busy
    kill $holder
}

# G6. The log is full, and nobody reads it.
given_a_log_that_nobody_reads_then_login() {
    local reader
    enrolled
    mv /dev/log /dev/log.away
    timeout 90 perl -MSocket -MFcntl -e '
        socket(my $log, AF_UNIX, SOCK_DGRAM, 0) or die $!;
        bind($log, sockaddr_un("/dev/log")) or die $!;
        socket(my $full, AF_UNIX, SOCK_DGRAM, 0) or die $!;
        fcntl($full, F_SETFL, O_NONBLOCK) or die $!;
        1 while send($full, "x", 0, sockaddr_un("/dev/log"));
        open(my $ready, ">", "/run/log-is-full");
        sleep(90);' &
    reader=$!
    while kill -0 $reader 2>/dev/null && [ ! -e /run/log-is-full ]; do sleep 0.05; done
    chmod 666 /dev/log
    plug blue
    log_in
    compare log-full
    # pam-u2f has something to say of this file.
    both_files 'chmod 646 "$file"'
    log_in
    compare log-full-writable
    kill $reader
    wait $reader 2>/dev/null
    rm -f /dev/log /run/log-is-full
    mv /dev/log.away /dev/log
}

# --- what pam-u2f has and fidokey has not ------------------------------------------------------------------------

given_a_user_without_root_then_registration() {
    enrolled
    plug blue
    setfacl -m u:alice:rw "$(node blue)"
    run as alice fidokey enroll --name mine
    if [ "$status" = 0 ]; then ours=registered; else ours=refused; fi
    run as alice pamu2fcfg -u alice
    if [ "$status" = 0 ]; then theirs=registered; else theirs=refused; fi
    compare register-as-user
}

given_a_program_that_shows_waits_then_a_file_for_it() {
    enrolled
    plug blue
    lines authpending_file=/run/both/pending authpending_file=/run/both/pending
    log_in pending
    compare pending-file
}

pending() {
    if [ -e /run/both/pending ]; then echo ', the file is made'; rm /run/both/pending; fi
}

given_a_text_of_ones_own_then_the_cue() {
    enrolled
    plug blue
    lines 'cue_prompt=Here' 'cue_prompt=Here'
    log_in shown
    compare cue-text
}

shown() {
    if grep -q Here "$both/stdout"; then echo ', text shown'; fi
}
