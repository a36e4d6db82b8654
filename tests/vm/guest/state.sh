# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# What a login keeps: the counters of the keys in /var/lib/fidokey, which nobody but root sees, and which stop
# no login by being missing, old, unsafe or impossible to write.

. /payload/guest/product.sh

directory=/var/lib/fidokey
state=$directory/1000.toml
record=/etc/fidokey/users/1000.toml
rm -f /etc/fidokey/users/*.toml
find $directory -mindepth 1 -delete

cat >>/etc/fidokey/config.toml <<'TOML'

[service.rig-fidokey]
wait_for_key = "0s"

[service.rig-warn]
wait_for_key = "0s"
counter = "warn"
TOML
cp /etc/pam.d/rig-fidokey /etc/pam.d/rig-warn

register blue alice

# ask SERVICE USER
ask() {
    run pamtester "$1" "$2" authenticate
}

granted() {
    ask rig-fidokey alice
    expect_status 0
}

# The counter of the only credential, or nothing.
counter() {
    sed -n 's/^counter = //p' "$state"
}

set_counter() {
    sed -i "s/^counter = .*/counter = $1/" "$state"
}

expect_counter_above() {
    [ "$(counter)" -gt "$1" ] 2>/dev/null || complain "expected a counter above $1: $(cat "$state" 2>&1)"
}

# S6, S2.
given_no_state_then_a_login_makes_it_for_root_alone() {
    rm -f "$state"
    plug blue
    granted
    expect_logged 1 'result=granted .*state=new'
    run stat -c '%U %G %a' $directory "$state"
    expect_holds test "$output" = $'root root 700\nroot root 600'
    expect_counter_above 0
    expect_holds test "$(echo $(ls -A $directory))" = '.1000.lock 1000.toml'
    granted
    expect_logged 1 'state='
}

# S6.
given_a_broken_state_then_a_login_lets_in_and_makes_it_anew() {
    echo nonsense >"$state"
    plug blue
    granted
    expect_logged 1 'result=granted .*state=malformed'
    expect_counter_above 0
}

# S9: and what she cannot touch is written when she uses sudo.
given_the_user_then_the_state_is_out_of_reach_and_sudo_writes_it() {
    local before command
    plug blue
    granted
    for command in "ls $directory" "cat $state" "rm -f $state" "mv $state /tmp/state" "touch $state" \
        "cp /etc/passwd $state" "rmdir $directory" "mv $directory /var/lib/elsewhere" "flock -n $directory true"; do
        # shellcheck disable=SC2086 # words
        run as alice $command
        expect_failure
        expect_holds test -s "$state"
    done
    before=$(counter)
    sudo_id alice
    expect_root
    expect_counter_above "$before"
    expect_holds grep -q '^last_service = "sudo"' "$state"
}

# S10.
given_a_state_from_a_backup_then_the_login_works_and_the_counter_is_written() {
    local before
    plug blue
    granted
    cp -p "$state" /run/backup
    granted
    before=$(counter)
    cp -p /run/backup "$state"
    granted
    expect_counter_above "$before"
    expect_logged 3 'result=granted '
    expect_logged 0 'state=|counter='
}

# S1, S3: the key says less than it did before, or the same.
given_a_counter_that_went_back_then_it_is_denied_or_told() {
    plug blue
    granted
    set_counter 4000000000
    ask rig-fidokey alice
    expect_failure
    expect_logged 1 'result=denied code=7 reason=counter_regression .*counter=went_back'
    expect_holds grep -q 'alert.*reason=counter_regression' <(tail -n 3 /run/syslog)
    expect_holds test "$(counter)" = 4000000000
    ask rig-warn alice
    expect_status 0
    expect_logged 1 'result=granted .*counter=went_back'
    rm "$state"
}

