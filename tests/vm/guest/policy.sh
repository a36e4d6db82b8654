# shellcheck shell=bash disable=SC2001,SC2016,SC2034,SC2154
# What takes a whole machine: its accounts, log, environment and limits. Whoever asks is pamtester, most
# of the time: a host that adds nothing. Every scenario leaves the machine as it found it.

. /payload/guest/product.sh

record=/etc/fidokey/users/1000.toml
# At once, for an emulated machine on a busy one. What must not be waited for takes ten seconds, or for ever.
soon=5000
rm -f /etc/fidokey/users/*.toml

# Where no key is plugged in, that is all: most of this is about something else than waiting.
cat >>/etc/fidokey/config.toml <<'TOML'

[service.rig-fidokey]
wait_for_key = "0s"
TOML

register blue alice

# ask USER [OPTION...]: a login of the user, whose options are pamtester's.
ask() {
    run pamtester "${@:2}" rig-fidokey "$1" authenticate
}

# The stack lets in whoever is exempt, so that a denial is a denial.
expect_refused() {
    expect_failure
    expect_no_output_of 'successfully authenticated'
}

# stack SERVICE ARGUMENT...: a service whose one line is ours. What the module answers is what the service does.
stack() {
    printf '%s\n' "auth required pam_fidokey.so ${*:2}" 'account required pam_permit.so' >"/etc/pam.d/$1"
}

# --- accounts ------------------------------------------------------------------------------------------

# U4, U5.
given_other_names_of_one_number_then_they_need_the_same_key() {
    local name
    cp -p /etc/passwd /run/passwd
    printf '%s\n' 'Alice:x:1000:1000::/home/alice:/bin/bash' 'alice2:x:1000:1000::/home/alice:/bin/bash' \
        'bob2:x:1001:1001::/home/bob:/bin/bash' >>/etc/passwd
    for name in Alice alice2; do
        ask "$name"
        expect_refused
    done
    expect_logged 2 'result=denied code=7 reason=no_key user=(Alice|alice2) uid=1000 '
    plug blue
    for name in Alice alice2; do
        ask "$name"
        expect_status 0
    done
    expect_logged 2 'result=granted .*user=(Alice|alice2) uid=1000 '
    ask bob2
    expect_logged 1 'result=exempt .*user=bob2 uid=1001 '
    cp -p /run/passwd /etc/passwd
}

# U9.
given_a_record_of_number_zero_then_it_is_root_by_any_name() {
    register green root
    cp -p /etc/passwd /run/passwd
    echo 'toor:x:0:0::/root:/bin/bash' >>/etc/passwd
    ask toor
    expect_refused
    ask root
    expect_refused
    plug green
    ask toor
    expect_status 0
    expect_logged 1 'result=granted .*user=toor uid=0 '
    # Now the name is somebody else's, who has no record.
    sed -i 's/^root:x:0:/toor:x:0:/; s/^bob:/root:/' /etc/passwd
    ask root
    expect_logged 1 'result=exempt .*user=root uid=1001 '
    cp -p /run/passwd /etc/passwd
    rm /etc/fidokey/users/0.toml
}

# U11. A screen locker runs as the user; udev and logind give the keys to whoever sits there (uaccess).
given_a_screen_locker_then_the_key_lets_in_without_root() {
    plug blue
    setfacl -m u:alice:rw "$(node blue)"
    run as alice pamtester rig-fidokey alice authenticate
    expect_status 0
    expect_logged 1 ''
    expect_logged 1 'result=granted code=0 .*user=alice uid=1000 .*service=rig-fidokey .*state=not_root'
}

# U11, F9, F10.
given_a_screen_locker_that_cannot_read_the_record_then_it_is_denied() {
    plug blue
    setfacl -m u:alice:rw "$(node blue)"
    chmod 600 "$record"
    run as alice pamtester rig-fidokey alice authenticate
    expect_refused
    expect_logged 1 'result=denied code=7 reason=record .*permission'
    chmod 644 "$record"
    chmod 700 /etc/fidokey/users
    run as alice pamtester rig-fidokey alice authenticate
    expect_refused
    expect_logged 2 'result=denied code=7 reason=record .*permission'
    chmod 755 /etc/fidokey/users
    run key blue transcript
    expect_count 0 command
}

# U10.
given_a_screen_locker_that_cannot_open_the_key_then_it_is_denied_at_once() {
    plug blue
    stack rig-patient mode=second-factor wait_for_key=10s
    run as alice pamtester rig-patient alice authenticate
    expect_refused
    expect_between 0 "$soon"
    expect_logged 1 'result=denied code=7 reason=key_inaccessible '
    expect_logged 1 ''
}

# U13. Without a log as well: what the module answered is what pamtester says.
given_no_proc_sys_and_dev_then_it_is_denied_at_once() {
    local mode
    stack rig-patient mode=second-factor wait_for_key=10s
    stack rig-alternative mode=alternative touch_only_alternative=true wait_for_key=10s
    mkdir -p /run/bare
    # Not recursive: the directories are there and empty.
    mount --bind / /run/bare
    mount -t tmpfs -o ro tmpfs /run/bare/dev
    expect_holds test ! -e /run/bare/proc/self -a ! -e /run/bare/sys/class -a ! -e /run/bare/dev/log
    plug blue
    run chroot /run/bare pamtester rig-patient alice authenticate
    expect_refused
    expect_output 'Authentication failure'
    expect_between 0 "$soon"
    run chroot /run/bare pamtester rig-alternative alice authenticate
    expect_refused
    expect_output 'Authentication service cannot retrieve authentication info'
    expect_between 0 "$soon"
    umount /run/bare/dev /run/bare
    run key blue transcript
    expect_count 0 command
}

# --- environment, names, clock and limits ----------------------------------------------------------------

# INV-8, U1, K8.
given_any_environment_host_name_and_clock_then_the_verdicts_are_the_same() {
    local seed=$RANDOM began uptime name number user environment expected=
    local variables=(HOME XDG_CONFIG_HOME XDG_CONFIG_DIRS XDG_DATA_HOME XDG_RUNTIME_DIR TZ LANG LANGUAGE LC_ALL
        LC_MESSAGES RUST_BACKTRACE RUST_LOG FIDO_DEBUG TMUX TERM SSH_CLIENT SSH_CONNECTION SSH_TTY SUDO_USER SUDO_UID
        SUDO_COMMAND DISPLAY WAYLAND_DISPLAY PATH USER LOGNAME PAM_USER PAM_RHOST TMPDIR)
    local values=('' / /nonexistent ../../etc alice 0 1 full true %s%n ':0' C.UTF-8 tr_TR.UTF-8 Asia/Kathmandu
        "$(printf 'x%.0s' {1..4000})" $'a\nb' $'\xff\xfe' 127.0.0.1 /run /home/bob)
    local names=(rig localhost alice laptop-7 a.very.long.name.of.a.host.example 10-0-0-1)
    local hosts=(10.0.0.1 localhost rig '?' ' ')
    echo "    seed $seed"
    RANDOM=$seed
    cp /etc/machine-id /run/machine-id 2>/dev/null
    began=$EPOCHSECONDS
    read -r uptime _ </proc/uptime
    plug blue
    for number in {1..24}; do
        environment=()
        for name in "${variables[@]}"; do
            [ $((RANDOM % 2)) = 0 ] || environment+=("$name=${values[RANDOM % ${#values[@]}]}")
        done
        echo "${names[RANDOM % ${#names[@]}]}" >/proc/sys/kernel/hostname
        printf '%08x%08x%08x%08x\n' $RANDOM $RANDOM $RANDOM $RANDOM >/etc/machine-id
        date -s "@$((began + (RANDOM - 16384) * 20000))" >/dev/null
        case $((number % 3)) in
            0)
                user=alice && set -- -I "rhost=${hosts[RANDOM % ${#hosts[@]}]}"
                expected+=$'result=denied code=6 reason=remote user=alice uid=1000\n'
                ;;
            1)
                user=bob && set --
                expected+=$'result=exempt code=25 reason=not_enrolled user=bob uid=1001\n'
                ;;
            2)
                user=alice && set --
                expected+=$'result=granted code=0 reason=verified user=alice uid=1000\n'
                ;;
        esac
        run env -i "${environment[@]}" /usr/bin/pamtester "$@" rig-fidokey $user authenticate
    done
    read -r number _ </proc/uptime
    date -s "@$((began + ${number%.*} - ${uptime%.*}))" >/dev/null
    hostname rig
    cp /run/machine-id /etc/machine-id 2>/dev/null || rm /etc/machine-id
    expect_logged 24 ''
    output=$(logged '' | grep -o 'result=.* uid=[0-9]*')
    expect_holds test "$output" = "${expected%$'\n'}"
}

# X8, U14.
given_a_file_size_limit_of_zero_then_the_host_lives_and_is_answered() {
    plug blue
    run bash -c 'ulimit -f 0; exec pamtester rig-fidokey alice authenticate'
    expect_status 0
    expect_output 'successfully authenticated'
    run bash -c 'ulimit -f 0; exec pamtester -I rhost=10.0.0.1 rig-fidokey alice authenticate'
    expect_status 1
    expect_output 'Permission denied'
}

# U14. None of these lets anybody in that has no key.
given_odd_descriptors_directories_and_limits_then_the_verdicts_are_as_usual() {
    local oddity oddities=('exec <&- >&- 2>&-' 'mkdir /run/gone; cd /run/gone; rmdir /run/gone' 'umask 0777'
        'ulimit -n 16' nice)
    plug blue
    for oddity in "${oddities[@]}"; do
        run bash -c "$oddity; exec pamtester rig-fidokey alice authenticate"
        expect_status 0
    done
    expect_logged ${#oddities[@]} 'result=granted code=0 '
    pull blue
    for oddity in "${oddities[@]}"; do
        run bash -c "$oddity; exec pamtester rig-fidokey alice authenticate"
        expect_refused
    done
    expect_logged ${#oddities[@]} 'result=denied code=7 reason=no_key '
    # Here libpam or the loader itself may come to an end, before us.
    for oddity in 'ulimit -n 4' 'ulimit -n 3' 'ulimit -v 65536' 'ulimit -s 64'; do
        run bash -c "$oddity; exec pamtester rig-fidokey bob authenticate"
        [ "$status" != 0 ] || expect_logged 1 'result=exempt .*user=bob'
        run bash -c "$oddity; exec pamtester rig-fidokey alice authenticate"
        expect_holds test "$status" != 0
        log_from_here
    done
}

# --- the log -------------------------------------------------------------------------------------------------

# Both must come to their usual end: a granted login and a denied one.
expect_decided_without_delay() {
    plug blue
    ask alice
    expect_status 0
    expect_between 0 "$soon"
    pull blue
    ask alice
    expect_refused
    expect_between 0 "$soon"
}

# G6.
given_no_log_then_logins_go_on() {
    mv /dev/log /dev/log.away
    expect_decided_without_delay
    mv /dev/log.away /dev/log
    expect_logged 0 ''
}

# G6. syslog(3) would wait for this log for ever.
given_a_log_that_nobody_reads_then_logins_go_on() {
    local reader
    mv /dev/log /dev/log.away
    # Binds it, fills its queue and reads nothing.
    timeout 60 perl -MSocket -MFcntl -e '
        socket(my $log, AF_UNIX, SOCK_DGRAM, 0) or die $!;
        bind($log, sockaddr_un("/dev/log")) or die $!;
        socket(my $full, AF_UNIX, SOCK_DGRAM, 0) or die $!;
        fcntl($full, F_SETFL, O_NONBLOCK) or die $!;
        1 while send($full, "x", 0, sockaddr_un("/dev/log"));
        open(my $ready, ">", "/run/log-is-full");
        sleep(60);' &
    reader=$!
    while kill -0 $reader 2>/dev/null && [ ! -e /run/log-is-full ]; do sleep 0.05; done
    expect_holds test -e /run/log-is-full
    chmod 666 /dev/log
    expect_decided_without_delay
    kill $reader
    wait $reader 2>/dev/null
    rm -f /dev/log /run/log-is-full
    mv /dev/log.away /dev/log
}

# expect_grammar: each of our lines in the log is `key=value key=value…`, every key once, and printable.
expect_grammar() {
    local line value='([A-Za-z0-9_.:/@+-]+|"([^"\\]|\\x[0-9a-f]{2})*"…?)'
    while IFS= read -r line; do
        line=${line#*:auth): }
        LC_ALL=C.UTF-8 grep -qE "^([a-z_]+=$value )*[a-z_]+=$value\$" <<<"$line" ||
            complain "not of the grammar: $line"
        [ "${#line}" -le 1024 ] || complain "too long: $line"
        [ -z "$(grep -oE '(^| )[a-z_]+=' < <(sed 's/"[^"]*"//g' <<<"$line") | sort | uniq -d)" ] ||
            complain "a key occurs twice: $line"
    done < <(logged '')
}

# G1, G4. The log's own program writes control characters as `^X`: they must not have come that far.
given_names_that_would_break_the_log_then_each_decision_is_one_line() {
    local evil=$'x"\n\e[2J\r result=granted code=0\x7f \xc2\x9b \xe2\x80\xa8 \\' lines
    lines=$(wc -l </run/syslog)
    plug blue
    ask alice -I "rhost=$evil"
    expect_status 1
    ask alice -I "tty=$evil" -I "ruser=$evil"
    expect_status 0
    ask $'alice\nbob'
    expect_refused
    ask $'alice"\e[2J'
    expect_refused
    # Cut, and still of the grammar.
    ask alice -I "tty=$(printf '\n%.0s' {1..900})" -I "ruser=$(printf '"%.0s' {1..900})"
    expect_status 0
    expect_logged 5 ''
    expect_logged 1 'result=denied code=6 reason=remote .*rhost="x\\x22\\x0a\\x1b\[2J\\x0d result=granted'
    expect_logged 2 'result=denied code=10 reason=user_unknown user=""'
    expect_grammar
    expect_holds test "$(($(wc -l </run/syslog) - lines))" = 5
    expect_holds test -z "$(tail -n 5 /run/syslog | LC_ALL=C grep -E $'\\^|[\x01-\x1f\x7f]')"
    expect_holds test -z "$(logged '' | LC_ALL=C grep $'\xc2\x9b\|\xe2\x80\xa8')"
}

# --- a remote session ------------------------------------------------------------------------------------------

# P14, U7.
given_a_remote_session_then_nothing_is_asked_or_shown_but_the_refusal() {
    stack rig-remote mode=second-factor remote=verify
    plug blue
    run pamtester -I rhost=10.0.0.1 rig-remote alice authenticate
    expect_refused
    expect_logged 1 'result=denied '
    # The key has no PIN to be asked for. It was asked silently what it has.
    expect_count 1 'A security key with a PIN is required.'
    # And what pamtester says to it.
    expect_holds test "$(grep -c . <<<"$output")" = 2
    run key blue transcript
    expect_count 0 touch
    expect_count 0 'command clientPIN'
    ask alice -I rhost=10.0.0.1
    expect_count 1 'Security key login is not allowed from a remote session.'
    expect_holds test "$(grep -c . <<<"$output")" = 2
    run key blue transcript
    expect_count 0 command
}
