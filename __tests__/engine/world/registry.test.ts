import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { useRegistry } from '../harness/registry.ts'
import { resource } from '../harness/report.ts'
import { containerd, podman } from '../harness/target.ts'
import { everything, idOf, oldImage } from '../harness/things.ts'

const engine = useEngine()
const { docker, step, dockerThat } = engine
const { publish, pull } = useRegistry(engine)

test('an image that is pulled again to the same ID after the listing stays: the events tell', async () => {
  const published = await publish([oldImage('again'), oldImage('other')])
  const [again = '', other = ''] = published.map(({ pinned }) => pinned)
  await pull([again, other])
  // Before the second listing of the containers, which is the one right before the first batch. Podman's events come late.
  const command = await dockerThat(
    `case "$1 $2" in "container ls") [ "$(count calls)" = 2 ] && $docker pull --quiet ${again} >/dev/null && sleep 0.5 ;; esac`
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

// Elsewhere digests are no references of their own, beside a tag.
if (!containerd && !podman)
  test('of two references that an image lost in a failed removal, the one that means another image now was taken by somebody else', async () => {
    const published = await publish([oldImage('app'), oldImage('other')])
    const [{ tag, pinned } = { tag: '', pinned: '' }, other] = published
    await pull([tag, other?.tag ?? ''])
    const id = await idOf(docker, tag)
    // As an engine without room does: it takes off both, and cannot delete; meanwhile the tag is moved.
    const command = await dockerThat(`case "$1 $2 $*" in
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
