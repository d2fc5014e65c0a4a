import { z } from 'zod'
import type { Image, ImageFacts, Labels } from '../model/inventory.ts'
import {
  type EngineKey,
  readStateFile,
  stateFile,
  stateSchema,
  writeStateFile
} from './stateFile.ts'

/** z.record drops the key `__proto__`. */
const labelsSchema = z.custom<Labels>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((one) => typeof one === 'string')
)
const instant = z.number().optional()

const imageSchema = z.object({
  id: z.string().min(1),
  references: z.array(z.string()),
  digests: z.array(z.string()),
  aliases: z.array(z.string()),
  parent: z.string().optional(),
  createdAt: instant,
  taggedAt: instant,
  labels: labelsSchema,
  bytes: z.number().nonnegative(),
  packedBytes: z.number().nonnegative().optional(),
  layers: z.array(z.string()),
  pulled: z.boolean(),
  byBuildKit: z.boolean()
})

const factsSchema = stateSchema({
  images: z.array(
    z.object({
      id: z.string().min(1),
      image: imageSchema.optional(),
      layerSizes: z.array(z.number().nonnegative()).optional()
    })
  )
})

export function factsFile(folder: string, key: EngineKey): string {
  return stateFile(folder, key, '-images')
}

/** Facts about images by their ID; empty if they cannot be read, and then the run only takes longer. */
export async function readFacts(
  folder: string,
  key: EngineKey
): Promise<Map<string, ImageFacts>> {
  const file = factsFile(folder, key)
  const { content } = await readStateFile(file, factsSchema)
  const same = content && factsFile(folder, content.engine) === file
  return new Map(
    same
      ? content.images.map(({ id, image, layerSizes }) => [
          id,
          { layerSizes, image: image?.id === id ? readImage(image) : undefined }
        ])
      : []
  )
}

/** Replaces the facts. A failure only makes the next run slower. */
export async function writeFacts(
  folder: string,
  key: EngineKey,
  facts: ReadonlyMap<string, ImageFacts>
): Promise<void> {
  const images = [...facts].map(([id, one]) => ({ id, ...one }))
  await writeStateFile(factsFile(folder, key), key, { images })
}

function readImage(image: z.output<typeof imageSchema>): Image {
  const { parent, createdAt, taggedAt, packedBytes, ...rest } = image
  return {
    ...rest,
    ...{ parent, createdAt, taggedAt },
    ...(packedBytes !== undefined && { packedBytes }),
    remembered: true
  }
}
