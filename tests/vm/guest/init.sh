#!/bin/bash
# Process 1 of the virtual machine, or the only unit of it where systemd is: sets up, runs the scenarios, reports and
# powers off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
cd /

power_off() {
    sync
    echo o >/proc/sysrq-trigger
    sleep 60
}

# What systemd does where it is process 1.
set_up_as_init() {
    mount -t proc proc /proc &&
        mount -t sysfs sysfs /sys &&
        mkdir -p /dev/pts /dev/shm &&
        mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts &&
        mount -t tmpfs -o mode=1777 tmpfs /dev/shm &&
        mount -t tmpfs -o mode=755 tmpfs /run &&
        mount -t tmpfs -o mode=1777 tmpfs /tmp &&
        mount -o remount,rw / || return 1
    ln -sf /proc/self/fd /dev/fd
    mkdir -p /run/lock
    /payload/busybox syslogd -O /run/syslog
    /lib/systemd/systemd-udevd --daemon >/dev/null 2>&1
}

# The journal, as the others have their log.
follow_journal() {
    mount -o remount,rw / || return 1
    : >/run/syslog
    journalctl --quiet --follow --no-tail --output=short --no-hostname >>/run/syslog &
}

cuts_power() {
    local scenario
    while read -r scenario; do
        grep -q '^ *cut_power' "/payload/guest/${scenario%%:*}.sh" && return
    done </payload/scenarios
    return 1
}

set_up() {
    if [ $$ = 1 ]; then set_up_as_init; else follow_journal; fi || return 1
    hostname rig
    echo "127.0.0.1 localhost rig" >/etc/hosts
    mkdir -p /run/sudo
    # A key has its memory to itself: one that waited for this machine's disk would be silent for as long as that takes. Where
    # the power is cut it has to be on a disk all the same.
    mkdir -p /var/keys
    cuts_power || mount -t tmpfs -o mode=755 tmpfs /var/keys || return 1

    modprobe uhid && modprobe hid-generic || return 1
    udevadm settle --timeout=30

    # What `make install` put there, over the root; directories that exist keep their owners and modes.
    tar -C /payload/root -c . | tar -C / -x --no-same-owner --no-overwrite-dir || return 1
    ln -sf /payload/key/fidokey-key /usr/local/bin/fidokey-key

    local name
    for name in alice bob; do
        # Not after a power cut.
        ! id "$name" >/dev/null 2>&1 || continue
        useradd --create-home --shell /bin/bash "$name" || return 1
        # The cheapest hash there is: Debian's own takes an emulated machine most of a second.
        usermod --password "$(perl -e 'print crypt("secret", q($5$rounds=1000$rig$))')" "$name" || return 1
    done
    {
        echo 'Defaults passwd_tries=1'
        echo 'alice ALL=(ALL:ALL) ALL'
        echo 'bob ALL=(ALL:ALL) ALL'
    } >/etc/sudoers.d/rig
    chmod 440 /etc/sudoers.d/rig
}

# The ends of the markers must stand at the beginning of a line.
echo
echo "=== begin"
if set_up; then
    # What the verdicts below hold for: the packages' versions, as libpam does not say its own.
    echo "# $(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release), Linux $(uname -r):" \
        "$(dpkg-query -W -f '${Package} ${Version}, ' libpam0g sudo sudo-rs util-linux login openssh-server \
            systemd polkitd greetd swaylock cron 2>/dev/null)"
    status=0
    while read -r scenario; do
        # After a colon, the sudo that is meant: `race:sudo-rs`.
        bash /payload/guest/lib.sh "/payload/guest/${scenario%%:*}.sh" "$(cut -s -d : -f 2 <<<"$scenario")" || status=1
    done </payload/scenarios
else
    echo "init.sh: the machine could not be set up"
    status=1
fi
echo
echo "=== end $status"
power_off
