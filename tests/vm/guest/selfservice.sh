# shellcheck shell=bash disable=SC2016,SC2154
# Self-service: what a user gets through polkit, and how it ends where it cannot be. Only where systemd is.

. /payload/guest/selfservices.sh

given_no_word_of_self_service_then_only_root_registers() {
    policy false
    plug blank
    type_at alice 'fidokey enroll'
    expect_status 4
    expect_output 'Only root registers keys.'
    expect_no_output_of "$asks"
    # And by pkexec, whatever the command would have said.
    refused self_service_off 4 alice "rig-pkexec $self self-enroll" "$asks" password_for_agent
    expect_no_output_of 'Touch'
}

# BAR E2.
given_no_key_yet_then_the_password_is_enough_for_the_first() {
    policy true required
    plug steel after:1500
    key steel pin 1234 >/run/key-steel.out
    udevadm settle --timeout=10
    type_at alice 'stty -a >/tmp/before; fidokey enroll --name steel; s=$?; stty -a >/tmp/after; exit $s' \
        "$asks" password_for_agent "$pin" 'echo 1234' "$second" 'echo n'
    expect_status 0
    expect_output 'AUTHENTICATING FOR org.fidokey.self-enroll'
    expect_output 'Register a security key for your own account'
    expect_output 'Authenticating as: alice'
    expect_output 'Registered "steel" for alice'
    expect_output 'You have 1 key: register a second one'
    expect_no_output_of '1234'
    expect_no_output_of 'secret'
    expect_holds cmp /tmp/before /tmp/after
    told 1 'registering=.* user=alice uid=1000 key=steel .* by="alice via polkit"'
    told 1 'registered=.* user=alice uid=1000 key=steel .* by="alice via polkit"'
    told 0 'refused='
    expect_whole 1
    expect_holds test -z "$(pgrep pkttyagent)"
}

# BAR E2.
given_a_key_then_a_second_one_takes_the_password_and_the_first_with_its_pin() {
    plug brass at-once
    key brass pin 5678 >/run/key-brass.out
    udevadm settle --timeout=10
    key brass unplug
    plug steel after:1500
    type_at alice 'fidokey enroll --name brass' "$asks" password_for_agent "$pin" 'echo 1234' \
        "$new" 'key steel unplug >/dev/null; key brass plug >/dev/null; echo' "$pin" 'echo 5678'
    expect_status 0
    expect_output 'Touch your security key (fidokey-manage).'
    expect_output 'Registered "brass" for alice'
    told 1 'registered=.* key=brass .* by="alice via polkit"'
    expect_whole 2
}

given_a_key_then_rename_and_remove_take_it_with_its_pin() {
    plug steel
    type_at alice 'fidokey rename brass "Brass 2"' "$asks" password_for_agent "$pin" 'echo 1234'
    expect_status 0
    expect_output 'Rename a security key of your own account'
    expect_output 'Renamed "brass" of alice to "Brass 2".'
    told 1 'renamed=.* user=alice uid=1000 key="Brass 2" .* from=brass by="alice via polkit"'
    type_at alice 'fidokey remove --user alice "Brass 2"' "$asks" password_for_agent "$pin" 'echo 1234'
    expect_status 0
    expect_output 'Removed "Brass 2" of alice'
    told 1 'removed=.* key="Brass 2" .* by="alice via polkit"'
    # sudo asks for it.
    refused no 1 alice 'fidokey remove steel' "$asks" password_for_agent "$pin" 'echo 1234'
    expect_output 'Nothing was removed: alice would have no key'
    refused no 1 alice 'fidokey remove none' "$asks" password_for_agent "$pin" 'echo 1234'
    expect_output 'alice has no key "none".'
    kept_out 4 alice 'fidokey remove --force steel'
    expect_output 'Only root can say --force.'
    expect_whole 1
}

