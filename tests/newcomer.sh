#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Does what README says, block by block, as somebody would who has a kernel module and a machine
# that never saw kbtf; fails where a command does.
#
#   tests/newcomer.sh          in a fresh Debian stable if this is root and has debootstrap, else
#                              in an empty directory and a new virtual environment
#   tests/newcomer.sh --here   the latter, with the headers of the kernel that runs
#
set -euo pipefail

tests=$(cd "$(dirname "$0")" && pwd)
source=$(dirname "$tests")

main() {
    place=$(mktemp -d "${TMPDIR:-/tmp}/newcomer.XXXXXX")
    trap 'rm -rf --one-file-system "$place"' EXIT
    if [ "${1:-}" != --here ] && [ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null; then
        echo "== a fresh Debian stable"
        "$tests/chroot.sh" make "$place"
        copy_sources "$place/root/kbtf"
        equip "$place"
        "$tests/chroot.sh" run "$place" bash /root/kbtf/tests/newcomer.sh --inside
    else
        echo "== an empty directory of this machine; packages are taken to be installed"
        copy_sources "$place/kbtf"
        HOME=$place has_packages=yes bash "$place/kbtf/tests/newcomer.sh" --inside
    fi
}

copy_sources() {
    mkdir -p "$1"
    git -C "$source" ls-files -z --cached --others --exclude-standard |
        (cd "$source" && xargs -0 ls -d 2>/dev/null || true) | tar -C "$source" -cf - -T - | tar -C "$1" -xf -
}

# What README takes for granted: sudo, make, and the headers of the kernel that runs.
equip() {
    "$tests/chroot.sh" run "$1" apt-get install -qq --no-install-recommends \
        make linux-headers-amd64 >"$1/equip.log" 2>&1 || { tail "$1/equip.log"; exit 1; }
    printf '#!/bin/sh\nexec "$@"\n' > "$1/usr/local/bin/sudo"
    chmod +x "$1/usr/local/bin/sudo"
    # The kernel that runs is another machine's: its name leads to the headers that are there.
    local headers=("$1"/lib/modules/*)
    [ -e "$1/lib/modules/$(uname -r)" ] ||
        ln -s "$(basename "${headers[0]}")" "$1/lib/modules/$(uname -r)"
}

# README's blocks, in order, as DIRECTORY/NN.LANGUAGE.
blocks() {
    awk -v directory="$1" '
        /^```/ && inside { inside = 0; close(out); next }
        /^```/ { inside = 1; out = sprintf("%s/%02d.%s", directory, ++n, substr($0, 4)); next }
        inside { print > out }
    ' README.md
}

# Why a block is none for this trial; nothing if it is one.
why_not() {
    case $(cat "$1") in
        *insmod*) echo "takes a kernel that runs: tests/docs/test_readme.py boots one" ;;
        *"--kernel kernels"*) echo "takes another kernel: tests/test_docs.py has it" ;;
        *"apt-get install"*) [ -z "${has_packages:-}" ] || echo "packages are installed already" ;;
    esac
}

inside() {
    cd "$(dirname "$0")/.."
    checkout=$PWD
    module=$HOME/mymodule
    export PATH=$checkout/.venv/bin:$PATH  # as README says
    todo=$(mktemp -d)
    blocks "$todo"
    prepare_module
    for block in "$todo"/*; do
        reason=$(why_not "$block")
        if [ -n "$reason" ]; then
            echo "-- left out: $(head -n 1 "$block")  ($reason)"
            continue
        fi
        echo "== $(head -n 1 "$block")"
        try "$block"
    done
    echo "README holds"
}

# A module of the reader's own.
prepare_module() {
    mkdir -p "$module"
    cp examples/kfunc_module/kfunc_module.c "$module/mymodule.c"
    echo 'obj-m := mymodule.o' > "$module/Makefile"
}

try() {
    language=$(basename "$1" | cut -d. -f2)
    case $language in
        sh) (cd "$(place_of "$1")" && bash -euo pipefail "$1") && expect_btf_of "$1" ;;
        *) echo "no way to try a block of $language"; exit 1 ;;
    esac
}

# kbtf is installed from where it was unpacked; all else happens where the module is.
place_of() {
    if grep -q 'venv\|apt-get' "$1"; then echo "$checkout"; else echo "$module"; fi
}

expect_btf_of() {
    [ "$(place_of "$1")" = "$module" ] || return 0
    (cd "$module" && kbtf show --json mymodule.ko | grep -q '"btf": "distilled"')
}

if [ "${1:-}" = --inside ]; then inside; else main "$@"; fi
