# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# What the scenarios of signals begin with: long waits, and how a signal is typed and timed. No scenarios.

. /payload/guest/product.sh
rm -f /etc/fidokey/users/*.toml
register es256 alice
register u2f-of-bob bob
# Waits that are much longer than anything here may take.
sed -i 's/= "3s"/= "25s"/' /etc/fidokey/config.toml
# pam_unix has every denial held back for two seconds, also when the password was right. That would hide what is
# measured here, except where it is put back.
sed -i 's/pam_unix.so nullok$/& nodelay/' /etc/pam.d/common-auth
# As sudo has it by itself: what ends at once must not be a sudo that would not have asked again anyway.
sed -i 's/passwd_tries=1/passwd_tries=3/' /etc/sudoers.d/rig
cp /etc/pam.d/sudo /run/sudo.second-factor

# The stack on the standard input, with the key before the password instead of after it.
key_first() {
    sed '/success=ok.*pam_fidokey/d
        s/^@include common-auth/auth sufficient pam_fidokey.so mode=alternative touch_only_alternative=true\n&/'
}
key_first </run/sudo.second-factor >/run/sudo.alternative

# When each line of the log came, in microseconds, beside the line: the log's own times are whole seconds. It ends
# with this shell.
arrivals=/run/arrivals
tail --pid=$$ -n 0 -F /run/syslog 2>/dev/null |
    while IFS= read -r line; do echo "${EPOCHREALTIME/./} $line"; done >$arrivals &
# It must not be waited for.
disown
# The next file begins as this one did.
trap 'sed -i "s/passwd_tries=3/passwd_tries=1/" /etc/sudoers.d/rig
    sed -i "s/ nodelay$//" /etc/pam.d/common-auth' EXIT

# typed_once USER LINE [TEXT ACTION]...: as type_at, with the terminal's modes before and after, and the line's own
# status. The traps keep the shell around the line from ending with it, and the last look at the modes from ending
# with a signal that comes late: no modes would count as changed ones. Where a signal was typed it sets, in
# milliseconds since then: answered, when our line was in the log, which is the last the module does before it gives
# the signals back and returns; and took, when the line had ended or went on to what follows.
typed_once() {
    forget_passwords
    rm -f /tmp/modes-before /tmp/modes-after
    since=0 ended=0
    type_at "$1" "trap : INT QUIT; stty -a >/tmp/modes-before; $2; echo \"status: \$?\"
        trap '' INT QUIT; stty -a >/tmp/modes-after" "${@:3}" "${ending[@]}"
    [ "$since" != 0 ] || return 0
    took=9999
    [ "$ended" = 0 ] || took=$(((ended - since) / 1000))
    answered=$(answered_after "$since")
    # The command has no log: its end is its answer.
    [[ $2 != fidokey* ]] || answered=$took
    [ "$answered" = 9999 ] ||
        echo "    the module's answer came after $answered ms, what followed after $took ms: $2"
}

# typed_by USER LINE [TEXT ACTION]...: the same, until both were in time, three times at the most: what is to be
# known is how long we need, and not how busy an emulated machine is.
typed_by() {
    local attempt name
    for attempt in 1 2 3; do
        if [ "$attempt" != 1 ]; then
            # What the attempt before has left.
            log_from_here
            for name in "${!plugged[@]}"; do key "$name" transcript >/dev/null; done
        fi
        typed_once "$@"
        [ "$since" = 0 ] || [ "$answered" -ge "$at_once" ] || [ "$took" -ge "$soon" ] || break
    done
}

# How the end of a line is seen, where there is one.
ending=('status: ' '[ $ended != 0 ] || ended=${EPOCHREALTIME/./}')

# When our last line in the log came, in microseconds.
last_arrival() {
    grep 'fidokey(.*result=' $arrivals | tail -n 1 | cut -d ' ' -f 1
}

# The milliseconds from a moment to our next line in the log. The program that writes it may lag behind.
answered_after() {
    local found until=$((SECONDS + 1))
    until found=$(awk -v since="$1" '$1 > since && /fidokey\(.*result=/ { print int(($1 - since) / 1000); exit }' \
        $arrivals) && [ -n "$found" ] || [ "$SECONDS" -ge "$until" ]; do
        sleep 0.05
    done
    echo "${found:-9999}"
}

# Actions of typed_by: the signal, once there is nothing left to happen before it.
control_c='sleep 0.5; since=${EPOCHREALTIME/./}; printf "\x03"'
control_backslash='sleep 0.5; since=${EPOCHREALTIME/./}; printf "\x1c"'
blinking='key es256 await-asking'
# And of what asks for the password after it.
password_next='ended=${EPOCHREALTIME/./}; echo secret'

# In milliseconds. What the module needs is ours, and nobody sees a delay; what the host does after it, in an emulated
# machine, is not.
at_once=300
soon=1000

expect_at_once() {
    [ "$answered" -lt "$at_once" ] || complain "it took $answered ms from the signal to the module's answer"
    [ "$took" -lt "$soon" ] || complain "it took $took ms from the signal to the end"
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
