import { z } from 'zod'
import type { EngineContents } from '../model/policy.ts'
import { canonical } from '../model/references.ts'
import type { Docker } from './cli.ts'
import { imageLs, listIds, printListing } from './listing.ts'
import { listAllContainers } from './containers.ts'
import { imageId } from './podman.ts'
import { readJsonLines } from './json.ts'

const imageFields = ['ID', 'Repository', 'Tag', 'Digest']
const imageRow = z.tuple([
  z.string().min(1),
  z.string(),
  z.string(),
  z.string()
])
const namedRow = z.tuple([z.string().min(1), z.string()])
const none = '<none>'

/** What an engine holds by ID and by name alone: plain listings, that have it inspect nothing. */
export async function listContents(docker: Docker): Promise<EngineContents> {
  const [containers, rows, networks, volumes] = await Promise.all([
    listNamed(docker, [...listAllContainers], 'Names'),
    listImageRows(docker),
    listNamed(docker, ['network', 'ls', '--no-trunc'], 'Name'),
    listIds(docker, ['volume', 'ls', '--format', '{{json .Name}}'])
  ])
  const references = rows.flatMap(([, repository, tag, digest]) => [
    ...(tag === none ? [] : [`${repository}:${tag}`]),
    ...(digest === none ? [] : [`${repository}@${digest}`])
  ])
  return {
    containers: new Set(containers.keys()),
    images: new Set(rows.map(([id]) => imageId(id))),
    references: new Set(references.map(canonical)),
    networks: new Set(networks.keys()),
    // A container that others link to has their names for it, too.
    names: new Set(
      [...containers.values(), ...networks.values()].flatMap((name) =>
        name.split(',')
      )
    ),
    volumes: new Set(volumes)
  }
}

/** The names of containers or networks by their IDs. */
async function listNamed(
  docker: Docker,
  args: readonly string[],
  field: string
): Promise<Map<string, string>> {
  const format = ['--format', `[{{json .ID}},{{json .${field}}}]`]
  const stdout = await printListing(docker, [...args, ...format])
  return new Map(readJsonLines(stdout, namedRow, args.slice(0, 2).join(' ')))
}

/** An image has a row for each pair of a tag and a digest. */
async function listImageRows(
  docker: Docker
): Promise<z.output<typeof imageRow>[]> {
  const format = `[${imageFields.map((field) => `{{json .${field}}}`).join(',')}]`
  const args = [...imageLs, '--all', '--digests', '--format', format]
  const stdout = await printListing(docker, args)
  return readJsonLines(stdout, imageRow, 'image ls')
}
