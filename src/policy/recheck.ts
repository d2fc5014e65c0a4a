import type { Container, Image, Network, Volume } from './inventory.ts'
import {
  describeUsers,
  needsOf,
  usersOfNetwork,
  usersOfVolume
} from './needs.ts'

/**
 * What is read again right before a batch of removals: all containers (each of them may need something by now), and
 * of the batch itself the images and volumes.
 */
export type SecondLook = {
  now: number
  containers: readonly Container[]
  images: readonly Image[]
  volumes: readonly Volume[]
}

/** Why a planned removal is not to be done any more: `gone`, or a sentence that says what has changed. */
export type Change = { gone: true } | { gone: false; detail: string }

const gone: Change = { gone: true }

function changed(detail: string): Change {
  return { gone: false, detail }
}

/** A container must be as it was, and nothing may have come that joins it. */
export function recheckContainer(
  planned: Container,
  look: SecondLook
): Change | undefined {
  const current = look.containers.find(({ id }) => id === planned.id)
  if (current === undefined) return gone
  if (
    current.state !== planned.state ||
    current.startedAt !== planned.startedAt ||
    current.finishedAt !== planned.finishedAt
  )
    return changed(`it was used meanwhile: it is ${current.state} now`)
  const joined = needsOf(
    look.containers.filter(({ id }) => id !== planned.id),
    { containers: look.containers, images: [] }
  ).containers.get(planned.id)
  return joined && changed(`needed by ${describeUsers(joined, look.now)}`)
}

/** Containers that were to go are gone by now: whichever is still there needs its networks. */
export function recheckNetwork(
  planned: Network,
  look: SecondLook
): Change | undefined {
  const needs = needsOf(look.containers, { containers: [], images: [] })
  const users = usersOfNetwork(planned, needs)
  return users.length > 0
    ? changed(`used by ${describeUsers(users, look.now)}`)
    : undefined
}

/** An image must have the references that it had, tagged no later, and no container may need it. */
export function recheckImage(
  planned: Image,
  look: SecondLook
): Change | undefined {
  const current = look.images.find(({ id }) => id === planned.id)
  if (current === undefined) return gone
  if (!sameMembers(current.references, planned.references))
    return changed(
      current.references.length > 0
        ? `its references are now ${current.references.join(', ')}`
        : 'it has lost its references'
    )
  if (current.taggedAt !== planned.taggedAt)
    return changed('it was tagged or pulled again')
  const { images } = needsOf(look.containers, {
    containers: [],
    images: [planned]
  })
  const users = images.get(planned.id)
  return users && changed(`used by ${describeUsers(users, look.now)}`)
}

/** A volume goes by its name: it must still be the one that was looked at, and nothing may mount it. */
export function recheckVolume(
  planned: Volume,
  look: SecondLook
): Change | undefined {
  const current = look.volumes.find(({ name }) => name === planned.name)
  if (current === undefined) return gone
  if (current.createdAt !== planned.createdAt)
    return changed('it was made anew')
  const needs = needsOf(look.containers, { containers: [], images: [] })
  const users = usersOfVolume(planned, needs)
  return users.length > 0
    ? changed(`used by ${describeUsers(users, look.now)}`)
    : undefined
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((member) => b.includes(member))
}
