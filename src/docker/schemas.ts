import { z } from 'zod'
import { parseSize, parseTime } from '../units.ts'
import { DockerError } from './cli.ts'

// Docker leaves keys out, or writes null for them, from one version to the next: every key is optional.
const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '')
const texts = z
  .array(z.string())
  .nullish()
  .transform((value) => value ?? [])
const map = z
  .record(z.string(), z.string().nullable())
  .nullish()
  .transform((value) =>
    Object.fromEntries(
      Object.entries(value ?? {}).map(([key, entry]) => [key, entry ?? ''])
    )
  )
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false)
const time = z
  .string()
  .nullish()
  .transform((value) => parseTime(value ?? ''))
const keys = z
  .record(z.string(), z.unknown())
  .nullish()
  .transform((value) => Object.keys(value ?? {}))

export const infoSchema = z.object({
  ID: text,
  Name: text,
  ServerVersion: text,
  Driver: text,
  DriverStatus: z
    .array(z.array(z.string()))
    .nullish()
    .transform((value) => value ?? []),
  DockerRootDir: text,
  SystemTime: time,
  KernelVersion: text,
  ServerErrors: texts
})

export const containerSchema = z.object({
  Id: z.string().min(1),
  Name: text,
  Created: time,
  Image: text,
  State: z
    .object({ Status: text, StartedAt: time, FinishedAt: time })
    .partial()
    .nullish(),
  Config: z.object({ Image: text, Labels: map }).partial().nullish(),
  HostConfig: z
    .object({
      NetworkMode: text,
      IpcMode: text,
      PidMode: text,
      Links: texts,
      Mounts: z
        .array(z.object({ Type: text, Source: text }))
        .nullish()
        .transform((value) => value ?? [])
    })
    .partial()
    .nullish(),
  Mounts: z
    .array(z.object({ Type: text, Name: text, Source: text }))
    .nullish()
    .transform((value) => value ?? []),
  NetworkSettings: z
    .object({
      Networks: z
        .record(z.string(), z.object({ NetworkID: text }).nullable())
        .nullish()
    })
    .nullish(),
  SizeRw: z.number().nullish()
})

export const imageSchema = z.object({
  Id: z.string().min(1),
  RepoTags: texts,
  RepoDigests: texts,
  Parent: text,
  Comment: text,
  Created: time,
  Size: z
    .number()
    .nonnegative()
    .nullish()
    .transform((value) => value ?? 0),
  Metadata: z.object({ LastTagTime: time }).partial().nullish(),
  RootFS: z.object({ Layers: texts }).partial().nullish(),
  Config: z.object({ Labels: map }).partial().nullish()
})

export const networkSchema = z.object({
  Id: z.string().min(1),
  Name: z.string().min(1),
  Driver: text,
  Scope: text,
  Created: time,
  Labels: map,
  Ingress: flag,
  ConfigFrom: z.object({ Network: text }).partial().nullish(),
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

/** A line of `image ls`. */
export const listedImageSchema = z.object({ ID: z.string().min(1), Size: text })

/** A line of `image history --human=false`. */
export const historySchema = z.object({
  CreatedBy: text,
  Size: z.coerce.number().nonnegative()
})

/** The parts of `system df -v` that are read; sizes are text for people. */
export const diskUsageSchema = z.object({
  Volumes: z
    .array(z.object({ Name: text, Size: text }))
    .nullish()
    .transform((value) => value ?? []),
  BuildCache: z
    .array(
      z.object({
        ID: text,
        CacheType: text,
        InUse: text,
        Shared: text,
        Size: text,
        CreatedAt: text,
        LastUsedAt: text
      })
    )
    .nullish()
    .transform((value) => value ?? [])
})

export const contextSchema = z.array(
  z.object({
    Name: text,
    Endpoints: z
      .object({ docker: z.object({ Host: text }).partial().nullish() })
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