# BAR E2.
given_the_second_key_is_wanted_at_once_then_it_takes_the_first_with_its_pin_and_the_password_once() {
    no_keys
    plug brass
    key brass unplug
    plug steel
    type_at alice 'fidokey enroll --name steel' "$asks" password_for_agent "$pin" 'echo 1234' "$second" 'echo y' \
        "$pin" 'echo 1234' "$new" 'key steel unplug >/dev/null; key brass plug >/dev/null; echo' "$pin" 'echo 5678'
    expect_status 0
    expect_count 1 'AUTHENTICATING FOR'
    expect_output 'First a key that is registered already'
    expect_count 2 'Registered "'
    expect_whole 2
    no_keys
    key brass unplug
    key steel plug >/dev/null
    type_at alice 'fidokey enroll --name steel' "$asks" password_for_agent "$pin" 'echo 1234' "$second" 'echo y' \
        "$pin" 'echo'
    expect_status 3
    told 1 'refused=.* verb=self-enroll reason=pin_declined'
    expect_whole 1
}

given_another_account_or_roots_options_then_only_root_does() {
    kept_out 4 alice 'fidokey enroll --user bob'
    expect_output 'Only root registers keys.'
    kept_out 4 alice 'fidokey remove --user bob steel'
    kept_out 4 alice 'fidokey rename --user bob steel brass'
    kept_out 4 alice 'fidokey enroll --algorithm es256'
    expect_output 'Only root can say --algorithm.'
    kept_out 4 alice 'fidokey enroll --verification none'
    kept_out 4 alice 'fidokey enroll --timeout 5s'
    expect_output 'Only root can say --timeout.'
    kept_out 4 alice 'fidokey reset alice'
}

given_a_wrong_password_then_nothing_is_asked_of_a_key() {
    plug steel
    kept_out 4 alice 'fidokey enroll' "$asks" 'password_for_agent wrong'
    expect_output 'polkit does not let you, or the password was wrong.'
    expect_output 'sudo fidokey enroll --user alice'
    run key steel transcript
    expect_count 0 command
}

given_no_polkit_then_it_is_said_that_root_does_it() {
    local program
    for program in pkexec pkttyagent; do
        mv /usr/bin/$program /usr/bin/$program.away
        kept_out 4 alice 'fidokey enroll'
        mv /usr/bin/$program.away /usr/bin/$program
        expect_output 'are not installed.'
        expect_output 'sudo fidokey enroll --user alice'
    done
}

given_no_terminal_then_it_is_said() {
    run as alice setsid -w fidokey enroll
    expect_status 4
    expect_output 'There is no terminal at which your password could be asked for.'
    expect_between 0 5000
}

given_ctrl_c_at_the_password_or_at_the_touch_then_nothing_is_changed_and_the_terminal_is_as_before() {
    local line='trap : INT; stty -a >/tmp/before; fidokey enroll; s=$?; stty -a >/tmp/after; exit $s'
    kept_out 3 alice "$line" "$asks" 'sleep 0.5; printf "\x03"'
    expect_output 'Cancelled.'
    expect_holds cmp /tmp/before /tmp/after
    expect_holds test -z "$(pgrep pkttyagent)"
    plug steel never
    refused interrupted 3 alice "$line" "$asks" password_for_agent "$pin" 'echo 1234' \
        'Touch your security key (fidokey-manage).' 'key steel await-asking; printf "\x03"'
    expect_holds cmp /tmp/before /tmp/after
    run key steel transcript
    expect_count 1 'command CANCEL'
}

# What could not be proven then is not offered.
given_a_first_key_without_a_pin_then_no_second_is_offered_and_it_is_said_what_is_missing() {
    no_keys
    policy true
    plug plain
    type_at alice 'fidokey enroll --name plain' "$asks" password_for_agent
    expect_status 0
    expect_output 'You have 1 key'
    expect_output 'fidokey key pin set'
    expect_no_output_of "$second"
    refused verification_unavailable 4 alice 'fidokey enroll' "$asks" password_for_agent
    expect_output 'Give it a PIN with `fidokey key pin set`'
    expect_whole 1
}
