# shellcheck shell=bash disable=SC2034,SC2154
# What every scenario of the product begins with: the policy, the stacks, and what a granted or denied login
# looks like. No scenarios.

cue='Touch your security key (sudo).'
# The two waits below, the two seconds that pam_unix adds to a denial, and what an emulated machine may lose
# on the way.
bound=12000

mkdir -p /etc/fidokey
cat >/etc/fidokey/config.toml <<'TOML'
schema = 1

[default]
mode = "second-factor"
wait_for_key = "3s"
touch = "3s"
TOML

# The example that is installed, as it stands.
cp /usr/share/doc/fidokey/examples/sudo /etc/pam.d/sudo

cat >/etc/pam.d/rig-fidokey <<'PAM'
auth    [success=ok ignore=ignore default=die]   pam_fidokey.so
auth    required                                 pam_permit.so
account required                                 pam_permit.so
PAM
cp /usr/share/doc/fidokey/examples/su /etc/pam.d/su
# "su -" is the service su-l. Debian 12's and 13's include the file of su; sid's has rules of its own, and whoever puts
# the line into su alone lets "su -" in by the password.
grep -q 'include.*su$' /etc/pam.d/su-l || cp /usr/share/doc/fidokey/examples/su-l /etc/pam.d/su-l
cp /usr/share/doc/fidokey/examples/login /etc/pam.d/login

# register NAME USER: the key of that name becomes a key of the user's.
register() {
    plug "$1"
    run fidokey enroll --user "$2" --name "$1"
    expect_status 0
    pull "$1"
}

expect_root() {
    expect_status 0
    expect_output 'uid=0(root)'
}

expect_denied() {
    expect_failure
    expect_no_output_of 'uid=0'
    expect_between 0 "$bound"
}

expect_alice() {
    expect_output 'uid=1000(alice)'
}
