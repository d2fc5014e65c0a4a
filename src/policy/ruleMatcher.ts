import type { Image, Labels } from '../model/inventory.ts'
import {
  type GlobHalves,
  halvesOf,
  idMatcher,
  labelHalves,
  parseLabelPattern,
  partMatcher
} from '../model/patterns.ts'
import { parseReference } from '../model/references.ts'
import { dangling, type Rule, type RuleKind } from '../model/rules.ts'
import { memoised } from './memoised.ts'

/** Something with a name and labels. */
export type Named = { name: string; labels: Labels }

export const namedKinds = ['container', 'network', 'volume'] as const

export type NamedKind = (typeof namedKinds)[number]

/** Finds all rules that match, in their order. */
type RuleMatcher = {
  /** Of an image, by reference; by '' for an image without any. */
  ofImage: (
    image: Image,
    references: readonly string[]
  ) => ReadonlyMap<string, readonly Rule[]>
  ofNamed: (kind: NamedKind, resource: Named) => readonly Rule[]
}

/** Repositories and the keys of labels recur, so they are compared with all rules only once. */
export function createRuleMatcher(rules: readonly Rule[]): RuleMatcher {
  const ofLabels = createLabelMatcher(rules)
  const ofReference = createReferenceMatcher(rules)
  const whole = ofKind(rules, 'image').flatMap(matchWhole)
  const named = {
    container: ofKind(rules, 'container').map(matchName),
    network: ofKind(rules, 'network').map(matchName),
    volume: ofKind(rules, 'volume').map(matchName)
  }
  return {
    ofImage: (image, references) => {
      const ofAll = [...ofLabels(image.labels), ...pick(whole, image)]
      const keys = references.length > 0 ? references : ['']
      return new Map(
        keys.map((key) => {
          const names = key === '' ? [] : [key, ...aliasesOf(image, key)]
          return [key, inOrder([...ofAll, ...names.flatMap(ofReference)])]
        })
      )
    },
    ofNamed: (kind, { name, labels }) =>
      inOrder([...ofLabels(labels), ...pick(named[kind], name)])
  }
}

type Matcher<T> = { rule: Rule; matches: (one: T) => boolean }

function ofKind(rules: readonly Rule[], wanted: RuleKind): Rule[] {
  return rules.filter(({ kind }) => kind === wanted)
}

function pick<T>(matchers: readonly Matcher<T>[], one: T): Rule[] {
  const found: Rule[] = []
  for (const { rule, matches } of matchers) if (matches(one)) found.push(rule)
  return found
}

function inOrder(rules: readonly Rule[]): readonly Rule[] {
  return rules.length < 2
    ? rules
    : [...new Set(rules)].sort((a, b) => a.line - b.line)
}

/** A pattern that matches an image with all its references. */
function matchWhole(rule: Rule): Matcher<Image>[] {
  const { pattern } = rule
  if (pattern === dangling)
    return [{ rule, matches: ({ references }) => references.length === 0 }]
  // "** keep" as the last line makes the others an include list.
  if (pattern === '**') return [{ rule, matches: () => true }]
  const isId = idMatcher(pattern)
  return isId ? [{ rule, matches: ({ id }) => isId(id) }] : []
}

function matchName(rule: Rule): Matcher<string> {
  return { rule, matches: partMatcher(rule.pattern) }
}

function createReferenceMatcher(
  rules: readonly Rule[]
): (reference: string) => Rule[] {
  const globs = ofKind(rules, 'image')
    .filter(({ pattern }) => pattern !== dangling && pattern !== '**')
    .map((rule) => ({ rule, ...halvesOf(rule.pattern) }))
  const inRepository = memoised((repository: string) =>
    globs
      .filter((one) => one.repository(repository))
      .map<Matcher<Parameters<GlobHalves['version']>[0]>>(
        ({ rule, version }) => ({ rule, matches: version })
      )
  )
  return (reference) => {
    const { repository, ...version } = parseReference(reference)
    return pick(inRepository(repository), version)
  }
}

function createLabelMatcher(
  rules: readonly Rule[]
): (labels: Labels) => Rule[] {
  const patterns = ofKind(rules, 'label').map((rule) => {
    const parsed = parseLabelPattern(rule.pattern)
    if ('problem' in parsed) throw new Error(parsed.problem)
    return { rule, ...labelHalves(parsed.value, rule.keep) }
  })
  if (patterns.length === 0) return () => []
  const withKey = memoised((key: string) =>
    patterns
      .filter((one) => one.key(key))
      .map<Matcher<string>>(({ rule, value }) => ({ rule, matches: value }))
  )
  return (labels) =>
    Object.entries(labels).flatMap(([key, value]) => pick(withKey(key), value))
}

/** On Podman, `localhost/app:1` is also found as `app:1`. */
function aliasesOf({ aliases }: Image, reference: string): string[] {
  return aliases.filter((alias) => reference === `localhost/${alias}`)
}
