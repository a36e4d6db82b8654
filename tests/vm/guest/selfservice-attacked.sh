# shellcheck shell=bash disable=SC2016,SC2154
# Self-service attacked: by whoever wants another account's keys, a key by the password alone, or a record in pieces.
# Only where systemd is.

. /payload/guest/selfservices.sh

steel_is_alices

# --- who is meant --------------------------------------------------------------------------------------------

# The rule, and behind it the command.
given_pkexec_to_another_account_then_it_is_not_run_and_would_do_nothing() {
    local rules=/usr/share/polkit-1/rules.d/50-fidokey.rules
    shut_out bob "rig-pkexec --user alice $self self-enroll"
    expect_no_output_of "$asks"
    mv $rules /run/rules
    systemctl restart polkit
    how='without the rule that closes it'
    refused not_root 4 bob "rig-pkexec --user alice $self self-enroll" "$asks" password_for_agent
    told 1 'reason=not_root .* euid=1000 ruid=1000 pkexec_uid=1001'
    how='without that rule'
    refused not_root 4 bob "rig-pkexec --user alice $self self-remove steel" "$asks" password_for_agent
    mv /run/rules $rules
    systemctl restart polkit
}

given_the_environment_of_pkexec_without_it_then_nobody_is_believed() {
    refused not_root 4 alice "PKEXEC_UID=1000 $self self-enroll"
    refused not_root 4 alice "PKEXEC_UID=0 $self self-enroll"
    refused not_root 4 alice "PKEXEC_UID=1001 $self list"
    refused not_root 4 alice "$self self-enroll"
    refused not_root 4 alice "PKEXEC_UID=1000 bash -c 'exec -a /usr/bin/pkexec $self self-enroll'"
    refused not_root 4 alice "bash -c 'exec -a self-enroll $self self-remove steel'"
    forget_passwords
    refused not_root 4 bob "sudo -u alice PKEXEC_UID=1000 $self self-enroll" 'password for bob: ' 'echo secret'
}

given_root_itself_then_it_is_sent_to_the_verb_that_says_whom() {
    refused root_caller 4 root "pkexec $self self-enroll"
    expect_output 'fidokey enroll --user USER'
    refused no_caller 4 root "$self self-enroll"
    refused bad_caller 4 root "PKEXEC_UID=01000 $self self-enroll"
    refused no_account 4 root "PKEXEC_UID=4711 $self self-enroll"
}

# pkexec says who it is, whatever was in the environment; and what a library path or a home directory could do is gone.
given_a_hostile_environment_then_it_is_still_alice_and_alice_alone() {
    no_keys
    policy true
    mkdir -p /tmp/evil/.config/fidokey /tmp/evil/fidokey
    cp /etc/fidokey/config.toml /tmp/evil/.config/fidokey/config.toml
    chown -R alice: /tmp/evil
    plug blank
    WITH='env PKEXEC_UID=1001 SUDO_UID=1001 SUDO_USER=bob USER=bob LOGNAME=bob HOME=/tmp/evil XDG_CONFIG_HOME=/tmp/evil/.config'
    WITH+=' TMPDIR=/tmp/evil LD_PRELOAD=/tmp/evil/evil.so LD_LIBRARY_PATH=/tmp/evil LD_AUDIT=/tmp/evil/evil.so RUST_BACKTRACE=full'
    WITH+=' NLSPATH=/tmp/evil IFS=/ CDPATH=/tmp/evil LANG=tr_TR.UTF-8 TERM=evil'
    export WITH
    type_at alice "rig-pkexec $self self-enroll evil" "$asks" password_for_agent
    unset WITH
    expect_status 0
    expect_no_output_of 'evil.so'
    told 1 'registered=.* user=alice uid=1000 key=evil .* by="alice via polkit"'
    expect_whole 1
    # These pkexec itself does not pass on, and goes no further.
    WITH='env LC_ALL=../../../../tmp/evil'
    export WITH
    shut_out alice "rig-pkexec $self self-enroll"
    WITH='env SHELL=/tmp/evil/shell'
    shut_out alice "rig-pkexec $self self-enroll"
    WITH='env TERM=%n%n%n%s'
    shut_out alice "rig-pkexec $self self-enroll"
    unset WITH
    expect_holds test -z "$(find /tmp/evil -user root ! -path /tmp/evil/.config/fidokey/config.toml)"
}

