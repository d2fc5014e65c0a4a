import { z } from 'zod'
import { keepReasons, removeReasons } from '../model/decision.ts'
import { diskContents } from '../model/disks.ts'
import { inputNames } from '../model/inputs.ts'
import { kindNames } from '../model/kinds.ts'
import { ruleKinds } from '../model/rules.ts'

const reasons = [...keepReasons, ...removeReasons, 'changed', 'budget'] as const

export type Reason = (typeof reasons)[number]

const bytes = z.number().nonnegative()

const resourceSchema = z.object({
  kind: z.enum(kindNames),
  id: z.string(),
  name: z.string(),
  references: z
    .array(z.string())
    .optional()
    .describe('Images only: every tag and digest of the image.'),
  volume: z
    .string()
    .optional()
    .describe('Builders only: the state volume, removed with the builder.'),
  digests: z
    .array(z.string())
    .optional()
    .describe(
      'Images to remove: the digests to pull them by again. On the containerd image store, only pushed images have one in a registry.'
    ),
  action: z.enum(['keep', 'remove', 'untag']),
  outcome: z.enum(['kept', 'planned', 'removed', 'untagged', 'gone', 'failed']),
  reason: z.enum(reasons),
  detail: z.string().describe('The reason in words.'),
  rule: z
    .int()
    .optional()
    .describe('The line of the rule that decided, see rules.'),
  stop: z
    .enum(['planned', 'stopped'])
    .optional()
    .describe(
      'Containers that a rule stops: planned in a dry run, stopped afterwards.'
    ),
  bytes: bytes
    .nullable()
    .describe(
      'What the removal freed, or would free in a dry run; null if unknown, 0 if kept.'
    ),
  bytesAtMost: bytes
    .optional()
    .describe(
      'Dry run only: the most that the removal can free, if that is more than bytes.'
    ),
  estimated: z.boolean().optional().describe('The bytes are an estimate.'),
  logBytes: bytes
    .optional()
    .describe('Containers to remove: the part of bytes that is the log.'),
  ownBytes: bytes
    .optional()
    .describe(
      'Kept resources: what the removal of this one alone would free, if known, including layers that the build cache also holds.'
    ),
  heldBy: z
    .enum(inputNames)
    .optional()
    .describe('Kept resources: the input that keeps it, if one does.'),
  eligibleFrom: z.iso
    .datetime()
    .optional()
    .describe(
      'Reason unknown-age: when it can be removed, if still unused by then.'
    ),
  idle: z
    .number()
    .nullable()
    .describe('Milliseconds since the last use; null if unknown.'),
  removedReferences: z
    .array(z.string())
    .optional()
    .describe(
      'References that were removed from a kept image, or would be in a dry run.'
    )
})

const inodes = z.int().nonnegative()

const spaceSchema = z.object({
  freeBytes: bytes.describe('Free for users other than root.'),
  usedBytes: bytes,
  freeInodes: inodes
    .optional()
    .describe('Absent if the filesystem does not count inodes (btrfs).'),
  totalInodes: inodes.optional()
})

const diskSchema = z.object({
  path: z
    .string()
    .describe('A folder on this disk: DockerRootDir or the image store.'),
  holds: z.array(z.enum(diskContents)),
  before: spaceSchema,
  after: spaceSchema.optional()
})

const pressureSchema = z.object({
  whenFreeBelow: z.string().optional(),
  untilFreeAbove: z.string().optional(),
  open: z.boolean().describe('A disk was below when-free-below.'),
  targetReached: z
    .boolean()
    .optional()
    .describe('With until-free-above: every disk has that much free.')
})

const ruleSchema = z.object({
  line: z.int().describe('The line in the input rules.'),
  kind: z.enum(ruleKinds),
  pattern: z.string(),
  settings: z.string().describe('As written: until=30d keep-last=10.'),
  matched: z
    .int()
    .describe(
      'Resources that it decides; an image counts for every rule that decides one of its references.'
    ),
  removed: z
    .int()
    .describe('Those removed or untagged, or that would be in a dry run.'),
  kept: z.int(),
  bytes: bytes.describe('Freed by the removals, or to be freed.')
})

const totalsSchema = z.object({
  plannedBytes: bytes,
  reclaimedBytes: bytes,
  removedContainers: z.int(),
  removedImages: z.int(),
  untaggedReferences: z.int(),
  removedNetworks: z.int(),
  removedVolumes: z.int(),
  removedBuilders: z.int(),
  failed: z.int(),
  freeBytesBefore: bytes
    .nullable()
    .describe('Free on the disk of DockerRootDir; null if it cannot be read.'),
  freeBytesAfter: bytes.nullable(),
  withoutRule: z
    .int()
    .optional()
    .describe(
      'With rules: containers, images, networks and volumes that none decides.'
    ),
  skipped: z.boolean().describe('There was nothing to do.')
})

/** The JSON report. `report.schema.json` is made from it. */
export const reportSchema = z
  .object({
    version: z.literal(1),
    dryRun: z.boolean(),
    host: z
      .string()
      .describe(
        'The input host-name: by default the name of the runner, outside a workflow the hostname.'
      ),
    action: z.object({
      version: z.string().describe('The version of Docker Reclaim.')
    }),
    scope: z
      .string()
      .describe(
        'engine, or what the run was limited to, in words: pull request 12 of acme/web.'
      ),
    engine: z.object({
      name: z.string(),
      id: z.string(),
      version: z.string(),
      store: z
        .string()
        .describe('containerd, or the name of the storage driver.')
    }),
    disks: z
      .array(diskSchema)
      .describe(
        'The disks with the engine’s data, that of DockerRootDir first; empty if they cannot be read.'
      ),
    startedAt: z.iso.datetime(),
    finishedAt: z.iso.datetime(),
    pressure: pressureSchema
      .optional()
      .describe('With when-free-below or until-free-above.'),
    rules: z
      .array(ruleSchema)
      .optional()
      .describe('The input rules, in order, with what each decided.'),
    resources: z.array(resourceSchema),
    totals: totalsSchema
  })
  .meta({
    title: 'The report of Docker Reclaim',
    description:
      'The whole plan and its result. Sizes are in bytes, times in RFC 3339.'
  })

export type Report = z.infer<typeof reportSchema>

export type Resource = z.infer<typeof resourceSchema>

/** Whether it was removed, or would be. */
export function goes({ action, outcome }: Resource): boolean {
  return outcome === 'removed' || (outcome === 'planned' && action === 'remove')
}

/** A container that a rule stops, or would, and that is still there. */
export function isOnlyStopped({ action, stop }: Resource): boolean {
  return action === 'keep' && stop !== undefined
}
