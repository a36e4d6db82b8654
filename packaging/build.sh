#!/bin/bash
# Makes a package in target/packages, of a source package that is made first: what git lists here, as it is here, and the
# crates of others, so that nothing is fetched while it is compiled. All packages are made in one directory, where it was
# unpacked; a second one finds what the first has compiled.
#
#   packaging/build.sh deb|rpm [VERSION]
#
# FIDOKEY_BUILT   a directory with the module and the command, to be packaged as they are: for tests, which have built them
#
# VERSION is that of Cargo.toml; another one, or "next" for the one after it, changes what the package says of itself, and
# nothing else, and is for tests of an upgrade.
set -euo pipefail

checkout=$(readlink -f "$(dirname "$(readlink -f "$0")")/..")
cd "$checkout"
FIDOKEY_BUILT=${FIDOKEY_BUILT:+$(readlink -f "$FIDOKEY_BUILT")}
export FIDOKEY_BUILT
own=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
kind=${1:?deb or rpm}
version=${2:-$own}
[ "$version" != next ] || version=${own%.*}.$((${own##*.} + 1))
packages=$checkout/target/packages
source=fidokey-$own
work=$packages/build
mkdir -p "$work"
exec 9>"$packages/lock"
flock 9

# rustup's compiler is found by these, and packages are built with another HOME; the compiler's flags have the second, so
# it must be the same for all of them.
export RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup} CARGO_HOME=${CARGO_HOME:-$HOME/.cargo}
# The date of what is packaged, not of the packaging.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH

# cargo sees by the times of our files whether one has changed, and all of them have that of the commit here: they become
# those of long ago or of now.
unpack() {
    local time=@0
    rm -rf "$work/old"
    [ ! -d "$work/$source" ] || mv "$work/$source" "$work/old"
    tar -C "$work" -x -f "$packages/$source.tar.gz"
    if [ -d "$work/old/target" ]; then
        diff -qr "$work/old/src" "$work/$source/src" >/dev/null || time=now
        mv "$work/old/target" "$work/$source/target"
    fi
    rm -rf "$work/old"
    find "$work/$source/src" -type f -exec touch --date="$time" {} +
}

# The source package, with what a packager of either kind looks for.
pack() {
    local tree=$work/pack/$source
    rm -rf "$work/pack"
    mkdir -p "$tree"
    git ls-files -z | tar -c --null --ignore-failed-read -T - | tar -C "$tree" -x
    (
        cd "$tree"
        mkdir -p .cargo
        cargo vendor --quiet --locked --versioned-dirs vendor >.cargo/config.toml
        printf '\n[net]\noffline = true\n' >>.cargo/config.toml
        cp -a packaging/debian debian
        changelog "$own" >debian/changelog
        sed -i "s/@VERSION@/$own/" packaging/rpm/fidokey.spec
    )
    tar -C "$work/pack" -c --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
        --mode=go=rX,u+rw "$source" | gzip -n -1 >"$packages/$source.tar.gz.new"
    mv "$packages/$source.tar.gz.new" "$packages/$source.tar.gz"
    rm -rf "$work/pack"
}

# Debian's list of changes, which is where its tools learn the version.
changelog() {
    printf 'fidokey (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md of the project.\n\n -- %s  %s\n' "$1" \
        "$(sed -n 's/^Maintainer: //p' packaging/debian/control)" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
}

deb() {
    cd "$work/$source"
    changelog "$version" >debian/changelog
    # The compiler is rustup's where Debian's is too old.
    profiles=()
    dpkg-query --show cargo >/dev/null 2>&1 || profiles=(--build-profiles=pkg.fidokey.rustup)
    # Without cleaning first: that would be compiling again.
    rm -rf debian/libpam-fidokey debian/.debhelper debian/files debian/debhelper-build-stamp
    dpkg-buildpackage -b -us -uc -nc "${profiles[@]}"
    mv "../libpam-fidokey_${version}_"*.deb "$packages"
    rm -f ../fidokey_*.buildinfo ../fidokey_*.changes
    ls "$packages/libpam-fidokey_${version}_"*.deb
}

rpm() {
    cd "$work/$source"
    # Debian's packages are in no database of rpm: --nodeps. libpam looks into lib64 where rpm is at home.
    rpmbuild -bb --build-in-place --nodeps --define "_topdir $work/rpm" --define "_rpmdir $packages" \
        --define "_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm" \
        --define "package_version $version" --define "_libdir /usr/lib64" \
        --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" \
        --define "_buildhost localhost" packaging/rpm/fidokey.spec
    ls "$packages/fidokey-${version}-"*.rpm
}

# All of it is the same while the source is, whatever is made of it.
inputs=$(git ls-files -z | xargs -0 sha256sum 2>/dev/null | sha256sum)
if [ "$(cat "$packages/inputs" 2>/dev/null)" != "$inputs" ] || [ ! -d "$work/$source" ]; then
    rm -f "$packages/inputs"
    pack
    unpack
    echo "$inputs" >"$packages/inputs"
fi
"$kind"
