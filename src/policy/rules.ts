import {
  type Age,
  type Decision,
  keep,
  type KeepReason,
  remove
} from '../model/decision.ts'
import type { Image, Inventory, Labels } from '../model/inventory.ts'
import {
  idMatcher,
  type KnownReference,
  knownReferenceMatcher,
  labelMatcher,
  parseLabelPattern,
  partMatcher,
  readReference
} from '../model/patterns.ts'
import type { Policy } from '../model/policy.ts'
import { isTag, repositoryOf } from '../model/references.ts'
import { dangling, describeRule, type Rule } from '../model/rules.ts'
import { describeAge, keepForAge } from './age.ts'
import { type Limits, limitsOf } from './limits.ts'

/** The first rule that matches each reference of an image, by the reference; by '' for an image without any. */
export type ImageRules = ReadonlyMap<string, Rule>

/** Something with a name and labels. */
export type Named = { name: string; labels: Labels }

export type NamedKind = 'container' | 'network' | 'volume'

/**
 * Finds the rule that decides: for each reference or resource, the first that matches. In other scopes than `engine`
 * only those with `keep` have a say.
 */
export type RuleFinder = {
  ofImage: (image: Image) => ImageRules
  ofNamed: (kind: NamedKind, resource: Named) => Rule | undefined
  /** The lines of the rules that decide what a rule matches; none if it matches nothing. */
  linesFor: (rule: Rule, inventory: Inventory) => number[]
}

export function createRuleFinder({ rules, scope }: Policy): RuleFinder {
  const matchers = rules.map(createMatcher)
  const known = new WeakMap<Image, { names: ImageName[]; rules: ImageRules }>()
  const hasSay = ({ keep }: Rule) => keep || scope.kind === 'engine'
  const readImage = (image: Image) => {
    const before = known.get(image)
    if (before !== undefined) return before
    const names = readNames(image)
    const all = findForImage(image, names, matchers)
    const found = new Map([...all].filter(([, rule]) => hasSay(rule)))
    const read = { names, rules: found }
    known.set(image, read)
    return read
  }
  const ofNamed = (kind: NamedKind, resource: Named) => {
    const first = matchers.find(({ named }) => named?.(kind, resource))?.rule
    return first && hasSay(first) ? first : undefined
  }
  const none: ImageRules = new Map()
  return {
    ofImage: (image) => (matchers.length === 0 ? none : readImage(image).rules),
    ofNamed,
    linesFor: (rule, { images, containers, networks, volumes }) => {
      const matcher = createMatcher(rule)
      const ofKind = (kind: NamedKind, all: readonly Named[]) =>
        all.flatMap((one) =>
          matcher.named?.(kind, one) ? (ofNamed(kind, one) ?? rule) : []
        )
      const found = [
        ...ofKind('container', containers),
        ...ofKind('network', networks),
        ...ofKind('volume', volumes),
        ...images.flatMap((image) => {
          const { names, rules } = readImage(image)
          const matched = findForImage(image, names, [matcher]).keys()
          return [...matched].map((reference) => rules.get(reference) ?? rule)
        })
      ]
      return [...new Set(found.map(({ line }) => line))].sort((a, b) => a - b)
    }
  }
}

type Matcher = {
  rule: Rule
  /** Matches an image with all its references. */
  image?: (image: Image) => boolean
  reference?: (reference: KnownReference) => boolean
  named?: (kind: NamedKind, resource: Named) => boolean
}

function createMatcher(rule: Rule): Matcher {
  const { kind, pattern } = rule
  if (kind === 'label') {
    const parsed = parseLabelPattern(pattern)
    if ('problem' in parsed) throw new Error(parsed.problem)
    const matches = labelMatcher(parsed.value)
    return {
      rule,
      image: ({ labels }) => matches(labels),
      named: (_, { labels }) => matches(labels)
    }
  }
  if (kind !== 'image') {
    const matches = partMatcher(pattern)
    return { rule, named: (of, { name }) => of === kind && matches(name) }
  }
  if (pattern === dangling)
    return { rule, image: ({ references }) => references.length === 0 }
  // "** keep" as the last line makes the others an include list.
  if (pattern === '**') return { rule, image: () => true }
  const isId = idMatcher(pattern)
  return {
    rule,
    reference: knownReferenceMatcher(pattern),
    ...(isId && { image: ({ id }) => isId(id) })
  }
}

