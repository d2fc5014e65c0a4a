import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { layerOf, megabyte, useDisk } from '../harness/disk.ts'
import { seeingDiskOf, useOwnEngine } from '../harness/engine.ts'
import { outcomes, resource } from '../harness/report.ts'
import { containerd } from '../harness/target.ts'
import { everything, oldImage, oldImages } from '../harness/things.ts'

const inputs = { ...everything, 'state-dir': '' }

describe('few inodes', () => {
  const tests = useOwnEngine({ dataSize: '100m,nr_inodes=6000' })
  const { step, leaveInodes, inodesBeyond } = useDisk(tests)

  test('small files beside the engine’s data open the gate, and the removal ends at the target', async () => {
    await tests.load(oldImages(30))
    const pressure = { 'when-free-below': '10%', 'until-free-above': '12%' }
    await leaveInodes(11)
    const closed = await step({ ...inputs, ...pressure })
    expect(closed.outputs).toMatchObject({
      ...{ skipped: 'true', 'target-reached': 'false' }
    })
    await leaveInodes(9.9)

    const done = await step({ ...inputs, ...pressure })

    expect(done.exitCode).toBe(0)
    expect(done.outputs['target-reached']).toBe('true')
    const { removed = 0, kept = 0 } = outcomes(done)
    expect(removed + kept).toBe(30)
    const over = await inodesBeyond(12)
    expect(over).toBeGreaterThanOrEqual(0)
    // A small batch.
    const freed = (await inodesBeyond(9.9)) / removed
    expect(over).toBeLessThan(4 * freed)
  })
})

const onContainerd = containerd ? describe : describe.skip

onContainerd('a system containerd with a disk of its own', () => {
  const tests = useOwnEngine({ dataSize: '100m', storeSize: '100m' })
  const data = useDisk(tests)
  const store = useDisk(tests, 'containerd')
  const config = () => join(tests.engine().folder, 'containerd.toml')

  // Without a configuration next to its socket, containerd does not count as started by dockerd.
  beforeAll(() => rename(config(), `${config()}.hidden`))

  /** Shows the disk where a system containerd has it by default. Other shells drop the inputs. */
  const step = (more: Record<string, string>) => {
    const bind =
      'mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/containerd && mount --bind "$0" /var/lib/containerd && exec "$@"'
    const folder = join(tests.engine().folder, 'data/containerd')
    const all = {
      ...{ ...inputs, 'include-volumes': 'all' },
      ...{ 'when-free-below': '20%', 'until-free-above': '30%' },
      ...more
    }
    const above = ['unshare', '--mount', 'bash', '-c', bind, folder]
    return tests.step(
      all,
      {},
      {
        above: [...seeingDiskOf(tests.engine()), ...above]
      }
    )
  }
  const names = ['one', 'two', 'three']
  const addBoth = async () => {
    await tests.load(
      names.map((name) => oldImage(name, layerOf(12 * megabyte)))
    )
    for (const name of names) {
      await tests.docker('volume', 'create', name)
      const file = join(data.path(), 'volumes', name, '_data/file')
      await writeFile(file, Buffer.alloc(12 * megabyte))
    }
  }
  const enough = {
    ...{ outcome: 'kept', reason: 'target-reached' },
    detail: 'enough space is free on this disk',
    heldBy: 'until-free-above'
  }

  test('images go if their disk is low, and volumes stay', async () => {
    await addBoth()
    await store.leaveFree(15)

    const done = await step({})

    expect(done.exitCode).toBe(0)
    expect(await store.beyond(30)).toBeGreaterThanOrEqual(0)
    expect(done.outputs).toMatchObject({
      ...{ 'target-reached': 'true', 'removed-images': '2' }
    })
    expect((await tests.contents()).volumes).toEqual(names.toSorted())
    for (const name of names) expect(resource(done, name)).toMatchObject(enough)
  })

  test('volumes go if the disk of DockerRootDir is low, and images stay', async () => {
    await addBoth()
    await data.leaveFree(15)

    const done = await step({})

    expect(done.exitCode).toBe(0)
    expect(await data.beyond(30)).toBeGreaterThanOrEqual(0)
    expect(done.outputs).toMatchObject({
      ...{ 'target-reached': 'true', 'removed-volumes': '2' }
    })
    for (const name of names)
      expect(resource(done, `${name}:1`)).toMatchObject(enough)
  })

  test('a low disk that nothing planned is on is named, and nothing is removed for it', async () => {
    await addBoth()
    await data.leaveFree(15)
    const before = await tests.contents()

    const done = await step({ 'include-volumes': 'false' })

    expect(done.exitCode).toBe(0)
    expect(await tests.contents()).toEqual(before)
    expect(done.stdout).toMatch(
      /^::warning::The disk of \S+\/data is low, 1\d %25 \([\d.]+ MB\) free, and nothing that may be removed is on it\.$/m
    )
    expect(done.outputs['target-reached']).toBe('false')
  })
})
