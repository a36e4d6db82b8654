# shellcheck shell=bash
# `fidokey key`: what is done to a key itself, by the command, its child process and a key of the kernel's. BAR E10: what
# is typed is seen by nobody, and the terminal is afterwards as it was before.

# Those of other scenarios have a PIN.
rm -f /var/keys/*

pin=271828
# Where nobody's command line has it.
printf '%s\n' "$pin" >/run/pin

# The key is out and in again; what that prints is not for the terminal.
replug() {
    key "$1" unplug >/dev/null
    sleep 1
    key "$1" plug >/dev/null
}

# Whose command line or environment has the PIN in it.
leaks() {
    grep -slaF -f /run/pin /proc/[0-9]*/cmdline /proc/[0-9]*/environ
}

# One credential that the key finds by itself, at example.com. Without a PIN on the key nobody is asked for one.
make_resident() {
    {
        head -c 32 /dev/zero | base64
        echo example.com
        echo carol
        echo -n "user $1" | base64
    } >/run/resident
    timeout 60 fido2-cred -M -r -i /run/resident "$(node "$1")" >/dev/null
}

# The name of that credential in the list.
cred_of() {
    sed -n "s/^example.com *$1 *\([0-9a-f]\{8\}\)$/\1/p" <<<"$output"
}

given_a_key_then_it_says_what_it_is_and_is_not_touched() {
    plug blue never
    run fidokey key info
    expect_status 0
    expect_output "Device:         $(node blue)"
    expect_output 'FIDO_2_1'
    expect_output 'PIN:            not set; see `fidokey key pin set`'
    run fidokey key info --json
    expect_status 0
    expect_count 1 '"schema": 1'
    expect_output '"pin": "not_set"'
    pull blue
    plug blue never 1
    run fidokey key info
    expect_status 0
    expect_output 'Versions:       U2F_V2'
    expect_output 'PIN:            not possible'
}

given_several_keys_then_none_of_them_is_meant() {
    plug blue
    plug green
    for verb in 'info' 'pin set' 'reset --force' 'credentials list'; do
        # shellcheck disable=SC2086 # words
        run fidokey key $verb
        expect_status 1
        expect_output 'Unplug all but the one that is meant.'
    done
}

given_a_key_without_a_pin_then_it_gets_one() {
    plug blue
    make_resident blue || complain 'no credential was made'
    type_at root 'fidokey key pin set' 'New PIN: ' "echo $pin" 'again: ' 'echo 271829'
    expect_status 1
    expect_output 'The new PIN was not the same both times.'
    type_at root 'fidokey key pin set' 'New PIN: ' "echo $pin" 'again: ' "echo $pin"
    expect_status 0
    expect_output 'The key has a PIN now.'
    expect_no_output_of "$pin"
    type_at root 'fidokey key pin set'
    expect_status 1
    expect_output 'Change it with `fidokey key pin change`.'
    run fido2-token -I "$(node blue)"
    expect_output 'pin retries: 8'
}

given_the_wrong_present_pin_then_a_try_is_spent_and_then_it_is_changed() {
    plug blue
    type_at root 'fidokey key pin change' 'The PIN it has now: ' 'echo 9999' 'New PIN: ' 'echo 5555' 'again: ' 'echo 5555'
    expect_status 1
    expect_output 'Wrong PIN. Tries left on this key: 7.'
    type_at root 'fidokey key pin change' 'The PIN it has now: ' "echo $pin" 'New PIN: ' 'echo 5555' 'again: ' 'echo 5555'
    expect_status 0
    expect_output 'The PIN was changed.'
    type_at root 'fidokey key pin change' 'The PIN it has now: ' 'echo 5555' 'New PIN: ' "echo $pin" 'again: ' "echo $pin"
    expect_status 0
}

given_a_pin_that_is_pasted_then_the_marks_around_it_are_not_of_it() {
    plug blue
    type_at root 'fidokey key pin check' 'Security key PIN: ' 'printf "\033[200~%s\033[201~\n" "$pin"'
    expect_status 0
    expect_output 'The PIN is right.'
}

