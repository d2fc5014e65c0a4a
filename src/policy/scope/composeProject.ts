import type { Container, Image } from '../../model/inventory.ts'

export const projectLabel = 'com.docker.compose.project'

/** Labels that Compose writes on its containers, and on no image. */
const containerLabels = [
  'com.docker.compose.container-number',
  'com.docker.compose.oneoff'
]

/**
 * The compose project that made a container; empty for none. Compose labels the images that it builds with their
 * project, too, and other containers of these inherit it. Where the image is not listed, only the labels that no image
 * has show who made the container.
 */
export function projectOf(
  { image, labels }: Container,
  images: ReadonlyMap<string, Image>
): string {
  const known = images.get(image)
  const inherited = known?.labels ?? {}
  const marks = known ? [projectLabel, ...containerLabels] : containerLabels
  const own = marks.some((mark) => labels[mark] !== inherited[mark])
  return own ? (labels[projectLabel] ?? '') : ''
}
