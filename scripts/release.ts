/**
 * Checks that this folder has everything for the release of a version, and prints its notes from the changelog.
 *
 *   node scripts/release.ts 1.2.3
 */
import { readFile } from 'node:fs/promises'

/** Reads a version's section: the text below `## [1.2.3] - 2026-01-31`. */
async function readNotes(version: string): Promise<string> {
  const changelog = await readFile('CHANGELOG.md', 'utf8')
  const heading = `[${version}] - `
  const section = changelog
    .split(/^## /m)
    .find((text) => text.startsWith(heading))
  if (section === undefined)
    throw new Error(`CHANGELOG.md has no section "## ${heading}…".`)
  const [title = '', ...lines] = section.split('\n')
  const date = title.slice(heading.length)
  if (!/^\d{4}-\d\d-\d\d$/.test(date))
    throw new Error(
      `Set the date of ${version} in CHANGELOG.md: "${date}" is none.`
    )
  const notes = lines.join('\n').trim()
  if (notes === '')
    throw new Error(`The section of ${version} in CHANGELOG.md is empty.`)
  return notes
}

async function release(version: string): Promise<void> {
  const number = '(?:0|[1-9]\\d*)'
  if (!new RegExp(`^${number}\\.${number}\\.${number}$`).test(version))
    throw new Error(
      `The version must look like 1.2.3: ${JSON.stringify(version)}`
    )
  for (const file of ['package.json', 'package-lock.json']) {
    const { version: found } = JSON.parse(await readFile(file, 'utf8')) as {
      version: string
    }
    if (found !== version)
      throw new Error(`${file} has version ${found}, not ${version}.`)
  }
  console.log(await readNotes(version))
}

await release(process.argv[2] ?? '')
