#!/bin/sh
# Runs a private engine in a folder, as root, until standard input ends; then ends it and removes every trace. Input
# also ends when whoever holds the other end is killed, so that nothing is ever left behind.
#
#   engine-keeper.sh DIR ROOT SIZE docker [dockerd options]
#   engine-keeper.sh DIR ROOT SIZE podman GROUP
#
# ROOT is a folder with a system of its own to run it in (chroot), or / for this one. SIZE is that of a disk of its own
# for the data, or empty; GROUP may use Podman's socket. A line `restart` on standard input starts the engine anew,
# after a SIGKILL.
# Meant to be started under `unshare --mount`, Podman with `--net`: its mounts and networks end with its last process.
set -u
dir=$1
root=$2
size=$3
kind=$4
shift 4
# Ctrl-C reaches whoever started this one: the end of the input tells.
trap '' INT TERM HUP

mount --make-rprivate /
if [ -n "$size" ]; then
  mkdir "$dir/data"
  mount -t tmpfs -o "size=$size" tmpfs "$dir/data"
fi
inside() { exec "$@"; }
if [ "$root" != / ]; then
  mount --bind "$root" "$root"
  for part in proc sys dev; do mount --rbind "/$part" "$root/$part"; done
  mkdir -p "$root$dir"
  mount --rbind "$dir" "$root$dir"
  inside() { exec chroot "$root" "$@"; }
fi

# A /run of its own: nothing of another engine is seen, and plugins of this one come from its folder.
mount -t tmpfs tmpfs "${root%/}/run"
mkdir -p "$dir/plugins" "${root%/}/run/docker/plugins"
mount --bind "$dir/plugins" "${root%/}/run/docker/plugins"

if [ "$kind" = podman ]; then
  # What rootful Podmans share, this one has of its own: locks, and what is remembered of registries.
  mount -t tmpfs tmpfs "$root/dev/shm"
  mkdir -p "$root/var/lib/containers"
  mount -t tmpfs tmpfs "$root/var/lib/containers"
  # Its runtime wants either version of cgroups, not both.
  umount "$root/sys/fs/cgroup/unified" 2>/dev/null
  ip link set lo up
  # Its network is that of this process: Podman's main thread can end up in a container's, and stay there.
  echo $$ >"$dir/network.pid"
  # Its server of names wants to know another one.
  [ -e "$root/etc/resolv.conf" ] || echo 'nameserver 127.0.0.1' >"$root/etc/resolv.conf"
  own_podman() {
    inside podman --root "$dir/data" --runroot "$dir/run" --tmpdir "$dir/libpod" --network-config-dir "$dir/networks" "$@"
  }
  start() {
    own_podman system service --time=0 "unix://$dir/docker.sock" >>"$dir/podman.log" 2>&1 </dev/null &
    engine=$!
    echo "$engine" >"$dir/podman.pid"
    until [ -S "$dir/docker.sock" ] || ! kill -0 "$engine" 2>/dev/null; do sleep 0.1; done
    chgrp "$1" "$dir/docker.sock" && chmod 660 "$dir/docker.sock"
  }
else
  inside containerd --config "$dir/containerd.toml" >"$dir/containerd.log" 2>&1 </dev/null &
  containerd=$!
  start() {
    inside dockerd --config-file "$dir/daemon.json" --containerd "$dir/containerd.sock" \
      --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/dockerd.pid" --host "unix://$dir/docker.sock" \
      --bridge=none --iptables=false --shutdown-timeout 1 "$@" >>"$dir/dockerd.log" 2>&1 </dev/null &
    engine=$!
  }
fi
start "$@"

while read -r order; do
  [ "$order" = restart ] || continue
  { kill -KILL "$engine" && wait "$engine"; } 2>/dev/null
  rm -rf "$dir/exec" "$dir/dockerd.pid" "$dir/docker.sock"
  start "$@"
done

# Ends a child, and waits until it is gone: by force after 15 s. It may have been stopped.
finish() {
  kill -TERM "$1"
  kill -CONT "$1"
  for _ in $(seq 150); do
    case $(sed -n 's/^State:[[:space:]]*//p' "/proc/$1/status") in
      [RSDTt]*) sleep 0.1 ;;
      *) break ;;
    esac
  done
  kill -KILL "$1"
  wait "$1"
} 2>/dev/null
# One that was stopped would not answer.
kill -CONT "$engine" 2>/dev/null
if [ "$kind" = podman ]; then
  finish "$engine"
  (own_podman unpause --all) >/dev/null 2>&1 </dev/null
  (own_podman pod rm --all --force --time 0) >/dev/null 2>&1 </dev/null
  # Podman 4 removes a container that others have joined only once these have gone.
  for _ in 1 2 3; do (own_podman rm --all --force --time 0) >/dev/null 2>&1 </dev/null; done
  find "$root/sys/fs/cgroup/" -depth -type d -path '*/libpod_parent*' -exec rmdir {} \; 2>/dev/null
else
  # Networks are devices of the host: dockerd takes its own back, and what one that was killed left goes by its name.
  export DOCKER_HOST="unix://$dir/docker.sock"
  {
    (inside docker container ls --all --quiet) | while read -r id; do (inside docker container rm --force "$id"); done
    (inside docker network prune --force)
  } >/dev/null 2>&1 </dev/null
  finish "$engine"
  grep -aoE 'br-[0-9a-f]{12}' "$dir/data/network/files/local-kv.db" 2>/dev/null | sort -u | while read -r bridge; do
    ip link delete "$bridge" 2>/dev/null
  done
  finish "$containerd"
fi
# What an engine that was killed left: the shims and monitors of its containers name the folder in their command lines.
for process in /proc/[0-9]*; do
  pid=${process#/proc/}
  if [ "$pid" != $$ ] && { tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null | grep -qF -e "$dir/containerd.sock" -e "$dir/data" -e "$dir/run"; then
    kill -KILL "$pid" 2>/dev/null
  fi
done
# The mounts, the innermost first.
cut -d ' ' -f 5 /proc/self/mountinfo | grep -F -- "$dir/" | sort -r | while read -r mounted; do
  umount --lazy "$mounted" 2>/dev/null
done
if [ "$root" != / ]; then
  umount --lazy "$root$dir" && rmdir "$root$dir"
fi
rm -rf "$dir"
