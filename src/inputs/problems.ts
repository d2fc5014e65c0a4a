import { inputNames, variableOf } from '../model/inputs.ts'
import { quote } from './parsers.ts'

/** The name of an input (or of a variable that is meant to be one), and what is wrong with it. */
export type Problem = readonly [name: string, problem: string]

export function describeProblems(
  problems: readonly Problem[],
  texts: Record<string, string | undefined>
): string {
  return problems
    .map(([name, problem]) => {
      // A misnamed variable may hold a secret: its text is not shown.
      const text = texts[name]
      return `${name}: ${text ? `got ${quote(text)}; ` : ''}${problem}.`
    })
    .join('\n')
}

/**
 * Finds variables that are meant to be inputs. For `dry_run` the runner sets INPUT_DRY_RUN with no more than a warning,
 * and the step would remove everything.
 */
export function problemsOfVariables(env: NodeJS.ProcessEnv): Problem[] {
  const plain = (name: string) => name.toUpperCase().replaceAll(/[-_ ]/g, '')
  const known = new Map(
    inputNames.map((name) => [plain(`INPUT_${name}`), name])
  )
  return Object.keys(env).flatMap((variable) => {
    const name = env[variable] ? known.get(plain(variable)) : undefined
    return name === undefined || variable === variableOf(name)
      ? []
      : [
          [
            variable,
            `not an input; ${name} is set by the variable ${variableOf(name)}`
          ]
        ]
  })
}
