import {
  type Info,
  knownContext,
  makeEngine,
  readContext,
  readInfo
} from '../docker/engine.ts'
import { findDisks } from '../host/disk.ts'
import { whyNotHere } from '../host/here.ts'
import { type Disk, diskContents, isLow } from '../model/disks.ts'
import { InputError } from '../model/inputs.ts'
import type { EngineContext } from '../model/inventory.ts'
import { messages } from '../model/messages.ts'
import type { Policy } from '../model/policy.ts'
import { readLastLook } from '../state/ledgerFile.ts'
import type { Step, World } from './world.ts'

/** What the disks say before anything is listed. */
export type Gate = {
  info: Info
  context: EngineContext
  disks: Disk[]
  /** No disk is low: nothing is to be removed. */
  closed: boolean
}

/**
 * Reads the free space that `when-free-below` or `until-free-above` ask for; undefined without either. Throws an
 * InputError if it cannot be read: a guard that nobody can read is no yes.
 */
export async function readGate({
  docker,
  policy,
  world: { env }
}: Pick<Step, 'docker' | 'policy'> & {
  world: Pick<World, 'env'>
}): Promise<Gate | undefined> {
  const least = policy.whenFreeBelow ?? policy.untilFreeAbove
  if (least === undefined) return undefined
  const info = await readInfo(docker, env)
  const context = knownContext(info, env) ?? (await readContext(docker))
  const engine = makeEngine(info, false)
  const disks = await findDisks(engine, context.endpoint)
  const seen = new Set(disks.flatMap(({ holds }) => holds))
  if (!diskContents.every((one) => seen.has(one))) {
    const away = await whyNotHere(engine, context.endpoint)
    throw new InputError(
      messages.freeSpaceUnreadable(
        away ??
          `the disk of ${engine.rootDir} or of the image store is not visible`
      )
    )
  }
  const closed = !disks.some(({ before }) => isLow(before, least))
  return { info, context, disks, closed }
}

/** Between looks behind a closed gate, in milliseconds, at most. */
const longestPause = 6 * 3_600_000

/** Whether a look is due although nothing is removed: without it, the memory would not know what came and was used. */
export async function isLookDue(
  { options, policy }: Pick<Step, 'options' | 'policy'>,
  { info, context }: Pick<Gate, 'info' | 'context'>
): Promise<boolean> {
  if (options.stateDir === '') return false
  const { rootDir, store, now } = makeEngine(info, false)
  const key = { endpoint: context.endpoint, rootDir, store }
  const last = await readLastLook(options.stateDir, key)
  const age = last === undefined ? Infinity : Math.abs(now - last)
  return age >= Math.min(longestPause, shortestUntil(policy) / 4)
}

/** A date does not say how long; `until: 0s` needs no memory. */
function shortestUntil({ until, rules }: Policy): number {
  const durations = [until, ...rules.flatMap((rule) => rule.until ?? [])]
    .map((one) => ('duration' in one ? one.duration : Infinity))
    .filter((duration) => duration > 0)
  return Math.min(...durations, Infinity)
}
