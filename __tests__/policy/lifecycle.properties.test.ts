import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Container, Image, Inventory } from '../../src/model/inventory.ts'
import type { Kind } from '../../src/model/kinds.ts'
import type { Plan, PlanItem } from '../../src/model/plan.ts'
import type { Rule } from '../../src/model/rules.ts'
import type { Policy } from '../../src/model/policy.ts'
import { makePlan } from '../../src/policy/plan.ts'
import {
  inventories,
  now,
  policies,
  ruledPolicies,
  rules
} from './generators.ts'

const runs = { numRuns: 1_000 }

/** Policies of which little but the rules keeps anything. */
const bold: fc.Arbitrary<Policy> = fc
  .tuple(ruledPolicies, fc.constantFrom(0, 60_000), fc.nat({ max: 1 }))
  .map(([policy, duration, keepLast]) => ({
    ...policy,
    ...{ scope: { kind: 'engine' }, until: { duration }, keepLast },
    ...{ protectedLabels: [], protectedImages: [], includeImages: true },
    ...{ includeContainers: true, includeNetworks: true, includeVolumes: 'all' }
  }))
const allPolicies = fc.oneof(ruledPolicies, bold)

/** What goes: resources, references of images (`app:1 of sha256:…`), and containers that stop. */
function losses({ items }: Pick<Plan, 'items'>): string[] {
  return items
    .flatMap(({ kind, id, references = [], decision }) => {
      const gone = decision.action === 'remove' ? [`${kind} ${id}`] : []
      const lost =
        decision.action === 'untag'
          ? decision.removedReferences
          : gone.flatMap(() => references)
      const stops = 'stop' in decision ? [`stop ${id}`] : []
      return [...gone, ...lost.map((one) => `${one} of ${id}`), ...stops]
    })
    .sort()
}

// A second matcher, by regular expressions, as different from the first as the patterns allow.

function toRegExp(glob: string, any: string): RegExp {
  const source = glob.replace(/\*\*|[*?]|[^*?]+/g, (part) => {
    if (part === '**') return '.+'
    if (part === '*') return `${any}*`
    return part === '?' ? any : part.replace(/[^\w]/g, '\\$&')
  })
  return new RegExp(`^${source}$`)
}

function split(reference: string) {
  const [, repository = '', tag, digest] =
    /^(.+?)(?::([^/@]*))?(?:@(.*))?$/.exec(reference) ?? []
  return { repository, tag, digest }
}

function matchesReference(pattern: string, reference: string): boolean {
  const wanted = split(pattern)
  const found = split(reference)
  if (!toRegExp(wanted.repository, '[^/]').test(found.repository)) return false
  if (wanted.digest !== undefined)
    return toRegExp(wanted.digest, '.').test(found.digest ?? '')
  return toRegExp(wanted.tag ?? '*', '.').test(found.tag ?? '')
}

function matchesLabels(pattern: string, labels: Record<string, string>) {
  const [key = '', value = '*'] = pattern.split('=')
  return Object.entries(labels).some(
    ([name, text]) =>
      toRegExp(key, '.').test(name) && toRegExp(value, '.').test(text)
  )
}

function firstFor(
  rules: readonly Rule[],
  kind: Kind,
  { name, labels }: { name: string; labels: Record<string, string> }
): Rule | undefined {
  return rules.find((rule) =>
    rule.kind === 'label'
      ? matchesLabels(rule.pattern, labels)
      : rule.kind === kind && toRegExp(rule.pattern, '.').test(name)
  )
}

function firstForReference(
  rules: readonly Rule[],
  { labels, references }: Image,
  reference: string
): Rule | undefined {
  return rules.find(({ kind, pattern }) => {
    if (kind === 'label') return matchesLabels(pattern, labels)
    if (kind !== 'image') return false
    if (pattern === '**') return true
    if (pattern === '<none>') return references.length === 0
    return reference !== '' && matchesReference(pattern, reference)
  })
}

