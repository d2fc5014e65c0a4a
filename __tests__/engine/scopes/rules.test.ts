import { expect, test } from '@jest/globals'
import type { Step } from '../../../scripts/engines/step.ts'
import { startGitHub } from '../../github.ts'
import { useEngine } from '../harness/engine.ts'
import { createPullRequests, project } from '../harness/pullRequests.ts'
import { resource } from '../harness/report.ts'
import { useRunner } from '../harness/runner.ts'
import { oldImage } from '../harness/things.ts'

const tests = useEngine()
const { docker, load, create, step, job, contents } = tests
const { close } = createPullRequests(tests)
const { above } = useRunner()

const inputs = {
  'include-volumes': 'all',
  rules: `**:*-kept          keep
    container kept     keep
    network kept       keep
    volume kept        keep
    **                 until=90d keep-last=9
    label com.docker.compose.project  until=90d
    volume nothing     until=90d`
}

/** What pull request 1 of `acme/web` leaves behind. */
async function fill(): Promise<void> {
  await load([
    {
      ...oldImage('both'),
      references: ['acme/web:pr-1', 'acme/web:pr-1-kept']
    },
    { ...oldImage('other'), references: ['acme/web:pr-1-other'] }
  ])
  const own = project('acme-web-pr-1')
  for (const name of ['kept', 'other']) {
    await create(name, ...own, 'busybox:1', 'true')
    await docker('network', 'create', ...own, name)
    await docker('volume', 'create', ...own, name)
  }
}

async function runNightly(): Promise<Step> {
  const repository = 'acme/web'
  const token = 'ghs_0123456789abcdef'
  const pullRequests = new Map([[1, 'CLOSED']] as const)
  const server = await startGitHub({ token, repository, pullRequests })
  try {
    return await step(
      { ...inputs, scope: 'closed-pull-requests', 'github-token': token },
      {
        GITHUB_REPOSITORY: repository,
        GITHUB_GRAPHQL_URL: server.url,
        GITHUB_API_URL: server.url.replace(/\/graphql$/, '')
      }
    )
  } finally {
    await server.stop()
  }
}

const runJob = () =>
  job({ ...inputs, scope: 'job' }, {}, fill, { above: above() })

test.each([
  ['pull-request', () => fill().then(() => close('acme/web', 1, inputs))],
  ['closed-pull-requests', () => fill().then(runNightly)],
  ['job', () => runJob().then(({ post }) => post)]
] as const)(
  'in scope %s, rules with keep hold, and other settings have no effect',
  async (_, run) => {
    const done = await run()

    expect(done.exitCode).toBe(0)
    expect(await contents()).toMatchObject({
      containers: ['kept'],
      references: ['acme/web:pr-1-kept', 'busybox:1'],
      networks: ['kept'],
      volumes: ['kept']
    })
    expect(resource(done, 'acme/web:pr-1-kept')).toMatchObject({
      ...{ outcome: 'untagged', removedReferences: ['acme/web:pr-1'] }
    })
    expect(resource(done, 'acme/web:pr-1-other').rule).toBeUndefined()
    const kept = done.report?.resources.filter(({ name }) => name === 'kept')
    expect(kept).toMatchObject(
      [2, 3, 4].map((rule) => ({ action: 'keep', reason: 'rule', rule }))
    )
    expect(done.stdout).not.toContain('::warning::')
  }
)
