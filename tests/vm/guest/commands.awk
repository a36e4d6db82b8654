# The commands that a text in Markdown shows, one a line, each once: the lines of code blocks, but for those in another
# language and for lines of PAM stacks, and the code spans of several words that are neither a setting nor begin with an option.

function found(command) {
    gsub(/[ \t]+/, " ", command)
    gsub(/^ | $/, "", command)
    if (command != "" && !(command in seen)) { seen[command]; print command }
}

function spans(text,    parts, count, i) {
    count = split(text, parts, "`")
    for (i = 2; i <= count; i += 2)
        if (parts[i] ~ /^[a-z][a-z0-9_.-]*[ \t]+[^ \t=]/) found(parts[i])
}

/^ *```/ {
    spans(paragraph); paragraph = ""
    fenced = !fenced
    shell = /```(sh|bash|console)? *$/
    next
}
fenced { if (shell) found($0); next }
/^    / && blank {
    spans(paragraph); paragraph = ""
    line = $0
    sub(/[ \t][ \t]+#.*$/, "", line)
    sub(/^ +/, "", line)
    if (line !~ /^(@include|auth|account|password|session)[ \t]/) found(line)
    next
}
/^[ \t]*$/ { spans(paragraph); paragraph = ""; blank = 1; next }
{ paragraph = paragraph " " $0; blank = 0 }
END { spans(paragraph) }
