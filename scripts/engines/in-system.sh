#!/bin/sh
# Runs a program in another system's folder (chroot), with this machine's devices and /tmp.
#
#   in-system.sh ROOT PROGRAM [arguments]
set -eu
# The mounts are private to the program and end with it.
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
