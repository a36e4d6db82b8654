#!/bin/bash
# Builds what is installed a second time, from a copy of this checkout in another directory, with another home of cargo,
# umask, language and time zone: it must come to the same bytes as what `make` built here. What differs otherwise is
# for whoever verifies a build to have in common: the version of Rust, the C compiler's libraries, the processor's kind.
#
#   tests/reproducible.sh
set -euo pipefail
: "${CARGO_HOME:=$HOME/.cargo}"

checkout=$(readlink -f "$(dirname "$(readlink -f "$0")")/..")
cd "$checkout"
mkdir -p .cache
work=$(mktemp -d "$checkout/.cache/reproducible.XXXXXX")
trap 'rm -rf "$work"' EXIT

other=$work/a/place/with/a/longer/name
mkdir -p "$other"
tar -c --exclude=./target --exclude=./.cache --exclude=./.git . | tar -C "$other" -x
# The same sources by another name.
ln -s "$CARGO_HOME" "$work/cargo"

(
    cd "$other"
    umask 077
    CARGO_HOME=$work/cargo LC_ALL=tr_TR.UTF-8 TZ=Asia/Kathmandu make --no-print-directory build
)

rustc --version
status=0
for file in libpam_fidokey.so fidokey; do
    if cmp "target/release/$file" "$other/target/release/$file"; then
        sha256sum "target/release/$file"
    else
        status=1
    fi
done
exit "$status"
