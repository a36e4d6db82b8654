#!/bin/bash
# What is in the package for others to read, read by them: systemd's units, AppArmor's rules, polkit's action.
#
#   tests/packages/units.sh [SUITE]
# shellcheck disable=SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"

package=$packages/libpam-fidokey_${version}_$(dpkg --print-architecture).deb
units=/usr/lib/systemd/system

given_the_units_then_systemd_has_nothing_to_say() {
    dpkg-deb --extract "$package" "$root"
    # What they stand in is the machine's own; its other units are not what is looked at.
    cp -r "$units"/{sysinit,local-fs,shutdown}.target "$root$units/"
    printf '[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\nPrivateDevices=yes\nDevicePolicy=strict\n' \
        >"$root$units/polkit-agent-helper@.service"
    status=0
    output=$(systemd-analyze verify --root="$root" --man=no --recursive-errors=no \
        fidokey-revert.service fidokey-revert.timer fidokey-revert-boot.service polkit-agent-helper@1.service 2>&1) || status=$?
    expect_status 0
    [ -z "$output" ] || complain "something"
    # That it would have had.
    sed -i 's/^OnActiveSec.*/OnActiveSec=soon/' "$root$units/fidokey-revert.timer"
    output=$(systemd-analyze verify --root="$root" --man=no fidokey-revert.timer 2>&1) || :
    expect_said "Failed to parse timer value"
}

given_the_rules_then_apparmor_puts_them_into_a_profile_that_authenticates() {
    dpkg-deb --extract "$package" "$root"
    cp -a /etc/apparmor.d/{abi,abstractions,tunables} "$root/etc/apparmor.d/"
    printf '%s\n' 'abi <abi/3.0>,' 'include <tunables/global>' \
        'profile login /bin/login { include <abstractions/authentication> }' >"$root/root/profile"
    # Compiled, not loaded.
    status=0
    output=$(apparmor_parser --skip-kernel-load --skip-cache --base "$root/etc/apparmor.d" --debug "$root/root/profile" 2>&1) ||
        status=$?
    expect_status 0
    # In what came of it, each with its permissions.
    expect_said "/dev/hidraw"
    expect_said "/var/lib/fidokey/"
}

given_the_actions_then_users_are_asked_for_their_own_password_and_it_runs_as_root() {
    dpkg-deb --extract "$package" "$root"
    status=0
    output=$(python3 - "$root/usr/share/polkit-1/actions/org.fidokey.policy" <<'READ' 2>&1
import sys
import xml.etree.ElementTree as tree

for action in tree.parse(sys.argv[1]).getroot().iter("action"):
    defaults = {(each.tag, each.text) for each in action.find("defaults")}
    notes = {each.get("key"): each.text for each in action.iter("annotate")}
    print(action.get("id"), sorted(defaults), sorted(notes.values()))
READ
    ) || status=$?
    expect_status 0
    local verb
    for verb in enroll remove rename; do
        expect_said "org.fidokey.self-$verb [('allow_active', 'auth_self'), ('allow_any', 'auth_self'), ('allow_inactive', 'auth_self')] ['/usr/bin/fidokey', 'self-$verb']"
    done
    expect_file /usr/bin/fidokey
    expect_file /usr/share/polkit-1/rules.d/50-fidokey.rules
}

main "$0" "${1:-bookworm}"
