import { unpackSystem } from './packages.ts'

/** An engine to test on. */
export type Row = {
  name: string
  kind: 'docker' | 'podman'
  /** Expected major version; 0: any. */
  major: number
  /** Image store; undefined: the engine's default. */
  store: string | undefined
  /** Debian release that has the packages; undefined: run this machine's engine. */
  suite: string | undefined
  packages: readonly string[]
}

const docker = ['docker.io', 'docker-cli', 'docker-buildx']
const podman = [
  ...['podman', 'netavark', 'aardvark-dns', 'crun', 'catatonit', 'dash']
]

/** All engines, the slowest to test first. */
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

/** Both stores of the newest Docker, and the newest Podman. */
export const newest = matrix.slice(0, 3)

/** This machine's engine. */
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

/** Downloads and unpacks a row's system if needed, and returns its folder. */
export async function prepare({
  suite,
  packages
}: Row): Promise<string | undefined> {
  return suite === undefined ? undefined : unpackSystem(suite, packages)
}
