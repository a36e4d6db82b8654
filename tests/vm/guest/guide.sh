# shellcheck shell=bash disable=SC2154
# GUIDE.md and README.md: every command that they show is run as it stands there, or said with what runs it instead. Only where
# systemd is, for `--try`. A command that is new in either wants a line here; tests/ring1/documents.rs says so before.

documents=/usr/share/doc/fidokey
stack=/etc/pam.d/sudo
cp -a /etc/pam.d /run/pam.d-before
usermod --password "$(perl -e 'print crypt("secret", q($5$rounds=1000$rig$))')" root
# As the package does.
systemctl enable fidokey-revert-boot.service 2>/dev/null

# As if all of this came from a login of alice, whom `fidokey enable` takes then.
alice=$(id -u alice)
echo "$alice" >/proc/self/loginuid

declare -A met=()

# guided USER COMMAND ANSWER...: runs it on a terminal, with something in the place of what the text leaves open.
guided() {
    local user=$1 command=$2
    shift 2
    met[$command]=1
    command=${command//SERVICE…/sudo}
    command=${command//SERVICE/sudo}
    command=${command//NAME/Green}
    forget_passwords
    case $command in sudo\ *) set -- 'password for alice: ' 'echo secret' "$@" ;; esac
    type_at "$user" "$command" "$@"
}

# named COMMAND: the text speaks of the verb and does not run it. There is one of that name.
named() {
    met[$1]=1
    run bash -c "${1% SERVICE} --help"
    expect_status 0
}

# elsewhere COMMAND WHERE: nothing for this machine.
elsewhere() {
    met[$1]=1
}

unchanged() {
    expect_holds diff -r /run/pam.d-before /etc/pam.d
}

given_a_fresh_machine_then_two_keys_are_registered() {
    plug blue
    guided alice 'sudo fidokey enroll --user alice --name Blue' 'Register the second key now?' 'echo n'
    expect_status 0
    pull blue
    plug green
    guided alice 'sudo fidokey enroll --user alice --name "Blue key"'
    expect_status 0
    type_at root 'fidokey rename --user alice "Blue key" Green'
    expect_status 0
    guided alice 'fidokey list --user alice'
    expect_status 0
    expect_output 'Blue'
    expect_output 'Green'
}

given_two_keys_then_the_doctor_finds_nothing_bad() {
    guided alice 'sudo fidokey doctor'
    expect_status 0
    guided root 'fidokey doctor'
    expect_status 0
}

given_sudo_is_enabled_for_a_time_then_a_login_confirms_it() {
    local left=30
    plug blue
    guided alice 'sudo fidokey enable sudo --try 5m' 'Password: ' 'echo secret'
    expect_status 0
    guided alice 'sudo -k; sudo id'
    expect_status 0
    expect_output 'Touch your security key'
    expect_output 'uid=0(root)'
    while [ -e /var/lib/fidokey-stacks/pending.toml ] && [ "$left" -gt 0 ]; do
        sleep 1
        left=$((left - 1))
    done
    expect_holds grep -q pam_fidokey.so $stack
    expect_holds test ! -e /var/lib/fidokey-stacks/pending.toml
}

given_it_is_enabled_then_its_pair_asks_as_well_and_su_does_not() {
    plug blue
    guided alice 'sudo -i' '# ' 'echo "echo in-as-\$(id -un); exit"'
    expect_output 'Touch your security key'
    expect_output 'in-as-root'
    guided alice 'su -' 'Password: ' 'echo secret' '# ' 'echo "echo in-as-\$(id -un); exit"'
    expect_no_output_of 'Touch your security key'
    expect_output 'in-as-root'
}

given_sshd_then_it_is_not_enabled_while_remote_is_deny() {
    guided root 'fidokey enable sshd'
    expect_status 1
    expect_holds cmp /run/pam.d-before/sshd /etc/pam.d/sshd
}

given_it_is_disabled_then_the_stacks_are_what_they_were() {
    plug blue
    guided alice 'sudo fidokey disable sudo'
    expect_status 0
    unchanged
}

given_all_services_at_once_then_they_ask_for_the_key() {
    plug blue
    guided root 'pam-auth-update --enable fidokey'
    expect_status 0
    sudo_id alice
    expect_status 0
    expect_output 'Touch your security key'
    run pam-auth-update --disable fidokey
    expect_status 0
    sudo_id alice
    expect_no_output_of 'Touch your security key'
    rm -rf /etc/pam.d
    cp -a /run/pam.d-before /etc/pam.d
}

given_every_key_is_lost_then_the_rescue_shell_disables_it() {
    plug blue
    type_at root 'fidokey enable sudo --user alice' 'Password: ' 'echo secret'
    expect_status 0
    pull blue
    type_at root 'sulogin' 'maintenance' 'echo secret' '# ' 'echo "fidokey disable sudo; exit"'
    expect_output 'Disabled sudo'
    unchanged
    # As it stands in the guide, where there is nothing left to do.
    guided root 'fidokey disable SERVICE…'
    expect_status 0
    unchanged
}

given_another_system_then_the_one_at_mnt_is_mended() {
    mkdir -p /mnt/etc /mnt/var/lib/fidokey
    chmod 700 /mnt/var/lib/fidokey
    cp -a /etc/pam.d /mnt/etc/pam.d
    printf 'auth required pam_fidokey.so\n' >>/mnt/etc/pam.d/sudo
    guided root 'fidokey disable --root /mnt SERVICE…'
    expect_status 0
    expect_holds diff -r /run/pam.d-before /mnt/etc/pam.d
    unchanged
    rm -r /mnt/etc /mnt/var
}

given_lost_keys_then_they_are_removed() {
    guided alice 'sudo fidokey remove --user alice NAME'
    expect_status 0
    guided alice 'sudo fidokey reset --force alice'
    expect_status 0
    guided alice 'fidokey list --user alice'
    expect_status 1
}

given_a_verb_that_is_named_then_there_is_one() {
    named 'fidokey enable'
    named 'fidokey enable SERVICE'
    named 'fidokey disable'
    named 'fidokey enroll'
    named 'fidokey list'
    named 'fidokey test'
    named 'fidokey import'
    named 'fidokey import pam-u2f'
    named 'fidokey import ssh'
    named 'fidokey rename'
    named 'fidokey key'
    named 'fidokey status'
}

given_all_of_them_then_none_is_left() {
    local command
    elsewhere 'make build && sha256sum target/release/libpam_fidokey.so target/release/fidokey' 'make test builds it'
    elsewhere 'make reproducible' 'takes two builds, and the source'
    elsewhere 'make demo' 'is a machine of its own'
    elsewhere 'make test' 'is what this is a part of'
    elsewhere 'make setup' 'is the first step of make test'
    elsewhere 'make deb && sudo apt install ./target/packages/libpam-fidokey_*.deb' 'scenario lifecycle, with dpkg'
    elsewhere 'make install' 'is what is laid over this machine'
    elsewhere 'make uninstall' 'needs the source; tests/install.sh runs it'
    elsewhere 'fidokey key pin set' 'scenario keys'
    elsewhere 'sudo fidokey import pam-u2f --service sudo --dry-run /etc/u2f_mappings' 'scenario import, as it stands in the guide'
    elsewhere 'sudo fidokey import pam-u2f --service sudo /etc/u2f_mappings' 'scenario import, as it stands in the guide'
    elsewhere 'sudo fidokey test --user alice -- mode=second-factor' 'scenario import, as it stands in the guide'
    elsewhere 'sudo cp -p /etc/pam.d/sudo /root/sudo.pam-u2f' 'scenario import, as it stands in the guide'
    elsewhere 'sudo fidokey enable sudo' 'scenario import, as it stands in the guide'
    elsewhere "sudo sed -i '/pam_u2f\.so/d' /etc/pam.d/sudo" 'scenario import, as it stands in the guide'
    elsewhere 'sudo cp -p /root/sudo.pam-u2f /etc/pam.d/sudo' 'scenario import, as it stands in the guide'
    elsewhere 'sudo fidokey import ssh --user alice ~alice/.ssh/id_ecdsa_sk' 'scenario import, with more kinds of keys'
    elsewhere 'fidokey rename KEY NAME' 'scenario selfservice, by the user'
    elsewhere 'fidokey remove KEY' 'scenario selfservice, by the user'
    elsewhere 'pkexec fidokey enroll --user bob' 'takes an administrator; scenario selfservice-attacked'
    while IFS= read -r command; do
        [ -n "${met[$command]-}" ] || complain "nobody has run: $command"
    done < <(for command in GUIDE README; do awk -f /payload/guest/commands.awk $documents/$command.md; done)
}