/** A reference with all its names, read once for all rules. */
type ImageName = { reference: string; names: readonly KnownReference[] }

function readNames(image: Image): ImageName[] {
  return decidingReferences(image).map((reference) => ({
    reference,
    names: [reference, ...aliasesOf(image, reference)].map(readReference)
  }))
}

function findForImage(
  image: Image,
  allNames: readonly ImageName[],
  matchers: readonly Matcher[]
): ImageRules {
  // The rules up to the first that matches the whole image.
  const last = matchers.findIndex((one) => one.image?.(image))
  const whole = matchers[last]?.rule
  const before = last < 0 ? matchers : matchers.slice(0, last)
  const found = new Map<string, Rule>()
  for (const { reference, names } of allNames) {
    const rule =
      before.find((one) => one.reference && names.some(one.reference))?.rule ??
      whole
    if (rule !== undefined) found.set(reference, rule)
  }
  if (whole && image.references.length === 0) found.set('', whole)
  return found
}

/** On Podman, `localhost/app:1` is also found as `app:1`. */
function aliasesOf({ aliases }: Image, reference: string): string[] {
  return aliases.filter((alias) => reference === `localhost/${alias}`)
}

/**
 * The references that are decided one by one. A digest beside a tag of the same repository is not: the engine removes it
 * with that repository's last tag.
 */
export function decidingReferences({
  references
}: Pick<Image, 'references'>): readonly string[] {
  const tags = references.filter(isTag)
  if (tags.length === references.length) return references
  const tagged = new Set(tags.map(repositoryOf))
  return references.filter(
    (one) => isTag(one) || !tagged.has(repositoryOf(one))
  )
}

/** The limits of a rule, and of the inputs where it has none. */
export function limitsUnder(
  rule: Rule | undefined,
  { policy, limits, now }: { policy: Policy; limits: Limits; now: number }
): Limits {
  if (rule === undefined || rule.keep) return limits
  const { keepLast, until, ageFrom } = policy
  return limitsOf(
    {
      keepLast: rule.keepLast ?? keepLast,
      until: rule.until ?? until,
      ageFrom
    },
    now
  )
}

/**
 * The context with the limits of a rule for a container, a network, a volume or a builder: here only the input waives
 * the evidence of age and the first minutes.
 */
export function contextUnder<
  T extends { policy: Policy; limits: Limits; now: number }
>(rule: Rule | undefined, context: T): T {
  const limits = limitsUnder(rule, context)
  const waived = rule?.until !== undefined && limits.until === 0
  return { ...context, limits: waived ? { ...limits, until: 1 } : limits }
}

/** Names the rule in a decision, and makes `rules` the input that holds what the rule keeps by its own settings. */
export function underRule(
  decision: Decision,
  rule: Rule | undefined
): Decision {
  if (rule === undefined) return decision
  const detail = `${decision.detail}; ${describeRule(rule)}`
  const named = { ...decision, rule: rule.line, detail }
  return named.action === 'keep' &&
    named.input === undefined &&
    holds(rule, named.reason)
    ? { ...named, input: 'rules' }
    : named
}

function holds({ until, keepLast }: Rule, reason: KeepReason): boolean {
  return reason === 'keep-last' ? keepLast !== undefined : until !== undefined
}

/** The decision of a rule with `keep`. */
export function keepForRule(rule: Rule | undefined): Decision | undefined {
  return rule?.keep
    ? { ...keep('rule', describeRule(rule)), rule: rule.line }
    : undefined
}

/** Decides a container, a network, a volume or a builder by its rule, then by its age, then by the scope. */
export function decideByAge(
  age: Age,
  { rule, scoped }: { rule: Rule | undefined; scoped: Decision | undefined },
  context: Parameters<typeof keepForAge>[1],
  times: { createdAt?: number | undefined; watchedSince?: number | undefined }
): Decision {
  const recent = keepForAge(age, context, times)
  return (
    keepForRule(rule) ??
    (recent && underRule(recent, rule)) ??
    scoped ??
    underRule(remove('expired', describeAge(age)), rule)
  )
}
