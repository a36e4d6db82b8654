# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# Ctrl-C and its kin while a key is waited for, at real terminals under real sudo; and what a sudo that tries several
# times makes of a wait that was in vain.

. /payload/guest/signals.sh

asks=$(asks_for_password alice)
# What a sudo makes of our answers: interrupted, told to end, all tries in vain; and what it then says. sudo 1.9 has
# handlers and ends in order. sudo-rs has none: the signal that we leave it kills it, and it says nothing.
case $sudo in
    sudo-rs)
        interrupted=130 quit=131 terminated=143 gave_up=
        all_in_vain='maximum 3 incorrect authentication attempts'
        ;;
    *)
        interrupted=1 quit=1 terminated=1 gave_up='1 incorrect password attempt'
        all_in_vain='3 incorrect password attempts'
        ;;
esac

# The last of a line typed by typed_by.
expect_end() {
    expect_output "status: $1"$'\n'
}

# BAR Q1, Q2: sudo ends, and does not ask again.
given_ctrl_c_while_no_key_is_there_then_sudo_ends_at_once() {
    typed_by alice "$sudo id" "$asks" 'echo secret' 'Insert your security key.' "$control_c"
    expect_at_once
    expect_end $interrupted
    expect_output "$gave_up"
    expect_no_output_of 'try again'
    expect_no_output_of 'uid=0'
    expect_modes_kept
    expect_logged 1 'result=denied code=7 reason=interrupted user=alice .*service=sudo'
}

# BAR Q1, Q2: and the key is free at once.
given_ctrl_c_while_the_key_blinks_then_sudo_ends_and_the_key_is_free() {
    plug es256 never
    typed_by alice "$sudo id" "$asks" 'echo secret' "$cue" "$blinking; $control_c"
    expect_at_once
    expect_end $interrupted
    expect_no_output_of 'try again'
    expect_no_output_of 'Timed out'
    expect_modes_kept
    expect_logged 1 'code=7 reason=interrupted user=alice'
    expect_key_free
    typed_by alice "$sudo id" "$asks" 'echo secret' "$cue" "$blinking; $control_backslash"
    expect_at_once
    expect_end $quit
    expect_no_output_of 'uid=0'
    expect_modes_kept
    expect_key_free
    key es256 touch at-once
    sudo_id alice
    expect_root
}

# BAR Q1: with pam_unix as Debian has it, which holds back what follows a right password as well.
given_ctrl_c_under_debians_own_stack_then_sudo_still_ends_before_the_wait() {
    sed -i 's/ nodelay//' /etc/pam.d/common-auth
    plug es256 never
    typed_once alice "$sudo id" "$asks" 'echo secret' "$cue" "$blinking; $control_c"
    [ "$took" -lt 5000 ] || complain "it took $took ms"
    expect_end $interrupted
    expect_no_output_of 'try again'
    expect_modes_kept
    expect_key_free
    sed -i 's/pam_unix.so nullok/& nodelay/' /etc/pam.d/common-auth
}

# BAR Q1, Q2: the password follows, and once it was right sudo does not die of a signal that is long past.
given_ctrl_c_before_the_password_then_the_password_lets_in() {
    cp /run/sudo.alternative /etc/pam.d/sudo
    typed_by alice "$sudo id" 'Insert your security key.' "$control_c" "$asks" "$password_next"
    expect_at_once
    expect_end 0
    expect_root
    expect_modes_kept
    expect_logged 1 'code=9 reason=interrupted user=alice'
    plug es256 never
    typed_by alice "$sudo id" "$cue" "$blinking; $control_c" "$asks" "$password_next"
    expect_at_once
    expect_root
    expect_modes_kept
    expect_key_free
    # A command that reads the terminal has it as it should be.
    typed_by alice "$sudo sh -c 'stty -a; read -r line; echo got \$line'" "$cue" "$blinking; $control_c" \
        "$asks" "$password_next" '-echoprt' 'sleep 1; echo typed'
    expect_output 'got typed'
    expect_output ' icanon'
    expect_modes_kept
    cp /run/sudo.second-factor /etc/pam.d/sudo
}

# BAR Q1, Q2: told to end, sudo ends; at another answer than ABORT it would ask again.
given_a_request_to_end_then_sudo_ends_at_once() {
    plug es256 never
    typed_by alice "$sudo id" "$asks" 'echo secret' \
        "$cue" "$blinking; told=\$(pidof $sudo); sleep 0.5; since=\${EPOCHREALTIME/./}; kill -TERM \$told"
    expect_at_once
    expect_end $terminated
    expect_no_output_of 'try again'
    expect_modes_kept
    expect_logged 1 'code=26 reason=terminated user=alice'
    expect_key_free
}

# BAR Q1, Q2: the terminal goes away, as when a window is closed.
given_a_terminal_that_goes_away_then_sudo_ends_and_the_key_is_free() {
    local until
    plug es256 never
    forget_passwords
    type_at alice "$sudo id" "$asks" 'echo secret' "$cue" "$blinking; kill -KILL \$(pidof script)" 2>/dev/null
    until=$((SECONDS + 5))
    while pidof "$sudo" >/dev/null && [ "$SECONDS" -lt "$until" ]; do sleep 0.1; done
    expect_holds test -z "$(pidof "$sudo")"
    expect_logged 1 'code=26 reason=terminated user=alice'
    expect_key_free
}

