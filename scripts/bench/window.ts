/**
 * Measures the one race that remains: another job tags an image again, with the same ID and name, while images are being
 * removed. Prints how many of such renewals are lost. The arguments are the number of renewals and that of images, both
 * 1,000 by default. ENGINE_ROOT and ENGINE_STORE choose the engine; the default is both stores of Debian's newest.
 */
import { once } from 'node:events'
import { execa } from 'execa'
import {
  discard,
  findStores,
  listImages,
  onCopy,
  prepare,
  runBundle,
  type Bed,
  type Store
} from './bed.ts'
import { goalTable, type Goal } from './figures.ts'
import { useOwnFolder } from './folder.ts'
import type { Load } from './loads.ts'
import { eventFormat, judge, type Judgement, type Renewal } from './renewals.ts'

const [tries = 1_000, images = 1_000] = process.argv.slice(2).map(Number)
const taggers = 3
const inputs = { 'keep-last': '0', until: '0s', 'include-build-cache': 'false' }

const load: Load = {
  images: Array.from({ length: images }, (_, index) => ({
    references: [`app-${index}:1`],
    created: '2024-05-01T12:00:00Z',
    layers: [
      { name: `app-${index % 10}`, bytes: 1_000 },
      { name: `top-${index}`, bytes: 10 }
    ]
  })),
  ...{ containers: [], volumes: 0, staying: [] }
}

async function main(): Promise<void> {
  useOwnFolder()
  const { ENGINE_ROOT: root, ENGINE_STORE: store } = process.env
  const fallback = root === undefined ? [] : ['overlay2']
  const stores = await findStores(store ? [store] : fallback, root)
  const goals = []
  for (const store of stores) goals.push(...(await measure(store)))
  console.log(goalTable(goals))
}

async function measure(store: Store): Promise<Goal[]> {
  const state = await prepare(store, load)
  const total: Judgement = { counted: 0, lost: 0, lostLate: 0 }
  while (total.counted < tries) {
    const { counted, lost, lostLate } = await onCopy(state, renewDuringRemoval)
    total.counted += counted
    total.lost += lost
    total.lostLate += lostLate
    console.error(
      `${store.name}: ${total.lost} of ${total.counted} lost so far`
    )
  }
  await discard(state)
  const { counted, lost, lostLate } = total
  const of = `Docker ${store.version} (${store.name}), ${counted.toLocaleString('en')} renewals`
  return [
    { name: `${of}: lost`, value: lost / counted, limit: 0.03, unit: 'share' },
    {
      name: `${of}: lost, although tagged more than 50 ms before`,
      value: lostLate,
      limit: 0,
      unit: 'count'
    }
  ]
}

/** Tags images in random order during one run that removes them all. */
async function renewDuringRemoval(bed: Bed): Promise<Judgement> {
  const targets = await listImages(bed.docker)
  const filters = ['type=image', 'event=tag', 'event=delete']
  const events = execa(
    bed.engine.docker,
    [
      ...['events', '--format', eventFormat],
      ...['--since', String(Date.now() / 1_000)],
      ...filters.flatMap((filter) => ['--filter', filter])
    ],
    { env: { DOCKER_HOST: bed.engine.host }, reject: false }
  )
  const running = { step: true }
  const step = runBundle(bed, inputs).finally(() => {
    running.step = false
  })
  // Renewals before the first removal could be part of the plan, and rightly removed.
  await Promise.race([once(events.stdout, 'data'), step])
  const renewals: Omit<Renewal, 'lost'>[] = []
  const renew = async () => {
    while (running.step && targets.length > 0) {
      const at = Math.floor(Math.random() * targets.length)
      const [[name, id] = ['', '']] = targets.splice(at, 1)
      // It fails for an image that is gone.
      const tagged = await bed.docker('tag', name, name).catch(() => undefined)
      if (tagged !== undefined) renewals.push({ name, id, endedAt: Date.now() })
    }
  }
  await Promise.all([step, ...Array.from({ length: taggers }, renew)])
  const left = new Set((await listImages(bed.docker)).map(([name]) => name))
  events.kill()
  const { stdout } = await events
  return judge(
    renewals.map((one) => ({ ...one, lost: !left.has(one.name) })),
    stdout
  )
}

await main()
