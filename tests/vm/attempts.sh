#!/bin/bash
# Makes a document of what the scenario `selfservice-attacked` has tried: its log on the standard input, Markdown on the standard
# output; 1 where one of them has failed, or there are fewer than twenty.
set -euo pipefail

cat <<'MD'
# Self-service attacked

What somebody has tried who knows a password and wants another account's keys, a key by the password alone, or a record in pieces,
as `make attacked` has recorded it: Debian's systemd, polkit and pkexec, and emulated keys. `rig-pkexec` is pkexec beside an
agent of its own, as a program of the user's would start it; `(as bob)` is who does it. Behind each attempt stands what the log of
authentication has of it. The records are compared before and after; where a scenario has no attempt here, what it tries comes
to a whole registration in the user's own name, or to none.
MD
awk '
    /^how: / { how = ", " substr($0, 6); next }
    /^tried: / { tried[++attempts] = substr($0, 8); said[attempts] = how; how = ""; next }
    /^log: / && attempts { logged[attempts] = logged[attempts] "       " substr($0, 6) "\n"; next }
    /^(not )?ok [0-9]+ given_/ {
        failed += /^not /
        name = $0
        sub(/^(not )?ok [0-9]+ /, "", name); sub(/ .*/, "", name); gsub(/_/, " ", name)
        print "\n## " toupper(substr(name, 1, 1)) substr(name, 2) "\n"
        if (!attempts) print "Nothing is refused here: what is begun ends as a whole, or not at all, and in its own name."
        for (at = 1; at <= attempts; at++) {
            print at ". `" tried[at] "`" said[at] "\n\n" logged[at]
            logged[at] = ""
        }
        all += attempts
        attempts = 0
    }
    END {
        print "\n" all " attempts were refused."
        exit failed > 0 || all < 20
    }
' | cat -s
