# shellcheck shell=bash disable=SC2034,SC2154
# What a login costs, counted and compared with pam-u2f at the same key: commands that the key hears, opens of its node,
# system calls. No times. `make bench` has the rest.

. /payload/guest/both.sh

make_credential blue 2 >"$both/own"
make_credential old 1 >"$both/old"

# among N [LENGTH]: alice has N credentials, of which the last one is the blue key's.
among() {
    { foreign "$(($1 - 1))" "${2-}" <"$both/own"; cat "$both/own"; } | credentials fido2
}

# expect_commands MODULE KEY N: a login by that key is N commands.
expect_commands() {
    local all rest
    key "$2" transcript >/dev/null
    granted "$1" authenticate
    read -r all rest < <(heard "$2")
    output+=$'\n'$(<"$both/heard")
    [ "$all" = "$3" ] || complain "expected $3 commands, the key heard $all"
}

# Of a login, without what pamtester and libpam do without a module: system calls of ours are fewer.
expect_fewer_calls() {
    local neither ours
    calls neither authenticate
    neither=$calls
    calls ours authenticate
    ours=$((calls - neither))
    [ "$opens" = 1 ] || complain "the node was opened $opens times"
    calls theirs authenticate
    [ "$ours" -lt $((calls - neither)) ] || complain "system calls: $ours, pam-u2f $((calls - neither))"
    echo "# system calls: $ours, pam-u2f $((calls - neither)), opens $opens"
}

given_1_credential_then_ours_is_2_commands_and_theirs_5() {
    among 1
    plug blue
    expect_commands ours blue 2
    expect_commands theirs blue 5
    expect_fewer_calls
}

given_3_credentials_then_ours_is_2_commands_and_theirs_11() {
    among 3
    plug blue
    expect_commands ours blue 2
    expect_commands theirs blue 11
}

# In 1024 bytes, the least that a key takes.
given_8_credentials_that_fit_one_message_then_ours_is_2_commands_and_theirs_26() {
    among 8 64
    plug blue
    expect_commands ours blue 2
    expect_commands theirs blue 26
}

given_8_long_credentials_then_ours_is_4_commands_and_theirs_26() {
    among 8
    plug blue
    expect_commands ours blue 4
    expect_commands theirs blue 26
}

given_64_credentials_that_fit_one_message_of_the_key_then_ours_is_4_commands_and_theirs_194() {
    among 64 64
    plug blue
    expect_commands ours blue 4
    expect_commands theirs blue 194
}

# INIT, getInfo, three pre-flights of up to 7609 bytes, the assertion.
given_64_long_credentials_then_ours_is_6_commands_and_theirs_194() {
    among 64
    plug blue
    expect_commands ours blue 6
    expect_commands theirs blue 194
    expect_fewer_calls
}

given_a_first_generation_key_then_counts() {
    credentials u2f <"$both/old"
    plug old at-once 1
    expect_commands ours old 3
    expect_commands theirs old 5
    expect_fewer_calls
}

# Four until the PIN is typed, three after it.
given_a_pin_then_both_are_7_commands() {
    among 1
    plug blue
    key blue pin 1234 >/dev/null
    stacks verification=required pinverification=1
    type_in $'1234\n'
    expect_commands ours blue 7
    expect_commands theirs blue 7
    type_in
    stacks
}