given_ctrl_c_where_the_pin_is_typed_then_the_terminal_is_as_it_was() {
    plug blue
    # Not before the question: it comes when the echo is off.
    type_at root 'trap : INT; stty -a >/run/before; fidokey key pin check; echo came=$?; stty -a >/run/after' \
        'Security key PIN: ' 'leaks >/run/leaks; printf "2718\003"'
    expect_output 'Cancelled.'
    expect_output 'came=3'
    expect_no_output_of 2718
    expect_holds grep -q ' echo ' /run/before
    expect_holds diff /run/before /run/after
    expect_holds test ! -s /run/leaks
    run fidokey key info
    expect_output 'set; tries left: 8'
}

given_a_pin_then_the_credentials_on_the_key_are_listed_and_removed() {
    local cred
    plug blue
    type_at root 'fidokey key credentials list' 'Security key PIN: ' 'echo 9999'
    expect_status 1
    expect_output 'Wrong PIN. Tries left on this key: 7.'
    expect_no_output_of 'Asking the key'
    type_at root 'fidokey key credentials list' 'Security key PIN: ' "echo $pin"
    expect_status 0
    expect_no_output_of "$pin"
    cred=$(cred_of carol)
    expect_holds test -n "$cred"
    type_at root 'fidokey key credentials list --json' 'Security key PIN: ' "echo $pin"
    expect_status 0
    expect_output '{"schema": 1, "credentials": ['
    expect_output "{\"site\": \"example.com\", \"user\": \"carol\", \"cred\": \"$cred\"}"
    # No terminal, nobody to ask.
    run fidokey key credentials remove "$cred"
    expect_status 1
    type_at root "fidokey key credentials remove $cred" 'Security key PIN: ' "echo $pin" '[y/N] ' 'echo n'
    expect_status 1
    expect_output 'Remove the credential of carol at example.com for ever?'
    expect_output 'Nothing was removed.'
    type_at root 'fidokey key credentials remove 00000000' 'Security key PIN: ' "echo $pin"
    expect_status 1
    expect_output 'No one credential on the key is 00000000.'
}

# The key stops in the midst: the child waits for ever, and its parent does not.
given_a_key_that_hangs_then_the_child_is_ended_in_time() {
    local cred
    plug blue
    type_at root 'fidokey key credentials list' 'Security key PIN: ' "echo $pin"
    cred=$(cred_of carol)
    type_at root "fidokey key credentials remove $cred" 'Security key PIN: ' "echo $pin" '[y/N] ' \
        'kill -STOP "${plugged[blue]}"; (sleep 5; leaks >/run/leaks; pgrep -fx "fidokey worker" >/run/workers) >/dev/null & echo y'
    expect_status 3
    expect_output 'The key said nothing in time.'
    expect_between 15000 40000
    expect_holds test -s /run/workers
    expect_holds test ! -s /run/leaks
    expect_holds test -z "$(pgrep -fx 'fidokey worker')"
    kill -CONT "${plugged[blue]}"
    # Ctrl-C is for the parent, which ends its child.
    type_at root "trap : INT; fidokey key credentials remove $cred; echo came=\$?" 'Security key PIN: ' "echo $pin" '[y/N] ' \
        'kill -STOP "${plugged[blue]}"; echo y; sleep 3; printf "\003"'
    expect_output 'came=3'
    expect_output 'Cancelled.'
    expect_no_output_of 'did not answer'
    expect_holds test -z "$(pgrep -fx 'fidokey worker')"
    run fidokey key info
    expect_status 3
    expect_between 0 9000
    kill -CONT "${plugged[blue]}"
    run fidokey key info
    expect_status 0
    expect_output 'set; tries left: 8'
    # It was not removed meanwhile, and is now.
    type_at root "fidokey key credentials remove $cred" 'Security key PIN: ' "echo $pin" '[y/N] ' 'echo y'
    expect_status 0
    expect_output 'Removed the credential of carol at example.com.'
    type_at root 'fidokey key credentials list' 'Security key PIN: ' "echo $pin"
    expect_status 0
    expect_no_output_of carol
}

given_the_key_is_pulled_out_then_that_is_said() {
    plug blue
    type_at root 'fidokey key credentials list' 'Security key PIN: ' 'pull_from_outside blue'
    expect_status 3
    expect_output 'No security key was there in time.'
}

pull_from_outside() {
    key "$1" unplug >/dev/null
    sleep 1
    echo "$pin"
}

