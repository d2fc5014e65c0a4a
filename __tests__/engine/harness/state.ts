import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

// The files in the folder `state-dir`: an engine's ledger, and beside it what is known of its images.

const imagesFile = '-images.json'

/** The names of the ledgers in a folder. */
export async function listLedgers(folder: string): Promise<string[]> {
  const files = await readdir(folder)
  return files.filter((name) => !name.endsWith(imagesFile))
}

type Fact = { image?: { references: string[] } }

/** Makes earlier runs have been told something else of images; where nothing is remembered of them, nothing changes. */
export async function changeFacts(
  folder: string,
  change: (references: string[]) => object
): Promise<void> {
  const names = await readdir(folder)
  for (const name of names.filter((one) => one.endsWith(imagesFile))) {
    const file = join(folder, name)
    const content = JSON.parse(await readFile(file, 'utf8')) as {
      images: Fact[]
    }
    const images = content.images.map(({ image, ...fact }) => ({
      ...fact,
      ...(image && { image: { ...image, ...change(image.references) } })
    }))
    await writeFile(file, JSON.stringify({ ...content, images }))
  }
}
