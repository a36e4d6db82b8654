#!/bin/bash
# Builds the virtual machine's root file system, kernel and initramfs, once per suite and version of this
# script, and prints the directory that holds them. Nothing of ours is in there.
#
#   tests/vm/image.sh [SUITE]
#
# SUITE is Debian's, `bookworm` when not said; `sid-bench` is sid with what counts instructions, and `sid-systemd` sid (or
# another suite) with systemd as its init and the hosts that need it. sid's kernel is bookworm's: what differs between the two
# machines then is what login loads. trixie has its own, and what systemd starts has trixie's, as polkit from version 127 on
# needs a newer one than 6.1.
set -euo pipefail
# The answer is the only thing on standard output.
exec 3>&1 >&2

here=$(dirname "$(readlink -f "$0")")
checkout=$(readlink -f "$here/../..")

variant=${1:-bookworm}
suite=${variant%%-*}
kernel_suite=bookworm
case $variant in trixie* | *-systemd) kernel_suite=trixie ;; esac
packages=sudo,login,passwd,libpam-modules,libpam-runtime,udev,kmod
packages+=,openssh-server,openssh-client     # a host that sets PAM_RHOST
packages+=,acl                              # a file that others may write by its ACL
packages+=,pamtester                        # any PAM service, without a program of ours
packages+=,fido2-tools,libpam-u2f,pamu2fcfg # the peers: libfido2's tools and pam-u2f
# The other sudo, where Debian has it as it is today.
[ "$suite" != sid ] || packages+=,sudo-rs
# A mail server, which delivers to /var/mail and asks nobody else; only where it is tried, and started there.
preseed=
if [ "$variant" = bookworm ]; then
    packages+=,postfix
    preseed='postfix postfix/main_mailer_type select Local only
postfix postfix/mailname string rig'
fi
# What would only make the others larger.
no_files=()
case $variant in
    *-bench) packages+=,valgrind ;;
    *-systemd)
        packages+=,systemd,systemd-sysv,dbus,libpam-systemd,cron
        packages+=,polkitd,pkexec
        packages+=,greetd
        packages+=,sway,swaylock,wtype # a locker, what it locks, and who types
        # What draws by other means than the processor.
        no_files=('/usr/lib/*/libLLVM*' '/usr/lib/*/libgallium*' '/usr/lib/*/libz3*' '/usr/lib/*/dri/*' '/usr/share/backgrounds/*'
            '/usr/share/fonts/truetype/dejavu/*-*' '/usr/libexec/glycin-loaders/*')
        ;;
esac
# In this order, with what they need: what the initramfs must load to reach the root.
boot_modules=(virtio_pci virtio_blk crc32c_generic ext4)
# In the root, for udev and modprobe: the emulated key's side of the kernel.
root_modules=(uhid hid-generic)

die() {
    echo "image.sh: $*"
    exit 1
}

for tool in mmdebstrap mke2fs cpio busybox modprobe depmod apt-get dpkg-deb xz; do
    command -v "$tool" >/dev/null || PATH=$PATH:/sbin:/usr/sbin command -v "$tool" >/dev/null ||
        die "$tool is missing; run tests/setup.sh"
done
PATH=$PATH:/sbin:/usr/sbin
[ "$(id -u)" = 0 ] || die "must run as root (mmdebstrap and mke2fs keep the owners of files)"

key=$(sha256sum "$(readlink -f "$0")" | cut -c 1-12)
image=$checkout/.cache/vm/$key-$variant
if [ -e "$image/complete" ]; then
    echo "$image" >&3
    exit 0
fi

# Another run may be building it. Two suites are built at the same time.
mkdir -p "$checkout/.cache/vm"
exec 9>"$checkout/.cache/vm/lock-$variant"
flock 9
if [ -e "$image/complete" ]; then
    echo "$image" >&3
    exit 0
fi

