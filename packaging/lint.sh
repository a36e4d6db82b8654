#!/bin/bash
# What is in the packages and what lintian and rpmlint say of them, into a file: lint.sh FILE. 1 where they complain. Makes
# nothing: `make package-lint` does before.
set -euo pipefail

into=$1
cd "$(dirname "$(readlink -f "$0")")/.."
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
deb=$(echo target/packages/libpam-fidokey_"$version"_*.deb)
rpm=$(echo target/packages/fidokey-"$version"-*.rpm)
spec=target/packages/build/fidokey-$version/packaging/rpm/fidokey.spec
status=0

{
    lintian=$(lintian --allow-root --fail-on error,warning --display-info --tag-display-limit 0 "$deb" 2>&1) || status=1
    rpmlint=$(rpmlint --config packaging/rpm/rpmlint.toml "$rpm" "$spec" 2>&1) || status=1
    cat <<HEAD
# The packages

\`make package-lint\` writes this: what is in each package, and what lintian and rpmlint say of it. What they are told to
leave out stands, with the reasons, in \`packaging/debian/libpam-fidokey.lintian-overrides\` and
\`packaging/rpm/rpmlint.toml\`. \`make packages-test\` holds the lists against what is installed.

## libpam-fidokey, for Debian

TRIPLET is the directory of the architecture, x86_64-linux-gnu for one.

<!-- files of libpam-fidokey -->
\`\`\`
$(packaging/contents.sh "$deb")
\`\`\`
<!-- end -->

It depends on:

\`\`\`
$(dpkg-deb --field "$deb" Depends | sed 's/, /\n/g')
\`\`\`

$(lintian --version) says:

\`\`\`
${lintian:-nothing}
\`\`\`

## fidokey, for systems with rpm

<!-- files of fidokey -->
\`\`\`
$(packaging/contents.sh "$rpm")
\`\`\`
<!-- end -->

$(rpmlint --version | sed 's/^/rpmlint /') says:

\`\`\`
$(echo "$rpmlint" | grep -E ': [EW]: |checked;' | sed 's/; has taken .*//')
\`\`\`
HEAD
} >"$into.new"
mv "$into.new" "$into"
[ "$status" = 0 ] || cat "$into" >&2
exit "$status"