/** What is decided on its own: tags, and digests without a tag of the same repository. */
function decidedAlone({ references }: Image): string[] {
  const repositories = references
    .filter((one) => !one.includes('@'))
    .map((one) => split(one).repository)
  const alone = references.filter(
    (one) => !one.includes('@') || !repositories.includes(split(one).repository)
  )
  return alone.length > 0 ? alone : ['']
}

/** Returns the rules that decide the parts of an item: the references of an image, otherwise the whole. */
function rulesFor(
  { kind, id, volume }: PlanItem,
  { containers, images, networks, volumes }: Inventory,
  rules: readonly Rule[]
): (readonly [string, Rule | undefined])[] {
  if (kind === 'image')
    return images
      .filter((one) => one.id === id)
      .flatMap((image) =>
        decidedAlone(image).map(
          (one) => [one, firstForReference(rules, image, one)] as const
        )
      )
  const named = {
    container: containers.find((one) => one.id === id),
    network: networks.find((one) => one.id === id),
    volume: volumes.find((one) => one.name === (volume ?? id))
  }
  const of = (kind: 'container' | 'network' | 'volume') =>
    named[kind] && firstFor(rules, kind, named[kind])
  if (kind === 'builder') {
    const [own, ofState] = [of('container'), of('volume')]
    if (own?.keep) return [[id, own]]
    return [[id, ofState?.keep || !named.container ? ofState : own]]
  }
  return kind === 'build-cache' ? [] : [[id, of(kind)]]
}

test('every reference and resource is decided by the first rule that matches, or by the inputs', () => {
  const seen = { ruled: 0, free: 0, off: 0 }
  fc.assert(
    fc.property(inventories, ruledPolicies, (inventory, policy) => {
      const { items, unmatched } = makePlan(inventory, policy)
      const hasSay = ({ keep }: Rule) => keep || policy.scope.kind === 'engine'
      const deciding = new Set<number>()
      for (const item of items) {
        const all = rulesFor(item, inventory, policy.rules)
        const found = all.flatMap(([key, rule]) =>
          rule && hasSay(rule) ? [[key, rule.line] as const] : []
        )
        seen.ruled += found.length
        seen.free += all.length - found.length
        expect([...(item.ruled ?? [])].sort()).toEqual(found.toSorted())
        for (const [, line] of found) deciding.add(line)
        // The rule that a decision names is one of them.
        const { rule = found[0]?.[1] } = item.decision
        if (item.kind !== 'builder')
          expect(found.map(([, line]) => line)).toEqual(
            rule === undefined ? [] : expect.arrayContaining([rule])
          )
      }
      seen.off += policy.rules.filter((rule) => !hasSay(rule)).length
      const idle = policy.rules.filter(
        (rule) => hasSay(rule) && !deciding.has(rule.line)
      )
      expect(
        unmatched
          .filter(({ input }) => input === 'rules')
          .map(({ pattern }) => pattern.split(' ')[1])
      ).toEqual(idle.map(({ line }) => String(line)))
    }),
    runs
  )
  for (const number of Object.values(seen)) expect(number).toBeGreaterThan(500)
})

test('a rule that decides nothing may be deleted without any change', () => {
  const seen = { shadowed: 0, empty: 0 }
  fc.assert(
    fc.property(inventories, bold, (inventory, policy) => {
      const plan = makePlan(inventory, policy)
      for (const { input, pattern, decidedBy } of plan.unmatched) {
        if (input !== 'rules') continue
        seen[decidedBy ? 'shadowed' : 'empty'] += 1
        const rules = policy.rules.filter(
          ({ line }) => !pattern.startsWith(`line ${line} `)
        )
        expect(rules).toHaveLength(policy.rules.length - 1)
        expect(makePlan(inventory, { ...policy, rules }).items).toEqual(
          plan.items
        )
      }
    }),
    runs
  )
  for (const number of Object.values(seen)) expect(number).toBeGreaterThan(100)
})

