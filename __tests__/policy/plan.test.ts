import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Image, Inventory } from '../../src/model/inventory.ts'
import { labelMatcher, referenceMatcher } from '../../src/model/patterns.ts'
import { parseReference } from '../../src/model/references.ts'
import type { Kind } from '../../src/model/kinds.ts'
import type { Plan } from '../../src/model/plan.ts'
import { makePlan } from '../../src/policy/plan.ts'
import { minute, policy } from '../builders.ts'
import {
  inventories,
  jobScopes,
  now,
  policies,
  pullRequestScopes,
  ruledPolicies,
  stricterPairs
} from './generators.ts'

const runs = { numRuns: 2_000 }

function ids(plan: Plan, kind: Kind, action: string): Set<string> {
  return new Set(
    plan.items
      .filter((item) => item.kind === kind && item.decision.action === action)
      .map(({ id }) => id)
  )
}

/** The IDs of removed containers, including those of builders. */
function removedContainers(plan: Plan): Set<string> {
  const all = [ids(plan, 'container', 'remove'), ids(plan, 'builder', 'remove')]
  return new Set(all.flatMap((one) => [...one]))
}

/** The names of removed volumes, including the state of builders. */
function removedVolumes(plan: Plan): Set<string> {
  const states = plan.items
    .filter(({ decision }) => decision.action === 'remove')
    .flatMap(({ volume = [] }) => volume)
  return new Set([...ids(plan, 'volume', 'remove'), ...states])
}

const isBuilder = (name: string) => name.startsWith('buildx_buildkit_')
const isState = (name: string) => isBuilder(name) && name.endsWith('_state')

/** Later than Docker's zero time and the dates of reproducible builds. */
const firstDay = Date.UTC(1980, 0, 2, 23, 59, 59)

function plausibleDate(instant: number | undefined): number | undefined {
  return instant !== undefined &&
    instant > firstDay &&
    instant <= now + 5 * minute
    ? instant
    : undefined
}

function lostReferences(plan: Plan, { id, references }: Image): string[] {
  const item = plan.items.find((one) => one.kind === 'image' && one.id === id)
  if (item?.decision.action === 'remove') return references
  return item?.decision.action === 'untag'
    ? item.decision.removedReferences
    : []
}

test('every resource gets exactly one decision, with a reason and a detail', () => {
  fc.assert(
    fc.property(inventories, ruledPolicies, (inventory, policy) => {
      const { items } = makePlan(inventory, policy)
      const expected = [
        ...inventory.containers.map(
          ({ id, name }) => `${isBuilder(name) ? 'builder' : 'container'} ${id}`
        ),
        ...inventory.networks.map(({ id }) => `network ${id}`),
        ...inventory.images.map(({ id }) => `image ${id}`),
        ...inventory.volumes
          .filter(({ name }) => !isState(name))
          .map(({ name }) => `volume ${name}`),
        'build-cache build-cache'
      ]
      const states = inventory.volumes.map(({ name }) => name).filter(isState)
      const left = states.filter((state) =>
        inventory.containers.every(({ name }) => `${name}_state` !== state)
      )
      expected.push(...left.map((state) => `builder ${state}`))
      expect(items.map(({ kind, id }) => `${kind} ${id}`).sort()).toEqual(
        expected.sort()
      )
      // A state volume belongs to its builder, or is left over.
      expect(items.flatMap(({ volume = [] }) => volume).sort()).toEqual(
        states.sort()
      )
      for (const { decision } of items) {
        expect(decision.reason).not.toBe('')
        // A clause that stands after the reason and leaves out its own resource.
        expect(decision.detail).toMatch(/^(?:[a-z\d]|Podman ).*[^.]$/)
        expect(decision.detail).not.toMatch(/\bits?\b/)
      }
    }),
    runs
  )
})

