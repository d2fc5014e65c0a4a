import type { Image } from '../model/inventory.ts'
import type { LayerSizes } from '../model/plan.ts'

/** The bytes and the number of layers that the removal of one image frees. */
export type Freed = {
  bytes: number
  layers: number
  /** The size of the layers that other images keep is not exact. */
  estimated: boolean
}

/**
 * Counts what the removal of images frees, in the given order, by image ID: a shared layer goes with its last image.
 *
 * Where images part above a common stack of layers that is no image itself, its size comes from `sizes` (bytes of each
 * layer by image ID, see `imagesToMeasure`). Without it, only what is certain counts. On a store with packed layers no
 * command reports their sizes: the size of the stack is then proportional, and the figure an estimate.
 */
export function freedByRemoval(
  images: readonly Image[],
  removed: readonly string[],
  sizes: LayerSizes = new Map()
): Map<string, Freed> {
  const stacks = growTree(images, sizes)
  const freed = new Map<string, Freed>()
  for (const id of removed) {
    const stack = stacks.get(id)
    if (stack === undefined || freed.has(id)) continue
    const { image, top } = stack
    const { kept, layers } = release(top)
    freed.set(id, {
      bytes: bytesAbove(kept, stack),
      layers,
      estimated:
        kept.bytes === undefined ||
        (kept.measured && image.packedBytes !== undefined)
    })
  }
  return freed
}

/** The bytes that the removal of each image alone would free, by its ID. */
export function ownBytes(images: readonly Image[]): Map<string, number> {
  const stacks = growTree(images, new Map())
  return new Map(
    [...stacks].map(([id, stack]) => {
      let kept = stack.top
      while (kept.holders === 1 && kept.parent !== undefined) kept = kept.parent
      return [id, bytesAbove(kept, stack)]
    })
  )
}

/**
 * Finds the images whose `history` has to be read to know what the removal frees: one for each place where a removed
 * image parts from another above a stack whose size is not known.
 */
export function imagesToMeasure(
  images: readonly Image[],
  removed: readonly string[],
  known: LayerSizes = new Map()
): string[] {
  const stacks = growTree(images, known)
  const asked = new Map<Node, string>()
  for (const id of removed) {
    let node = stacks.get(id)?.top
    for (; node !== undefined; node = node.parent) {
      const parts = node.children.size > 1
      if (parts && node.bytes === undefined && !asked.has(node))
        asked.set(node, id)
    }
  }
  return [...new Set(asked.values())]
}

/** A stack of layers, from the lowest up to one of them, as a node of the tree that all images make. */
type Node = {
  parent: Node | undefined
  children: Map<string, Node>
  /** Images with this stack, whole or as their lower part. */
  holders: number
  /** The size of the stack in bytes, where an image or a history shows it. */
  bytes: number | undefined
  /** That size is from a history. */
  measured: boolean
  /** The size of the smallest image that holds it: the stack is no larger. */
  atMost: number
}

type Stack = { image: Image; top: Node }

function growTree(
  images: readonly Image[],
  sizes: LayerSizes
): Map<string, Stack> {
  const root: Node = { ...createNode(undefined), bytes: 0 }
  return new Map(
    images.map((image) => [
      image.id,
      { image, top: addImage(root, image, sizes.get(image.id)) }
    ])
  )
}

function addImage(
  root: Node,
  image: Image,
  layerSizes: readonly number[] | undefined
): Node {
  let node = root
  let stackBytes = 0
  root.holders += 1
  for (const [index, layer] of image.layers.entries()) {
    node = childOf(node, layer)
    node.holders += 1
    node.atMost = Math.min(node.atMost, image.bytes)
    if (layerSizes === undefined) continue
    stackBytes += layerSizes[index] ?? 0
    node.measured ||= node.bytes === undefined
    node.bytes ??= stackBytes
  }
  // An image's own size is more exact than the sum of a history.
  if (node !== root && (node.bytes === undefined || node.measured)) {
    node.bytes = image.bytes
    node.measured = false
  }
  return node
}

function childOf(parent: Node, layer: string): Node {
  const known = parent.children.get(layer)
  if (known !== undefined) return known
  const child = createNode(parent)
  parent.children.set(layer, child)
  return child
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

/** Takes one holder from a stack and all below it; returns the highest that others still hold, and how many it freed. */
function release(top: Node): { kept: Node; layers: number } {
  let kept = top
  let layers = 0
  for (let node: Node | undefined = top; node; node = node.parent) {
    node.holders -= 1
    if (node.holders > 0 || node.parent === undefined) continue
    kept = node.parent
    layers += 1
  }
  return { kept, layers }
}

function bytesAbove(kept: Node, { image, top }: Stack): number {
  return Math.max((top.bytes ?? image.bytes) - (kept.bytes ?? kept.atMost), 0)
}
