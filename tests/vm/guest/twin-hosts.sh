# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# fidokey and pam-u2f in the same situation: options, accounts, the environment, the log.
#
# Each scenario of policy.sh has its row here or in twin-waits.sh, but for these, which have no counterpart: names that
# would break the log (pam-u2f writes no line for a decision), two dozen random environments and clocks (those that
# pam-u2f depends on are rows), limits at which libpam itself ends, a number zero of another name (as any other number).

. /payload/guest/twins.sh

# --- options ---------------------------------------------------------------------------------------------------

# K1, K2.
given_a_misspelt_option_then_login() {
    enrolled
    plug blue
    lines 'unenroled=skip timeout=10' 'nouserokk timeout=10'
    log_in
    compare option-unknown
    lines
    mkdir -p /etc/security
    printf 'schema = 1\n\n[default]\ntimeout = 10\n' >/etc/fidokey/config.toml
    echo 'timeout = 10' >/etc/security/pam_u2f.conf
    log_in
    compare config-unknown
    printf 'schema = 1\n' >/etc/fidokey/config.toml
    echo 'cue' >/etc/security/pam_u2f.conf
    chmod 666 /etc/fidokey/config.toml /etc/security/pam_u2f.conf
    log_in
    compare config-writable
    rm /etc/fidokey/config.toml /etc/security/pam_u2f.conf
}

# K1, K2, K4.
given_a_misspelt_demand_for_the_pin_then_login() {
    enrolled
    plug blue
    lines 'verificaton=required' 'pinverificaton=1'
    log_in
    compare option-pin
    enrolled
    sed -i 's/^verification = .*/verification = "requird"/' "$ours_file"
    sed -i 's/+presence/+presence+pni/' "$theirs_file"
    expect_holds grep -q pni "$theirs_file"
    log_in
    compare attribute-pin
}

# K5, C5.
given_an_option_that_weakens_then_login() {
    enrolled
    lines alwaysok alwaysok
    log_in
    compare always-ok
    enrolled
    plug blue never
    sed -i 's/+presence//' "$theirs_file"
    lines userpresence=0 userpresence=0
    log_in touched
    compare no-presence
}

# --- accounts and hosts ------------------------------------------------------------------------------------------

# U4, U5, U9, U12.
given_another_name_of_the_account_then_login() {
    enrolled
    cp -p /etc/passwd /run/passwd
    echo 'Alice:x:1000:1000::/home/alice:/bin/bash' >>/etc/passwd
    lines '' nouserok
    who=Alice
    log_in
    compare second-name
    plug blue
    log_in touched
    compare second-name-key
    cp -p /run/passwd /etc/passwd
    # A long description of the account, as directories have them.
    usermod --comment "$(printf 'x%.0s' {1..1500})" alice
    who=alice
    log_in
    compare long-entry
    cp -p /run/passwd /etc/passwd
}

# U7.
given_a_remote_session_then_login() {
    enrolled
    plug blue
    options=(-I rhost=10.0.0.1)
    log_in touched
    compare remote
}

# U10, U11, F9. The host runs as the user, as screen lockers do.
given_a_host_of_the_users_then_login() {
    enrolled
    plug blue
    through=(setpriv --reuid=alice --regid=alice --init-groups env HOME=/home/alice)
    log_in
    compare user-no-access
    setfacl -m u:alice:rw "$(node blue)"
    log_in
    compare user-access
    lines '' nouserok
    both_files 'chmod 600 "$file"'
    log_in
    compare user-unreadable
}

# Where pam-u2f reads the user's own file, which is its default.
given_the_file_in_the_users_hands_then_login() {
    local home=/home/alice/.config/Yubico default=$theirs_base
    enrolled
    as alice mkdir -p "$home"
    install -o alice -g alice "$theirs_file" "$home/u2f_keys"
    theirs_base="origin=$rp appid=$rp cue"
    lines '' nouserok
    expect_failure_of_alice rm -f "$ours_file"
    as alice rm "$home/u2f_keys"
    log_in
    compare user-removes
    # U1, INV-8: another directory by a variable, with another key's credential.
    install -o alice -g alice "$theirs_file" "$home/u2f_keys"
    mkdir -p /tmp/other/Yubico
    { printf alice; cat "$both/others"; } >/tmp/other/Yubico/u2f_keys
    chown -R alice:alice /tmp/other
    lines
    plug red
    through=(env XDG_CONFIG_HOME=/tmp/other)
    log_in
    compare config-home
    theirs_base=$default
    rm -rf /tmp/other "$home"
}

expect_failure_of_alice() {
    if as alice "$@" 2>/dev/null; then complain "alice can: $*"; fi
}

# K8, INV-8.
given_another_host_name_then_login() {
    local default=$theirs_base
    enrolled
    plug blue
    run pamu2fcfg -u alice
    expect_status 0
    printf '%s\n' "${output##*$'\n'}" >"$theirs_file"
    rm "$ours_file"
    run fidokey enroll --user alice --name blue
    expect_status 0
    theirs_base="authfile=$theirs_file cue"
    lines
    log_in
    compare host-name-same
    hostname elsewhere
    log_in
    compare host-name
    hostname rig
    theirs_base=$default
}

# INV-6, U1.
given_a_variable_of_libfido2_then_standard_error() {
    enrolled
    plug blue
    through=(env FIDO_DEBUG=1)
    log_in told
    compare fido-debug
}

# U13, U14, X6, X8.
given_an_odd_process_then_login() {
    enrolled
    plug blue
    through=(bash -c 'exec <&- >&- 2>&-; exec "$@"' -)
    log_in
    compare streams-closed
    # What pamtester writes must not be a file then.
    through=(bash -c 'exec > >(cat) 2> >(cat >&2); ulimit -f 0; exec "$@"' -)
    log_in
    compare file-size-zero
    mkdir -p /run/bare
    mount --bind / /run/bare
    mount -t tmpfs -o ro tmpfs /run/bare/dev
    through=(chroot /run/bare)
    log_in
    compare no-proc
    umount /run/bare/dev /run/bare
}

# G1, G6.
given_a_login_then_its_line_in_the_log() {
    enrolled
    plug blue
    grep -c 'auth):' /run/syslog >"$both/noted"
    log_in noted
    compare log-granted
    pull blue
    log_in noted
    compare log-denied
    plug blue
    mv /dev/log /dev/log.away
    log_in
    compare log-missing
    mv /dev/log.away /dev/log
}

# Whether a module has written a line since the last time.
noted() {
    local lines
    # The program that writes them may lag behind.
    sleep 0.3
    lines=$(grep -c 'auth):' /run/syslog)
    if [ "$lines" -gt "$(<"$both/noted")" ]; then echo ', a line in the log'; else echo ', no line in the log'; fi
    echo "$lines" >"$both/noted"
}
