import { expect } from '@jest/globals'
import { saysAbsent, type Inspectable } from '../../../src/docker/inspect.ts'
import { useEngine } from '../harness/engine.ts'
import { ownNetwork, podman } from '../harness/target.ts'
import { createFacts, inspectOne, readLines } from './fact.ts'

const tests = useEngine()
const { docker: real, create } = tests
const fact = createFacts(tests)

const json = ['--format', '{{json .}}']
const id = expect.stringMatching(/^(?:sha256:)?[0-9a-f]{64}$/)
const text = expect.any(String)

/** The action's calls that print JSON, with the keys that it reads. */
const calls: [string[], unknown][] = [
  [
    ['info', ...json],
    {
      ID: text,
      Name: text,
      ServerVersion: text,
      Driver: text,
      DriverStatus: expect.any(Array),
      DockerRootDir: text,
      KernelVersion: text,
      SystemTime: text
    }
  ],
  [['version', ...json], { Server: { Components: expect.any(Array) } }],
  [
    ['image', 'ls', '--no-trunc', '--all', '--digests', ...json],
    { ID: id, Repository: text, Tag: text, Digest: text, Size: text }
  ],
  [
    ['image', 'history', '--no-trunc', '--human=false', ...json, 'busybox:1'],
    { CreatedBy: text, Size: expect.stringMatching(/^\d+$/) }
  ],
  [['container', 'ls', '--all', '--no-trunc', '--format', '{{json .ID}}'], id],
  [
    [
      ...['container', 'ls', '--all', '--no-trunc', '--format'],
      '[{{json .Names}},{{json .State}},{{json .Image}},{{json .Networks}},{{json .Mounts}}]'
    ],
    ['user', 'created', expect.stringMatching(/busybox:1$/), text, 'data']
  ],
  [['network', 'ls', '--no-trunc', '--format', '{{json .ID}}'], text],
  [['volume', 'ls', '--format', '{{json .Name}}'], 'data'],
  [['events', '--since', '1', '--until', '2', ...json], undefined],
  [
    ['system', 'df', '--verbose', ...json],
    {
      Volumes: [{ Name: 'data', Size: '0B' }],
      BuildCache: expect.any(Array)
    }
  ]
]

fact(
  'F17',
  'every call prints JSON, one value per line, with all required keys',
  // CLI 20.10 prints this with `--format json`.
  'case "$1" in volume) echo json; exit ;; esac',
  async ({ docker }) => {
    await create('user', '--volume', 'data:/data', 'busybox:1', 'true')
    for (const [args, expected] of calls) {
      const printed = await docker(...args)
      expect(() => readLines(printed)).not.toThrow()
      const [first] = readLines(printed)
      if (expected !== undefined && typeof expected === 'object')
        expect({ args, first }).toMatchObject({ args, first: expected })
      else expect({ args, first }).toEqual({ args, first: expected })
    }
  }
)

const kinds = {
  container: 'user',
  image: 'busybox:1',
  network: ownNetwork,
  volume: 'data'
} satisfies Record<Inspectable, string>

fact(
  'F17',
  'inspect prints what it found, and names missing objects',
  `case "$2" in inspect) "$docker" "$@" 2>/dev/null; code=$?; echo 'Error: something else' >&2; exit $code ;; esac`,
  async ({ docker, answer }) => {
    await create('user', '--volume', 'data:/data', 'busybox:1', 'true')
    for (const kind of ['container', 'image', 'network', 'volume'] as const) {
      const existing = kinds[kind]
      const missing = kind === 'image' ? `sha256:${'0'.repeat(64)}` : 'missing'
      const output = await answer(kind, 'inspect', '--', missing, existing)
      expect(output.exitCode).toBe(1)
      const found = JSON.parse(output.stdout) as object[]
      expect(found).toEqual([await inspectOne(docker, kind, existing)])
      expect(saysAbsent(output, kind, missing)).toBe(true)
      if (kind === 'volume' && podman) continue
      expect(saysAbsent(output, kind, existing)).toBe(false)
    }
    const reference = await answer('image', 'inspect', '--', 'missing:1')
    expect(saysAbsent(reference, 'image', 'missing:1')).toBe(true)
  }
)

/** Labels that cannot be read from a listing, which joins them with commas. */
const labels = {
  'a.b/c-d': 'x=y=z',
  empty: '',
  list: 'one,two=2',
  quoted: '"quoted" \\ \\n {{.}}',
  lines: 'one\ntwo',
  ünï: '© 漢'
}

fact(
  'F18',
  'inspect prints labels as they were set',
  `case "$2" in inspect) "$docker" "$@" | sed 's/one,two=2/one/'; exit ;; esac`,
  async ({ docker }) => {
    const options = Object.entries(labels).flatMap(([key, value]) => [
      '--label',
      `${key}=${value}`
    ])
    await create('user', ...options, '--label', 'bare', 'busybox:1', 'true')
    await real('network', 'create', ...options, 'net')
    await real('volume', 'create', ...options, 'data')
    await tests.load([
      {
        references: ['labelled:1'],
        created: '2024-05-01T12:00:00Z',
        labels,
        layers: [{ name: 'labelled', bytes: 1_000 }]
      }
    ])
    type Labels = { Labels: Record<string, string> }
    const [container, image] = [
      await inspectOne<{ Config: Labels }>(docker, 'container', 'user'),
      await inspectOne<{ Config: Labels }>(docker, 'image', 'labelled:1')
    ]
    expect(container.Config.Labels).toEqual({ ...labels, bare: '' })
    expect(image.Config.Labels).toEqual(labels)
    for (const [kind, name] of [
      ['network', 'net'],
      ['volume', 'data']
    ] as const) {
      const { Labels } = await inspectOne<Labels>(docker, kind, name)
      expect(Labels).toEqual(labels)
    }
  }
)
