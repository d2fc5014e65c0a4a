import { z } from 'zod'
import { longestLabel } from '../model/patterns.ts'
import { parseTime } from '../units.ts'

// Docker versions leave out keys or set them to null, so every key is optional. A value of another type is an error: it
// could be a reason to keep something.
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
  .transform((value, context) => {
    const instant = value ? parseTime(value) : undefined
    if (value && instant === undefined)
      context.addIssue({ code: 'custom', message: 'this is no time' })
    return instant
  })

/** Written by any build tool, in any form. */
const buildTime = z
  .string()
  .nullish()
  .transform((value) => parseTime(value ?? ''))

/** The entries of an object. z.record drops the key `__proto__`, which Docker accepts. */
function entries<T>(schema: z.ZodType<T>) {
  return z
    .unknown()
    .optional()
    .transform((value, context): [string, T][] => {
      if (value === undefined || value === null) return []
      const complain = (message: string) => {
        context.addIssue({ code: 'custom', message })
      }
      if (typeof value !== 'object' || Array.isArray(value)) {
        complain('this is no object')
        return []
      }
      return Object.entries(value).flatMap<[string, T]>(([key, entry]) => {
        const result = schema.safeParse(entry)
        if (result.success) return [[key, result.data]]
        complain(`${key}: ${z.prettifyError(result.error)}`)
        return []
      })
    })
}

const map = entries(text).transform((all) => Object.fromEntries(all))

/** Cuts long values, and copies what is left: a slice would keep the whole answer in memory. */
const labels = entries(text).transform((all) =>
  Object.fromEntries(
    all.map(([key, value]) => [
      key,
      value.length <= longestLabel
        ? value
        : Buffer.from(value.slice(0, longestLabel + 1)).toString()
    ])
  )
)

const keys = entries(z.unknown()).transform((all) => all.map(([key]) => key))

export const infoSchema = z.object({
  ID: text,
  Name: text,
  ServerVersion: text,
  Driver: text,
  DriverStatus: orElse(z.array(z.array(z.string())), []),
  DockerRootDir: text,
  SystemTime: time,
  KernelVersion: text,
  Swarm: z.object({ LocalNodeState: text, ControlAvailable: flag }).nullish(),
  Containerd: z.object({ Address: text }).nullish(),
  ClientInfo: z.object({ Context: text }).nullish(),
  ServerErrors: texts
})

export const versionSchema = z.object({
  Server: z
    .object({ Components: orElse(z.array(z.object({ Name: text })), []) })
    .nullish()
})

const mountSchema = z.object({ Type: text, Name: text, Source: text })

export const containerSchema = z.object({
  Id: z.string().min(1),
  Name: text,
  Created: time,
  Image: text,
  State: z
    .object({ Status: text, StartedAt: time, FinishedAt: time })
    .nullish(),
  Config: z.object({ Image: text, Labels: labels }).nullish(),
  HostConfig: z
    .object({
      NetworkMode: text,
      IpcMode: text,
      PidMode: text,
      UTSMode: text,
      UsernsMode: text,
      RestartPolicy: z.object({ Name: text }).nullish(),
      AutoRemove: flag,
      Links: texts,
      VolumesFrom: texts,
      Binds: texts,
      Mounts: orElse(z.array(mountSchema), [])
    })
    .nullish(),
  Mounts: orElse(z.array(mountSchema), []),
  RestartCount: orElse(z.number(), 0),
  /** Null for none. */
  ExecIDs: z.array(z.string()).nullish(),
  NetworkSettings: z
    .object({
      /** A container that never started has names without IDs (F12). */
      Networks: entries(
        z.object({ NetworkID: text, Links: texts }).nullish()
      ).transform((all) =>
        all.map(([name, endpoint]) => ({
          name,
          id: endpoint?.NetworkID ?? '',
          links: endpoint?.Links ?? []
        }))
      )
    })
    .nullish()
})

export const containerSizeSchema = z.object({
  Id: z.string().min(1),
  /** Set by the driver `json-file` once the container has started. */
  LogPath: text,
  HostConfig: z
    .object({ LogConfig: z.object({ Type: text }).nullish() })
    .nullish(),
  /** Negative if unknown. */
  SizeRw: orElse(z.number(), -1)
})

const targetsSchema = orElse(z.array(z.object({ Target: text })), [])

const serviceSpecSchema = z.object({
  Name: text,
  Networks: targetsSchema,
  TaskTemplate: z
    .object({
      Networks: targetsSchema,
      ContainerSpec: z
        .object({
          Image: text,
          Mounts: orElse(z.array(z.object({ Type: text, Source: text })), [])
        })
        .nullish()
    })
    .nullish()
})

export const serviceSchema = z.object({
  ID: z.string().min(1),
  Spec: serviceSpecSchema,
  PreviousSpec: serviceSpecSchema.nullish(),
  Endpoint: z
    .object({
      VirtualIPs: orElse(z.array(z.object({ NetworkID: text })), [])
    })
    .nullish()
})

/** Names, state, image, networks and mounts in `container ls`. */
export const listedContainerSchema = z.tuple([text, text, text, text, text])

export const imageSchema = z.object({
  Id: z.string().min(1),
  RepoTags: texts,
  RepoDigests: texts,
  Parent: text,
  Comment: text,
  Created: buildTime,
  Size: size,
  Metadata: z.object({ LastTagTime: time }).nullish(),
  RootFS: z.object({ Type: text, Layers: texts }).nullish(),
  Config: z.object({ Labels: labels }).nullish()
})

export const networkSchema = z.object({
  Id: z.string().min(1),
  Name: z.string().min(1),
  Scope: text,
  Created: time,
  Labels: labels,
  Ingress: flag,
  ConfigFrom: z.object({ Network: text }).nullish(),
  Containers: keys
})

export const volumeSchema = z.object({
  Name: z.string().min(1),
  Driver: text,
  CreatedAt: time,
  Labels: labels,
  Options: map,
  Mountpoint: text
})

export const eventSchema = z.object({
  Type: z.string(),
  Action: z.string(),
  Actor: z.object({ ID: z.string(), Attributes: map }),
  /** Nanoseconds since 1970; a number is exact to a microsecond. */
  timeNano: z.number().nonnegative()
})

/** A line of `image ls`: one per tag of an image. */
export const listedImageSchema = z.object({
  ID: z.string().min(1),
  Repository: text,
  Tag: text,
  Digest: text,
  Size: text
})

export const historySchema = z.object({
  CreatedBy: text,
  Size: z.string().regex(/^\d+$/).transform(Number)
})

/** From `system df -v`; sizes are rounded text. */
export const diskUsageSchema = z.object({
  Volumes: orElse(z.array(z.object({ Name: text, Size: text })), []),
  BuildCache: orElse(
    z.array(
      z.object({
        ID: text,
        Parent: text,
        CacheType: text,
        Description: text,
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