test('nothing that a kept container needs is removed', () => {
  fc.assert(
    fc.property(inventories, ruledPolicies, (inventory, policy) => {
      const plan = makePlan(inventory, policy)
      const gone = (kind: Kind) => ids(plan, kind, 'remove')
      const stays = inventory.containers.filter(
        ({ id }) => !removedContainers(plan).has(id)
      )
      for (const container of stays) {
        const image = inventory.images.find(({ id }) => id === container.image)
        if (image) expect(lostReferences(plan, image)).toEqual([])
        for (const { id, references } of inventory.images)
          if (references.some((one) => container.mountedImages.includes(one)))
            expect(gone('image').has(id)).toBe(false)
        for (const { id, name } of inventory.networks)
          if (container.networks.some((one) => one === id || one === name))
            expect(gone('network').has(id)).toBe(false)
        for (const volume of container.volumes)
          expect(removedVolumes(plan).has(volume)).toBe(false)
        for (const { id, name } of inventory.containers)
          if (container.joins.includes(id) || container.joins.includes(name))
            expect(removedContainers(plan).has(id)).toBe(false)
      }
      for (const { id, name, state } of inventory.containers) {
        if (['created', 'exited', 'dead'].includes(state)) continue
        if (isBuilder(name)) continue
        const runs = ['running', 'paused', 'restarting', 'stopped'].includes(
          state
        )
        const item = plan.items.find((one) => one.id === id)
        const byRule = item?.decision.rule !== undefined
        if ((policy.scope.kind === 'engine' && !byRule) || !runs)
          expect(item?.decision.action).toBe('keep')
        else if (item?.decision.action === 'remove')
          expect(item.decision.stop).toBe(true)
      }
    }),
    runs
  )
})

test('a state volume is removed only with its builder, and a builder only if include-builders allows it', () => {
  let [stopped, running, left] = [0, 0, 0]
  fc.assert(
    fc.property(inventories, policies, (inventory, policy) => {
      const plan = makePlan(inventory, policy)
      const gone = removedContainers(plan)
      for (const name of removedVolumes(plan)) {
        if (!isState(name)) continue
        expect(policy.includeBuilders).not.toBe('none')
        expect(inventory.engine.kind).toBe('docker')
        const volume = inventory.volumes.find((one) => one.name === name)
        expect(volume).toMatchObject({ driver: 'local', options: {} })
        const owner = inventory.containers.find(
          (one) => `${one.name}_state` === name
        )
        if (owner) expect(gone.has(owner.id)).toBe(true)
        else left += 1
      }
      for (const { id, name, state, execs } of inventory.containers) {
        if (!isBuilder(name) || !gone.has(id)) continue
        expect(policy.includeBuilders).not.toBe('none')
        expect(policy.scope.kind).toBe('engine')
        if (state === 'running') {
          expect(policy.includeBuilders).toBe('all')
          expect(execs).toEqual([])
          running += 1
        } else {
          expect(['created', 'exited', 'dead']).toContain(state)
          stopped += 1
        }
      }
    }),
    runs
  )
  for (const seen of [stopped, running, left]) expect(seen).toBeGreaterThan(0)
})

test('nothing protected is removed or untagged', () => {
  fc.assert(
    fc.property(inventories, ruledPolicies, (inventory, policy) => {
      const plan = makePlan(inventory, policy)
      const labelled = policy.protectedLabels.map(labelMatcher)
      const named = policy.protectedImages.map(referenceMatcher)
      const isProtected = (labels: Record<string, string>) =>
        labelled.some((matches) => matches(labels))
      for (const { id, labels } of inventory.containers)
        if (isProtected(labels))
          expect(removedContainers(plan).has(id)).toBe(false)
      for (const { id, labels } of inventory.networks)
        if (isProtected(labels))
          expect(ids(plan, 'network', 'remove').has(id)).toBe(false)
      for (const { name, labels } of inventory.volumes)
        if (isProtected(labels))
          expect(removedVolumes(plan).has(name)).toBe(false)
      for (const image of inventory.images)
        if (
          isProtected(image.labels) ||
          image.references.some((one) => named.some((matches) => matches(one)))
        ) {
          expect(lostReferences(plan, image)).toEqual([])
          expect(ids(plan, 'image', 'remove').has(image.id)).toBe(false)
        }
    }),
    runs
  )
})

test('a reference is removed only if keep-last newer images of its repository are kept', () => {
  fc.assert(
    fc.property(inventories, policies, (inventory, policy) => {
      const plan = makePlan(inventory, policy)
      const date = ({ id, createdAt, taggedAt }: Image) => {
        const { idle = now } = plan.items.find((item) => item.id === id) ?? {}
        const arrival = now - idle
        return plausibleDate(createdAt) ?? plausibleDate(taggedAt) ?? arrival
      }
      for (const image of inventory.images)
        for (const reference of lostReferences(plan, image)) {
          const { repository } = parseReference(reference)
          const newer = inventory.images.filter(
            (other) =>
              date(other) >= date(image) &&
              other.references.some(
                (one) =>
                  parseReference(one).repository === repository &&
                  !lostReferences(plan, other).includes(one)
              )
          )
          expect(newer.length).toBeGreaterThanOrEqual(policy.keepLast)
        }
    }),
    runs
  )
})

