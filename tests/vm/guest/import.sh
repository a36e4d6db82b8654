# shellcheck shell=bash disable=SC2154
# `fidokey import`: keys that the real pamu2fcfg and ssh-keygen have registered let in by ours, and a machine goes over from
# pam-u2f by the very commands of the guide. BAR I11.

# As Debian has it.
cp -p /etc/pam.d/sudo /run/sudo-as-installed
. /payload/guest/product.sh
rm -f /etc/fidokey/users/*.toml

# The commands of the guide's section.
section='## Coming from pam-u2f'
guide() {
    awk -v section="$section" '$0 == section { on = 1; next } /^## / { on = 0 } on && /^    / { sub(/^    /, ""); print }' \
        /usr/share/doc/fidokey/GUIDE.md
}

# ssh_key NAME USER TYPE [ARGUMENT...]: a key pair of ssh-keygen, made with the key that is plugged in.
ssh_key() {
    run ssh-keygen -q -N '' -C "$1" -f "/root/$1" -t "$2" "${@:3}"
    expect_status 0
}

given_no_root_then_nothing_is_imported() {
    run as alice fidokey import pam-u2f /etc/passwd
    expect_status 4
    expect_output 'Only root imports keys.'
}

# Bound to an origin that is not this machine's name.
given_keys_of_pamu2fcfg_then_they_let_in_as_they_did() {
    plug blue
    run pamu2fcfg -u alice -o pam://elsewhere -i pam://elsewhere
    expect_status 0
    printf '%s\n' "$output" >/root/mapping
    run fidokey import pam-u2f --origin pam://elsewhere --dry-run /root/mapping
    expect_status 0
    expect_output 'Would register "pam-u2f 1" for alice'
    expect_holds test ! -e /etc/fidokey/users/1000.toml
    run fidokey import pam-u2f --origin pam://elsewhere /root/mapping
    expect_status 0
    expect_output 'fido2, es256, bound to pam://elsewhere, verification none.'
    expect_output 'fidokey test --user alice'
    expect_holds grep -q 'registered=.* user=alice .*by="root, from pam-u2f"' /run/syslog
    sudo_id alice
    expect_root
    expect_output "$cue"
    # Once more: it is there, and nothing is done.
    run fidokey import pam-u2f --origin pam://elsewhere /root/mapping
    expect_status 0
    expect_output 'it is registered already, as "pam-u2f 1".'
    rm /etc/fidokey/users/*.toml
}

# The form before 1.1.0: the same credential, with the key in hexadecimal and an application for an origin.
given_a_first_generation_key_then_both_forms_let_in() {
    local mapping handle point
    plug old at-once 1
    run pamu2fcfg -n -o pam://elsewhere -i pam://elsewhere
    expect_status 0
    mapping=$output
    echo "alice$mapping" >/root/mapping
    run fidokey import pam-u2f --origin pam://elsewhere --protocol u2f /root/mapping
    expect_status 0
    expect_output 'u2f, es256, bound to pam://elsewhere'
    sudo_id alice
    expect_root
    rm /etc/fidokey/users/*.toml
    handle=$(cut -d : -f 2 <<<"$mapping" | cut -d , -f 1 | tr '+/' '-_' | tr -d '=')
    point=04$(cut -d , -f 2 <<<"$mapping" | base64 -d | od -An -tx1 | tr -d ' \n')
    echo "alice:$handle,$point" >/root/mapping
    run fidokey import pam-u2f --origin pam://other --appid pam://elsewhere /root/mapping
    expect_status 0
    expect_output 'u2f, es256, bound to pam://elsewhere'
    sudo_id alice
    expect_root
    rm /etc/fidokey/users/*.toml
}

# Whatever a login asks for otherwise.
given_an_option_for_the_pin_then_no_login_gets_by_it() {
    plug steel
    key steel pin 1234 >/run/key-steel.pin
    udevadm settle --timeout=10
    run pamu2fcfg -u bob -N -o pam://elsewhere -i pam://elsewhere
    expect_status 0
    printf '%s\n' "$output" >/root/mapping
    run fidokey import pam-u2f --origin pam://elsewhere /root/mapping
    expect_status 0
    expect_output 'verification required.'
    sudo_id bob 'Security key PIN: ' 'echo 1234'
    expect_root
    sudo_id bob 'Security key PIN: ' 'echo 4321'
    expect_denied
    rm /etc/fidokey/users/*.toml
}

# Whoever owns a file says something of themselves alone.
given_a_file_of_alices_then_it_lets_nobody_else_in() {
    plug blue
    run pamu2fcfg -n -o pam://elsewhere -i pam://elsewhere
    printf 'alice%s\nroot%s\n' "$output" "$output" >/home/alice/u2f_keys
    chown alice: /home/alice/u2f_keys
    run fidokey import pam-u2f --origin pam://elsewhere /home/alice/u2f_keys
    expect_status 1
    expect_output "line 2: root: the file is alice's, who may write anything into it."
    expect_output 'Registered "pam-u2f 1" for alice'
    expect_holds test ! -e /etc/fidokey/users/0.toml
    ln -s /home/alice/u2f_keys /root/link
    run fidokey import pam-u2f --origin pam://elsewhere /root/link
    expect_status 5
    expect_output 'it is a symbolic link.'
    rm /etc/fidokey/users/*.toml /root/link
}

# Nor does a file of root's count for more where she could have put it.
given_a_file_that_alice_could_have_put_there_then_it_lets_nobody_else_in() {
    plug blue
    run pamu2fcfg -n -o pam://elsewhere -i pam://elsewhere
    mkdir -p /root/stick /home/alice/own
    printf 'root%s\n' "$output" >/root/stick/u2f_keys
    cp /root/stick/u2f_keys /home/alice/own/u2f_keys
    cp /root/stick/u2f_keys /tmp/u2f_keys
    chown alice: /home/alice/own
    ln -s /root/stick /home/alice/link
    chown -h alice: /home/alice/link
    run fidokey import pam-u2f --origin pam://elsewhere /home/alice/link/u2f_keys
    expect_status 5
    expect_output '/home/alice/link: it is a symbolic link.'
    run fidokey import pam-u2f --origin pam://elsewhere /home/alice/own/u2f_keys
    expect_status 1
    expect_output "line 1: root: the file is alice's, who may write anything into it."
    run fidokey import pam-u2f --origin pam://elsewhere /tmp/u2f_keys
    expect_status 5
    expect_output '/tmp: others than root may put files there.'
    ln /root/stick/u2f_keys /root/stick/other
    run fidokey import pam-u2f --origin pam://elsewhere /root/stick/u2f_keys
    expect_status 5
    expect_output 'it has another name'
    expect_holds test ! -e /etc/fidokey/users/0.toml
    rm -r /root/stick /home/alice/own /home/alice/link /tmp/u2f_keys
}

given_keys_of_ssh_keygen_then_they_let_in() {
    plug blue
    ssh_key work ecdsa-sk -O application=ssh:work
    ssh_key quiet ecdsa-sk -O no-touch-required
    run fidokey import ssh --user alice /root/work.pub
    expect_status 1
    expect_output 'only that has the key handle'
    run fidokey import ssh --user alice /root/work /root/work.pub
    expect_status 0
    expect_output 'Registered "work" for alice'
    expect_output 'bound to ssh:work'
    sudo_id alice
    expect_root
    # One that ssh would not even have touched is touched here.
    run fidokey import ssh --user bob /root/quiet
    expect_status 0
    key blue transcript >/dev/null
    sudo_id bob
    expect_root
    run key blue transcript
    expect_count 1 touch
    rm /etc/fidokey/users/*.toml
}

# The emulated key calls its maker's signature, which is ECDSA, after the algorithm of the credential: libfido2 refuses that, so
# it signs for itself here.
given_an_ed25519_key_of_ssh_keygen_then_it_lets_in() {
    attestation=self plug blue
    ssh_key curve ed25519-sk
    expect_holds grep -q '^sk-ssh-ed25519@openssh.com ' /root/curve.pub
    run fidokey import ssh --user alice /root/curve
    expect_status 0
    expect_output 'Registered "curve" for alice'
    sudo_id alice
    expect_root
    expect_holds grep -q '^algorithm = "eddsa"' /etc/fidokey/users/1000.toml
    pull blue
    plug red
    sudo_id alice
    expect_failure
    rm /etc/fidokey/users/*.toml
}

given_a_resident_key_of_ssh_keygen_then_it_lets_in_and_a_verify_required_one_is_refused() {
    plug steel
    type_at root "ssh-keygen -q -N '' -C resident -f /root/resident -t ecdsa-sk -O resident" 'PIN' 'echo 1234'
    expect_status 0
    run fidokey import ssh --user alice /root/resident
    expect_status 0
    sudo_id alice
    expect_root
    ssh_key verified ecdsa-sk -O verify-required
    run fidokey import ssh --user bob /root/verified
    expect_status 1
    expect_output '/root/verified: it is a verify-required key'
    expect_holds test ! -e /etc/fidokey/users/1001.toml
    rm /etc/fidokey/users/*.toml
}

given_authorized_keys_then_what_is_missing_is_said_line_by_line() {
    {
        cat /root/work.pub
        sed 's/^/restrict /' /root/quiet.pub
        sed 's/^/verify-required /' /root/verified.pub
        cat /root/resident.pub
    } >/root/authorized_keys
    run fidokey import ssh --user alice /root/authorized_keys /root/work /root/quiet
    expect_status 1
    expect_output 'authorized_keys: line 2: its options limit it'
    expect_output 'authorized_keys: line 3: it is a verify-required key'
    expect_output 'authorized_keys: line 4: its private key file is not among those that were named'
    expect_output 'does not let it in everywhere'
    expect_count 1 Registered
    rm /etc/fidokey/users/*.toml
}

# Two people, by pam-u2f until now: alice with two keys, bob with one that wants its PIN.
given_a_machine_with_pam_u2f_then_the_commands_of_the_guide_take_it_over() {
    local alice command commands
    cp -p /run/sudo-as-installed /etc/pam.d/sudo
    sed -i '/^@include common-auth/a auth required pam_u2f.so authfile=/etc/u2f_mappings cue origin=pam://rig appid=pam://rig' \
        /etc/pam.d/sudo
    plug blue
    alice=$(pamu2fcfg -u alice -o pam://rig -i pam://rig)
    pull blue
    plug red
    alice+=$(pamu2fcfg -n -o pam://rig -i pam://rig)
    pull red
    plug brass
    key brass pin 1234 >/run/key-brass.pin
    udevadm settle --timeout=10
    printf '%s\n%s\n' "$alice" "$(pamu2fcfg -u bob -N -o pam://rig -i pam://rig)" >/etc/u2f_mappings
    pull brass
    plug blue
    sudo_id alice
    expect_root
    expect_output 'Please touch the device.'
    cp -a /etc/pam.d /root/pam.d-before
    mapfile -t commands < <(guide)
    expect_holds test "${#commands[@]}" = 8
    # Up to the way back, which are the last two.
    for command in "${commands[@]:0:6}"; do
        command=${command#sudo }
        case $command in
            # `sudo -i` has a stack of its own, in which pam_u2f was not: it is logged in by as well.
            'fidokey enable'*)
                type_at root "$command --user alice" 'Password: ' 'echo secret' \
                    $'stack of sudo-i, as alice:\r\nPassword: ' 'echo secret'
                ;;
            *) type_at root "$command" ;;
        esac
        expect_status 0
    done
    expect_holds test "$(grep -c pam_u2f /etc/pam.d/sudo)" = 0
    sudo_id alice
    expect_root
    expect_output "$cue"
    expect_no_output_of 'Please touch the device.'
    pull blue
    plug red
    sudo_id alice
    expect_root
    pull red
    plug brass
    sudo_id bob 'Security key PIN: ' 'echo 1234'
    expect_root
    expect_output "$cue"
    # Nobody's key: denied, and not by pam-u2f.
    pull brass
    sudo_id alice
    expect_denied
}

given_the_way_back_of_the_guide_then_the_stack_is_as_it_was() {
    local command commands
    mapfile -t commands < <(guide)
    for command in "${commands[@]:6}"; do
        type_at root "${command#sudo }"
        expect_status 0
    done
    expect_holds diff -r /root/pam.d-before /etc/pam.d
    plug blue
    sudo_id alice
    expect_root
    expect_output 'Please touch the device.'
}