# --- what is said ----------------------------------------------------------------------------------------------

given_words_that_are_no_name_then_each_is_refused() {
    local words
    steel_is_alices
    plug steel
    for words in '--user bob' '--user=bob' 'Blue --user bob' '-- Blue' '--' '--force' 'Blue Green' '""' '" "' '-h' '--help'; do
        refused arguments 2 alice "rig-pkexec $self self-enroll $words" "$asks" password_for_agent
    done
    run key steel transcript
    expect_count 0 command
}

given_words_that_are_no_text_then_each_is_refused() {
    refused arguments 2 alice "rig-pkexec $self self-enroll \"\$(head -c 5000 /dev/zero | tr '\\0' a)\"" "$asks" password_for_agent
    refused arguments 2 alice "rig-pkexec $self self-enroll \"\$(printf '\\377\\376')\"" "$asks" password_for_agent
    refused arguments 2 alice "rig-pkexec $self self-enroll \"\$(printf 'a\\nregistered=2026-01-01T00:00:00Z user=bob')\"" "$asks" password_for_agent
    refused arguments 2 alice "rig-pkexec $self self-enroll \"\$(printf '\\033[2J')\"" "$asks" password_for_agent
    refused arguments 2 alice "rig-pkexec $self self-remove --force steel" "$asks" password_for_agent
    refused arguments 2 alice "rig-pkexec $self self-remove" "$asks" password_for_agent
    refused arguments 2 alice "rig-pkexec $self self-rename steel --user" "$asks" password_for_agent
    refused arguments 2 alice "rig-pkexec $self self-rename steel a bob" "$asks" password_for_agent
}

# A link is the program itself; a copy is not, and neither is another verb: polkit then wants an administrator.
given_another_name_or_another_verb_then_it_is_refused_or_takes_an_administrator() {
    ln -sf $self /home/alice/link
    refused arguments 2 alice "rig-pkexec /home/alice/link self-enroll --user bob" "$asks" password_for_agent
    cp $self /home/alice/copy
    shut_out alice 'rig-pkexec /home/alice/copy self-enroll' "$asks" password_for_agent
    expect_output 'org.freedesktop.policykit.exec'
    shut_out alice "rig-pkexec $self enroll --user bob" "$asks" password_for_agent
    expect_output 'org.freedesktop.policykit.exec'
    shut_out alice "rig-pkexec $self --user bob self-enroll" "$asks" password_for_agent
    expect_output 'org.freedesktop.policykit.exec'
    shut_out alice "rig-pkexec $self SELF-ENROLL" "$asks" password_for_agent
    rm /home/alice/link /home/alice/copy
}

# --- the password is known, and the key is not there --------------------------------------------------------------

# BAR E2.
given_the_password_and_no_key_then_no_key_gets_in() {
    steel_is_alices
    plug blank
    how='with the password, and a key of nobody'
    refused not_registered 3 alice 'fidokey enroll' "$asks" password_for_agent
    refused not_registered 3 alice 'fidokey remove steel' "$asks" password_for_agent
    refused not_registered 3 alice 'fidokey rename steel a' "$asks" password_for_agent
    run key blank transcript
    expect_count 0 touch
}

