import type { z } from 'zod'
import type { Container } from '../model/inventory.ts'
import type { containerSchema } from './schemas.ts'

type Inspected = z.output<typeof containerSchema>
type Needed = 'joins' | 'mountedImages' | 'networks' | 'volumes' | 'binds'

/**
 * Every way in which `container inspect` names something else, with the fact that it rests on. Each is a need: the
 * engine refuses next to none of these removals (F10), and the container then fails to start. The image itself is in
 * `Image` (F12); what labels say of compose and of pods, the policy reads. What others name: services of a swarm as
 * containers do (services.ts), a network its configuration, an image its parent, a volume the folder that it lies in.
 */
export const ways: readonly (readonly [
  field: string,
  fact: string,
  needed: Needed,
  read: (raw: Inspected) => string[]
])[] = [
  ['NetworkMode', 'F10', 'joins', (raw) => joined(raw, 'NetworkMode')],
  ['IpcMode', 'F10', 'joins', (raw) => joined(raw, 'IpcMode')],
  ['PidMode', 'F10', 'joins', (raw) => joined(raw, 'PidMode')],
  ['UTSMode', 'Podman', 'joins', (raw) => joined(raw, 'UTSMode')],
  ['UsernsMode', 'Podman', 'joins', (raw) => joined(raw, 'UsernsMode')],
  // "/target:/me/alias"
  ['Links', 'F10', 'joins', (raw) => targets(raw.HostConfig?.Links)],
  // The same on a network that somebody made: "target:alias"
  [
    'Networks.Links',
    'F10',
    'joins',
    (raw) => targets(networksOf(raw).flatMap(({ links }) => links))
  ],
  // "name:ro"
  [
    'VolumesFrom',
    'F40',
    'joins',
    (raw) => targets(raw.HostConfig?.VolumesFrom)
  ],
  [
    'Mounts',
    'F19',
    'mountedImages',
    // Docker names it, Podman gives it as the source.
    (raw) => mounted(raw, 'image').flatMap((one) => [one.Name, one.Source])
  ],
  ['HostConfig.Mounts', 'F19', 'mountedImages', (raw) => asked(raw, 'image')],
  [
    'Networks',
    'F12',
    'networks',
    (raw) => networksOf(raw).flatMap(({ name, id }) => [name, id])
  ],
  [
    'Mounts',
    'F40',
    'volumes',
    (raw) =>
      ['volume', 'cluster'].flatMap((type) =>
        mounted(raw, type).map(({ Name }) => Name)
      )
  ],
  ['HostConfig.Mounts', 'F40', 'volumes', (raw) => asked(raw, 'volume')],
  // "name:/target:ro", or a folder in the place of the name
  [
    'Binds',
    'F40',
    'volumes',
    (raw) =>
      (raw.HostConfig?.Binds ?? []).flatMap(
        (bind) => /^[^/\\:]{2,}(?=:)/.exec(bind)?.[0] ?? []
      )
  ],
  [
    'Mounts',
    'F20',
    'binds',
    (raw) => mounted(raw, 'bind').map(({ Source }) => Source)
  ]
]

/** What a container names beside its image, each once. */
export function readNeeds(raw: Inspected): Pick<Container, Needed> {
  const of = (needed: Needed) => {
    const all = ways.flatMap(([, , kind, read]) =>
      kind === needed ? read(raw) : []
    )
    return [...new Set(all.filter(Boolean))]
  }
  return {
    joins: of('joins'),
    mountedImages: of('mountedImages'),
    networks: of('networks'),
    volumes: of('volumes'),
    binds: of('binds')
  }
}

type Modes = 'NetworkMode' | 'IpcMode' | 'PidMode' | 'UTSMode' | 'UsernsMode'

function joined({ HostConfig }: Inspected, mode: Modes): string[] {
  const name = /^container:(.+)/.exec(HostConfig?.[mode] ?? '')?.[1]
  return name === undefined ? [] : [name]
}

function networksOf({ NetworkSettings }: Inspected) {
  return NetworkSettings?.Networks ?? []
}

function targets(texts: readonly string[] = []): string[] {
  return texts.flatMap((text) => /^\/?([^:]+)/.exec(text)?.[1] ?? [])
}

/** Of a mount without a type nobody knows what it holds. */
function mounted({ Mounts }: Inspected, type: string) {
  return Mounts.filter(({ Type }) => Type === type || Type === '')
}

function asked({ HostConfig }: Inspected, type: string): string[] {
  return (HostConfig?.Mounts ?? [])
    .filter(({ Type }) => Type === type || Type === '')
    .map(({ Source }) => Source)
}
