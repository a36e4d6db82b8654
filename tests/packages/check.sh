#!/bin/bash
# The check that the packages make before the module goes (packaging/scripts/still-referenced), with every way in which a
# line can name it, and those in which one does not. I6
set -euo pipefail

checkout=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# Every shell that a package's script may meet here: it must say the same.
shells=(sh bash)
! command -v busybox >/dev/null || shells+=("busybox sh")

# expect STATUS WHAT [SAID]: of the files in $work/root
expect() {
    local shell output status
    for shell in "${shells[@]}"; do
        status=0
        output=$($shell "$checkout/packaging/scripts/still-referenced" "$work/root" ${prefix:+"$prefix"} 2>&1) || status=$?
        if [ "$status" = "$1" ] && [[ $output = *"${3:-}"* ]] && { [ "$1" != 0 ] || [ -z "$output" ]; }; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            echo "not ok: $2, by $shell: $status, not $1; said: $output"
        fi
    done
}

fresh() {
    rm -rf "$work/root"
    mkdir -p "$work/root/etc/pam.d"
}
put() {
    mkdir -p "$(dirname "$work/root$1")"
    printf '%b' "$2" >"$work/root$1"
}

fresh
expect 0 "nothing at all"

while IFS= read -r text; do
    fresh
    put /etc/pam.d/sudo "#%PAM-1.0\n\n$text"
    expect 1 "$text" "/etc/pam.d/sudo:3:"
    expect 1 "$text" "fidokey disable sudo"
done <<'LINES'
auth required pam_fidokey.so\n
auth required pam_fidokey.so
-auth required pam_fidokey.so\n
\tauth\trequired\tpam_fidokey.so\tmode=second-factor\n
auth [success=ok ignore=ignore default=die] pam_fidokey.so mode=second-factor\n
auth [success=1 default=ignore] /usr/lib/x86_64-linux-gnu/security/pam_fidokey.so\n
auth required /lib/security/pam_fidokey.so # the key\n
auth required [/a place/pam_fidokey.so]\n
auth required \\\\\n pam_fidokey.so\n
auth \\\\\n required \\\\  \n\n# in between\n pam_fidokey.so mode=second-factor\n
auth required pam_fidokey.so \\\\
AUTH REQUIRED pam_fidokey.so\n
LINES

while IFS= read -r text; do
    fresh
    put /etc/pam.d/sudo "$text"
    expect 0 "$text"
done <<'LINES'
# auth required pam_fidokey.so\n
   # auth required pam_fidokey.so\n
auth required pam_unix.so # and not pam_fidokey.so\n
# a comment ends with its line \\\\\n auth required pam_unix.so\n
auth required pam_unix.so # so does this \\\\\n# pam_fidokey.so\n
auth required my_pam_fidokey.so\n
auth required pam_fidokey.so.old\n
auth required pam_fidokey_so\n
LINES

# A comment does not go on in the next line: that one counts.
fresh
put /etc/pam.d/sudo '# out \\\nauth required pam_fidokey.so\n'
expect 1 "a line after a comment with a backslash" "/etc/pam.d/sudo:2:"

for file in /usr/lib/pam.d/sudo /usr/etc/pam.d/sudo /etc/pam.conf /etc/pam.d/deep/er; do
    fresh
    put "$file" "sudo auth required pam_fidokey.so\n"
    expect 1 "$file" ":1:"
done

# What is included by its path is looked at, wherever it is, and once.
fresh
put /etc/pam.d/sudo "@include /srv/one\n"
put /srv/one "auth include /srv/two\nauth substack /srv/one\n"
put /srv/two "auth required pam_fidokey.so\n"
expect 1 "included by its path" "/srv/two:1:"
put /srv/two "auth required pam_unix.so\n"
expect 0 "included, without it"

# authselect's files are links out of /etc/pam.d, absolute, and are looked for below the root.
fresh
put /etc/authselect/system-auth "auth required pam_fidokey.so\n"
ln -s /etc/authselect/system-auth "$work/root/etc/pam.d/system-auth"
expect 1 "a link" "/etc/authselect/system-auth:1:"
expect 1 "a link" "authselect disable-feature with-fidokey"
fresh
put /etc/authselect/authselect.conf "fidokey\nwith-faillock\n"
expect 1 "authselect's profile is ours" "authselect select"
put /etc/authselect/authselect.conf "sssd\n"
expect 0 "authselect's profile is another"

fresh
put /var/lib/fidokey-stacks/pending.toml ""
expect 1 "a change that is being tried" "fidokey revert"

# What pam-auth-update will take out itself is left out by its prefix, and nothing else.
fresh
put /etc/pam.d/common-auth "auth required pam_fidokey.so\n"
prefix=common- expect 0 "common-auth left out"
expect 1 "common-auth" "/etc/pam.d/common-auth:1:"
put /etc/pam.d/sudo "auth required pam_fidokey.so\n"
prefix=common- expect 1 "sudo beside it" "/etc/pam.d/sudo:1:"

# What cannot be read is not known to be without it. Root reads everything, so nobody looks here.
fresh
put /etc/pam.d/sudo "auth required pam_unix.so\n"
chmod 755 "$work"
chmod 000 "$work/root/etc/pam.d/sudo"
shells=("setpriv --reuid=65534 --regid=65534 --clear-groups sh")
expect 2 "a file that cannot be read"
chmod 644 "$work/root/etc/pam.d/sudo"
expect 0 "the same file when it can be"

echo "$passed passed, $failed failed: what names the module"
[ "$failed" = 0 ]
