import { expect } from '@jest/globals'
import type { Step } from '../../../scripts/engines/step.ts'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { onStream } from '../harness/standIn.ts'
import { containerd, onlyOnDocker } from '../harness/target.ts'
import { everything, oldImage, oldImages } from '../harness/things.ts'

const tests = useEngine()
const { api, docker, load, step, contents } = tests
const { dockerThat, untilPaused, go } = tests
const it = onlyOnDocker('event stream that is trusted')

/** Others tag an image after the listing. The engine's clock is known to within the time that "docker info" takes. */
const tagBefore =
  'case "$1 $2" in "system df") once $docker tag again:1 again:1 ;; esac'

/** Others tag an image during a removal, once most of it is done. */
const tagLate = (call: number, image: string) =>
  `case "$1 $2" in "image rm") [ "$(count rm)" -lt ${call} ] || ! mkdir "$(dirname "$0")/tagged" || $docker tag ${image} ${image} ;; esac 2>/dev/null`

/** Expects that the step kept one image, removed the others, and lost its trust in the stream for this reason. */
async function expectKept(
  done: Step,
  image: string,
  { others, lost }: { others: number; lost?: RegExp | undefined }
): Promise<void> {
  expect(done).toMatchObject({
    exitCode: 0,
    outputs: { failed: '0', 'removed-images': String(others) }
  })
  expect(resource(done, image)).toMatchObject({
    outcome: 'kept',
    reason: 'changed'
  })
  expect((await contents()).references).toEqual(['busybox:1', image].sort())
  const lines = done.stdout.match(/Lost the engine's event stream .*/g) ?? []
  expect(lines).toEqual(lost ? [expect.stringMatching(lost)] : [])
}

const ownPipe = 'pipe=$(dirname "$0")/pipe; mkfifo "$pipe"'

const gap = /lacks|more events than the engine logs/

const faults: readonly [name: string, hook: string, lost?: RegExp][] = [
  ['is whole', ''],
  ['ends at once', 'exit', /\(the stream ended\)/],
  [
    'ends in the middle of a line',
    `${ownPipe}; "$docker" "$@" >"$pipe" & head -c 100 <"$pipe"; kill $!; exit`,
    /could not be read|lacks|more events/
  ],
  [
    'has rubbish between its lines',
    `"$docker" "$@" | sed --unbuffered 'a rubbish'; exit`,
    /\(an event could not be read\)/
  ],
  [
    'lags behind by 2 s',
    `"$docker" "$@" | while read -r line; do (sleep 2; printf '%s\\n' "$line") & done; exit`,
    gap
  ],
  [
    'lacks one event in seven',
    `"$docker" "$@" | sed --unbuffered '0~7d'; exit`,
    gap
  ]
]

for (const [name, hook, lost] of faults)
  it(`an image tagged right before the removal stays, if the event stream ${name}`, async () => {
    await load([oldImage('again'), ...oldImages(40)])
    const command = await dockerThat(`${onStream(hook)}\n${tagBefore}`)

    const done = await step({ ...everything, docker: command })

    await expectKept(done, 'again:1', { others: 40, lost })
  })

/** A stream that shows everything but the tags of others. */
const withoutTags = onStream(
  `"$docker" "$@" | sed --unbuffered '/"Action":"tag"/d'; exit`
)

it('a tag that the stream lacks is found in the engine’s log before the first batch', async () => {
  await load([oldImage('again'), oldImage('other')])
  const command = await dockerThat(`${withoutTags}
    ${tagBefore}`)

  const done = await step({ ...everything, docker: command })

  await expectKept(done, 'again:1', {
    others: 1,
    lost: gap
  })
})

// The log is read again after 100 removals, which take the containerd store too long for a test.
if (!containerd)
  it('a tag that the stream lacks is found in the engine’s log during the removal', async () => {
    await load([...oldImages(299), oldImage('late')])
    const command = await dockerThat(`${withoutTags}\n${tagLate(5, 'late:1')}`)

    const done = await step({ ...everything, docker: command })

    await expectKept(done, 'late:1', {
      others: 299,
      lost: gap
    })
  })

it('a tag made while the reader of the stream is stalled is found', async () => {
  await load([...oldImages(79), oldImage('late')])
  const stalled = '"$(dirname "$0")/reader"'
  const command = await dockerThat(`
    ${onStream(`"$docker" "$@" & echo $! >${stalled}; wait; exit`)}
    stall() { kill -STOP $(cat ${stalled}); { sleep 3; kill -CONT $(cat ${stalled}); } >/dev/null 2>&1 & }
    case "$1 $2" in "image rm") once stall ;; esac
    ${tagLate(2, 'late:1')}`)

  const done = await step({ ...everything, docker: command })

  await expectKept(done, 'late:1', { others: 79, lost: gap })
})

it('a tag made among 3,000 events by others is found', async () => {
  await load([...oldImages(79), oldImage('late')])
  // The check of the log is slow, as on a busy machine.
  const command = await dockerThat(`
    case "$1 $2 $4" in
    "image rm "*) [ "$(count rm)" -lt 3 ] || once pause ;;
    events*--until) [ ! -e "$(dirname "$0")/paused" ] || sleep 1 ;;
    esac`)
  const running = step({ ...everything, concurrency: '1', docker: command })
  await untilPaused()

  const flood = async (_: unknown, lane: number) => {
    for (let index = 0; index < 190; index += 1) {
      await api().post('/volumes/create', { Name: `flood-${lane}` })
      await api().remove(`/volumes/flood-${lane}`)
    }
  }
  const flooding = Promise.all(Array.from({ length: 8 }, flood))
  await docker('tag', 'late:1', 'late:1')
  await flooding
  await go()
  const done = await running

  await expectKept(done, 'late:1', {
    others: 79,
    lost: /more events than the engine logs/
  })
})

it('an image tagged right before the removal stays, if the engine’s log can no longer be read', async () => {
  await load([oldImage('again'), oldImage('other')])
  const command = await dockerThat(`${tagBefore}
    case "$1 $4" in "events --until") [ "$(count reads)" = 1 ] || { echo 'Error response from daemon: broken' >&2; exit 1; } ;; esac`)

  const done = await step({ ...everything, docker: command })

  await expectKept(done, 'again:1', { others: 1, lost: /could not be read/ })
})
