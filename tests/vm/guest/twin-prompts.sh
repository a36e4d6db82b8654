# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# fidokey and pam-u2f in the same situation: PINs, and sudo on a terminal with Ctrl-C. It takes minutes, so that
# `make compare` alone runs it.

. /payload/guest/twins.sh

# --- PIN -------------------------------------------------------------------------------------------------------

make_credential steel 2 >"$both/steel"
make_credential steel 2 >>"$both/steel"

retries() {
    local node
    node=$(node steel)
    fido2-token -I "$node" | sed -n 's/^pin retries: //p'
}

# pin_login TEXT: what is typed; sets ours and theirs, with the tries that the key has lost.
pin_login() {
    local module before
    type_in "$1"
    for module in ours theirs; do
        plug steel
        before=$(retries)
        attempt $module
        result+=", tries spent: $((before - $(retries)))"
        printf -v $module %s "$result"
        # The right one gives the tries back.
        pull steel
        plug steel
        type_in $'1234\n'
        attempt ours
        type_in "$1"
        pull steel
    done
}

# P2, P5, P17.
given_a_pin_then_login() {
    enrolled "$both/steel"
    lines verification=required pinverification=1
    plug steel
    key steel pin 1234 >/dev/null
    pull steel
    pin_login $'1234\n'
    compare pin-right
    pin_login $'9999\n9999\n'
    compare pin-wrong
    pin_login $'\n\n'
    compare pin-empty
    pin_login $'12\n12\n'
    compare pin-short
}

# P3: three tries are left, and one of them is asked for.
given_few_tries_then_login() {
    local module
    head -n 1 "$both/steel" >"$both/steel-one"
    enrolled "$both/steel-one"
    lines verification=required pinverification=1
    for module in ours theirs; do
        for _ in 1 2 3 4 5; do
            plug steel
            type_in $'9999\n'
            attempt theirs
            pull steel
        done
        plug steel
        expect_holds test "$(retries)" = 3
        attempt $module
        result+=", tries spent: $((3 - $(retries)))"
        printf -v $module %s "$result"
        type_in $'1234\n'
        attempt theirs
        pull steel
    done
    compare pin-few-tries
}

# D25, and what pam-u2f's issue 374 is about.
given_a_pin_prompt_then_another_program_at_the_key() {
    local module prompt
    enrolled "$both/steel"
    lines verification=required pinverification=1
    plug steel
    for module in ours theirs; do
        prompt='Security key PIN: '
        [ $module = ours ] || prompt='Please enter the PIN: '
        type_at root "pamtester twin-$module alice authenticate" "$prompt" \
            'timeout 3 fido2-token -I "$(node steel)" >/dev/null 2>&1; echo $? >"$both/token"; echo 1234'
        result='let in, the other program is '
        [ "$status" = 0 ] || result='denied, the other program is '
        if [ "$(<"$both/token")" = 0 ]; then result+=served; else result+='not served'; fi
        printf -v $module %s "$result"
    done
    compare pin-prompt-open
}

# --- sudo ------------------------------------------------------------------------------------------------------

declare -A cues=([ours]='Touch your security key (sudo).' [theirs]='Please touch the FIDO authenticator.')
sed -i 's/pam_unix.so nullok$/& nodelay/' /etc/pam.d/common-auth
# As sudo has it by itself: what ends must not be a sudo that would not have asked again anyway.
sed -i 's/passwd_tries=1/passwd_tries=3/' /etc/sudoers.d/rig
trap 'sed -i "s/passwd_tries=3/passwd_tries=1/" /etc/sudoers.d/rig
    sed -i "s/ nodelay$//" /etc/pam.d/common-auth' EXIT

# sudo_stack MODULE BEFORE|AFTER: the module's line before the password or after it.
sudo_stack() {
    local key password='@include common-auth' waits='wait_for_key=3s touch=30s'
    case $1-$2 in
        ours-after) key="auth required pam_fidokey.so mode=second-factor $waits" ;;
        ours-before) key="auth sufficient pam_fidokey.so mode=alternative touch_only_alternative=true $waits" ;;
        theirs-after) key="auth required pam_u2f.so $theirs_base" ;;
        theirs-before) key="auth sufficient pam_u2f.so $theirs_base" ;;
    esac
    case $2 in
        after) printf '%s\n' "$password" "$key" ;;
        before) printf '%s\n' "$key" "$password" ;;
    esac >/etc/pam.d/sudo
    printf '%s\n' '@include common-account' '@include common-session-noninteractive' >>/etc/pam.d/sudo
}

# sudo_at MODULE TEXT ACTION...: `sudo id` on a terminal. A text that does not come is a result as well.
sudo_at() {
    local kept=("${complaints[@]}")
    forget_passwords
    rm -f /tmp/modes-before /tmp/modes-after
    type_at alice "trap : INT QUIT; stty -a >/tmp/modes-before; $sudo id; echo \"status: \$?\"
        stty -a >/tmp/modes-after" "${@:2}"
    complaints=("${kept[@]}")
    if [[ $output == *'uid=0(root)'* ]]; then result+='command run'; else result+='command not run'; fi
    if grep -qs -- '-icanon' /tmp/modes-after; then result+=', terminal left raw'; else result+=', terminal as before'; fi
}

# P16: sudo has PAM_SILENT set.
given_sudo_then_the_cue_and_the_command() {
    local module
    enrolled
    plug blue
    for module in ours theirs; do
        sudo_stack $module after
        result=
        sudo_at $module 'password for alice: ' 'echo secret'
        if [[ $output == *"${cues[$module]}"* ]]; then result="cue shown, $result"; else result="no cue, $result"; fi
        printf -v $module %s "$result"
    done
    compare sudo
}

# Q1, Q2, Q3. Whether sudo has gone on after five seconds; and what becomes of the touch that comes then.
interrupt='key blue await-asking; sleep 0.5; "$signal"; sleep 5
    if "$gone_on"; then result="$end, "; else result="waits on; when the key is touched: "; fi
    key blue touch at-once'

given_ctrl_c_then_sudo() {
    local signal=control_c
    after_a_signal
    compare ctrl-c
}

given_a_request_to_end_then_sudo() {
    local signal=terminate
    after_a_signal
    compare terminate
}

after_a_signal() {
    local module gone_on=has_ended end=ends
    enrolled
    for module in ours theirs; do
        plug blue never
        sudo_stack $module after
        # A sudo that asks again is ended there.
        sudo_at $module 'password for alice: ' 'echo secret' "${cues[$module]}" "$interrupt" 'try again' control_c
        [[ $output != *'try again'* ]] || result="asks for the password again, ${result#*: }"
        printf -v $module %s "$result"
        pull blue
    done
}

control_c() {
    printf '\x03'
}

terminate() {
    local process
    for process in $(pidof sudo); do kill -TERM "$process"; done
}

# The key instead of the password: the password is asked for then.
given_ctrl_c_at_a_key_instead_of_the_password_then_sudo() {
    local module signal=control_c gone_on=has_left_the_key end='asks for the password'
    enrolled
    for module in ours theirs; do
        plug blue never
        sudo_stack $module before
        sudo_at $module "${cues[$module]}" "$interrupt" 'password for alice: ' 'echo secret'
        printf -v $module %s "$result"
        pull blue
    done
    compare ctrl-c-alternative
}

has_ended() {
    [ -e /tmp/modes-after ]
}

# No sudo has the key's node open, as it is as long as the key is waited for.
has_left_the_key() {
    local process
    for process in $(pidof sudo); do
        [ -z "$(find "/proc/$process/fd" -lname "$(node blue)" 2>/dev/null)" ] || return 1
    done
}
