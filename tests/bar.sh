#!/bin/sh
# Lists every statement of tests/BAR.md with the tests that name its number, and counts them. It proves
# nothing by itself: a number in a test that was never run is still a number. 1 where a statement has neither a test
# nor a line in docs/bar.md that says where it is shown or why not, or has both.
#
# A test names a number in a comment above or within it, in its own name, or, outside Rust, anywhere in
# its file. In src only what follows the first #[cfg(test)] counts, and the tests.rs files.
set -eu
cd "$(dirname "$0")/.."

found=$(mktemp)
trap 'rm -f "$found"' EXIT

find src tests -type f ! -path '*/target/*' ! -path '*/corpus/*' ! -path tests/BAR.md ! -path tests/bar.sh \
    -size -1024k -exec grep -Il . {} + | sort | while IFS= read -r file; do
    awk -v file="$file" '
        function name_all(text, test,    rest, number) {
            rest = text
            while (match(rest, /(^|[^A-Za-z0-9])(INV-[0-9]+|[FUKDCPQXGIES][0-9]+)([^A-Za-z0-9]|$)/)) {
                number = substr(rest, RSTART, RLENGTH)
                gsub(/[^A-Z0-9-]|^-|-$/, "", number)
                print number "\t" file (test == "" ? ":" FNR : " " test)
                # The character after the number may be the one before the next.
                rest = substr(rest, RSTART + RLENGTH - 1)
                if (length(rest) <= 1) break
            }
        }
        BEGIN { rust = file ~ /\.rs$/; counts = file ~ /^tests\// || file ~ /tests\.rs$/ }
        !rust { if (counts) name_all($0, ""); next }
        /#\[cfg\(test\)\]/ { counts = 1 }
        !counts { next }
        # Comments wait for the next function; when other code comes first they belong to this one.
        /^[ \t]*\/\// { waiting = waiting " " $0; next }
        match($0, /^[ \t]*(pub(\([a-z]+\))? )?(async )?fn [a-z0-9_]+/) {
            test = substr($0, RSTART, RLENGTH); sub(/.*fn /, "", test)
            name = test; gsub(/_/, " ", name); sub(/^inv /, "inv-", name)
            name_all(waiting, test); name_all(toupper(name), test); waiting = ""; next
        }
        /^[ \t]*#\[/ || /^[ \t]*$/ { next }
        {
            name_all(waiting, test); waiting = ""
            if (match($0, /[ \t]\/\/.*/)) name_all(substr($0, RSTART), test)
            if (match($0, /"(INV-[0-9]+|[FUKDCPQXGIES][0-9]+)[" :,]/)) name_all(substr($0, RSTART, RLENGTH), test)
        }
    ' "$file"
done | sort -u >"$found"

awk -F '\t' '
    FILENAME == ARGV[1] { tests[$1] = tests[$1] "\n        " $2; next }
    !match($0, /^\| (INV-[0-9]+|[A-Z][0-9]+) \|/) { next }
    { number = substr($0, 3, RLENGTH - 4); statement = substr($0, RLENGTH + 2); sub(/ \|$/, "", statement) }
    FILENAME == ARGV[2] { elsewhere[number] = statement; next }
    {
        known[number] = 1; total++
        if (number in tests) { proven++; print number "  " statement tests[number] }
        else if (number in elsewhere) print number "  " statement "\n        docs/bar.md: " elsewhere[number]
        else wrong("neither a test nor a line in docs/bar.md: " number "  " statement)
        if (number in tests && number in elsewhere) wrong("a test, and a line in docs/bar.md: " number)
    }
    function wrong(text) { print text; bad = 1 }
    END {
        for (number in tests) if (!(number in known)) print "not in tests/BAR.md: " number tests[number]
        for (number in elsewhere) if (!(number in known)) wrong("not in tests/BAR.md, but in docs/bar.md: " number)
        printf "%d of %d statements have a test; docs/bar.md says where the others stand\n", proven, total
        exit bad
    }
' "$found" docs/bar.md tests/BAR.md
