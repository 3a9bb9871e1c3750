#!/bin/sh
# Run after a kernel was installed: reports whether its modules keep their BTF.  Never fails.
# Written by 'kbtf status --hook enable'; 'kbtf status --hook disable' removes it.

kbtf=@KBTF@

# Debian calls the scripts of /etc/kernel/postinst.d with RELEASE IMAGE, kernel-install its plugins
# with add|remove RELEASE DIRECTORY IMAGE.
case $1 in
    add) release=$2 ;;
    [0-9]*) release=$1 ;;
    *) exit 0 ;;
esac
if [ -x "$kbtf" ] && [ -d "/lib/modules/$release" ]; then
    exec 2>/dev/null
    "$kbtf" status -q --kernel "$release" </dev/null | head -n 3 || :
fi
exit 0
