import { z } from 'zod'
import type { EngineContents } from '../model/policy.ts'
import { canonical } from '../model/references.ts'
import type { Docker } from './cli.ts'
import { namesInListing } from './imageListing.ts'
import { asRows } from './json.ts'
import { containerLs, imageLs, listJson, networkLs } from './listing.ts'
import { imageId } from './podman.ts'
import { listVolumeNames } from './volumes.ts'

const id = z.string().min(1)
const text = z.string()
const namedRow = z.tuple([id, text])
const imageRow = z
  .tuple([id, text, text, text])
  .transform(([ID, Repository, Tag, Digest]) => {
    return { ID, Repository, Tag, Digest }
  })
const imageRows = asRows('ID', 'Repository', 'Tag', 'Digest')

/** Lists IDs and names only, so that the engine inspects nothing. */
export async function listContents(docker: Docker): Promise<EngineContents> {
  const [containers, images, networks, volumes] = await Promise.all([
    listNamed(docker, containerLs, 'Names'),
    listJson(
      docker,
      [...imageLs, '--all', '--digests', ...imageRows],
      imageRow
    ),
    listNamed(docker, networkLs, 'Name'),
    listVolumeNames(docker)
  ])
  const { tags, digests } = namesInListing(images)
  const names = [...containers.values(), ...networks.values()]
  return {
    containers: new Set(containers.keys()),
    images: new Set(images.map(({ ID }) => imageId(ID))),
    references: new Set([...tags, ...digests].map(canonical)),
    networks: new Set(networks.keys()),
    // A linked container is listed with its aliases: "db,web/db".
    names: new Set(names.flatMap((name) => name.split(','))),
    volumes: new Set(volumes)
  }
}

async function listNamed(
  docker: Docker,
  ls: readonly string[],
  field: string
): Promise<Map<string, string>> {
  const args = [...ls, ...asRows('ID', field)]
  return new Map(await listJson(docker, args, namedRow))
}