# BAR Q3: a stopped sudo goes on where it was.
given_ctrl_z_and_fg_then_the_wait_goes_on() {
    plug es256 never
    forget_passwords
    type_at alice "env PS1='here> ' bash --norc -i" 'here> ' 'echo "$sudo id"' "$asks" 'echo secret' \
        "$cue" "$blinking; sleep 0.5; printf '\x1a'" 'Stopped' 'sleep 1; echo fg; sleep 1; key es256 touch at-once' \
        'uid=0(root)' 'echo exit'
    expect_output 'uid=0(root)'
    expect_logged 1 'code=0 reason=verified user=alice'
}

# BAR Q1, Q3: and Ctrl-C still ends it then.
given_ctrl_z_fg_and_ctrl_c_then_sudo_ends() {
    plug es256 never
    forget_passwords
    type_at alice "env PS1='here> ' bash --norc -i" 'here> ' 'echo "$sudo id"' "$asks" 'echo secret' \
        "$cue" "$blinking; sleep 0.5; printf '\x1a'" 'Stopped' 'sleep 1; echo fg; sleep 1; printf "\x03"
            expect_logged 1 reason=interrupted; sleep 1; echo "echo status: \$?; exit"'
    expect_end $interrupted
    expect_output "$gave_up"
    expect_no_output_of 'uid=0'
    expect_logged 1 'code=7 reason=interrupted user=alice'
    expect_key_free
}

# The second and third try of sudo do not wait again.
given_a_wait_in_vain_then_sudos_other_tries_answer_at_once() {
    # One wait and its host, even on a busy machine, is less than two waits more.
    sed -i 's/= "25s"/= "5s"/' /etc/fidokey/config.toml
    forget_passwords
    run as alice bash -c "printf 'secret\nsecret\nsecret\n' | $sudo -S id"
    expect_failure
    expect_count 1 'Insert your security key.'
    expect_count 3 'Timed out waiting for the security key.'
    expect_output "$all_in_vain"
    expect_between 4900 13000
    expect_logged 3 'code=7 reason=no_key user=alice'
    # The key instead of the password: after a wrong one, the next is asked for at once.
    cp /run/sudo.alternative /etc/pam.d/sudo
    forget_passwords
    run as alice bash -c "printf 'wrong\nwrong\nsecret\n' | $sudo -S id"
    expect_root
    expect_count 1 'Insert your security key.'
    expect_between 4900 13000
    cp /run/sudo.second-factor /etc/pam.d/sudo
    sed -i 's/= "5s"/= "25s"/' /etc/fidokey/config.toml
}

# BAR Q2: whichever comes first, a touch or Ctrl-C. Success with a Ctrl-C pending would have sudo die of it after it
# has taken the terminal for the command, and leave it raw. Each round goes to where the other one comes first, by
# ever smaller steps, so that most are within some ten milliseconds of each other.
#
# What we answer for: a Ctrl-C that is there while we wait, or at our last look, denies, and the terminal is as it was.
# One that is typed when our line is in the log comes to sudo alone, between its authentication and its command. sudo
# 1.9 then can leave the terminal raw, and does so without us as well: in a stack of pam_exec.so and pam_permit.so, with
# a Ctrl-C up to 190 ms after the program of pam_exec.so had done its work, 17 of 32 times (1.9.17; 0 of 12 without
# use_pty), and of the password alone 16 of 16 times, up to 60 ms after it was typed. sudo-rs never does.
given_a_touch_that_races_ctrl_c_then_it_is_root_or_the_end_and_the_terminal_is_kept() {
    local round pause=400 step=120 granted=0 denied=0 stopped=0 late raw=0
    # Nothing but the key, so that the rounds are short.
    sed '/^@include common-auth/d' /run/sudo.second-factor >/etc/pam.d/sudo
    plug es256 after:500
    for round in {1..10}; do
        log_from_here
        typed_once alice "$sudo id" "$cue" \
            "$blinking; sleep $(printf '0.%03d' $pause); since=\${EPOCHREALTIME/./}; printf '\\x03'"
        expect_logged 1 ''
        # The log that is shown in the end is the last round's.
        [ "$(logged '' | wc -l)" = 1 ] || complain "round $round: $output$(logged '')"
        if [ -n "$(logged result=granted)" ]; then
            granted=$((granted + 1)) pause=$((pause > step ? pause - step : 0))
            # Between the typing and the terminal, and between the line and its reader, there are programs of the test.
            late=$(((since - $(last_arrival)) / 1000))
            [ "$late" -gt "-$at_once" ] || complain "granted, with Ctrl-C typed $((-late)) ms before"
            # Or the command was interrupted, when it began.
            if [[ $output == *'uid=0(root)'* ]]; then expect_output 'status: '; else stopped=$((stopped + 1)); fi
            if [ "$sudo" = sudo ]; then
                cmp -s /tmp/modes-before /tmp/modes-after || raw=$((raw + 1))
            else
                expect_modes_kept
            fi
        else
            denied=$((denied + 1)) pause=$((pause + step))
            expect_modes_kept
            expect_end $interrupted
            expect_no_output_of 'uid=0'
            expect_logged 1 'code=7 reason=interrupted user=alice'
        fi
        step=$((step > 15 ? step * 2 / 3 : 10))
    done
    echo "    the touch came first $granted times, Ctrl-C $denied times; then sudo was stopped before its command" \
        "$stopped times, and left the terminal raw $raw times"
    expect_holds test "$granted" -ge 2 -a "$denied" -ge 2
    cp /run/sudo.second-factor /etc/pam.d/sudo
}
