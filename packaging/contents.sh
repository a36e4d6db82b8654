#!/bin/sh
# What is in a package, one a line: mode, owner, name. Of the directories those that are ours.
set -eu

case $1 in
    *.deb)
        dpkg-deb --contents "$1" | awk '!/^d/ || /fidokey/ { sub(/^\./, "", $6); print $1, $2, $6 }' |
            sed "s#/$(dpkg-architecture -q DEB_HOST_MULTIARCH)/#/TRIPLET/#"
        ;;
    # Without the links of rpm's own to the builds.
    *.rpm)
        rpm --query --package --list --verbose "$1" 2>/dev/null |
            awk '/\.build-id/ { next } !/^d/ || /fidokey/ { print $1, $3 "/" $4, $9 (/^d/ ? "/" : "") }'
        ;;
esac
