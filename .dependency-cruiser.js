/**
 * The rooms of `src` from the ground up, each with those that it may import from beside the ground (`words`, `units`,
 * `files`) and itself. docs/architecture.md draws them.
 *
 * @type {Record<string, string[]>}
 */
export const rooms = {
  model: [],
  accounting: ['model'],
  policy: ['model', 'accounting'],
  docker: ['model'],
  host: ['model'],
  removal: ['model', 'docker', 'host'],
  state: ['model'],
  github: ['model'],
  inputs: ['model'],
  report: ['model', 'accounting']
}

const ground = ['src/(words|units|files)[.]ts$']

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    { name: 'no-circle', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'ground',
      severity: 'error',
      from: { path: ground },
      to: { path: '^src/', pathNot: ground }
    },
    ...Object.entries(rooms).map(([room, others]) => ({
      name: `room-${room}`,
      severity: 'error',
      from: { path: `^src/${room}/` },
      to: {
        path: '^src/',
        pathNot: [...ground, ...[room, ...others].map((one) => `^src/${one}/`)]
      }
    })),
    {
      name: 'room-run',
      severity: 'error',
      from: { path: '^src/run(/|[.]ts$)' },
      to: { path: '^src/index' }
    },
    {
      name: 'room-index',
      severity: 'error',
      from: { path: '^src/index' },
      to: { path: '^src/', pathNot: '^src/run(/|[.]ts$)' }
    }
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' }
  }
}
