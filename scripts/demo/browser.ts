import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser, type Page } from 'playwright-core'
import { unpackSystem } from '../engines/packages.ts'
import { assets } from './page.ts'

const suite = 'bookworm'
const packages = ['chromium', 'fonts-dejavu-core', 'fonts-liberation']

/** Starts Debian's Chromium in a chroot of unpacked packages. */
export async function startBrowser(): Promise<Browser> {
  const folder = await mkdtemp(join(tmpdir(), 'browser-'))
  try {
    const root = await unpackSystem(suite, packages)
    const launcher = join(folder, 'chromium')
    const program = join(import.meta.dirname, '../engines/in-system.sh')
    await writeFile(
      launcher,
      `#!/bin/sh\nexec sh '${program}' '${root}' /usr/lib/chromium/chromium "$@"\n`,
      { mode: 0o755 }
    )
    // Root in a chroot cannot use Chromium's sandbox. These pages are our own and load nothing from the network.
    return await chromium.launch({
      executablePath: launcher,
      chromiumSandbox: false
    })
  } catch (error) {
    throw new Error(
      `Cannot start Chromium. It requires Debian with apt, and root or user namespaces: ${String(error)}`,
      { cause: error }
    )
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Opens a page without access to the network. */
export async function openPage(
  browser: Browser,
  html: string,
  colorScheme: 'light' | 'dark'
): Promise<Page> {
  const page = await browser.newPage({
    colorScheme,
    viewport: { width: 390, height: 800 }
  })
  const address = 'http://preview.invalid/'
  await page.route('**', (route) => route.abort())
  await page.route(address, (route) =>
    route.fulfill({ contentType: 'text/html', body: html })
  )
  for (const [name, path] of Object.entries(assets))
    await page.route(`${address}${name}`, async (route) =>
      route.fulfill({
        contentType: name.endsWith('.css') ? 'text/css' : 'text/javascript',
        body: await readFile(path, 'utf8')
      })
    )
  await page.goto(address)
  // The page sets this once the diagrams are drawn.
  await page.waitForSelector('body[data-ready]', { state: 'attached' })
  return page
}
