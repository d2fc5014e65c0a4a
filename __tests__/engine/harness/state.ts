import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

// Files in `state-dir`: the ledger of an engine, and the facts about its images.

const imagesFile = '-images.json'

/** Lists the ledger files in a folder. */
export async function listLedgers(folder: string): Promise<string[]> {
  const files = await readdir(folder)
  return files.filter((name) => !name.endsWith(imagesFile))
}

type Fact = { image?: { references: string[] } }

/** Changes the image facts that earlier runs stored, if any. */
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
