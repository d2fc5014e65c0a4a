import { z } from 'zod'
import { parseSize, parseTime } from '../units.ts'
import { DockerError } from './cli.ts'

// Docker leaves keys out, or writes null for them, from one version to the next: every key is optional.
function orElse<T extends z.ZodType>(schema: T, fallback: z.output<T>) {
  return schema.nullish().transform((value) => value ?? fallback)
}
const text = orElse(z.string(), '')
const texts = orElse(z.array(z.string()), [])
const flag = orElse(z.boolean(), false)
const size = orElse(z.number().nonnegative(), 0)
const time = z
  .string()
  .nullish()
  .transform((value) => parseTime(value ?? ''))
// Not z.record: that drops the key `__proto__`, which Docker takes for a label or a network like any other.
const map = z
  .unknown()
  .optional()
  .transform((value) =>
    Object.fromEntries(
      entriesOf(value).map(([key, entry]) => [
        key,
        typeof entry === 'string' ? entry : ''
      ])
    )
  )
const keys = z
  .unknown()
  .optional()
  .transform((value) => entriesOf(value).map(([key]) => key))

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null
    ? Object.entries(value)
    : []
}

export const infoSchema = z.object({
  ID: text,
  Name: text,
  ServerVersion: text,
  Driver: text,
  DriverStatus: orElse(z.array(z.array(z.string())), []),
  DockerRootDir: text,
  SystemTime: time,
  KernelVersion: text,
  ServerErrors: texts
})

export const versionSchema = z.object({
  Server: z
    .object({ Components: orElse(z.array(z.object({ Name: text })), []) })
    .nullish()
})

const endpointSchema = z.object({ NetworkID: text }).nullish()
const mountSchema = z.object({ Type: text, Name: text, Source: text })

export const containerSchema = z.object({
  Id: z.string().min(1),
  Name: text,
  Created: time,
  Image: text,
  State: z
    .object({ Status: text, StartedAt: time, FinishedAt: time })
    .nullish(),
  Config: z.object({ Image: text, Labels: map }).nullish(),
  HostConfig: z
    .object({
      NetworkMode: text,
      IpcMode: text,
      PidMode: text,
      Links: texts,
      Mounts: orElse(z.array(mountSchema), [])
    })
    .nullish(),
  Mounts: orElse(z.array(mountSchema), []),
  NetworkSettings: z
    .object({
      /** Names with the IDs of the networks; a container that never started has no IDs. */
      Networks: z
        .unknown()
        .optional()
        .transform((value) =>
          entriesOf(value).map(([name, endpoint]) => ({
            name,
            id: endpointSchema.safeParse(endpoint).data?.NetworkID ?? ''
          }))
        )
    })
    .nullish(),
  SizeRw: size
})

/** What `container ls` tells of a container that cannot be inspected. */
export const listedContainerSchema = z.tuple([text, text, text, text, text])

export const imageSchema = z.object({
  Id: z.string().min(1),
  RepoTags: texts,
  RepoDigests: texts,
  Parent: text,
  Comment: text,
  Created: time,
  Size: size,
  Metadata: z.object({ LastTagTime: time }).nullish(),
  RootFS: z.object({ Layers: texts }).nullish(),
  Config: z.object({ Labels: map }).nullish()
})

export const networkSchema = z.object({
  Id: z.string().min(1),
  Name: z.string().min(1),
  Scope: text,
  Created: time,
  Labels: map,
  Ingress: flag,
  ConfigFrom: z.object({ Network: text }).nullish(),
  Containers: keys
})

export const volumeSchema = z.object({
  Name: z.string().min(1),
  Driver: text,
  CreatedAt: time,
  Labels: map,
  Options: map,
  Mountpoint: text
})

/** A line of `events`. */
export const eventSchema = z.object({
  Type: text,
  Action: text,
  Actor: z.object({ ID: text, Attributes: map }).nullish(),
  /** Nanoseconds since 1970; as a number it is exact to a microsecond. */
  timeNano: orElse(z.number(), 0)
})

/** A line of `image ls`. */
export const listedImageSchema = z.object({ ID: z.string().min(1), Size: text })

/** A line of `image history --human=false`. */
export const historySchema = z.object({
  CreatedBy: text,
  Size: z.coerce.number().nonnegative()
})

/** The parts of `system df -v` that are read; sizes are text for people. */
export const diskUsageSchema = z.object({
  Volumes: orElse(z.array(z.object({ Name: text, Size: text })), []),
  BuildCache: orElse(
    z.array(
      z.object({
        CacheType: text,
        InUse: text,
        Shared: text,
        Size: text,
        CreatedAt: text,
        LastUsedAt: text
      })
    ),
    []
  )
})

export const contextSchema = z.array(
  z.object({
    Name: text,
    Endpoints: z
      .object({ docker: z.object({ Host: text }).nullish() })
      .nullish()
  })
)

/** Reads one JSON value that a command printed. Throws a DockerError that names the command. */
export function readJson<T>(
  json: string,
  schema: z.ZodType<T>,
  command: string
): T {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw unreadable(command, `no JSON: ${json.slice(0, 200)}`)
  }
  const result = schema.safeParse(value)
  if (!result.success) throw unreadable(command, z.prettifyError(result.error))
  return result.data
}

/** Reads JSON that a command printed one value a line. Throws a DockerError that names the command. */
export function readJsonLines<T>(
  lines: string,
  schema: z.ZodType<T>,
  command: string
): T[] {
  return lines
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => readJson(line, schema, command))
}

function unreadable(command: string, why: string): DockerError {
  return new DockerError(
    'failed',
    `The output of docker ${command} could not be read. ${why}`
  )
}

/** A size as Docker prints it for people; undefined where it is none (`N/A`). */
export function readSize(text: string): number | undefined {
  return parseSize(text.trim())
}
