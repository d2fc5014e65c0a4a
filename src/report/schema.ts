import { z } from 'zod'
import { keepReasons, removeReasons } from '../model/decision.ts'
import { diskContents } from '../model/disks.ts'
import { inputNames } from '../model/inputs.ts'
import { kindNames } from '../model/kinds.ts'

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
    .describe('Images only: every tag and digest that it had.'),
  volume: z
    .string()
    .optional()
    .describe('Builders only: the volume with its state, which goes with it.'),
  digests: z
    .array(z.string())
    .optional()
    .describe(
      'Images that go: what they can be pulled by again; on the containerd image store only if it was pushed.'
    ),
  action: z.enum(['keep', 'remove', 'untag']),
  outcome: z.enum(['kept', 'planned', 'removed', 'untagged', 'gone', 'failed']),
  reason: z.enum(reasons),
  detail: z.string().describe('The same in a sentence for people.'),
  bytes: bytes
    .nullable()
    .describe(
      'What its removal freed, or would free in a dry run; null where that is not known, 0 for what stays.'
    ),
  bytesAtMost: bytes
    .optional()
    .describe(
      'In a dry run, where more may be freed than is certain: at most this.'
    ),
  estimated: z
    .boolean()
    .optional()
    .describe('The figures of bytes may be somewhat off.'),
  logBytes: bytes
    .optional()
    .describe('Containers that go: how much of bytes is the log.'),
  ownBytes: bytes
    .optional()
    .describe(
      'What stays: what its removal alone would free, where that is known, with what the build cache has of it.'
    ),
  heldBy: z
    .enum(inputNames)
    .optional()
    .describe('What stays: the input that holds it, where one does.'),
  eligibleFrom: z.iso
    .datetime()
    .optional()
    .describe('What is of unknown age: when it can go, if it stays unused.'),
  idle: z
    .number()
    .nullable()
    .describe('Milliseconds since its last use; null where nothing tells.'),
  removedReferences: z
    .array(z.string())
    .optional()
    .describe(
      'References that were taken off an image that is still there, or are to be in a dry run.'
    )
})

const inodes = z.int().nonnegative()

const spaceSchema = z.object({
  freeBytes: bytes.describe('Free for users other than root.'),
  usedBytes: bytes,
  freeInodes: inodes
    .optional()
    .describe('Absent where the filesystem counts no inodes (btrfs).'),
  totalInodes: inodes.optional()
})

const diskSchema = z.object({
  path: z
    .string()
    .describe('A folder on it: DockerRootDir or the image store.'),
  holds: z.array(z.enum(diskContents)),
  before: spaceSchema,
  after: spaceSchema.optional()
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
    .describe(
      'Free on the disk of DockerRootDir; null where it cannot be read.'
    ),
  freeBytesAfter: bytes.nullable(),
  skipped: z.boolean().describe('Nothing had to be done.')
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
        'engine, or in words what the run was limited to: pull request 12 of acme/web.'
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
        'The disks that hold the engine’s data, that of DockerRootDir first; none where they cannot be read.'
      ),
    startedAt: z.iso.datetime(),
    finishedAt: z.iso.datetime(),
    resources: z.array(resourceSchema),
    totals: totalsSchema
  })
  .meta({
    title: 'The report of Docker Reclaim',
    description:
      'The whole plan and what became of it. Sizes in bytes, times in RFC 3339.'
  })

export type Report = z.infer<typeof reportSchema>

export type Resource = z.infer<typeof resourceSchema>

/** Whether it was removed, or would be. */
export function goes({ action, outcome }: Resource): boolean {
  return outcome === 'removed' || (outcome === 'planned' && action === 'remove')
}
