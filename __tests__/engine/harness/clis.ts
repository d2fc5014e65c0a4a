import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { unpackPackages } from '../../../scripts/engines/packages.ts'

/** Creates a folder for DOCKER_CONFIG, with or without the buildx plugin. */
export async function makeDockerConfig(
  folder: string,
  { plugin, config = {} }: { plugin?: string; config?: object }
): Promise<string> {
  await mkdir(join(folder, 'cli-plugins'), { recursive: true })
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  if (plugin !== undefined)
    await symlink(plugin, join(folder, 'cli-plugins/docker-buildx'))
  return folder
}

/** Paths of an old and a new CLI, and of the buildx plugin for the new one. */
export type OtherClis = { old: string; new: string; buildx: string }

/** Finds the CLIs of the oldest and the newest tested engine. */
export async function findOtherClis(): Promise<OtherClis> {
  const [old, newest] = await Promise.all([
    unpackPackages(['docker.io'], { suite: 'bookworm' }),
    unpackPackages(['docker-cli', 'docker-buildx'], { suite: 'sid' })
  ])
  return {
    old: `${old}/usr/bin/docker`,
    new: `${newest}/usr/bin/docker`,
    buildx: `${newest}/usr/libexec/docker/cli-plugins/docker-buildx`
  }
}
