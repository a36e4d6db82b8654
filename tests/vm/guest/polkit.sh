# shellcheck shell=bash disable=SC2016,SC2154
# polkit 127 and later as it is installed: the helper that runs PAM is a unit in a sandbox. Only where systemd is.

. /payload/guest/product.sh
examples=/usr/share/doc/fidokey/examples
cp $examples/polkit-1 /etc/pam.d/polkit-1
rm -f /etc/fidokey/users/*.toml
find /var/lib/fidokey -mindepth 1 -delete
# Whom Debian's polkit takes for an administrator.
usermod -aG sudo alice
register es256 alice
# The notice of it.
find /var/lib/fidokey -mindepth 1 -delete

# pkexec's own agent does not get on with the helper's socket (polkit's issue 686): an agent of its own, as a desktop has.
cat >/usr/local/bin/rig-pkexec <<'SH'
#!/bin/bash
# The agent closes its end once it is registered.
ready=$(mktemp -u)
mkfifo "$ready"
pkttyagent --process $$ --notify-fd 5 5>"$ready" &
cat "$ready"
rm "$ready"
pkexec --disable-internal-agent id
status=$?
kill $!
exit $status
SH
chmod 755 /usr/local/bin/rig-pkexec

# sandbox LINE...: what an administrator has in a drop-in of that file's name; nothing where there is none.
drop_in=/etc/systemd/system/polkit-agent-helper@.service.d
installed=/run/50-fidokey.conf
mv /usr/lib/systemd/system/polkit-agent-helper@.service.d/50-fidokey.conf $installed
sandbox() {
    rm -rf $drop_in
    if [ $# != 0 ]; then
        mkdir -p $drop_in
        printf '%s\n' "$@" >$drop_in/50-fidokey.conf
    fi
    systemctl daemon-reload
}

sandbox_as_installed() {
    cmp -s $installed $drop_in/50-fidokey.conf ||
        sandbox "$(cat $installed)"
}

pkexec_id() {
    type_at alice rig-pkexec 'Password: ' password_for_agent
}

# The key is in /sys and not to be opened: nothing blinks, and no wait is of use.
expect_shut_out() {
    expect_status 127
    expect_no_output_of 'uid=0'
    expect_no_output_of 'Touch'
    expect_output 'AUTHENTICATION FAILED'
    expect_logged 1 'result=denied code=7 reason=key_inaccessible user=alice .*service=polkit-1'
    run key es256 transcript
    expect_count 0 command
}

# BAR U10.
given_no_drop_in_then_polkit_denies_and_the_log_says_that_the_key_cannot_be_opened() {
    sandbox
    plug es256
    pkexec_id
    expect_shut_out
}

# BAR U10.
given_either_half_of_the_drop_in_then_polkit_denies() {
    plug es256
    sandbox '[Service]' PrivateDevices=no
    pkexec_id
    expect_shut_out
    log_from_here
    sandbox '[Service]' 'DeviceAllow=char-hidraw rw'
    pkexec_id
    expect_shut_out
}

# BAR S7.
given_a_drop_in_without_the_state_then_a_touch_is_enough() {
    sandbox '[Service]' PrivateDevices=no 'DeviceAllow=char-hidraw rw'
    plug es256
    pkexec_id
    expect_root
    expect_logged 1 'result=granted code=0 .*service=polkit-1 .*state=unwritten'
    expect_holds test ! -e /var/lib/fidokey/1000.toml
}

given_the_drop_in_then_a_touch_makes_alice_an_administrator() {
    sandbox_as_installed
    plug es256
    pkexec_id
    expect_root
    expect_output 'Info: Touch your security key (polkit-1).'
    expect_output 'AUTHENTICATION COMPLETE'
    expect_logged 1 'result=granted code=0 .*user=alice uid=1000 .*service=polkit-1'
    expect_logged 1 'state=new'
    expect_holds test -s /var/lib/fidokey/1000.toml
    run key es256 transcript
    expect_count 2 command
    expect_count 1 touch
}

given_the_drop_in_and_no_key_then_polkit_denies() {
    sandbox_as_installed
    pkexec_id
    expect_status 127
    expect_no_output_of 'uid=0'
    expect_output 'Timed out waiting for the security key.'
    expect_logged 1 'result=denied code=7 reason=no_key user=alice .*service=polkit-1'
}
