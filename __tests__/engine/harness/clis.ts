import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { unpackPackages } from '../../../scripts/engines/packages.ts'

/** A folder with the buildx plugin for DOCKER_CONFIG, or without any plugin. */
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

/** CLIs of other versions than the engine's, and the buildx plugin for the new one. */
export type OtherClis = { old: string; new: string; buildx: string }

/** Finds the CLIs of the oldest and of the newest engine that the tests run on. */
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
