import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Browser, Page } from 'playwright-core'
import { openPage, startBrowser } from '../../scripts/demo/browser.ts'
import { renderPage } from '../../scripts/demo/page.ts'
import { makeSummaries } from '../../scripts/demo/summaries.ts'
import { renderPie } from '../../src/report/pictures.ts'
import { neutralise } from '../../src/report/text.ts'
import { makeTestReport, resource } from '../builders.ts'
import { hostileTexts } from '../hostile.ts'

const made = await makeSummaries()
const summaries = Object.entries(made)
const screenshots = join(import.meta.dirname, '../../preview')

let browser: Browser | undefined
beforeAll(async () => {
  await mkdir(screenshots, { recursive: true })
  browser = await startBrowser()
})
afterAll(() => browser?.close())

async function open(
  text: string,
  colorScheme: 'light' | 'dark'
): Promise<Page> {
  if (browser === undefined) throw new Error('there is no browser')
  return openPage(browser, await renderPage('Summary', text), colorScheme)
}

/** Inspects the rendered page: diagrams, overflow, and elements that a summary must not contain. */
function inspect(page: Page) {
  return page.evaluate(() => {
    const all = (selector: string) => [...document.querySelectorAll(selector)]
    const unfold = (open: boolean) => {
      for (const one of all('details')) one.toggleAttribute('open', open)
    }
    unfold(true)
    const drawn = all('.mermaid').map((diagram) => {
      const svg = diagram.querySelector('svg')
      const box = svg?.getBoundingClientRect()
      return {
        slices: diagram.querySelectorAll('path.pieCircle').length,
        labels: [...diagram.querySelectorAll('.legend text')].map(
          (one) => one.textContent
        ),
        visible: (box?.width ?? 0) > 100 && (box?.height ?? 0) > 50
      }
    })
    const { scrollWidth, clientWidth } = document.documentElement
    const seen = {
      ready: document.body.dataset['ready'],
      drawn,
      overflow: scrollWidth - clientWidth,
      // Tables and code scroll; nothing else may overflow.
      outside: all('article > *, details > *').filter(
        (one) => one.getBoundingClientRect().right > clientWidth
      ).length,
      foreign: all('article :is(script, img, iframe, a, input)').length,
      tables: all('table').map((one) => [
        ...new Set(
          [...one.querySelectorAll('tr')].map((row) => row.children.length)
        )
      ])
    }
    unfold(false)
    return seen
  })
}

const looks = summaries.flatMap(([name, text]) =>
  (['light', 'dark'] as const).map((scheme) => ({ name, scheme, text }))
)

test.each(looks)(
  '$name, $scheme: diagrams are drawn and nothing overflows, on a phone and a desktop',
  async ({ name, scheme, text }) => {
    const page = await open(text, scheme)
    for (const width of [390, 1_280]) {
      await page.setViewportSize({ width, height: 800 })
      await page.screenshot({
        path: join(screenshots, `${name}-${scheme}-${width}.png`),
        fullPage: true
      })
      const seen = await inspect(page)
      expect(seen).toMatchObject({
        ready: 'yes',
        overflow: 0,
        outside: 0,
        foreign: 0
      })
      expect(seen.drawn).toHaveLength(text.match(/^```mermaid$/gm)?.length ?? 0)
      for (const { visible, slices, labels } of seen.drawn) {
        expect(visible).toBe(true)
        expect(slices).toBeGreaterThan(1)
        expect(labels.length).toBeGreaterThanOrEqual(slices)
      }
      expect(seen.tables).toHaveLength(text.match(/^\| :?-.*$/gm)?.length ?? 0)
      // Every row has as many cells as the header.
      for (const widths of seen.tables) expect(widths).toHaveLength(1)
    }
    await page.close()
  }
)

test('other people’s text is shown literally', async () => {
  const page = await open(made['hostile'] ?? '', 'light')
  const cells = await page.$$eval('td:nth-child(3) code', (all) =>
    all.map((one) => one.textContent.replaceAll('\u200b', '').trim())
  )
  for (const text of hostileTexts) {
    const seen = neutralise(text).trim()
    const cut = seen.length > 120 ? `${seen.slice(0, 120)}…` : seen
    expect(cells).toContain(cut)
  }
  await page.close()
})

test('diagrams are drawn whatever their labels contain', async () => {
  const pies = hostileTexts.map((text) =>
    renderPie(
      makeTestReport([
        resource({ references: [text] }),
        resource({ references: ['app:1'] })
      ])
    )
  )
  const page = await open(pies.join('\n\n'), 'light')
  const { ready, drawn } = await inspect(page)
  expect(ready).toBe('yes')
  expect(drawn.map(({ slices }) => slices)).toEqual(hostileTexts.map(() => 2))
  await page.close()
})

test('the diagram of the architecture is drawn', async () => {
  const text = await readFile(
    join(import.meta.dirname, '../../docs/architecture.md'),
    'utf8'
  )
  const page = await open(text, 'light')
  const { ready, drawn } = await inspect(page)
  expect(ready).toBe('yes')
  expect(drawn.map(({ visible }) => visible)).toEqual([true])
  expect(await page.locator('.mermaid g.node').count()).toBe(12)
  await page.close()
})

test('exactly the expected pages have a pie chart', () => {
  const withPie = summaries.filter(([, text]) => text.includes('```mermaid'))
  expect(withPie.map(([name]) => name)).toEqual([
    'big-run',
    'dry-run',
    'rules',
    'failures',
    '5000-resources',
    'hostile'
  ])
})

test.each([
  [
    'a diagram that does not render',
    '```mermaid\npie title x\n  "a" b" : 1\n```'
  ],
  [
    'text that overflows',
    `<p>${'x'.repeat(2_000)}</p><style>p { white-space: nowrap; overflow-wrap: normal !important }</style>`
  ]
])('%s is detected', async (_, text) => {
  const page = await open(text, 'light')
  const { ready, overflow } = await inspect(page)
  expect(ready === 'yes' && overflow === 0).toBe(false)
  await page.close()
})
