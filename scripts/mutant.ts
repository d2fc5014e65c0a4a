/**
 * Checks that tests find a mistake: makes it in a copy of the project, builds that, and runs a command there, which must
 * fail.
 *
 *   node scripts/mutant.ts FILE TEXT REPLACEMENT COMMAND [arguments]
 */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'

const [file = '', text = '', replacement = '', ...command] =
  process.argv.slice(2)
const project = join(import.meta.dirname, '..')
const copy = await mkdtemp(join(tmpdir(), 'mutant-'))
try {
  const { stdout } = await execa(
    'git',
    ['ls-files', '-co', '--exclude-standard'],
    { cwd: project }
  )
  for (const name of stdout.split('\n'))
    await cp(join(project, name), join(copy, name))
  await symlink(join(project, 'node_modules'), join(copy, 'node_modules'))
  const source = await readFile(join(copy, file), 'utf8')
  const parts = source.split(text)
  if (parts.length !== 2)
    throw new Error(
      `${file} must contain TEXT exactly once; found ${parts.length - 1}`
    )
  await writeFile(join(copy, file), parts.join(replacement))
  await execa('npm', ['run', 'build'], { cwd: copy })
  const [program = '', ...args] = command
  const { exitCode } = await execa(program, args, {
    cwd: copy,
    stdio: 'inherit',
    reject: false
  })
  console.log(exitCode === 0 ? 'SURVIVED' : 'killed')
  process.exitCode = exitCode === 0 ? 1 : 0
} finally {
  await rm(copy, { recursive: true })
}