test('nothing is removed that was used within until, or whose age is unknown', () => {
  fc.assert(
    fc.property(inventories, policies, (inventory, policy) => {
      const until =
        'duration' in policy.until
          ? policy.until.duration
          : Math.max(now - policy.until.time, 1)
      if (until === 0) return
      const plan = makePlan(inventory, policy)
      const { containers, images, networks, volumes, events } = inventory
      const byUse = policy.ageFrom === 'last-used'
      const logBegan = Math.min(...events.map(({ at }) => at))
      const dates = new Map<string, (number | undefined)[]>()
      for (const one of containers) {
        const { id, createdAt, startedAt, finishedAt } = one
        const byStart = isBuilder(one.name) && one.state === 'running'
        const used = events.filter(
          ({ type, action, id }) =>
            type === 'container' && action.startsWith('exec') && id === one.id
        )
        dates.set(id, byStart ? [startedAt] : [createdAt])
        if (byUse && !byStart) dates.get(id)?.push(finishedAt)
        if (isBuilder(one.name) && (byUse || byStart))
          dates.get(id)?.push(...used.map(({ at }) => at))
      }
      for (const { id, createdAt } of networks) dates.set(id, [createdAt])
      for (const { name, createdAt } of volumes) dates.set(name, [createdAt])
      const parents = new Set(images.map(({ parent }) => parent))
      for (const one of images) {
        const { id, references, parent, createdAt, taggedAt, pulled } = one
        const onTheWay = references.length === 0 && (parent ?? parents.has(id))
        // A tag dated in the future was made here, too.
        const builtHere = !pulled && ((taggedAt ?? 0) > firstDay || onTheWay)
        dates.set(
          id,
          byUse ? [builtHere ? createdAt : undefined, taggedAt] : [createdAt]
        )
      }
      for (const { networks: on, volumes: mounted, finishedAt } of byUse
        ? containers
        : [])
        for (const used of [
          ...on,
          ...on.map((name) => `id-of-${name}`),
          ...mounted
        ])
          dates.get(used)?.push(finishedAt)
      for (const { type, action, id, at, image } of byUse ? events : []) {
        if (type === 'volume' && action === 'mount') dates.get(id)?.push(at)
        if (type === 'network' && action === 'connect') dates.get(id)?.push(at)
        for (const one of images) {
          const named = (name: string) =>
            name === one.id || one.references.includes(name)
          const used =
            type === 'image'
              ? ['pull', 'load', 'tag'].includes(action) && named(id)
              : false
          const run =
            type === 'container' &&
            action === 'die' &&
            named(image) &&
            !containers.some((known) => known.id === id)
          if (used || run) dates.get(one.id)?.push(at)
        }
      }
      const entries = byUse ? (inventory.ledger ?? []) : []
      // The engine records when these arrived.
      const dated = new Set([
        ...networks
          .filter(({ createdAt }) => plausibleDate(createdAt))
          .map(({ id }) => id),
        ...volumes
          .filter(({ createdAt }) => plausibleDate(createdAt))
          .map(({ name }) => name),
        ...images
          .filter(({ taggedAt }) => plausibleDate(taggedAt))
          .map(({ id }) => id)
      ])
      for (const { id, since, arrived, usedAt } of entries)
        dates
          .get(id)
          ?.push(arrived && !dated.has(id) ? since : undefined, usedAt)
      for (const { id } of byUse ? images : [])
        if (!dates.get(id)?.some((date) => plausibleDate(date) !== undefined)) {
          const watched = entries.findLast((entry) => entry.id === id)?.since
          dates.get(id)?.push(Math.min(logBegan, watched ?? Infinity))
        }
      for (const { kind, id, decision, idle } of plan.items) {
        if (decision.action === 'keep' || kind === 'build-cache') continue
        expect(idle).toBeDefined()
        const known = (dates.get(id) ?? []).filter(
          (date) => plausibleDate(date) !== undefined
        )
        for (const date of known)
          expect(now - (date ?? now)).toBeGreaterThanOrEqual(until)
      }
    }),
    runs
  )
})