# BAR E2.
given_the_key_and_not_its_pin_then_a_touch_is_too_little() {
    plug steel
    how='without the PIN'
    refused pin_declined 3 alice 'fidokey enroll' "$asks" password_for_agent "$pin" 'echo'
    how='with a wrong PIN'
    refused pin_wrong 1 alice 'fidokey enroll' "$asks" password_for_agent "$pin" 'echo 4321'
    run key steel transcript
    expect_count 0 touch
    # The right one gives the try back; it was not touched in time.
    key steel touch never
    how='with the PIN, and without a touch'
    refused touch_timeout 3 alice 'fidokey enroll' "$asks" password_for_agent "$pin" 'echo 1234'
    # What is said of this service in the policy weakens nothing.
    printf '[service.fidokey-manage]\nverification = "none"\nunenrolled = "skip"\nremote = "skip"\n' >>/etc/fidokey/config.toml
    key steel touch at-once
    how='without the PIN, where the policy says that this service needs none'
    refused pin_declined 3 alice 'fidokey enroll' "$asks" password_for_agent "$pin" 'echo'
    policy true required
}

# BAR E2.
given_the_key_of_another_account_then_it_proves_nothing() {
    enrolled brass bob 5678
    how="with bob's key"
    refused not_registered 3 alice 'fidokey enroll' "$asks" password_for_agent
    rm /etc/fidokey/users/1001.toml
}

given_keys_that_prove_a_touch_alone_then_only_root_goes_on() {
    no_keys
    policy true
    plug u2f at-once 1
    run fidokey enroll --user alice --name u2f
    expect_status 0
    told 1 'registered=.* key=u2f '
    how='with a key that speaks U2F alone'
    refused verification_unavailable 4 alice 'fidokey enroll' "$asks" password_for_agent
    expect_output 'No key of yours here proves more than a touch'
    expect_output 'ask your administrator'
}

given_a_record_in_doubt_then_it_is_not_taken_for_none() {
    no_keys
    policy true
    plug blank
    ln -s /tmp/planted $record
    how='where the record is a symbolic link'
    refused unreadable 5 alice 'fidokey enroll' "$asks" password_for_agent
    rm $record
    : >$record
    how='where the record is empty'
    refused unreadable 5 alice 'fidokey enroll' "$asks" password_for_agent
    printf 'schema = 1\nuser = "bob"\nuid = 1000\n' >$record
    how='where the record is of another account'
    refused unreadable 5 alice 'fidokey enroll' "$asks" password_for_agent
    rm $record
    chmod 777 /etc/fidokey/users
    how='where anybody may write into the directory of the records'
    refused unreadable 5 alice 'fidokey enroll' "$asks" password_for_agent
    chmod 755 /etc/fidokey/users
    # Nobody's to read is nobody's to register.
    sed -i 's/self_service/selfservice/' /etc/fidokey/config.toml
    how='where the policy cannot be read'
    refused unreadable 5 alice "rig-pkexec $self self-enroll" "$asks" password_for_agent
}

# --- in between ------------------------------------------------------------------------------------------------

# BAR E2, E8: as if another self-service, or root, had been quicker.
given_a_key_that_came_since_the_password_then_the_password_is_not_enough() {
    steel_is_alices
    mv $record /run/steel.toml
    policy true
    plug blank never
    log_from_here
    type_at alice 'fidokey enroll' "$asks" password_for_agent "$register_cue" \
        'key blank await-asking; cp /run/steel.toml $record; key blank touch at-once'
    expect_status 4
    told 1 'refused=[^ ]* verb=self-enroll reason=not_permitted user=alice uid=1000'
    told 0 'registered='
    expect_holds cmp /run/steel.toml $record
}

given_the_key_that_proved_itself_removed_meanwhile_then_nothing_is_written() {
    steel_is_alices
    plug blank at-once
    key blank unplug
    plug steel after:1500
    log_from_here
    policy true
    type_at alice 'fidokey enroll' "$asks" password_for_agent "$pin" 'echo 1234' \
        "$new" 'key steel unplug >/dev/null; key blank touch never >/dev/null; key blank plug >/dev/null; echo' \
        "$register_cue" 'key blank await-asking; fidokey reset --force alice >/dev/null 2>&1; key blank touch at-once'
    expect_status 4
    told 1 'reset=.* by=root'
    told 1 'refused=[^ ]* verb=self-enroll reason=not_permitted'
    told 0 'registered='
    expect_holds test ! -e $record
    # Whose keys root has taken away begins anew, with the password.
    key blank touch at-once
    type_at alice 'fidokey enroll' "$asks" password_for_agent
    expect_status 0
    expect_whole 1
}

