# shellcheck shell=bash disable=SC2154
# The emulated key is honest: libfido2's tools and pam-u2f, which know nothing of us, are content with it.

challenge=$(printf '%032d' 1 | base64)

# libfido2 by FIDO2, then by U2F (-u): registration, verification, assertion, verification.
libfido2_round_trip() {
    local directory
    directory=$(mktemp -d)
    printf '%s\n' "$challenge" rig.example alice "$(printf 1000 | base64)" >"$directory/request"
    run fido2-cred -M "$@" -i "$directory/request" -o "$directory/credential" "$(node blue)"
    expect_status 0
    run fido2-cred -V -i "$directory/credential" -o "$directory/verified" es256
    expect_status 0
    expect_holds grep -q 'BEGIN PUBLIC KEY' "$directory/verified"
    {
        printf '%s\n' "$challenge" rig.example
        head -n 1 "$directory/verified"
    } >"$directory/question"
    tail -n +2 "$directory/verified" >"$directory/public"
    run fido2-assert -G "$@" -i "$directory/question" -o "$directory/assertion" "$(node blue)"
    expect_status 0
    run fido2-assert -V -i "$directory/assertion" "$directory/public" es256
    expect_status 0
    # The same assertion for another challenge must not verify: the judge is awake.
    sed "1s/.*/$(printf '%032d' 2 | base64 | sed 's#/#\\/#g')/" "$directory/assertion" >"$directory/forged"
    run fido2-assert -V -i "$directory/forged" "$directory/public" es256
    expect_failure
    expect_output fido_assert_verify
}

given_the_kernel_then_udev_knows_the_key_as_a_security_token() {
    plug blue
    run udevadm info --query=property --name="$(node blue)"
    expect_output ID_FIDO_TOKEN=1
}

given_the_key_then_libfido2_lists_it() {
    plug blue
    run fido2-token -L
    expect_output "$(node blue): vendor=0x1915, product=0x521f"
}

given_the_key_then_libfido2_reads_its_properties() {
    plug blue
    run fido2-token -I "$(node blue)"
    expect_status 0
    expect_output U2F_V2
    expect_output FIDO_2_1
}

given_a_finger_then_libfido2_registers_and_signs_in() {
    plug blue
    libfido2_round_trip
}

given_a_slow_finger_then_libfido2_registers_and_signs_in() {
    plug blue after:700
    libfido2_round_trip
    run key blue transcript
    expect_count 2 touch
}

given_u2f_then_libfido2_registers_and_signs_in() {
    plug blue
    libfido2_round_trip -u
    run key blue transcript
    expect_count 2 touch
    expect_holds grep -q 'command sign' <<<"$output"
    expect_count 0 'command makeCredential'
}

given_an_enrolled_key_then_pam_u2f_lets_alice_in() {
    cat >/etc/pam.d/rig-u2f <<'PAM'
auth    required pam_u2f.so authfile=/etc/u2f_keys origin=pam://rig appid=pam://rig cue
account required pam_permit.so
PAM
    plug blue
    run pamu2fcfg -u alice -o pam://rig -i pam://rig
    expect_status 0
    printf '%s\n' "$output" >/etc/u2f_keys
    key blue transcript >/dev/null
    run pamtester rig-u2f alice authenticate
    expect_status 0
    expect_output 'successfully authenticated'
    run key blue transcript
    expect_count 1 touch
    # What ours is measured against: INIT, getInfo, and the assertion twice, first without a touch. pam-u2f 1.4
    # (Debian sid) asks getInfo before each of the two.
    case $(dpkg-query --show --showformat='${Version}' libpam-u2f) in
        1.1.*) expect_count 4 command ;;
        *) expect_count 5 command ;;
    esac
    expect_count 1 'command INIT'
    expect_count 2 'command getAssertion'
}

given_a_foreign_key_then_pam_u2f_denies() {
    plug red
    run pamtester rig-u2f alice authenticate
    expect_failure
    expect_output 'Authentication failure'
}

given_no_key_then_pam_u2f_denies() {
    run pamtester rig-u2f alice authenticate
    expect_failure
    expect_output 'Authentication failure'
}

given_a_key_that_was_pulled_and_plugged_then_it_is_the_same_key() {
    plug blue
    pull blue
    expect_holds test ! -e /dev/hidraw0
    plug blue
    run pamtester rig-u2f alice authenticate
    expect_status 0
}
