# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# Ctrl-C while a key is waited for, at real terminals under su, login and the command; and what login makes of a wait
# that was in vain.

. /payload/guest/signals.sh

# BAR Q1, Q2: su dies of its signal, as the shell expects, after the key was told.
given_ctrl_c_then_su_dies_of_it_and_the_key_is_free() {
    plug es256 never
    typed_by bob 'su alice -c id' 'Password: ' 'echo secret' 'Touch your security key (su).' "$blinking; $control_c"
    expect_at_once
    expect_output 'status: 130'
    expect_modes_kept
    expect_logged 1 'code=7 reason=interrupted user=alice .*service=su'
    expect_key_free
    # Before the password, su goes on to it.
    cp /etc/pam.d/su /run/su.second-factor
    key_first </run/su.second-factor >/etc/pam.d/su
    typed_by bob 'su alice -c id' 'Touch your security key (su).' "$blinking; $control_c" 'Password: ' "$password_next"
    expect_at_once
    expect_alice
    expect_output 'status: 0'
    expect_modes_kept
    expect_key_free
    cp /run/su.second-factor /etc/pam.d/su
}

# BAR Q1, Q2: the login of shadow dies of the signal. The one of util-linux (Debian sid) ignores it, which nobody who
# waits for a key would be helped by: the module sees it all the same, and login begins anew.
given_ctrl_c_then_login_ends_the_wait_and_the_key_is_free() {
    local next=() attempt
    plug es256 never
    if login --version 2>/dev/null | grep -q util-linux; then
        # pam_faildelay holds that back for three seconds.
        next=('Login incorrect' : 'login: ' 'kill -KILL $(pidof login)')
    fi
    # Not typed_by: login hangs up its terminal, with whatever shell is there.
    for attempt in 1 2 3; do
        [ "$attempt" = 1 ] || log_from_here
        key es256 transcript >/dev/null
        type_at root 'login alice' 'Password: ' 'echo secret' 'Touch your security key (login).' \
            "$blinking; $control_c" "${next[@]}"
        answered=$(answered_after "$since") took=0
        echo "    the module's answer came after $answered ms: login alice"
        [ "$answered" -ge "$at_once" ] || break
    done
    expect_at_once
    expect_no_output_of 'uid=1000'
    expect_logged 1 'code=7 reason=interrupted user=alice .*service=login'
    expect_key_free
}

# Whoever types their name anew is asked for the key anew, though it is the same transaction.
given_a_wait_in_vain_then_the_next_person_at_login_is_asked_again() {
    sed -i 's/= "25s"/= "3s"/' /etc/fidokey/config.toml
    plug es256 never
    type_at root 'login alice' 'Password: ' 'echo secret' 'Login incorrect' 'key es256 touch at-once' \
        'login: ' 'echo alice' 'Password: ' 'echo secret' '$ ' 'echo "id; exit"'
    expect_alice
    expect_count 2 'Touch your security key (login).'
    sed -i 's/= "3s"/= "25s"/' /etc/fidokey/config.toml
}

# BAR Q1: the command as well.
given_ctrl_c_then_the_command_ends_in_order() {
    plug es256 never
    typed_by root 'fidokey test --user alice -- mode=second-factor' 'Touch your security key' "$blinking; $control_c"
    expect_at_once
    expect_output 'Cancelled.'
    expect_output 'status: 3'
    expect_key_free
    pull es256
    plug new never
    typed_by root 'fidokey enroll --user alice' 'Touch your security key to register it.' \
        "key new await-asking; $control_c"
    expect_at_once
    expect_output 'Cancelled.'
    expect_output 'status: 3'
    run key new transcript
    expect_count 1 'command CANCEL'
    run fidokey list --user alice
    expect_count 1 'FIDO2'
}
