# shellcheck shell=bash disable=SC2154
# What fidokey is for, shown: each step prints what a person would see, and is checked as well.

mkdir -p /etc/fidokey
cat >/etc/fidokey/config.toml <<'TOML'
schema = 1

[default]
mode = "second-factor"
wait_for_key = "3s"
touch = "3s"
TOML
cp /usr/share/doc/fidokey/examples/sudo /etc/pam.d/sudo

say() {
    echo
    echo "$@"
}

# What was typed, what came of it, and what the log says about it.
transcript() {
    echo "    $1"
    sed 's/^/    /' <<<"$output"
    sed -n "$((logged + 1)),\$s/.*\(fidokey[^ ]*:\) /    the log: \1 /p" /run/syslog
    logged=$(wc -l </run/syslog)
}

given_a_new_key_then_it_is_registered() {
    say 'A FIDO2 key is plugged in. root registers it for alice; it is touched twice:'
    plug blue after:700
    run fidokey enroll --user alice --name 'Blue key'
    transcript "root# fidokey enroll --user alice --name 'Blue key'"
    expect_status 0
    run fidokey list --user alice
    expect_status 0
    transcript 'root# fidokey list --user alice'
}

given_the_key_and_a_touch_then_sudo_works() {
    say 'alice becomes root: her password, then a touch:'
    plug blue after:700
    sudo_id alice
    transcript 'alice$ sudo id'
    expect_status 0
    expect_output 'Touch your security key (sudo).'
    expect_output 'uid=0(root)'
    run key blue transcript
    say 'What the key was asked for, and when it was touched:'
    sed 's/^/    /' <<<"$output"
    expect_count 2 command
}

given_no_key_then_sudo_is_denied() {
    say 'The same without a key (the policy here waits three seconds for one):'
    sudo_id alice
    transcript 'alice$ sudo id'
    expect_failure
    expect_output 'Timed out waiting for the security key.'
}

given_a_foreign_key_then_sudo_is_denied() {
    say "The same with somebody else's key:"
    plug red after:700
    sudo_id alice
    transcript 'alice$ sudo id'
    expect_failure
    expect_output 'This key is not registered for alice.'
}

given_no_touch_then_sudo_is_denied() {
    say 'The same with the right key, which nobody touches:'
    plug blue never
    sudo_id alice
    transcript 'alice$ sudo id'
    expect_failure
    expect_output 'Timed out waiting for the security key.'
}
