# shellcheck shell=bash
# `fidokey enable` and `disable` with the stacks that Debian has: BAR I2, I5. What becomes of --try is in `try`.

stack=/etc/pam.d/sudo
journal=/var/lib/fidokey-stacks/pending.toml
cp -a /etc/pam.d /run/pam.d-before

unchanged() {
    expect_holds diff -r /run/pam.d-before /etc/pam.d
}

# enable ARGUMENT...: on a terminal, with the password of whoever has to log in.
enable() {
    type_at root "fidokey enable $*" 'Password: ' 'echo secret'
}

enroll() {
    type_at root "fidokey enroll --user $1 --name $2 </dev/null"
}

given_an_account_without_a_key_then_nothing_is_enabled() {
    run fidokey enable sudo --user alice
    expect_status 1
    expect_output 'alice has no key.'
    unchanged
}

given_one_key_and_no_way_back_then_nothing_is_enabled_until_one_is_declared() {
    plug blue
    enroll alice Blue
    expect_status 0
    run fidokey enable sudo --user alice
    expect_status 1
    expect_output 'one key only, and no way back in is declared.'
    unchanged
    printf 'schema = 1\nway_back = "root has a password at the console"\n' >/etc/fidokey/config.toml
    enable sudo --user alice
    expect_status 0
    expect_output 'Touch your security key'
    expect_output "Enabled sudo: $stack:"
    # `sudo -i` is a service of its own, and would be a way by.
    expect_output 'Enabled sudo-i: /etc/pam.d/sudo-i:'
    expect_count 1 'Password: '
    run fidokey disable sudo
    expect_status 0
    unchanged
    rm /etc/fidokey/config.toml
}

given_two_keys_then_sudo_asks_for_one_after_the_password() {
    plug green
    enroll alice Green
    enable sudo --user alice
    expect_status 0
    expect_holds test "$(grep -c pam_fidokey.so "$stack")" = 1
    expect_holds test ! -e "$journal"
    sudo_id alice
    expect_status 0
    expect_output 'Touch your security key'
    expect_output 'uid=0(root)'
    pull blue
    pull green
    printf '[service.sudo]\nwait_for_key = "0s"\n' | sed '1i schema = 1' >/etc/fidokey/config.toml
    sudo_id alice
    expect_failure
    expect_no_output_of 'uid=0(root)'
    # An account without a key is where it was.
    sudo_id bob
    expect_status 0
    rm /etc/fidokey/config.toml
}

given_it_is_enabled_then_to_enable_it_again_changes_nothing() {
    local before
    before=$(cat "$stack")
    run fidokey enable sudo --user alice
    expect_status 0
    expect_output 'sudo is enabled already'
    expect_holds test "$(cat "$stack")" = "$before"
}

given_root_and_no_key_then_disable_gives_back_the_bytes() {
    run fidokey disable sudo
    expect_status 0
    expect_output 'Disabled sudo'
    unchanged
    sudo_id alice
    expect_status 0
    run fidokey disable sudo
    expect_status 0
    expect_output 'sudo is not enabled.'
    unchanged
}

given_a_wrong_password_then_nothing_is_changed() {
    plug blue
    type_at root 'fidokey enable sudo --user alice' 'Password: ' 'echo wrong'
    expect_status 1
    expect_output 'Nothing was changed: the login by the new stack of sudo was denied'
    expect_no_output_of 'Touch your security key'
    unchanged
}

given_no_touch_then_nothing_is_changed() {
    plug blue never
    printf 'schema = 1\n[default]\ntouch = "2s"\n' >/etc/fidokey/config.toml
    enable sudo --user alice
    expect_status 1
    expect_output 'Nothing was changed'
    unchanged
    rm /etc/fidokey/config.toml
}

# pam_rootok lets root in without asking; the trial must not be one by root.
given_su_then_its_trial_asks_as_su_asks_a_user() {
    plug blue
    enable su --user alice
    expect_status 0
    expect_output 'Touch your security key'
    su_to_alice ''
    expect_status 0
    expect_output 'Touch your security key'
    run fidokey disable su
    unchanged
}

