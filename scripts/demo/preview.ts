/**
 * Writes job summaries of made-up runs as HTML pages into `preview/`; with `--docs`, also the pictures of the README.
 */
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openPage, startBrowser } from './browser.ts'
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

if (process.argv.includes('--docs')) {
  const summaries = await makeSummaries()
  const html = await renderPage('Summary', summaries['big-run'] ?? '')
  const browser = await startBrowser()
  for (const scheme of ['light', 'dark'] as const) {
    const page = await openPage(browser, html, scheme)
    await page.setViewportSize({ width: 860, height: 800 })
    const path = join(import.meta.dirname, `../../docs/summary-${scheme}.png`)
    await page.screenshot({ path, fullPage: true })
    console.log(path)
  }
  await browser.close()
}
