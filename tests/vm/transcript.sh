#!/bin/bash
# Makes a document of what the scenario `ten-minutes` has shown: its log on the standard input, Markdown on the standard output.
set -euo pipefail

cat <<'MD'
# The first ten minutes

What a terminal shows from a machine that nobody has set up to a second key that was lost and is taken out of the record, as
`make ten-minutes` has recorded it: Debian 12, its own sudo, and two emulated keys, which are touched when they blink. `#` is root's
prompt and `$` alice's; passwords are typed without an echo. The terminal is a dumb one, which shows no countdown. Each change
goes to alice by mail, too; `cred` is the short name of a credential, as the log has it.

```console
MD
awk '
    /^ok / || /^# Debian/ { next }
    /^[#$] / { on = 1 }
    /^=== |passed, / { on = 0 }
    on { print }
' | sed -e 's/[[:space:]]*$//' | cat -s | sed '${/^$/d}'
echo '```'
