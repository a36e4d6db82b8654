#!/bin/bash
# Installs, upgrades, removes and purges the Debian package with dpkg itself, in a Debian of its own. What runs a login there is
# the real libpam.
#
#   tests/packages/deb.sh [SUITE]
# shellcheck disable=SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"

architecture=$(dpkg --print-architecture)
package=/mnt/libpam-fidokey_${version}_$architecture.deb
upgrade=/mnt/libpam-fidokey_${newer}_$architecture.deb
so=/usr/lib/$(dpkg-architecture -q DEB_HOST_MULTIARCH)/security/pam_fidokey.so

installed() {
    inside dpkg --install "$package"
    [ "$status" = 0 ] || complain "does not install: $output"
}

state() { chroot "$root" dpkg-query --show --showformat='${db:Status-Abbrev}' libpam-fidokey 2>/dev/null || echo none; }
expect_state() { [ "$(state)" = "$1" ] || complain "dpkg says '$(state)', not '$1'"; }

# pamtester asks for the password, and gets it.
log_in() { inside sh -c "echo $2 | pamtester $1 alice authenticate"; }
granted='successfully authenticated'

# I1
given_a_system_when_it_is_installed_then_no_stack_has_changed() {
    local before
    before=$(stacks)
    installed
    expect_said "Next: fidokey enroll"
    expect_same "$before" "$(stacks)"
    expect_state "ii "
    expect_listed libpam-fidokey "$package"
    [ -L "$root/etc/systemd/system/sysinit.target.wants/fidokey-revert-boot.service" ] || complain "not enabled"
    [ "$(stat -c %a "$root/var/lib/fidokey")" = 700 ] || complain "others look into /var/lib/fidokey"
    # Once more is nothing more, and no next step any longer.
    inside dpkg --install "$package"
    expect_status 0
    expect_not_said Next:
    expect_same "$before" "$(stacks)"
    inside fidokey --version
    expect_said "fidokey $version"
}

# I1
given_another_root_when_it_is_installed_there_then_this_one_stays_as_it_is() {
    local before inner=$root/srv/inner
    before=$(stacks)
    mkdir -p "$inner/var/lib/dpkg/info" "$inner/var/lib" "$inner/usr/share" "$inner/etc"
    cp -a "$root/etc/pam.d" "$inner/etc/"
    cp -a "$root/var/lib/pam" "$inner/var/lib/"
    cp -a "$root/usr/share/pam-configs" "$root/usr/share/pam" "$inner/usr/share/"
    touch "$inner/var/lib/dpkg/status"
    # debconf's, which pam-auth-update asks.
    mkdir -p "$inner/var/cache"
    cp -a "$root/etc/debconf.conf" "$inner/etc/"
    cp -a "$root/var/cache/debconf" "$inner/var/cache/"
    inside dpkg --root=/srv/inner --force-script-chrootless --force-depends --install "$package"
    expect_status 0
    expect_file /srv/inner/usr/bin/fidokey
    expect_same "$before" "$(stacks)"
    expect_same "$before" "$(cd "$inner/etc/pam.d" && sha256sum -- * | sort -k 2)"
    grep -qx fidokey "$inner/var/lib/pam/seen" || complain "the profile is not known there"
    expect_no_file /etc/fidokey
    [ -L "$inner/etc/systemd/system/sysinit.target.wants/fidokey-revert-boot.service" ] || complain "not enabled there"
    echo 'auth required pam_fidokey.so mode=second-factor' >"$inner/etc/pam.d/sudo"
    inside dpkg --root=/srv/inner --force-script-chrootless --force-depends --remove libpam-fidokey
    expect_status 1
    expect_said "/etc/pam.d/sudo:1: auth required pam_fidokey.so"
    rm "$inner/etc/pam.d/sudo"
    inside dpkg --root=/srv/inner --force-script-chrootless --force-depends --purge libpam-fidokey
    expect_status 0
    expect_no_file /srv/inner/etc/fidokey
}

# I12
given_the_profile_switched_on_when_the_password_is_right_and_no_key_there_then_denied() {
    local before
    before=$(stacks)
    installed
    printf '@include common-auth\n@include common-account\n' >"$root/etc/pam.d/any"
    register
    log_in any right
    expect_said "$granted"
    inside pam-auth-update --enable fidokey
    expect_status 0
    log_in any wrong
    expect_status 1
    log_in any right
    expect_status 1
    expect_not_said "$granted"
    # That it was the key and not another reason.
    inside fidokey test --user alice --service any -- mode=second-factor
    expect_said "denied: no_key"
    # An account without a key is left to the password, as the policy has it.
    mv "$root$record" "$root/root/record"
    log_in any right
    expect_said "$granted"
    mv "$root/root/record" "$root$record"
    # The module as good as gone.
    mv "$root$so" "$root$so.away"
    log_in any right
    expect_status 1
    mv "$root$so.away" "$root$so"
    # The way back.
    inside pam-auth-update --disable fidokey
    log_in any right
    expect_said "$granted"
    rm "$root/etc/pam.d/any"
    expect_same "$before" "$(stacks)"
}

# I6
given_a_stack_with_the_module_when_it_is_removed_then_refused_with_the_way_out() {
    local before
    installed
    use_in sudo
    before=$(stacks)
    inside dpkg --remove libpam-fidokey
    expect_status 1
    expect_said "/etc/pam.d/sudo:2: auth [success=ok ignore=ignore default=die] pam_fidokey.so mode=second-factor"
    expect_said "fidokey disable sudo"
    expect_file "$so"
    expect_file /usr/bin/fidokey
    expect_same "$before" "$(stacks)"
    expect_state "ri "
    inside dpkg --purge libpam-fidokey
    expect_status 1
    expect_file /etc/fidokey/users
    # Taken out: nothing holds it any longer.
    sed -i /pam_fidokey/d "$root/etc/pam.d/sudo"
    inside dpkg --remove libpam-fidokey
    expect_status 0
    expect_no_file "$so"
}

