# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# fidokey and pam-u2f in the same situation: what both are for, the credential file, a copy of the key. The
# list of what must come of each row, with the row in words, is twin.expected.
#
# Each scenario of files.sh has its row here or in twin-waits.sh.

. /payload/guest/twins.sh

# --- what both are for -------------------------------------------------------------------------------------

given_a_key_then_login_by_it() {
    enrolled
    plug blue
    log_in touched
    compare right-key
    pull blue
    log_in
    compare no-key
    plug red
    log_in
    compare foreign-key
}

given_a_first_generation_key_then_login_by_it() {
    make_credential old 1 >"$both/old"
    enrolled
    credentials u2f <"$both/old"
    cp /etc/u2f_mappings "$theirs_file"
    plug old at-once 1
    log_in
    compare u2f-key
}

given_no_registration_then_login_by_policy() {
    enrolled
    who=bob
    lines '' nouserok
    log_in
    compare unenrolled-skip
    lines unenrolled=deny
    log_in
    compare unenrolled-deny
    who=nobody-of-that-name
    lines '' nouserok
    log_in
    compare unknown-account
}

# K6.
given_many_credentials_then_the_last_one_counts() {
    { foreign 24 64 <"$both/own"; cat "$both/own"; } >"$both/many"
    enrolled "$both/many"
    plug blue
    log_in
    compare many-credentials
}

# --- files ---------------------------------------------------------------------------------------------------

# F1, F4, F16.
given_something_else_in_the_files_place_then_login() {
    plug blue
    enrolled
    both_files 'mv "$file" "$directory/../record"; ln -s ../record "$file"'
    log_in
    compare symlink
    rm -f /etc/fidokey/record /etc/record
    enrolled
    both_files 'rm "$file"; mkdir "$file"'
    log_in
    compare directory
    enrolled
    both_files 'rm "$file"; mknod "$file" c 1 3'
    log_in
    compare device
    enrolled
    lines '' nouserok
    both_files ': >"$file"'
    log_in
    compare empty
}

# F6, F7, F8.
given_a_file_that_others_can_write_then_login() {
    plug blue
    enrolled
    both_files 'chmod 646 "$file"'
    log_in
    compare writable
    enrolled
    both_files 'setfacl -m u:bob:rw "$file"'
    log_in
    compare acl
    enrolled
    both_files 'ln "$file" "$directory/../second"'
    log_in
    compare hard-link
    rm /etc/fidokey/second /etc/second
    enrolled
    both_files 'chown bob "$file"'
    log_in
    compare owner
}

# F2, F6, F10.
given_a_directory_that_others_can_write_then_login() {
    plug blue
    enrolled
    both_files 'chmod 777 "$directory"'
    log_in
    compare directory-writable
    both_files 'chmod 755 "$directory"; chown bob "$directory"'
    log_in
    compare directory-owner
    both_files 'chown root "$directory"; mv "$directory" /etc/elsewhere; ln -s /etc/elsewhere "$directory"
        log_in_one "$file"; rm "$directory"; mv /etc/elsewhere "$directory"'
    compare directory-symlink
    pull blue
    lines '' nouserok
    both_files 'mv "$directory" "$directory.away"'
    log_in
    compare directory-missing
    both_files 'mv "$directory.away" "$directory"; rm "$file"'
    log_in
    compare file-missing
}

# The one whose file that is.
log_in_one() {
    case $1 in
        "$ours_file") attempt ours; ours=$result ;;
        *) attempt theirs; theirs=$result ;;
    esac
}

# K10, F12, K3.
given_a_malformed_line_then_login() {
    plug blue
    enrolled
    both_files 'printf "alice:\n" >>"$file"'
    lines '' nouserok
    log_in
    compare later-line
    enrolled
    printf 'bob:\0,,\n' | cat - "$theirs_file" >/run/both/mapping && cp /run/both/mapping "$theirs_file"
    echo 'bob:' >/etc/fidokey/users/1001.toml
    log_in
    compare line-of-another
    rm /etc/fidokey/users/1001.toml
}

# --- counters ------------------------------------------------------------------------------------------------------

# S1. A copy of the key as it was before the last logins.
given_a_copy_of_the_key_then_login() {
    enrolled
    cp /var/keys/blue /var/keys/copy
    plug blue
    log_in
    log_in
    compare counter-rises
    pull blue
    plug copy
    log_in
    compare counter-back
}
