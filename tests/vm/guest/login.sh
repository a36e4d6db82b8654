# shellcheck shell=bash disable=SC2016,SC2154
# The product as `make install` put it: real sudo and pamtester against real hidraw nodes.
# In this order: the scenarios behind the first use the record that it makes.

. /payload/guest/product.sh
rm -f /etc/fidokey/users/*.toml
find /var/lib/fidokey -mindepth 1 -delete

# One login is INIT and getAssertion, and the key hears nothing after the touch.
expect_two_commands() {
    run key blue transcript
    expect_count 2 command
    expect_count 1 'command INIT'
    expect_count 1 'command getAssertion'
    expect_count 1 touch
    [[ $(tail -n 1 <<<"$output") == *touch ]] || complain "the key was spoken to after the touch"
}

given_no_record_then_sudo_asks_for_the_password_only() {
    plug blue
    sudo_id alice
    expect_root
    expect_no_output_of "$cue"
    run key blue transcript
    expect_count 0 command
}

given_a_key_then_enroll_registers_and_tests_it() {
    plug blue
    run fidokey enroll --user alice --name 'Blue key'
    expect_status 0
    expect_output 'Touch your security key to register it.'
    expect_output 'Touch it again to test it.'
    run key blue transcript
    expect_count 2 touch
    run stat -c '%U %a %s' "/etc/fidokey/users/$(id -u alice).toml"
    expect_output 'root '
    run fidokey list --user alice
    expect_status 0
    expect_output 'Blue key'
}

given_the_enrolled_key_then_sudo_works() {
    plug blue
    sudo_id alice
    expect_root
    expect_output "$cue"
    expect_two_commands
}

given_a_slow_finger_then_sudo_works() {
    plug blue after:1200
    sudo_id alice
    expect_root
    expect_output "$cue"
    expect_two_commands
}

given_a_password_on_a_pipe_then_sudo_works() {
    plug blue
    forget_passwords
    run as alice bash -c 'echo secret | sudo -S id'
    expect_root
    expect_two_commands
}

given_a_wrong_password_then_the_key_is_not_asked() {
    plug blue
    forget_passwords
    run as alice bash -c 'echo wrong | sudo -S id'
    expect_denied
    run key blue transcript
    expect_count 0 command
}

given_no_key_then_sudo_is_denied() {
    sudo_id alice
    expect_denied
    expect_between 2900 "$bound"
    expect_output 'Timed out waiting for the security key.'
}

given_a_key_plugged_in_during_the_wait_then_sudo_works() {
    plug blue
    key blue unplug
    sudo_id alice 'Insert your security key.' 'key blue plug >/dev/null'
    expect_root
    expect_output "$cue"
}

given_a_foreign_key_then_sudo_is_denied() {
    plug red
    sudo_id alice
    expect_denied
    expect_output 'This key is not registered for alice.'
}

given_a_foreign_key_beside_the_right_one_then_sudo_works() {
    plug red
    plug blue
    sudo_id alice
    expect_root
}

given_no_finger_then_sudo_is_denied_and_the_key_is_free_at_once() {
    plug blue never
    sudo_id alice
    expect_denied
    expect_between 2900 "$bound"
    expect_output "$cue"
    run key blue transcript
    expect_count 1 'command CANCEL'
    run fido2-token -I "$(node blue)"
    expect_status 0
    expect_output FIDO_2_1
    key blue touch at-once
    sudo_id alice
    expect_root
}

given_a_key_pulled_during_the_wait_then_sudo_is_denied() {
    plug blue never
    sudo_id alice "$cue" 'key blue await-asking; key blue unplug'
    expect_denied
}

given_a_killed_sudo_then_the_next_login_works() {
    plug blue never
    sudo_id alice "$cue" 'key blue await-asking; kill -KILL $(pidof sudo)'
    expect_failure
    # The key blinks on, up to thirty seconds, for a program that is no more.
    key blue touch at-once
    sudo_id alice
    expect_root
}

given_a_user_without_a_record_then_sudo_asks_for_the_password_only() {
    plug blue
    sudo_id bob
    expect_root
    expect_no_output_of "$cue"
}

given_another_service_then_the_key_lets_alice_in() {
    plug blue
    run pamtester rig-fidokey alice authenticate
    expect_status 0
    expect_output 'successfully authenticated'
    expect_output 'Touch your security key (rig-fidokey).'
    expect_two_commands
}

given_another_service_and_a_foreign_key_then_alice_is_denied() {
    plug red
    run pamtester rig-fidokey alice authenticate
    expect_failure
    expect_no_output_of 'successfully authenticated'
}

# Two symbols, and what is installed belongs to root and can be written by nobody else.
given_the_installed_files_then_they_are_roots() {
    local file
    for file in /usr/lib/*/security/pam_fidokey.so /usr/bin/fidokey /etc/fidokey /etc/fidokey/users; do
        run stat -c '%U %G %A' "$file"
        expect_status 0
        expect_output 'root root'
        [[ $output == *rw[-x]r-[-x]r-[-x] ]] || complain "others may write $file: $output"
    done
}

given_the_enrolled_key_then_the_dry_run_says_yes() {
    plug blue
    run fidokey test --user alice
    expect_status 0
}

given_a_record_that_cannot_be_read_then_sudo_is_denied() {
    local record
    record=/etc/fidokey/users/$(id -u alice).toml
    cp -p "$record" /run/record
    echo 'nonsense' >>"$record"
    plug blue
    sudo_id alice
    expect_denied
    cp -p /run/record "$record"
    sudo_id alice
    expect_root
}

given_a_key_that_is_registered_then_it_is_not_registered_twice() {
    plug blue
    run fidokey enroll --user alice --name 'Blue again'
    expect_status 1
    expect_output 'This key is already registered for the account.'
    run fidokey list --user alice
    expect_no_output_of 'Blue again'
}

given_a_second_key_then_either_lets_alice_in_with_two_commands() {
    plug red
    run fidokey enroll --user alice --name 'Red key'
    expect_status 0
    key red transcript >/dev/null
    sudo_id alice
    expect_root
    run key red transcript
    expect_count 2 command
    pull red
    plug blue
    sudo_id alice
    expect_root
    expect_two_commands
}

given_nobody_touches_a_new_key_then_nothing_is_registered() {
    plug green never
    run timeout 5 fidokey enroll --user bob
    expect_status 124
    run fidokey list --user bob
    expect_status 1
    expect_holds test ! -e "/etc/fidokey/users/$(id -u bob).toml"
}

given_an_ordinary_user_then_enroll_is_refused() {
    plug blue
    run as bob fidokey enroll --user bob
    expect_status 4
    expect_output 'Only root registers keys.'
    run key blue transcript
    expect_count 0 command
}

# D19, E5: the device's own words, through the kernel's.
given_no_name_then_the_key_is_called_what_its_device_is_called_and_no_worse() {
    local record
    record=/etc/fidokey/users/$(id -u bob).toml
    product=$'ACME ACME \e[31mKey\nHID_NAME=Other "x"'
    plug yellow
    product=
    run fidokey enroll --user bob
    expect_status 0
    expect_output 'Registered "ACME [31mKey" for bob'
    expect_holds grep -qx 'name = "ACME \[31mKey"' "$record"
    pull yellow
    rm "$record"
}