started=$SECONDS
# Images of other versions of this script; those of other suites stay.
find "$checkout/.cache/vm" -mindepth 1 -maxdepth 1 -type d -regex ".*/[0-9a-f]+-$variant" -exec rm -rf {} +
mkdir -p "$image"
work=$(mktemp -d "$checkout/.cache/vm/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The mirrors, their keyrings, proxies and certificates are those of this machine's own apt, so that
# the image can be built wherever packages can be installed. Where apt does not know the suite,
# mmdebstrap falls back to its own mirror.
{
    flock 8
    [ -n "$(apt-get indextargets 'Identifier: Packages' 'Origin: Debian')" ] ||
        apt-get update -q
} 8>"$checkout/.cache/vm/lock-apt"
mirrors=$(apt-get indextargets 'Identifier: Packages' 'Origin: Debian' | awk -v suite="$suite" '
    function flush() {
        if (codename == suite || index(codename, suite "-") == 1)
            print "deb " (key ? "[signed-by=" key "] " : "") uri " " codename " " component
        codename = component = uri = key = ""
    }
    $1 == "Codename:" { codename = $2 }
    $1 == "Component:" { component = $2 }
    $1 == "Repo-URI:" { uri = $2 }
    $1 == "Signed-By:" { key = $2 }
    NF == 0 { flush() }
    END { flush() }' | sort -u)
apt_options=()
while IFS= read -r line; do
    apt_options+=(--aptopt="$line")
done < <(apt-config dump Acquire | grep -iE '::(proxy|verify-|cainfo|check-valid-until|check-date)' || true)

echo "image.sh: building the root file system"
root=$work/root
hooks=()
# With the package lists that mmdebstrap has at that moment. It is not installed: a kernel package in a root
# without an initramfs of its own is only trouble.
export KERNEL_DIRECTORY=$work
# shellcheck disable=SC2016 # expanded in the hook
[ "$variant" != "$kernel_suite" ] || hooks=(--customize-hook='export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
    cd "$KERNEL_DIRECTORY"
    apt-get download -q -o APT::Sandbox::User=root "$(apt-cache depends --important linux-image-amd64 |
        sed -n "s/^ *Depends: \(linux-image-[0-9].*-amd64\)\$/\1/p" | head -n 1)"')
# Its postinst asks when the rest is installed, and debconf is there before.
export PRESEED=$preseed
# shellcheck disable=SC2016 # expanded in the hook
[ -z "$preseed" ] || hooks+=(--essential-hook='echo "$PRESEED" | chroot "$1" debconf-set-selections')
for pattern in "${no_files[@]}"; do
    hooks+=(--dpkgopt="path-exclude=$pattern")
done
arguments=(--quiet --variant=minbase --include="$packages" "${apt_options[@]}"
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*'
    --dpkgopt='path-exclude=/usr/share/locale/*' "${hooks[@]}" "$suite" "$root")
if [ -n "$mirrors" ]; then
    mmdebstrap "${arguments[@]}" - <<<"$mirrors"
else
    mmdebstrap "${arguments[@]}"
fi

# The kernel with the initramfs that reaches the root.
unpack_kernel() {
    dpkg-deb --extract "$work"/linux-image-*.deb "$work/kernel"
    # From Debian 13 on the modules are below /usr.
    [ -d "$work/kernel/lib" ] || ln -s usr/lib "$work/kernel/lib"
    version=$(basename "$work"/kernel/lib/modules/*)
    depmod -b "$work/kernel" "$version"

    # The files that loading `$@` needs, dependencies first.
    module_files() {
        local name
        for name in "$@"; do
            modprobe -d "$work/kernel" -S "$version" --show-depends "$name" |
                sed -n 's/^insmod \([^ ]*\).*/\1/p'
        done | awk '!seen[$0]++'
    }

    mkdir -p "$work/init/bin" "$work/init/modules" "$work/init"/{dev,proc,sys,root}
    cp "$(command -v busybox)" "$work/init/bin/busybox"
    count=100
    for file in $(module_files "${boot_modules[@]}"); do
        name=$count-$(basename "$file")
        cp "$file" "$work/init/modules/$name"
        case $name in *.xz) xz -d "$work/init/modules/$name" ;; esac
        count=$((count + 1))
    done
    cat >"$work/init/init" <<'INIT'
#!/bin/busybox sh
# From the initramfs to the root (vda) with the payload (vdb), whose init takes over.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do
    insmod "$module" || echo "vm: cannot load $module"
done
mount -t ext4 /dev/vda /root && mount -t ext4 -o ro /dev/vdb /root/payload ||
    { echo "vm: cannot mount the disks"; poweroff -f; }
mount --move /dev /root/dev
umount /proc /sys
# A root with an init of its own has a unit that runs it.
[ ! -L /root/sbin/init ] || exec switch_root /root /sbin/init
exec switch_root /root /bin/bash /payload/guest/init.sh
INIT
    mkdir "$work/init/sbin"
    ln -s /bin/busybox "$work/init/bin/sh"
    chmod 755 "$work/init/init"
    (cd "$work/init" && find . | cpio --quiet -o -H newc | gzip -1) >"$image/initramfs.img"
    cp "$work/kernel/boot/vmlinuz-$version" "$image/vmlinuz"
    # What every root gets of it.
    (cd "$work/kernel/lib/modules" && {
        module_files "${root_modules[@]}" | sed "s#^$PWD/##"
        printf '%s\n' "$version"/modules.{builtin,builtin.modinfo,order}
    } | tar -c -f "$image/modules.tar" --owner=0 --group=0 -T -)
    echo "$version" >"$image/kernel-version"
}

if [ "$variant" = "$kernel_suite" ]; then
    echo "image.sh: unpacking the kernel"
    unpack_kernel
else
    # Here and not before: it is likely to be there by now.
    kernel=$("$0" "$kernel_suite" 3>&- 9>&-)
    ln "$kernel"/{vmlinuz,initramfs.img,modules.tar,kernel-version} "$image"
fi
version=$(cat "$image/kernel-version")
mkdir -p "$root/payload" "$root/lib/modules"
tar -C "$root/lib/modules" -x -f "$image/modules.tar"
depmod -b "$root" "$version"

# What systemd starts: the scenarios, and nothing that they do not start themselves.
units() {
    local etc=$root/etc/systemd/system unit
    rm -rf "$etc"/{multi-user,graphical,timers,getty}.target.wants "$etc"/display-manager.service
    mkdir -p "$etc/multi-user.target.wants"
    ln -sf /usr/lib/systemd/system/multi-user.target "$etc/default.target"
    # The serial line is the scenarios', and an emulated machine takes half a minute for what nobody asks of it.
    for unit in serial-getty@ttyS0.service ldconfig.service kmod-static-nodes.service modprobe@.service \
        {dev-hugepages,dev-mqueue,sys-fs-fuse-connections,sys-kernel-{config,debug,tracing}}.mount \
        systemd-{hwdb-update,journal-catalog-update,journal-flush,modules-load,random-seed,sysusers}.service \
        systemd-{timesyncd,udev-load-credentials,udev-trigger,update-done}.service; do
        ln -sf /dev/null "$etc/$unit"
    done
    cat >"$etc/rig.service" <<'UNIT'
[Unit]
Description=The scenarios
After=dbus.socket systemd-logind.service systemd-user-sessions.service systemd-udevd.service

[Service]
Type=exec
ExecStart=/bin/bash /payload/guest/init.sh
StandardInput=null
StandardOutput=file:/dev/ttyS0
StandardError=inherit
UNIT
    ln -s ../rig.service "$etc/multi-user.target.wants/rig.service"
    # A machine that is not set up for the first time.
    sha256sum "$etc/rig.service" | cut -c 1-32 >"$root/etc/machine-id"
}
[ ! -L "$root/sbin/init" ] || units

echo "image.sh: writing the disk"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
kilobytes=$(du -sk "$root" | cut -f 1)
mke2fs -q -t ext4 -d "$root" -L root "$image/root.img" $((kilobytes * 5 / 4 + 131072))k >/dev/null
touch "$image/complete"
echo "image.sh: built $variant in $((SECONDS - started)) s (Linux $version)"
echo "$image" >&3