test('a last line "**" with the values of the inputs changes nothing', () => {
  const fates = ({ items }: Plan, withIdle: boolean) =>
    items.map(({ kind, id, decision, idle }) => ({
      ...{ kind, id, action: decision.action, reason: decision.reason },
      ...(withIdle && { idle })
    }))
  const both = fc.oneof(policies, allPolicies)
  fc.assert(
    fc.property(inventories, both, (inventory, policy) => {
      const { until, keepLast, rules } = policy
      const last: Rule = {
        ...{
          line: 99,
          kind: 'image',
          pattern: '**',
          settings: '',
          keep: false
        },
        ...{ until, keepLast }
      }
      const plan = makePlan(inventory, policy)
      const same = makePlan(inventory, { ...policy, rules: [...rules, last] })
      expect(losses(same)).toEqual(losses(plan))
      // With other rules, another of several that keep an image may be named.
      const alone = rules.length === 0
      expect(fates(same, alone)).toEqual(fates(plan, alone))
      expect(same.removalOrder).toEqual(plan.removalOrder)
    }),
    runs
  )
})

test('more lines with "keep", wherever they stand, never remove more', () => {
  const more = fc.array(
    fc.tuple(
      fc.nat({ max: 5 }),
      rules.map((some) =>
        some.slice(0, 1).map(({ line, kind, pattern }): Rule => ({
          ...{ line: line + 100, kind, pattern, settings: 'keep', keep: true }
        }))
      )
    ),
    { minLength: 1, maxLength: 3 }
  )
  let saved = 0
  fc.assert(
    fc.property(inventories, allPolicies, more, (inventory, policy, more) => {
      // Of several children of a parent that Podman 4 would take along, one that stays sets the others free.
      fc.pre(!inventory.engine.takesParents)
      const rules = [...policy.rules]
      for (const [at, lines] of more) rules.splice(at, 0, ...lines)
      const before = losses(makePlan(inventory, policy))
      const after = losses(makePlan(inventory, { ...policy, rules }))
      expect(before).toEqual(expect.arrayContaining(after))
      if (after.length < before.length) saved += 1
    }),
    runs
  )
  expect(saved).toBeGreaterThan(100)
})

test('the plan is the same on both image stores, tag by tag', () => {
  /** The overlay2 store lists digests among the references, the containerd store makes them up from the tags. */
  const onStore = (images: readonly Image[], listed: boolean): Image[] =>
    images.map((image) => {
      const alone = decidedAlone(image).filter(Boolean)
      const tagged = alone.filter((one) => !one.includes('@'))
      const beside = [
        ...new Set(tagged.map((one) => split(one).repository))
      ].map((repository) => `${repository}@${image.id}`)
      return {
        ...image,
        references: [...alone, ...(listed ? beside : [])],
        digests: [...beside, ...alone.filter((one) => one.includes('@'))]
      }
    })
  const seen = { untag: 0, remove: 0 }
  fc.assert(
    fc.property(inventories, allPolicies, (inventory, policy) => {
      fc.pre(policy.scope.kind !== 'job')
      const [overlay2 = [], containerd = []] = [true, false].map((listed) => {
        const images = onStore(inventory.images, listed)
        return makePlan({ ...inventory, images }, policy).items
      })
      const tags = (items: PlanItem[]) =>
        losses({ items }).filter((one) => !one.includes('@'))
      expect(tags(overlay2)).toEqual(tags(containerd))
      for (const [index, { decision }] of overlay2.entries()) {
        expect(containerd[index]?.decision.action).toBe(decision.action)
        if (decision.action !== 'keep') seen[decision.action] += 1
        if (decision.action !== 'untag') continue
        // The engine takes a repository's digest along with its last tag, and only then.
        const item = overlay2[index]
        const staying = item?.references?.filter(
          (one) => !decision.removedReferences.includes(one)
        )
        const repositories = (some: string[] = [], digest: boolean) =>
          new Set(
            some
              .filter((one) => one.endsWith(item?.id ?? '') === digest)
              .map((one) => split(one).repository)
          )
        const withTags = repositories(staying, false)
        for (const one of repositories(staying, true))
          expect(withTags).toContain(one)
        for (const one of repositories(decision.removedReferences, true))
          expect(withTags).not.toContain(one)
      }
    }),
    runs
  )
  for (const number of Object.values(seen)) expect(number).toBeGreaterThan(50)
})

