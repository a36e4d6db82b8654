# shellcheck shell=bash disable=SC2016,SC2154
# Keys with a PIN: what a person types at real programs' prompts, and what a mistake costs.
# A key's count of wrong PINs is its own and stays: each scenario leaves it as it was, or takes a key for itself.

. /payload/guest/product.sh
rm -f /etc/fidokey/users/*.toml /var/keys/steel /var/keys/brass
find /var/lib/fidokey -mindepth 1 -delete
sed -i 's/nullok$/nullok nodelay/' /etc/pam.d/common-auth
echo 'verification = "required"' >>/etc/fidokey/config.toml

pin_prompt='Security key PIN: '
case $sudo in sudo-rs) pin_prompt='[sudo: authenticate] Security key PIN: ' ;; esac

# A key with that PIN becomes alice's: it is typed for the registration too. More is as of type_at.
register_with_pin() {
    plug "$1"
    key "$1" pin "$2" >/run/key-"$1".out
    udevadm settle --timeout=10
    type_at root "fidokey enroll --user alice --name '$1'" 'Security key PIN: ' "echo $2" "${@:3}"
    expect_status 0
    pull "$1"
}

# clientPIN commands that the key has heard since it was last asked.
expect_pin_commands() {
    run key "$1" transcript
    expect_count "$2" 'command clientPIN'
}

given_a_key_with_a_pin_then_enroll_asks_for_it_and_registers() {
    register_with_pin steel 1234 'Register the second key now?' 'echo n'
    expect_output 'Enter the PIN of the key.'
    expect_output 'Registered "steel" for alice'
    expect_no_output_of '1234'
}

# BAR P16, P17: seven commands, three of them after the PIN was typed; sudo has set PAM_SILENT.
given_the_right_pin_then_sudo_works() {
    plug steel
    sudo_id alice "$pin_prompt" 'echo 1234'
    expect_root
    expect_output 'Enter the PIN of "steel".'
    expect_output "$cue"
    expect_no_output_of '1234'
    run key steel transcript
    expect_count 7 command
    expect_count 3 'command clientPIN'
    expect_count 1 touch
}

# BAR P6: and nobody has touched anything.
given_a_wrong_pin_then_sudo_is_denied_and_says_how_many_are_left() {
    plug steel
    sudo_id alice "$pin_prompt" 'echo 4321'
    expect_denied
    expect_output 'Wrong PIN. 7 attempts left on this key.'
    expect_logged 1 'code=7 reason=pin_wrong user=alice'
    run key steel transcript
    expect_count 0 touch
    # The right one gives the try back.
    sudo_id alice "$pin_prompt" 'echo 1234'
    expect_root
}

# BAR P2: the empty answer.
given_no_answer_then_sudo_is_denied_and_no_try_is_spent() {
    plug steel
    sudo_id alice "$pin_prompt" 'echo'
    expect_denied
    expect_logged 1 'code=7 reason=pin_declined user=alice'
    expect_pin_commands steel 1
}

# The key is anybody's while somebody types.
given_a_pin_prompt_that_is_open_then_another_program_uses_the_key() {
    plug steel
    sudo_id alice "$pin_prompt" 'fido2-token -I "$(node steel)" >/run/token 2>&1; echo $? >/run/token.status; echo 1234'
    expect_root
    expect_holds test "$(cat /run/token.status)" = 0
}

# BAR Q1, Q2: at the prompt Ctrl-C is the prompt's, and nothing of it is left in the terminal.
given_ctrl_c_at_the_pin_prompt_then_sudo_ends() {
    plug steel
    as alice "$sudo" -k
    type_at alice "trap : INT; stty -a >/tmp/before; $sudo id; stty -a >/tmp/after" \
        "$(asks_for_password alice)" 'echo secret' "$pin_prompt" 'sleep 0.5; printf "\x03"'
    expect_no_output_of 'uid=0'
    expect_holds cmp /tmp/before /tmp/after
    expect_pin_commands steel 1
    sudo_id alice "$pin_prompt" 'echo 1234'
    expect_root
}

# BAR P5: three rounds of sudo cost three tries; the third in a row has the key ask to be plugged in anew.
given_three_rounds_with_a_wrong_pin_then_three_tries_are_spent() {
    register_with_pin brass 1234
    plug brass
    sed -i 's/passwd_tries=1/passwd_tries=3/' /etc/sudoers.d/rig
    as alice "$sudo" -k
    run as alice bash -c "printf 'secret\n9999\nsecret\n9999\nsecret\n9999\n' | $sudo -S id"
    expect_denied
    sed -i 's/passwd_tries=3/passwd_tries=1/' /etc/sudoers.d/rig
    expect_output 'Wrong PIN. 7 attempts left on this key.'
    expect_output 'Wrong PIN. 6 attempts left on this key.'
    expect_output 'Unplug the key, plug it in again, then retry.'
    run fido2-token -I "$(node brass)"
    expect_output 'pin retries: 5'
}

# BAR P3, P4: and whoever goes on does not get past the guard; `fidokey key pin check` gives the tries back.
given_few_tries_left_then_the_pin_is_not_asked_for_until_it_was_checked() {
    for _ in 1 2; do
        plug brass
        sudo_id alice "$pin_prompt" 'echo 9999'
        expect_denied
        pull brass
    done
    plug brass
    sudo_id alice
    expect_denied
    expect_output 'PIN of "brass": 3 tries left. See `fidokey key pin check`.'
    expect_logged 1 'code=7 reason=pin_guarded user=alice'
    type_at root 'fidokey key pin check' 'Security key PIN: ' 'echo 1234'
    expect_output 'Tries left: 3.'
    expect_status 0
    expect_output 'The PIN is right. Tries left on this key: 8.'
    sudo_id alice "$pin_prompt" 'echo 1234'
    expect_root
}

# Two keys of alice: the first is asked for by name, and an empty answer means the other one.
given_two_keys_then_one_pin_is_asked_for_and_no_answer_means_the_other() {
    plug steel
    plug brass
    sudo_id alice "$pin_prompt" 'echo' "$pin_prompt" 'echo 1234'
    expect_root
    expect_output 'Enter the PIN of "steel".'
    expect_output 'Enter the PIN of "brass".'
}

# A first-generation key can prove no more than a touch.
given_a_first_generation_key_then_it_is_not_asked() {
    plug steel never 1
    sudo_id alice
    expect_denied
    run key steel transcript
    expect_count 0 'command MSG'
}

given_the_right_pin_then_su_and_login_work() {
    plug steel
    su_to_alice '' 'Security key PIN: ' 'echo 1234'
    expect_alice
    login_alice 'Security key PIN: ' 'echo 1234' '$ ' 'echo "id; exit"'
    expect_alice
}

# Nobody can be asked, so the key is left alone.
given_no_terminal_then_nothing_blinks() {
    plug steel
    as alice "$sudo" -k
    run as alice bash -c "echo secret | $sudo -S id </dev/null"
    expect_denied
    run key steel transcript
    expect_count 0 touch
}
