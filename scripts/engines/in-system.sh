#!/bin/sh
# Runs a program in a folder that holds a system of its own (chroot), with this machine's devices and /tmp.
#
#   in-system.sh ROOT PROGRAM [arguments]
#
# Its mounts are seen by nobody else, and end with the program.
set -eu
if [ "${IN_SYSTEM:-}" != mounted ]; then
  [ "$(id -u)" = 0 ] || as_root=--map-root-user
  IN_SYSTEM=mounted exec unshare ${as_root:-} --mount sh "$0" "$@"
fi
unset IN_SYSTEM
root=$1
shift
mount --make-rprivate /
for part in proc sys dev tmp; do mount --rbind "/$part" "$root/$part"; done
exec chroot "$root" "$@"
