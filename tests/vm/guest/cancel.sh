# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# Ctrl-C and its kin while a key is waited for, at real terminals of real hosts; and what a host that tries several
# times makes of a wait that was in vain.

. /payload/guest/product.sh
rm -f /etc/fidokey/users/*.toml
register es256 alice
register u2f-of-bob bob
# Waits that are much longer than anything here may take.
sed -i 's/= "3s"/= "25s"/' /etc/fidokey/config.toml
# pam_unix has every denial held back for two seconds, also when the password was right. That would hide what is
# measured here, except where it is put back.
sed -i 's/pam_unix.so nullok/pam_unix.so nullok nodelay/' /etc/pam.d/common-auth
cp /etc/pam.d/sudo /run/sudo.second-factor

# The stack on the standard input, with the key before the password instead of after it.
key_first() {
    sed '/success=ok.*pam_fidokey/d
        s/^@include common-auth/auth sufficient pam_fidokey.so mode=alternative touch_only_alternative=true\n&/'
}
key_first </run/sudo.second-factor >/run/sudo.alternative

# typed_by USER LINE [TEXT ACTION]...: as type_at, with the terminal's modes before and after, and the line's own
# status. The trap keeps the shell around the line from ending with it.
typed_by() {
    as alice sudo -k
    rm -f /tmp/modes-before /tmp/modes-after
    since=0
    type_at "$1" "trap : INT QUIT; stty -a >/tmp/modes-before; $2; echo \"status: \$?\"
        stty -a >/tmp/modes-after" "${@:3}"
    took=$(((${EPOCHREALTIME/./} - since) / 1000))
}

# Actions of typed_by: the signal, once there is nothing left to happen before it.
control_c='sleep 0.5; since=${EPOCHREALTIME/./}; printf "\x03"'
control_backslash='sleep 0.5; since=${EPOCHREALTIME/./}; printf "\x1c"'
blinking='key es256 await-asking'

# Far from the end of any wait, and more than an emulated machine needs.
expect_at_once() {
    [ "$took" -lt 2000 ] || complain "it took $took ms from the signal to the end"
}

expect_modes_kept() {
    cmp -s /tmp/modes-before /tmp/modes-after ||
        complain "the terminal was changed: $(diff /tmp/modes-before /tmp/modes-after | tr '\n' ' ')"
}

# The key heard CANCEL, does not blink, and is nobody's any more.
expect_key_free() {
    run key es256 transcript
    expect_count 1 'command CANCEL'
    run fido2-token -I "$(node es256)"
    expect_status 0
    key es256 transcript >/dev/null
}

# BAR Q1, Q2: sudo ends, and does not ask again.
given_ctrl_c_while_no_key_is_there_then_sudo_ends_at_once() {
    typed_by alice 'sudo id' 'password for alice: ' 'echo secret' 'Insert your security key.' "$control_c"
    expect_at_once
    expect_output 'status: 1'
    expect_output '1 incorrect password attempt'
    expect_no_output_of 'try again'
    expect_no_output_of 'uid=0'
    expect_modes_kept
    expect_logged 1 'result=denied code=7 reason=interrupted user=alice .*service=sudo'
}

# BAR Q1, Q2: and the key is free at once.
given_ctrl_c_while_the_key_blinks_then_sudo_ends_and_the_key_is_free() {
    plug es256 never
    typed_by alice 'sudo id' 'password for alice: ' 'echo secret' "$cue" "$blinking; $control_c"
    expect_at_once
    expect_output 'status: 1'
    expect_no_output_of 'try again'
    expect_no_output_of 'Timed out'
    expect_modes_kept
    expect_logged 1 'code=7 reason=interrupted user=alice'
    expect_key_free
    typed_by alice 'sudo id' 'password for alice: ' 'echo secret' "$cue" "$blinking; $control_backslash"
    expect_at_once
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
    typed_by alice 'sudo id' 'password for alice: ' 'echo secret' "$cue" "$blinking; $control_c"
    [ "$took" -lt 5000 ] || complain "it took $took ms"
    expect_output 'status: 1'
    expect_no_output_of 'try again'
    expect_modes_kept
    expect_key_free
    sed -i 's/pam_unix.so nullok/& nodelay/' /etc/pam.d/common-auth
}

# BAR Q1, Q2: the password follows, and once it was right sudo does not die of a signal that is long past.
given_ctrl_c_before_the_password_then_the_password_lets_in() {
    cp /run/sudo.alternative /etc/pam.d/sudo
    typed_by alice 'sudo id' 'Insert your security key.' "$control_c" 'password for alice: ' 'echo secret'
    expect_at_once
    expect_output 'status: 0'
    expect_root
    expect_modes_kept
    expect_logged 1 'code=9 reason=interrupted user=alice'
    plug es256 never
    typed_by alice 'sudo id' "$cue" "$blinking; $control_c" 'password for alice: ' 'echo secret'
    expect_at_once
    expect_root
    expect_modes_kept
    expect_key_free
    # A command that reads the terminal has it as it should be.
    typed_by alice "sudo sh -c 'stty -a; read -r line; echo got \$line'" "$cue" "$blinking; $control_c" \
        'password for alice: ' 'echo secret' '-echoprt' 'sleep 1; echo typed'
    expect_output 'got typed'
    expect_output ' icanon'
    expect_modes_kept
    cp /run/sudo.second-factor /etc/pam.d/sudo
}

# BAR Q1, Q2: told to end, sudo ends; at another answer than ABORT it would ask again.
given_a_request_to_end_then_sudo_ends_at_once() {
    plug es256 never
    typed_by alice 'sudo id' 'password for alice: ' 'echo secret' \
        "$cue" "$blinking; sleep 0.5; since=\${EPOCHREALTIME/./}; kill -TERM \$(pidof sudo)"
    expect_at_once
    expect_output 'status: 1'
    expect_no_output_of 'try again'
    expect_modes_kept
    expect_logged 1 'code=26 reason=terminated user=alice'
    expect_key_free
}

# BAR Q1, Q2: the terminal goes away, as when a window is closed.
given_a_terminal_that_goes_away_then_sudo_ends_and_the_key_is_free() {
    local until
    plug es256 never
    typed_by alice 'sudo id' 'password for alice: ' 'echo secret' "$cue" "$blinking; kill -KILL \$(pidof script)" \
        2>/dev/null
    until=$((SECONDS + 5))
    while pidof sudo >/dev/null && [ "$SECONDS" -lt "$until" ]; do sleep 0.1; done
    expect_holds test -z "$(pidof sudo)"
    expect_logged 1 'code=26 reason=terminated user=alice'
    expect_key_free
}

# BAR Q3: a stopped sudo goes on where it was.
given_ctrl_z_and_fg_then_the_wait_goes_on() {
    plug es256 never
    as alice sudo -k
    type_at alice "env PS1='here> ' bash --norc -i" 'here> ' 'echo "sudo id"' 'password for alice: ' 'echo secret' \
        "$cue" "$blinking; sleep 0.5; printf '\x1a'" 'Stopped' 'sleep 1; echo fg; sleep 1; key es256 touch at-once' \
        'uid=0(root)' 'echo exit'
    expect_output 'uid=0(root)'
    expect_logged 1 'code=0 reason=verified user=alice'
}

# BAR Q1, Q3: and Ctrl-C still ends it then.
given_ctrl_z_fg_and_ctrl_c_then_sudo_ends() {
    plug es256 never
    as alice sudo -k
    type_at alice "env PS1='here> ' bash --norc -i" 'here> ' 'echo "sudo id"' 'password for alice: ' 'echo secret' \
        "$cue" "$blinking; sleep 0.5; printf '\x1a'" 'Stopped' 'sleep 1; echo fg; sleep 1; printf "\x03"' \
        '1 incorrect password attempt' 'echo exit'
    expect_no_output_of 'uid=0'
    expect_logged 1 'code=7 reason=interrupted user=alice'
    expect_key_free
}

# The second and third try of sudo do not wait again.
given_a_wait_in_vain_then_sudos_other_tries_answer_at_once() {
    sed -i 's/= "25s"/= "3s"/' /etc/fidokey/config.toml
    sed -i 's/passwd_tries=1/passwd_tries=3/' /etc/sudoers.d/rig
    as alice sudo -k
    run as alice bash -c "printf 'secret\nsecret\nsecret\n' | sudo -S id"
    expect_failure
    expect_count 1 'Insert your security key.'
    expect_count 3 'Timed out waiting for the security key.'
    expect_output '3 incorrect password attempts'
    expect_between 2900 6000
    expect_logged 3 'code=7 reason=no_key user=alice'
    # The key instead of the password: after a wrong one, the next is asked for at once.
    cp /run/sudo.alternative /etc/pam.d/sudo
    as alice sudo -k
    run as alice bash -c "printf 'wrong\nwrong\nsecret\n' | sudo -S id"
    expect_root
    expect_count 1 'Insert your security key.'
    expect_between 2900 6000
    cp /run/sudo.second-factor /etc/pam.d/sudo
    sed -i 's/passwd_tries=3/passwd_tries=1/' /etc/sudoers.d/rig
    sed -i 's/= "3s"/= "25s"/' /etc/fidokey/config.toml
}

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
    typed_by bob 'su alice -c id' 'Touch your security key (su).' "$blinking; $control_c" 'Password: ' 'echo secret'
    expect_alice
    expect_output 'status: 0'
    expect_modes_kept
    expect_key_free
    cp /run/su.second-factor /etc/pam.d/su
}

# BAR Q1, Q2.
given_ctrl_c_then_login_ends_and_the_key_is_free() {
    plug es256 never
    typed_by root 'login alice' 'Password: ' 'echo secret' 'Touch your security key (login).' "$blinking; $control_c"
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
        'login: ' 'echo alice' $'login: alice\r\nPassword: ' 'echo secret' '$ ' 'echo "id; exit"'
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
    expect_count 1 'fido2'
}
