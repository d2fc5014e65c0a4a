import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { z } from 'zod'
import { schema } from '../src/inputs/schema.ts'
import { renderMessages } from '../scripts/messages.ts'
import { defaults } from '../src/model/inputs.ts'
import { messages } from '../src/model/messages.ts'
import { makeOutputs } from '../src/report/outputs.ts'
import { reportSchema } from '../src/report/schema.ts'
import { makeTestReport } from './builders.ts'
import { examples, inputsIn, inputsOf } from './workflows.ts'

const project = join(import.meta.dirname, '..')
const read = (name: string) => readFile(join(project, name), 'utf8')

type Action = {
  inputs: Record<
    string,
    { description: string; default: string; required?: boolean }
  >
  outputs: Record<string, { description: string }>
  runs: { using: string; main: string; post: string }
}
const action = parse(await read('action.yml')) as Action
const readme = await read('README.md')

/** Reads the table under a README heading: the cells of each row, without backticks. */
function tableOf(heading: string): string[][] {
  const [, section = ''] = readme.split(`\n## ${heading}\n`)
  const [text = ''] = section.split('\n## ')
  return text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim().replace(/^`(.*)`$/, '$1'))
    )
}

test('action.yml and the schema have the same inputs and defaults', () => {
  const inputs = Object.entries(action.inputs)
  const pairs = inputs.map(([name, input]) => [name, input.default])
  expect(pairs).toEqual(Object.entries(defaults))
  expect(Object.keys(schema.shape)).toEqual(Object.keys(defaults))
  expect(schema.safeParse(defaults).error).toBeUndefined()
})

test('the README lists every input with its default, and every output', () => {
  const inputs = Object.entries(action.inputs).map(([name, input]) => [
    name,
    input.default || 'none'
  ])
  expect(tableOf('Inputs').map(([name, fallback]) => [name, fallback])).toEqual(
    inputs
  )
  expect(tableOf('Outputs').map(([name]) => name)).toEqual(
    Object.keys(action.outputs)
  )
})

test('action.yml declares exactly the outputs that are written', () => {
  const outputs = makeOutputs(makeTestReport([]), '/report.json')
  expect(Object.keys(action.outputs)).toEqual(Object.keys(outputs))
})

test('report.schema.json matches the report schema', async () => {
  expect(JSON.parse(await read('report.schema.json'))).toEqual(
    JSON.parse(JSON.stringify(z.toJSONSchema(reportSchema)))
  )
})

test('docs/messages.md has every message of the code', async () => {
  expect(await read('docs/messages.md')).toBe(renderMessages())
})

test('every message is in use', async () => {
  const files = await readdir(join(project, 'src'), { recursive: true })
  const sources = await Promise.all(
    files
      .filter((file) => file.endsWith('.ts'))
      .map((file) => read(join('src', file)))
  )
  const code = sources.join('\n')
  for (const name of Object.keys(messages))
    expect(code).toContain(`messages.${name}(`)
})

test('the action runs the bundle on Node 24', () => {
  const main = 'dist/index.js'
  expect(action.runs).toEqual({ using: 'node24', main, post: main })
})

test('the workflows in the README and the examples use only inputs that exist', async () => {
  const snippets = [...readme.matchAll(/```yaml\n([^]*?)```/g)].map(
    ([, text = '']) => inputsIn(text)
  )
  const files = (await readdir(examples)).filter((one) => one.endsWith('.yml'))
  const workflows = [...snippets, ...(await Promise.all(files.map(inputsOf)))]
  expect(files.length).toBeGreaterThanOrEqual(4)
  for (const steps of workflows) {
    expect(steps.length).toBeGreaterThan(0)
    for (const inputs of steps) {
      const names = Object.keys(inputs)
      expect(Object.keys(action.inputs)).toEqual(expect.arrayContaining(names))
      expect(schema.safeParse({ ...defaults, ...inputs }).error).toBeUndefined()
    }
  }
  for (const file of await readdir(examples))
    expect(readme).toContain(`(examples/${file})`)
})