given_self_service_switched_off_meanwhile_then_nothing_is_written() {
    no_keys
    policy true
    plug blank never
    how='where self-service is switched off while the key is touched'
    refused not_permitted 4 alice 'fidokey enroll' "$asks" password_for_agent "$register_cue" \
        'key blank await-asking; policy false; key blank touch at-once'
}

# BAR E2, E8.
given_two_first_registrations_at_once_then_one_is_in_by_the_password_alone() {
    local first until=$((SECONDS + 60))
    no_keys
    policy true
    plug blank
    key blank unplug
    log_from_here
    # Both know the password, and wait for a key.
    type_at alice 'fidokey enroll --name one' "$asks" password_for_agent >/dev/null 2>&1 &
    first=$!
    while ! pgrep -u root -x -f '/usr/bin/fidokey self-enroll one' >/dev/null && [ "$SECONDS" -lt "$until" ]; do
        sleep 0.1
    done
    whatever_it_shows type_at alice 'fidokey enroll --name two' "$asks" password_for_agent \
        'Insert your security key' 'sleep 3; key blank plug >/dev/null'
    wait "$first"
    told 1 'registered='
    told 1 'refused=.* verb=self-enroll reason=not_permitted'
    expect_whole 1
}

# --- how it was started ---------------------------------------------------------------------------------------------

