import type { Engine } from '../model/inventory.ts'
import { plannedItems } from '../model/plan.ts'
import type { Rule } from '../model/rules.ts'
import { sum } from '../units.ts'
import { countByRule, countWithoutRule } from './rules.ts'
import { makeResources, type ResourceFacts } from './resources.ts'
import type { Report, Resource } from './schema.ts'

export type ReportFacts = ResourceFacts & {
  host: string
  action: Report['action']
  engine: Engine
  rules: readonly Rule[]
  pressure: Report['pressure']
  disks: Report['disks']
  startedAt: Date
  finishedAt: Date
}

export function makeReport(facts: ReportFacts): Report {
  const { plan, removal, disks, rules, pressure } = facts
  const { name, id, version, store } = facts.engine
  const resources = makeResources(facts)
  return {
    version: 1,
    dryRun: removal === undefined,
    host: facts.host,
    action: facts.action,
    scope: plan.scope,
    engine: { name, id, version, store },
    disks,
    startedAt: facts.startedAt.toISOString(),
    finishedAt: facts.finishedAt.toISOString(),
    ...(pressure && { pressure }),
    ...(rules.length > 0 && {
      rules: countByRule(rules, plan.items, resources)
    }),
    resources,
    totals: makeTotals(facts, resources)
  }
}

function makeTotals(
  { plan, rules, disks: [disk] }: ReportFacts,
  resources: readonly Resource[]
): Report['totals'] {
  const removed = resources.filter(({ outcome }) => outcome === 'removed')
  const number = (kind: Resource['kind']) =>
    removed.filter((one) => one.kind === kind).length
  const untagged = resources
    .filter(({ outcome }) => outcome !== 'planned')
    .map(({ removedReferences = [] }) => removedReferences.length)
  return {
    plannedBytes: sum(plannedItems(plan).map(({ bytes = 0 }) => bytes)),
    reclaimedBytes: sum(removed.map(({ bytes }) => bytes ?? 0)),
    removedContainers: number('container'),
    removedImages: number('image'),
    untaggedReferences: sum(untagged),
    removedNetworks: number('network'),
    removedVolumes: number('volume'),
    removedBuilders: number('builder'),
    failed: resources.filter(({ outcome }) => outcome === 'failed').length,
    freeBytesBefore: disk?.before.freeBytes ?? null,
    freeBytesAfter: disk?.after?.freeBytes ?? null,
    ...(rules.length > 0 && { withoutRule: countWithoutRule(plan.items) }),
    // The builder alone knows whether the build cache has anything to remove.
    skipped: resources.every(
      ({ kind, action, outcome, stop }) =>
        (action === 'keep' && stop === undefined) ||
        (kind === 'build-cache' && outcome === 'gone')
    )
  }
}