given_a_key_without_a_reader_then_no_fingerprint_is_asked_for() {
    plug blue
    for verb in list 'add Thumb' 'rename 01 Thumb' 'remove 01'; do
        type_at root "fidokey key fingerprint $verb"
        expect_status 1
        expect_output 'This key has no fingerprint reader that can be managed.'
    done
}

# A touch of this key's reader is a finger; the second one of an enrolment lies badly. It has room for two fingers, and names
# of 16 bytes.
plug_reader() {
    reader=yes
    plug grey "${1:-after:100}"
    reader=
}

# fingerprint 'VERB ARGUMENTS' [TEXT ACTION]...: with the PIN typed.
fingerprint() {
    type_at root "fidokey key fingerprint $1" 'Security key PIN: ' "echo $pin" "${@:2}"
}

expect_touches() {
    local found
    found=$(key grey transcript | grep -c ' touch$')
    [ "$found" = "$1" ] || complain "expected $1 touches, found $found"
}

given_a_key_with_a_reader_then_it_says_so_and_knows_no_finger() {
    plug_reader never
    type_at root 'fidokey key fingerprint list'
    expect_status 1
    expect_output 'fidokey key pin set'
    key grey pin "$pin" >/dev/null
    run fidokey key info
    expect_status 0
    expect_output 'Fingerprints:   none; see `fidokey key fingerprint add`'
    fingerprint list
    expect_status 0
    expect_output 'ID  NAME'
    expect_no_output_of "$pin"
    fingerprint 'list --json'
    expect_status 0
    expect_output '{"schema": 1, "fingerprints": []}'
}

given_a_finger_then_the_key_learns_it_and_how_each_reading_went_is_told() {
    plug_reader
    fingerprint 'add Thumb'
    expect_status 0
    expect_output 'Touch the key'\''s reader with the finger, again and again.
Read. 2 more times.
Too high. 2 more times.
Read. Once more.
Read.
The key knows the fingerprint "Thumb" now (id f101).'
    expect_touches 4
    run fidokey key info
    expect_output 'Fingerprints:   there are some'
    fingerprint list
    expect_status 0
    expect_output 'ID    NAME'
    expect_output 'f101  Thumb'
    fingerprint 'list --json'
    expect_status 0
    expect_output '{"id": "f101", "name": "Thumb"}'
}

given_a_fingerprint_then_it_gets_another_name() {
    plug_reader never
    fingerprint "rename f101 'Right thumb'"
    expect_status 0
    expect_output 'The fingerprint f101 is "Right thumb" now.'
    fingerprint list
    expect_output 'f101  Right thumb'
    expect_no_output_of ' Thumb'
}

given_a_name_that_is_too_long_for_the_key_then_it_is_refused_before_a_finger_is_read() {
    plug_reader never
    fingerprint "rename f101 'The thumb on the right'"
    expect_status 1
    expect_output 'The key does not take that name.'
    expect_output 'Run the command again with a shorter one.'
    fingerprint "add 'The thumb on the left'"
    expect_status 1
    expect_output 'The key does not take that name.'
    expect_no_output_of 'Touch the key'
    expect_between 0 20000
    expect_touches 0
    fingerprint list
    expect_count 1 f1
    expect_output 'f101  Right thumb'
}

given_the_wrong_pin_then_no_finger_is_read() {
    plug_reader
    type_at root 'fidokey key fingerprint add Index' 'Security key PIN: ' 'echo 9999'
    expect_status 1
    expect_output 'Wrong PIN. Tries left on this key: 7.'
    expect_no_output_of 'Touch the key'
    expect_touches 0
    type_at root 'fidokey key pin check' 'Security key PIN: ' "echo $pin"
    expect_status 0
}

given_no_finger_then_the_wait_ends_and_the_key_asks_no_longer() {
    plug_reader never
    fingerprint 'add Index' 'Touch the key' 'key grey await-asking'
    expect_status 3
    expect_output 'Timed out waiting for the security key.'
    expect_output 'Run the command again and touch the key when it blinks.'
    expect_between 29000 50000
    expect_holds test "$(key grey is-asking)" = false
    fingerprint list
    expect_count 1 f1
}