# whatever_it_shows COMMAND...: its complaints are not heard.
whatever_it_shows() {
    local heard=${#complaints[@]}
    "$@"
    complaints=("${complaints[@]:0:heard}")
}

# started BEFORE WITH CLOSE: a first key, by somebody who starts pkexec in that way. It is registered whole, or not at all.
started() {
    no_keys
    log_from_here
    BEFORE=$1 WITH=$2 CLOSE=$3
    export BEFORE WITH CLOSE
    type_at alice "rig-pkexec $self self-enroll odd" "$asks" password_for_agent "${@:4}"
    last="${BEFORE:+$BEFORE; }${WITH:+$WITH }$last${CLOSE:+ $CLOSE}"
    unset BEFORE WITH CLOSE
}

given_closed_streams_then_nothing_of_ours_has_their_numbers() {
    local close
    policy true
    plug blank
    for close in '0<&-' '1>&-' '2>&-' '0<&- 1>&- 2>&-'; do
        whatever_it_shows started '' '' "$close"
        # BAR E1: nothing is read from whoever has it done.
        told 1 'registered=.* key=odd'
        expect_whole 1
    done
    # Where nobody can be told to touch a key none is asked.
    started '' '' '</dev/null >/dev/full 2>/dev/full'
    told 1 'refused=.* reason=no '
    told 0 'registered='
    expect_holds test ! -e $record
}

given_any_umask_then_the_modes_are_ours() {
    local mask
    policy true
    plug blank
    for mask in 0 0777; do
        started "umask $mask" '' ''
        expect_status 0
        expect_whole 1
        expect_holds test "$(stat -c %a /etc/fidokey/users/.lock)" = 600
    done
}

given_limits_then_the_record_is_whole_or_not_there() {
    local limit
    policy true
    plug blank
    for limit in 'ulimit -f 0' 'ulimit -c unlimited; ulimit -f 0; trap "" XFSZ'; do
        started "$limit" '' ''
        expect_status 0
        told 1 'registered=.* key=odd'
        expect_whole 1
    done
    # With these pkexec itself may not come as far.
    for limit in 'ulimit -n 4' 'ulimit -n 8' 'ulimit -v 30000' 'ulimit -s 64' 'ulimit -t 1'; do
        whatever_it_shows started "$limit" '' ''
        if [ -e $record ]; then
            told 1 'registered=.* key=odd'
            expect_whole 1
        fi
        expect_holds test -z "$(find /etc/fidokey/users -name '*.new')"
    done
}

given_signals_ignored_and_blocked_then_ctrl_c_cancels_all_the_same() {
    policy true
    plug blank never
    local with
    for with in 'env --ignore-signal --block-signal=HUP,INT,TERM,QUIT,ALRM' ''; do
        started 'trap "" HUP INT QUIT TERM PIPE XFSZ CHLD' "$with" '' \
            "$register_cue" 'key blank await-asking; printf "\x03"'
        expect_output 'Cancelled'
        told 1 'refused=.* reason=no_key'
        expect_holds test ! -e $record
    done
}

# The timer would end it while it waits for the touch.
given_a_timer_that_runs_then_it_does_not_end_it() {
    policy true
    plug blank never
    started '' "perl -e 'alarm 8; exec @ARGV'" '' "$register_cue" 'sleep 9; key blank touch at-once'
    expect_status 0
    told 1 'registered=.* key=odd'
    expect_whole 1
}

# Nothing of root's is left, and nothing was written.
expect_given_up() {
    local until=$((SECONDS + 10))
    while pgrep -u root -f 'fidokey self-' >/dev/null && [ "$SECONDS" -lt "$until" ]; do
        sleep 0.1
    done
    expect_holds test -z "$(pgrep -u root -f 'fidokey self-')"
    expect_holds test ! -e $record
    told 0 'registered='
    pkill pkttyagent
}

given_the_users_side_killed_at_the_password_or_at_the_touch_then_nothing_is_written() {
    no_keys
    policy true
    plug blank never
    log_from_here
    type_at alice 'fidokey enroll' "$asks" 'pkill -KILL -u alice -x fidokey'
    expect_given_up
    type_at alice 'fidokey enroll' "$asks" password_for_agent "$register_cue" \
        'key blank await-asking; pkill -KILL -u alice -x fidokey'
    expect_given_up
    told 1 'refused=.* verb=self-enroll reason=no_key'
}

given_a_terminal_that_hangs_up_at_the_touch_then_nothing_is_written() {
    no_keys
    plug blank never
    log_from_here
    type_at alice 'fidokey enroll' "$asks" password_for_agent "$register_cue" 'key blank await-asking; pkill -KILL -u alice -x script'
    expect_given_up
    told 1 'refused=.* verb=self-enroll reason=no_key'
}

given_the_users_side_ended_or_stopped_then_the_privileged_one_is_on_its_own() {
    no_keys
    plug blank never
    log_from_here
    type_at alice 'fidokey enroll' "$asks" 'pkill -TERM -u alice -x fidokey'
    expect_given_up
    # Not the first process of the terminal, which would stop with it.
    type_at alice 'fidokey enroll; exit $?' "$asks" password_for_agent "$register_cue" \
        'key blank await-asking; pkill -STOP -u alice -x fidokey; key blank touch at-once' \
        'Registered "' 'pkill -CONT -u alice -x fidokey'
    expect_status 0
    told 1 'registered=.* by="alice via polkit"'
    expect_whole 1
}

# What a user may signal is their own: the privileged process is root's in every number.
given_the_user_then_the_privileged_process_cannot_be_signalled() {
    no_keys
    plug blank never
    log_from_here
    type_at alice 'fidokey enroll' "$asks" password_for_agent "$register_cue" \
        'key blank await-asking
         for signal in STOP KILL TERM HUP; do as alice pkill -$signal -f "fidokey self-enroll" && echo reached >/run/reached; done
         key blank touch at-once'
    expect_status 0
    expect_holds test ! -e /run/reached
    told 1 'registered='
    expect_whole 1
}
