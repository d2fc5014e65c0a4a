/** Writes job summaries of made-up runs as HTML pages into `preview/`. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { assets, renderPage } from './page.ts'
import { makeSummaries } from './summaries.ts'

const folder = join(import.meta.dirname, '../../preview')

await mkdir(folder, { recursive: true })
for (const [name, path] of Object.entries(assets))
  await copyFile(path, join(folder, name))
for (const [name, text] of Object.entries(await makeSummaries())) {
  const file = join(folder, `${name}.html`)
  await writeFile(file, await renderPage(name, text))
  console.log(file)
}
