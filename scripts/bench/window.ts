import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEngine } from '../engines/engine.ts'
import { createCli, loadImages } from '../fixtures/fixtures.ts'
import { runStep } from '../engines/step.ts'

// Measures the one window that is left: an image that is tagged again, to the same ID and under the same name, while
// the batch that removes it is under way. Prints how many of 1,000 such renewals were lost.

const tries = 1_000
const images = 1_000
const renewers = 3
const inputs = { 'keep-last': '0', until: '0s', 'include-build-cache': 'false' }

const root = process.env['ENGINE_ROOT']
const store = process.env['ENGINE_STORE'] ?? 'overlay2'
const flags = ['--feature', `containerd-snapshotter=${store === 'containerd'}`]
const engine = await startEngine(root ? { root, flags } : {})
const folder = await mkdtemp(join(tmpdir(), 'window-'))
try {
  const docker = createCli(engine)
  // Says when the removal begins: what was renewed before the listing is in the plan, and rightly so.
  const command = join(folder, 'docker')
  const mark = `case "$1 $2" in "image rm") : >${folder}/removing ;; esac`
  await writeFile(command, `#!/bin/sh\n${mark}\nexec ${engine.docker} "$@"\n`, {
    mode: 0o755
  })

  let renewed = 0
  let lost = 0
  let runs = 0
  for (; renewed < tries; runs += 1) {
    await loadImages(
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
    await rm(join(folder, 'removing'), { force: true })
    const state = { done: false }
    const step = runStep(
      { ...inputs, docker: command },
      { DOCKER_HOST: engine.host }
    ).then(() => {
      state.done = true
    })
    while (!state.done && !(await readdir(folder)).includes('removing'))
      await sleep(5)
    const names = new Set<string>()
    const renew = async () => {
      while (!state.done && renewed + names.size < tries) {
        const name = `app-${Math.floor(Math.random() * images)}:1`
        const tagged = await docker('tag', name, name).then(
          () => true,
          () => false
        )
        if (tagged) names.add(name)
      }
    }
    await Promise.all([step, ...Array.from({ length: renewers }, renew)])
    const lines = await docker(
      'image',
      'ls',
      '--format',
      '{{.Repository}}:{{.Tag}}'
    )
    const left = new Set(lines.split('\n'))
    renewed += names.size
    lost += [...names].filter((name) => !left.has(name)).length
    await docker('image', 'prune', '--all', '--force')
    console.log(`run ${runs + 1}: ${lost} of ${renewed} lost so far`)
  }
  const version = await docker('version', '--format', '{{.Server.Version}}')
  console.log(
    `Docker ${version}, ${store}: ${lost} of ${renewed} renewals were lost, in ${runs} runs`
  )
} finally {
  await engine.stop()
  await rm(folder, { recursive: true })
}
