# shellcheck shell=bash disable=SC2016,SC2034,SC2119,SC2120,SC2154
# fidokey and pam-u2f side by side, for the scenarios that count: the same account, the same credentials, the same
# emulated keys. No scenarios.

rp=pam://fidokey
both=/run/both
mkdir -p "$both"

# One line of ours, one of theirs that asks for the same and shows a cue as ours does, and neither. What is measured of
# a module is the difference to `neither`.
stacks() {
    local ours="auth required pam_fidokey.so mode=second-factor wait_for_key=0s ${1-}"
    local theirs="auth required pam_u2f.so authfile=/etc/u2f_mappings max_devices=64 origin=$rp appid=$rp cue ${2-}"
    local permit='auth required pam_permit.so' name
    printf '%s\n' "$ours" "$permit" >/etc/pam.d/rig-ours
    printf '%s\n' "$theirs" "$permit" >/etc/pam.d/rig-theirs
    printf '%s\n' "$permit" >/etc/pam.d/rig-neither
    # Once more with what looks at the process after the login, as another management group of the same service.
    for name in ours theirs neither; do
        {
            cat "/etc/pam.d/rig-$name"
            echo 'account required pam_exec.so quiet /run/both/memory'
        } >"/etc/pam.d/rig-$name-memory"
    done
}
stacks

# The keys have all of the processor that they want.
sysctl -q kernel.sched_rt_runtime_us=-1 2>/dev/null || echo -1 >/proc/sys/kernel/sched_rt_runtime_us

# make_credential NAME GENERATION: the key of that name makes a credential, whose line in pam-u2f's form is printed.
make_credential() {
    plug "$1" at-once "$2"
    run pamu2fcfg -n -o "$rp" -i "$rp"
    expect_status 0
    expect_output ',es256,'
    pull "$1"
    printf '%s\n' "${output##*$'\n'}"
}

# Base64 of both alphabets to bytes, and back to that of URLs without padding. perl-base has no module for it.
base64='
    sub decode {
        my ($text, $bytes) = ($_[0], "");
        $text =~ tr#\-_#+/#;
        $text =~ tr#A-Za-z0-9+/##cd;
        $text =~ tr#A-Za-z0-9+/# -_#;
        $bytes .= unpack("u", chr(32 + int(length($1) * 3 / 4)) . $1) while $text =~ s/^(.{1,60})//s;
        return $bytes;
    }
    sub encode {
        my $text = pack("u", $_[0]);
        $text =~ s/^.//mg;
        $text =~ s/\n//g;
        $text =~ tr#` -_#AA-Za-z0-9+/#;
        $text =~ tr#+/#-_#;
        return substr($text, 0, int((length($_[0]) * 4 + 2) / 3));
    }'

# foreign N [LENGTH]: of the credential whose line is read, N that no key has made. Their ids differ at the end, which is
# where a key looks last, and have that many bytes, as many as the one that is read when not said.
foreign() {
    perl -ne "$base64"'
        BEGIN { ($count, $length) = (shift, shift) }
        my ($id, $rest) = /^:?([^,]+)(,.*)/ or die "not a credential: $_";
        $id = decode($id);
        for my $number (1 .. $count) {
            my $text = encode(substr($id, 0, ($length || length($id)) - 4) . pack("N", 0xf0000000 + $number));
            $text =~ tr#-_#+/#;
            $text .= "=" while length($text) % 4;
            print ":$text$rest\n";
        }' "$1" "${2:-0}"
}

# credentials PROTOCOL: the lines that are read become alice's for both modules, in that order.
credentials() {
    perl -ne "$base64"'
        BEGIN {
            $protocol = shift;
            open(OURS, ">", "/etc/fidokey/users/1000.toml") or die;
            open(THEIRS, ">", "/etc/u2f_mappings") or die;
            print OURS "schema = 1\nuser = \"alice\"\nuid = 1000\n";
            print THEIRS "alice";
        }
        chomp;
        my ($id, $point) = /^:?([^,]+),([^,]+),/ or die "not a credential: $_";
        print THEIRS ":", s/^://r;
        print OURS "\n[[credential]]\nname = \"Key $.\"\nprotocol = \"$protocol\"\nalgorithm = \"es256\"\n",
            "rp_id = \"pam://fidokey\"\nid = \"", encode(decode($id)), "\"\n",
            "public_key = \"", encode("\x04" . decode($point)), "\"\nverification = \"none\"\n",
            "added = 2026-11-26T00:00:00Z\nadded_by = \"root\"\n";
        END { print THEIRS "\n"; }' "$1"
    rm -f /var/lib/fidokey/*
}

# type_in TEXT: what is typed at every login from now on, without a terminal.
type_in() {
    printf '%s' "${1-}" >"$both/typed"
}
type_in

# login MODULE OPERATION...: pamtester on that stack, in front of which `through` stands.
through=()
login() {
    timeout 600 "${through[@]}" pamtester "rig-$1" alice "${@:2}" <"$both/typed" >"$both/out" 2>&1
    status=$?
    last="pamtester rig-$1 ${*:2}"
    output=$(<"$both/out")
}

# granted MODULE [OPERATION...]: the same, and it must let in.
granted() {
    login "$@"
    expect_status 0
    expect_output 'successfully authenticated'
}

# heard KEY...: what those keys heard since the last time: commands of all and of the last one, reports out and in.
heard() {
    local name
    for name in "$@"; do
        echo "key $name"
        key "$name" transcript
    done >"$both/heard"
    awk '$1 == "key" { last = 0 }
        $2 == "command" {
            commands++; last++
            for (i = 3; i <= NF; i++) {
                if (sub(/^in=/, "", $i)) out += $i
                else if (sub(/^out=/, "", $i)) into += $i
            }
        }
        END { print commands + 0, last + 0, out + 0, into + 0 }' "$both/heard"
}

# --- system calls --------------------------------------------------------------------------------------

# The kernel counts them itself, in a program that runs as fast as ever and does not know: its tracer notes the entry of
# each, and each call of hidraw_open, which is what opens a key's node.
tracing=/sys/kernel/tracing
[ -e "$tracing/trace" ] || mount -t tracefs tracefs "$tracing"
echo 0 >"$tracing/tracing_on"
# Another scenario file may have been there before.
echo 0 >"$tracing/events/enable"
echo 'p:opened hidraw_open' >"$tracing/kprobe_events"
echo 1 >"$tracing/events/raw_syscalls/sys_enter/enable"
echo 1 >"$tracing/events/kprobes/opened/enable"
echo event-fork >"$tracing/trace_options"
echo 8192 >"$tracing/buffer_size_kb"

# calls MODULE OPERATION...: sets `calls` to the system calls of pamtester from its start to its end, and `opens`.
calls=0 opens=0
calls() {
    echo >"$tracing/trace"
    through=(bash -c 'echo $$ >'"$tracing"'/set_event_pid; echo 1 >'"$tracing"'/tracing_on; exec "$@"' -)
    granted "$@"
    through=()
    echo 0 >"$tracing/tracing_on"
    grep -Eq 'entries-written: ([0-9]+)/\1 ' "$tracing/trace" || complain 'the tracer forgot some of it'
    # From the first execve, number 59, on.
    read -r calls opens < <(awk '/ sys_enter: NR 59 / && !begun { begun = 1 }
        begun && / sys_enter: / { calls++ }
        begun && / opened: / { opens++ }
        END { print calls + 0, opens + 0 }' "$tracing/trace")
}
