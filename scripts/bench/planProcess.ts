/** Plans for generated images and prints the cost as JSON. Argument: the number of images. */
import { createHash } from 'node:crypto'
import { day, image, inventory, now, policy } from '../../__tests__/builders.ts'
import { plannedItems } from '../../src/model/plan.ts'
import { measurePlan } from '../../src/policy/measure.ts'
import { makePlan } from '../../src/policy/plan.ts'

const perRepository = 20
const number = Number(process.argv[2])

const images = Array.from({ length: number }, (_, index) => {
  const repository = Math.floor(index / perRepository)
  const hash = createHash('sha256').update(String(index)).digest('hex')
  return image(`sha256:${hash}`, {
    references: [
      `registry.example.com/team-${repository % 40}/app-${repository}:build-${index}`
    ],
    createdAt: now - 30 * day + index,
    bytes: 1_100,
    layers: [`base ${repository}`, `build ${index}`]
  })
})
const contents = inventory({ images })
const rules = policy({ keepLast: 2, until: { duration: 0 } })
const layers = new Map(images.map(({ id }) => [id, [1_000, 100]]))
const sizes = {
  containers: new Map(),
  volumes: new Map(),
  builders: new Map(),
  logs: { bytes: new Map(), unread: false },
  layers
}

const start = performance.now()
const plan = measurePlan(makePlan(contents, rules), contents, sizes)
const milliseconds = performance.now() - start
console.log(
  JSON.stringify({
    milliseconds,
    removed: plannedItems(plan).filter(({ kind }) => kind === 'image').length,
    heap: process.memoryUsage().heapUsed,
    peak: process.resourceUsage().maxRSS * 1_024
  })
)
