# shellcheck shell=bash disable=SC2016,SC2154
# What nobody sits at: cron and a user's own systemd, whose stacks have the line by common-auth. They ask for no
# authentication, so they neither wait nor blink. Only where systemd is.

. /payload/guest/product.sh
rm -f /etc/fidokey/users/*.toml
register es256 alice
cp -p /etc/pam.d/common-auth /run/common-auth
grep '^auth.*pam_fidokey' /usr/share/doc/fidokey/examples/sudo >>/etc/pam.d/common-auth

# expect_runs_as_alice FILE: what runs by itself writes there what `id` says.
expect_runs_as_alice() {
    local until=$((SECONDS + 30))
    until [ -s "$1" ] || [ $SECONDS -gt $until ]; do sleep 0.1; done
    run cat "$1"
    expect_alice
}

expect_nothing_asked() {
    run key es256 transcript
    expect_count 0 command
    expect_logged 0 ''
}

# A login asks for the key, so that it is known not to be asked for by others.
given_the_line_in_common_auth_then_whoever_authenticates_is_asked() {
    plug es256
    printf '%s\n' '@include common-auth' >/etc/pam.d/rig-common
    run bash -c 'echo secret | pamtester rig-common alice authenticate'
    expect_status 0
    run key es256 transcript
    expect_count 1 touch
}

# BAR X17.
given_a_job_of_cron_then_it_runs_and_no_key_blinks() {
    plug es256 never
    echo '@reboot id >/tmp/job' >/run/crontab
    run crontab -u alice /run/crontab
    expect_status 0
    rm -f /run/crond.reboot
    systemctl restart cron
    expect_runs_as_alice /tmp/job
    systemctl stop cron
    expect_nothing_asked
}

# BAR X17.
given_a_service_of_a_user_then_it_runs_and_no_key_blinks() {
    local units=/home/alice/.config/systemd/user
    plug es256 never
    # Debian's has no authentication at all; where there is one, it is not asked for either.
    { echo '@include common-auth'; cat /usr/lib/pam.d/systemd-user; } >/etc/pam.d/systemd-user
    install -d -o alice -g alice $units/default.target.wants
    printf '%s\n' '[Service]' Type=oneshot "ExecStart=/bin/sh -c 'id >/tmp/service'" >$units/rig.service
    ln -s ../rig.service $units/default.target.wants/rig.service
    ln -s /dev/null $units/ssh-agent.socket
    run systemctl start user@1000.service
    expect_status 0
    expect_runs_as_alice /tmp/service
    systemctl stop user@1000.service
    expect_nothing_asked
    cp -p /run/common-auth /etc/pam.d/common-auth
}
