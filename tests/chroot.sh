#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# A fresh Debian stable in a directory, as root: chroot.sh make DIR | chroot.sh run DIR COMMAND...
#
# Packages and pip's are fetched as this machine does, with its proxies and certificates; nothing
# else of it is seen inside.  What debootstrap made is kept, for a day.
set -euo pipefail

cache=${KBTF_TEST_CACHE:-$HOME/.cache/kbtf-tests}/debian-stable.tar
authorities=/etc/ssl/certs/ca-certificates.crt

make() {
    if [ -z "$(find "$cache" -mtime -1 2>/dev/null)" ]; then
        mkdir -p "$(dirname "$cache")"
        fresh=$(mktemp -d "$cache.XXXXXX")
        trap 'rm -rf "$fresh"' EXIT
        debootstrap --variant=minbase stable "$fresh/root" http://deb.debian.org/debian >&2
        tar -C "$fresh/root" -cf "$fresh/tar" .
        mv "$fresh/tar" "$cache"
    fi
    mkdir -p "$1"
    tar -C "$1" -xf "$cache"
    cp /etc/resolv.conf "$1/etc/"
    if [ -e "$authorities" ]; then
        cp "$authorities" "$1/etc/authorities.crt"
    fi
    # a person at the keyboard would say yes
    echo 'APT::Get::Assume-Yes "true";' > "$1/etc/apt/apt.conf.d/90yes"
    chroot "$1" apt-get update -qq
}

run() {
    local root=$1
    shift
    # mounts that nobody else sees, and that are gone with the last process
    unshare --mount --pid --fork sh -eu -c '
        root=$1
        shift
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        exec chroot "$root" "$@"
    ' sh "$root" env -i HOME=/root LANG=C.UTF-8 TERM=dumb DEBIAN_FRONTEND=noninteractive \
        PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PIP_CERT=/etc/authorities.crt \
        PIP_DISABLE_PIP_VERSION_CHECK=1 ${http_proxy:+http_proxy="$http_proxy"} \
        ${https_proxy:+https_proxy="$https_proxy"} "$@"
}

"$@"
