#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Does what README says, block by block, as somebody would who has a kernel module and a machine
# that never saw kbtf; fails where a command does, or where its output is not what README shows.
#
#   tests/newcomer.sh          in a fresh Debian stable if this is root and has debootstrap, else
#                              in an empty directory and a new virtual environment
#   tests/newcomer.sh --here   the latter, with the headers of the kernel that runs
#
# Console blocks are compared but for releases, numbers, widths and pahole's notes of its version.
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

# README's blocks, in order, as FOLDER/NN.LANGUAGE.MARK; with the name of a file that is named in
# the line before ("... one file, `mark.py`:"), as FOLDER/NN.file.NAME.
blocks() {
    awk -v folder="$1" '
        /^```/ && inside { inside = 0; close(out); mark = named = ""; next }
        /^```/ { inside = 1; out = sprintf("%s/%02d.%s.%s", folder, ++n, language($0), mark) ; next }
        inside { print > out; next }
        /^<!-- test: / { mark = $0; gsub(/^<!-- test: | -->$/, "", mark); gsub(/ /, "_", mark); next }
        NF { named = file_of($0) }
        function file_of(line) {
            if (!match(line, /`[^`\/ ]+\.[a-z]+`[^`]*:$/)) return ""
            line = substr(line, RSTART + 1)
            return substr(line, 1, index(line, "`") - 1)
        }
        function language(line) {
            if (named) { mark = named; return "file" }
            return substr(line, 4) == "" ? "text" : substr(line, 4)
        }
    ' README.md
}

# Why a block is none for this trial; nothing if it is one.
why_not() {
    case $(cat "$1") in
        *insmod*) echo "takes a kernel that runs: tests/docs/test_readme.py boots one" ;;
        *old/boot*) echo "takes another kernel: tests/test_docs.py has it" ;;
        *pytest*) echo "is for whoever changes kbtf" ;;
        *"apt-get install"*) [ -z "${has_packages:-}" ] || echo "packages are installed already" ;;
    esac
}

inside() {
    cd "$(dirname "$0")/.."
    checkout=$PWD
    release=$(basename "$(realpath "/lib/modules/$(uname -r)")")
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
        # another machine has another kernel
        sed -i -E "s/[0-9]+\.[0-9]+\.[0-9]+\+deb[0-9]+-amd64/$release/g" "$block"
        try "$block"
    done
    echo "README holds"
}

# A module of the reader's own, which is also the one that README's sessions are on.
prepare_module() {
    mkdir -p "$module"
    cp examples/kfunc_module/kfunc_module.c "$module/mymodule.c"
    echo 'obj-m := mymodule.o' > "$module/Makefile"
}

try() {
    language=$(basename "$1" | cut -d. -f2)
    case $language in
        sh) (cd "$(place_of "$1")" && bash -euo pipefail "$1") ;;
        make) cp "$1" "$module/Makefile" && (cd "$module" && make && expect_btf && make clean) ;;
        file) cp "$1" "$module/$(basename "$1" | cut -d. -f3-)" ;;
        python) (cd "$module" && link_kernel && python "$1") ;;
        console) (cd "$module" && linked && session "$1") ;;
        *) echo "no way to try a block of $language"; exit 1 ;;
    esac
}

# kbtf is installed from where it was unpacked; all else happens where the module is.
place_of() {
    if grep -q 'venv\|apt-get' "$1"; then echo "$checkout"; else echo "$module"; fi
}

expect_btf() {
    kbtf show --json mymodule.ko | grep -q '"btf": "distilled"'
}

# kfunc_module.ko as README has it: with DWARF, without BTF.
linked() {
    [ ! -e kfunc_module.ko ] || return 0
    cp -r "$checkout/examples/kfunc_module" linked
    make -s -C "/lib/modules/$release/build" M="$PWD/linked" PAHOLE=true RESOLVE_BTFIDS=true \
        modules >/dev/null 2>&1
    cp linked/kfunc_module.ko .
}

link_kernel() {
    [ -e "/boot/vmlinuz-$release" ] ||
        ln -s "/lib/modules/$release/build/vmlinux" "/boot/vmlinuz-$release"
}

session() {
    local command shown
    while IFS= read -r -d '' part; do
        command=${part%%$'\n'*} shown=${part#*$'\n'}
        bash -euo pipefail -c "$command" > "$todo/.said" 2>"$todo/.errors" ||
            { echo "fails: $command"; cat "$todo/.said" "$todo/.errors"; exit 1; }
        if ! diff -u --label "README: $command" --label "here" \
            <(printf '%s' "$shown" | normalised) <(normalised < "$todo/.said"); then
            exit 1
        fi
    done < <(awk '/^\$ / { if (NR > 1) printf "%c", 0; print substr($0, 3); next } { print }
        END { printf "%c", 0 }' "$1")
}

normalised() {
    sed -E 's/[0-9]+\.[0-9]+\.[0-9]+[^ /]*/RELEASE/g; s/[0-9]+/N/g; s/ +/ /g; s/ $//' |
        grep -v -e '^ pahole N\.N:' -e '^$' || true
}

if [ "${1:-}" = --inside ]; then inside; else main "$@"; fi
