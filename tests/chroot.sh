#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# A fresh Debian in a directory, as root: chroot.sh make DIR [SUITE] | chroot.sh run DIR COMMAND...
#
# SUITE is stable by default.  $KBTF_CHROOT_WORK is a directory of this machine that a command finds
# as /mnt, and works in.
# Packages and pip's are fetched as this machine does, with its proxies and certificates; nothing
# else of it is seen inside.  What debootstrap made is kept, for a day.
set -euo pipefail

caches=${KBTF_TEST_CACHE:-$HOME/.cache/kbtf-tests}
authorities=/etc/ssl/certs/ca-certificates.crt

make() {
    local suite=${2:-stable}
    local cache=$caches/debian-$suite.tar
    if [ -z "$(find "$cache" -mtime -1 2>/dev/null)" ]; then
        mkdir -p "$(dirname "$cache")"
        fresh=$(mktemp -d "$cache.XXXXXX")
        trap 'rm -rf "$fresh"' EXIT
        local how=(--variant=minbase "$suite")
        debootstrap --foreign "${how[@]}" "$fresh/root" http://deb.debian.org/debian >&2
        # what is lost with the machine is made again: dpkg need not wait for the disk
        mkdir -p "$fresh/root/etc/dpkg/dpkg.cfg.d"
        echo force-unsafe-io >"$fresh/root/etc/dpkg/dpkg.cfg.d/90machine"
        chroot "$fresh/root" /debootstrap/debootstrap --second-stage >&2
        tar -C "$fresh/root" -cf "$fresh/tar" .
        mv "$fresh/tar" "$cache"
    fi
    mkdir -p "$1"
    tar -C "$1" -xf "$cache"
    cp /etc/resolv.conf "$1/etc/"
    if [ -e "$authorities" ]; then
        cp "$authorities" "$1/etc/authorities.crt"
    fi
    apt-config dump | grep '^Acquire::Check-' > "$1/etc/apt/apt.conf.d/90machine" || true
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
        if [ -n "${KBTF_CHROOT_WORK:-}" ]; then
            mount --bind "$KBTF_CHROOT_WORK" "$root/mnt"
            set -- env --chdir=/mnt "$@"
        fi
        exec chroot "$root" "$@"
    ' sh "$root" env -i HOME=/root LANG=C.UTF-8 TERM=dumb DEBIAN_FRONTEND=noninteractive \
        PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PIP_CERT=/etc/authorities.crt \
        PIP_DISABLE_PIP_VERSION_CHECK=1 ${http_proxy:+http_proxy="$http_proxy"} \
        ${https_proxy:+https_proxy="$https_proxy"} "$@"
}

"$@"
