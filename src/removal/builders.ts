import type { Builder } from '../model/builders.ts'
import { recheckBuilder } from './recheck.ts'
import type { SecondLook } from './secondLook.ts'
import type { Docker } from '../docker/cli.ts'
import type { Output } from '../docker/errors.ts'
import { readChange, readRefusal } from './refusal.ts'
import type { Outcome } from '../model/outcome.ts'

/** Milliseconds between the two looks that must both find no client in a builder that runs. */
export const timeWithoutClient = 10_000

export type BuilderTools = {
  docker: Docker
  /** Tells its container to stop, and waits for the end. */
  stop: () => Promise<Output>
  /** Looks again at what could need it. */
  look: () => Promise<SecondLook>
}

/**
 * Removes a builder that was looked at right before: it is stopped where it runs, its container goes, then the volume
 * with its state, unless somebody has taken that into use.
 */
export async function removeBuilder(
  builder: Builder,
  tools: BuilderTools
): Promise<Outcome> {
  const { container, volume } = builder
  if (container === undefined) return removeState(builder, tools)
  const { id, state } = container
  if (state === 'running') {
    const output = await tools.stop()
    if (!names(output, id))
      return readFailure(builder, tools, output, 'container stop')
  }
  const output = await tools.docker(['container', 'rm', '--', id], {
    limit: Infinity
  })
  if (!names(output, id))
    return readFailure(builder, tools, output, 'container rm')
  if (volume === undefined) return { outcome: 'removed' }
  const left = { ...builder, id: volume.name, container: undefined }
  const change = recheckBuilder(left, await tools.look())
  const fate = change ? readChange(change) : await removeState(left, tools)
  return fate.outcome === 'removed' || fate.outcome === 'gone'
    ? { outcome: 'removed' }
    : {
        ...fate,
        detail: `its container has gone, its state volume stays: ${fate.detail ?? ''}`
      }
}

/** Removes the volume that is left of a builder. */
async function removeState(
  builder: Builder,
  tools: BuilderTools
): Promise<Outcome> {
  // The build cache in it can be large.
  const output = await tools.docker(['volume', 'rm', '--', builder.id], {
    limit: Infinity
  })
  return names(output, builder.id)
    ? { outcome: 'removed' }
    : readFailure(builder, tools, output, 'volume rm')
}

/** Docker prints what a call was about once it is done. */
function names({ stdout }: Output, id: string): boolean {
  return stdout.split('\n').some((line) => line.trim() === id)
}

/** What a call did that did not say that it was done: somebody else was there first, or the engine refused. */
async function readFailure(
  builder: Builder,
  { look }: BuilderTools,
  output: Output,
  command: string
): Promise<Outcome> {
  const { id } = builder
  const seen = await look()
  const there = seen.containers.has(id) || seen.volumes.has(id)
  const change = there ? undefined : recheckBuilder(builder, seen)
  return change ? readChange(change) : readRefusal(output, command)
}
