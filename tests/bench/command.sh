#!/bin/bash
# What the command itself costs where nobody waits for a key: processor time, of the process and of the kernel for it, which
# no wait counts in. Puts the table between the two markers of a document; 1 where one takes ten milliseconds or more.
#
#   tests/bench/command.sh COMMAND DOCUMENT
set -euo pipefail

command=$1
document=$2
runs=100
most=10
TIMEFORMAT='%3U %3S'
export LC_ALL=C

# milliseconds WORD...: of one run, as the mean of many.
milliseconds() {
    local spent
    # 1 where root has no key, and has done all the same by then.
    "$command" "$@" >/dev/null 2>&1 || [ "$?" = 1 ] || {
        echo "fidokey $* does not work" >&2
        exit 1
    }
    spent=$({ time for ((run = 0; run < runs; run++)); do "$command" "$@" >/dev/null 2>&1 || true; done; } 2>&1)
    awk -v runs="$runs" '{ printf "%.1f", ($1 + $2) * 1000 / runs }' <<<"$spent"
}

table=$'| command | milliseconds |\n|---|---|\n'
failed=0
for words in '--help' 'list' 'list --json' 'status'; do
    # shellcheck disable=SC2086 # words
    spent=$(milliseconds $words)
    table+="| \`fidokey $words\` | $spent |"$'\n'
    awk -v spent="$spent" -v most="$most" 'BEGIN { exit !(spent >= most) }' && {
        echo "fidokey $words takes $spent ms of the processor" >&2
        failed=1
    }
done
printf '%s' "$table"
next=$(mktemp)
trap 'rm -f "$next"' EXIT
TABLE=$table awk '
    /^<!-- end of the command/ { inside = 0 }
    !inside { print }
    /^<!-- command: make bench/ { inside = 1; found = 1; printf "%s", ENVIRON["TABLE"] }
    END { exit !found }
' "$document" >"$next"
cat "$next" >"$document"
exit "$failed"
