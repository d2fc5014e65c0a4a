import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { cruise } from 'dependency-cruiser'

const project = join(import.meta.dirname, '..')
const page = await readFile(join(project, 'docs/architecture.md'), 'utf8')

/** The arrows of the diagram, `policy --> model` each; `a & b --> c & d` stands for four. */
function readDiagram(text: string): string[] {
  const [, diagram = ''] = /```mermaid\n([^]*?)```/.exec(text) ?? []
  return [...diagram.matchAll(/^ *([\w &]+) --> ([\w &]+)$/gm)].flatMap(
    ([, from = '', to = '']) =>
      from
        .split(' & ')
        .flatMap((one) => to.split(' & ').map((other) => `${one} --> ${other}`))
  )
}

/** The imports from room to room; those of the ground, which every room may use, are left out. */
async function readImports(): Promise<string[]> {
  const { output } = await cruise(['src'], {
    baseDir: project,
    tsPreCompilationDeps: true,
    doNotFollow: 'node_modules'
  })
  if (typeof output === 'string') throw new Error(output)
  const ground = ['words', 'units', 'files']
  const arrows = output.modules.flatMap(({ source, dependencies }) =>
    dependencies.map(({ resolved }) => [roomOf(source), roomOf(resolved)])
  )
  const between = arrows.filter(
    ([from, to]) => from && to && from !== to && !ground.includes(to)
  )
  return [...new Set(between.map((arrow) => arrow.join(' --> ')))]
}

function roomOf(path: string): string | undefined {
  return /^src\/(\w+)/.exec(path)?.[1]
}

test('the diagram of the rooms has the imports of the code, and no others', async () => {
  const imports = await readImports()
  expect(readDiagram(page).sort()).toEqual(imports.sort())
})

test('every file and function that the page names exists', async () => {
  const names = [...page.matchAll(/`(\w+)` \(`([\w./]+\.ts)`\)/g)].map(
    ([, name = '', file = '']) => ({ name, file })
  )
  expect(names.length).toBeGreaterThan(8)
  for (const { name, file } of names)
    expect(await readFile(join(project, 'src', file), 'utf8')).toMatch(
      new RegExp(`^(?:export )?(?:async )?function ${name}\\b`, 'm')
    )
  const files = [...page.matchAll(/`((?:\w+\/)+\w+\.ts)`/g)].map(
    ([, file = '']) => file
  )
  for (const file of files) {
    const root = /^(?:scripts|__tests__)\//.test(file) ? '' : 'src'
    await expect(readFile(join(project, root, file))).resolves.toBeDefined()
  }
})
