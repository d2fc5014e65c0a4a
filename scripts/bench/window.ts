/**
 * Measures the one race that remains: another job tags an image again, with the same ID and name, while the batch that
 * removes the image is running. Prints how many of 1,000 such tags are lost. The variables ENGINE_ROOT and ENGINE_STORE
 * choose the engine.
 */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEngine, type ThrowawayEngine } from '../engines/engine.ts'
import { createCli, loadImages, type Cli } from '../fixtures/fixtures.ts'
import { runStep } from '../engines/step.ts'

const tries = 1_000
const images = 1_000
const taggers = 3
const inputs = { 'keep-last': '0', until: '0s', 'include-build-cache': 'false' }

type Place = {
  engine: ThrowawayEngine
  docker: Cli
  standIn: string
  folder: string
}

async function main(): Promise<void> {
  const root = process.env['ENGINE_ROOT']
  const store = process.env['ENGINE_STORE'] ?? 'overlay2'
  const feature = `containerd-snapshotter=${store === 'containerd'}`
  const engine = await startEngine(
    root ? { root, flags: ['--feature', feature] } : {}
  )
  const folder = await mkdtemp(join(tmpdir(), 'window-'))
  try {
    const docker = createCli(engine)
    const standIn = await writeStandIn(engine, folder)
    const place = { engine, docker, standIn, folder }
    let tagged = 0
    let lost = 0
    let runs = 0
    for (; tagged < tries; runs += 1) {
      const run = await tagDuringRemoval(place, tries - tagged)
      tagged += run.tagged
      lost += run.lost
      console.log(`run ${runs + 1}: ${lost} of ${tagged} tags lost so far`)
    }
    const version = await docker('version', '--format', '{{.Server.Version}}')
    console.log(
      `Docker ${version}, ${store}: ${lost} of ${tagged} tags lost, in ${runs} runs`
    )
  } finally {
    await engine.stop()
    await rm(folder, { recursive: true })
  }
}

/** Tags images at random during one run that removes them all. */
async function tagDuringRemoval(
  { engine, docker, standIn, folder }: Place,
  most: number
): Promise<{ tagged: number; lost: number }> {
  await loadBuilds(engine)
  await rm(join(folder, 'removing'), { force: true })
  const state = { done: false }
  const step = runStep(
    { ...inputs, docker: standIn },
    { DOCKER_HOST: engine.host }
  ).then(() => {
    state.done = true
  })
  // Earlier tags would be part of the plan, and rightly removed.
  while (!state.done && !(await readdir(folder)).includes('removing'))
    await sleep(5)
  const names = new Set<string>()
  const tag = async () => {
    while (!state.done && names.size < most) {
      const name = `app-${Math.floor(Math.random() * images)}:1`
      const succeeded = await docker('tag', name, name).then(
        () => true,
        () => false
      )
      if (succeeded) names.add(name)
    }
  }
  await Promise.all([step, ...Array.from({ length: taggers }, tag)])
  const lines = await docker(
    ...['image', 'ls', '--format', '{{.Repository}}:{{.Tag}}']
  )
  const left = new Set(lines.split('\n'))
  await docker('image', 'prune', '--all', '--force')
  return {
    tagged: names.size,
    lost: [...names].filter((name) => !left.has(name)).length
  }
}

function loadBuilds(engine: ThrowawayEngine): Promise<void> {
  return loadImages(
    engine,
    Array.from({ length: images }, (_, index) => ({
      references: [`app-${index}:1`],
      created: '2024-05-01T12:00:00Z',
      layers: [
        { name: `app-${index % 10}`, bytes: 1_000 },
        { name: `top-${index}`, bytes: 10 }
      ]
    }))
  )
}

/** Writes a docker that creates the file `removing` when the removal starts. */
async function writeStandIn(
  { docker }: ThrowawayEngine,
  folder: string
): Promise<string> {
  const command = join(folder, 'docker')
  const mark = `case "$1 $2" in "image rm") : >${folder}/removing ;; esac`
  await writeFile(command, `#!/bin/sh\n${mark}\nexec ${docker} "$@"\n`, {
    mode: 0o755
  })
  return command
}

await main()
