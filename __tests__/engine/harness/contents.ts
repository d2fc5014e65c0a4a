import { expect } from '@jest/globals'
import type { Api } from '../../../scripts/engines/api.ts'
import { familiar } from './report.ts'
import { podman } from './target.ts'

// Uses the engine's socket, since starting a CLI between tests is slow.

/** The names of containers, networks and volumes, and the IDs and references of images. */
export type Contents = {
  containers: string[]
  images: string[]
  references: string[]
  networks: string[]
  volumes: string[]
}

type Container = { Id: string; Names: string[]; State: string }
type Image = { Id: string; RepoTags: string[] | null }
type Network = { Id: string; Name: string }
type Volumes = { Volumes: { Name: string }[] | null }

const list = {
  containers: (api: Api) => api.get<Container[]>('/containers/json?all=1'),
  images: (api: Api) => api.get<Image[]>('/images/json?all=1'),
  networks: async (api: Api) => {
    const networks = await api.get<Network[]>('/networks')
    const builtIn = ['bridge', 'host', 'none', ...(podman ? ['podman'] : [])]
    return networks.filter(({ Name }) => !builtIn.includes(Name))
  },
  volumes: async (api: Api) =>
    (await api.get<Volumes>('/volumes')).Volumes ?? []
}

export async function readContents(api: Api): Promise<Contents> {
  const [containers, images, networks, volumes] = await Promise.all([
    list.containers(api),
    list.images(api),
    list.networks(api),
    list.volumes(api)
  ])
  return {
    containers: containers
      .map(({ Names: [name = ''] }) => name.slice(1))
      .sort(),
    images: [...new Set(images.map(({ Id }) => Id))].sort(),
    references: images
      .flatMap(({ RepoTags }) => RepoTags ?? [])
      .filter((reference) => !/@|<none>/.test(reference))
      .map(familiar)
      .sort(),
    networks: [
      ...networks.map(({ Name }) => Name),
      ...(podman ? ['podman'] : [])
    ].sort(),
    volumes: volumes.map(({ Name }) => Name).sort()
  }
}

/** Lists all containers as `name state`. */
export async function readStates(api: Api): Promise<string[]> {
  const containers = await list.containers(api)
  return containers
    .map(({ Names: [name = ''], State }) => `${name.slice(1)} ${State}`)
    .sort()
}

/** Returns `all` without `gone`, which it must contain. */
export function without(all: string[], ...gone: string[]): string[] {
  expect(all).toEqual(expect.arrayContaining(gone))
  return all.filter((one) => !gone.includes(one))
}

/** Removes everything from a private engine except `busybox:1`; returns whether that image exists. */
export async function empty(api: Api): Promise<boolean> {
  await removeAll(
    () => list.containers(api),
    async ({ Id, State }) => {
      // Podman would wait 10 s for it to stop, and cannot kill a paused container.
      if (State === 'paused')
        await api.post(`/containers/${Id}/unpause`).catch(() => undefined)
      await api.post(`/containers/${Id}/kill`).catch(() => undefined)
      await api.remove(`/containers/${Id}?force=1&v=1`)
    }
  )
  let found = false
  const others = async () => {
    const images = await list.images(api)
    const ours = images.find(isBusybox)
    found = ours !== undefined
    return images.filter((one) => one.Id !== ours?.Id)
  }
  await Promise.all([
    // A parent can be removed only after its children.
    removeAll(others, ({ Id }) => api.remove(`/images/${Id}?force=1`)),
    removeAll(
      () => list.volumes(api),
      ({ Name }) => api.remove(`/volumes/${Name}?force=1`)
    ),
    removeAll(
      () => list.networks(api),
      ({ Id }) => api.remove(`/networks/${Id}`)
    )
  ])
  if (!podman) await api.post('/build/prune?all=1')
  return found
}

/** Whether the image is as `importBusybox` created it, with a single tag. */
function isBusybox({ RepoTags }: Image): boolean {
  const [tag = '', ...more] = RepoTags ?? []
  return familiar(tag) === 'busybox:1' && more.length === 0
}

/** Removes everything listed, and retries what fails. */
async function removeAll<T>(
  read: () => Promise<T[]>,
  remove: (one: T) => Promise<unknown>
): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    const left = await read()
    if (left.length === 0) return
    const tried = await Promise.allSettled(left.map(remove))
    const failed = tried.filter((one) => one.status === 'rejected')
    if (failed.length === 0 && attempt === 0) return
    if (attempt === 20)
      throw new Error(`not empty: ${String(failed[0]?.reason)}`)
  }
}
