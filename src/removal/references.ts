import type { Docker } from '../docker/cli.ts'
import { inspectImages } from '../docker/images.ts'
import { saysAbsent } from '../docker/inspect.ts'
import { traitsOf } from '../docker/traits.ts'
import type { Engine, Image } from '../model/inventory.ts'
import type { Outcome } from '../model/outcome.ts'
import type { PlanItem } from '../model/plan.ts'
import { isTag, repositoryOf } from '../model/references.ts'
import { removeImage } from './commands.ts'
import { kept, readRefusal } from './refusal.ts'
import type { SecondLook } from './secondLook.ts'
import {
  attempt,
  record,
  recordTakenOff,
  type Session,
  takenOff,
  whyOver
} from './session.ts'

/** Those that expired; of an image that goes, all but one tag and its digests, which the engine removes with the ID. */
export function referencesToUntag({
  decision,
  references = []
}: PlanItem): readonly string[] {
  if (decision.action === 'untag') return decision.removedReferences
  const last = references.find(isTag) ?? references[0]
  if (last === undefined) return []
  const repository = repositoryOf(last)
  return references.filter(
    (one) => one !== last && (isTag(one) || repositoryOf(one) !== repository)
  )
}

/** Takes off the references that have to go by name. Returns the images that can now be removed as a whole. */
export async function untagFirst(
  session: Session,
  items: readonly PlanItem[]
): Promise<PlanItem[]> {
  const { docker, inventory } = session
  const whole: PlanItem[] = []
  for (const item of items) {
    const references = referencesToUntag(item)
    const { failures, completed } = await attempt(session, [item], () =>
      untag(docker, inventory.engine, item, references, {
        isOver: () => whyOver(session) !== undefined,
        onUntagged: (one) => {
          recordTakenOff(session, item, [one])
        }
      })
    )
    const failed = failures.find(({ outcome }) => outcome === 'failed')
    if (failed !== undefined) record(session, item, failed)
    else if (!completed) return []
    else if (item.decision.action === 'remove') whole.push(item)
    else record(session, item, failures[0] ?? readUntagging(session, item))
  }
  return whole
}

function readUntagging(session: Session, item: PlanItem): Outcome {
  return takenOff(session, item).length > 0
    ? { outcome: 'untagged' }
    : kept('references moved to other images since the inventory was taken')
}

/**
 * Takes off the references that still mean the image. Each is read right before; the containerd store compares and
 * deletes in one step. `completed` is false if the step `isOver` before all were tried.
 */
export async function untag(
  docker: Docker,
  engine: Engine,
  { id }: Pick<Image, 'id'>,
  references: readonly string[],
  {
    isOver,
    onUntagged
  }: { isOver: () => boolean; onUntagged: (reference: string) => void }
): Promise<{ failures: Outcome[]; completed: boolean }> {
  const failures: Outcome[] = []
  for (const reference of references) {
    if (isOver()) return { failures, completed: false }
    const compares = traitsOf(engine).comparesTags && isTag(reference)
    const read = () => meaningOf(docker, engine, reference)
    if (!compares && (await read()).id !== id) continue
    const name = compares ? `${reference}@${id}` : reference
    const output = await docker([...removeImage, '--', name])
    if (output.exitCode === 0) onUntagged(reference)
    else {
      const meant = await read()
      // A full disk can fail the call after the reference was taken off.
      if (isAbsent(meant) && !saysAbsent(output, 'image', name))
        onUntagged(reference)
      else if (meant.id === id || meant.unreadable) {
        const outcome = readRefusal(output, 'image rm')
        const detail = `${reference}: ${outcome.detail ?? ''}`
        failures.push({ ...outcome, detail })
      }
    }
  }
  return { failures, completed: true }
}

/** The image that a reference means: no ID where it means none, or one that cannot be inspected. */
type Meaning = { id: string | undefined; unreadable: boolean }

async function meaningOf(
  docker: Docker,
  engine: Engine,
  reference: string
): Promise<Meaning> {
  const { found, unreadable } = await inspectImages(docker, engine, [reference])
  return { id: found[0]?.id, unreadable: unreadable.length > 0 }
}

function isAbsent({ id, unreadable }: Meaning): boolean {
  return id === undefined && !unreadable
}

/**
 * Records the references that a failed removal took off: the engine untags before it deletes, and on a full disk it can
 * fail in between. If a reference means another image now, or the image is in use, somebody else took it.
 */
export async function recordLostReferences(
  session: Session,
  items: readonly PlanItem[],
  { images, needs }: SecondLook
): Promise<void> {
  const { docker, inventory } = session
  for (const item of items) {
    const { id, references = [] } = item
    const left = images.get(id)?.references ?? references
    const lost = references.filter((one) => !left.includes(one))
    if (lost.length === 0 || needs.images.has(id)) continue
    const absent: string[] = []
    // One at a time, because an answer does not name the reference that it is for.
    for (const one of lost)
      if (isAbsent(await meaningOf(docker, inventory.engine, one)))
        absent.push(one)
    recordTakenOff(session, item, absent)
  }
}