/** Inventories of containers that have run for long, some of them with what no rule may stop. */
const withObstacles = inventories.chain((inventory) =>
  fc
    .array(
      fc.record(
        {
          labels: fc.constantFrom<Record<string, string>>(
            { 'io.kubernetes.pod.uid': '1' },
            { 'com.gitlab.gitlab-runner.type': 'job' },
            { '0a1b2c': '' },
            ...[{ team: 'web' }, { team: 'web' }],
            { 'com.docker.compose.project': 'shop', team: 'web' },
            { 'com.docker.compose.project': 'shop' }
          ),
          binds: fc.constantFrom(
            ...[['/var/run/docker.sock'], ['/run'], ['/srv'], ['/srv']]
          ),
          state: fc.constantFrom('running', 'running', 'paused')
        },
        { requiredKeys: ['state'] }
      ),
      { minLength: 7, maxLength: 7 }
    )
    .map((parts) => ({
      ...inventory,
      containers: inventory.containers.map((one, index) => ({
        ...one,
        ...parts[index]
      }))
    }))
)

/** Whether anything speaks against stopping a container, apart from others. */
function isObstructed(
  one: Container,
  { oldestJob, self }: Inventory,
  includeVolumes: string
): boolean {
  const keys = Object.keys(one.labels).join(' ')
  const hasAnonymous = one.volumes.some((name) => name.length === 64)
  return (
    one.restartPolicy === 'always' ||
    /io\.kubernetes|gitlab|0a1b2c/.test(keys) ||
    one.execs?.length !== 0 ||
    one.binds.some((path) => path.includes('/run')) ||
    one.id === self ||
    (one.startedAt ?? now) > (oldestJob ?? 0) ||
    (includeVolumes === 'none' && one.autoRemove && hasAnonymous)
  )
}

test('a container is stopped only by a rule with stop-after, and only if nothing speaks against it', () => {
  const seen = { stopped: 0, removed: 0, obstructed: 0 }
  const last: Rule = {
    ...{ line: 99, kind: 'container', pattern: '*', settings: 'stop-after=2d' },
    ...{ keep: false, stopAfter: 2 * 86_400_000 }
  }
  const wanted = fc
    .tuple(allPolicies, fc.constantFrom([], [last], [last]))
    .map(([policy, more]) => ({
      ...policy,
      rules: [...policy.rules, ...more],
      scope: { kind: 'engine' as const }
    }))
  fc.assert(
    fc.property(withObstacles, wanted, (inventory, policy) => {
      const { items } = makePlan(inventory, policy)
      const stops = ({ id }: Container) =>
        items.some((one) => one.id === id && 'stop' in one.decision)
      const users = inventory.containers.filter(
        (one) => !['created', 'exited', 'dead'].includes(one.state)
      )
      for (const one of users) {
        const item = items.find(({ id }) => id === one.id)
        if (item?.kind !== 'container') continue
        const rule = firstFor(policy.rules, 'container', one)
        const obstructed = isObstructed(one, inventory, policy.includeVolumes)
        if (obstructed && rule?.stopAfter !== undefined) seen.obstructed += 1
        if (!stops(one)) {
          expect(item.decision.action).toBe('keep')
          continue
        }
        seen[item.decision.action === 'keep' ? 'stopped' : 'removed'] += 1
        expect(item.decision.rule).toBe(rule?.line)
        const ran = now - (one.startedAt ?? now)
        expect(ran).toBeGreaterThanOrEqual(rule?.stopAfter ?? Infinity)
        expect(obstructed).toBe(false)
        expect(policy.includeContainers).toBe(true)
        const project = one.labels['com.docker.compose.project']
        for (const other of users.filter((user) => !stops(user))) {
          if (project !== undefined)
            expect(other.labels['com.docker.compose.project']).not.toBe(project)
          expect(other.joins).not.toContain(one.id)
          expect(other.joins).not.toContain(one.name)
        }
      }
    }),
    { numRuns: 3_000 }
  )
  for (const number of Object.values(seen)) expect(number).toBeGreaterThan(20)
})