# This key's permission ends 30 seconds after the PIN, whatever is done with it.
given_fingers_that_take_their_time_then_it_is_said_that_the_key_wants_its_pin_again() {
    plug_reader after:17000
    fingerprint 'add Index'
    expect_status 3
    expect_output 'Too high. 2 more times.'
    expect_output 'It took too long: the key wants its PIN again.'
    expect_output 'Run the command again and leave less time between the readings.'
    expect_holds test "$(key grey is-asking)" = false
}

given_ctrl_c_while_a_finger_is_read_then_the_key_asks_no_longer_and_learns_nothing() {
    # Time enough to leave after the first reading.
    plug_reader after:5000
    type_at root 'trap : INT; fidokey key fingerprint add Index; echo came=$?' 'Security key PIN: ' "echo $pin" \
        'Read. 2 more' 'key grey touch never; key grey await-asking; printf "\003"'
    expect_output 'Cancelled.'
    expect_output 'came=3'
    expect_holds test -z "$(pgrep -fx 'fidokey worker')"
    expect_no_output_of 'Too high'
    expect_holds test "$(key grey is-asking)" = false
    fingerprint list
    expect_status 0
    expect_count 1 f1
}

given_the_key_is_pulled_out_while_a_finger_is_read_then_that_is_said() {
    plug_reader never
    fingerprint 'add Index' 'Touch the key' 'key grey await-asking; key grey unplug'
    expect_status 3
    expect_output 'No security key was there in time.'
    expect_between 0 20000
}

given_as_many_fingers_as_there_is_room_for_then_no_other_is_learnt() {
    plug_reader
    fingerprint 'add Index'
    expect_status 0
    expect_output 'The key knows the fingerprint "Index" now (id f102).'
    fingerprint 'add Ring'
    expect_status 1
    expect_output 'The key has no room for another fingerprint.'
    expect_output 'Remove one first: see `fidokey key fingerprint list`.'
    fingerprint list
    expect_output 'f101  Right thumb
f102  Index'
}

given_a_fingerprint_then_it_is_removed_and_no_other() {
    plug_reader never
    for verb in 'remove f1ff' 'rename f1ff Thumb'; do
        fingerprint "$verb"
        expect_status 1
        expect_output 'There is no such fingerprint on the key.'
    done
    fingerprint 'remove f101'
    expect_status 0
    expect_output 'Removed the fingerprint f101.'
    fingerprint list
    expect_count 1 f1
    expect_output 'f102  Index'
    fingerprint 'remove f102'
    expect_status 0
    run fidokey key info
    expect_output 'Fingerprints:   none;'
}

given_no_terminal_or_no_answer_then_nothing_is_reset() {
    plug blue
    run fidokey key reset
    expect_status 1
    expect_output 'there is nobody to ask whether that is meant'
    run fidokey --no-input key reset
    expect_status 2
    expect_output 'Say --force'
    type_at root 'fidokey key reset' '[y/N] ' 'echo'
    expect_status 1
    expect_output 'Everything on the key is lost, for every site and every account.'
    expect_output 'Nothing was reset.'
    run fidokey key info
    expect_output 'set; tries left: 8'
}

given_a_key_that_is_plugged_in_anew_and_touched_then_it_is_reset() {
    plug blue
    type_at root 'fidokey key reset' '[y/N] ' 'echo y' 'plug it in again.' 'replug blue'
    expect_status 0
    expect_output 'Touch the key to reset it.'
    expect_output 'The key is reset: it has no PIN, and lets nobody in any more.'
    expect_output 'Accounts that it was registered for still list it'
    run fidokey key info
    expect_output 'PIN:            not set'
}

# BAR E2.
given_a_second_key_is_wanted_then_it_is_changed_for_the_first_and_registered_there_and_then() {
    # Whatever other scenarios have left.
    rm -f /etc/fidokey/users/1000.toml
    plug first
    type_at root 'fidokey enroll --user alice --name First' 'Register the second key now?' 'echo y' \
        'then press Enter: ' 'pull first >/dev/null; plug second >/dev/null; echo'
    expect_status 0
    expect_count 2 'Registered "'
    run fidokey list --user alice
    expect_count 2 'FIDO2'
    run fidokey reset --force alice
    expect_status 0
}

# A bug here would be told as one; the child is for nobody else.
given_somebody_starts_the_child_then_it_says_whom_it_is_for() {
    run fidokey worker
    expect_status 2
    expect_output 'This is for `fidokey key credentials`'
}

# about 300 s
