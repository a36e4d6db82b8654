# shellcheck shell=bash disable=SC2016,SC2034,SC2119,SC2120,SC2154
# The same situation for fidokey and for pam-u2f: what the scenarios of twin*.sh begin with. No scenarios.
#
# A scenario sets up one situation for both, logs in with each through the same host, and compares what came of it with
# the list in twin.expected, in both columns: what pam-u2f has mended is to be noticed too. docs/COMPARISON.md is made
# of the lines that `compare` prints.

. /payload/guest/both.sh

ours_file=/etc/fidokey/users/1000.toml
theirs_file=/etc/u2f/mappings
ours_base='mode=second-factor wait_for_key=0s touch=3s'
theirs_base="authfile=$theirs_file origin=$rp appid=$rp cue"

# lines [OURS [THEIRS]]: the stacks twin-ours and twin-theirs, with further arguments. What a module ignores goes on to
# a second line, whose answer nothing else gives.
lines() {
    local control='auth [success=done ignore=ignore default=die]'
    local exempt='auth [default=die] pam_debug.so auth=acct_expired'
    printf '%s\n' "$control pam_fidokey.so $ours_base ${1-}" "$exempt" >/etc/pam.d/twin-ours
    printf '%s\n' "$control pam_u2f.so $theirs_base ${2-}" "$exempt" >/etc/pam.d/twin-theirs
}

# enrolled [LINES]: alice has those credentials with both, the blue key's when not said, and all else is as usual.
enrolled() {
    rm -rf "$ours_file" "$theirs_file" /etc/fidokey/config.toml /etc/security/pam_u2f.conf /var/lib/fidokey/1000.toml
    if [ $# = 0 ]; then
        cp "$both/usual.toml" "$ours_file"
        cp "$both/usual" "$theirs_file"
    else
        credentials fido2 <"$1"
        cp /etc/u2f_mappings "$theirs_file"
    fi
    lines
    type_in
    who=alice limit=20 options=() through=()
}

# both_files COMMANDS: for the credential file of either, which is `$file` in there, and its directory `$directory`.
both_files() {
    local file directory
    for file in "$ours_file" "$theirs_file"; do
        directory=${file%/*}
        eval "$1" || complain "could not be done with $file: $1"
    done
}

typed=$both/typed
# attempt MODULE [FACT...]: a login with that module's line; sets `result`: the verdict, and what the fact prints. As little
# as possible is started for it: an emulated machine takes its time for each program.
attempt() {
    local module=$1 started=${EPOCHREALTIME/./}
    shift
    timeout --kill-after=1 "$limit" "${through[@]}" pamtester "${options[@]}" "twin-$module" "$who" authenticate \
        <"$typed" >"$both/stdout" 2>"$both/stderr"
    status=$?
    milliseconds=$(((${EPOCHREALTIME/./} - started) / 1000))
    errors=$(<"$both/stderr")
    verdict
    [ $# = 0 ] || result+=$("$@")
    output+="$module, $milliseconds ms: $(<"$both/stdout")$errors"$'\n'
}

# What is said of a login: by the status of pamtester, or by its own line, which has libpam's words for the answer.
verdict() {
    local answer=
    # After a prompt it does not begin a line.
    [[ $errors != *'pamtester: '* ]] || answer=${errors##*pamtester: }
    case $status in
        0) result='let in' ;;
        124 | 137) result="no answer in $limit s, killed" ;;
        12[5-9] | 1[3-9]? | 2??) result="died, status $status" ;;
        *)
            case $answer in
                'User account has expired') result=exempt ;;
                '') result=denied ;;
                *) result="denied ($answer)" ;;
            esac
            ;;
    esac
}

# log_in [FACT...]: with either.
log_in() {
    last="pamtester with either module"
    output=
    attempt ours "$@"
    ours=$result
    attempt theirs "$@"
    theirs=$result
}

# compare ROW: what came of it is what the list says.
theirs_version=$(dpkg-query --show --showformat='${Version}' libpam-u2f)
compare() {
    printf 'twin\t%s\t%s\t%s\n' "$1" "$ours" "$theirs"
    [ "$ours" = "${listed["$1 fidokey"]-}" ] ||
        complain "row $1, fidokey: '$ours' instead of '${listed["$1 fidokey"]-}'"
    [ "$theirs" = "${listed["$1 pam-u2f"]-}" ] || {
        local said="row $1, pam-u2f: '$theirs' instead of '${listed["$1 pam-u2f"]-}'"
        # Another version of it is news, and no failure of ours.
        if [ "${theirs_version%%-*}" = 1.4.0 ]; then complain "$said"; else echo "# pam-u2f $theirs_version: $said"; fi
    }
}

# The list, see there.
declare -A listed=()
while IFS= read -r line; do
    case $line in
        '['*']') row=${line:1:-1} ;;
        *' = '*) listed["$row ${line%% = *}"]=${line#* = } ;;
    esac
done </payload/guest/twin.expected

# --- facts -----------------------------------------------------------------------------------------------

# Of a login with the blue key: whether it was touched.
touched() {
    if key blue transcript | grep -q touch; then echo ', touched'; else echo ', not touched'; fi
}

# Whether anything but pamtester's own line is on standard error.
told() {
    if grep -qv '^pamtester: ' "$both/stderr"; then echo ', writes to standard error'; fi
}

# at_most MILLISECONDS: whether it took longer, where a wait is what matters.
at_most() {
    if [ "$milliseconds" -le "$1" ]; then echo " within $(($1 / 1000)) s"; else echo " after more than $(($1 / 1000)) s"; fi
}

# versions: once for each file.
printf 'twin\t-\t%s\t%s\n' kernel "$(uname -r)"
for package in libpam0g libpam-u2f libfido2-1 sudo; do
    printf 'twin\t-\t%s\t%s\n' "$package" "$(dpkg-query --show --showformat='${Version}' "$package")"
done

make_credential blue 2 >"$both/own"
make_credential red 2 >"$both/others"
install -d -m 755 /etc/u2f
credentials fido2 <"$both/own"
cp "$ours_file" "$both/usual.toml"
cp /etc/u2f_mappings "$both/usual"
