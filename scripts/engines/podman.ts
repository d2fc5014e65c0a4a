import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemPath } from './programs.ts'

/** Configures a Podman that keeps everything in one folder; returns its environment. */
export async function configurePodman(
  folder: string
): Promise<Record<string, string>> {
  const files = {
    CONTAINERS_CONF: [
      '[engine]',
      'cgroup_manager = "cgroupfs"',
      'events_logger = "file"',
      `events_logfile_path = "${folder}/events.log"`,
      '[containers]',
      'log_driver = "k8s-file"',
      // Podman's own defaults may exceed the machine's limits.
      'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]'
    ],
    CONTAINERS_STORAGE_CONF: [
      '[storage]',
      'driver = "overlay"',
      `graphroot = "${folder}/data"`,
      `runroot = "${folder}/run"`
    ],
    // The tests' registries have no certificate.
    CONTAINERS_REGISTRIES_CONF: [
      '[[registry]]',
      'location = "127.0.0.1"',
      'insecure = true'
    ]
  }
  await mkdir(join(folder, 'temporary'))
  await mkdir(join(folder, 'bin'))
  // Podman requires a firewall, though its private network needs none.
  for (const name of ['iptables', 'ip6tables'])
    await writeFile(
      join(folder, 'bin', name),
      '#!/bin/dash\n[ "$1" != --version ] || echo "iptables v1.8.9"\n',
      { mode: 0o755 }
    )
  const variables = await Promise.all(
    Object.entries(files).map(async ([name, lines]) => {
      const path = join(folder, `${name}.conf`)
      await writeFile(path, `${lines.join('\n')}\n`)
      return [name, path] as const
    })
  )
  return {
    ...Object.fromEntries(variables),
    NETAVARK_FW: 'iptables',
    PATH: `${join(folder, 'bin')}:${systemPath}`,
    HOME: folder,
    TMPDIR: join(folder, 'temporary')
  }
}