# I6
given_a_change_that_is_being_tried_when_it_is_removed_then_refused() {
    installed
    touch "$root/var/lib/fidokey-stacks/pending.toml"
    inside dpkg --remove libpam-fidokey
    expect_status 1
    expect_said "fidokey revert"
    expect_file "$so"
}

# I6: what pam-auth-update wrote, it takes out; removing a profile's package means that
given_the_profile_switched_on_when_it_is_removed_then_its_line_goes_first() {
    local before
    before=$(stacks)
    installed
    inside pam-auth-update --enable fidokey
    grep -q pam_fidokey.so "$root/etc/pam.d/common-auth" || complain "not switched on"
    inside dpkg --remove libpam-fidokey
    expect_status 0
    expect_said "logins ask for the password alone"
    expect_same "$before" "$(stacks)"
    expect_no_file "$so"
}

# I6: a refusal puts nothing in a state that nobody asked for
given_the_profile_and_a_line_by_hand_when_it_is_removed_then_refused_and_both_stay() {
    local before
    installed
    inside pam-auth-update --enable fidokey
    use_in sudo
    before=$(stacks)
    inside dpkg --remove libpam-fidokey
    expect_status 1
    expect_same "$before" "$(stacks)"
    grep -qx 'Module: fidokey' "$root/var/lib/pam/auth" || complain "the choice is lost"
    # The same where the line by hand is in a file that pam-auth-update writes, outside of its part …
    sed -i /pam_fidokey/d "$root/etc/pam.d/sudo"
    echo 'auth required pam_fidokey.so mode=second-factor' >>"$root/etc/pam.d/common-auth"
    before=$(stacks)
    inside dpkg --remove libpam-fidokey
    expect_status 1
    expect_said "fidokey disable common-auth"
    expect_same "$before" "$(stacks)"
    grep -qx 'Module: fidokey' "$root/var/lib/pam/auth" || complain "the choice is lost"
    # … and within it, where pam-auth-update changes nothing at all.
    sed -i '$d' "$root/etc/pam.d/common-auth"
    sed -i 's/^# end of pam-auth-update config/auth optional pam_warn.so\n&/' "$root/etc/pam.d/common-auth"
    before=$(stacks)
    inside dpkg --remove libpam-fidokey
    expect_status 1
    expect_said "/etc/pam.d/common-auth:"
    expect_same "$before" "$(stacks)"
    expect_file "$so"
}

# I7: whoever has the old module loaded keeps it whole
given_a_stack_with_the_module_when_it_is_upgraded_then_replaced_by_rename_and_all_else_stays() {
    local old sum before
    installed
    use_in sudo
    register
    echo state >"$root/var/lib/fidokey/state"
    before=$(stacks; cat "$root$record")
    old=$(stat -c %i "$root$so")
    sum=$(sha256sum <"$root$so")
    exec 7<"$root$so"
    inside dpkg --install "$upgrade"
    expect_status 0
    expect_not_said Next:
    [ "$(chroot "$root" dpkg-query --show --showformat='${Version}' libpam-fidokey)" = "$newer" ] || complain "not $newer"
    [ "$(stat -c %i "$root$so")" != "$old" ] || complain "written over"
    [ "$(stat -L -c %i /proc/self/fd/7)" = "$old" ] || complain "another file under the old descriptor"
    [ "$(sha256sum <&7)" = "$sum" ] || complain "the old module is not what it was"
    exec 7<&-
    expect_same "$before" "$(stacks; cat "$root$record")"
    expect_file /var/lib/fidokey/state
    # And back again.
    inside dpkg --install "$package"
    expect_status 0
    expect_same "$before" "$(stacks; cat "$root$record")"
}

given_the_unit_switched_off_when_it_is_upgraded_then_it_stays_off() {
    installed
    # As `systemctl disable` does.
    rm "$root/etc/systemd/system/sysinit.target.wants/fidokey-revert-boot.service"
    inside dpkg --install "$upgrade"
    expect_status 0
    expect_no_file /etc/systemd/system/sysinit.target.wants/fidokey-revert-boot.service
}

# I6
given_records_when_it_is_removed_then_they_stay_until_it_is_purged() {
    installed
    register
    echo state >"$root/var/lib/fidokey/state"
    inside dpkg --remove libpam-fidokey
    expect_status 0
    expect_file "$record"
    expect_file /etc/fidokey/config.toml
    expect_file /var/lib/fidokey/state
    expect_no_file /usr/bin/fidokey
    # A line that was put in since needs them once the package is back.
    use_in sudo
    inside dpkg --purge libpam-fidokey
    expect_status 0
    expect_said "/etc/pam.d/sudo:2:"
    expect_file "$record"
    # Purging without such a line takes all of it.
    rm "$root/etc/pam.d/sudo"
    installed
    inside dpkg --purge libpam-fidokey
    expect_status 0
    expect_no_file /etc/fidokey
    expect_no_file /var/lib/fidokey
    expect_no_file /etc/apparmor.d/abstractions/authentication.d/fidokey
    [ -z "$(find "$root/etc" "$root/var/lib/systemd" -name '*fidokey*')" ] || complain "left: $(find "$root/etc" -name '*fidokey*')"
    expect_state none
}

main "$0" "${1:-bookworm}"