# S7.
given_a_state_that_cannot_be_written_then_the_login_works() {
    plug blue
    granted
    mount --bind $directory $directory
    mount -o remount,ro,bind $directory
    log_from_here
    granted
    expect_logged 1 'result=granted .*state=unwritten'
    umount $directory
    # Full: there is not even room for the new file.
    mount -t tmpfs -o size=4k,mode=700 tmpfs $directory
    cat /dev/zero >$directory/filler 2>/dev/null
    log_from_here
    granted
    expect_logged 1 'result=granted .*state=unwritten'
    expect_holds test ! -e "$state" -a ! -e $directory/.1000.new
    umount $directory
    mv $directory /var/lib/elsewhere
    log_from_here
    granted
    expect_logged 1 'result=granted .*state=unwritten'
    mv /var/lib/elsewhere $directory
    # X8: the kernel's answer to a file that may have no size is a signal, which kills.
    log_from_here
    run bash -c 'ulimit -f 0; exec pamtester rig-fidokey alice authenticate'
    expect_status 0
    expect_logged 1 'result=granted .*state=limited'
}

# S8: the counter in there would deny.
given_a_state_that_others_could_write_then_it_is_ignored_and_told() {
    local oddity mend cases=(
        'chmod 755 $directory' 'chmod 700 $directory'
        'chown bob $directory' 'chown root $directory'
        'chmod 644 $state' 'chmod 600 $state'
        'chown bob $state' 'chown root $state'
        'ln $state /var/lib/second' 'rm /var/lib/second'
        'mv $state /var/lib/state; ln -s ../state $state' 'rm $state; mv /var/lib/state $state'
    )
    plug blue
    rm -f "$state"
    granted
    set_counter 4000000000
    set -- "${cases[@]}"
    while [ $# -gt 0 ]; do
        oddity=$1 mend=$2
        shift 2
        eval "$oddity"
        log_from_here
        granted
        last=$oddity
        expect_logged 1 'result=granted .*state=unsafe'
        expect_holds grep -q 'alert.*state=unsafe' <(tail -n 2 /run/syslog)
        eval "$mend"
        expect_holds test "$(counter)" = 4000000000
    done
    ask rig-fidokey alice
    expect_failure
    rm "$state"
}

# S11, F15.
given_a_new_account_with_an_old_number_then_it_gets_neither_keys_nor_state() {
    plug blue
    granted
    set_counter 4000000000
    cp -p /etc/passwd /run/passwd
    cp -p "$record" /run/record
    sed -i 's/^alice:/carol:/' /etc/passwd
    ask rig-fidokey carol
    expect_failure
    expect_logged 1 'result=denied code=7 reason=record user=carol uid=1000 '
    # Even if the very same credential were hers: what the old one's counter was is not her affair.
    sed -i 's/^user = "alice"/user = "carol"/' "$record"
    ask rig-fidokey carol
    expect_status 0
    expect_logged 1 'result=granted .*user=carol .*state=other_account'
    # And as it happens: her own registration.
    rm "$record" "$state"
    run fidokey enroll --user carol --name hers
    expect_status 0
    ask rig-fidokey carol
    expect_status 0
    expect_holds grep -q '^user = "carol"' "$state"
    cp -p /run/passwd /etc/passwd
    cp -p /run/record "$record"
    rm "$state"
}

# Nothing is left behind.
given_a_login_then_only_the_state_itself_is_there_afterwards() {
    plug blue
    granted
    granted
    expect_holds test "$(echo $(ls -A $directory))" = '.1000.lock 1000.toml'
}

# S4, Q4: by the kernel's own locks. Two hundred at once are ring 2's.
given_many_logins_at_once_then_no_counter_is_taken_for_a_copy() {
    local wave process processes
    plug blue
    granted
    log_from_here
    for wave in {1..3}; do
        processes=()
        for process in {1..10}; do
            timeout 60 pamtester rig-fidokey alice authenticate >/dev/null 2>&1 &
            processes+=($!)
        done
        wait "${processes[@]}"
    done
    expect_logged 30 ''
    expect_logged 0 'counter|state='
    expect_logged "$(logged 'reason=key_busy' | wc -l)" 'result=denied'
    expect_holds test "$(logged result=granted | wc -l)" -ge 15
    log_from_here
    granted
    expect_logged 1 'result=granted '
}
