import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import type { Step } from '../../../scripts/engines/step.ts'
import { nextSecond } from './cache.ts'
import type { TestEngine } from './engine.ts'

/** Sizes in bytes. */
export type Figures = {
  planned: number
  plannedAtMost: number
  reclaimed: number
  /** Freed according to `system df`: images, containers and build cache. */
  df: number
  disk: number
  containerd: boolean
  done: Step
}

type DiskUsage = {
  LayersSize: number
  Containers: { SizeRw?: number }[] | null
  BuildCache: { Size: number; Shared: boolean }[] | null
}

/** Returns a function that runs the step and measures what it freed. */
export function createMeasure({
  api,
  engine,
  step
}: Pick<TestEngine, 'api' | 'engine' | 'step'>) {
  /** Uses the API, since the command rounds to four digits. */
  async function readUsage(containerd: boolean): Promise<number> {
    const usage = await api().get<DiskUsage>('/system/df')
    // On the containerd store, container data counts with the images.
    const containers = containerd ? [] : (usage.Containers ?? [])
    const records = (usage.BuildCache ?? []).filter(({ Shared }) => !Shared)
    return [
      usage.LayersSize,
      ...containers.map(({ SizeRw = 0 }) => SizeRw),
      ...records.map(({ Size }) => Size)
    ].reduce((sum, bytes) => sum + bytes, 0)
  }

  /** Reads the used disk space once it is stable: stores collect garbage with a delay. */
  async function readDisk(): Promise<number> {
    const root = join('/proc', String(engine().pid), 'root')
    let [last, same] = [-1, 0]
    for (let attempt = 0; attempt < 1_000; attempt += 1) {
      const { blocks, bfree, bsize } = await statfs(
        join(root, engine().folder, 'data')
      )
      const used = (blocks - bfree) * bsize
      same = used === last ? same + 1 : 0
      if (same === 5) return used
      last = used
      await sleep(40)
    }
    throw new Error('disk usage does not stabilise')
  }

  return async (inputs: Record<string, string>): Promise<Figures> => {
    const [plan, diskBefore] = await Promise.all([
      step({ ...inputs, 'dry-run': 'true' }),
      readDisk(),
      nextSecond()
    ])
    const containerd = plan.report?.engine.store === 'containerd'
    // Old engines run only one `system df` at a time.
    const dfBefore = await readUsage(containerd)
    const done = await step(inputs)
    expect(done.exitCode).toBe(0)
    const planned = (plan.report?.resources ?? []).filter(
      ({ outcome }) => outcome === 'planned'
    )
    return {
      planned: Number(plan.outputs['planned-bytes']),
      plannedAtMost: planned.reduce(
        (sum, { bytes, bytesAtMost }) => sum + (bytesAtMost ?? bytes ?? 0),
        0
      ),
      reclaimed: Number(done.outputs['reclaimed-bytes']),
      df: dfBefore - (await readUsage(containerd)),
      disk: diskBefore - (await readDisk()),
      ...{ containerd, done }
    }
  }
}

/** Tolerances for the engine's metadata, and for its databases, which grow in steps. */
const metadata = 50_000
const databases = 500_000

/** Expects a size to match within a relative or an absolute tolerance. */
export function expectClose(
  figure: number,
  truth: number,
  share = 0.01,
  bytes = metadata
): void {
  const most = Math.max(share * Math.abs(truth), bytes)
  expect(figure).toBeGreaterThanOrEqual(truth - most)
  expect(figure).toBeLessThanOrEqual(truth + most)
}

/** Expects the disk to have gained the reclaimed bytes. */
export function expectOnDisk({ reclaimed, disk }: Figures): void {
  expectClose(reclaimed, disk, 0.05, databases)
}

/** Expects the plan, the report, the engine and the disk to agree. */
export function expectExact(figures: Figures): void {
  const { planned, reclaimed, df } = figures
  expect(reclaimed).toBeGreaterThan(0)
  expectClose(planned, reclaimed)
  expectClose(reclaimed, df)
  expectOnDisk(figures)
}

/** Expects the reclaimed bytes to be within the planned range, and to match the disk. */
export function expectInRange(figures: Figures): void {
  const { planned, plannedAtMost, reclaimed } = figures
  const inRange = Math.min(Math.max(reclaimed, planned), plannedAtMost)
  expectClose(reclaimed, inRange)
  expectOnDisk(figures)
}
