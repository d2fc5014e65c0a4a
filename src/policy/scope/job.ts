import { type Decision, keep, remove } from '../../model/decision.ts'
import type { Image } from '../../model/inventory.ts'
import { isSwarmTask } from '../../model/needs.ts'
import type { EngineContents, Job } from '../../model/policy.ts'
import { canonical, isTag, repositoryOf } from '../../model/references.ts'
import type { ScopeRules } from './rules.ts'

const wasThere = 'it was there before the job'

const came = 'it came since the job began'

export function jobRules({ before }: Job): ScopeRules {
  if (before === undefined) {
    const unknown = () =>
      keep('out-of-scope', 'nobody knows what was there before the job')
    return {
      container: unknown,
      image: unknown,
      network: unknown,
      volume: unknown,
      builder: unknown,
      buildCache: unknown
    }
  }
  const judge = (there: boolean) =>
    there ? keep('out-of-scope', wasThere) : remove('job', came)
  // Made anew under the name of one that was there it stands for that one.
  const wasNamed = (name: string, came: Decision) =>
    came.action === 'remove' && before.names.has(name)
      ? keep('out-of-scope', 'its name was there before the job')
      : came
  return {
    container: ({ id, name, labels }) =>
      isSwarmTask({ labels })
        ? keep('out-of-scope', 'a swarm made it, and would make it again')
        : wasNamed(name, judge(before.containers.has(id))),
    image: (image) => judgeImage(image, before),
    network: ({ id, name }) => wasNamed(name, judge(before.networks.has(id))),
    volume: ({ name }) => judge(before.volumes.has(name)),
    builder: () =>
      keep('out-of-scope', 'a builder may be of use to other jobs'),
    buildCache: () => keep('out-of-scope', 'nothing tells which job it is of')
  }
}

/**
 * An image that came goes, but for the references that were there before: they stay, whatever they mean now. One that
 * was there loses those that came, unless that would leave it without any: the engine would delete it with the last.
 */
function judgeImage(
  { id, references }: Image,
  before: EngineContents
): Decision {
  const there = before.images.has(id)
  const tags = references.filter((one) => before.references.has(canonical(one)))
  const kept = new Set(tags.map(repositoryOf))
  const keptByTag = new Set(tags.filter(isTag).map(repositoryOf))
  const going = references.filter((one) => {
    if (tags.includes(one)) return false
    // A digest is of no use but with what it is the digest of; and the last tag would take the digests along.
    const goesAlone = isTag(one) && keptByTag.has(repositoryOf(one))
    return goesAlone || !kept.has(repositoryOf(one))
  })
  const untagged = going.length === references.length
  if (there && (untagged || going.length === 0))
    return keep('out-of-scope', wasThere)
  if (untagged) return remove('job', came)
  if (going.length === 0)
    return keep('out-of-scope', 'its name was there before the job')
  return {
    action: 'untag',
    reason: 'job',
    detail: there ? `tagged since the job began` : came,
    removedReferences: going
  }
}
