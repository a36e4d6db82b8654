# shellcheck shell=bash disable=SC2016,SC2154
# Several keys in the machine at once, real sudo between them.

. /payload/guest/product.sh
rm -f /etc/fidokey/users/*.toml
find /var/lib/fidokey -mindepth 1 -delete

register blue alice
register red alice

# D27: the second one is touched, and the first stops blinking at once.
given_two_keys_of_alice_then_the_touched_one_lets_in_and_the_other_stops_blinking() {
    plug blue never
    plug red after:1500
    sudo_id alice "$cue" 'key blue await-asking; key red await-asking'
    expect_root
    expect_count 1 "$cue"
    run key blue transcript
    expect_count 0 touch
    expect_count 1 'command CANCEL'
    run key red transcript
    expect_count 1 touch
    expect_count 0 'command CANCEL'
    # Free for anybody.
    run fido2-token -I "$(node blue)"
    expect_status 0
    # And the other way around.
    key blue touch at-once
    key red touch never
    sudo_id alice
    expect_root
    run key red transcript
    expect_count 0 touch
}

# D14: the cue stands there, and the key that is touched comes after it.
given_a_key_plugged_in_after_the_cue_then_it_lets_in() {
    plug blue never
    plug red
    key red unplug
    sudo_id alice "$cue" 'key blue await-asking; key red plug >/dev/null'
    expect_root
    run key blue transcript
    expect_count 1 'command CANCEL'
}

# D12, D13: one of two is pulled out while both blink.
given_one_of_two_keys_pulled_out_then_the_other_lets_in() {
    plug blue never
    plug red after:2000
    sudo_id alice "$cue" 'key blue await-asking; key blue unplug'
    expect_root
}

# A foreign key is asked once, silently, beside the right one.
given_a_foreign_key_beside_two_of_alice_then_it_does_not_blink() {
    plug blue never
    plug red after:500
    plug strange
    sudo_id alice
    expect_root
    run key strange transcript
    expect_count 0 touch
    expect_count 0 'command CANCEL'
}

# Two of our logins and a program that knows nothing of us, all at one key: each is served in its turn.
given_two_logins_and_libfido2_at_one_key_then_each_is_served() {
    local directory processes=() process status_of
    plug blue after:300
    directory=$(mktemp -d)
    for process in 1 2; do
        (pamtester rig-fidokey alice authenticate >"$directory/$process" 2>&1; echo "$?" >"$directory/$process.status") &
        processes+=($!)
    done
    (
        for _ in 1 2 3; do
            fido2-token -I "$(node blue)" >/dev/null 2>&1 && break
        done
        echo "$?" >"$directory/3.status"
    ) &
    processes+=($!)
    wait "${processes[@]}"
    for process in 1 2 3; do
        status_of=$(cat "$directory/$process.status")
        [ "$status_of" = 0 ] || complain "process $process ended with $status_of: $(cat "$directory/$process" 2>&1)"
    done
}

# Registration: the one that is touched is meant.
given_two_new_keys_then_the_touched_one_is_registered() {
    plug first never
    plug second after:400
    run fidokey enroll --user bob --name 'The touched one'
    expect_status 0
    run key second transcript
    expect_count 2 touch
    run key first transcript
    expect_count 0 touch
    expect_count 1 'command CANCEL'
    rm /etc/fidokey/users/1001.toml
}
