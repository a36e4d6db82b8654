# shellcheck shell=bash disable=SC2154
# `fidokey import pam-u2f` where pam_u2f is told what it asks for by a file of its own, as since 1.4.0: the real one goes by it,
# and so does the import. BAR I11.

cp -p /etc/pam.d/sudo /run/sudo-as-installed
. /payload/guest/product.sh
rm -f /etc/fidokey/users/*.toml
cp -p /etc/pam.d/sudo /run/sudo-of-ours

sudo_by_pam_u2f() {
    sed '/^@include common-auth/a auth required pam_u2f.so' /run/sudo-as-installed >/etc/pam.d/sudo
}

sudo_by_ours() {
    cp -p /run/sudo-of-ours /etc/pam.d/sudo
}

given_a_file_that_wants_the_pin_then_both_ask_for_it() {
    plug steel
    key steel pin 1234 >/run/key-steel.pin
    udevadm settle --timeout=10
    # Without an option of its own for the PIN.
    run pamu2fcfg -u alice -o pam://file -i pam://file
    expect_status 0
    printf '%s\n' "$output" >/etc/u2f_mappings
    printf '%s\n' authfile=/etc/u2f_mappings 'origin = pam://file' appid=pam://file 'pinverification=1 # of all' \
        >/etc/security/pam_u2f.conf
    sudo_by_pam_u2f
    sudo_id alice 'PIN' 'echo 1234'
    expect_root
    sudo_by_ours
    run fidokey import pam-u2f /etc/u2f_mappings
    expect_status 0
    expect_output 'Registered "pam-u2f 1" for alice'
    expect_output 'verification required'
    expect_holds grep -q '^rp_id = "pam://file"' /etc/fidokey/users/1000.toml
    sudo_id alice 'Security key PIN: ' 'echo 1234'
    expect_root
    rm /etc/fidokey/users/*.toml
}

given_a_line_that_says_otherwise_then_it_goes_before_the_file() {
    plug steel
    sudo_by_pam_u2f
    sed -i 's/pam_u2f.so/& pinverification=0/' /etc/pam.d/sudo
    sudo_id alice
    expect_root
    run fidokey import pam-u2f --service sudo /etc/u2f_mappings
    expect_status 0
    sudo_by_ours
    sudo_id alice
    expect_root
    rm /etc/fidokey/users/*.toml
}

given_a_file_that_cannot_be_read_then_the_real_one_denies_and_nothing_is_imported() {
    plug steel
    rm /etc/security/pam_u2f.conf
    sudo_by_pam_u2f
    sed -i 's|pam_u2f.so|& authfile=/etc/u2f_mappings origin=pam://file appid=pam://file|' /etc/pam.d/sudo
    sudo_id alice
    expect_root
    mkdir /etc/security/pam_u2f.conf
    sudo_id alice
    expect_denied
    run fidokey import pam-u2f /etc/u2f_mappings
    expect_status 1
    expect_output '/etc/security/pam_u2f.conf, which cannot be read'
    expect_output 'Say --origin, --appid and --verification yourself.'
    expect_holds test ! -e /etc/fidokey/users/1000.toml
    run fidokey import pam-u2f --origin pam://file --appid pam://file --verification none /etc/u2f_mappings
    expect_status 0
    sudo_by_ours
    sudo_id alice
    expect_root
    rmdir /etc/security/pam_u2f.conf
    rm /etc/fidokey/users/*.toml
}

# about 30 s
