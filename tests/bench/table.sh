#!/bin/bash
# Puts what tests/vm/guest/bench.sh printed, which is read, between the two markers of a document: the tables of
# docs/BENCHMARKS.md. Everything else of the document stays.
#
#   tests/bench/table.sh DOCUMENT <OUTPUT
set -euo pipefail

document=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

awk -F '\t' '
    # Thousands with a space between.
    function grouped(number, text, tail) {
        text = number ""
        while (length(text) > 3) {
            tail = " " substr(text, length(text) - 2) tail
            text = substr(text, 1, length(text) - 3)
        }
        return text tail
    }
    function cell(row, column) {
        if (!((row, column) in ours)) return "not measured"
        return grouped(ours[row, column]) " / " grouped(theirs[row, column])
    }
    function millions(number) { return sprintf("%.2f", number / 1000000) }
    function in_millions(row, column) {
        return millions(ours[row, column]) " / " millions(theirs[row, column])
    }
    BEGIN {
        name["1"] = "1 credential"
        name["3"] = "3"
        name["8-short"] = "8, ids of 64 bytes"
        name["8"] = "8"
        name["64-short"] = "64, ids of 64 bytes"
        name["64"] = "64"
        name["keys-2"] = "1, 2 keys plugged in"
        name["keys-8"] = "1, 8 keys plugged in"
        name["pin-1"] = "1, PIN"
        name["pin-8"] = "8, PIN"
        name["u2f-1"] = "1, U2F"
        name["u2f-8"] = "8, U2F"
        count = split("1 3 8-short 8 64-short 64 keys-2 keys-8 pin-1 pin-8 u2f-1 u2f-8", order, " ")
    }
    $1 != "bench" { next }
    $2 == "-" { version[$3] = $4; next }
    { ours[$2, $3] = $4; theirs[$2, $3] = $5; seen[$2] = 1 }
    END {
        for (i = 1; i <= count; i++) if (!(order[i] in seen)) missing = missing " " order[i]
        if (missing) { print "table.sh: rows are missing:" missing >"/dev/stderr"; exit 1 }
        print "Linux " version["kernel"] ", libpam " version["libpam0g"] ", pam-u2f " version["libpam-u2f"] \
            ", libfido2 " version["libfido2-1"] ", valgrind " version["valgrind"] "."
        print ""
        print "| credentials | commands | reports to the keys | from them | opens | system calls | of the next login | time | time added |"
        print "|---|---|---|---|---|---|---|---|---|"
        for (i = 1; i <= count; i++) {
            row = order[i]
            commands = cell(row, "commands")
            # Those that the account'"'"'s own key hears, where there are others.
            if (ours[row, "last"] != ours[row, "commands"])
                commands = commands ", own key " cell(row, "last")
            print "| " name[row] " | " commands " | " cell(row, "out") " | " cell(row, "in") " | " cell(row, "opens") \
                " | " cell(row, "calls") " | " cell(row, "warm") " | " ours[row, "wall"] " | " ours[row, "added"] " |"
        }
        print ""
        print "| credentials | instructions, millions | of the next login, millions | memory of its own, KiB | all memory, KiB |"
        print "|---|---|---|---|---|"
        for (i = 1; i <= count; i++) {
            row = order[i]
            if ((row, "first") in ours)
                print "| " name[row] " | " in_millions(row, "first") " | " in_millions(row, "second") " | " \
                    cell(row, "anonymous") " | " cell(row, "rss") " |"
        }
    }' >"$work/tables"

awk -v tables="$work/tables" '
    /^<!-- end of the tables -->$/ { skip = 0; ends++ }
    !skip { print }
    /^<!-- tables: / { begins++; skip = 1; while ((getline line <tables) > 0) print line }
    END { if (begins != 1 || ends != 1) { print "table.sh: the markers are not there, once each" >"/dev/stderr"; exit 1 } }' \
    "$document" >"$work/document"
cat "$work/document" >"$document"
