import type { Image } from './inventory.ts'

/** A stack of layers, from the lowest up to one of them, as a node of the tree that all images make. */
type Node = {
  parent: Node | undefined
  children: Map<string, Node>
  /** Images with this stack, whole or as their lower part. */
  holders: number
  /** The size of the stack in bytes, where an image or a history tells it. */
  bytes: number | undefined
  /** The smallest image that holds it: the stack is no larger. */
  atMost: number
}

export type LayerSizes = ReadonlyMap<string, readonly number[]>

/**
 * What the removal of images frees, one after the other in the given order: a layer is freed with the last image that
 * has it (images share layers, so that their sizes must not be added up). Returns bytes by image ID.
 *
 * Where images part above a common stack that is no image itself, its size comes from `sizes` (bytes of each layer,
 * by the ID of an image, see `imagesToMeasure`); without it the figure is what is certain.
 */
export function freedBytes(
  images: readonly Image[],
  removed: readonly string[],
  sizes: LayerSizes = new Map()
): Map<string, number> {
  const tops = growTree(images, sizes)
  const byId = new Map(images.map((image) => [image.id, image]))
  const freed = new Map<string, number>()
  for (const id of removed) {
    const image = byId.get(id)
    const top = tops.get(id)
    if (image === undefined || top === undefined || freed.has(id)) continue
    const kept = release(top)
    const rest = kept.bytes ?? kept.atMost
    freed.set(id, Math.max((top.bytes ?? image.bytes) - rest, 0))
  }
  return freed
}

/** What the removal of each image alone would free, in bytes by its ID. */
export function ownBytes(images: readonly Image[]): Map<string, number> {
  const tops = growTree(images, new Map())
  return new Map(
    images.map(({ id, bytes }) => {
      const top = tops.get(id)
      let kept = top
      while (kept?.holders === 1 && kept.parent !== undefined)
        kept = kept.parent
      const rest = kept?.bytes ?? kept?.atMost ?? 0
      return [id, Math.max((top?.bytes ?? bytes) - rest, 0)]
    })
  )
}

/** Takes one holder from the stack and all below it; returns the highest that others still hold. */
function release(top: Node): Node {
  let kept: Node = top
  for (let node: Node | undefined = top; node; node = node.parent) {
    node.holders -= 1
    if (node.holders === 0 && node.parent !== undefined) kept = node.parent
  }
  return kept
}

/**
 * The images whose `history` has to be asked to know what the removal frees: one for each place where an image that
 * goes parts from another one above a stack of unknown size.
 */
export function imagesToMeasure(
  images: readonly Image[],
  removed: readonly string[]
): string[] {
  const tops = growTree(images, new Map())
  const asked = new Map<Node, string>()
  for (const id of removed) {
    const top = tops.get(id)
    if (top === undefined) continue
    for (let node: Node | undefined = top; node; node = node.parent) {
      const parts = node.children.size > 1
      if (parts && node.bytes === undefined && !asked.has(node))
        asked.set(node, id)
    }
  }
  return [...new Set(asked.values())]
}

function growTree(
  images: readonly Image[],
  sizes: LayerSizes
): Map<string, Node> {
  const root = createNode(undefined)
  root.bytes = 0
  const tops = new Map<string, Node>()
  for (const image of images) {
    const layerSizes = sizes.get(image.id)
    let node = root
    let stack = 0
    node.holders += 1
    for (const [index, layer] of image.layers.entries()) {
      let child = node.children.get(layer)
      if (child === undefined) {
        child = createNode(node)
        node.children.set(layer, child)
      }
      node = child
      node.holders += 1
      node.atMost = Math.min(node.atMost, image.bytes)
      if (layerSizes !== undefined) {
        stack += layerSizes[index] ?? 0
        node.bytes ??= stack
      }
    }
    if (image.layers.length > 0) node.bytes ??= image.bytes
    tops.set(image.id, node)
  }
  return tops
}

function createNode(parent: Node | undefined): Node {
  return {
    parent,
    children: new Map(),
    holders: 0,
    bytes: undefined,
    atMost: Infinity
  }
}

/** One line of `image history`: what made it, and the bytes that it added. */
export type HistoryEntry = { createdBy: string; bytes: number }

/**
 * The sizes of an image's layers, the lowest first, from its history (the newest entry first), which has lines without
 * a layer too. Undefined where the two do not fit together.
 */
export function layerSizesOf(
  history: readonly HistoryEntry[],
  layers: number
): number[] | undefined {
  const withLayer = history.filter(
    ({ createdBy, bytes }) => bytes > 0 || makesLayer(createdBy)
  )
  const filled = history.filter(({ bytes }) => bytes > 0)
  const fitting = [withLayer, filled, history].find(
    ({ length }) => length === layers
  )
  return fitting?.map(({ bytes }) => bytes).reverse()
}

/** The instructions that make a layer even if it is empty, as BuildKit and as the classic builder write them. */
function makesLayer(createdBy: string): boolean {
  return (
    /^(?:RUN|COPY|ADD|WORKDIR)\b|#\(nop\) +(?:COPY|ADD|WORKDIR)\b/.test(
      createdBy
    ) || /^\/bin\/sh -c (?!#\(nop\))/.test(createdBy)
  )
}

/**
 * Takes from the figures what the build cache may still hold: images that BuildKit built share their layers with its
 * records, and removing such an image frees nothing before the record goes. What remains is certain.
 */
export function withoutCached(
  freed: ReadonlyMap<string, number>,
  images: readonly Image[],
  sharedBytes: number
): Map<string, number> {
  const certain = new Map(freed)
  let left = sharedBytes
  for (const { id } of images.filter(({ byBuildKit }) => byBuildKit)) {
    const bytes = certain.get(id) ?? 0
    const cached = Math.min(bytes, left)
    left -= cached
    if (cached > 0) certain.set(id, bytes - cached)
  }
  return certain
}
