import type { FreeSpace } from '../model/disks.ts'
import type { InputTexts } from '../model/inputs.ts'
import type { Problem } from './problems.ts'
import { schema } from './schema.ts'

/** Finds a gate and a target that contradict each other, or the scope. */
export function problemsOfPressure(texts: InputTexts): Problem[] {
  const names = ['when-free-below', 'until-free-above'] as const
  const given = names.filter((name) => texts[name] !== '')
  // An unknown scope is reported as such.
  const { data: scope } = schema.shape.scope.safeParse(texts.scope)
  if (scope !== undefined && scope !== 'engine')
    return given.map((name) => [name, 'only allowed with scope: engine'])
  const [gate, target] = names.map(
    (name) => schema.shape[name].safeParse(texts[name]).data
  )
  if (!isSpace(gate) || !isSpace(target)) return []
  const problem = problemOfTarget(gate, target)
  return problem === undefined ? [] : [[names[1], problem]]
}

function problemOfTarget(
  gate: FreeSpace,
  target: FreeSpace
): string | undefined {
  const below = 'must not be below when-free-below'
  if ('percent' in gate && 'percent' in target)
    return target.percent < gate.percent ? below : undefined
  if ('bytes' in gate && 'bytes' in target)
    return target.bytes < gate.bytes ? below : undefined
  return 'requires the unit of when-free-below: both a percentage, or both a size'
}

function isSpace(value: FreeSpace | 'any' | undefined): value is FreeSpace {
  return typeof value === 'object'
}
