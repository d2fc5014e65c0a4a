import { unpackSystem } from './packages.ts'

/** An engine to test on: the Debian release that has it, its packages, and the major version that is expected of it. */
export type Row = {
  name: string
  kind: 'docker' | 'podman'
  /** 0: whichever the machine has. */
  major: number
  /** Undefined: the one that the engine prefers. */
  store: string | undefined
  /** Undefined: that of this machine, without a system of its own. */
  suite: string | undefined
  packages: readonly string[]
}

const docker = ['docker.io', 'docker-cli', 'docker-buildx']
const podman = [
  ...['podman', 'netavark', 'aardvark-dns', 'crun', 'catatonit', 'dash']
]

/** The matrix; those that take long first. */
export const matrix: readonly Row[] = [
  row('docker', 28, 'containerd', 'sid', docker),
  row('docker', 28, 'overlay2', 'sid', docker),
  row('podman', 5, undefined, 'trixie', [
    ...podman,
    ...['docker-cli', 'docker-buildx']
  ]),
  row('docker', 20, 'overlay2', 'bookworm', ['docker.io']),
  row('podman', 4, undefined, 'bookworm', podman),
  row('docker', 26, 'overlay2', 'trixie', docker)
]

/** Where races and faults are tested: both stores of the newest Docker, and the newest Podman. */
export const newest = matrix.slice(0, 3)

/** The engine of this machine's distribution. */
export const own: Row = {
  ...{ name: 'own', kind: 'docker', major: 0 },
  ...{ store: undefined, suite: undefined, packages: [] }
}

function row(
  kind: Row['kind'],
  major: number,
  store: string | undefined,
  suite: string,
  packages: readonly string[]
): Row {
  const name = [kind, major, ...(store ? [store] : [])].join('-')
  return { name, kind, major, store, suite, packages }
}

/** Returns the folder of the system that a row's engine runs in, downloaded and unpacked where it is not there yet. */
export async function prepare({
  suite,
  packages
}: Row): Promise<string | undefined> {
  return suite === undefined ? undefined : unpackSystem(suite, packages)
}
