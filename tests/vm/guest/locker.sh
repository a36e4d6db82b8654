# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# A screen locker, which runs PAM as the user: swaylock in a compositor whose screen nobody sees, and a keyboard
# that is a program.

. /payload/guest/product.sh
cp /usr/share/doc/fidokey/examples/swaylock /etc/pam.d/swaylock
rm -f /etc/fidokey/users/*.toml
find /var/lib/fidokey -mindepth 1 -delete
register es256 alice
# The notice of it.
find /var/lib/fidokey -mindepth 1 -delete

runtime=/run/rig-alice
install -d -m 700 -o alice -g alice $runtime
# In an emulated machine a key that is typed seems to be held down.
printf '%s\n' 'xwayland disable' 'output * resolution 64x64' 'input * repeat_rate 0' >/run/sway.conf

# alice's programs, without the limit of `as`: a locker does not end by itself.
session=(setpriv --reuid=alice --regid=alice --init-groups env HOME=/home/alice XDG_RUNTIME_DIR="$runtime")
"${session[@]}" WLR_BACKENDS=headless WLR_RENDERER=pixman WLR_LIBINPUT_NO_DEVICES=1 \
    sway --config /run/sway.conf >/run/sway.out 2>&1 &
session+=(WAYLAND_DISPLAY=wayland-1)

# Locks, and returns once the screen is locked.
lock() {
    local until=$((SECONDS + 60))
    until [ -S $runtime/wayland-1 ] || [ $SECONDS -gt $until ]; do sleep 0.1; done
    rm -f /run/locked
    mkfifo /run/locked
    "${session[@]}" swaylock --ready-fd 5 5>/run/locked >/run/swaylock.out 2>&1 &
    locker=$!
    read -r -N 1 </run/locked
    last=swaylock output=$(cat /run/sway.out /run/swaylock.out)
    expect_locked
}

type_password() {
    "${session[@]}" wtype -s 200 -d 20 secret -k Return
}

expect_locked() {
    kill -0 "$locker" 2>/dev/null || complain "the screen is not locked: $(cat /run/swaylock.out)"
}

# Sets the locker's status once it has gone, or 124.
wait_for_unlock() {
    local until=$((SECONDS + 30))
    while kill -0 "$locker" 2>/dev/null && [ $SECONDS -le $until ]; do sleep 0.1; done
    status=124
    kill -0 "$locker" 2>/dev/null || { wait "$locker"; status=$?; }
}

# The verdict comes when the waits of the policy are over.
wait_for_verdict() {
    local until=$((SECONDS + 30))
    while [ -z "$(logged '')" ] && [ $SECONDS -le $until ]; do sleep 0.1; done
}

# By the signal that swaylock has for it: one that is killed leaves the screen locked.
give_up() {
    kill -USR1 "$locker"
    wait "$locker" 2>/dev/null
}

# BAR U11, S7.
given_a_touch_then_the_screen_is_unlocked_and_the_log_says_that_nothing_was_stored() {
    plug es256
    setfacl -m u:alice:rw "$(node es256)"
    lock
    type_password
    wait_for_unlock
    expect_status 0
    expect_logged 1 'result=granted code=0 .*user=alice uid=1000 .*service=swaylock .*state=not_root'
    expect_holds test -z "$(find /var/lib/fidokey -mindepth 1)"
    run key es256 transcript
    expect_count 1 touch
}

given_no_key_then_the_screen_stays_locked() {
    lock
    type_password
    wait_for_verdict
    expect_logged 1 'result=denied code=7 reason=no_key user=alice .*service=swaylock'
    expect_locked
    give_up
}

# BAR U10: a key that udev has given to somebody else.
given_a_key_that_alice_cannot_open_then_the_screen_stays_locked() {
    plug es256
    lock
    type_password
    wait_for_verdict
    expect_logged 1 'result=denied code=7 reason=key_inaccessible user=alice .*service=swaylock'
    expect_locked
    give_up
    run key es256 transcript
    expect_count 0 command
}
