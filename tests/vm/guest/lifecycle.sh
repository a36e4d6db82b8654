# shellcheck shell=bash disable=SC2154
# From a fresh machine to one without a trace, with the packages: BAR I1, I6, I7. After every step root gets in, and an
# account with a key does. In this order: each scenario goes on where the one before has ended.

package=libpam-fidokey
older=$(ls /payload/packages/${package}_*.deb | sort -V | head -n 1)
newer=$(ls /payload/packages/${package}_*.deb | sort -V | tail -n 1)
module=$(echo /usr/lib/*-linux-gnu/security)/pam_fidokey.so
usermod --password "$(perl -e 'print crypt("secret", q($5$rounds=1000$rig$))')" root
cp -a /etc/pam.d /run/pam.d-fresh
# Debian 13's login stops itself where it is not the first of its session: it is, on a real terminal.
login='setsid --ctty --wait login'
# An emulated machine takes its time for a package.
sed -i 's/^LOGIN_TIMEOUT.*/LOGIN_TIMEOUT 240/' /etc/login.defs

# In every scenario: root, and alice, each by the console and by what asks again.
everybody_gets_in() {
    local with_key=${1-}
    type_at root "$login root" 'Password: ' 'echo secret' '# ' 'echo "echo in-as-\$(id -un); exit"'
    expect_output 'in-as-root'
    expect_status 0
    plug blue
    type_at root "$login alice" 'Password: ' 'echo secret' '$ ' 'echo "echo in-as-\$(id -un); exit"'
    expect_output 'in-as-alice'
    [ -z "$with_key" ] || expect_output 'Touch your security key (login)'
    sudo_id alice
    expect_status 0
    expect_output 'uid=0(root)'
    [ -z "$with_key" ] || expect_output 'Touch your security key (sudo)'
    pull blue
}

stacks_are_fresh() {
    expect_holds diff -r /run/pam.d-fresh /etc/pam.d
}

doctor_is_content() {
    run fidokey doctor
    [ "$status" = 0 ] || complain "the doctor says: $output"
}

given_a_fresh_machine_then_installing_changes_no_stack() {
    everybody_gets_in
    run dpkg -i "$older"
    expect_status 0
    stacks_are_fresh
    expect_holds test -e "$module"
    everybody_gets_in
    doctor_is_content
}

given_the_package_then_a_user_is_enrolled_and_logs_in_as_before() {
    plug blue
    type_at root 'fidokey enroll --user alice --name Blue' 'Register the second key now?' 'echo n'
    expect_status 0
    pull blue
    plug spare
    type_at root 'fidokey enroll --user alice --name Spare'
    expect_status 0
    pull spare
    stacks_are_fresh
    everybody_gets_in
}

given_two_keys_then_sudo_and_login_are_enabled_by_a_login_and_ask_for_them() {
    plug blue
    type_at root 'fidokey enable sudo login --user alice' 'Password: ' 'echo secret' \
        $'login, as alice:\r\nPassword: ' 'echo secret'
    expect_status 0
    pull blue
    everybody_gets_in with-key
    doctor_is_content
    # Without a key the account is not let in any more, and root is.
    printf 'schema = 1\n[default]\nwait_for_key = "0s"\n' >/etc/fidokey/config.toml
    sudo_id alice
    expect_failure
    rm /etc/fidokey/config.toml
}

# I7.
given_a_login_that_waits_then_a_newer_version_is_installed_and_the_login_goes_on() {
    plug blue never
    local before
    before=$(stat -c %i "$module")
    printf 'schema = 1\n[default]\ntouch = "120s"\n' >/etc/fidokey/config.toml
    type_at root "$login alice" 'Password: ' 'echo secret' 'Touch your security key' \
        'dpkg -i "$newer" >/run/upgrade 2>&1; echo $? >/run/upgraded; key blue touch at-once >/dev/null' \
        '$ ' 'echo "echo in-as-\$(id -un); exit"'
    expect_status 0
    expect_output 'in-as-alice'
    expect_holds test "$(cat /run/upgraded)" = 0
    expect_holds test "$(stat -c %i "$module")" != "$before"
    pull blue
    rm /etc/fidokey/config.toml
    everybody_gets_in with-key
}

# I6.
given_a_stack_that_names_the_module_then_removing_is_refused_with_the_command_to_run() {
    run dpkg -r "$package"
    expect_failure
    expect_output '/etc/pam.d/sudo'
    expect_output 'fidokey disable'
    expect_holds test -e "$module"
    everybody_gets_in with-key
    run dpkg -P "$package"
    expect_failure
    expect_holds test -e "/etc/fidokey/users/$(id -u alice).toml"
    everybody_gets_in with-key
}

given_disabled_services_then_the_stacks_are_what_they_were() {
    run fidokey disable sudo login
    expect_status 0
    stacks_are_fresh
    everybody_gets_in
}

given_no_stack_that_names_it_then_it_is_removed_and_the_records_stay() {
    run dpkg -r "$package"
    expect_status 0
    expect_holds test ! -e "$module"
    expect_holds test -e "/etc/fidokey/users/$(id -u alice).toml"
    stacks_are_fresh
    everybody_gets_in
}

given_a_purge_then_nothing_of_it_is_left() {
    run dpkg -P "$package"
    expect_status 0
    expect_holds test ! -e /etc/fidokey
    expect_holds test ! -e /var/lib/fidokey
    stacks_are_fresh
    everybody_gets_in
}
