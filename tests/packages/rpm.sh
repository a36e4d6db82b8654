#!/bin/bash
# Installs, upgrades and removes the RPM package with rpm itself, and tries the profile for authselect with libpam. The system
# is a Debian with rpm in it, whose database has no other package: what the package needs of others is not looked at here
# (--nodeps), and where libpam looks the module is put by a link.
#
#   tests/packages/rpm.sh [SUITE]
# shellcheck disable=SC2154
. "$(dirname "$(readlink -f "$0")")/lib.sh"

architecture=$(rpm --eval '%{_arch}')
package=/mnt/fidokey-$version-1.$architecture.rpm
upgrade=/mnt/fidokey-$newer-1.$architecture.rpm
so=/usr/lib64/security/pam_fidokey.so
profile=/usr/share/authselect/vendor/fidokey
calls=/root/calls

# What else the scripts call, where it is there, says with what.
stub() {
    local name
    for name in semanage restorecon systemctl; do
        printf '#!/bin/sh\necho "%s $*" >>%s\n' "$name" "$calls" >"$root/usr/bin/$name"
        chmod 755 "$root/usr/bin/$name"
    done
}
expect_called() { grep -qxF -- "$1" "$root$calls" || complain "not called: $1"; }
expect_not_called() { ! grep -qxF -- "$1" "$root$calls" || complain "called: $1"; }

installed() {
    stub
    : >"$root$calls"
    inside rpm --install --nodeps "$package"
    [ "$status" = 0 ] || complain "does not install: $output"
}
rpm_does() {
    : >"$root$calls"
    inside rpm "$@"
}
expect_installed() { [ "$(chroot "$root" rpm --query fidokey 2>&1)" = "$1" ] || complain "not installed: $1"; }

# I1
given_a_system_when_it_is_installed_then_no_stack_has_changed() {
    local before
    before=$(stacks)
    installed
    expect_said "Next: fidokey enroll"
    expect_same "$before" "$(stacks)"
    expect_installed "fidokey-$version-1.$architecture"
    expect_listed fidokey "$package"
    [ "$(stat -c %a "$root/var/lib/fidokey")" = 700 ] || complain "others look into /var/lib/fidokey"
    # What SELinux lets a login write, and what takes a change back.
    expect_called "semanage fcontext -a -t var_auth_t /var/lib/fidokey(/.*)?"
    expect_called "restorecon -R /var/lib/fidokey"
    expect_called "systemctl --no-reload enable fidokey-revert-boot.service"
    inside fidokey --version
    expect_said "fidokey $version"
}

# I6
given_a_stack_with_the_module_when_it_is_removed_then_refused_with_the_way_out() {
    local before
    installed
    use_in sudo
    before=$(stacks)
    rpm_does --erase fidokey
    expect_status 1
    expect_said "/etc/pam.d/sudo:2: auth [success=ok ignore=ignore default=die] pam_fidokey.so mode=second-factor"
    expect_said "fidokey disable sudo"
    expect_file "$so"
    expect_file /usr/bin/fidokey
    expect_same "$before" "$(stacks)"
    expect_installed "fidokey-$version-1.$architecture"
    expect_not_called "systemctl --no-reload disable fidokey-revert-boot.service"
    sed -i /pam_fidokey/d "$root/etc/pam.d/sudo"
    rpm_does --erase fidokey
    expect_status 0
    expect_no_file "$so"
    expect_called "systemctl --no-reload disable fidokey-revert-boot.service"
    expect_called "semanage fcontext -d /var/lib/fidokey(/.*)?"
}

# I6
given_the_profile_selected_when_it_is_removed_then_refused_with_the_way_out() {
    installed
    mkdir "$root/etc/authselect"
    printf 'fidokey\n' >"$root/etc/authselect/authselect.conf"
    rpm_does --erase fidokey
    expect_status 1
    expect_said "authselect select"
    # Another, made of it, with the feature.
    printf 'custom/ours\nwith-fidokey\n' >"$root/etc/authselect/authselect.conf"
    render with-fidokey system-auth "$root/etc/authselect/system-auth"
    ln -s /etc/authselect/system-auth "$root/etc/pam.d/system-auth"
    rpm_does --erase fidokey
    expect_status 1
    expect_said "authselect disable-feature with-fidokey"
    render without-nullok system-auth "$root/etc/authselect/system-auth"
    rpm_does --erase fidokey
    expect_status 0
    expect_no_file "$profile"
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
    rpm_does --upgrade --nodeps "$upgrade"
    expect_status 0
    expect_not_said Next:
    expect_installed "fidokey-$newer-1.$architecture"
    [ "$(stat -c %i "$root$so")" != "$old" ] || complain "written over"
    [ "$(stat -L -c %i /proc/self/fd/7)" = "$old" ] || complain "another file under the old descriptor"
    [ "$(sha256sum <&7)" = "$sum" ] || complain "the old module is not what it was"
    exec 7<&-
    expect_same "$before" "$(stacks; cat "$root$record")"
    expect_file /var/lib/fidokey/state
    # Neither switched on again nor taken from what SELinux knows.
    expect_not_called "systemctl --no-reload enable fidokey-revert-boot.service"
    expect_not_called "systemctl --no-reload disable fidokey-revert-boot.service"
    expect_not_called "semanage fcontext -d /var/lib/fidokey(/.*)?"
    # And back again.
    rpm_does --upgrade --oldpackage --nodeps "$package"
    expect_status 0
    expect_same "$before" "$(stacks; cat "$root$record")"
}

