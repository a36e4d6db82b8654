#!/bin/bash
# Puts what the scenarios of tests/vm/guest/twin*.sh printed, which is read, between the two markers of a document: the
# tables of docs/COMPARISON.md, with the words of tests/vm/guest/twin.expected. Everything else of the document stays.
#
#   tests/bench/comparison.sh DOCUMENT <OUTPUT
set -euo pipefail

document=$1
listed=$(dirname "$(readlink -f "$0")")/../vm/guest/twin.expected
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

grep $'^twin\t' >"$work/seen"

awk -F '\t' '
    function flush() {
        if (row == "") return
        if (!(row in ours)) { missing = missing " " row; row = ""; return }
        print "| " what " | " how " | " (bar ? bar : "–") " | " ours[row] " | " \
            (theirs[row] == ours[row] ? "the same" : theirs[row]) " |"
        rows++
        if (theirs[row] == ours[row]) same++
        row = ""
    }
    function after(prefix) { return substr($0, length(prefix) + 1) }
    FNR == NR {
        if ($2 == "-") version[$3] = $4
        else { ours[$2] = $3; theirs[$2] = $4 }
        next
    }
    FNR == 1 {
        print "Linux " version["kernel"] ", libpam " version["libpam0g"] ", sudo " version["sudo"] ", pam-u2f " \
            version["libpam-u2f"] ", libfido2 " version["libfido2-1"] "."
    }
    /^== / {
        flush()
        print "\n### " after("== ") "\n"
        print "| situation | how it is made | BAR | fidokey | pam-u2f |"
        print "|---|---|---|---|---|"
    }
    /^\[.*\]$/ { flush(); row = substr($0, 2, length($0) - 2); what = how = bar = "" }
    /^what = / { what = after("what = ") }
    /^how = / { how = after("how = ") }
    /^bar = / { bar = after("bar = ") }
    END {
        flush()
        print "\n" rows " rows, " same " of them the same."
        if (missing) { print "comparison.sh: rows were not seen:" missing >"/dev/stderr"; exit 1 }
    }' "$work/seen" "$listed" >"$work/tables"

awk -v tables="$work/tables" '
    /^<!-- end of the tables -->$/ { skip = 0; ends++ }
    !skip { print }
    /^<!-- tables: / { begins++; skip = 1; while ((getline line <tables) > 0) print line }
    END { if (begins != 1 || ends != 1) { print "comparison.sh: the markers are not there, once each" >"/dev/stderr"; exit 1 } }' \
    "$document" >"$work/document"
cat "$work/document" >"$document"
