import { type Decision, keep, remove } from '../../model/decision.ts'
import type { Image } from '../../model/inventory.ts'
import { isSwarmTask } from '../../model/needs.ts'
import type { EngineContents, Job } from '../../model/policy.ts'
import { canonical, isTag, repositoryOf } from '../../model/references.ts'
import { sameForAll, type ScopeRules } from './rules.ts'

const wasThere = 'existed before the job'
const nameWasThere = 'the name existed before the job'
const came = 'new since the job began'

export function jobRules({ before }: Job): ScopeRules {
  if (before === undefined)
    return sameForAll(() =>
      keep('out-of-scope', 'may have existed before the job')
    )
  const judge = (there: boolean) =>
    there ? keep('out-of-scope', wasThere) : remove('job', came)
  // A new one under an old name replaces the old one.
  const judgeNamed = (name: string, there: boolean) =>
    !there && before.names.has(name)
      ? keep('out-of-scope', nameWasThere)
      : judge(there)
  return {
    container: ({ id, name, labels }) =>
      isSwarmTask({ labels })
        ? keep('out-of-scope', 'swarm task: the swarm would replace it')
        : judgeNamed(name, before.containers.has(id)),
    image: (image) => judgeImage(image, before),
    network: ({ id, name }) => judgeNamed(name, before.networks.has(id)),
    volume: ({ name }) => judge(before.volumes.has(name)),
    builder: () => keep('out-of-scope', 'may be used by other jobs'),
    buildCache: () => keep('out-of-scope', 'cannot be attributed to a job')
  }
}

/**
 * A new image goes, except for the references that were there before: they stay, even on another image. An old image
 * loses its new references, unless it has no others: the engine would delete it with the last.
 */
function judgeImage(
  { id, references }: Image,
  before: EngineContents
): Decision {
  const there = before.images.has(id)
  const old = references.filter((one) => before.references.has(canonical(one)))
  const going = newReferences(references, old)
  if (going.length === references.length)
    return there ? keep('out-of-scope', wasThere) : remove('job', came)
  if (going.length === 0)
    return keep('out-of-scope', there ? wasThere : nameWasThere)
  return {
    action: 'untag',
    reason: 'job',
    detail: there ? 'tagged since the job began' : came,
    removedReferences: going
  }
}

/** Finds the references that can go while the old ones stay. */
function newReferences(
  references: readonly string[],
  old: readonly string[]
): string[] {
  const kept = new Set(old.map(repositoryOf))
  const keptByTag = new Set(old.filter(isTag).map(repositoryOf))
  return references.filter((one) => {
    if (old.includes(one)) return false
    // The last tag of a repository would take the digests along, and a new digest may be that of an old tag.
    const goesAlone = isTag(one) && keptByTag.has(repositoryOf(one))
    return goesAlone || !kept.has(repositoryOf(one))
  })
}