given_two_services_then_both_are_proven_before_either_is_changed() {
    plug blue
    local second=$'login, as alice:\r\nPassword: '
    type_at root 'fidokey enable sudo login --user alice' 'Password: ' 'echo secret' "$second" 'echo wrong'
    expect_status 1
    unchanged
    type_at root 'fidokey enable sudo login --user alice' 'Password: ' 'echo secret' "$second" 'echo secret'
    expect_status 0
    login_alice
    expect_output 'Touch your security key'
    run fidokey disable sudo login
    expect_status 0
    unchanged
}

given_a_dry_run_then_it_is_shown_and_nothing_is_changed() {
    run fidokey enable --dry-run sudo login
    expect_status 0
    expect_output '+ auth [success=ok ignore=ignore default=die] pam_fidokey.so mode=second-factor'
    expect_count 3 'pam_fidokey.so'
    unchanged
}

given_a_line_that_is_not_in_force_then_it_is_said_what_lets_by() {
    printf 'auth sufficient pam_wheel.so trust\n@include common-auth\nauth required pam_fidokey.so\n' >/etc/pam.d/odd
    run fidokey enable odd --user alice
    expect_status 1
    expect_output '/etc/pam.d/odd:3 has the module already; the login can succeed without the key: /etc/pam.d/odd:1 lets it pass'
    rm /etc/pam.d/odd
    unchanged
}

given_a_stack_that_lets_nobody_in_then_it_is_refused() {
    printf 'auth required pam_deny.so\n' >/etc/pam.d/odd
    run fidokey enable odd --user alice
    expect_status 1
    expect_output 'there is no place for the line where it would be in force; no login can succeed'
    rm /etc/pam.d/odd
    unchanged
}

given_a_mode_of_its_own_then_the_key_is_enough_with_its_pin_and_the_password_without_it() {
    plug blue
    key blue pin 1234 >/run/key-pin.out
    type_at root 'fidokey enable sudo --mode alternative --user alice' 'Security key PIN: ' 'echo 1234'
    if [ "$status" = 0 ]; then
        expect_holds grep -q 'auth sufficient pam_fidokey.so mode=alternative verification=required' "$stack"
        forget_passwords
        type_at alice "$sudo id" 'Security key PIN: ' 'echo 1234'
        expect_status 0
        pull blue
        printf 'schema = 1\n[default]\nwait_for_key = "0s"\n' >/etc/fidokey/config.toml
        sudo_id alice
        expect_status 0
        rm /etc/fidokey/config.toml
    else
        complain 'could not be enabled'
    fi
    run fidokey disable sudo
    unchanged
}

given_a_user_then_neither_verb_is_theirs() {
    run as alice fidokey enable sudo
    expect_status 4
    run as alice fidokey disable sudo
    expect_status 4
    unchanged
}

given_another_system_s_root_then_its_stack_is_mended_without_a_key() {
    mkdir -p /run/mnt/etc /run/mnt/var/lib/fidokey
    chmod 755 /run/mnt /run/mnt/etc /run/mnt/var /run/mnt/var/lib
    chmod 700 /run/mnt/var/lib/fidokey
    cp -a /etc/pam.d /run/mnt/etc/pam.d
    printf 'auth required pam_fidokey.so\n' >>/run/mnt/etc/pam.d/sudo
    run fidokey disable --root /run/mnt sudo
    expect_status 0
    expect_holds diff -r /run/pam.d-before /run/mnt/etc/pam.d
    unchanged
    rm -r /run/mnt
}

# The way back that needs no key and no password of an account: what a rescue boot runs asks PAM nothing.
given_every_key_is_lost_then_root_mends_it_from_the_rescue_shell() {
    plug blue
    enable sudo --user alice
    expect_status 0
    pull blue
    usermod --password "$(perl -e 'print crypt("secret", q($5$rounds=1000$rig$))')" root
    type_at root 'sulogin' 'maintenance' 'echo secret' '# ' 'echo "fidokey disable sudo; exit"'
    expect_output 'Disabled sudo'
    unchanged
    sudo_id alice
    expect_status 0
}

given_a_lost_key_then_the_second_one_gets_in() {
    plug blue
    enable sudo --user alice
    pull blue
    plug green
    sudo_id alice
    expect_status 0
    expect_output 'Touch your security key'
    run fidokey disable sudo
    unchanged
}
