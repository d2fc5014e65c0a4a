import {
  type Age,
  type Decision,
  keep,
  type KeepReason,
  remove
} from '../model/decision.ts'
import type { Image, Inventory } from '../model/inventory.ts'
import type { Policy } from '../model/policy.ts'
import { isTag, repositoryOf } from '../model/references.ts'
import { describeRule, type Rule } from '../model/rules.ts'
import { describeAge, keepForAge } from './age.ts'
import { type Limits, limitsOf } from './limits.ts'
import {
  createRuleMatcher,
  type Named,
  type NamedKind,
  namedKinds
} from './ruleMatcher.ts'

/** The first rule that matches each reference of an image, by the reference; by '' for an image without any. */
export type ImageRules = ReadonlyMap<string, Rule>

/**
 * Finds the rule that decides: for each reference or resource, the first that matches. In other scopes than `engine`
 * only those with `keep` have a say.
 */
export type RuleFinder = {
  ofImage: (image: Image) => ImageRules
  ofNamed: (kind: NamedKind, resource: Named) => Rule | undefined
  /** The lines of the rules that come first where a rule matches, for each rule that matches anything. */
  firstLines: (inventory: Inventory) => ReadonlyMap<Rule, ReadonlySet<number>>
}

export function createRuleFinder({ rules, scope }: Policy): RuleFinder {
  const matcher = createRuleMatcher(rules)
  const matching = (image: Image) =>
    matcher.ofImage(image, decidingReferences(image))
  const hasSay = ({ keep }: Rule) => keep || scope.kind === 'engine'
  const known = new WeakMap<Image, ImageRules>()
  const readImage = (image: Image) => {
    const found = new Map<string, Rule>()
    for (const [reference, [first]] of matching(image))
      if (first && hasSay(first)) found.set(reference, first)
    known.set(image, found)
    return found
  }
  const none: ImageRules = new Map()
  return {
    ofImage: (image) =>
      rules.length === 0 ? none : (known.get(image) ?? readImage(image)),
    ofNamed: (kind, resource) => {
      const [first] = matcher.ofNamed(kind, resource)
      return first && hasSay(first) ? first : undefined
    },
    firstLines: ({ images, containers, networks, volumes }) => {
      const lines = new Map<Rule, Set<number>>()
      for (const image of images)
        for (const found of matching(image).values()) addFirst(found, lines)
      const named = {
        container: containers,
        network: networks,
        volume: volumes
      }
      for (const kind of namedKinds)
        for (const one of named[kind])
          addFirst(matcher.ofNamed(kind, one), lines)
      return lines
    }
  }
}

function addFirst(
  matching: readonly Rule[],
  lines: Map<Rule, Set<number>>
): void {
  const [first] = matching
  if (first === undefined) return
  for (const rule of matching) {
    const before = lines.get(rule)
    if (before === undefined) lines.set(rule, new Set([first.line]))
    else before.add(first.line)
  }
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
