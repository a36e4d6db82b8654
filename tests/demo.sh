#!/bin/bash
# Shows what fidokey is for: a registration, a login by touch, and what is denied. In the virtual machine
# where there can be one, through libpam in process elsewhere.
set -euo pipefail

stage=$1
checkout=$(readlink -f "$(dirname "$0")/..")
cd "$checkout"

why=
[ "$(id -u)" = 0 ] || why="this is not root, which the file system of the virtual machine needs"
for tool in qemu-system-x86_64 mmdebstrap; do
    command -v $tool >/dev/null || why="$tool is not there"
done
if [ -z "$why" ]; then
    echo "demo: a stock Debian in a virtual machine, with sudo, and with an emulated security key in its kernel"
    exec tests/vm/run.sh --install "$stage" demo
fi
echo "demo: no virtual machine here: $why."
echo "demo: the same through libpam in this process, with the same emulated key and without sudo:"
exec cargo test --quiet --locked -p fidokey-tests --test ring2 -- --exact --nocapture \
    demo::given_a_key_then_register_and_log_in