# I6
given_records_when_it_is_removed_then_they_stay() {
    installed
    register
    echo state >"$root/var/lib/fidokey/state"
    rpm_does --erase fidokey
    expect_status 0
    expect_file "$record"
    expect_file /etc/fidokey/config.toml
    expect_file /var/lib/fidokey/state
    expect_no_file /usr/bin/fidokey
    # Without records nothing is left.
    rm -r "$root/etc/fidokey" "$root/var/lib/fidokey"
    installed
    rpm_does --erase fidokey
    expect_no_file /etc/fidokey
    expect_no_file /var/lib/fidokey
    [ -z "$(find "$root/etc" "$root/usr" -name '*fidokey*')" ] || complain "left: $(find "$root/etc" "$root/usr" -name '*fidokey*')"
}

# What authselect makes of a template, as its manual has it: render FEATURES FILE INTO. A word in braces that is none
# of the three that are used would stay, and libpam deny.
render() {
    awk -v features=" $1 " '
        function has(name) { return index(features, " " name " ") > 0 }
        {
            if (match($0, /\{include if "[^"]*"\}/)) {
                if (!has(substr($0, RSTART + 13, RLENGTH - 15))) next
                $0 = substr($0, 1, RSTART - 1)
            } else if (match($0, /\{exclude if "[^"]*"\}/)) {
                if (has(substr($0, RSTART + 13, RLENGTH - 15))) next
                $0 = substr($0, 1, RSTART - 1)
            }
            while (match($0, /\{if not "[^"]*":[a-z]*\}/)) {
                split(substr($0, RSTART, RLENGTH), part, /["{}:]+/)
                $0 = substr($0, 1, RSTART - 1) (has(part[3]) ? "" : part[4]) substr($0, RSTART + RLENGTH)
            }
            print
        }' "$root$profile/$2" >"$3"
}
log_in() { inside sh -c "echo $1 | pamtester any alice authenticate"; }
granted='successfully authenticated'

# I12
given_the_profiles_features_when_a_login_is_tried_then_the_key_is_asked_for_after_the_password_alone() {
    local features library
    installed
    register
    library=/usr/lib/$(dpkg-architecture -q DEB_HOST_MULTIARCH)/security
    ln -s "$so" "$root$library/pam_fidokey.so"
    # The second is for logins from elsewhere, and asks for the same.
    cmp "$root$profile/system-auth" "$root$profile/password-auth" || complain "not the same"
    for features in "" "with-faillock without-nullok"; do
        render "$features" system-auth "$root/etc/pam.d/any"
        ! grep -q '[{}]' "$root/etc/pam.d/any" || complain "system-auth, $features: a word of authselect is left"
        log_in wrong
        expect_status 1
        log_in right
        expect_said "$granted"
        # With the key, which is not there: 1 s of waiting for it, after the password only.
        render "$features with-fidokey" system-auth "$root/etc/pam.d/any"
        log_in wrong
        expect_status 1
        expect_not_said "security key"
        log_in right
        expect_status 1
        expect_not_said "$granted"
        expect_said "security key"
        # An account without a key is left to the password, as the policy has it, and after a wrong one is not.
        mv "$root$record" "$root/root/record"
        log_in right
        expect_said "$granted"
        log_in wrong
        expect_status 1
        mv "$root/root/record" "$root$record"
        rm -rf "$root/run/faillock"
    done
    # authselect wants a title, and files that are not empty where they are there.
    [ -n "$(head -n 1 "$root$profile/README")" ] || complain "no title"
}

main "$0" "${1:-bookworm}"
