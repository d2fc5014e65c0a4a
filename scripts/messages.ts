import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { schema } from '../src/inputs/schema.ts'
import { inputNames } from '../src/model/inputs.ts'
import { messages } from '../src/model/messages.ts'

/** The page about errors and warnings, made from the code's own table. */
export function renderMessages(): string {
  const all = Object.values(messages).map(({ explained }) => explained)
  const tableOf = (kind: 'error' | 'warning') => [
    '| message | why | what to do |',
    '| --- | --- | --- |',
    ...all
      .filter((one) => one.kind === kind)
      .map(({ shape, why, fix }) => row([code(shape), why, fix]))
  ]
  return `${[
    '# Messages',
    '',
    '<!-- Written by scripts/messages.ts from src/model/messages.ts. -->',
    '',
    'Text in capitals and … stands for what differs. The reasons for which a resource is kept or removed are in the [README](../README.md).',
    '',
    '## Errors',
    '',
    'An error fails the step.',
    '',
    ...tableOf('error'),
    '',
    '## Warnings',
    '',
    ...tableOf('warning'),
    '',
    '## What each input accepts',
    '',
    '| input | accepts |',
    '| --- | --- |',
    ...inputNames.map((name) =>
      row([`\`${name}\``, schema.shape[name].description ?? 'any text'])
    )
  ].join('\n')}\n`
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function code(text: string): string {
  return text
    .split('\n')
    .map((line) => `\`${line}\``)
    .join('<br>')
}

if (import.meta.main)
  await writeFile(
    join(import.meta.dirname, '../docs/messages.md'),
    renderMessages()
  )