test('if the engine removes untagged parents along with images, a kept parent keeps a child', () => {
  fc.assert(
    fc.property(inventories, ruledPolicies, (inventory, policy) => {
      fc.pre(inventory.engine.takesParents)
      const gone = ids(makePlan(inventory, policy), 'image', 'remove')
      const children = Map.groupBy(inventory.images, ({ parent }) => parent)
      for (const { id, references } of inventory.images) {
        const ofIt = children.get(id) ?? []
        if (!gone.has(id) && references.length === 0 && ofIt.length > 0)
          expect(ofIt.every((one) => gone.has(one.id))).toBe(false)
      }
    }),
    runs
  )
})

test('the parent of a kept image is kept', () => {
  fc.assert(
    fc.property(inventories, ruledPolicies, (inventory, policy) => {
      const plan = makePlan(inventory, policy)
      const gone = ids(plan, 'image', 'remove')
      for (const { id, parent } of inventory.images)
        if (!gone.has(id) && parent !== undefined)
          expect(gone.has(parent)).toBe(false)
    }),
    runs
  )
})

test('only volumes that include-volumes allows are removed, and only local ones without options', () => {
  fc.assert(
    fc.property(inventories, policies, (inventory, policy) => {
      const gone = ids(makePlan(inventory, policy), 'volume', 'remove')
      for (const { name, driver, options } of inventory.volumes.filter(
        (volume) => gone.has(volume.name)
      )) {
        expect(policy.includeVolumes).not.toBe('none')
        expect(driver).toBe('local')
        expect(options).toEqual({})
        if (name.length === 64) continue
        expect(policy.includeVolumes).toBe('all')
        if (policy.scope.kind !== 'engine') continue
        const until =
          'duration' in policy.until
            ? policy.until.duration
            : Math.max(now - policy.until.time, 1)
        const entry = inventory.ledger?.findLast(({ id }) => id === name)
        expect(now - (entry?.since ?? now)).toBeGreaterThanOrEqual(until)
      }
    }),
    runs
  )
})

/** The pull request numbers in a tag or project name. */
function numbersIn(name: string): number[] {
  return [...name.matchAll(/(?<=^|-)pr-(\d+)(?=-|$)/g)].map(([, digits]) =>
    Number(digits)
  )
}

test('with scope pull-request, everything removed belongs only to closed pull requests of the repository', () => {
  const seen = { image: 0, untag: 0, container: 0, network: 0, volume: 0 }
  fc.assert(
    fc.property(inventories, pullRequestScopes, (inventory, scope) => {
      if (scope.kind !== 'pull-request') return
      const plan = makePlan(
        inventory,
        policy({ scope, until: { duration: 0 }, includeVolumes: 'all' })
      )
      const closed = (numbers: number[]) =>
        numbers.length > 0 &&
        numbers.every((number) => scope.numbers.get(number) === 'closed')
      const isOurs = (reference: string, labels: Record<string, string>) => {
        const source = labels['org.opencontainers.image.source']
        return source === undefined
          ? reference.startsWith('acme/web:')
          : source === 'https://github.com/acme/web'
      }
      const ofReference = (
        reference: string,
        labels: Record<string, string>
      ) =>
        isOurs(reference, labels)
          ? numbersIn(parseReference(reference).tag ?? '')
          : []
      const ofProject = (labels: Record<string, string>) => {
        const project = labels['com.docker.compose.project'] ?? ''
        return project.includes('web') ? numbersIn(project) : []
      }
      const ofContainer = (one: Inventory['containers'][number]) => {
        const image = inventory.images.find(({ id }) => id === one.image)
        // A project label that the image also has is inherited.
        const projects = [image?.labels, one.labels].map(
          (labels) => labels?.['com.docker.compose.project']
        )
        const own = projects[0] !== projects[1]
        return [
          ...ofReference(one.imageReference, one.labels),
          ...(own ? ofProject(one.labels) : [])
        ]
      }
      for (const image of inventory.images) {
        const { labels, references } = image
        const tags = references.filter((one) => !one.includes('@'))
        for (const reference of lostReferences(plan, image)) {
          seen.untag += 1
          const digest = reference.includes('@')
          const { repository } = parseReference(reference)
          if (!digest) expect(closed(ofReference(reference, labels))).toBe(true)
          else
            for (const tag of tags.filter((one) => one.startsWith(repository)))
              expect(lostReferences(plan, image)).toContain(tag)
        }
        if (tags.length > 0 || !ids(plan, 'image', 'remove').has(image.id))
          continue
        seen.image += 1
        expect(
          closed(numbersIn(labels['org.opencontainers.image.version'] ?? ''))
        ).toBe(true)
      }
      // A container started by digest belongs by its image.
      for (const one of inventory.containers) {
        if (!ids(plan, 'container', 'remove').has(one.id)) continue
        seen.container += 1
        if (!one.imageReference.includes('@'))
          expect(closed(ofContainer(one))).toBe(true)
      }
      for (const [kind, things] of [
        ['network', inventory.networks.map((one) => ({ ...one, key: one.id }))],
        ['volume', inventory.volumes.map((one) => ({ ...one, key: one.name }))]
      ] as const)
        for (const { key, name, labels } of things) {
          if (!ids(plan, kind, 'remove').has(key)) continue
          seen[kind] += 1
          const users = inventory.containers.filter((one) =>
            [...one.networks, ...one.volumes, ...one.binds].some(
              (used) => used === key || used === name || used.includes(name)
            )
          )
          const found = [...ofProject(labels), ...users.flatMap(ofContainer)]
          if (!users.some((one) => one.imageReference.includes('@')))
            expect(closed(found)).toBe(true)
          for (const user of users)
            expect(ids(plan, 'container', 'remove').has(user.id)).toBe(true)
        }
      expect(ids(plan, 'build-cache', 'remove').size).toBe(0)
    }),
    runs
  )
  for (const number of Object.values(seen)) expect(number).toBeGreaterThan(3)
})

