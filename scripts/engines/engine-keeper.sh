#!/bin/sh
# Runs a private engine in DIR, as root, until standard input ends, then stops it and removes every trace. Standard input
# also ends when its writer is killed, so nothing is ever left behind.
#
#   engine-keeper.sh DIR ROOT SIZE STORE_SIZE docker [dockerd options]
#   engine-keeper.sh DIR ROOT SIZE STORE_SIZE podman GROUP
#
# ROOT is the folder of the system to run it in (chroot), or /. SIZE is that of a separate disk for the data, and
# STORE_SIZE that of another one for containerd's; either may be empty.
# GROUP may use Podman's socket. A line `restart` on standard input kills the engine and starts it again.
# Start it with `unshare --mount`, and Podman also with `--net`, so that mounts and networks end with its last process.
set -u
dir=$1
root=$2
size=$3
store_size=$4
kind=$5
shift 5
# Ctrl-C ends the process that started this one, and with it standard input.
trap '' INT TERM HUP

mount --make-rprivate /
if [ -n "$size" ]; then
  mkdir "$dir/data"
  mount -t tmpfs -o "size=$size" tmpfs "$dir/data"
fi
if [ -n "$store_size" ]; then
  mkdir -p "$dir/data/containerd"
  mount -t tmpfs -o "size=$store_size" tmpfs "$dir/data/containerd"
fi
inside() { exec "$@"; }
if [ "$root" != / ]; then
  mount --bind "$root" "$root"
  for part in proc sys dev; do mount --rbind "/$part" "$root/$part"; done
  mkdir -p "$root$dir"
  mount --rbind "$dir" "$root$dir"
  inside() { exec chroot "$root" "$@"; }
fi

# A private /run hides other engines and their plugins.
mount -t tmpfs tmpfs "${root%/}/run"
mkdir -p "$dir/plugins" "${root%/}/run/docker/plugins"
mount --bind "$dir/plugins" "${root%/}/run/docker/plugins"

if [ "$kind" = podman ]; then
  # Rootful Podmans share their locks and a cache of registries, which are in these folders.
  mount -t tmpfs tmpfs "$root/dev/shm"
  mkdir -p "$root/var/lib/containers"
  mount -t tmpfs tmpfs "$root/var/lib/containers"
  # crun rejects a mix of both cgroup versions.
  umount "$root/sys/fs/cgroup/unified" 2>/dev/null
  ip link set lo up
  # Podman's own process may stay in the network of a container, so this one identifies the network.
  echo $$ >"$dir/network.pid"
  # aardvark-dns needs an upstream server.
  [ -e "$root/etc/resolv.conf" ] || echo 'nameserver 127.0.0.1' >"$root/etc/resolv.conf"
  own_podman() {
    inside podman --root "$dir/data" --runroot "$dir/run" --tmpdir "$dir/libpod" --network-config-dir "$dir/networks" "$@"
  }
  start_engine() {
    own_podman system service --time=0 "unix://$dir/docker.sock" >>"$dir/podman.log" 2>&1 </dev/null &
    engine=$!
    echo "$engine" >"$dir/podman.pid"
    until [ -S "$dir/docker.sock" ] || ! kill -0 "$engine" 2>/dev/null; do sleep 0.1; done
    chgrp "$1" "$dir/docker.sock" && chmod 660 "$dir/docker.sock"
  }
else
  inside containerd --config "$dir/containerd.toml" >"$dir/containerd.log" 2>&1 </dev/null &
  containerd=$!
  start_engine() {
    inside dockerd --config-file "$dir/daemon.json" --containerd "$dir/containerd.sock" \
      --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/dockerd.pid" --host "unix://$dir/docker.sock" \
      --bridge=none --iptables=false --shutdown-timeout 1 "$@" >>"$dir/dockerd.log" 2>&1 </dev/null &
    engine=$!
  }
fi
start_engine "$@"

while read -r order; do
  [ "$order" = restart ] || continue
  { kill -KILL "$engine" && wait "$engine"; } 2>/dev/null
  rm -rf "$dir/exec" "$dir/dockerd.pid" "$dir/docker.sock"
  start_engine "$@"
done

# Terminates a child, which may be suspended, and kills it after 15 s.
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
# A suspended engine does not answer.
kill -CONT "$engine" 2>/dev/null
if [ "$kind" = podman ]; then
  finish "$engine"
  (own_podman unpause --all) >/dev/null 2>&1 </dev/null
  (own_podman pod rm --all --force --time 0) >/dev/null 2>&1 </dev/null
  # Podman 4 removes a container only after those that share its network.
  for _ in 1 2 3; do (own_podman rm --all --force --time 0) >/dev/null 2>&1 </dev/null; done
  find "$root/sys/fs/cgroup/" -depth -type d -path '*/libpod_parent*' -exec rmdir {} \; 2>/dev/null
else
  # Bridges belong to the host. dockerd deletes its own, but not those from before it was killed.
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
# A killed engine leaves shims and monitors, which have the folder in their command lines.
for process in /proc/[0-9]*; do
  pid=${process#/proc/}
  if [ "$pid" != $$ ] && { tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null | grep -qF -e "$dir/containerd.sock" -e "$dir/data" -e "$dir/run"; then
    kill -KILL "$pid" 2>/dev/null
  fi
done
# Reverse order unmounts the innermost first.
cut -d ' ' -f 5 /proc/self/mountinfo | grep -F -- "$dir/" | sort -r | while read -r mounted; do
  umount --lazy "$mounted" 2>/dev/null
done
if [ "$root" != / ]; then
  umount --lazy "$root$dir" && rmdir "$root$dir"
fi
rm -rf "$dir"
