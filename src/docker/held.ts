import { z } from 'zod'
import type { Held } from '../policy/job.ts'
import { canonical } from '../policy/needs.ts'
import { succeed, type Docker } from './cli.ts'
import { listAllContainers, listIds } from './inventory.ts'
import { imageId } from './podman.ts'
import { readJsonLines } from './schemas.ts'

const imageFields = ['ID', 'Repository', 'Tag', 'Digest']
const imageRow = z.tuple([
  z.string().min(1),
  z.string(),
  z.string(),
  z.string()
])
const none = '<none>'

/** What an engine holds by ID and by name alone: plain listings, that have it inspect nothing. */
export async function listHeld(docker: Docker): Promise<Held> {
  const ids = async (...args: string[]) => new Set(await listIds(docker, args))
  const [containers, rows, networks, volumes] = await Promise.all([
    ids(...listAllContainers, '--format', '{{json .ID}}'),
    listImageRows(docker),
    ids('network', 'ls', '--no-trunc', '--format', '{{json .ID}}'),
    ids('volume', 'ls', '--format', '{{json .Name}}')
  ])
  const references = rows.flatMap(([, repository, tag, digest]) => [
    ...(tag === none ? [] : [`${repository}:${tag}`]),
    ...(digest === none ? [] : [`${repository}@${digest}`])
  ])
  return {
    containers,
    images: new Set(rows.map(([id]) => imageId(id))),
    references: new Set(references.map(canonical)),
    networks,
    volumes
  }
}

/** An image has a row for each pair of a tag and a digest. */
async function listImageRows(
  docker: Docker
): Promise<z.output<typeof imageRow>[]> {
  const format = `[${imageFields.map((field) => `{{json .${field}}}`).join(',')}]`
  const args = ['image', 'ls', '--all', '--no-trunc', '--digests']
  const { stdout } = succeed(
    await docker([...args, '--format', format]),
    'image ls'
  )
  return readJsonLines(stdout, imageRow, 'image ls')
}
