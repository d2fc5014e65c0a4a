import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { useRegistry } from '../harness/registry.ts'
import { resource } from '../harness/report.ts'
import { withoutStream } from '../harness/standIn.ts'
import { containerd, podman } from '../harness/target.ts'
import { everything, idOf, oldImage } from '../harness/things.ts'

const engine = useEngine()
const { docker, step, dockerThat } = engine
const { publish, pull } = useRegistry(engine)

test('an image pulled again with the same ID after the listing is kept, because of its events', async () => {
  const published = await publish([oldImage('again'), oldImage('other')])
  const [again = '', other = ''] = published.map(({ pinned }) => pinned)
  await pull([again, other])
  // Podman's events arrive late.
  const command = await dockerThat(
    `before_removal "$@" && $docker pull --quiet ${again} >/dev/null && sleep 0.5`
  )

  const done = await step({ ...everything, docker: command })

  expect(done.exitCode).toBe(0)
  expect(resource(done, again)).toMatchObject({
    outcome: 'kept',
    reason: 'changed'
  })
  expect(resource(done, other).outcome).toBe('removed')
  await docker('image', 'inspect', again)
})

test('an image without a tag that is pulled under a new one during the removal is kept', async () => {
  const image = { ...oldImage('app'), references: ['app:1', 'app:2'] }
  const [{ pinned } = { pinned: '' }, { tag } = { tag: '' }] = await publish([
    image
  ])
  await pull([pinned])
  await engine.load([oldImage('other')])
  await engine.create('old', 'busybox:1', 'true')
  // The event of a pull does not name the image. The removal of the container shows that the stream works.
  const command = await dockerThat(
    `case "$1 $2" in "container rm") "$docker" "$@" && $docker pull --quiet ${tag} >/dev/null; exit ;; esac`
  )

  const done = await step({ ...everything, docker: command })

  expect(done.exitCode).toBe(0)
  expect(await idOf(docker, tag)).toBe(await idOf(docker, pinned))
  expect(resource(done, 'other:1').outcome).toBe('removed')
})

// In other stores, a digest next to a tag is not a separate reference.
if (!containerd && !podman)
  test('if a failed removal loses two references, one that moved to another image does not count as ours', async () => {
    const published = await publish([oldImage('app'), oldImage('other')])
    const [{ tag, pinned } = { tag: '', pinned: '' }, other] = published
    await pull([tag, other?.tag ?? ''])
    const id = await idOf(docker, tag)
    // An engine with a full disk behaves like this: it untags both, but cannot delete. The tag is moved at that moment.
    const command = await dockerThat(`${withoutStream}
      case "$1 $2 $*" in
      "image rm "*${id}*)
        mark failed; $docker tag ${other?.tag ?? ''} ${tag}
        echo 'Error response from daemon: no space left on device' >&2; exit 1 ;;
      "image inspect "*${pinned}*) [ -e "$(dirname "$0")/failed" ] && {
        echo '[]'; echo 'Error: No such image: ${pinned}' >&2; exit 1; } ;;
      "image inspect "*${id}*) [ -e "$(dirname "$0")/failed" ] && {
        "$docker" image inspect --format '{{json .}}' ${id} |
          sed 's/"Repo\\(Tags\\|Digests\\)":\\[[^]]*\\]/"Repo\\1":[]/g; s/^/[/; s/$/]/'; exit; } ;;
      esac`)

    const done = await step({
      ...everything,
      'protected-images': 'busybox\n**/other',
      docker: command
    })

    expect(done.exitCode).toBe(1)
    expect(resource(done, id)).toMatchObject({
      outcome: 'failed',
      detail: expect.stringContaining('no space left on device'),
      removedReferences: [pinned]
    })
    expect(await idOf(docker, tag)).toBe(await idOf(docker, other?.tag ?? ''))
  })
