# shellcheck shell=bash disable=SC2016,SC2154
# Both generations and both algorithms: each key is registered by the command and used by sudo, su, login and
# pamtester. The keys are alice's; each is plugged in alone.

. /payload/guest/product.sh
rm -f /etc/fidokey/users/*.toml

# used_everywhere: the key that is plugged in lets alice in by every host.
used_everywhere() {
    sudo_id alice
    expect_root
    expect_output "$cue"
    su_to_alice ''
    expect_alice
    expect_output 'Touch your security key (su).'
    su_to_alice -
    expect_alice
    expect_output 'Touch your security key (su-l).'
    login_alice '$ ' 'echo "id; exit"'
    expect_alice
    expect_output 'Touch your security key (login).'
    run pamtester rig-fidokey alice authenticate
    expect_status 0
}

given_an_es256_key_then_it_is_registered_and_used_everywhere() {
    plug es256
    run fidokey enroll --user alice --name 'ES256 key' --algorithm es256
    expect_status 0
    run fidokey list --user alice
    expect_output 'ES256 key  FIDO2'
    used_everywhere
}

given_an_eddsa_key_then_it_is_registered_and_used_everywhere() {
    plug eddsa
    run fidokey enroll --user alice --name 'EdDSA key' --algorithm eddsa
    expect_status 0
    run fidokey list --user alice
    expect_output 'EdDSA key  FIDO2'
    run fidokey list --json --user alice
    expect_output '"algorithm": "eddsa"'
    used_everywhere
}

given_a_first_generation_key_then_it_is_registered_and_used_everywhere() {
    plug u2f at-once 1
    run fidokey enroll --user alice --name 'U2F key'
    expect_status 0
    run fidokey list --user alice
    expect_output 'U2F key    U2F'
    used_everywhere
}

# The command of a login by a key with the only credential of its generation: INIT, and attempts to sign.
given_a_first_generation_key_then_it_hears_only_attempts_to_sign() {
    plug u2f after:700 1
    sudo_id alice
    expect_root
    run key u2f transcript
    expect_count 1 'command INIT'
    expect_count 1 touch
    expect_count 1 'sw=9000'
    expect_count 0 'command get'
    [[ $(tail -n 1 <<<"$output") == *"command sign"*"sw=9000" ]] ||
        complain "the key was spoken to after the touch"
}

given_a_first_generation_key_twice_then_it_is_registered_once() {
    plug u2f at-once 1
    run fidokey enroll --user alice --name 'U2F again'
    expect_status 1
    expect_output 'This key is already registered for the account.'
}

given_a_foreign_first_generation_key_then_sudo_is_denied() {
    plug strange at-once 1
    sudo_id alice
    expect_denied
    expect_output 'This key is not registered for alice.'
    run key strange transcript
    expect_count 0 touch
}

given_a_first_generation_key_that_nobody_touches_then_sudo_is_denied() {
    plug u2f never 1
    sudo_id alice
    expect_denied
    expect_output 'Timed out waiting for the security key.'
    key u2f touch at-once
    sudo_id alice
    expect_root
}
