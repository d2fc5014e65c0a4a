import type { Image } from '../model/inventory.ts'
import type { LayerSizes } from '../model/plan.ts'

/** A stack of layers, from the lowest up to one of them, as a node of the tree that all images make. */
type Node = {
  parent: Node | undefined
  children: Map<string, Node>
  /** Images with this stack, whole or as their lower part. */
  holders: number
  /** The size of the stack in bytes, where an image or a history tells it. */
  bytes: number | undefined
  /** That size is from a history. */
  measured: boolean
  /** The smallest image that holds it: the stack is no larger. */
  atMost: number
}

/** What the removal of one image frees. */
export type Freed = {
  bytes: number
  /** How many layers. */
  layers: number
  /** The figure may be somewhat off: an image has to be told from what it has in common with others. */
  estimated: boolean
}

/**
 * What the removal of images frees, one after the other in the given order, by image ID: a layer is freed with the
 * last image that has it (images share layers, so that their sizes must not be added up).
 *
 * Where images part above a common stack that is no image itself, its size comes from `sizes` (bytes of each layer,
 * by the ID of an image, see `imagesToMeasure`); without it the figure is what is certain. On a store with packed
 * layers, no command tells the size of one: there the stack's is in proportion, and the figure an estimate.
 */
export function freedByRemoval(
  images: readonly Image[],
  removed: readonly string[],
  sizes: LayerSizes = new Map()
): Map<string, Freed> {
  const tops = growTree(images, sizes)
  const byId = new Map(images.map((image) => [image.id, image]))
  const freed = new Map<string, Freed>()
  for (const id of removed) {
    const image = byId.get(id)
    const top = tops.get(id)
    if (image === undefined || top === undefined || freed.has(id)) continue
    const { kept, layers } = release(top)
    const rest = kept.bytes ?? kept.atMost
    freed.set(id, {
      bytes: Math.max((top.bytes ?? image.bytes) - rest, 0),
      layers,
      estimated:
        kept.bytes === undefined ||
        (kept.measured && image.packedBytes !== undefined)
    })
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

/** Takes one holder from the stack and all below it; returns the highest that others still hold, and how many it freed. */
function release(top: Node): { kept: Node; layers: number } {
  let kept: Node = top
  let layers = 0
  for (let node: Node | undefined = top; node; node = node.parent) {
    node.holders -= 1
    if (node.holders > 0 || node.parent === undefined) continue
    kept = node.parent
    layers += 1
  }
  return { kept, layers }
}

/**
 * The images whose `history` has to be asked to know what the removal frees: one for each place where an image that
 * goes parts from another one above a stack of a size that `known` does not tell.
 */
export function imagesToMeasure(
  images: readonly Image[],
  removed: readonly string[],
  known: LayerSizes = new Map()
): string[] {
  const tops = growTree(images, known)
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
        node.measured ||= node.bytes === undefined
        node.bytes ??= stack
      }
    }
    // What an image says of itself is better than what a history adds up to.
    if (
      image.layers.length > 0 &&
      (node.bytes === undefined || node.measured)
    ) {
      node.bytes = image.bytes
      node.measured = false
    }
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
    measured: false,
    atMost: Infinity
  }
}
