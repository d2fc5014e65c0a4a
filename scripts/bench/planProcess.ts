/** Plans for generated images and prints the cost as JSON. Argument: the load as JSON. */
import { z } from 'zod'
import { inventory, policy } from '../../__tests__/builders.ts'
import { plannedItems } from '../../src/model/plan.ts'
import { measurePlan } from '../../src/policy/measure.ts'
import { makePlan } from '../../src/policy/plan.ts'
import { makeImages, makeRules, shapes } from './planLoads.ts'

const load = z
  .object({
    images: z.number(),
    references: z.number(),
    rules: z.number(),
    shape: z.enum(shapes)
  })
  .parse(JSON.parse(process.argv[2] ?? ''))
const images = makeImages(load)
const contents = inventory({ images })
const wanted = policy({
  ...{ keepLast: 2, until: { duration: 0 } },
  rules: makeRules(load)
})
const layers = new Map(images.map(({ id }) => [id, [1_000, 100]]))
const sizes = {
  containers: new Map(),
  volumes: new Map(),
  builders: new Map(),
  logs: { bytes: new Map(), unread: false },
  layers
}

const start = performance.now()
const plan = measurePlan(makePlan(contents, wanted), contents, sizes)
const milliseconds = performance.now() - start
console.log(
  JSON.stringify({
    milliseconds,
    removed: plannedItems(plan).filter(({ kind }) => kind === 'image').length,
    unmatched: plan.unmatched.length,
    heap: process.memoryUsage().heapUsed,
    peak: process.resourceUsage().maxRSS * 1_024
  })
)
