import {
  type Age,
  type Decided,
  type Decision,
  type Going,
  keep,
  remove,
  type RemoveReason
} from '../model/decision.ts'
import type { Image } from '../model/inventory.ts'
import { isTag, repositoryOf } from '../model/references.ts'
import { describeRule, type Rule } from '../model/rules.ts'
import { list } from '../words.ts'
import { describeAge, keepForAge } from './age.ts'
import type { Context } from './context.ts'
import type { Newest } from './keepLast.ts'
import { idleTime, type Limits } from './limits.ts'
import {
  decidingReferences,
  keepForRule,
  limitsUnder,
  underRule
} from './rules.ts'

/** The judgement of one reference, or of an image without any: why it is kept, if it is. */
type Verdict = {
  reference: string
  rule: Rule | undefined
  limits: Limits
  kept: Decision | undefined
}

/** Lets each reference go by its rule, by its age or by the scope, unless the image is among the newest of that repository. */
export function decideReferences(
  image: Image,
  scoped: Going | undefined,
  age: Age,
  newest: Newest,
  context: Context
): Decided {
  const inScope =
    scoped?.action === 'untag' ? scoped.removedReferences : image.references
  const alone = decidingReferences({ references: inScope })
  const verdicts = (alone.length > 0 ? alone : ['']).map((reference) =>
    judge(image, reference, age, newest, context)
  )
  const off = verdicts.filter(({ kept }) => kept === undefined)
  const [first] = off
  if (first === undefined) return keepAll(verdicts, age)
  const rules = [
    ...new Set(
      off
        .toSorted((a, b) => lineOf(a) - lineOf(b))
        .flatMap(({ rule }) => rule ?? [])
    )
  ]
  const dangling = image.references.length === 0
  return {
    decision: {
      ...takeOff(image, withDigests(off, inScope), {
        reason: scoped?.reason ?? (dangling ? 'dangling' : 'expired'),
        detail: [
          scoped?.detail ?? describeAge(age),
          ...rules.map(describeRule)
        ].join('; ')
      }),
      ...(rules[0] && { rule: rules[0].line })
    },
    idle: idleTime(age, first.limits)
  }
}

function lineOf({ rule }: Verdict): number {
  return rule?.line ?? 0
}

function judge(
  image: Image,
  reference: string,
  age: Age,
  newest: Newest,
  context: Context
): Verdict {
  const rule = context.rules.ofImage(image).get(reference)
  const limits = limitsUnder(rule, context)
  const isNewest = newest(image.id, reference, rule)
  const { keepLast } = limits
  const kept =
    keepForRule(rule) ??
    (isNewest
      ? keep('keep-last', `among the newest ${keepLast} of`)
      : undefined) ??
    keepForAge(
      age,
      { ...context, limits },
      { watchedSince: context.evidence.watchedSince(image.id) }
    )
  return { reference, rule, limits, kept }
}

/** Keeps an image for one of the reasons that keep its references: a rule, else their newness, else their age. */
function keepAll(verdicts: readonly Verdict[], age: Age): Decided {
  const ranks = ['rule', 'keep-last', 'recent', 'unknown-age']
  const rankOf = ({ kept }: Verdict) => ranks.indexOf(kept?.reason ?? '')
  const [first, ...others] = verdicts.toSorted(
    (a, b) => rankOf(a) - rankOf(b) || lineOf(a) - lineOf(b)
  )
  if (first?.kept === undefined) throw new Error('no reference is kept')
  const { kept, rule, limits } = first
  const idle = idleTime(age, limits)
  if (kept.reason !== 'keep-last')
    return {
      decision: kept.reason === 'rule' ? kept : underRule(kept, rule),
      idle
    }
  const alike = others.filter(
    (one) => one.kept?.reason === 'keep-last' && one.rule === rule
  )
  const repositories = [first, ...alike].map(({ reference }) =>
    repositoryOf(reference)
  )
  const detail = `${kept.detail} ${list([...new Set(repositories)])}`
  return { decision: underRule({ ...kept, detail }, rule), idle }
}

/** Adds the digests that go with the last tag of their repository. */
function withDigests(
  off: readonly Verdict[],
  references: readonly string[]
): string[] {
  const going = new Set(off.map(({ reference }) => reference))
  const tags = Map.groupBy(references.filter(isTag), repositoryOf)
  const goesAlong = (digest: string) =>
    tags.get(repositoryOf(digest))?.every((tag) => going.has(tag)) ?? false
  return references.filter(
    (one) => going.has(one) || (!isTag(one) && goesAlong(one))
  )
}

function takeOff(
  { references }: Image,
  going: string[],
  { reason, detail }: { reason: RemoveReason; detail: string }
): Decision {
  if (going.length === references.length) return remove(reason, detail)
  const others = references.filter((one) => !going.includes(one))
  return {
    ...{ action: 'untag', reason },
    detail: `${detail}; keeps ${list(others)}`,
    removedReferences: going
  }
}
