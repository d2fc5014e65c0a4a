import { mkdir, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach } from '@jest/globals'
import type { Step } from '../../../scripts/engines/step.ts'
import { seeingDiskOf, type TestEngine } from './engine.ts'
import { containerd } from './target.ts'

/** An engine's own disk. Percentages are 100 less what df shows. */
export type EngineDisk = {
  path: () => string
  /** Fills the disk with one file, or with empty ones, until that share of its bytes or inodes is free. */
  leaveFree: (percent: number) => Promise<void>
  leaveInodes: (percent: number) => Promise<void>
  /** Bytes, or inodes, that are free beyond a percentage. */
  beyond: (percent: number) => Promise<number>
  inodesBeyond: (percent: number) => Promise<number>
  /** Runs a step that can read the disk. */
  step: (
    inputs: Record<string, string>,
    env?: Record<string, string>
  ) => Promise<Step>
}

/** The disk of an engine that has its data on one of its own; `place` is a folder in the data. */
export function useDisk(
  { engine, step }: Pick<TestEngine, 'engine' | 'step'>,
  place = ''
): EngineDisk {
  const path = () =>
    join(
      ...['/proc', String(engine().pid), 'root'],
      ...[engine().folder, 'data', place]
    )
  const filler = () => join(path(), 'filler')
  const empty = () => rm(filler(), { force: true, recursive: true })
  afterEach(empty)
  const beyond = async (percent: number) => {
    const { bavail, bfree, blocks, bsize } = await statfs(path())
    const all = blocks - bfree + bavail
    return Math.floor((bavail - (all * percent) / 100) * bsize)
  }
  const inodesBeyond = async (percent: number) => {
    const { ffree, files } = await statfs(path())
    return Math.floor(ffree - (files * percent) / 100)
  }
  return {
    ...{ path, beyond, inodesBeyond },
    leaveFree: async (percent) => {
      await empty()
      await writeFile(filler(), Buffer.alloc(await beyond(percent)))
    },
    leaveInodes: async (percent) => {
      await empty()
      await mkdir(filler())
      const count = await inodesBeyond(percent)
      for (let index = 0; index < count; index += 1)
        await writeFile(join(filler(), String(index)), '')
    },
    step: (inputs, env = {}) =>
      step(inputs, env, { above: seeingDiskOf(engine()) })
  }
}

/** Layers are a little larger, by their tar. */
export const megabyte = 1_000_000

/** The size of a layer that takes that much of the disk: the containerd store has each twice, packed and unpacked. */
export const layerOf = (bytesOnDisk: number): number =>
  containerd ? bytesOnDisk / 2 : bytesOnDisk
