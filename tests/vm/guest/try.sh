# shellcheck shell=bash disable=SC2154
# `fidokey enable --try`, with the units of the package and systemd: BAR I3, I4. The power is cut in between, and after it
# the machine starts anew.

stack=/etc/pam.d/sudo
before=/var/lib/rig-pam.d
journal=/var/lib/fidokey-stacks/pending.toml
if [ ! -e "$before" ]; then
    dpkg -i "$(ls /payload/packages/*.deb | sort -V | head -n 1)" >/run/installed 2>&1 || cat /run/installed
    cp -a /etc/pam.d "$before"
fi

fresh() {
    expect_holds diff -r "$before" /etc/pam.d
    expect_holds test ! -e "$journal"
}

enabled() {
    expect_holds grep -q '^auth .*pam_fidokey.so mode=second-factor$' "$stack"
}

# enable ARGUMENT...
enable() {
    plug blue
    type_at root "fidokey enable sudo --user alice $*" 'Password: ' 'echo secret'
    expect_status 0
    enabled
}

# Until the journal is gone, so many seconds at most.
await_the_end() {
    local left=$1
    while [ -e "$journal" ] && [ "$left" -gt 0 ]; do
        sleep 1
        left=$((left - 1))
    done
    expect_holds test ! -e "$journal"
}

given_the_package_then_the_unit_of_the_next_start_is_enabled_and_nothing_is_pending() {
    run systemctl is-enabled fidokey-revert-boot.service
    expect_status 0
    run systemctl is-active fidokey-revert.timer
    expect_failure
    plug blue
    type_at root 'fidokey enroll --user alice --name Blue' 'Register the second key now?' 'echo n'
    expect_status 0
    pull blue
    plug green
    type_at root 'fidokey enroll --user alice --name Green'
    expect_status 0
    fresh
}

given_a_trial_and_a_login_by_it_then_it_stays() {
    enable --try 60m
    expect_holds test -e "$journal"
    expect_holds systemctl is-active --quiet fidokey-revert.timer
    sleep 6
    # The login that has proven the stack is not the one that confirms it.
    expect_holds test -e "$journal"
    sudo_id alice
    expect_status 0
    expect_output 'Touch your security key'
    await_the_end 20
    enabled
    run systemctl is-active fidokey-revert.timer
    expect_failure
    run fidokey disable sudo
    expect_status 0
    fresh
}

given_a_trial_and_nobody_logs_in_then_it_is_undone_in_time() {
    enable --try 30s
    await_the_end 60
    fresh
    sudo_id alice
    expect_status 0
    expect_no_output_of 'Touch your security key'
}

given_a_trial_then_another_edit_waits() {
    enable --try 60m
    run fidokey enable login --force
    expect_status 1
    expect_output 'another edit waits to be confirmed'
    run fidokey disable sudo
    expect_status 0
    fresh
}

given_a_trial_then_the_power_is_cut() {
    will_lose_power
    enable --try 60m
    cut_power
}

given_the_start_after_a_trial_then_the_stack_is_the_old_one() {
    fresh
    run systemctl show -p ExecMainStatus fidokey-revert-boot.service
    expect_output 'ExecMainStatus=0'
    sudo_id alice
    expect_status 0
    expect_no_output_of 'Touch your security key'
}

given_an_edit_that_is_no_trial_then_the_power_is_cut() {
    will_lose_power
    enable
    cut_power
}

given_the_start_after_an_edit_then_the_new_stack_is_in_force_and_whole() {
    enabled
    expect_holds test ! -e "$journal"
    plug blue
    sudo_id alice
    expect_status 0
    expect_output 'Touch your security key'
    run fidokey disable sudo
    fresh
}
