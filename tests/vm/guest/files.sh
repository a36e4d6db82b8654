# shellcheck shell=bash disable=SC2034,SC2154
# The record's file and the directories above it: whatever else could have written there, nobody is let in. Every
# scenario leaves the machine as it found it.

. /payload/guest/product.sh

record=/etc/fidokey/users/1000.toml
rm -f /etc/fidokey/users/*.toml

# Where no key is plugged in, that is all: nothing here is about waiting.
cat >>/etc/fidokey/config.toml <<'TOML'

[service.rig-fidokey]
wait_for_key = "0s"
TOML

register blue alice

# ask USER: a login of the user.
ask() {
    run pamtester rig-fidokey "$1" authenticate
}

# The stack lets in whoever is exempt, so that a denial is a denial.
expect_refused() {
    expect_failure
    expect_no_output_of 'successfully authenticated'
}

# refused PROBLEM COMMAND...: does that, and then neither the right key nor its absence lets alice in.
refused() {
    local problem=$1
    shift
    "$@" || complain "could not be done: $*"
    log_from_here
    ask alice
    last="$*"
    expect_refused
    # The policy lies in a directory above, and is read first.
    expect_logged 1 "result=denied (code=3 reason=config|code=7 reason=record user=alice uid=1000) .*$problem"
}

# instead COMMAND...: makes what is to stand in the place of the record, which is kept.
instead() {
    mv "$record" /etc/fidokey/record
    "$@"
}

again() {
    rm -rf "$record"
    mv /etc/fidokey/record "$record"
}

# F1, F3, F4, F9, F16.
given_something_else_than_a_file_in_the_records_place_then_it_is_denied() {
    plug blue
    refused symlink instead ln -s ../record "$record"
    again
    refused not_a_file instead mkfifo "$record"
    again
    refused not_a_file instead mknod "$record" c 1 3
    again
    refused not_a_file instead mkdir "$record"
    again
    refused not_a_file instead perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(shift))' \
        "$record"
    again
    refused empty instead touch "$record"
    again
    ask alice
    expect_status 0
    run key blue transcript
    expect_count 2 command
}

# F6, F7, F8.
given_a_record_that_others_could_have_written_then_it_is_denied() {
    plug blue
    refused mode chmod 646 "$record"
    refused mode chmod 664 "$record"
    chmod 644 "$record"
    refused owner chown bob "$record"
    chown root "$record"
    refused hard_link ln "$record" /etc/fidokey/second
    rm /etc/fidokey/second
    refused mode setfacl -m u:bob:rw "$record"
    setfacl -b "$record"
    ask alice
    expect_status 0
}

# F2, F6, F7, F10.
given_a_directory_above_it_that_others_could_write_then_it_is_denied() {
    local directory mode
    plug blue
    for directory in / /etc /etc/fidokey /etc/fidokey/users; do
        mode=$(stat -c %a "$directory")
        refused mode chmod g+w "$directory"
        chmod "$mode" "$directory"
    done
    refused owner chown bob /etc/fidokey
    refused owner chown bob /etc/fidokey/users
    chown root /etc/fidokey /etc/fidokey/users
    refused mode setfacl -m u:bob:rwx /etc/fidokey/users
    setfacl -b /etc/fidokey/users
    mv /etc/fidokey/users /etc/fidokey/elsewhere
    refused symlink ln -s elsewhere /etc/fidokey/users
    rm /etc/fidokey/users
    refused missing_directory true
    mv /etc/fidokey/elsewhere /etc/fidokey/users
    ask alice
    expect_status 0
}

# F1, F6: and by sudo, which has its own idea of who may.
given_a_record_that_is_a_link_then_sudo_is_denied() {
    plug blue
    instead ln -s ../record "$record"
    sudo_id alice
    expect_denied
    again
}