test('with scope job, exactly the new resources that no rule keeps are removed', () => {
  const seen = { remove: 0, untag: 0, keep: 0 }
  fc.assert(
    fc.property(inventories, jobScopes, (inventory, scope) => {
      if (scope.kind !== 'job') return
      const permissive = {
        until: { duration: 0 },
        includeVolumes: 'all'
      } as const
      const plan = makePlan(inventory, policy({ scope, ...permissive }))
      const known = new Set(
        Object.values(scope.before ?? {}).flatMap((names) => [...names])
      )
      for (const image of inventory.images)
        for (const reference of lostReferences(plan, image))
          expect(known.has(reference)).toBe(false)
      for (const { kind, id, name, references, decision } of plan.items) {
        const { action, reason } = decision
        seen[action] += 1
        const wasNamed = kind !== 'image' && known.has(name)
        if (scope.before === undefined || known.has(id) || wasNamed)
          expect(action).not.toBe('remove')
        if (action !== 'keep') expect(reason).toBe('job')
        const none = ['build-cache', 'builder'].includes(kind)
        if (reason !== 'out-of-scope' || none) continue
        const names = [id, name, ...(references ?? [])]
        if (scope.before) expect(names.some((one) => known.has(one))).toBe(true)
      }
      expect(ids(plan, 'build-cache', 'remove').size).toBe(0)
    }),
    runs
  )
  for (const number of Object.values(seen)) expect(number).toBeGreaterThan(20)
})

test('the plan does not depend on the order of the inventory', () => {
  const shuffled = (inventory: Inventory) =>
    fc.record({
      containers: fc.shuffledSubarray(inventory.containers, {
        minLength: inventory.containers.length
      }),
      images: fc.shuffledSubarray(inventory.images, {
        minLength: inventory.images.length
      }),
      networks: fc.shuffledSubarray(inventory.networks, {
        minLength: inventory.networks.length
      }),
      volumes: fc.shuffledSubarray(inventory.volumes, {
        minLength: inventory.volumes.length
      })
    })
  const pairs = inventories.chain((inventory) =>
    fc.tuple(fc.constant(inventory), shuffled(inventory))
  )
  fc.assert(
    fc.property(pairs, ruledPolicies, ([inventory, other], policy) => {
      expect(makePlan({ ...inventory, ...other }, policy)).toEqual(
        makePlan(inventory, policy)
      )
    }),
    runs
  )
})

test('a stricter policy never removes more', () => {
  fc.assert(
    fc.property(
      inventories,
      stricterPairs,
      (inventory, { policy, stricter }) => {
        const lax = makePlan(inventory, policy)
        const strict = makePlan(inventory, stricter)
        for (const { kind, id, decision } of strict.items)
          if (decision.action === 'remove')
            expect(
              lax.items.find((item) => item.kind === kind && item.id === id)
                ?.decision.action
            ).toBe('remove')
        for (const image of inventory.images)
          expect(lostReferences(lax, image)).toEqual(
            expect.arrayContaining(lostReferences(strict, image))
          )
      }
    ),
    runs
  )
})
