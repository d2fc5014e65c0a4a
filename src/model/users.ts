import { formatDuration } from '../units.ts'
import { happened, plausible } from './dates.ts'
import type { Container, Network, Volume } from './inventory.ts'
import type { Needs } from './needs.ts'

/** The containers that need a network, by its ID or name; before their first start, by the start of the ID as typed. */
export function usersOfNetwork(network: Network, needs: Needs): Container[] {
  const typed = [...needs.networks]
    .filter(([key]) => /^[0-9a-f]{4,}$/.test(key) && network.id.startsWith(key))
    .flatMap(([, users]) => users)
    .filter(({ startedAt }) => happened(startedAt) === undefined)
  return [
    ...new Set([
      ...(needs.networks.get(network.id) ?? []),
      ...(needs.networks.get(network.name) ?? []),
      ...typed
    ])
  ]
}

/** The containers that use a volume by its name or by a bind of its folder. */
export function usersOfVolume(volume: Volume, needs: Needs): Container[] {
  const users = new Set(needs.volumes.get(volume.name))
  for (const [folder, containers] of needs.binds)
    if (isIn(folder, volume))
      for (const container of containers) users.add(container)
  return [...users]
}

/** Whether a folder of the host lies in a volume, even by a link to the folder of all volumes. */
export function isIn(folder: string, { name, mountpoint }: Volume): boolean {
  const path = comparable(folder)
  return (
    (mountpoint !== '' && path.startsWith(comparable(mountpoint))) ||
    path.includes(`/volumes/${name}/_data/`) ||
    path.endsWith(`/volumes/${name}/`)
  )
}

/** A path to compare by its start; on Windows `c:\data` and `C:/data` are the same. */
function comparable(folder: string): string {
  const windows = /^[a-z]:/i.test(folder)
  const path = windows ? folder.replaceAll('\\', '/').toLowerCase() : folder
  return path.endsWith('/') ? path : `${path}/`
}

/** Names the users for a sentence: `container web (exited 3 h ago) and 2 more`. */
export function describeUsers(
  users: readonly Container[],
  now: number
): string {
  const [first] = users
  if (first === undefined) return 'nothing'
  const more = users.length > 1 ? ` and ${users.length - 1} more` : ''
  const named = first.service
    ? `swarm service ${first.name}`
    : `container ${first.name} (${describeState(first, now)})`
  return named + more
}

function describeState(container: Container, now: number): string {
  const finished = plausible(container.finishedAt, now)
  if (container.state === 'created') return 'never started'
  if (container.state !== 'exited' || finished === undefined)
    return container.state
  return `exited ${formatDuration(Math.max(now - finished, 0))} ago`
}
