import type { z } from 'zod'
import type { Container } from '../model/inventory.ts'
import type { containerSchema } from './schemas.ts'

type Inspected = z.output<typeof containerSchema>
type Needed = 'joins' | 'mountedImages' | 'networks' | 'volumes' | 'binds'
type Modes = 'NetworkMode' | 'IpcMode' | 'PidMode' | 'UTSMode' | 'UsernsMode'

/**
 * Every way in which `container inspect` names something that the container needs, and the fact behind it. Docker removes
 * most of these things (F10), and then the container fails to start. The image is in `Image` (F12).
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
  // "target:alias"
  [
    'Networks.Links',
    'F10',
    'joins',
    (raw) => targets(networksOf(raw).flatMap(({ links }) => links))
  ],
  // "target:ro"
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
    // Docker's field, then Podman's.
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
  // "volume:/path:ro", or "/folder:/path:ro"
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
    // A pipe is what a socket is elsewhere.
    (raw) =>
      ['bind', 'npipe'].flatMap((type) =>
        mounted(raw, type).map(({ Source }) => Source)
      )
  ]
]

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

/** A mount without a type may be of any type. */
function mounted({ Mounts }: Inspected, type: string) {
  return Mounts.filter(({ Type }) => Type === type || Type === '')
}

function asked({ HostConfig }: Inspected, type: string): string[] {
  return (HostConfig?.Mounts ?? [])
    .filter(({ Type }) => Type === type || Type === '')
    .map(({ Source }) => Source)
}
