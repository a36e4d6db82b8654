# shellcheck shell=bash disable=SC2016,SC2154
# su, login and sshd, where the key is missing, foreign, or at the wrong end. That they let alice in with each
# kind of key, `generations` shows.

. /payload/guest/product.sh
rm -f /etc/fidokey/users/*.toml
register es256 alice
cp /usr/share/doc/fidokey/examples/sshd /etc/pam.d/sshd

start_sshd() {
    [ ! -e /run/sshd.pid ] || return 0
    mkdir -p /run/sshd
    rm -f /etc/ssh/ssh_host_*
    # One kind is enough; an RSA key takes an emulated machine ten seconds.
    ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
    printf '%s\n' 'UsePAM yes' 'KbdInteractiveAuthentication yes' 'PasswordAuthentication no' \
        >/etc/ssh/sshd_config.d/rig.conf
    # Nothing in the guest has set up the loopback.
    /payload/busybox ifconfig lo 127.0.0.1 up
    /usr/sbin/sshd
}

# A login by ssh from this machine to itself: PAM_RHOST is set. Arguments as of type_at from the second on.
ssh_id() {
    start_sshd
    type_at bob "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o NumberOfPasswordPrompts=1 \
        -o PreferredAuthentications=keyboard-interactive $1@127.0.0.1 id" 'Password: ' 'echo secret' "${@:2}"
}

given_no_key_then_su_is_denied() {
    su_to_alice ''
    expect_failure
    expect_between 2900 "$bound"
    expect_output 'Timed out waiting for the security key.'
}

given_a_foreign_key_then_su_with_a_login_shell_is_denied() {
    plug red
    su_to_alice -
    expect_failure
    expect_output 'This key is not registered for alice.'
}

given_root_then_su_asks_for_nothing() {
    plug es256
    run su alice -c id
    expect_alice
    run key es256 transcript
    expect_count 0 command
}

given_no_key_then_login_is_denied_and_asks_again() {
    login_alice 'Login incorrect' : 'login: ' 'kill -KILL $(pidof login)'
    expect_between 2900 "$bound"
    expect_output 'Timed out waiting for the security key.'
    expect_no_output_of 'uid=1000'
}

given_a_user_without_a_record_then_ssh_lets_in_by_the_password() {
    plug es256
    ssh_id bob
    expect_status 0
    expect_output 'uid=1001(bob)'
    run key es256 transcript
    expect_count 0 command
}

given_a_registered_user_then_ssh_is_denied_and_no_key_is_asked() {
    plug es256
    ssh_id alice
    expect_failure
    expect_no_output_of 'uid=1000'
    run key es256 transcript
    expect_count 0 command
    run grep -c 'result=denied code=6 reason=remote user=alice .*rhost=127.0.0.1 .*service=sshd' /run/syslog
    expect_status 0
}

given_the_policy_skips_remote_logins_then_ssh_lets_in_by_the_password() {
    plug es256
    cp -p /etc/fidokey/config.toml /run/policy
    printf '\n[service.sshd]\nremote = "skip"\n' >>/etc/fidokey/config.toml
    ssh_id alice
    expect_status 0
    expect_alice
    cp -p /run/policy /etc/fidokey/config.toml
    run key es256 transcript
    expect_count 0 command
}

# BAR P14, U7. The key is at this machine, and so may be somebody who touches it.
given_the_policy_verifies_remote_logins_then_ssh_asks_for_the_pin_and_a_touch() {
    rm -f /var/keys/steel
    register steel alice
    plug steel
    key steel pin 1234 >/run/key-steel.out
    udevadm settle --timeout=10
    cp -p /etc/fidokey/config.toml /run/policy
    printf '\n[service.sshd]\nremote = "verify"\n' >>/etc/fidokey/config.toml
    ssh_id alice 'Security key PIN: ' 'echo 1234'
    expect_status 0
    expect_alice
    expect_output 'Enter the PIN of "steel".'
    expect_logged 1 'result=granted code=0 .*user=alice .*rhost=127.0.0.1 .*service=sshd'
    run key steel transcript
    expect_count 1 touch
    ssh_id alice 'Security key PIN: ' 'echo 4321'
    expect_failure
    expect_no_output_of 'uid=1000'
    expect_logged 1 'result=denied code=7 reason=pin_wrong user=alice .*rhost=127.0.0.1'
    run key steel transcript
    expect_count 0 touch
    cp -p /run/policy /etc/fidokey/config.toml
}
