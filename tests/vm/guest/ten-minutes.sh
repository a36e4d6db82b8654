# shellcheck shell=bash disable=SC2154
# A person's first ten minutes, as the terminal shows them: from a machine that nobody has set up to a second key that was lost.
# What is shown is checked as well; `make ten-minutes` writes it into docs/TEN-MINUTES.md.

# Each change is told by mail as well, which wants a mail system.
/payload/busybox ifconfig lo 127.0.0.1 up
postfix start 2>/dev/null

# shown PROMPT LINE: what was typed, and what came of it.
shown() {
    printf '\n%s %s\n' "$1" "$2"
    sed 's/\x1b\[[0-9;?]*[A-Za-z]//g; s/^.*\r//' <<<"$output"
}

# root LINE [TEXT ACTION]... and alice LINE [TEXT ACTION]...: typed by them at a terminal that shows no countdown.
root() {
    TERM=dumb type_at root "$@"
    shown '#' "$1"
}

alice() {
    TERM=dumb type_at alice "$@"
    shown '$' "$1"
}

given_a_machine_that_nobody_has_set_up_then_the_doctor_says_what_to_do() {
    root 'fidokey doctor'
    expect_output 'nobody is asked for a key'
}

given_two_keys_then_they_are_registered_one_after_the_other() {
    plug blue at-once
    root 'fidokey enroll --user alice --name Blue' 'Register the second key now?' \
        'echo y' 'then press Enter: ' 'pull blue >/dev/null; plug green at-once >/dev/null; echo'
    expect_status 0
    expect_output 'Registered "Blue" for alice'
    run fidokey list --user alice
    expect_count 2 'FIDO2'
    pull green
}

given_two_keys_then_the_list_has_them() {
    root 'fidokey list --user alice'
    expect_status 0
    expect_output 'Blue'
}

given_a_key_then_sudo_asks_for_it() {
    plug blue at-once
    root 'fidokey enable sudo --user alice' 'Password: ' 'echo secret'
    expect_status 0
    forget_passwords
    alice 'sudo id' "$(asks_for_password alice)" 'echo secret'
    expect_status 0
    expect_output 'Touch your security key (sudo).'
    expect_output 'uid=0(root)'
    root 'fidokey status --user alice'
    expect_status 0
    root 'fidokey list --user alice'
    expect_output 'sudo'
}

given_a_name_that_says_more_then_the_key_gets_it() {
    run fidokey list --user alice
    root "fidokey rename --user alice \"$(sed -n '3s/  .*//p' <<<"$output")\" Drawer"
    expect_status 0
}

given_a_lost_key_then_it_is_removed_and_sudo_tells_of_it() {
    root 'fidokey remove --user alice Drawer'
    expect_status 0
    plug blue at-once
    forget_passwords
    alice 'sudo id' "$(asks_for_password alice)" 'echo secret'
    expect_status 0
    expect_output 'Your security keys were changed'
    root 'fidokey remove --user alice Blue'
    expect_status 1
    expect_output 'Nothing was removed'
}
